//! Answers of a SCIM server: strict about what a ruling rests on, tolerant of everything else.

use serde_json::{Map, Value};

use super::request::MAX_ANSWER;
use crate::directory::{unavailable, Record};
use crate::fault::Fault;
use crate::host::task::Answer;
use crate::values::json;

/// One page of users.
#[derive(Debug)]
pub struct Page {
    /// The users of this page.
    pub records: Vec<Record>,
    /// `totalResults`.
    pub total: Option<u64>,
    /// `startIndex`.
    pub start: Option<usize>,
}

/// Reads a ListResponse (RFC 7644 section 3.4.2).
pub fn page(answer: &Answer) -> Result<Page, Fault> {
    if answer.status != 200 {
        let (status, advice) = (answer.status, advice(answer.status));
        return Err(unavailable(format!("the directory answers with status {status}: {advice}")));
    }
    let body = object(&answer.body)?;
    let number = |name: &str| match member(&body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| unavailable(format!("{name} of the directory's answer is not a number"))),
    };
    let total = number("totalResults")?;
    let start = number("startIndex")?.and_then(|n| usize::try_from(n).ok());
    let records = match member(&body, "Resources") {
        Some(Value::Array(users)) => users.iter().map(user).collect::<Result<_, _>>()?,
        // `Resources` may be absent if `totalResults` is there. An answer without both proves nothing.
        None | Some(Value::Null) if total.is_some() => Vec::new(),
        _ => {
            return Err(unavailable("the directory's answer is not a ListResponse: Resources is not a list"))
        }
    };
    Ok(Page { records, total, start })
}

/// What an operator looks at for a status other than 200.
fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "compare directory.scim.token with the token that the directory takes",
        404 => "directory.scim.url must be its SCIM base, such as https://directory.example.com/scim/v2",
        300..=399 => "redirects are not followed, so write the address it leads to into directory.scim.url",
        500..=599 => "its own log says why",
        _ => "docs/scim-server.md has what it must answer",
    }
}

/// Reads one user, as an answer to a POST.
pub fn one(answer: &Answer) -> Result<Record, Fault> {
    user(&Value::Object(object(&answer.body)?))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    json::parse_object(body, MAX_ANSWER).map_err(|why| unavailable(format!("the directory's answer: {why}")))
}

/// A member in any case: SCIM attribute names are case-insensitive (RFC 7643 section 2.1).
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn user(value: &Value) -> Result<Record, Fault> {
    let Value::Object(user) = value else {
        return Err(unavailable("a user of the directory is not an object"));
    };
    let text = |name: &str| match member(user, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 4_096 => Ok(Some(text.clone())),
        Some(_) => Err(unavailable(format!("{name} of a user is not text, or too long"))),
    };
    let active = match member(user, "active") {
        None => true,
        Some(Value::Bool(active)) => *active,
        // A text or null could mean either.
        Some(_) => return Err(unavailable("active of a user is neither true nor false")),
    };
    let name = match member(user, "name") {
        Some(Value::Object(name)) => full_name(name),
        _ => None,
    };
    let version = match member(user, "meta") {
        Some(Value::Object(meta)) => member(meta, "version").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    Ok(Record {
        id: text("id")?,
        username: text("userName")?.unwrap_or_default(),
        emails: values(user, "emails", &["value"])?,
        phones: values(user, "phoneNumbers", &["value"])?,
        name: text("displayName")?.filter(|name| !name.trim().is_empty()).or(name),
        roles: values(user, "roles", &["value"])?,
        groups: values(user, "groups", &["display", "value"])?,
        active,
        external_id: text("externalId")?,
        version,
    })
}

fn full_name(name: &Map<String, Value>) -> Option<String> {
    let part =
        |key: &str| member(name, key).and_then(Value::as_str).map(str::trim).filter(|part| !part.is_empty());
    if let Some(formatted) = part("formatted") {
        return Some(formatted.to_owned());
    }
    match (part("givenName"), part("familyName")) {
        (None, None) => None,
        (given, family) => Some([given, family].into_iter().flatten().collect::<Vec<_>>().join(" ")),
    }
}

/// The values of a multi-valued attribute (RFC 7643 section 2.4), the primary one first; plain texts, and
/// one value without a list, are read too.
fn values(user: &Map<String, Value>, name: &str, keys: &[&str]) -> Result<Vec<String>, Fault> {
    let odd = || unavailable(format!("{name} of a user is not a list of values"));
    let items = match member(user, name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.as_slice(),
        Some(one @ (Value::String(_) | Value::Object(_))) => std::slice::from_ref(one),
        Some(_) => return Err(odd()),
    };
    let (mut primary, mut rest) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Value::Null => {}
            Value::String(text) => rest.push(text.clone()),
            Value::Object(item) => {
                let mut found = None;
                for key in keys {
                    match member(item, key) {
                        None | Some(Value::Null) => continue,
                        Some(Value::String(text)) => found = Some(text.clone()),
                        Some(_) => return Err(odd()),
                    }
                    break;
                }
                let first = member(item, "primary").and_then(Value::as_bool) == Some(true);
                if first { &mut primary } else { &mut rest }.extend(found);
            }
            _ => return Err(odd()),
        }
    }
    primary.append(&mut rest);
    Ok(primary)
}
