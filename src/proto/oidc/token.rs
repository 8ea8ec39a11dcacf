//! The token endpoint: a code or a refresh token for tokens (RFC 6749 sections 4.1.3, 5 and 6).

use serde_json::{Map, Value};
use url::Url;

use super::client_auth::{self, Authentication, Form};
use super::discovery::Metadata;
use super::dpop::Proofs;
use crate::config::{ClientAuth, ClientCredentials, OAuth2, Oidc};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::{Io, Reply};
use crate::host::Level;
use crate::proto::fetch::answer::{self, Refusal};
use crate::values::json;
use crate::values::secret::Secret;

/// A larger answer is not read.
const MAX_ANSWER: usize = 256 << 10;

/// A token endpoint and what it needs to know.
#[derive(Clone, Debug)]
pub struct Endpoint<'a> {
    /// Its URL.
    pub url: &'a Url,
    /// Who we are.
    pub provider: &'a ClientCredentials,
    /// How we say so.
    pub auth: ClientAuth,
    /// More parameters.
    pub params: &'a [(String, String)],
    /// Milliseconds.
    pub timeout: u64,
    /// Whether a login must bring an ID token.
    pub openid: bool,
    /// `aud` of a client assertion.
    pub audience: &'a str,
    /// Proofs of possession, where tokens are bound to a key.
    pub proofs: Option<&'a Proofs>,
}

impl<'a> Endpoint<'a> {
    /// An OpenID provider's.
    pub fn of_oidc(oidc: &'a Oidc, metadata: &'a Metadata) -> Self {
        Self {
            url: &metadata.token_endpoint,
            provider: &oidc.client,
            auth: client_auth::method(&oidc.client, metadata.token_auth_methods.as_deref()),
            params: &oidc.token_params,
            timeout: oidc.timeout,
            openid: true,
            audience: client_auth::audience(&oidc.client, &metadata.issuer, &metadata.token_endpoint),
            proofs: None,
        }
    }

    /// A plain OAuth 2.0 provider's.
    pub fn of_oauth2(oauth2: &'a OAuth2) -> Self {
        Self {
            url: &oauth2.token,
            provider: &oauth2.client,
            auth: client_auth::method(&oauth2.client, None),
            params: &oauth2.token_params,
            timeout: oauth2.timeout,
            openid: false,
            audience: client_auth::audience(&oauth2.client, &oauth2.issuer, &oauth2.token),
            proofs: None,
        }
    }
}

/// What the token endpoint gave.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// For UserInfo and, where configured, the application.
    pub access_token: Option<Secret>,
    /// Who it is.
    pub id_token: Option<Secret>,
    /// For the next time.
    pub refresh_token: Option<Secret>,
    /// Seconds the access token lives.
    pub expires_in: Option<u64>,
    /// There was no `token_type`.
    pub untyped: bool,
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// New tokens; without a refresh token among them the old one stays (RFC 6749 section 6).
    Tokens(Tokens),
    /// The provider has ended this, or wants to see the person: the session ends too. What it says.
    Ended(&'static str),
}

/// Exchanges the code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
pub async fn exchange(
    io: &Io,
    endpoint: &Endpoint<'_>,
    code: &Secret,
    redirect_uri: &str,
    code_verifier: Option<&Secret>,
) -> Result<Tokens, Fault> {
    let mut grant =
        vec![("grant_type", "authorization_code"), ("code", code.expose()), ("redirect_uri", redirect_uri)];
    if let Some(verifier) = code_verifier {
        grant.push(("code_verifier", verifier.expose()));
    }
    // A provider that has seen the code answers `invalid_grant` the second time: no worse than no answer.
    let tokens = read(call(io, endpoint, &grant, true).await?, endpoint.proofs.is_some())?;
    let missing =
        |name: &str| Fault::new(Code::IdpInvalidAnswer, format!("token endpoint: {name} is missing"));
    if endpoint.openid && tokens.id_token.is_none() {
        return Err(missing("id_token"));
    }
    // RFC 6749 section 5.1: REQUIRED.
    if tokens.access_token.is_none() {
        return Err(missing("access_token"));
    }
    if tokens.untyped {
        let reason = format!("token endpoint {}: token_type is missing and taken for Bearer", endpoint.url);
        events::notice(io.host(), Place::default(), Level::Info, &reason);
    }
    Ok(tokens)
}

/// The refresh token is no longer good (RFC 6749 section 5.2), or nothing but a login helps (OpenID Connect Core
/// section 3.1.2.6; Entra's conditional access).
const ENDED: [&str; 4] = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

/// The `error` of a refresh that only a login mends.
///
/// `invalid_request` (RFC 6749 section 5.2) will not change by asking again. Dex says it of a refresh token that has expired or
/// that a later login of the user has replaced, Authlib of one whose user is locked. Dex says it with status 500 of its own
/// failures, too.
fn ended(refusal: &Refusal) -> Option<&'static str> {
    let error = refusal.error.as_deref()?;
    if error == "invalid_request" && refusal.status == 400 {
        return Some("invalid_request");
    }
    ENDED.into_iter().find(|ended| *ended == error)
}

/// Uses a refresh token (RFC 6749 section 6, OpenID Connect Core section 12). Only once, whatever the
/// outcome: providers that rotate take a second use for theft.
pub async fn refresh(io: &Io, endpoint: &Endpoint<'_>, refresh_token: &Secret) -> Result<Refreshed, Fault> {
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    match read(call(io, endpoint, &grant, false).await?, endpoint.proofs.is_some()) {
        Ok(tokens) if tokens.access_token.is_none() && tokens.id_token.is_none() => {
            Err(Fault::new(Code::IdpInvalidAnswer, "token endpoint: a refresh brought no token"))
        }
        Ok(tokens) => Ok(Refreshed::Tokens(tokens)),
        Err(refusal) => match ended(&refusal) {
            Some(error) => Ok(Refreshed::Ended(error)),
            None => Err(refusal.fault),
        },
    }
}

async fn call(
    io: &Io,
    endpoint: &Endpoint<'_>,
    grant: &[(&str, &str)],
    repeatable: bool,
) -> Result<Reply, Fault> {
    let own = grant.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let more = endpoint.params.iter().cloned();
    let auth =
        Authentication { provider: endpoint.provider, method: endpoint.auth, audience: endpoint.audience };
    let pairs = own.chain(more).collect();
    let form = Form { what: "token", url: endpoint.url, pairs, timeout: endpoint.timeout, repeatable };
    client_auth::post(io, form, &auth, MAX_ANSWER, endpoint.proofs).await
}

/// Reads the answer (RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3).
fn read(reply: Reply, bound: bool) -> Result<Tokens, Refusal> {
    let map = answer::object("token endpoint", reply, MAX_ANSWER)?;
    let invalid = |why: String| Fault::new(Code::IdpInvalidAnswer, format!("token endpoint: {why}"));
    // GitHub reports errors with status 200.
    if map.get("error").is_some_and(Value::is_string) {
        return Err(answer::refusal("token endpoint", Code::IdpInvalidAnswer, 200, &map));
    }
    let secret = |name: &str| Ok::<_, Refusal>(token(&map, name).map_err(invalid)?.map(Secret::new));
    let kind = text(&map, "token_type").map_err(invalid)?;
    let tokens = Tokens {
        access_token: secret("access_token")?,
        id_token: secret("id_token")?,
        refresh_token: secret("refresh_token")?,
        expires_in: expires_in(&map).map_err(invalid)?,
        untyped: kind.is_none(),
    };
    // RFC 6749 section 7.1: a token of a type that is not understood must not be used. Several providers leave the type
    // out; no type but Bearer was ever meant by that. One that was to be bound to a key and is not could be used by
    // a thief (RFC 9449 section 5).
    let wanted = if bound { "DPoP" } else { "Bearer" };
    let fits = kind.map_or(!bound, |kind| kind.eq_ignore_ascii_case(wanted));
    if tokens.access_token.is_some() && !fits {
        return Err(invalid(format!("token_type is not {wanted}")).into());
    }
    Ok(tokens)
}

/// A token: printable ASCII (RFC 6749 sections A.12 and A.17). A line break would make every later request fail that
/// carries it as a header.
fn token(map: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    let token = text(map, name)?;
    match token.as_ref().is_none_or(|token| token.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
        true => Ok(token),
        false => Err(format!("{name} holds bytes that are not printable ASCII")),
    }
}

/// A string; null and empty count as absent.
fn text(map: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|t| !t.is_empty())),
        Some(other) => Err(format!("{name} is {}", json::kind(other))),
    }
}

/// A number of seconds, which some providers write as a string.
fn expires_in(map: &Map<String, Value>) -> Result<Option<u64>, String> {
    match map.get("expires_in") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(n)) => {
            let seconds =
                n.as_f64().filter(|s| (0.0..1e12).contains(s)).ok_or("expires_in is out of range")?;
            Ok(Some(seconds as u64))
        }
        Some(Value::String(s)) => s.trim().parse().map(Some).map_err(|_| "expires_in is not a number".into()),
        Some(other) => Err(format!("expires_in is {}", json::kind(other))),
    }
}
