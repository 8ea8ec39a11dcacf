//! Who we are at the token endpoint (RFC 6749 section 2.3, OpenID Connect Core section 9).

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Map};
use url::Url;

use super::dpop::Proofs;
use super::form;
use crate::config::{AssertionAudience, ClientAuth, ClientCredentials};
use crate::crypto::{sign, Protected};
use crate::fault::{Code, Fault};
use crate::host::random_token;
use crate::host::task::{Io, Reply, Request};
use crate::proto::fetch::{answer, secret_file};
use crate::values::secret_source::SecretSource;

/// How long an assertion of ours is good, in seconds.
const ASSERTION_LIFETIME: u64 = 60;

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How we authenticate: as configured; else with the key; else with the secret, by basic unless discovery
/// lists only other ways and post among them; else not at all.
pub fn method(provider: &ClientCredentials, advertised: Option<&[String]>) -> ClientAuth {
    let listed = |name: &str| advertised.is_some_and(|list| list.iter().any(|n| n == name));
    match (provider.auth, &provider.key, &provider.secret) {
        (Some(auth), _, _) => auth,
        (None, Some(_), _) => ClientAuth::PrivateKeyJwt,
        (None, None, _) if provider.assertion.is_some() => ClientAuth::Assertion,
        (None, None, Some(_)) if listed("client_secret_post") && !listed("client_secret_basic") => {
            ClientAuth::Post
        }
        (None, None, Some(_)) => ClientAuth::Basic,
        (None, None, None) => ClientAuth::None,
    }
}

/// A form for an endpoint of the provider.
pub struct Form<'a> {
    /// What the call is, for metrics.
    pub what: &'static str,
    /// The endpoint.
    pub url: &'a Url,
    /// The parameters beside those that say who we are.
    pub pairs: Vec<(String, String)>,
    /// Milliseconds.
    pub timeout: u64,
    /// It may be sent once more where the connection broke before an answer began.
    pub repeatable: bool,
}

/// Posts the form to an endpoint that wants to know who asks, with a proof of possession where tokens are bound.
///
/// It is sent once more if the server wants a `nonce` in the proof (RFC 9449 section 8), or refuses a secret that has
/// changed in its file meanwhile. Each time is a request of its own: assertions and proofs are used once.
pub async fn post(
    io: &Io,
    form: Form<'_>,
    auth: &Authentication<'_>,
    max_answer: usize,
    proofs: Option<&Proofs>,
) -> Result<Reply, Fault> {
    let (mut wanted_nonce, mut wanted_secret) = (false, false);
    loop {
        let mut request = request(io, form.what, form.url, form.pairs.clone(), auth, form.timeout)?;
        request.max_answer = max_answer;
        if form.repeatable {
            request = request.repeatable();
        }
        if let Some(proofs) = proofs {
            request = proofs.prove(io, request, None)?;
        }
        let reply = io.call(request).await;
        if proofs.is_some_and(|proofs| proofs.wants_nonce(form.url, &reply)) && !wanted_nonce {
            wanted_nonce = true;
        } else if is_wrong_client(&reply) && !wanted_secret && has_new_secret(io, auth).await {
            wanted_secret = true;
        } else {
            return Ok(reply);
        }
    }
}

/// RFC 6749 section 5.2 has `invalid_client` for a wrong secret. Keycloak says `unauthorized_client`.
fn is_wrong_client(reply: &Reply) -> bool {
    matches!(answer::oauth_error_of(reply).as_deref(), Some("invalid_client" | "unauthorized_client"))
}

/// Reads the file of a secret that was refused; true if it holds another one now.
async fn has_new_secret(io: &Io, auth: &Authentication<'_>) -> bool {
    let provider = auth.provider;
    let source = match auth.method {
        ClientAuth::Basic | ClientAuth::Post => &provider.secret,
        ClientAuth::Assertion => &provider.assertion,
        _ => return false,
    };
    let Some(file) = source.as_ref().and_then(SecretSource::file) else { return false };
    let old = file.current();
    secret_file::read(io, file).await.is_ok() && file.current() != old
}

/// A form POST to an endpoint of the provider that wants to know who asks.
fn request(
    io: &Io,
    what: &'static str,
    url: &Url,
    mut pairs: Vec<(String, String)>,
    auth: &Authentication<'_>,
    timeout: u64,
) -> Result<Request, Fault> {
    let missing = |what: &str| Fault::new(Code::NotReady, format!("client authentication: no {what} yet"));
    let read = |what: &str, source: &Option<SecretSource>| {
        source.as_ref().and_then(SecretSource::get).ok_or_else(|| missing(what))
    };
    let provider = auth.provider;
    let mut header = None;
    let mut push = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    match auth.method {
        ClientAuth::Basic => {
            let secret = read("client_secret", &provider.secret)?;
            // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            let pair = format!("{}:{}", form::encode(&provider.client_id), form::encode(secret.expose()));
            header = Some(format!("Basic {}", STANDARD.encode(pair)));
        }
        ClientAuth::Post => {
            let secret = read("client_secret", &provider.secret)?;
            push("client_id", &provider.client_id);
            push("client_secret", secret.expose());
        }
        // RFC 8705 section 2: the certificate of the cluster says who we are, and the body only names us.
        ClientAuth::None | ClientAuth::Tls => push("client_id", &provider.client_id),
        ClientAuth::PrivateKeyJwt => {
            let key = provider.key.as_ref().ok_or_else(|| missing("client_key"))?;
            let now = io.now() / 1000;
            let mut claims = Map::new();
            claims.insert("iss".into(), json!(provider.client_id));
            claims.insert("sub".into(), json!(provider.client_id));
            claims.insert("aud".into(), json!(auth.audience));
            claims.insert("jti".into(), json!(random_token::<16>(io.host())?));
            claims.insert("iat".into(), json!(now));
            claims.insert("exp".into(), json!(now + ASSERTION_LIFETIME));
            let protected = Protected { kid: key.kid.as_deref(), x5t: key.x5t.as_deref() };
            let assertion = sign(io.host(), &key.alg, &key.private_key, protected, &claims)?;
            push("client_id", &provider.client_id);
            push("client_assertion_type", JWT_BEARER);
            push("client_assertion", assertion.expose());
        }
        ClientAuth::Assertion => {
            let assertion = read("client_assertion", &provider.assertion)?;
            push("client_id", &provider.client_id);
            push("client_assertion_type", JWT_BEARER);
            push("client_assertion", assertion.expose());
        }
    }
    let request = Request::form(what, url.clone(), form::write(&pairs), timeout);
    Ok(match header {
        Some(value) => request.header("authorization", value),
        None => request,
    })
}

/// Who authenticates, how, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Authentication<'a> {
    /// Who.
    pub provider: &'a ClientCredentials,
    /// How.
    pub method: ClientAuth,
    /// `aud` of an assertion.
    pub audience: &'a str,
}

/// Whom an assertion of ours is for, at every endpoint of the provider: its issuer alone, unless the configuration says the
/// token endpoint. A token endpoint is what a provider says of itself; a hostile one can name another's and would
/// receive an assertion that is good there (CVE-2025-27370, draft-ietf-oauth-rfc7523bis). An issuer that stands for many
/// tenants, or that is not known, names no server.
pub fn audience<'a>(client: &'a ClientCredentials, issuer: &'a str, token_endpoint: &'a Url) -> &'a str {
    let insists = client.key.as_ref().is_some_and(|key| key.audience == AssertionAudience::TokenEndpoint);
    if insists || issuer.is_empty() || issuer.contains('{') {
        token_endpoint.as_str()
    } else {
        issuer
    }
}
