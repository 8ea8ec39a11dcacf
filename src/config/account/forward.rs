//! What the application is told.

use crate::config::problems::At;
use crate::config::raw;
use crate::request::Reserved;

/// What the application is told.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Lower case.
    pub prefix: String,
    /// Header to claim; headers in lower case.
    pub headers: Vec<(String, String)>,
    /// The header that carries the access token, lower case.
    pub access_token: Option<String>,
    /// What of it nobody else may set.
    pub reserved: Reserved,
}

impl Forward {
    /// Names in lower case.
    pub fn new(prefix: String, headers: Vec<(String, String)>, access_token: Option<String>) -> Self {
        // A token in `authorization` replaces what is there.
        let token = access_token.as_deref().filter(|name| *name != "authorization");
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).chain(token).collect();
        let reserved = Reserved::new(&prefix, &names);
        Self { prefix, headers, access_token, reserved }
    }
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Forward>) -> Forward {
    let default = raw::Forward::default();
    let raw = raw.unwrap_or(&default);
    let prefix = raw.prefix.clone().unwrap_or_else(|| "x-sso-".into()).to_ascii_lowercase();
    if prefix.len() < 3 || !header_name(&prefix) || !prefix.ends_with('-') {
        at.field("prefix").problem("expected the beginning of a header name, ending in '-', such as x-sso-");
    }
    let mut headers = Vec::new();
    for (name, claim) in &raw.headers {
        check_header(&at.field("headers").field(name), name);
        if claim.is_empty() {
            at.field("headers").field(name).problem("expected a claim or a JSON Pointer");
        }
        headers.push((name.to_ascii_lowercase(), claim.clone()));
    }
    if let Some(name) = &raw.access_token {
        if !name.eq_ignore_ascii_case("authorization") {
            check_header(&at.field("access_token"), name);
        }
    }
    Forward::new(prefix, headers, raw.access_token.as_ref().map(|name| name.to_ascii_lowercase()))
}

/// Headers that mean something to proxies or frame the message: none of ours to set.
fn check_header(at: &At<'_>, name: &str) {
    const RESERVED: [&str; 12] = [
        "host",
        "cookie",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "te",
        "transfer-encoding",
        "upgrade",
        "expect",
        "forwarded",
        "authorization",
    ];
    let lower = name.to_ascii_lowercase();
    if !header_name(&lower) {
        at.problem("expected a header name");
    } else if RESERVED.contains(&lower.as_str())
        || lower.starts_with("x-envoy-")
        || lower.starts_with("x-forwarded-")
    {
        at.problem("is a header the filter does not set");
    }
}

fn header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
