//! The token endpoint.

use serde_json::{Map, Value};
use url::Url;

use super::cache::{now, Tokens};
use super::web;

/// The tokens in a token response (RFC 6749 section 5.1).
pub fn tokens(token_endpoint: &Url, client_id: &str, body: &Map<String, Value>) -> Result<Tokens, String> {
    let access_token =
        web::text(body, "access_token").ok_or(format!("{token_endpoint} sent no access_token"))?;
    let kind = web::text(body, "token_type").unwrap_or_default();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(format!("{token_endpoint} sent a token of the type {kind:?}, not a bearer token"));
    }
    // It becomes a line of output and a header of programs.
    if !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{token_endpoint} sent an access_token with characters that no token has"));
    }
    Ok(Tokens {
        access_token: access_token.to_owned(),
        expires_at: body
            .get("expires_in")
            .and_then(Value::as_u64)
            .map(|seconds| now().saturating_add(seconds)),
        refresh_token: web::text(body, "refresh_token").map(str::to_owned),
        token_endpoint: token_endpoint.to_string(),
        client_id: client_id.to_owned(),
    })
}

/// New tokens for a cached refresh token. `None`: the user has to sign in again.
pub fn renew(old: &Tokens) -> Option<Tokens> {
    let refresh_token = old.refresh_token.clone()?;
    let endpoint = web::url(&old.token_endpoint).ok()?;
    let pairs = [
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", refresh_token.clone()),
        ("client_id", old.client_id.clone()),
    ];
    let (status, body) = web::post(&endpoint, &pairs).ok()?;
    let renewed = tokens(&endpoint, &old.client_id, &body).ok().filter(|_| status == 200)?;
    // RFC 6749 section 6: without a new one the old one stays.
    Some(Tokens { refresh_token: renewed.refresh_token.clone().or(Some(refresh_token)), ..renewed })
}
