//! Where the browser goes to sign in (RFC 6749 section 4.1.1, OpenID Connect Core 3.1.2.1), with PKCE
//! (RFC 7636) and, where the provider wants it, a pushed request (RFC 9126).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use url::Url;

use super::client_auth::{self, Authentication, Form};
use super::discovery::Metadata;
use super::dpop::Proofs;
use crate::config::{OAuth2, Oidc, ResponseMode};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::host::{random_token, Host};
use crate::proto::fetch::answer;
use crate::values::secret::Secret;

/// A larger answer is not read.
const MAX_ANSWER: usize = 64 << 10;

/// A code verifier and its challenge (RFC 7636 section 4): a stolen code is worth nothing without the
/// verifier, which never leaves the flow cookie before the token request.
#[derive(Clone, Debug)]
pub struct Pkce {
    /// 43 characters of base64url: 32 random bytes.
    pub verifier: Secret,
    /// Its SHA-256, base64url.
    pub challenge: String,
}

impl Pkce {
    /// A new pair.
    pub fn new(host: &dyn Host) -> Result<Self, Fault> {
        let verifier = random_token::<32>(host)?;
        Ok(Self { challenge: challenge(&verifier), verifier: Secret::new(verifier) })
    }
}

/// The S256 challenge of a verifier (RFC 7636 section 4.2).
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// One authorization request.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    /// Who asks.
    pub client_id: &'a str,
    /// Where the answer goes.
    pub redirect_uri: &'a str,
    /// `scope`.
    pub scope: &'a [String],
    /// `state`.
    pub state: &'a str,
    /// `nonce`; not for plain OAuth 2.0.
    pub nonce: Option<&'a str>,
    /// `code_challenge`, always S256. Sent whatever discovery says: Entra, ADFS and Gluu check it and do
    /// not list it, others ignore it.
    pub challenge: Option<&'a str>,
    /// The key that the code is bound to (RFC 9449 section 10).
    pub dpop_jkt: Option<&'a str>,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// `login_hint`.
    pub login_hint: Option<&'a str>,
    /// Parameters of the configuration.
    pub params: &'a [(String, String)],
    /// Parameters of this one request, such as `prompt`; they win over the configuration's.
    pub more: &'a [(&'a str, &'a str)],
}

impl<'a> Authorization<'a> {
    /// For an OpenID provider.
    pub fn of_oidc(
        oidc: &'a Oidc,
        redirect_uri: &'a str,
        state: &'a str,
        nonce: &'a str,
        pkce: &'a Pkce,
    ) -> Self {
        Self {
            client_id: &oidc.client.client_id,
            redirect_uri,
            scope: &oidc.scope,
            state,
            nonce: Some(nonce),
            challenge: Some(&pkce.challenge),
            dpop_jkt: None,
            response_mode: oidc.response_mode,
            login_hint: None,
            params: &oidc.authorization_params,
            more: &[],
        }
    }

    /// For a plain OAuth 2.0 provider.
    pub fn of_oauth2(oauth2: &'a OAuth2, redirect_uri: &'a str, state: &'a str, pkce: &'a Pkce) -> Self {
        Self {
            client_id: &oauth2.client.client_id,
            redirect_uri,
            scope: &oauth2.scope,
            state,
            nonce: None,
            challenge: Some(&pkce.challenge),
            dpop_jkt: None,
            response_mode: oauth2.response_mode,
            login_hint: None,
            params: &oauth2.authorization_params,
            more: &[],
        }
    }

    /// Every parameter. Those of the filter stand there once. `scope`: its values, joined.
    fn pairs<'p>(&'p self, scope: &'p str) -> Vec<(&'p str, &'p str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(12);
        let mut own = vec![
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("response_type", "code"),
            ("state", self.state),
        ];
        if !scope.is_empty() {
            own.push(("scope", scope));
        }
        if let Some(nonce) = self.nonce {
            own.push(("nonce", nonce));
        }
        if let Some(challenge) = self.challenge {
            own.push(("code_challenge", challenge));
            own.push(("code_challenge_method", "S256"));
        }
        if let Some(thumbprint) = self.dpop_jkt {
            own.push(("dpop_jkt", thumbprint));
        }
        if self.response_mode == ResponseMode::FormPost {
            own.push(("response_mode", "form_post"));
        }
        let hint = self.login_hint.map(|hint| ("login_hint", hint));
        for (name, value) in own.into_iter().chain(self.more.iter().copied()).chain(hint) {
            if !pairs.iter().any(|(own, _)| *own == name) {
                pairs.push((name, value));
            }
        }
        // The operator's may be sent several times, such as `resource` (RFC 8707).
        let ours = pairs.len();
        for (name, value) in self.params {
            if !pairs.iter().take(ours).any(|(own, _)| own == name) {
                pairs.push((name, value));
            }
        }
        pairs
    }

    /// The URL with the whole request in its query; a query the endpoint has is kept (RFC 6749 section 3.1).
    pub fn url(&self, endpoint: &Url) -> Url {
        let mut url = endpoint.clone();
        url.query_pairs_mut().extend_pairs(self.pairs(&self.scope.join(" ")));
        url
    }

    /// The URL for the browser, with a pushed request first where the provider requires it or the
    /// configuration names the endpoint.
    pub async fn start(
        &self,
        io: &Io,
        oidc: &Oidc,
        metadata: &Metadata,
        proofs: Option<&Proofs>,
    ) -> Result<Url, Fault> {
        let wanted = metadata.require_pushed_authorization_requests
            || oidc.endpoints.pushed_authorization_request.is_some();
        if !wanted {
            return Ok(self.url(&metadata.authorization_endpoint));
        }
        let endpoint = metadata.pushed_authorization_request_endpoint.as_ref().ok_or_else(|| {
            let why = "discovery: pushed requests are required, but pushed_authorization_request_endpoint is missing";
            Fault::new(Code::IdpInvalidAnswer, why)
        })?;
        let auth = Authentication {
            provider: &oidc.client,
            method: client_auth::method(&oidc.client, metadata.token_auth_methods.as_deref()),
            audience: client_auth::audience(&oidc.client, &metadata.issuer, &metadata.token_endpoint),
        };
        // Authentication in the body brings its own client_id, basic does not hinder one (RFC 9126 section 2.1).
        let brings_id = !matches!(auth.method, crate::config::ClientAuth::Basic);
        let scope = self.scope.join(" ");
        let pairs = self.pairs(&scope).into_iter().filter(|(name, _)| !(brings_id && *name == "client_id"));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // A second request_uri does no harm: the first one is never used.
        let form = Form { what: "par", url: endpoint, pairs, timeout: oidc.timeout, repeatable: true };
        let reply = client_auth::post(io, form, &auth, MAX_ANSWER, proofs).await?;
        let map = answer::object("pushed authorization request endpoint", reply, MAX_ANSWER)?;
        let request_uri = map.get("request_uri").and_then(|v| v.as_str()).filter(|uri| !uri.is_empty());
        let request_uri = request_uri.ok_or_else(|| {
            let why = "pushed authorization request endpoint: request_uri is missing";
            Fault::new(Code::IdpInvalidAnswer, why)
        })?;
        let mut url = metadata.authorization_endpoint.clone();
        // RFC 9126 section 4: nothing but these two.
        url.query_pairs_mut()
            .append_pair("client_id", self.client_id)
            .append_pair("request_uri", request_uri);
        Ok(url)
    }
}
