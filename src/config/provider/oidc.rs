//! An OpenID Connect provider.

use std::collections::BTreeMap;

use url::Url;

use super::client::{credentials, ClientCredentials};
use super::parameters::{own_params, scope_tokens};
use super::timeout;
use super::urls::{logout, url, LogoutUrl};
use crate::config::env::Environment;
use crate::config::problems::At;
use crate::config::raw::{self, ResponseMode};

/// Endpoints by hand. With `discovery` those given here win over the document's.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Endpoints {
    pub authorization: Option<Url>,
    pub token: Option<Url>,
    pub userinfo: Option<Url>,
    pub jwks_uri: Option<Url>,
    pub end_session: Option<Url>,
    pub pushed_authorization_request: Option<Url>,
}

/// An OpenID Connect provider.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The discovery document; absent: issuer and endpoints are given by hand.
    pub discovery: Option<Url>,
    /// The issuer as configured.
    pub issuer: Option<String>,
    /// Endpoints by hand.
    pub endpoints: Endpoints,
    /// Keys by hand, the JSON text of a key set.
    pub jwks: Option<String>,
    /// Who we are.
    pub client: ClientCredentials,
    /// Scopes, `openid` among them.
    pub scope: Vec<String>,
    /// More parameters.
    pub authorization_params: BTreeMap<String, String>,
    /// More parameters.
    pub token_params: BTreeMap<String, String>,
    /// More parameters.
    pub userinfo_params: BTreeMap<String, String>,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// The one algorithm of ID tokens, where configured.
    pub id_token_alg: Option<String>,
    /// Tenants let in where the issuer is a template.
    pub tenants: Option<Vec<String>>,
    /// The provider's own sign-out.
    pub logout: Option<LogoutUrl>,
    /// Milliseconds.
    pub timeout: u64,
}

/// Checks it; `None` after a problem that leaves nothing to work with.
pub(super) fn check(at: &At<'_>, raw: &raw::Oidc, env: &dyn Environment) -> Option<Oidc> {
    let discovery = url(at, "discovery", &raw.discovery);
    let endpoints = Endpoints {
        authorization: url(at, "authorization_endpoint", &raw.authorization_endpoint),
        token: url(at, "token_endpoint", &raw.token_endpoint),
        userinfo: url(at, "userinfo_endpoint", &raw.userinfo_endpoint),
        jwks_uri: url(at, "jwks_uri", &raw.jwks_uri),
        end_session: url(at, "end_session_endpoint", &raw.end_session_endpoint),
        pushed_authorization_request: url(
            at,
            "pushed_authorization_request_endpoint",
            &raw.pushed_authorization_request_endpoint,
        ),
    };
    if raw.jwks_uri.is_some() && raw.jwks.is_some() {
        at.problem("expected one of jwks_uri and jwks, found both");
    }
    if raw.discovery.is_none() {
        for (name, missing) in [
            ("issuer", raw.issuer.is_none()),
            ("authorization_endpoint", raw.authorization_endpoint.is_none()),
            ("token_endpoint", raw.token_endpoint.is_none()),
            ("jwks_uri", raw.jwks_uri.is_none() && raw.jwks.is_none()),
        ] {
            if missing {
                at.field(name).problem("is missing: give discovery, or issuer and every endpoint by hand");
            }
        }
    }
    let mut scope =
        raw.scope.clone().unwrap_or_else(|| ["openid", "email", "profile"].map(String::from).into());
    scope_tokens(at, &scope);
    if !scope.iter().any(|s| s == "openid") {
        if raw.scope.is_some() {
            at.field("scope").problem("must hold \"openid\": without it there is no ID token");
        }
        scope.insert(0, "openid".into());
    }
    own_params(at, &raw.authorization_params, &raw.token_params, &raw.userinfo_params);
    const ALGS: [&str; 13] = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256",
        "HS384", "HS512",
    ];
    if let Some(alg) = &raw.id_token_signed_response_alg {
        if !ALGS.contains(&alg.as_str()) {
            at.field("id_token_signed_response_alg")
                .problem(format!("expected one of {}, found {alg:?}", ALGS.join(", ")));
        } else if alg.starts_with("HS") && raw.client_secret.is_none() {
            at.field("id_token_signed_response_alg")
                .problem(format!("{alg} needs a client_secret, which is its key"));
        }
    }
    let client = credentials(at, &raw.client_id, &raw.client_secret, raw.client_auth, &raw.client_key, env);
    let jwks = raw.jwks.as_ref().and_then(|keys| serde_json::to_string(keys).ok());
    if let Some(text) = &jwks {
        if let Err(why) = crate::crypto::KeySet::parse(text.as_bytes()) {
            at.field("jwks").problem(format!("expected a JSON Web Key Set: {why}"));
        }
    }
    Some(Oidc {
        discovery,
        issuer: raw.issuer.clone(),
        endpoints,
        jwks,
        client,
        scope,
        authorization_params: raw.authorization_params.clone(),
        token_params: raw.token_params.clone(),
        userinfo_params: raw.userinfo_params.clone(),
        response_mode: raw.response_mode.unwrap_or_default(),
        id_token_alg: raw.id_token_signed_response_alg.clone(),
        tenants: raw.tenants.clone(),
        logout: logout(at, &raw.logout_url, &raw.logout_params),
        timeout: timeout(at, &raw.timeout),
    })
}
