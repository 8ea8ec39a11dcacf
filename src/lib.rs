//! envoy-sso: single sign-on for any web application, as one proxy-wasm filter in Envoy or Istio.
//!
//! What a request goes through:
//!
//! ```text
//!              headers                                     flows: one async fn each, no IO
//!  Envoy ─▶ proxy::filter ─▶ gate::rule ─┬─▶ pass    ┌─▶ login::oidc      start_login, finish_login
//!              ▲                         ├─▶ answer  ├─▶ recheck          the directory, once a `recheck`
//!              │ Call / Reply            ├─▶ body    ├─▶ login::invitation  an account for the invited
//!              │                         ├─▶ wait    ├─▶ bearer           a program's access token
//!              └── task::Task ◀──────────┴─▶ flow ───┼─▶ logout           here, at the IdP, and by the IdP
//!                                                    ├─▶ password         who may still use one
//!                                                    └─▶ admin            is the account ready?
//!
//!  background: documents and keys; sessions renewed at the IdP (recheck::renewal), which requests wait for
//!  oidc, saml, idp: the protocols, no Envoy  directory: the one account behind an identity
//!  session: the sealed cookie           identity: claims to email, phone, roles
//!  config: what operators write         pages: where a Fault becomes an answer
//! ```
//!
//! - [`gate`] reads like the rules: account, own endpoints, password logins, access, session.
//! - [`task`] lets a flow wait for answers without touching Envoy; [`proxy`] is the only room that does.
//! - [`fault`] is every refusal: a public code, a private reason. [`events`] logs and counts it once.
//! - [`host`] is what the filter needs from outside: time, randomness, shared data; tests bring their own.
//! - [`world`] is one worker's filter: the configuration, and all that is kept between requests.
//! - [`request`] reads head, cookies and path; [`endpoints`] answers the filter's own paths, [`surface`] says what
//!   `access` demands on all others; [`answer`] is what the filter answers, before [`proxy`] sends it.
//! - [`background`] fetches documents and keys before they are needed, and does what requests wait for together.
//! - [`shared`] is a bounded set that all workers share: what has ended, what was used.
//! - [`jose`] verifies signatures of tokens and signs; [`json`] reads JSON from outside strictly; [`secret`] is text
//!   that shows nowhere.
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
pub mod session;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod values;
