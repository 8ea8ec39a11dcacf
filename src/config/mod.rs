//! What operators write, checked into what the filter runs on.
//!
//! 1. `document`, `unique`: bytes into JSON. `schema`: its shape, by `schema.json`.
//! 2. `read`, `raw`: types with the description of every field, which docs/configuration.md is made of.
//! 3. `check`, `account`, `provider`: the types below, in which nothing downstream has to ask "is this set?".
//!
//! - `check`: the document as a whole. Beside the accounts: `session` (keys, lifetimes, `recheck`), `cookies` (their names too), `pages`, and
//!   `shared`, the engine (etcd). `reload`: the accounts that a live update takes over unchanged.
//! - `account`: one account: access, password, provisioning, bearer. `provider`: one provider: OpenID Connect, SAML, OAuth 2.0.
//! - `paths`: the filter's own endpoints. `origins`, `shared_origins`: which account is served where.
//! - `env`, `urls`, `clusters`, `calls`, `duration`, `names`: values of one kind, and what is wrong with them.
//! - `overlay`, `fenced`, `account_file`, `surroundings`: what administrators set, over the file. `find`, `carrier`: for the command line alone.
//!
//! Invariants: all problems are reported together, each with its path. A configuration with a problem is never used. To add a
//! field: `raw`, then the checked type, then the recipe in docs/developing.md.

mod account;
mod account_file;
mod calls;
#[cfg(not(target_family = "wasm"))]
mod carrier;
mod check;
mod clusters;
mod cookies;
mod document;
mod duration;
mod env;
mod fenced;
#[cfg(not(target_family = "wasm"))]
mod find;
mod names;
mod origins;
mod overlay;
mod pages;
mod paths;
mod problems;
mod provider;
pub mod raw;
mod read;
mod reload;
pub mod schema;
mod session;
mod shared;
mod shared_origins;
mod surroundings;
mod unique;
mod urls;

use std::rc::Rc;

use crate::host::clusters::Clusters;

pub use account::{
    body_accepted, head_accepted, suffix, AccessRule, Account, Admission, Answered, Assertion, AttemptLimit,
    Bearer, Bounds, Directory, Forward, Invitation, JsonValue, LoginOrigin, Machine, Mapping, Match, Origin,
    OriginPattern, Password, PasswordLogin, Provisioning, Scim, SelfService, StaticUser, Success,
    UsernameField, When, MAX_ANSWER,
};
pub use account_file::AccountFile;
#[cfg(not(target_family = "wasm"))]
pub use carrier::{Carrier, Found, Kind, StaticClusters};
pub use check::load;
pub use env::{Environment, Placeholders, ProcessEnvironment};
pub use fenced::SECRETS;
#[cfg(not(target_family = "wasm"))]
pub use find::{find_in_text, Contents};
pub use overlay::{held_settings, with_settings};
pub use paths::{Endpoint, Paths};
pub use problems::Problem;
pub use provider::{
    ClientCredentials, ClientKey, Endpoints, Groups, Introspection, Next, OAuth2, Oidc, Parameters, Protocol,
    Provider, Saml, SamlKey,
};
pub use raw::{
    Allow, AssertionAudience, Attribute, ClientAuth, EmailVerified, IdentityHeader, IdpInitiated, Link,
    MappingFrom, NameIdFormat, OnOutage, PasswordMode, ProvisioningMode, ResponseMode, SameSite, SamlBinding,
    SettingsPart,
};
pub use reload::Loaded;
pub use shared::Shared;
pub use urls::{Address, LogoutUrl};

use crate::crypto::seal::KeyRing;

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Lifetimes and keys.
    pub session: SessionSettings,
    /// Names and attributes of the cookies.
    pub cookies: Cookies,
    /// The engine that several Envoys share, where there is one.
    pub shared: Option<Shared>,
    /// Where URLs are reached.
    pub clusters: Rc<Clusters>,
    /// Every account, in the order written.
    pub accounts: Vec<Rc<Account>>,
    /// How the filter's own pages look.
    pub pages: crate::pages::Look,
    /// What works but should not stay so, for the log and `envoy-sso check`.
    pub warnings: Vec<Problem>,
}

/// Lifetimes in milliseconds, and the keys.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Seals and opens cookies.
    pub keys: Rc<KeyRing>,
    /// What ends is told to other Envoys.
    pub shared: bool,
    /// Absolute.
    pub lifetime: u64,
    /// Sliding.
    pub idle: u64,
    /// Age at which a session is checked again.
    pub recheck: u64,
    /// How long it goes on while it cannot be checked.
    pub recheck_grace: u64,
    /// How many of them one worker remembers.
    pub cache: usize,
}

/// Names and attributes of the cookies.
#[derive(Clone, Debug)]
pub struct Cookies {
    /// The session cookie's name with its prefix, such as `__Host-sso`.
    pub name: String,
    /// The `Secure` attribute.
    pub secure: bool,
    /// SameSite of the session cookie.
    pub same_site: SameSite,
    /// The `Domain` attribute.
    pub domain: Option<String>,
    /// The session cookie lives on when the browser closes.
    pub persistent: bool,
}
