//! What operators may add to requests to a provider.

use crate::config::names::is_token;
use crate::config::problems::At;
use crate::config::raw::OneOrMany;
use crate::config::raw::RequestParams;

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

/// Names and values of parameters, in the order they are sent. A name may stand there several times.
pub type Parameters = Vec<(String, String)>;

/// The operator's parameters of each request.
pub(super) struct AllParameters {
    pub authorization: Parameters,
    pub token: Parameters,
    pub userinfo: Parameters,
}

/// Checks them: those that the filter sets itself are refused.
pub(super) fn check(
    at: &At<'_>,
    authorization: &RequestParams,
    token: &RequestParams,
    userinfo: &RequestParams,
) -> AllParameters {
    AllParameters {
        authorization: read(&at.field("authorization_params"), authorization, &OWN_AUTHORIZATION_PARAMS),
        token: read(&at.field("token_params"), token, &OWN_TOKEN_PARAMS),
        userinfo: read(&at.field("userinfo_params"), userinfo, &["access_token"]),
    }
}

fn read(at: &At<'_>, params: &RequestParams, own: &[&str]) -> Parameters {
    for name in params.keys().filter(|name| own.contains(&name.as_str())) {
        at.field(name).problem("is set by the filter itself and cannot be configured");
    }
    let each = |(name, values): (&String, &OneOrMany)| {
        values.0.iter().map(|value| (name.clone(), value.clone())).collect::<Parameters>()
    };
    params.iter().flat_map(each).collect()
}
