//! Issuers for programs alone, such as a CI system or a cluster: only their keys are known, and their JWTs are verified
//! by them (RFC 7519, RFC 7523 section 3 as far as it goes).

use std::rc::Rc;

use serde_json::{Map, Value};
use url::Url;

use super::discovery::{self, endpoint, MAX_METADATA};
use super::{id_token, signed, KeySet};
use crate::config::Machine;
use crate::crypto::{Jws, Unverified, MAX_KEY_SET};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::proto::fetch::document::{Document, Source};
use crate::proto::fetch::turn::Sender;
use crate::values::json;

/// The discovery document is fetched again after an hour.
const METADATA_LIFETIME: u64 = 60 * 60 * 1000;
/// The keys are fetched again after a quarter of an hour.
const KEYS_LIFETIME: u64 = 15 * 60 * 1000;
/// Fetches of one worker for missing keys are so far apart.
const PAUSE: u64 = 1_000;

/// One per worker and configured issuer.
#[derive(Debug)]
pub struct MachineIssuer {
    /// The settings.
    pub machine: Rc<Machine>,
    jwks_uri: Document<Url>,
    keys: Document<KeySet>,
}

/// A verified token.
#[derive(Debug)]
pub struct MachineToken {
    /// The username that the configuration gives the program.
    pub user: String,
    /// `sub`, or the value of the configured claim.
    pub subject: String,
    /// When it was issued, in milliseconds.
    pub issued: u64,
    /// When it ends, in milliseconds.
    pub expires: u64,
    /// Every claim.
    pub all: Map<String, Value>,
}

impl MachineIssuer {
    /// Knows nothing of the issuer yet.
    pub fn new(machine: Rc<Machine>) -> Self {
        Self {
            machine,
            jwks_uri: Document::new("discovery", MAX_METADATA, METADATA_LIFETIME, PAUSE),
            keys: Document::new("keys", MAX_KEY_SET, KEYS_LIFETIME, PAUSE),
        }
    }

    /// Whether [`MachineIssuer::refresh`] has something to do.
    pub fn due(&self, now: u64) -> bool {
        self.machine.discovery.is_some() && self.jwks_uri.due(now)
            || (self.machine.jwks_uri.is_some() || self.jwks_uri.current().is_some()) && self.keys.due(now)
    }

    /// Fetches what is due.
    pub async fn refresh(&self, io: &Io) -> Result<(), Fault> {
        if let (Some(url), true) = (&self.machine.discovery, self.jwks_uri.due(io.now())) {
            let fetched = self.jwks_uri.refresh(io, self.document(url)).await;
            if fetched.is_err() && self.jwks_uri.current().is_none() {
                return fetched.map(|_| ());
            }
        }
        if self.keys.due(io.now()) {
            let url = self.keys_url(io).await?;
            self.keys.refresh(io, self.key_set(&url)).await?;
        }
        Ok(())
    }

    /// Verifies a token that names this issuer and finds the program's user.
    pub async fn verify(&self, io: &Io, token: &str) -> Result<MachineToken, Fault> {
        let refused = |why: String| Fault::new(Code::TokenInvalid, format!("token of a machine: {why}"));
        let jws = Jws::parse(token).map_err(refused)?;
        if jws.alg.is_symmetric() {
            return Err(refused(format!("alg {} is not accepted", jws.alg.name())));
        }
        let claims = self.signed(io, &jws).await?;
        let issued = self.check(&jws, &claims, io.now()).map_err(refused)?;
        let expires = signed::date(&claims, "exp").ok().flatten().unwrap_or_default() + signed::SKEW;
        let claim = &self.machine.claim;
        let value = json::pointer(&claims, claim).and_then(Value::as_str);
        let value = value.ok_or_else(|| refused(format!("{claim} is missing, or is not a string")))?;
        let Some(user) = self.machine.users.get(value) else {
            let shown: String = value.chars().take(200).collect();
            let detail = format!("{claim} is {shown:?}, which users of {:?} does not name", self.machine.id);
            return Err(Fault::new(Code::IdentityUnknown, detail).about(claim));
        };
        let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or(value).to_owned();
        Ok(MachineToken {
            user: user.clone(),
            subject,
            issued: milliseconds(issued),
            expires: milliseconds(expires),
            all: claims,
        })
    }

    async fn signed(&self, io: &Io, jws: &Jws<'_>) -> Result<Map<String, Value>, Fault> {
        let refused = |why: String| Fault::new(Code::TokenInvalid, format!("token of a machine: {why}"));
        let url = self.keys_url(io).await?;
        let keys = self.keys.get(io, self.key_set(&url)).await?;
        let unknown = match keys.verify(io.host(), jws) {
            Ok((claims, _)) => return Ok(claims),
            Err(Unverified::Refused(why)) => return Err(refused(why)),
            Err(Unverified::UnknownKey(why)) => why,
        };
        let latest = signed::Latest::default();
        let has = |keys: &KeySet| latest.is_known(io, keys, jws);
        let newer = self.keys.newer(io, self.key_set(&url), &has, Sender::Stranger).await?;
        latest.of(newer.is_some(), &unknown).map(|(claims, _)| claims).map_err(refused)
    }

    /// Who it is for, until when, and that it is no other kind of token; returns `iat`.
    fn check(&self, jws: &Jws<'_>, claims: &Map<String, Value>, now: u64) -> Result<f64, String> {
        match jws.typ().as_deref() {
            None | Some("jwt" | "at+jwt" | "application/at+jwt") => {}
            Some(typ) => return Err(format!("typ is {typ:?}")),
        }
        if signed::string(claims, "iss")? != Some(&self.machine.issuer) {
            return Err(format!("iss is not {:?}", self.machine.issuer));
        }
        let ours = &self.machine.audiences;
        if !signed::audiences(claims)?.iter().any(|aud| ours.iter().any(|own| own == aud)) {
            return Err(format!("aud holds none of {}", ours.join(", ")));
        }
        for name in ["cnf", "events"] {
            if claims.contains_key(name) {
                return Err(format!("it has {name}, which a bearer token has not"));
            }
        }
        if signed::date(claims, "exp")?.is_none() {
            return Err("exp is missing".into());
        }
        id_token::times(claims, now as f64 / 1000.0)
    }

    async fn keys_url(&self, io: &Io) -> Result<Rc<Url>, Fault> {
        if let Some(url) = &self.machine.jwks_uri {
            return Ok(Rc::new(url.clone()));
        }
        let url = self.machine.discovery.as_ref();
        let url =
            url.ok_or_else(|| Fault::new(Code::NotReady, "machines: no discovery URL is configured"))?;
        self.jwks_uri.get(io, self.document(url)).await
    }

    fn document(&self, url: &Url) -> Source<Url> {
        let issuer = self.machine.issuer.clone();
        let read = Rc::new(move |bytes: &[u8]| read(&issuer, bytes));
        Source { hint: discovery::hint(url), ..Source::new(url, self.machine.timeout, read) }
    }

    fn key_set(&self, url: &Url) -> Source<KeySet> {
        Source::new(url, self.machine.timeout, Rc::new(KeySet::parse))
    }
}

/// The document must speak for the issuer that was asked (OpenID Connect Discovery 1.0 section 4.3).
fn read(issuer: &str, bytes: &[u8]) -> Result<Url, String> {
    let document = json::parse_object(bytes, MAX_METADATA)?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(format!("issuer is not {issuer:?}"));
    }
    endpoint(&document, "jwks_uri")?.ok_or_else(|| "jwks_uri is missing".into())
}
