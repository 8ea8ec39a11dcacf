//! Any signed token of a provider: ID token, logout token, signed UserInfo, access token for us. Whose
//! signature it is and that the algorithm is one we accept; what the claims must say is the caller's.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::discovery::Metadata;
use super::provider::Provider;
use crate::crypto::{Alg, Jws, KeySet, Unverified};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::proto::fetch::turn::Sender;
use crate::values::secret_source::SecretSource;

/// Clocks may differ by so many seconds.
pub const SKEW: f64 = 60.0;
/// The same in milliseconds.
pub const SKEW_MILLISECONDS: u64 = SKEW as u64 * 1000;

/// A token whose signature is the provider's.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The algorithm, for `at_hash`.
    pub alg: Alg,
    /// `typ` in lower case.
    pub typ: Option<String>,
    /// The claims, still unchecked.
    pub claims: Map<String, Value>,
    /// `issuer` of the key that signed (Entra).
    pub key_issuer: Option<String>,
}

/// Verifies the signature; fetches newer keys at most once, for a key we do not have. `sender`: who brought the token.
pub async fn open(
    io: &Io,
    provider: &Provider,
    metadata: &Metadata,
    token: &str,
    code: Code,
    sender: Sender,
) -> Result<Signed, Fault> {
    let refused = |why: String| Fault::new(code, why);
    let jws = Jws::parse(token).map_err(refused)?;
    let configured = provider.config().id_token_alg.as_deref();
    accept(jws.alg, configured, metadata.id_token_algs.as_deref()).map_err(refused)?;
    verify(io, provider, jws, code, sender).await
}

/// Like `open`, for an access token, whose algorithm discovery does not list. Never an HMAC: a party that may
/// verify one may also make one.
pub async fn open_access_token(io: &Io, provider: &Provider, token: &str) -> Result<Signed, Fault> {
    let refused = |why: String| Fault::new(Code::TokenInvalid, why);
    let jws = Jws::parse(token).map_err(refused)?;
    if jws.alg.is_symmetric() {
        return Err(refused(format!("alg {} is not accepted for access tokens", jws.alg.name())));
    }
    verify(io, provider, jws, Code::TokenInvalid, Sender::Stranger).await
}

async fn verify(
    io: &Io,
    provider: &Provider,
    jws: Jws<'_>,
    code: Code,
    sender: Sender,
) -> Result<Signed, Fault> {
    let refused = |why: String| Fault::new(code, why);
    let oidc = provider.config();
    let verified = |claims, key_issuer| Signed { alg: jws.alg, typ: jws.typ(), claims, key_issuer };
    if jws.alg.is_symmetric() {
        // Only where the configuration names this very algorithm, see `accept`.
        let secret = oidc.client.secret.as_ref().and_then(SecretSource::get);
        let secret = secret.ok_or_else(|| refused("there is no client_secret to verify with".into()))?;
        return match jws.verify_with_secret(&secret) {
            Ok(claims) => Ok(verified(claims, None)),
            Err(Unverified::UnknownKey(why) | Unverified::Refused(why)) => Err(refused(why)),
        };
    }
    let keys = provider.keys(io).await?;
    let unknown = match keys.verify(io.host(), &jws) {
        Ok((claims, key)) => return Ok(verified(claims, key.issuer.clone())),
        Err(Unverified::Refused(why)) => return Err(refused(why)),
        Err(Unverified::UnknownKey(why)) => why,
    };
    let latest = Latest::default();
    let newer = provider.newer_keys(io, &|keys| latest.is_known(io, keys, &jws), sender).await?;
    let (claims, key_issuer) = latest.of(newer.is_some(), &unknown).map_err(refused)?;
    Ok(verified(claims, key_issuer))
}

/// What the newest keys make of one token. A signature that was verified to see whether these keys are new enough is not
/// verified again: strangers send such tokens.
#[derive(Default)]
pub struct Latest(RefCell<Option<Result<Claimed, Unverified>>>);

/// Claims, and the issuer that the key is for.
type Claimed = (Map<String, Value>, Option<String>);

impl Latest {
    /// False if only newer keys can tell.
    pub fn is_known(&self, io: &Io, keys: &KeySet, jws: &Jws<'_>) -> bool {
        let verified = keys.verify(io.host(), jws).map(|(claims, key)| (claims, key.issuer.clone()));
        let is_known = !matches!(verified, Err(Unverified::UnknownKey(_)));
        *self.0.borrow_mut() = Some(verified);
        is_known
    }

    /// What they said; without newer keys why ours did not do.
    pub fn of(self, has_newer: bool, unknown: &str) -> Result<Claimed, String> {
        match self.0.into_inner().filter(|_| has_newer) {
            Some(latest) => latest.map_err(|(Unverified::UnknownKey(why) | Unverified::Refused(why))| why),
            None => Err(format!("{unknown}, and no newer keys can be had now")),
        }
    }
}

/// OpenID Connect Core 3.1.3.7 items 7 and 8: the configured algorithm exactly; else what discovery
/// lists, RS256 always among it, and never an HMAC: discovery must not be able to turn one on.
fn accept(alg: Alg, configured: Option<&str>, advertised: Option<&[String]>) -> Result<(), String> {
    if let Some(configured) = configured {
        return match Alg::parse(configured) == Some(alg) {
            true => Ok(()),
            false => Err(format!("alg is {}, configured is {configured}", alg.name())),
        };
    }
    if alg.is_symmetric() {
        return Err(format!("alg {} needs id_token_signed_response_alg in the configuration", alg.name()));
    }
    let listed = |list: &[String]| list.iter().any(|name| Alg::parse(name) == Some(alg));
    match advertised {
        Some(list) if alg != Alg::Rs256 && !listed(list) => {
            Err(format!("alg {} is not among those discovery lists", alg.name()))
        }
        _ => Ok(()),
    }
}

/// A string claim. Absent is `None`; another type is an error, never an absence.
pub fn string<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{name} is {}, not a string", crate::values::json::kind(other))),
    }
}

/// A NumericDate claim (RFC 7519 section 2), in seconds; some providers write fractions.
pub fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(n)) => match n.as_f64().filter(|s| (0.0..1e12).contains(s)) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(format!("{name} is out of range")),
        },
        Some(other) => Err(format!("{name} is {}, not a number", crate::values::json::kind(other))),
    }
}

/// `aud`, a string or an array of strings (RFC 7519 section 4.1.3).
pub fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, String> {
    match claims.get("aud") {
        None => Err("aud is missing".into()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|aud| aud.as_str().ok_or_else(|| "aud holds something that is not a string".to_owned()))
            .collect(),
        Some(other) => Err(format!("aud is {}, not a string or an array", crate::values::json::kind(other))),
    }
}

/// `iss` must be the provider. For Entra's template: the token's own tenant, one that is let in, and a
/// key that may sign for it. Returns the issuer under which the identity is known.
pub fn issuer(
    claims: &Map<String, Value>,
    metadata: &Metadata,
    key_issuer: Option<&str>,
    tenants: Option<&[String]>,
) -> Result<String, String> {
    let iss = string(claims, "iss")?.ok_or("iss is missing")?;
    if !metadata.is_issuer(iss) {
        let iss: String = iss.chars().take(200).collect();
        return Err(format!("iss is {iss:?}, expected {:?}", metadata.issuer));
    }
    let Some(tenant) = metadata.tenant_of(iss) else {
        // Google's two forms are one issuer.
        return Ok(metadata.issuer.clone());
    };
    if string(claims, "tid")? != Some(tenant) {
        return Err("tid is not the tenant that iss names".into());
    }
    if tenants.is_some_and(|list| !list.iter().any(|t| t.eq_ignore_ascii_case(tenant))) {
        return Err(format!("the tenant {tenant} is not among those let in"));
    }
    // A key of one tenant must not sign for another (Entra: "validate the signing key issuer").
    match key_issuer {
        Some(own) if own.replace(super::discovery::TENANT, tenant) != iss => {
            Err(format!("the key signs for {own:?}, not for {iss:?}"))
        }
        _ => Ok(iss.to_owned()),
    }
}
