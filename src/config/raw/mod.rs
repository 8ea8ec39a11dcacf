//! The configuration as operators write it. The doc comments here are the descriptions in
//! `envoy-sso schema`; `config::schema` checks a document against these types before `read` reads it, so
//! that every mistake is reported at once.

use std::collections::BTreeMap;

#[cfg(not(target_family = "wasm"))]
use schemars::JsonSchema;
use serde_json::Value;

use super::read::{self, Read};

macro_rules! raw {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default)]
            // Unknown fields are found by `config::schema`, which is made from these types.
            #[cfg_attr(not(target_family = "wasm"), derive(JsonSchema), schemars(deny_unknown_fields))]
            pub struct $name {
                $($(#[$field_meta])* #[cfg_attr(not(target_family = "wasm"), schemars(default))] pub $field: $ty,)*
            }

            impl Read for $name {
                fn read(value: Value, wrong: &mut Vec<String>) -> Self {
                    let mut object = read::object(value, wrong);
                    Self { $($field: read::member(&mut object, stringify!($field), wrong),)* }
                }
            }
        )*
    };
}

macro_rules! choice {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            #[cfg_attr(not(target_family = "wasm"), derive(JsonSchema))]
            #[allow(missing_docs)]
            pub enum $name {
                $($(#[$variant_meta])* #[cfg_attr(not(target_family = "wasm"), schemars(rename = $text))] $variant,)*
            }

            impl Read for $name {
                fn read(value: Value, wrong: &mut Vec<String>) -> Self {
                    match value.as_str() {
                        $(Some($text) => Self::$variant,)*
                        _ => read::unexpected(&value, "a word that stands there", wrong),
                    }
                }
            }

            impl $name {
                /// The word as it stands in the configuration.
                pub fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $text,)* }
                }
            }
        )*
    };
}

mod account;
mod choices;
mod provider;
mod values;

pub use account::*;
pub use choices::*;
pub use provider::*;
pub use values::{Introspection, OneOrMany};

/// Text values by name.
pub type Params = BTreeMap<String, String>;

/// Parameters of a request by name: a text, or a list of texts for a parameter that is sent several times.
pub type RequestParams = BTreeMap<String, OneOrMany>;

raw! {
    /// The configuration of the envoy-sso filter.
    pub struct Configuration {
        /// How sessions are kept.
        pub session: Session,
        /// Names and attributes of the cookies.
        pub cookies: Cookies,
        /// The engine that lets several Envoys behave as one (docs/scaling.md). Absent: each Envoy is on its own.
        pub shared: Option<Shared>,
        /// Host, or host:port, to the Envoy cluster that reaches it. "*" is the fallback; the value may
        /// hold {host} and {port}.
        pub clusters: Params,
        /// The customers or deployments, each with its own single sign-on.
        pub accounts: Vec<Account>,
        /// How the filter's own pages look.
        pub pages: Pages,
    }

    /// How sessions are kept.
    pub struct Session {
        /// The keys that seal the cookies: the first seals, every one opens.
        pub keys: Vec<SessionKey>,
        /// How long a session lasts at the most (default 8h).
        pub lifetime: Option<String>,
        /// How long a session lasts without a request (default 1h).
        pub idle: Option<String>,
        /// The age at which a session is checked again with the directory and, where it has a refresh token,
        /// renewed at the IdP (default 5m).
        pub recheck: Option<String>,
        /// How long a session goes on unchanged while directory or IdP cannot be asked (default 1h).
        pub recheck_grace: Option<String>,
        /// How many sessions and bearer tokens each worker remembers, so that their next request costs no decryption or
        /// verification: 100 to 1000000 (default 16384). All together take at most 4 KB times this number. A session beyond it
        /// is read from its cookie again.
        pub cache: Option<u32>,
    }

    /// A key that seals cookies: 32 bytes in base64, as `envoy-sso keygen` prints it.
    pub struct SessionKey {
        /// The name of the key, which stands in every cookie it seals.
        pub id: String,
        /// The environment variable that holds the key.
        pub env: Option<String>,
        /// The key itself. Prefer `env`.
        pub value: Option<String>,
    }

    /// A secret: one of the three.
    pub struct Secret {
        /// The environment variable of the VM that holds it.
        pub env: Option<String>,
        /// The secret itself. Prefer `env`.
        pub value: Option<String>,
        /// The URL of a file that holds it, such as `http://files.internal/oidc-secret`: a loopback listener of the same
        /// Envoy. The filter reads the file before the secret is needed, every minute, and after `invalid_client`. Only
        /// `client_secret`, `client_assertion` and the SCIM `token` may have one.
        pub url: Option<String>,
    }

    /// The engine that lets several Envoys behave as one: what ended on one has ended on all.
    pub struct Shared {
        /// The kind of engine: etcd, version 3.4 or newer.
        pub engine: Option<Engine>,
        /// The Envoy cluster that reaches the engine over HTTP/2. Credentials for the engine are the cluster's (mutual
        /// TLS). Set `connection_keepalive` on it.
        pub cluster: Option<String>,
        /// The first part of every key in the engine: letters, digits, '.', '_', '-' (default sso). Envoys with one
        /// prefix must have the same `session.keys`.
        pub prefix: Option<String>,
        /// How long a request waits for the engine at the most (default 1s).
        pub timeout: Option<String>,
        /// What sessions get while the engine is away: `open` (the default) goes on as a single Envoy does; `closed`
        /// answers 503.
        pub on_outage: Option<OnOutage>,
        /// Under `closed`: how long after the last proof of being in step sessions still count (default 5s).
        pub stale: Option<String>,
        /// Under `closed`: how long after the engine is back sessions still get 503, so that the other Envoys can
        /// deliver what they could not tell meanwhile (default 2s).
        pub settle: Option<String>,
    }

    /// Names and attributes of the cookies.
    pub struct Cookies {
        /// The name, without its `__Host-` or `__Secure-` prefix (default sso).
        pub name: Option<String>,
        /// Send them over HTTPS only (default true). False is for development on plain HTTP.
        pub secure: Option<bool>,
        /// SameSite of the session cookie (default lax). With strict a login ends on a page of the filter's own that goes
        /// on by itself, and a link from elsewhere, which arrives without the cookie, over the provider.
        pub same_site: Option<SameSite>,
        /// The Domain attribute, under which every origin must be; absent, which is safer: this host only.
        pub domain: Option<String>,
        /// Keep the session cookie when the browser closes, as long as the session lasts (default false).
        pub persistent: Option<bool>,
    }

    /// What follows a sign-out.
    pub struct Logout {
        /// A path of the application, such as /bye, where browsers go after a sign-out if the provider has no sign-out of
        /// its own (default: the filter's page, `paths.logout_complete`). An access rule should open it to anyone.
        pub landing: Option<String>,
        /// What browsers forget of this origin at a sign-out (`Clear-Site-Data`): cache, storage (default: nothing).
        pub clear_site_data: Vec<SiteData>,
    }

    /// How the filter's own pages look.
    pub struct Pages {
        /// The operator's or product's name in the page header.
        pub name: Option<String>,
        /// The logo: a path on the same origin or an https URL.
        pub logo: Option<String>,
        /// The accent colour, #rrggbb.
        pub accent: Option<String>,
        /// A contact for people who cannot get in, shown on error pages: text, or a mailto: or https: URL.
        pub contact: Option<String>,
        /// The language of `texts` and of the built-in texts, such as en. (default en)
        pub language: Option<String>,
        /// Texts in the place of the built-in English ones, by their key; `envoy-sso texts` prints them all.
        pub texts: Params,
        /// More languages by their tag, such as de or zh-CN: texts by key, as in `texts`. People get the one
        /// that their browser asks for (Accept-Language), and `texts` where a language lacks a key.
        pub translations: BTreeMap<String, Params>,
    }

    /// One customer or deployment with its own single sign-on.
    pub struct Account {
        /// The `u` of the callback URLs. With one account it may be left out and is `default`.
        pub code: Option<String>,
        /// Where it is served: scheme and host, with a port where it is not the default, such as
        /// `https://app.example.com`. `https://*.preview.example.com` stands for every host with exactly one label in
        /// place of `*`; an exact origin goes before a pattern.
        pub origins: Vec<String>,
        /// The one origin at which all logins of the account run, such as `https://login.example.com`: only its
        /// redirect URIs are registered at the providers. The application is served there only if it is one of
        /// `origins`. Default: each origin has its own callbacks.
        pub login_origin: Option<String>,
        /// enabled or disabled (the default: everything passes).
        pub sso: Option<Switch>,
        /// Other paths for the filter's endpoints.
        pub paths: Paths,
        /// The identity providers people of this account may come from.
        pub identity_providers: Vec<IdentityProvider>,
        /// How an identity becomes a user.
        pub mapping: Option<Mapping>,
        /// Where users are looked up. Absent: the identity is the user.
        pub directory: Option<Directory>,
        /// What happens if no user matches.
        pub provisioning: Option<Provisioning>,
        /// Who may still use a password.
        pub password: Option<Password>,
        /// Who may ask for which path: the first rule that matches counts; without one, users.
        pub access: Vec<AccessRule>,
        /// Bearer tokens that count as a session.
        pub bearer: Option<Bearer>,
        /// What the application is told.
        pub forward: Option<Forward>,
        /// What follows a sign-out.
        pub logout: Option<Logout>,
        /// What the account's administrators may set themselves on the pages below `admin`. Needs `shared`.
        pub self_service: Option<SelfService>,
        /// Sessions opened before this time (RFC 3339, UTC) are over: ends all sessions of the account.
        pub not_before: Option<String>,
        /// The same for single users, by username.
        pub not_before_users: Params,
    }

    /// What an account's administrators may set themselves. All that is not listed stays the file's.
    pub struct SelfService {
        /// The parts that administrators may set.
        pub settings: Vec<SettingsPart>,
        /// Where providers that administrators name may be, such as `*.okta.com` (one label or more) or
        /// `login.example.com:8443` (default port 443). Addresses, loopback names and names of private networks never match.
        pub hosts: Vec<String>,
        /// Roles that an administrator may grant beside those that they have: by invitations and by `mapping.role_map`.
        pub roles: Vec<String>,
    }

    /// Other paths for the filter's endpoints. A callback may hold {code}, and must where another account of the same
    /// origin has the same path.
    pub struct Paths {
        /// Sign-in page, and where third parties initiate a login (default /sso/login).
        pub login: Option<String>,
        /// Where the IdP sends the code (default /sso/oidc/consume?u={code}). With {idp}, which stands for the
        /// provider's id, each provider has a redirect URI of its own. Set it if the account has several providers
        /// and one of them does not promise `iss` (RFC 9207).
        pub oidc_callback: Option<String>,
        /// Assertion consumer service (default /sso/saml/consume?u={code}).
        pub saml_callback: Option<String>,
        /// Our SAML metadata (default /sso/saml/metadata?u={code}).
        pub saml_metadata: Option<String>,
        /// SAML single logout (default /sso/saml/logout?u={code}).
        pub saml_logout: Option<String>,
        /// Sign out (default /sso/logout).
        pub logout: Option<String>,
        /// Where the IdP sends the browser afterwards (default /sso/logout-complete).
        pub logout_complete: Option<String>,
        /// Back-channel logout (default /sso/backchannel-logout?u={code}).
        pub backchannel_logout: Option<String>,
        /// Front-channel logout (default /sso/frontchannel-logout?u={code}).
        pub frontchannel_logout: Option<String>,
        /// Who is signed in, as JSON (default /sso/session).
        pub session: Option<String>,
        /// Accept or decline an invitation (default /sso/invitation).
        pub invitation: Option<String>,
        /// The administrators' pages (default /sso/admin).
        pub admin: Option<String>,
        /// The public keys of `forward.assertion`, as a JSON Web Key Set (default /sso/jwks).
        pub jwks: Option<String>,
        /// For probes, at any host: 200 if the filter can rule on requests now, else 503 (default /sso/ready).
        pub ready: Option<String>,
    }
}
