//! How a reply becomes bytes, JSON or a [`Fault`]: once, for every endpoint of an IdP.

use serde_json::{Map, Value};
use url::Url;

use crate::fault::{Code, Fault};
use crate::host::task::{Answer, Broken, Failure, Reply};
use crate::values::json;

/// An answer that is not a success, with the OAuth error code where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means for the person.
    pub fault: Fault,
    /// `error` of RFC 6749 section 5.2, cleaned.
    pub error: Option<String>,
    /// The answer's status; 0 where none came, or where it says nothing.
    pub status: u16,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        refusal.fault
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, error: None, status: 0 }
    }
}

/// The answer, if one came. `what` names the endpoint in the log.
pub fn arrived(what: &str, reply: Reply) -> Result<Answer, Fault> {
    let failure = match reply {
        Reply::Answer(answer) => return Ok(answer),
        Reply::Failed(failure) => failure,
    };
    let code = match failure {
        Failure::Timeout | Failure::Connection { broken: Broken::Timeout, .. } => Code::IdpTimeout,
        Failure::TooLarge => Code::IdpInvalidAnswer,
        Failure::NoCluster(_) | Failure::Unreachable | Failure::Connection { .. } | Failure::Grpc(_) => {
            Code::IdpUnavailable
        }
    };
    Err(Fault::new(code, format!("{what}: {failure}")))
}

/// The answer, if it is a success.
pub fn success(what: &str, reply: Reply) -> Result<Answer, Refusal> {
    let answer = arrived(what, reply)?;
    let code = match answer.status {
        200..=299 => return Ok(answer),
        504 => Code::IdpTimeout,
        500 | 502 | 503 => Code::IdpUnavailable,
        _ => Code::IdpInvalidAnswer,
    };
    // Not followed: it would carry secrets to another host. Documents have been followed before.
    if let Some(location) = location_of(&answer) {
        let to = Url::parse(location).map_or_else(|_| clean(location, 200), |url| shown(&url));
        let detail =
            format!("{what}: status {} to {to}, which is not followed: is the address right?", answer.status);
        return Err(Refusal { fault: Fault::new(code, detail), error: None, status: answer.status });
    }
    let map = json::parse_object(&answer.body, 64 << 10).unwrap_or_default();
    Err(refusal(what, code, answer.status, &map))
}

/// The fault of an answer that is not what was asked for.
pub fn invalid(why: String) -> Fault {
    Fault::new(Code::IdpInvalidAnswer, why)
}

/// The body of a success, if it may be what was asked for.
pub fn body(what: &str, reply: Reply) -> Result<Vec<u8>, Refusal> {
    let answer = success(what, reply)?;
    let invalid = |why: String| Fault::new(Code::IdpInvalidAnswer, format!("{what}: {why}"));
    if answer.header("content-encoding").is_some_and(|e| !e.trim().eq_ignore_ascii_case("identity")) {
        return Err(invalid("the answer has a content encoding".into()).into());
    }
    // Key sets are also served as text or octets; a page is never an answer.
    match answer.media_type().as_deref() {
        Some(page @ ("text/html" | "application/xhtml+xml")) => {
            Err(invalid(format!("the answer is {page}, not JSON")).into())
        }
        _ => Ok(answer.body),
    }
}

/// The JSON object of a success.
pub fn object(what: &str, reply: Reply, max: usize) -> Result<Map<String, Value>, Refusal> {
    let bytes = body(what, reply)?;
    json::parse_object(&bytes, max)
        .map_err(|why| Fault::new(Code::IdpInvalidAnswer, format!("{what}: {why}")).into())
}

/// An error answer (RFC 6749 section 5.2) with what it says, and what an operator can do about it.
pub fn refusal(what: &str, code: Code, status: u16, map: &Map<String, Value>) -> Refusal {
    let text = |name: &str, max| {
        let text = map.get(name).and_then(Value::as_str).map(|text| clean(text, max));
        text.filter(|text| !text.is_empty())
    };
    let error = text("error", 60);
    let mut detail = format!("{what}: status {status}");
    let mut advice = None;
    if let Some(error) = &error {
        detail.push_str(&format!(", error {error}"));
        if let Some(description) = text("error_description", 200) {
            detail.push_str(&format!(" ({description})"));
        }
        advice = advice_on(error);
    }
    let mut fault = Fault::new(code, detail);
    if let Some((in_setup, advice)) = advice {
        fault.detail.push_str(&format!(": {advice}"));
        fault.in_setup = in_setup;
    }
    Refusal { fault, error, status }
}

/// What to do about an `error`, and whether only a change of the settings helps.
fn advice_on(error: &str) -> Option<(bool, &'static str)> {
    Some(match error {
        // The second is GitHub's.
        "invalid_client" | "incorrect_client_credentials" => {
            (true, "compare client_id, client_secret and client_auth with the client at the provider")
        }
        "unauthorized_client" => {
            (true, "the provider does not allow this client this grant, or the secret is wrong (Keycloak): compare client_id, client_secret and the client's grants there")
        }
        "unsupported_grant_type" => (true, "is token_endpoint the token endpoint of this provider?"),
        "invalid_scope" => (true, "compare scope with what the provider allows this client"),
        "invalid_redirect_uri" | "redirect_uri_mismatch" => {
            (true, "register the redirect URI at the provider exactly as `envoy-sso uris` prints it")
        }
        "invalid_target" => (true, "compare the resource in authorization_params and token_params with the provider"),
        "invalid_grant" => (false, "it was used or has expired, or the redirect URI differs from the registered one"),
        _ => return None,
    })
}

/// `error` of an answer that is an error (RFC 6749 section 5.2).
pub fn oauth_error_of(reply: &Reply) -> Option<String> {
    let Reply::Answer(answer) = reply else { return None };
    let map = json::parse_object(&answer.body, 64 << 10).ok().filter(|_| answer.status >= 400)?;
    map.get("error")?.as_str().map(|error| clean(error, 60))
}

/// Text of an IdP for the log: the characters RFC 6749 section 5.2 allows, so that it cannot forge log
/// lines or smuggle markup, and not much of it.
pub fn clean(text: &str, max: usize) -> String {
    text.chars()
        .map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' })
        .take(max)
        .collect()
}

/// `Location` of an answer that redirects a GET (RFC 9110 section 15.4).
pub(super) fn location_of(answer: &Answer) -> Option<&str> {
    answer.header("location").filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308))
}

/// A URL for the log: without user, password and query, which may hold what is secret.
pub fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    clean(&format!("{}://{host}{port}{}", url.scheme(), url.path()), 200)
}
