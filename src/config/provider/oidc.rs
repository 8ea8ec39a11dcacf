//! An OpenID Connect provider.

use serde_json::Value;
use url::Url;

use super::client::{credentials, ClientCredentials, Given};
use super::groups::{self, Groups};
use super::parameters::{self, scope_tokens, Parameters};
use super::timeout;
use crate::config::account::Bounds;
use crate::config::env::Environment;
use crate::config::problems::At;
use crate::config::raw::Introspection as RawIntrospection;
use crate::config::raw::{self, ResponseMode};
use crate::config::urls::{logout, required_url, url, LogoutUrl};

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
    pub authorization_params: Parameters,
    /// More parameters.
    pub token_params: Parameters,
    /// More parameters.
    pub userinfo_params: Parameters,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// The one algorithm of ID tokens, where configured.
    pub id_token_alg: Option<String>,
    /// Tenants let in where the issuer is a template.
    pub tenants: Option<Vec<String>>,
    /// Groups that are read by URL.
    pub groups: Option<Groups>,
    /// Tokens are bound to a key (RFC 9449).
    pub dpop: bool,
    /// Where opaque tokens of programs are asked about (RFC 7662).
    pub introspection: Option<Introspection>,
    /// The provider's own sign-out.
    pub logout: Option<LogoutUrl>,
    /// Milliseconds.
    pub timeout: u64,
    /// What a provider of an administrator's is held to; `None`: it is the operator's.
    pub bounds: Option<Bounds>,
}

/// Where opaque tokens are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// At the endpoint of the discovery document.
    Discovered,
    /// At this one: the operator vouches for what it says, also where it does not name an audience.
    Url(Url),
}

impl Introspection {
    /// The URL that the operator vouches for.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Introspection::Discovered => None,
            Introspection::Url(url) => Some(url),
        }
    }
}

fn introspection(at: &At<'_>, raw: Option<&RawIntrospection>) -> Option<Introspection> {
    match raw? {
        RawIntrospection::Discovered(true) => Some(Introspection::Discovered),
        RawIntrospection::Discovered(false) => None,
        RawIntrospection::Url(text) => required_url(at, "introspection", text).map(Introspection::Url),
    }
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
    if raw.discovery.is_none() && raw.introspection == Some(RawIntrospection::Discovered(true)) {
        at.field("introspection").problem("needs the endpoint's URL where there is no discovery");
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
    let params = parameters::check(at, &raw.authorization_params, &raw.token_params, &raw.userinfo_params);
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
    let given = Given {
        client_id: &raw.client_id,
        secret: &raw.client_secret,
        auth: raw.client_auth,
        key: &raw.client_key,
        assertion: &raw.client_assertion,
    };
    let client = credentials(at, given, env);
    let jwks = raw.jwks.as_ref().and_then(|keys| serde_json::to_string(keys).ok());
    if let Some(text) = &jwks {
        if let Err(why) = crate::crypto::KeySet::parse(text.as_bytes()) {
            at.field("jwks").problem(format!("expected a JSON Web Key Set: {why}"));
        }
    }
    public_alone(&at.field("jwks"), raw.jwks.as_ref().and_then(|set| set.get("keys")));
    Some(Oidc {
        discovery,
        issuer: raw.issuer.clone(),
        endpoints,
        jwks,
        client,
        scope,
        authorization_params: params.authorization,
        token_params: params.token,
        userinfo_params: params.userinfo,
        response_mode: raw.response_mode.unwrap_or_default(),
        id_token_alg: raw.id_token_signed_response_alg.clone(),
        tenants: raw.tenants.clone(),
        groups: groups::check(at, raw.groups.as_ref()),
        dpop: raw.dpop.unwrap_or(false),
        introspection: introspection(at, raw.introspection.as_ref()),
        logout: logout(at, &raw.logout_url, &raw.logout_params),
        timeout: timeout(at, &raw.timeout),
        bounds: None,
    })
}

/// Private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4) have no business here: the Account Center and
/// `envoy-sso check` show the set, and with one of them tokens could be made.
fn public_alone(at: &At<'_>, keys: Option<&Value>) {
    let is_secret = |key: &Value| {
        ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| key.get(name).is_some())
    };
    if keys.and_then(Value::as_array).is_some_and(|keys| keys.iter().any(is_secret)) {
        at.problem("holds a private or symmetric key: give the provider's public keys alone");
    }
}
