//! Identity providers, checked.

use std::collections::BTreeMap;

use url::Url;

use super::duration;
use super::env::{self, Environment};
use super::problems::At;
use super::raw::{self, ClientAuth, IdpInitiated, NameIdFormat, ResponseMode, SamlBinding};
use crate::saml::{check_certificate, check_private_key};
use crate::secret::Secret;

/// An identity provider of one account.
#[derive(Debug)]
pub struct Provider {
    /// Its name in URLs, logs and headers.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Email domains whose people come from here, lower case.
    pub email_domains: Vec<String>,
    /// How it speaks.
    pub protocol: Protocol,
}

/// How a provider speaks.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Protocol {
    Oidc(Box<Oidc>),
    OAuth2(Box<OAuth2>),
    Saml(Box<Saml>),
}

/// Who we are at a provider's token endpoint.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Our client identifier.
    pub client_id: String,
    /// Our secret.
    pub secret: Option<Secret>,
    /// How we authenticate; `None`: what discovery suggests, else basic with a secret, none without.
    pub auth: Option<ClientAuth>,
    /// The key for private_key_jwt.
    pub key: Option<ClientKey>,
}

/// The key that signs client assertions.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// PKCS#8 PEM.
    pub private_key: Secret,
    /// `kid` of the assertion.
    pub kid: Option<String>,
    /// `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub alg: String,
    /// `x5t` of the assertion.
    pub x5t: Option<String>,
}

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

/// A provider's own sign-out URL, with placeholders in its parameters.
#[derive(Clone, Debug)]
pub struct LogoutUrl {
    /// The URL.
    pub url: Url,
    /// Its parameters: `{client_id}`, `{post_logout_redirect_uri}`, `{id_token_hint}`, `{state}`.
    pub params: BTreeMap<String, String>,
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

/// A plain OAuth 2.0 provider.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The name of the provider in identities.
    pub issuer: String,
    /// `authorization`, `token` and `userinfo` are set.
    pub authorization: Url,
    /// Where the code is exchanged.
    pub token: Url,
    /// Where the identity is read.
    pub userinfo: Url,
    /// The UserInfo field that names the person; `None`: `sub`, else `id`.
    pub subject: Option<String>,
    /// Who we are.
    pub client: ClientCredentials,
    /// Scopes.
    pub scope: Vec<String>,
    /// More parameters.
    pub authorization_params: BTreeMap<String, String>,
    /// More parameters.
    pub token_params: BTreeMap<String, String>,
    /// More parameters.
    pub userinfo_params: BTreeMap<String, String>,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// The provider's own sign-out.
    pub logout: Option<LogoutUrl>,
    /// Milliseconds.
    pub timeout: u64,
}

/// A key of ours for SAML, with the certificate in our metadata.
#[derive(Clone, Debug)]
pub struct SamlKey {
    /// PKCS#8 PEM.
    pub private_key: Secret,
    /// PEM.
    pub certificate: Option<String>,
}

/// A SAML 2.0 identity provider.
#[derive(Clone, Debug)]
pub struct Saml {
    /// Where the AuthnRequest goes; from metadata where absent.
    pub sso_url: Option<Url>,
    /// Their entity ID; from metadata where absent.
    pub issuer: Option<String>,
    /// Their certificates, PEM; from metadata where empty.
    pub certificates: Vec<String>,
    /// Their metadata.
    pub metadata_url: Option<Url>,
    /// Our entity ID; `None`: the URL of our metadata.
    pub entity_id: Option<String>,
    /// Single logout.
    pub slo_url: Option<Url>,
    /// Binding of the AuthnRequest.
    pub binding: SamlBinding,
    /// NameID format asked for.
    pub name_id_format: NameIdFormat,
    /// `ForceAuthn`.
    pub force_authn: bool,
    /// Signs our requests.
    pub signing: Option<SamlKey>,
    /// Opens encrypted assertions.
    pub decryption: Option<SamlKey>,
    /// What an unsolicited response does.
    pub idp_initiated: IdpInitiated,
    /// Milliseconds, at most 60 000.
    pub clock_skew: u64,
    /// Milliseconds.
    pub timeout: u64,
}

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

/// Checks one provider; `None` after a problem that leaves nothing to work with.
pub(super) fn check(at: &At<'_>, raw: &raw::IdentityProvider, env: &dyn Environment) -> Option<Provider> {
    if raw.id.is_empty() || !raw.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        at.field("id").problem("expected a name of letters, digits, '-', '_' and '.'");
    }
    let email_domains = raw.email_domains.iter().map(|d| d.trim().to_ascii_lowercase()).collect();
    let protocol = match (&raw.oidc, &raw.oauth2, &raw.saml) {
        (Some(raw), None, None) => Protocol::Oidc(Box::new(oidc(&at.field("oidc"), raw, env)?)),
        (None, Some(raw), None) => Protocol::OAuth2(Box::new(oauth2(&at.field("oauth2"), raw, env)?)),
        (None, None, Some(raw)) => Protocol::Saml(Box::new(saml(&at.field("saml"), raw, env))),
        _ => {
            at.problem("expected exactly one of oidc, oauth2 and saml");
            return None;
        }
    };
    let title = raw.title.clone().unwrap_or_else(|| raw.id.clone());
    Some(Provider { id: raw.id.clone(), title, email_domains, protocol })
}

fn oidc(at: &At<'_>, raw: &raw::Oidc, env: &dyn Environment) -> Option<Oidc> {
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
    own_params(at, "authorization_params", &raw.authorization_params, &OWN_AUTHORIZATION_PARAMS);
    own_params(at, "token_params", &raw.token_params, &OWN_TOKEN_PARAMS);
    own_params(at, "userinfo_params", &raw.userinfo_params, &["access_token"]);
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
        if let Err(why) = crate::oidc::KeySet::parse(text.as_bytes()) {
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

fn oauth2(at: &At<'_>, raw: &raw::OAuth2, env: &dyn Environment) -> Option<OAuth2> {
    let authorization = required_url(at, "authorization_endpoint", &raw.authorization_endpoint);
    let token = required_url(at, "token_endpoint", &raw.token_endpoint);
    let userinfo = required_url(at, "userinfo_endpoint", &raw.userinfo_endpoint);
    let scope = raw.scope.clone().unwrap_or_default();
    scope_tokens(at, &scope);
    own_params(at, "authorization_params", &raw.authorization_params, &OWN_AUTHORIZATION_PARAMS);
    own_params(at, "token_params", &raw.token_params, &OWN_TOKEN_PARAMS);
    own_params(at, "userinfo_params", &raw.userinfo_params, &["access_token"]);
    let client = credentials(at, &raw.client_id, &raw.client_secret, raw.client_auth, &raw.client_key, env);
    let logout = logout(at, &raw.logout_url, &raw.logout_params);
    let timeout = timeout(at, &raw.timeout);
    let (authorization, token, userinfo) = (authorization?, token?, userinfo?);
    Some(OAuth2 {
        issuer: raw.issuer.clone().unwrap_or_else(|| token.origin().ascii_serialization()),
        authorization,
        token,
        userinfo,
        subject: raw.subject.clone(),
        client,
        scope,
        authorization_params: raw.authorization_params.clone(),
        token_params: raw.token_params.clone(),
        userinfo_params: raw.userinfo_params.clone(),
        response_mode: raw.response_mode.unwrap_or_default(),
        logout,
        timeout,
    })
}

fn saml(at: &At<'_>, raw: &raw::Saml, env: &dyn Environment) -> Saml {
    let metadata_url = url(at, "metadata_url", &raw.metadata_url);
    if raw.metadata_url.is_none() {
        for (name, missing) in [
            ("sso_url", raw.sso_url.is_none()),
            ("issuer", raw.issuer.is_none()),
            ("certificates", raw.certificates.is_empty()),
        ] {
            if missing {
                at.field(name).problem("is missing: give metadata_url, or sso_url, issuer and certificates");
            }
        }
    }
    for (i, pem) in raw.certificates.iter().enumerate() {
        if let Err(why) = check_certificate(pem) {
            at.field("certificates").index(i).problem(why);
        }
    }
    let signing = raw.signing.as_ref().and_then(|key| {
        let at = at.field("signing");
        saml_key(&at, &key.private_key, &key.certificate, env)
    });
    let decryption = raw.decryption.as_ref().and_then(|key| {
        let at = at.field("decryption");
        saml_key(&at, &key.private_key, &key.certificate, env)
    });
    Saml {
        sso_url: url(at, "sso_url", &raw.sso_url),
        issuer: raw.issuer.clone(),
        certificates: raw.certificates.clone(),
        metadata_url,
        entity_id: raw.entity_id.clone(),
        slo_url: url(at, "slo_url", &raw.slo_url),
        binding: raw.binding.unwrap_or_default(),
        name_id_format: raw.name_id_format.unwrap_or_default(),
        force_authn: raw.force_authn.unwrap_or(false),
        signing,
        decryption,
        idp_initiated: raw.idp_initiated.unwrap_or_default(),
        clock_skew: duration::field(at, "clock_skew", &raw.clock_skew, 60_000, (0, 60_000)),
        timeout: timeout(at, &raw.timeout),
    }
}

fn saml_key(
    at: &At<'_>,
    key: &raw::Secret,
    certificate: &Option<String>,
    env: &dyn Environment,
) -> Option<SamlKey> {
    if let Some(pem) = certificate {
        if let Err(why) = check_certificate(pem) {
            at.field("certificate").problem(why);
        }
    }
    let private_key = env::secret(&at.field("private_key"), key, env)?;
    if let Err(why) = check_private_key(&private_key) {
        at.field("private_key").problem(why);
    }
    Some(SamlKey { private_key, certificate: certificate.clone() })
}

fn credentials(
    at: &At<'_>,
    client_id: &str,
    secret: &Option<raw::Secret>,
    auth: Option<ClientAuth>,
    key: &Option<raw::ClientKey>,
    env: &dyn Environment,
) -> ClientCredentials {
    if client_id.is_empty() {
        at.field("client_id").problem("is missing: the client identifier registered at the provider");
    }
    match auth {
        Some(ClientAuth::Basic | ClientAuth::Post) if secret.is_none() => {
            at.field("client_auth").problem("basic and post need a client_secret");
        }
        Some(ClientAuth::PrivateKeyJwt) if key.is_none() => {
            at.field("client_auth").problem("private_key_jwt needs a client_key");
        }
        _ => {}
    }
    let secret = secret.as_ref().and_then(|raw| env::secret(&at.field("client_secret"), raw, env));
    let key = key.as_ref().and_then(|raw| {
        let at = at.field("client_key");
        let alg = raw.alg.clone().unwrap_or_else(|| "RS256".into());
        if !["RS256", "PS256", "ES256", "EdDSA"].contains(&alg.as_str()) {
            at.field("alg").problem(format!("expected RS256, PS256, ES256 or EdDSA, found {alg:?}"));
        }
        let private_key = env::secret(&at.field("private_key"), &raw.private_key, env)?;
        if let Err(why) = crate::oidc::check_signing_key(&alg, &private_key) {
            at.field("private_key").problem(why);
        }
        Some(ClientKey { private_key, kid: raw.kid.clone(), alg, x5t: raw.x5t.clone() })
    });
    ClientCredentials { client_id: client_id.to_owned(), secret, auth, key }
}

fn logout(at: &At<'_>, url_text: &Option<String>, params: &BTreeMap<String, String>) -> Option<LogoutUrl> {
    if url_text.is_none() && !params.is_empty() {
        at.field("logout_params").problem("has no effect without logout_url");
    }
    Some(LogoutUrl { url: url(at, "logout_url", url_text)?, params: params.clone() })
}

fn timeout(at: &At<'_>, value: &Option<String>) -> u64 {
    duration::field(at, "timeout", value, 5_000, (50, 60_000))
}

fn scope_tokens(at: &At<'_>, scope: &[String]) {
    for (i, token) in scope.iter().enumerate() {
        // RFC 6749 section 3.3: NQCHAR without space.
        if token.is_empty() || !token.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'"' && b != b'\\') {
            at.field("scope").index(i).problem("expected one scope, without spaces or quotes");
        }
    }
}

fn own_params(at: &At<'_>, field: &str, params: &BTreeMap<String, String>, own: &[&str]) {
    for name in params.keys().filter(|name| own.contains(&name.as_str())) {
        at.field(field).field(name).problem("is set by the filter itself and cannot be configured");
    }
}

pub(super) fn required_url(at: &At<'_>, name: &str, text: &str) -> Option<Url> {
    if text.is_empty() {
        at.field(name).problem("is missing: an absolute http or https URL");
        return None;
    }
    url(at, name, &Some(text.to_owned()))
}

/// An absolute http or https URL without userinfo and fragment.
pub(super) fn url(at: &At<'_>, name: &str, text: &Option<String>) -> Option<Url> {
    let text = text.as_ref()?;
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none() =>
        {
            Some(url)
        }
        _ => {
            at.field(name).problem(format!("expected an absolute http or https URL, found {text:?}"));
            None
        }
    }
}
