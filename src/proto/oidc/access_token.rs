//! A program's access token, as RFC 9068 has it and as providers really issue it: a JWT that the provider
//! signed, for this application, and nothing else that the same key signs.

use serde_json::{Map, Value};

use super::discovery::Metadata;
use super::id_token;
use super::provider::Provider;
use super::signed::{self, Signed, SKEW};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::values::time::parse_rfc3339;

/// A verified access token. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The issuer under which the person is known.
    pub issuer: String,
    /// The person's name at the provider; ADFS has none in access tokens unless a rule puts `sub` there.
    pub subject: Option<String>,
    /// It is the `sub` that the person's ID tokens for us have: what a directory's link holds.
    pub is_login_subject: bool,
    /// When it was issued, in milliseconds. An introspection need not say.
    pub issued: Option<u64>,
    /// When it is worth nothing any more, in milliseconds.
    pub expires: u64,
    /// `auth_time`, in seconds.
    pub auth_time: Option<u64>,
    /// `acr`.
    pub acr: Option<String>,
    /// Every claim.
    pub all: Map<String, Value>,
}

/// What a token says of itself, its signature not verified: to find out who could have issued
/// it, and for nothing else.
pub fn unverified(token: &str) -> Option<Map<String, Value>> {
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    crate::values::json::parse_object(&bytes, crate::crypto::MAX_TOKEN).ok()
}

/// The scopes of a token: `scope` (RFC 8693 section 4.2), or `scp` of Okta and Entra.
pub fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let words = |value: &Value| match value {
        Value::String(text) => text.split(' ').map(str::to_owned).collect::<Vec<_>>(),
        Value::Array(list) => list.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let names = ["scope", "scp"].iter().filter_map(|name| claims.get(*name));
    names.flat_map(words).filter(|scope| !scope.is_empty()).take(MAX_SCOPES).collect()
}

/// More are not looked at.
const MAX_SCOPES: usize = 200;

/// True where this provider could have issued a token of that issuer: its own, ADFS's second one from its
/// metadata (`access_token_issuer`), or another that the configuration names (Entra's `sts.windows.net`).
pub async fn is_issuer(io: &Io, provider: &Provider, iss: &str, other: Option<&str>) -> Result<bool, Fault> {
    let metadata = provider.metadata(io).await?;
    let second = metadata.access_token_issuer.as_deref();
    Ok(metadata.is_issuer(iss) || second == Some(iss) || other == Some(iss))
}

/// Verifies a token that names this provider. Any refusal is `token_invalid`.
pub async fn verify(
    io: &Io,
    provider: &Provider,
    token: &str,
    audiences: &[String],
    other_issuer: Option<&str>,
) -> Result<AccessToken, Fault> {
    let refused = |why: String| Fault::new(Code::TokenInvalid, format!("access token: {why}"));
    let metadata = provider.metadata(io).await?;
    let signed = signed::open_access_token(io, provider, token).await?;
    let iss = signed::string(&signed.claims, "iss").map_err(refused)?.map(str::to_owned);
    let beside = [metadata.access_token_issuer.as_deref(), other_issuer];
    let issuer = match iss {
        Some(iss) if beside.contains(&Some(&iss)) => iss,
        _ => {
            let tenants = provider.config().tenants.as_deref();
            signed::issuer(&signed.claims, &metadata, signed.key_issuer.as_deref(), tenants)
                .map_err(refused)?
        }
    };
    check(signed, issuer, audiences, provider, &metadata, io.now() as f64 / 1000.0).map_err(refused)
}

/// The checklist; the signature and `iss` are done.
fn check(
    signed: Signed,
    issuer: String,
    ours: &[String],
    provider: &Provider,
    metadata: &Metadata,
    now: f64,
) -> Result<AccessToken, String> {
    let claims = &signed.claims;
    let client_id = provider.config().client.client_id.as_str();
    let audiences = signed::audiences(claims)?;
    let audience = match audiences.contains(&client_id) {
        true => Audience::Client,
        false => Audience::Api,
    };
    let other_issuer = metadata.access_token_issuer.is_some() && metadata.is_issuer(&issuer);
    is_access_token(&signed, audience, other_issuer)?;
    if !audiences.iter().any(|aud| ours.iter().any(|own| own == aud)) {
        return Err(format!("aud holds none of bearer.audiences ({})", ours.join(", ")));
    }
    let issued = id_token::times(claims, now)?;
    let expires = signed::date(claims, "exp")?.ok_or("exp is missing")?;
    // RFC 7800: only its holder may use it, and nothing here proves who that is.
    if claims.contains_key("cnf") {
        return Err("it is bound to a key (cnf), which a bearer token is not".into());
    }
    let subject = match subject(claims)? {
        None if metadata.access_token_issuer.as_ref() != Some(&issuer) => return Err("sub is missing".into()),
        subject => subject.map(str::to_owned),
    };
    let is = |name: &&str| claims.get(*name).and_then(Value::as_str) == Some(client_id);
    // Entra's `sub` is another for every API, whichever client asked for the token (`tid`: its tenant).
    let by_us = audience == Audience::Client
        || !claims.contains_key("tid") && ["azp", "client_id", "cid", "appid"].iter().any(is);
    let is_login_subject = subject.is_some() && (by_us || !metadata.pairwise);
    let auth_time = match claims.get("auth_time") {
        // ADFS writes a date; what cannot be read is not a time at all.
        Some(Value::String(text)) => parse_rfc3339(text).map(|milliseconds| milliseconds / 1000),
        _ => signed::date(claims, "auth_time")?.map(|seconds| seconds as u64),
    };
    id_token::not_in_the_future(auth_time.map(|seconds| seconds as f64), now)?;
    let acr = claims.get("acr").and_then(Value::as_str).map(str::to_owned);
    let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
    Ok(AccessToken {
        issuer,
        subject,
        is_login_subject,
        issued: Some(milliseconds(issued)),
        expires: milliseconds(expires + SKEW),
        auth_time,
        acr,
        all: signed.claims,
    })
}

/// Okta's `sub` is the person's login name, which changes; `uid` is the `sub` of its ID tokens and of UserInfo.
fn subject(claims: &Map<String, Value>) -> Result<Option<&str>, String> {
    let okta = claims.contains_key("cid") && claims.get("uid").is_some_and(Value::is_string);
    let name = if okta { "uid" } else { "sub" };
    match claims.get(name) {
        None => Ok(None),
        Some(_) => id_token::name_of(claims, name).map(Some),
    }
}

/// Whom a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// This client, as every ID token is.
    Client,
    /// An API alone.
    Api,
}

/// Another kind of token, signed by the same key for the same client, must not pass for an access token (RFC
/// 8725 section 3.11): above all not an ID token, which every relying party of the provider gets to see. An ID
/// token is for its client (OpenID Connect Core section 2, `aud`): what is for an API alone, and has nothing
/// that only ID tokens have, need not say what it is; what is for the client has to. ADFS gives its ID tokens what only
/// access tokens have elsewhere, and signs them as another issuer (`access_token_issuer`).
fn is_access_token(signed: &Signed, audience: Audience, other_issuer: bool) -> Result<(), String> {
    let claims = &signed.claims;
    let explicit = match signed.typ.as_deref() {
        // RFC 9068 section 2.1.
        Some("at+jwt" | "application/at+jwt") => true,
        None | Some("jwt") => false,
        Some(typ) => return Err(format!("typ is {typ:?}, not an access token's")),
    };
    // Keycloak says it in the payload, Cognito too.
    let mut says = false;
    for (name, access) in [("typ", &["bearer", "at+jwt", "jwt"][..]), ("token_use", &["access"][..])] {
        if let Some(kind) = claims.get(name) {
            let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
            if !access.contains(&kind.as_str()) {
                return Err(format!("its claim {name} is {kind:?}, not an access token's"));
            }
            says |= kind != "jwt";
        }
    }
    // What only ID tokens and logout tokens have. Keycloak before 25 repeats `nonce` in access tokens, whose `typ`
    // is Bearer where its ID tokens' is ID.
    let bearer =
        claims.get("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case("bearer"));
    for name in ["nonce", "at_hash", "c_hash", "s_hash", "events"] {
        if claims.contains_key(name) && !(bearer && name == "nonce") {
            return Err(format!("it has {name}: an ID token or a logout token"));
        }
    }
    // What providers put into access tokens and not into ID tokens.
    let granted = !other_issuer
        && ["scope", "scp", "client_id", "cid", "appid", "azpacr"]
            .iter()
            .any(|name| claims.contains_key(*name));
    // The ID token of the API's own client: it is for whom it was issued to.
    let for_its_client = signed::audiences(claims).is_ok_and(|audiences| {
        claims.get("azp").and_then(Value::as_str).is_some_and(|azp| audiences == [azp])
    });
    let for_api = audience == Audience::Api;
    match for_api && !for_its_client || explicit || says || granted {
        true => Ok(()),
        false if for_api => Err("its azp is its aud, as in the ID token of a client, and neither typ nor a claim such as scope \
                                 says that it is an access token"
            .into()),
        false => Err("its aud is our client_id, and neither typ nor a claim says that it is an access token and no ID token".into()),
    }
}
