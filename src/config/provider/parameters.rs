//! What operators may add to requests to a provider.

use crate::config::names::is_token;
use crate::config::problems::At;
use crate::config::raw::Params;

/// Parameters of the authorization request that the filter sets itself (RFC 6749 section 4.1.1,
/// RFC 7636, OpenID Connect Core 3.1.2.1, RFC 9101, RFC 9126).
const OWN_AUTHORIZATION_PARAMS: [&str; 12] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "registration",
];

/// Parameters of the token request that the filter sets itself.
const OWN_TOKEN_PARAMS: [&str; 9] = [
    "client_id",
    "client_secret",
    "grant_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "client_assertion",
    "client_assertion_type",
];

/// Checks scopes.
pub(super) fn scope_tokens(at: &At<'_>, scope: &[String]) {
    for (i, token) in scope.iter().enumerate() {
        if !is_token(token) {
            at.field("scope").index(i).problem("expected one scope, without spaces or quotes");
        }
    }
}

/// Refuses parameters of each request that the filter sets itself.
pub(super) fn own_params(at: &At<'_>, authorization: &Params, token: &Params, userinfo: &Params) {
    own(at, "authorization_params", authorization, &OWN_AUTHORIZATION_PARAMS);
    own(at, "token_params", token, &OWN_TOKEN_PARAMS);
    own(at, "userinfo_params", userinfo, &["access_token"]);
}

fn own(at: &At<'_>, field: &str, params: &Params, own: &[&str]) {
    for name in params.keys().filter(|name| own.contains(&name.as_str())) {
        at.field(field).field(name).problem("is set by the filter itself and cannot be configured");
    }
}
