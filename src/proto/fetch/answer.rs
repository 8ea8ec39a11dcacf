//! How a reply becomes bytes, JSON or a [`Fault`]: once, for every endpoint of an IdP.

use serde_json::{Map, Value};

use crate::fault::{Code, Fault};
use crate::host::task::{Answer, Failure, Reply};
use crate::values::json;

/// An answer that is no success, with the OAuth error code where it has one.
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
    let (code, why) = match reply {
        Reply::Answer(answer) => return Ok(answer),
        Reply::Failed(Failure::NoCluster(host)) => {
            (Code::IdpUnavailable, format!("no cluster for host {host}"))
        }
        Reply::Failed(Failure::Unreachable) => (Code::IdpUnavailable, "cannot be reached".to_owned()),
        Reply::Failed(Failure::Timeout) => (Code::IdpTimeout, "no answer in time".to_owned()),
        Reply::Failed(Failure::TooLarge) => (Code::IdpInvalidAnswer, "the answer is too large".to_owned()),
    };
    Err(Fault::new(code, format!("{what}: {why}")))
}

/// The answer, if it is a success.
pub fn success(what: &str, reply: Reply) -> Result<Answer, Refusal> {
    let answer = arrived(what, reply)?;
    let code = match answer.status {
        200..=299 => return Ok(answer),
        504 => Code::IdpTimeout,
        500 | 502 | 503 => Code::IdpUnavailable,
        // Redirects are not followed: they would carry secrets to another host.
        _ => Code::IdpInvalidAnswer,
    };
    let error = oauth_error(&answer.body);
    let said = error.as_ref().map(|e| format!(", error {e}")).unwrap_or_default();
    let fault = Fault::new(code, format!("{what}: status {}{said}", answer.status));
    Err(Refusal { fault, error, status: answer.status })
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

/// `error` of an error answer (RFC 6749 section 5.2).
fn oauth_error(body: &[u8]) -> Option<String> {
    let map = json::parse_object(body, 64 << 10).ok()?;
    let error = map.get("error")?.as_str()?;
    Some(clean(error, 60)).filter(|e| !e.is_empty())
}

/// Text of an IdP for the log: the characters RFC 6749 section 5.2 allows, so that it cannot forge log
/// lines or smuggle markup, and not much of it.
pub fn clean(text: &str, max: usize) -> String {
    text.chars()
        .map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' })
        .take(max)
        .collect()
}
