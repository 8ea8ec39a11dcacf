//! The session: a sealed cookie, and nothing on any server but which ones have ended early.

pub mod cache;
pub mod cookie;
pub mod ended;
mod jar;
mod seal;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use cache::{Opened, OpenedSessions};
pub use jar::{CookieEdit, Found, Jar};
pub use seal::{KeyRing, Purpose, CHUNK, MAX_CHUNKS};

use crate::config::{Account, Config, Cookies, SessionSettings};
use crate::directory::User;
use crate::fault::Fault;
use crate::host::{random_token, Host};
use crate::secret::Secret;

/// How the person signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Through an identity provider.
    Sso,
    /// With the application's own password.
    Password,
}

impl Method {
    /// As it stands in `x-sso-method`.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Sso => "sso",
            Method::Password => "password",
        }
    }
}

/// What the IdP said, kept for headers, refresh and logout. Nothing here for a password session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The provider's id.
    #[serde(rename = "p")]
    pub provider: String,
    /// `iss`.
    #[serde(rename = "i")]
    pub issuer: String,
    /// `sub`, or the SAML NameID.
    #[serde(rename = "s")]
    pub subject: String,
    /// The IdP's session: `sid`, or the SAML SessionIndex.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `auth_time`, seconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<u64>,
    /// `acr`.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The `nonce` of the login, which a refreshed ID token repeats if it has one.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// Tokens that outlive the login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// For `id_token_hint`.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none", with = "secret_text")]
    pub id_token: Option<Secret>,
    /// For the application, where configured.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", with = "secret_text")]
    pub access_token: Option<Secret>,
    /// When the access token expires, milliseconds since 1970.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub access_expires: Option<u64>,
    /// For a refresh.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none", with = "secret_text")]
    pub refresh_token: Option<Secret>,
}

/// A session. Made only from a [`User`], or from a cookie that opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, in base64url: what logout ends everywhere.
    #[serde(rename = "s")]
    pub id: String,
    /// Who.
    #[serde(rename = "u")]
    pub user: User,
    /// How.
    #[serde(rename = "m")]
    pub method: Method,
    /// From where.
    #[serde(rename = "o", default)]
    pub origin: Origin,
    /// Tokens.
    #[serde(rename = "t", default)]
    pub tokens: Tokens,
    /// Values of `forward.headers`, by header.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// When the person signed in, milliseconds since 1970, as all times here.
    #[serde(rename = "b")]
    pub opened: u64,
    /// The last request, to a sixteenth of `idle`.
    #[serde(rename = "l")]
    pub seen: u64,
    /// When directory or IdP last agreed.
    #[serde(rename = "c")]
    pub checked: u64,
    /// When it ends whatever happens (SAML `SessionNotOnOrAfter`).
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
}

impl Session {
    /// A new session of this user.
    pub fn open(
        host: &dyn Host,
        user: User,
        method: Method,
        origin: Origin,
        tokens: Tokens,
    ) -> Result<Self, Fault> {
        let now = host.now();
        let id = random_token::<16>(host)?;
        let headers = Vec::new();
        Ok(Self {
            id,
            user,
            method,
            origin,
            tokens,
            headers,
            opened: now,
            seen: now,
            checked: now,
            not_after: None,
        })
    }

    /// When it is over without a further request.
    pub fn expires(&self, settings: &SessionSettings) -> u64 {
        let idle = self.seen.saturating_add(settings.idle);
        self.ends(settings).min(idle).min(self.not_after.unwrap_or(u64::MAX))
    }

    /// When it is over whatever is asked meanwhile: as long as an early end of it has to be remembered.
    pub fn ends(&self, settings: &SessionSettings) -> u64 {
        self.opened.saturating_add(settings.lifetime)
    }

    /// True where the configuration ends sessions as old as this one.
    pub fn is_before_cut(&self, account: &Account) -> bool {
        let user = account.not_before_users.get(&self.user.username).copied().unwrap_or(0);
        self.opened < account.not_before.max(user)
    }

    /// Seals it. The ID token is kept only where there is room: it serves as a hint at logout.
    pub fn seal(&self, host: &dyn Host, config: &Config, account: &Account) -> Result<String, Fault> {
        let plain = |session: &Self| serde_json::to_vec(session).unwrap_or_default();
        let seal = |plain: &[u8]| config.session.keys.seal(host, Purpose::Session, &account.code, plain);
        match seal(&plain(self)) {
            Err(fault) if self.tokens.id_token.is_some() => {
                let mut smaller = self.clone();
                smaller.tokens.id_token = None;
                seal(&plain(&smaller)).map_err(|_| fault)
            }
            other => other,
        }
    }
}

/// The `set-cookie` values of a sealed session: one, or several where one is too small.
pub fn set_cookies(cookies: &Cookies, sealed: &str) -> Vec<String> {
    let attributes = cookie::Attributes { cookies, same_site: cookies.same_site, max_age: None };
    let mut list = Vec::new();
    let mut rest = sealed;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at_checked(CHUNK).unwrap_or((rest, ""));
        list.push(cookie::set(&chunk_name(&cookies.name, list.len()), chunk, attributes));
        rest = tail;
    }
    list
}

/// The name of the nth cookie of a session: `sso`, `sso-1`, `sso-2`, …
pub fn chunk_name(base: &str, n: usize) -> String {
    match n {
        0 => base.to_owned(),
        n => format!("{base}-{n}"),
    }
}

mod secret_text {
    //! A secret inside the sealed cookie is text like any other.
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::secret::Secret;

    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
