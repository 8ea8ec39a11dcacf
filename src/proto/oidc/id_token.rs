//! Who signed in: the ID token, checked as OpenID Connect Core 3.1.3.7 has it, and 12.2 at a refresh.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::provider::Provider;
use super::signed::{self, Signed, SKEW};
use crate::crypto::Alg;
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::host::Hash;
use crate::proto::fetch::turn::Sender;
use crate::values::secret::Secret;

/// A verified ID token. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Claims {
    issuer: String,
    subject: String,
    sid: Option<String>,
    auth_time: Option<f64>,
    all: Map<String, Value>,
}

impl Claims {
    /// The issuer under which the person is known.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: with the issuer, the one lasting name of a person.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `sid`: the provider's session, for its logout messages.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// `auth_time`, in seconds.
    pub fn auth_time(&self) -> Option<f64> {
        self.auth_time
    }

    /// Every claim.
    pub fn all(&self) -> &Map<String, Value> {
        &self.all
    }
}

/// What the token has to match.
#[derive(Clone, Copy, Debug)]
pub enum Expectation<'a> {
    /// A login, whose flow holds these.
    Login {
        /// The nonce that was sent: a token of another login must not count (replay, injection).
        nonce: &'a str,
        /// `max_age` where it was asked for, in seconds.
        max_age: Option<u64>,
    },
    /// A refresh of a session, which holds these.
    Refresh {
        /// The issuer of the first token.
        issuer: &'a str,
        /// Its `sub`.
        subject: &'a str,
        /// Its nonce, where the session still knows it.
        nonce: Option<&'a str>,
    },
}

/// Verifies an ID token that came from the token endpoint with `access_token`.
pub async fn verify(
    io: &Io,
    provider: &Provider,
    token: &Secret,
    access_token: Option<&Secret>,
    moment: Expectation<'_>,
) -> Result<Claims, Fault> {
    let metadata = provider.metadata(io).await?;
    let signed =
        signed::open(io, provider, &metadata, token.expose(), Code::IdTokenInvalid, Sender::Provider).await?;
    let oidc = provider.config();
    let issuer =
        signed::issuer(&signed.claims, &metadata, signed.key_issuer.as_deref(), oidc.tenants.as_deref());
    let now = io.now() as f64 / 1000.0;
    issuer
        .and_then(|issuer| check(signed, issuer, &oidc.client.client_id, access_token, moment, now))
        .map_err(|why| Fault::new(Code::IdTokenInvalid, format!("ID token: {why}")))
}

/// The checklist; the signature and `iss` are done.
fn check(
    signed: Signed,
    issuer: String,
    client_id: &str,
    access_token: Option<&Secret>,
    moment: Expectation<'_>,
    now: f64,
) -> Result<Claims, String> {
    let claims = &signed.claims;
    not_another_kind(&signed)?;
    audience(claims, client_id)?;
    let _ = times(claims, now)?;
    if let Some(access_token) = access_token {
        at_hash(claims, signed.alg, access_token)?;
    }
    let subject = subject(claims)?.to_owned();
    let auth_time = signed::date(claims, "auth_time")?;
    let nonce = signed::string(claims, "nonce")?;
    match moment {
        Expectation::Login { nonce: sent, max_age } => {
            match nonce {
                None => return Err("nonce is missing".into()),
                Some(nonce) if nonce != sent => return Err("nonce is not the one that was sent".into()),
                Some(_) => {}
            }
            not_in_the_future(auth_time, now)?;
            // Item 13: asked for, so it must be there and recent.
            if let Some(max_age) = max_age {
                let at = auth_time.ok_or("auth_time is missing, although max_age was asked for")?;
                if now - at > max_age as f64 + SKEW {
                    return Err("auth_time is longer ago than max_age".into());
                }
            }
        }
        Expectation::Refresh { issuer: first_issuer, subject: first, nonce: sent } => {
            // Section 12.2: the same person of the same issuer.
            if issuer != first_issuer {
                return Err(format!("iss is {issuer:?}, at login it was {first_issuer:?}"));
            }
            if subject != first {
                return Err("sub is not the one of the login".into());
            }
            if let (Some(nonce), Some(sent)) = (nonce, sent) {
                if nonce != sent {
                    return Err("nonce is not the one of the login".into());
                }
            }
            // Section 12.2 has `auth_time` stay, and several providers move it (Cognito at each refresh, Keycloak with
            // each sign-in to another application). The session keeps the one of its login, so nothing hangs on it.
        }
    }
    let sid = signed::string(claims, "sid")?.map(str::to_owned);
    Ok(Claims { issuer, subject, sid, auth_time, all: signed.claims })
}

/// A token of another kind that the same key signed must not pass for an ID token (RFC 8725 section 3.11).
fn not_another_kind(signed: &Signed) -> Result<(), String> {
    match signed.typ.as_deref() {
        Some(typ) if typ.ends_with("+jwt") => return Err(format!("typ is {typ:?}, not an ID token's")),
        _ => {}
    }
    match signed.claims.get("events") {
        Some(_) => Err("it has events: a logout or security event token".into()),
        None => Ok(()),
    }
}

/// Items 3 to 5: for us; and if for others too, made for us.
pub(super) fn audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), String> {
    let audiences = signed::audiences(claims)?;
    if !audiences.contains(&client_id) {
        return Err(format!("aud does not hold {client_id:?}"));
    }
    match signed::string(claims, "azp")? {
        Some(azp) if azp != client_id => Err(format!("azp is not {client_id:?}")),
        None if audiences.len() > 1 => Err("aud has several values and azp is missing".into()),
        _ => Ok(()),
    }
}

/// Whole seconds for a message. (To format a fraction would take 15 KB of wasm.)
fn whole(seconds: f64) -> i64 {
    seconds.round() as i64
}

/// Items 9 and 10, and `nbf` of RFC 7519 section 4.1.5. Returns `iat`.
pub(super) fn times(claims: &Map<String, Value>, now: f64) -> Result<f64, String> {
    let exp = signed::date(claims, "exp")?.ok_or("exp is missing")?;
    let iat = signed::date(claims, "iat")?.ok_or("iat is missing")?;
    if exp + SKEW <= now {
        return Err(format!("it expired {} s ago", whole(now - exp)));
    }
    if iat > now + SKEW {
        return Err(format!(
            "iat is {} s in the future: compare the clocks of this host and the provider (NTP)",
            whole(iat - now)
        ));
    }
    match signed::date(claims, "nbf")? {
        Some(nbf) if nbf > now + SKEW => Err(format!("nbf is {} s in the future", whole(nbf - now))),
        _ => Ok(iat),
    }
}

/// A sign-in in the future would be fresh for ever.
pub(super) fn not_in_the_future(auth_time: Option<f64>, now: f64) -> Result<(), String> {
    match auth_time {
        Some(at) if at > now + SKEW => Err(format!("auth_time is {} s in the future", whole(at - now))),
        _ => Ok(()),
    }
}

/// Section 2: at most 255 ASCII characters, and not empty. Control characters have no business there.
pub(super) fn subject(claims: &Map<String, Value>) -> Result<&str, String> {
    name_of(claims, "sub")
}

/// The same of a claim that stands for `sub`.
pub(super) fn name_of<'a>(claims: &'a Map<String, Value>, claim: &str) -> Result<&'a str, String> {
    match signed::string(claims, claim)? {
        None => Err(format!("{claim} is missing")),
        Some("") => Err(format!("{claim} is empty")),
        Some(sub) if sub.len() > 255 => Err(format!("{claim} is longer than 255 characters")),
        Some(sub) if !sub.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Err(format!("{claim} holds something that is not printable ASCII"))
        }
        Some(sub) => Ok(sub),
    }
}

/// Section 3.1.3.8: where it is there, the access token is the one this ID token came with.
fn at_hash(claims: &Map<String, Value>, alg: Alg, access_token: &Secret) -> Result<(), String> {
    let Some(claimed) = signed::string(claims, "at_hash")? else { return Ok(()) };
    let token = access_token.expose().as_bytes();
    let digest = match alg.hash() {
        Hash::Sha256 => Sha256::digest(token).to_vec(),
        Hash::Sha384 => Sha384::digest(token).to_vec(),
        Hash::Sha512 => Sha512::digest(token).to_vec(),
    };
    let half = digest.get(..digest.len() / 2).unwrap_or_default();
    match claimed == URL_SAFE_NO_PAD.encode(half) {
        true => Ok(()),
        false => Err("at_hash is not the access token's".into()),
    }
}
