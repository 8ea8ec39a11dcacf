//! envoy-sso: single sign-on for any web application, as one proxy-wasm filter in Envoy or Istio.
//!
//! What a request goes through:
//!
//! ```text
//!              headers                                     flows: one async fn each, without I/O
//!  Envoy ─▶ proxy::filter ─▶ gate::rule ─┬─▶ pass    ┌─▶ flows::login     sign-in by OIDC, OAuth 2.0, SAML; passwords;
//!              ▲                         ├─▶ answer  │                    invitations
//!              │ Call / Reply            ├─▶ body    ├─▶ flows::recheck   directory and provider asked again
//!              │                         ├─▶ wait    ├─▶ flows::bearer    a program's access token
//!              └── host::task::Task ◀────┴─▶ flow ───┼─▶ flows::logout    here, at the provider, by the provider
//!                                                    └─▶ flows::admin     is the account ready?
//! ```
//!
//! The houses, from the top down. Each imports only what stands below it; `tests/check/rooms.py` holds the floors.
//!
//! - [`proxy`]: Envoy's ABI, and the only house that names `proxy_wasm`.
//! - [`gate`]: the rules in order: account, own endpoints, password logins, access, session.
//! - [`flows`]: what takes more than one step.
//! - [`exchange`]: one request and what becomes of it: ruling, changes, refusals, the way back.
//! - [`state`]: one worker's filter: configuration, accounts with their caches, background work.
//! - [`password`], [`session`]: who may still use a password; the sealed cookie, and what ends it.
//! - [`settings`], [`replicas`]: what administrators set themselves; what several Envoys share through etcd.
//! - [`directory`], [`identity`]: the one user behind an identity; claims to email, phone, roles.
//! - [`proto`]: OpenID Connect, OAuth 2.0 and SAML 2.0, and how their documents are fetched.
//! - [`config`]: what operators write, checked as a whole.
//! - [`crypto`]: keys, signatures, certificates, the seal of cookies.
//! - [`host`]: all that comes from outside: time, randomness, shared data, calls, log and metrics.
//! - [`pages`], [`access`], [`http`]: what people see; rules on paths; a request's head, path and cookies.
//! - [`fault`], [`values`]: every refusal; email, phone, time, JSON from outside.
#![forbid(unsafe_code)]

pub mod access;
pub mod config;
pub mod crypto;
pub mod directory;
pub mod exchange;
pub mod fault;
pub mod flows;
pub mod gate;
pub mod host;
pub mod http;
pub mod identity;
pub mod pages;
pub mod password;
pub mod proto;
pub mod proxy;
pub mod replicas;
pub mod session;
pub mod settings;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod values;
