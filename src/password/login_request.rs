//! One login request: what its head rules out, and the username of its body.

use unicode_normalization::UnicodeNormalization;

use super::{form, json, names};
use crate::config::{Origin, PasswordLogin, UsernameField};
use crate::fault::{Code, Fault};

/// The largest body that is read.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest username.
const MAX_USERNAME: usize = 256;

/// What is known before the body: everything as it came, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// What follows `?`.
    pub query: Option<&'a [u8]>,
    /// Lower-case names, every one as often as it came.
    pub headers: &'a [(String, Vec<u8>)],
    /// True where a body follows.
    pub has_body: bool,
}

/// What to do with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadRuling {
    /// It carries no password.
    PassUnread,
    /// Hold it, read its body (at most `MAX_BODY`), then ask `username`.
    ReadBody,
}

/// A name that is the same for every application that reads the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unreadable(why: impl Into<String>) -> Fault {
    Fault::new(Code::UsernameUnreadable, why)
}

fn unsupported(why: impl Into<String>) -> Fault {
    Fault::new(Code::ContentTypeUnsupported, why)
}

/// Rules on method, origin, query and content type.
pub fn head(login: &PasswordLogin, origins: &[Origin], head: &Head<'_>) -> Result<HeadRuling, Fault> {
    match head.method {
        b"OPTIONS" => return Ok(HeadRuling::PassUnread),
        b"GET" | b"HEAD" => {
            query(login, head)?;
            // Some frameworks read a body whatever the method is.
            if head.has_body
                || values(head, "content-length").any(|v| v != b"0")
                || values(head, "transfer-encoding").next().is_some()
            {
                return Err(unreadable("a GET or HEAD with a body"));
            }
            return Ok(HeadRuling::PassUnread);
        }
        b"POST" => {}
        other => {
            let detail = format!("{} to a password login", String::from_utf8_lossy(other).escape_debug());
            return Err(Fault::new(Code::MethodNotAllowed, detail));
        }
    }
    same_origin(head, origins)?;
    query(login, head)?;
    content(login, head)?;
    let length =
        values(head, "content-length").next().and_then(|v| std::str::from_utf8(v).ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    Ok(HeadRuling::ReadBody)
}

/// The refusal for a body over `MAX_BODY`, for whoever collects it.
pub fn too_large() -> Fault {
    Fault::new(Code::BodyTooLarge, format!("the body of a password login is larger than {MAX_BODY} bytes"))
}

/// Reads the username out of the whole body.
pub fn username(login: &PasswordLogin, body: &[u8]) -> Result<Username, Fault> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    let name = match &login.username {
        UsernameField::Json(pointer) => json::read(body, pointer),
        UsernameField::Form(field) => form::read(body, field),
    }
    .map_err(unreadable)?;
    certain(&name).map_err(unreadable)?;
    Ok(Username(name))
}

/// A name that every application takes as it is: trimming, case mapping and normalisation lead nowhere else.
fn certain(name: &str) -> Result<(), &'static str> {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let up = name.chars().flat_map(char::to_uppercase).collect::<String>();
    if name.is_empty() {
        Err("an empty username")
    } else if name.len() > MAX_USERNAME {
        Err("a username that is too long")
    } else if name.trim() != name {
        Err("a username that trimming would change")
    } else if name.chars().any(crate::values::names::invisible) {
        Err("a username with control or invisible characters")
    } else if !name.nfc().eq(name.chars()) || !name.nfkc().eq(name.chars()) {
        Err("a username that normalisation would change")
    } else if fold(&up) != fold(name) {
        // `ı` is `I` in upper case, and `i` after that.
        Err("a username that case mapping would change into another")
    } else {
        Ok(())
    }
}

fn values<'a>(head: &Head<'a>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    head.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_slice())
}

/// A header that may be there once.
fn once<'a>(head: &Head<'a>, name: &'a str) -> Result<Option<&'a [u8]>, ()> {
    let mut all = values(head, name);
    match (all.next(), all.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}

/// Fetch metadata and Origin: another site must not sign its visitors in as somebody (login CSRF).
/// Programs send neither.
fn same_origin(head: &Head<'_>, origins: &[Origin]) -> Result<(), Fault> {
    let foreign = |why: String| Fault::new(Code::RequestInvalid, why).with_status(403);
    let account_state = once(head, "sec-fetch-site").map_err(|()| foreign("Sec-Fetch-Site twice".into()))?;
    if !matches!(account_state, None | Some(b"same-origin" | b"none")) {
        let account_state =
            String::from_utf8_lossy(account_state.unwrap_or_default()).escape_debug().to_string();
        return Err(foreign(format!("a password login with Sec-Fetch-Site {account_state}")));
    }
    let origin = once(head, "origin").map_err(|()| foreign("Origin twice".into()))?;
    match origin {
        None => Ok(()),
        Some(origin) if origins.iter().any(|own| own.to_string().as_bytes() == origin) => Ok(()),
        Some(origin) => {
            let origin = String::from_utf8_lossy(origin).escape_debug().to_string();
            Err(foreign(format!("a password login from origin {origin}")))
        }
    }
}

fn query(login: &PasswordLogin, head: &Head<'_>) -> Result<(), Fault> {
    let (UsernameField::Json(name) | UsernameField::Form(name)) = &login.username;
    match head.query {
        Some(query) if form::query_names(query, &names::path(name)) => {
            Err(unreadable("the username field in the query"))
        }
        Some(query) if form::query_names(query, &names::path("_method")) && head.method == b"POST" => {
            Err(unreadable("a query that changes the method"))
        }
        _ => Ok(()),
    }
}

fn content(login: &PasswordLogin, head: &Head<'_>) -> Result<(), Fault> {
    if values(head, "content-encoding").next().is_some() {
        return Err(unsupported("a password login with a content-encoding"));
    }
    let value = once(head, "content-type").map_err(|()| unsupported("content-type twice"))?;
    let value =
        value.and_then(|v| std::str::from_utf8(v).ok()).ok_or_else(|| unsupported("no content-type"))?;
    let expected = match login.username {
        UsernameField::Json(_) => "application/json",
        UsernameField::Form(_) => "application/x-www-form-urlencoded",
    };
    let mut parts = value.split(';');
    let kind = parts.next().unwrap_or_default().trim_matches([' ', '\t']);
    let parameters: Vec<String> = parts.map(|p| p.trim_matches([' ', '\t']).to_ascii_lowercase()).collect();
    let charset = match parameters.as_slice() {
        [] => true,
        [one] => matches!(one.as_str(), "charset=utf-8" | "charset=\"utf-8\""),
        _ => false,
    };
    if !kind.eq_ignore_ascii_case(expected) || !charset {
        return Err(unsupported(format!(
            "expected {expected} in UTF-8, found {:?}",
            value.chars().take(80).collect::<String>()
        )));
    }
    Ok(())
}
