//! The session: a sealed cookie, and nothing on any server but which ones have ended early.
//!
//! - `cookie`, `cache`: from cookies to a [`LiveSession`] and back; what a worker remembers is bounded in bytes.
//! - `packed`: the bytes in the envelope, which have a format of their own. To change what a cookie holds: there.
//! - `headers`: what the application is told. To change which header carries what: there.
//! - `ended`: marks of what has ended, by session, user, provider's session or account. To change what ends a session: there.
//! - `renewals`: one renewal of a session over all workers. `device`: browsers that have signed in before.
//!
//! Invariants: a session is made only from a `User` of the directory or from a cookie that opened. Its format may grow:
//! cookies of the version before still open (RELEASING.md).

pub mod assertion;
#[cfg(test)]
mod assertion_tests;
pub mod assertions;
pub mod cache;
pub mod checks;
pub mod conditions;
pub mod cookie;
pub mod device;
pub mod ended;
pub mod headers;
#[cfg(test)]
mod live_tests;
mod packed;
pub mod renewals;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use crate::crypto::seal::{KeyRing, Purpose, CHUNK};
pub use cache::{LiveSession, LiveSessions};

/// Content of this size fits into one cookie whatever the names: a failure to seal it has another reason.
const MAX_CONTENT: usize = 2_000;

use crate::config::{Account, Config, Cookies, SessionSettings};
use crate::directory::User;
use crate::fault::Fault;
use crate::host::events::Place;
use crate::host::{random_token, Host};
use crate::proto::saml::name_id::NameId;
use crate::values::secret::Secret;

/// How the person signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Through an identity provider.
    Sso,
    /// With the application's own password.
    Password,
    /// Not at all: a program with an access token. Never in a cookie.
    Bearer,
}

impl Method {
    /// As it stands in `x-sso-method`.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Sso => "sso",
            Method::Password => "password",
            Method::Bearer => "bearer",
        }
    }
}

/// What the IdP said, kept for headers, refresh and logout. Nothing here for a password session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
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
    /// The SAML NameID with its qualifiers: what a LogoutRequest names.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub name_id: Option<Box<NameId>>,
    /// `acr`, or the SAML AuthnContextClassRef.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The scopes of a bearer token. Never in a cookie.
    #[serde(skip)]
    pub scopes: Vec<String>,
    /// `amr`; `None` if the session was opened before it was kept.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
    /// A hash of the provider's protocol and of our client there; `None` if the session was opened before it was kept.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The domain of the address that the provider named, for a provider that is or becomes `confined`.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
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
    /// The key that tokens are bound to (RFC 9449): only a refresh needs it.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none", with = "secret_text")]
    pub dpop: Option<Secret>,
    /// They are in the envelope alone, and a refresh token is among them.
    #[serde(skip)]
    pub is_renewable: bool,
}

impl Tokens {
    /// None of them, but when they expire and whether the session can be renewed.
    fn set_aside(&self) -> Self {
        let is_renewable = self.refresh_token.is_some();
        Self { access_expires: self.access_expires, is_renewable, ..Self::default() }
    }

    /// Without a key that nothing needs any more.
    pub fn bound(mut self) -> Self {
        if self.refresh_token.is_none() {
            self.dpop = None;
        }
        self
    }
}

/// A claim that the application is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedClaim {
    /// The header.
    #[serde(rename = "h")]
    pub header: String,
    /// Its value, encoded.
    #[serde(rename = "v")]
    pub value: String,
    /// The claim that it is the value of; empty if the session was opened before it was kept.
    #[serde(rename = "c", default)]
    pub claim: String,
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
    pub origin: Authentication,
    /// Tokens.
    #[serde(rename = "t", default)]
    pub tokens: Tokens,
    /// Values of `forward.headers`.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ForwardedClaim>,
    /// Verdicts on the conditions on claims (`access::condition::noted`).
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// When the person signed in, milliseconds since 1970, as all times here.
    #[serde(rename = "b")]
    pub started_at: u64,
    /// The last request, to a sixteenth of `idle`.
    #[serde(rename = "l")]
    pub seen: u64,
    /// When directory or IdP last agreed.
    #[serde(rename = "c")]
    pub checked: u64,
    /// When its tokens were last renewed, if they ever were.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<u64>,
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
        origin: Authentication,
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
            conditions: Vec::new(),
            started_at: now,
            seen: now,
            checked: now,
            renewed: None,
            not_after: None,
        })
    }

    /// What of it a worker remembers: what requests need. All else stands in the envelope
    /// ([`FilterState::whole`](crate::state::FilterState::whole)), tokens above all, which are kilobytes.
    pub fn set_aside(self) -> Self {
        let origin = Authentication { nonce: None, ..self.origin };
        let (headers, conditions) = (Vec::new(), Vec::new());
        Self { tokens: self.tokens.set_aside(), origin, headers, conditions, ..self }
    }

    /// When it is over without a further request.
    pub fn expires(&self, settings: &SessionSettings) -> u64 {
        let idle = self.seen.saturating_add(settings.idle);
        self.ends(settings).min(idle).min(self.not_after.unwrap_or(u64::MAX))
    }

    /// When it is over whatever is asked meanwhile: as long as an early end of it has to be remembered.
    pub fn ends(&self, settings: &SessionSettings) -> u64 {
        self.started_at.saturating_add(settings.lifetime)
    }

    /// True where the configuration ends sessions as old as this one.
    pub fn is_before_cut(&self, account: &Account) -> bool {
        let user = account.not_before_users.get(&self.user.username).copied().unwrap_or(0);
        self.started_at < account.not_before.max(user)
    }

    /// Whose session it is, for the log.
    pub fn place<'a>(&'a self, place: Place<'a>) -> Place<'a> {
        let provider = Some(self.origin.provider.as_str()).filter(|provider| !provider.is_empty());
        Place { provider, user: Some(&self.user.username), ..place }
    }

    /// When the IdP last agreed.
    pub fn renewed(&self) -> u64 {
        self.renewed.unwrap_or(self.started_at)
    }

    /// True where it has a refresh token: then the IdP is asked again too.
    pub fn is_renewable(&self) -> bool {
        self.tokens.is_renewable || self.tokens.refresh_token.is_some()
    }

    /// Seals it, with what of it fits into its cookies: [`Sealed`] says what was left out. The ID token goes
    /// first unless the application gets it, a mere hint at logout; then the refresh token, without which the session lives as long as one
    /// that never had any. What the application was promised is never left out: such a session is refused.
    pub fn seal(mut self, host: &dyn Host, config: &Config, account: &Account) -> Result<Sealed, Fault> {
        let mut left_out = Vec::new();
        loop {
            let plain = self.to_bytes();
            let fault = match config.session.keys.seal(host, Purpose::Session, &account.code, &plain) {
                Ok(text) => return Ok(Sealed { text, session: self, left_out }),
                Err(fault) => fault,
            };
            if plain.len() <= MAX_CONTENT {
                return Err(fault); // not for its size
            }
            let is_hint = account.forward.id_token.is_none();
            if is_hint && self.tokens.id_token.take().is_some() {
                left_out.push("the ID token");
            } else if self.tokens.refresh_token.take().is_some() {
                self.tokens.dpop = None;
                left_out.push("the refresh token");
            } else {
                let access = self.tokens.access_token.as_ref().map_or(0, |token| token.expose().len());
                let headers: usize = self.headers.iter().map(|own| own.value.len()).sum();
                let detail = format!(
                    "the session is too large: {}; the access token for the application has {access} bytes, \
                     forward.headers {headers}, {} roles",
                    fault.detail,
                    self.user.roles.len()
                );
                return Err(Fault { detail, ..fault });
            }
        }
    }
}

/// A session as it went into its cookies.
#[derive(Debug)]
pub struct Sealed {
    /// The envelope.
    pub text: String,
    /// What is in it.
    pub session: Session,
    /// What did not fit, for the log.
    pub left_out: Vec<&'static str>,
}

/// The `set-cookie` values of a sealed session: one, or several where one is too small. `left`: how long the session
/// lasts, milliseconds; only a persistent cookie tells the browser.
pub fn set_cookies(cookies: &Cookies, sealed: &str, left: u64) -> Vec<String> {
    // At least a second: 0 deletes.
    let max_age = cookies.persistent.then(|| (left / 1000).max(1));
    let attributes = cookie::Attributes { cookies, same_site: cookies.same_site, max_age };
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

    use crate::values::secret::Secret;

    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
