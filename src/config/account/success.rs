//! Did the application accept the password? Everything that `success` names must hold.

use serde_json::Value;
use url::Url;

use crate::config::problems::At;
use crate::config::raw;
use crate::values::json;

/// The largest JSON answer that is read.
pub const MAX_ANSWER: usize = 64 * 1024;

/// What an accepted password looks like.
#[derive(Clone, Debug, Default)]
pub struct Success {
    /// Empty: what the other conditions need, else any 2xx.
    pub status: Vec<u16>,
    /// A cookie that is set to something.
    pub cookie: Option<String>,
    /// Where it redirects to; a trailing `*` matches the rest.
    pub redirect: Option<String>,
    /// Where it does not redirect to: it redirects elsewhere.
    pub redirect_not: Option<String>,
    /// What its JSON body holds.
    pub json: Option<JsonValue>,
}

/// A value in a JSON body.
#[derive(Clone, Debug)]
pub struct JsonValue {
    /// A JSON Pointer (RFC 6901).
    pub pointer: String,
    /// `None`: anything that is not false, null or empty.
    pub equals: Option<Value>,
}

/// The head of the application's answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// `:status`.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: &'a [(String, Vec<u8>)],
    /// The URL that was asked, against which `Location` is resolved (RFC 9110 section 10.2.2).
    pub asked: &'a Url,
    /// Milliseconds since 1970.
    pub now: u64,
}

/// Judges the head of the application's answer. With `json` the body has to hold too: see [`body_accepted`].
pub fn head_accepted(success: &Success, answer: Answered<'_>) -> bool {
    let status = answer.status;
    let redirects = success.redirect.is_some() || success.redirect_not.is_some();
    let good_status = match &success.cookie {
        _ if !success.status.is_empty() => success.status.contains(&status),
        _ if redirects => is_redirect(status),
        Some(_) if success.json.is_none() => (200..400).contains(&status),
        _ => (200..300).contains(&status),
    };
    good_status
        && success.cookie.as_deref().is_none_or(|name| cookie_set(name, answer.headers, answer.now))
        && success.redirect.as_deref().is_none_or(|to| leads_to(to, &answer))
        && success.redirect_not.as_deref().is_none_or(|from| leads_elsewhere(from, &answer))
        && (success.json.is_none() || is_plain_json(answer.headers))
}

/// Judges the whole JSON body of an answer whose head was accepted.
pub fn body_accepted(success: &Success, body: &[u8]) -> bool {
    let Some(wanted) = &success.json else { return true };
    let document = json::parse_object(body, MAX_ANSWER).ok();
    let found = document.as_ref().and_then(|document| json::pointer(document, &wanted.pointer));
    match (found, &wanted.equals) {
        (None, _) => false,
        (Some(Value::Number(found)), Some(Value::Number(wanted))) => {
            found == wanted || found.as_f64() == wanted.as_f64()
        }
        (Some(found), Some(wanted)) => found == wanted,
        (Some(found), None) => match found {
            Value::Null => false,
            Value::Bool(is_true) => *is_true,
            Value::Number(_) => true,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        },
    }
}

/// The statuses that a browser follows to `Location` (Fetch, "redirect status").
fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// One media type that is JSON, in UTF-8 and without a content encoding.
fn is_plain_json(headers: &[(String, Vec<u8>)]) -> bool {
    let plain = values(headers, "content-encoding").all(|value| value.eq_ignore_ascii_case("identity"));
    let mut types = headers.iter().filter(|(name, _)| name == "content-type");
    let (Some((_, value)), None) = (types.next(), types.next()) else { return false };
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let kind = kind.trim();
    let is_json = kind == "application/json"
        || kind.strip_prefix("application/").is_some_and(|sub| sub.ends_with("+json"));
    let charset = parameters
        .split(';')
        .filter_map(|p| p.trim().strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    plain && is_json && charset
}

fn values<'a>(headers: &'a [(String, Vec<u8>)], name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    headers.iter().filter(move |(n, _)| n == name).filter_map(|(_, v)| std::str::from_utf8(v).ok())
}
/// The last `Set-Cookie` of that name counts, as in a browser; an empty value or a date in the past deletes
/// (RFC 6265 section 5.3), which is how applications sign out.
fn cookie_set(name: &str, headers: &[(String, Vec<u8>)], now: u64) -> bool {
    let last = values(headers, "set-cookie").rev().find_map(|text| {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (own, value) = pair.split_once('=')?;
        (own.trim() == name).then_some((value.trim(), attributes))
    });
    let Some((value, attributes)) = last else { return false };
    if value.trim_matches('"').is_empty() {
        return false;
    }
    let attribute = |wanted: &str| {
        attributes.split(';').rev().find_map(|attribute| {
            let (name, value) = attribute.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    // Max-Age has precedence over Expires (RFC 6265 section 4.1.2.2).
    match attribute("max-age").filter(|age| is_number(age)) {
        Some(age) => !age.starts_with('-') && age.bytes().any(|b| b != b'0'),
        None => attribute("expires").and_then(cookie_date).is_none_or(|expires| expires > now / 1_000),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Seconds since 1970 of a cookie's date (RFC 6265 section 5.1.1); before 1970 is 0.
fn cookie_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut day, mut month, mut year, mut time) = (None, None, None, None);
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|t| !t.is_empty()) {
        let lower = token.to_ascii_lowercase();
        if token.contains(':') {
            time = time.or(Some(token));
        } else if let Some(at) = lower.get(..3).and_then(|t| MONTHS.iter().position(|m| *m == t)) {
            month = month.or(Some(at + 1));
        } else if let Ok(number) = token.parse::<u32>() {
            match (day, token.len()) {
                (None, 1 | 2) => day = Some(number),
                (_, 2) => year = year.or(Some(if number < 70 { 2000 + number } else { 1900 + number })),
                (_, 4) => year = year.or(Some(number)),
                _ => {}
            }
        }
    }
    if year? < 1970 {
        return Some(0);
    }
    let text = format!("{:04}-{:02}-{:02}T{}Z", year?, month?, day?, time?);
    crate::values::time::parse_rfc3339(&text).map(|ms| ms / 1_000)
}

/// The one `Location`, resolved against what was asked; `None` for several and for what is not a URL. Envoy makes one
/// header of several, with commas between them.
fn location(answer: &Answered<'_>) -> Option<Url> {
    let mut all = answer.headers.iter().filter(|(name, _)| name == "location");
    let (Some((_, value)), None) = (all.next(), all.next()) else { return None };
    let value = std::str::from_utf8(value).ok()?;
    let begins = |part: &str| part.trim_start().starts_with('/') || part.contains("://");
    if value.split(',').skip(1).any(begins) {
        return None;
    }
    answer.asked.join(value).ok()
}

/// `Location` leads to the path at the origin that was asked.
fn leads_to(to: &str, answer: &Answered<'_>) -> bool {
    location(answer).is_some_and(|url| url.origin() == answer.asked.origin() && matches(to, url.path(), &url))
}

/// `Location` leads to another path, or to another host. An application behind a proxy may write its own scheme and
/// port into `Location`, so that both are ignored here: a wrong password must not become a right one by them.
fn leads_elsewhere(from: &str, answer: &Answered<'_>) -> bool {
    let Some(url) = location(answer) else { return false };
    let decoded = crate::http::Path::read(url.path().as_bytes());
    let leads_there = matches(from, url.path(), &url) || matches(from, decoded.canonical(), &url);
    url.host_str() != answer.asked.host_str() || !leads_there
}

/// A trailing `*` of the pattern matches the rest. The query counts where the pattern has one.
fn matches(pattern: &str, path: &str, url: &Url) -> bool {
    let mut found = path.to_owned();
    if pattern.contains('?') {
        found.push('?');
        found.push_str(url.query().unwrap_or_default());
    }
    match pattern.strip_suffix('*') {
        Some(prefix) => found.starts_with(prefix),
        None => found == pattern,
    }
}

/// Checks it. A condition that no answer can meet would make every login a failed one, and after some of them a
/// locked name.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Success>) -> Success {
    let Some(raw) = raw else {
        at.problem(
            "is missing: what the answer to a right password looks like, and that to a wrong one does not; \
             at least one of status, cookie, redirect, redirect_not and json",
        );
        return Success::default();
    };
    let success = Success {
        status: raw.status.clone(),
        cookie: raw.cookie.clone(),
        redirect: raw.redirect.clone(),
        redirect_not: raw.redirect_not.clone(),
        json: raw.json.as_ref().map(|json| JsonValue {
            pointer: json.pointer.clone(),
            equals: json.equals.clone().filter(|value| !value.is_null()),
        }),
    };
    let redirects = success.redirect.is_some() || success.redirect_not.is_some();
    if success.status.is_empty() && success.cookie.is_none() && !redirects && success.json.is_none() {
        at.problem("is empty: expected at least one of status, cookie, redirect, redirect_not and json");
    }
    for (i, status) in success.status.iter().enumerate() {
        let at = at.field("status").index(i);
        if !(200..400).contains(status) {
            at.problem("expected an HTTP status from 200 to 399");
        } else if redirects && !is_redirect(*status) {
            at.problem(format!(
                "{status} is not a redirect: expected 301, 302, 303, 307 or 308, or success without redirect and \
                 redirect_not"
            ));
        }
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"=;,\"".contains(&b));
    if success.cookie.as_deref().is_some_and(|name| !is_name(name)) {
        at.field("cookie").problem("expected a cookie's name");
    }
    if let Some(json) = &success.json {
        if !json.pointer.starts_with('/') {
            at.field("json").field("pointer").problem("expected a JSON Pointer such as /access_token");
        }
    }
    for (name, pattern) in [("redirect", &success.redirect), ("redirect_not", &success.redirect_not)] {
        let Some(pattern) = pattern else { continue };
        let is_any = pattern == "*" && name == "redirect";
        if !is_any && !possible(pattern) {
            at.field(name).problem(format!(
                "no answer can lead there: expected a path such as /home or /home*, as it stands in a browser's \
                 address, found {pattern:?}"
            ));
        }
    }
    if let (Some(to), Some(from)) = (&success.redirect, &success.redirect_not) {
        let within = match from.strip_suffix('*') {
            Some(prefix) => to.trim_end_matches('*').starts_with(prefix),
            None => to == from,
        };
        if within {
            at.field("redirect_not").problem(format!("covers redirect {to:?}: no answer can meet both"));
        }
    }
    success
}

/// A pattern that an answer can match: it matches itself.
fn possible(pattern: &str) -> bool {
    let Ok(asked) = Url::parse("http://application.invalid/") else { return false };
    let location = pattern.strip_suffix('*').unwrap_or(pattern);
    pattern.starts_with('/')
        && asked
            .join(location)
            .is_ok_and(|url| url.origin() == asked.origin() && matches(pattern, url.path(), &url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(success: &Success, status: u16, headers: &[(&str, &str)]) -> bool {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        let asked = Url::parse("https://app.example.com/x/login").unwrap();
        head_accepted(success, Answered { status, headers: &headers, asked: &asked, now: 1_800_000_000_000 })
    }

    #[test]
    fn redirect_not_is_a_redirect_and_leads_elsewhere() {
        let away = |from: &str| Success { redirect_not: Some(from.to_owned()), ..Success::default() };
        for (from, location, good) in [
            ("/login*", "/", true),
            ("/login*", "/home?next=/login", true),
            ("/login*", "https://other.example/login", true),
            ("/login*", "/x/login", true),
            ("/login*", "login", true), // resolved: /x/login
            ("/login*", "/login", false),
            ("/login*", "/login?error", false),
            ("/login*", "../login", false),
            ("/login*", "/a/../login", false),
            ("/login*", "/%6Cogin", false),
            ("/login*", "https://app.example.com/login", false),
            ("/login*", "http://app.example.com:8080/login?x", false),
            ("/login*", "//app.example.com/login", false),
            ("/login*", "https://", false),
            ("/login", "/login?error=1", false),
            ("/login", "/login/done", true),
            ("/login?error*", "/login?error=1", false),
            ("/login?error*", "/login?ok", true),
            ("/x/login", "", false),
            ("/x/login", "?error", false),
        ] {
            assert_eq!(answered(&away(from), 302, &[("location", location)]), good, "{from} {location}");
        }
        for status in [200, 201, 204, 300, 304, 305, 400, 401] {
            assert!(!answered(&away("/login*"), status, &[("location", "/")]), "{status}");
        }
        for status in [301, 302, 303, 307, 308] {
            assert!(answered(&away("/login*"), status, &[("location", "/")]), "{status}");
        }
        assert!(!answered(&away("/login*"), 302, &[]));
        assert!(!answered(&away("/login*"), 302, &[("location", "/"), ("location", "/home")]));
        for several in ["/,/login", "/home, /login", "/home,https://app.example.com/login", "/,//x"] {
            assert!(!answered(&away("/login*"), 302, &[("location", several)]), "{several}");
        }
        assert!(answered(&away("/login*"), 302, &[("location", "/a,b?c=d,e")]));
        let narrow = Success { redirect: Some("/a*".to_owned()), ..away("/a/login*") };
        assert!(answered(&narrow, 302, &[("location", "/a/b")]));
        assert!(!answered(&narrow, 302, &[("location", "/a/login")]));
        assert!(!answered(&narrow, 302, &[("location", "/b")]));
    }

    fn by_json(pointer: &str, equals: Option<Value>) -> Success {
        Success { json: Some(JsonValue { pointer: pointer.to_owned(), equals }), ..Success::default() }
    }

    #[test]
    fn the_head_of_a_json_answer_says_that_it_can_be_read() {
        let success = by_json("/ok", None);
        let json = ("content-type", "application/json");
        for (status, headers, good) in [
            (200, &[json][..], true),
            (201, &[json], true),
            (200, &[("content-type", "Application/JSON; Charset=\"UTF-8\"")], true),
            (200, &[("content-type", "application/problem+json")], true),
            (200, &[json, ("content-encoding", "identity")], true),
            (200, &[json, ("content-encoding", "gzip")], false),
            (200, &[json, ("content-encoding", "identity"), ("content-encoding", "br")], false),
            (200, &[json, json], false),
            (200, &[("content-type", "application/jsonp")], false),
            (200, &[("content-type", "text/json")], false),
            (200, &[("content-type", "application/json; charset=utf-16")], false),
            (200, &[], false),
            (302, &[json], false),
            (401, &[json], false),
        ] {
            assert_eq!(answered(&success, status, headers), good, "{status} {headers:?}");
        }
    }

    #[test]
    fn the_value_in_a_json_answer() {
        for (body, there, zero) in [
            (json!({ "ok": 0 }), true, true),
            (json!({ "ok": 0.0 }), true, true),
            (json!({ "ok": "0" }), true, false),
            (json!({ "ok": true }), true, false),
            (json!({ "ok": { "a": 1 } }), true, false),
            (json!({ "ok": false }), false, false),
            (json!({ "ok": null }), false, false),
            (json!({ "ok": "" }), false, false),
            (json!({ "ok": " " }), false, false),
            (json!({ "ok": [] }), false, false),
            (json!({ "ok": {} }), false, false),
            (json!({ "x": { "ok": 0 } }), false, false),
            (json!([{ "ok": 0 }]), false, false),
        ] {
            let body = body.to_string();
            assert_eq!(body_accepted(&by_json("/ok", None), body.as_bytes()), there, "{body}");
            assert_eq!(body_accepted(&by_json("/ok", Some(json!(0))), body.as_bytes()), zero, "{body}");
        }
        for body in
            ["", "{", r#"{"ok":1,"ok":1}"#, "{\"ok\":1}x", "\u{feff}{\"ok\":1}", "{\"ok\":\"\\ud800\"}"]
        {
            assert!(!body_accepted(&by_json("/ok", None), body.as_bytes()), "{body:?}");
        }
        assert!(!body_accepted(&by_json("/ok", None), b"{\"ok\":\"\xff\"}"));
        let padded = |n: usize| format!("{{\"ok\":1,\"x\":\"{}\"}}", "a".repeat(n));
        assert!(body_accepted(&by_json("/ok", None), padded(MAX_ANSWER - 15).as_bytes()));
        assert!(!body_accepted(&by_json("/ok", None), padded(MAX_ANSWER - 14).as_bytes()));
    }
}
