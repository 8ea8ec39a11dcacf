//! Compact JWS, read strictly (RFC 7515 section 7.1).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{Map, Value};

use super::Alg;
use crate::values::json;

/// A token larger than this is not read: no IdP makes one, and it would not fit into a cookie anyway.
pub const MAX_TOKEN: usize = 64 << 10;

/// A signed token taken apart; nothing in it is to be believed before `KeySet::verify`.
#[derive(Debug)]
pub struct Jws<'a> {
    /// The protected header.
    pub header: Map<String, Value>,
    /// `alg`.
    pub alg: Alg,
    /// `kid`.
    pub kid: Option<String>,
    /// What was signed: header, dot, payload, as they came.
    pub(super) signing_input: &'a str,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a compact JWS apart. `jku`, `x5u`, `jwk` and `x5c` in its header are never followed: a token
    /// must not bring its own key (RFC 7515 sections 4.1.2 to 4.1.6 allow it, attackers use it).
    pub fn parse(token: &'a str) -> Result<Self, String> {
        if token.len() > MAX_TOKEN {
            return Err(format!("the token has {} bytes, more than {MAX_TOKEN}", token.len()));
        }
        let mut parts = token.split('.');
        let (head, body, signature) = match (parts.next(), parts.next(), parts.next(), parts.count()) {
            (Some(head), Some(body), Some(signature), 0) => (head, body, signature),
            (_, _, _, 2) => return Err("the token is encrypted (JWE), which is not supported".into()),
            _ => return Err("the token is not a JWS of three parts".into()),
        };
        let header = json::parse_object(&decode("header", head)?, MAX_TOKEN)
            .map_err(|why| format!("the token's header: {why}"))?;
        // RFC 7515 section 4.1.11: an extension that is not understood must lead to refusal, and none is.
        if header.contains_key("crit") {
            return Err("the token's header has crit".into());
        }
        // RFC 7797 changes what is signed; it must come with crit, and is refused without it too.
        if header.contains_key("b64") {
            return Err("the token's header has b64".into());
        }
        let alg = match header.get("alg") {
            Some(Value::String(name)) => Alg::parse(name).ok_or_else(|| {
                let name: String = name.chars().take(20).collect();
                format!("the token's alg {name:?} is not accepted")
            })?,
            _ => return Err("the token's header has no alg".into()),
        };
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err("the token's kid is not a string".into()),
        };
        let signing_input = token.get(..head.len() + 1 + body.len()).unwrap_or_default();
        Ok(Self {
            header,
            alg,
            kid,
            signing_input,
            payload: decode("payload", body)?,
            signature: decode("signature", signature)?,
        })
    }

    /// What the token says of itself before anything is verified: to choose whose keys it is verified with,
    /// and for nothing else.
    pub fn unverified(&self) -> Option<Map<String, Value>> {
        json::parse_object(&self.payload, MAX_TOKEN).ok()
    }

    /// `typ` in lower case, without `application/` (RFC 7515 section 4.1.9).
    pub fn typ(&self) -> Option<String> {
        let typ = self.header.get("typ")?.as_str()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
    }
}

/// Base64url without padding, and only its one canonical form: the decoder refuses trailing bits.
fn decode(what: &str, part: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| format!("the token's {what} is not base64url"))
}
