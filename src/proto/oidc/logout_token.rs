//! A provider's own logout: the token of OpenID Connect Back-Channel Logout 1.0, section 2.6.

use serde_json::{Map, Value};

use super::id_token;
use super::provider::Provider;
use super::signed::{self, Signed, SKEW};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::proto::fetch::turn::Sender;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A token without `exp` (Authentik, Glewlwyd) counts so many seconds after `iat`.
const WITHOUT_EXP: f64 = 300.0;

/// Whose sessions end. Only [`verify`] makes one; the caller refuses a `jti` it has seen (section 2.6
/// item 7) until `expires`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogoutToken {
    /// `iss`, as it stands in sessions.
    pub issuer: String,
    /// `sub`: every session of that person.
    pub subject: Option<String>,
    /// `sid`: that one session of the provider.
    pub sid: Option<String>,
    /// `jti`.
    pub jti: String,
    /// `iat`, in milliseconds.
    pub issued: u64,
    /// When the token is worth nothing any more, in milliseconds.
    pub expires: u64,
}

/// Verifies a logout token. Any refusal is a 400 with `request_invalid` (section 2.8).
pub async fn verify(io: &Io, provider: &Provider, token: &str) -> Result<LogoutToken, Fault> {
    let metadata = provider.metadata(io).await?;
    let signed = signed::open(io, provider, &metadata, token, Code::RequestInvalid, Sender::Stranger).await?;
    let oidc = provider.config();
    signed::issuer(&signed.claims, &metadata, signed.key_issuer.as_deref(), oidc.tenants.as_deref())
        .and_then(|issuer| check(&signed, issuer, &oidc.client.client_id, io.now() as f64 / 1000.0))
        .map_err(|why| Fault::new(Code::RequestInvalid, format!("logout token: {why}")))
}

fn check(signed: &Signed, issuer: String, client_id: &str, now: f64) -> Result<LogoutToken, String> {
    let claims = &signed.claims;
    match signed.typ.as_deref() {
        None | Some("logout+jwt" | "jwt") => {}
        Some(typ) => return Err(format!("typ is {typ:?}")),
    }
    if !signed::audiences(claims)?.contains(&client_id) {
        return Err(format!("aud does not hold {client_id:?}"));
    }
    let iat = signed::date(claims, "iat")?.ok_or("iat is missing")?;
    if iat > now + SKEW {
        return Err("iat is in the future".into());
    }
    let exp = signed::date(claims, "exp")?.unwrap_or(iat + WITHOUT_EXP);
    if exp + SKEW <= now {
        return Err("it has expired".into());
    }
    event(claims)?;
    // Section 2.4: with a nonce it could be an ID token.
    if claims.contains_key("nonce") {
        return Err("it has a nonce".into());
    }
    let subject = match claims.contains_key("sub") {
        true => Some(id_token::subject(claims)?.to_owned()),
        false => None,
    };
    let sid = signed::string(claims, "sid")?.filter(|sid| !sid.is_empty()).map(str::to_owned);
    if subject.is_none() && sid.is_none() {
        return Err("neither sub nor sid is there".into());
    }
    let jti = signed::string(claims, "jti")?.filter(|jti| !jti.is_empty()).ok_or("jti is missing")?;
    let (issued, expires) = ((iat * 1000.0) as u64, ((exp + SKEW) * 1000.0) as u64);
    Ok(LogoutToken { issuer, subject, sid, jti: jti.to_owned(), issued, expires })
}

fn event(claims: &Map<String, Value>) -> Result<(), String> {
    match claims.get("events") {
        Some(Value::Object(events)) => match events.get(EVENT) {
            Some(Value::Object(_)) => Ok(()),
            Some(_) => Err("the logout event is not an object".into()),
            None => Err("events does not hold the logout event".into()),
        },
        _ => Err("events is missing or not an object".into()),
    }
}
