//! What operators may add to requests to a provider.

use std::collections::BTreeMap;

use crate::config::problems::At;

/// Parameters of the authorization request that the filter sets itself (RFC 6749 section 4.1.1,
/// RFC 7636, OpenID Connect Core 3.1.2.1, RFC 9101, RFC 9126).
pub(super) const OWN_AUTHORIZATION_PARAMS: [&str; 12] = [
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
pub(super) const OWN_TOKEN_PARAMS: [&str; 9] = [
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
        // RFC 6749 section 3.3: NQCHAR without space.
        if token.is_empty() || !token.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'"' && b != b'\\') {
            at.field("scope").index(i).problem("expected one scope, without spaces or quotes");
        }
    }
}

/// Refuses parameters that the filter sets itself.
pub(super) fn own_params(at: &At<'_>, field: &str, params: &BTreeMap<String, String>, own: &[&str]) {
    for name in params.keys().filter(|name| own.contains(&name.as_str())) {
        at.field(field).field(name).problem("is set by the filter itself and cannot be configured");
    }
}
