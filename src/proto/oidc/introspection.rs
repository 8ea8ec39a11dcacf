//! Opaque access tokens: only the provider knows what they are (RFC 7662).

use serde_json::{Map, Value};

use super::access_token::AccessToken;
use super::client_auth::{self, Authentication};
use super::discovery::Metadata;
use super::provider::Provider;
use super::signed::{self, SKEW};
use crate::config::Introspection;
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::proto::fetch::answer;
use crate::values::secret::Secret;

/// A larger answer is not read.
const MAX_ANSWER: usize = 64 << 10;

/// True for a token that can only be a JWT: `ey` begins every JSON object in base64url.
pub fn is_jwt(token: &str) -> bool {
    token.starts_with("ey") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Asks the provider what the token is. `token_invalid`: it does not count; any other code: the provider cannot say.
pub async fn introspect(
    io: &Io,
    provider: &Provider,
    token: &Secret,
    audiences: &[String],
    other_issuer: Option<&str>,
) -> Result<AccessToken, Fault> {
    let metadata = provider.metadata(io).await?;
    let oidc = provider.config();
    let Some(endpoint) = &metadata.introspection_endpoint else {
        return Err(refused("the provider's discovery has no introspection_endpoint".into()));
    };
    let auth = Authentication {
        provider: &oidc.client,
        method: client_auth::method(&oidc.client, metadata.token_auth_methods.as_deref()),
        audience: client_auth::audience(&oidc.client, &metadata.issuer, &metadata.token_endpoint),
    };
    let pairs = vec![
        ("token".to_owned(), token.expose().to_owned()),
        ("token_type_hint".to_owned(), "access_token".to_owned()),
    ];
    let request = client_auth::Form {
        what: "introspection",
        url: endpoint,
        pairs,
        timeout: oidc.timeout,
        repeatable: true,
    };
    let reply = client_auth::post(io, request, &auth, MAX_ANSWER, None).await?;
    let claims = answer::object("introspection endpoint", reply, MAX_ANSWER).map_err(Fault::from)?;
    let vouched = matches!(oidc.introspection, Some(Introspection::Url(_)));
    let expected = Expected { audiences, other_issuer, vouched, metadata: &metadata };
    check(claims, &expected, &oidc.client.client_id, io.now()).map_err(refused)
}

fn refused(why: String) -> Fault {
    Fault::new(Code::TokenInvalid, format!("introspection: {why}"))
}

/// What an answer must be about.
struct Expected<'a> {
    audiences: &'a [String],
    other_issuer: Option<&'a str>,
    /// The operator named the endpoint: what it calls active is meant for this application.
    vouched: bool,
    metadata: &'a Metadata,
}

/// The checklist (RFC 7662 section 2.2).
fn check(
    claims: Map<String, Value>,
    expected: &Expected<'_>,
    client_id: &str,
    now: u64,
) -> Result<AccessToken, String> {
    if claims.get("active") != Some(&Value::Bool(true)) {
        return Err("the token is not active".into());
    }
    let metadata = expected.metadata;
    let issuer = match signed::string(&claims, "iss")? {
        None => metadata.issuer.clone(),
        Some(iss) => {
            let beside = [metadata.access_token_issuer.as_deref(), expected.other_issuer];
            let known = metadata.known_issuer(iss);
            known
                .or_else(|| beside.contains(&Some(iss)).then(|| iss.to_owned()))
                .ok_or("iss is another issuer")?
        }
    };
    // A provider answers for the tokens of all of its applications: one for another must not count here.
    if claims.contains_key("aud") {
        let audiences = signed::audiences(&claims)?;
        if !audiences.iter().any(|aud| expected.audiences.iter().any(|own| own == aud)) {
            return Err(format!("aud holds none of bearer.audiences ({})", expected.audiences.join(", ")));
        }
    } else if !expected.vouched {
        return Err("aud is missing, and the endpoint was not given by URL".into());
    }
    kind(&claims)?;
    let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
    let seconds = now as f64 / 1000.0;
    let expires = signed::date(&claims, "exp")?;
    if expires.is_some_and(|exp| seconds >= exp + SKEW) {
        return Err("exp is over".into());
    }
    for name in ["nbf", "iat", "auth_time"] {
        if signed::date(&claims, name)?.is_some_and(|at| at > seconds + SKEW) {
            return Err(format!("{name} is in the future"));
        }
    }
    let subject = signed::string(&claims, "sub")?.filter(|sub| !sub.is_empty()).map(str::to_owned);
    let by_us = claims.get("client_id").and_then(Value::as_str) == Some(client_id);
    Ok(AccessToken {
        issuer,
        is_login_subject: subject.is_some() && (by_us || !metadata.pairwise),
        subject,
        issued: signed::date(&claims, "iat")?.map(milliseconds),
        expires: expires.map_or(u64::MAX, |exp| milliseconds(exp + SKEW)),
        auth_time: signed::date(&claims, "auth_time")?.map(|seconds| seconds as u64),
        acr: claims.get("acr").and_then(Value::as_str).map(str::to_owned),
        all: claims,
    })
}

/// Refresh tokens, ID tokens and tokens that are bound to a key are active too, and are not bearer tokens.
fn kind(claims: &Map<String, Value>) -> Result<(), String> {
    if claims.get("cnf").is_some_and(|cnf| !cnf.is_null()) {
        return Err("the token is bound to a key (cnf), which a bearer token is not".into());
    }
    for (name, access) in [
        ("token_type", &["bearer", "access_token", "urn:ietf:params:oauth:token-type:access_token"][..]),
        ("typ", &["bearer", "at+jwt", "jwt"][..]),
        ("token_use", &["access", "access_token"][..]),
    ] {
        let Some(value) = claims.get(name).filter(|value| !value.is_null()) else { continue };
        let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
        if !access.contains(&text.as_str()) {
            return Err(format!("its {name} is {text:?}, not an access token's"));
        }
    }
    Ok(())
}
