//! One login request: what its head rules out, and the username of its body.

use std::rc::Rc;

use unicode_normalization::UnicodeNormalization;

use super::beside::{self, Beside};
use super::{form, json, names, when};
use crate::config::{Origin, PasswordLogin, UsernameField, When};
use crate::fault::{Code, Fault};
use crate::values::json::parse_object;

/// The largest body that is read.
pub const MAX_BODY: usize = 64 * 1024;
/// The content types of logins.
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
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
    /// Every login of the path has a `when`, and this is none of them: `access` decides.
    Ordinary,
    /// Hold it, read its body (at most `MAX_BODY`), then ask [`read`].
    ReadBody,
}

/// What a request is, once its body is there.
#[derive(Clone, Debug)]
pub enum Reading {
    /// This login, as this user.
    Login(Rc<PasswordLogin>, Username),
    /// Another request at the same path: `access` decides.
    Ordinary,
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

/// Rules on method, origin, query and content type. `logins`: all of the path, one, or several with a `when` each.
pub fn head(logins: &[Rc<PasswordLogin>], origins: &[Origin], head: &Head<'_>) -> Result<HeadRuling, Fault> {
    let conditional = logins.iter().all(|login| login.when.is_some());
    let has_body = has_body(head);
    match head.method {
        b"GET" | b"HEAD" | b"OPTIONS" => {
            for login in logins {
                query(login, head)?;
            }
            // Frameworks read a body whatever the method is.
            return match (has_body, conditional) {
                (true, _) => Err(unreadable("a GET, HEAD or OPTIONS with a body")),
                (false, true) => Ok(HeadRuling::Ordinary),
                (false, false) => Ok(HeadRuling::PassUnread),
            };
        }
        b"POST" => {}
        other => {
            let detail = format!("{} to a password login", String::from_utf8_lossy(other).escape_debug());
            return Err(Fault::new(Code::MethodNotAllowed, detail));
        }
    }
    match conditional {
        true => when_query(logins, head)?,
        false => logins.iter().try_for_each(|login| sender(login, origins, head))?,
    }
    if conditional && !has_body {
        return Ok(HeadRuling::Ordinary);
    }
    content(logins, head)?;
    let length =
        values(head, "content-length").next().and_then(|v| std::str::from_utf8(v).ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    Ok(HeadRuling::ReadBody)
}

/// True where a body follows, however it is announced.
fn has_body(head: &Head<'_>) -> bool {
    head.has_body
        || values(head, "content-length").any(|v| v != b"0")
        || values(head, "transfer-encoding").next().is_some()
}

/// The refusal for a body over `MAX_BODY`, for the caller that collects it.
pub fn too_large() -> Fault {
    Fault::new(Code::BodyTooLarge, format!("the body of a password login is larger than {MAX_BODY} bytes"))
}

/// Reads the whole body: which of the path's logins it is, and as whom.
pub fn read(
    logins: &[Rc<PasswordLogin>],
    origins: &[Origin],
    head: &Head<'_>,
    body: &[u8],
) -> Result<Reading, Fault> {
    let is_json = content(logins, head)?;
    let parsed = Parsed::read(is_json, body)?;
    let mut found: Option<&Rc<PasswordLogin>> = None;
    for login in logins.iter().filter(|login| login.is_json() == is_json) {
        if parsed.is_login(login).map_err(unreadable)? && found.replace(login).is_some() {
            return Err(unreadable("the body meets the when of two logins"));
        }
    }
    let Some(login) = found else { return Ok(Reading::Ordinary) };
    if login.when.is_some() {
        sender(login, origins, head)?;
    }
    Ok(Reading::Login(login.clone(), parsed.username(login)?))
}

/// Reads the username out of the whole body of a login.
pub fn username(login: &PasswordLogin, body: &[u8]) -> Result<Username, Fault> {
    Parsed::read(login.is_json(), body)?.username(login)
}

/// A body that every parser reads alike.
enum Parsed {
    Json(serde_json::Map<String, serde_json::Value>),
    Form(Vec<form::Field>),
}

impl Parsed {
    fn read(is_json: bool, body: &[u8]) -> Result<Self, Fault> {
        if body.len() > MAX_BODY {
            return Err(too_large());
        }
        match is_json {
            true => parse_object(body, MAX_BODY).map(Parsed::Json),
            false => form::parse(body).map(Parsed::Form),
        }
        .map_err(unreadable)
    }

    fn is_login(&self, login: &PasswordLogin) -> Result<bool, String> {
        match (&login.when, self) {
            (None, _) => Ok(true),
            (Some(wanted), Parsed::Json(body)) => when::is_json_login(wanted, body),
            (Some(wanted), Parsed::Form(fields)) => when::is_form_login(wanted, fields),
        }
    }

    fn username(&self, login: &PasswordLogin) -> Result<Username, Fault> {
        let beside = Beside::new(login);
        let name = match (&login.username, self) {
            (UsernameField::Json(pointer), Parsed::Json(body)) => json::username(body, pointer, beside),
            (UsernameField::Form(field), Parsed::Form(fields)) => form::username(fields, field, beside),
            _ => Err("a body of the other kind".into()),
        }
        .map_err(unreadable)?;
        certain(&name).map_err(unreadable)?;
        Ok(Username(name))
    }
}

/// A name that every application takes as it is: trimming and normalisation lead nowhere else. Case mapping is judged
/// where it is known whether another user has the mapped name.
fn certain(name: &str) -> Result<(), &'static str> {
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

/// Fetch metadata and Origin: another site must not sign its visitors in as another user (login CSRF).
/// Programs send neither.
fn same_origin(head: &Head<'_>, origins: &[Origin]) -> Result<(), Fault> {
    let foreign = |why: String| Fault::new(Code::RequestInvalid, why).with_status(403);
    let site = once(head, "sec-fetch-site").map_err(|()| foreign("Sec-Fetch-Site twice".into()))?;
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        let site = String::from_utf8_lossy(site.unwrap_or_default()).escape_debug().to_string();
        return Err(foreign(format!("a password login with Sec-Fetch-Site {site}")));
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

/// What a login has to meet before its body counts.
fn sender(login: &PasswordLogin, origins: &[Origin], head: &Head<'_>) -> Result<(), Fault> {
    same_origin(head, origins)?;
    query(login, head)
}

fn query(login: &PasswordLogin, head: &Head<'_>) -> Result<(), Fault> {
    let Some(query) = head.query else { return Ok(()) };
    let wanted = beside::wanted(login);
    if form::query_has(query, &|name| names::collide(name, &wanted)) {
        return Err(unreadable("the username field in the query"));
    }
    let chooses = |name: &[String]| names::chooses(name);
    if head.method != b"POST" {
        return match form::query_has(query, &chooses) {
            true => Err(unreadable("a field by which an application could choose the account in the query")),
            false => Ok(()),
        };
    }
    let forbidden = |name: &[String]| names::password(name).is_some() || *name == names::path("_method");
    if form::query_has(query, &forbidden) {
        return Err(unreadable("a password in the query, or a field that changes the method"));
    }
    match &login.fields {
        Some(fields) => listed(query, fields),
        None if form::query_has(query, &chooses) => Err(unreadable(
            "a field by which an application could choose the account in the query; if the login has it, list it in \
             fields",
        )),
        None => Ok(()),
    }
}

/// With `fields`, the query of a POST holds nothing else either.
fn listed(query: &[u8], fields: &[String]) -> Result<(), Fault> {
    for pair in query.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let name = crate::http::form::decode(name).map_err(unreadable)?;
        let base = name.split('[').next().unwrap_or_default();
        if !fields.iter().any(|own| *own == name || own == base) {
            let name = beside::clipped(&name);
            return Err(unreadable(format!("a field in the query that fields does not list: {name}")));
        }
    }
    Ok(())
}

/// A field of `when` in the query: applications that read both could be told otherwise there.
fn when_query(logins: &[Rc<PasswordLogin>], head: &Head<'_>) -> Result<(), Fault> {
    let Some(query) = head.query else { return Ok(()) };
    let wanted: Vec<Vec<String>> =
        logins.iter().filter_map(|login| login.when.as_ref()).flat_map(paths).collect();
    match form::query_has(query, &|name| wanted.iter().any(|wanted| names::collide(name, wanted))) {
        true => Err(unreadable("a field of when in the query")),
        false => Ok(()),
    }
}

fn paths(when: &When) -> Vec<Vec<String>> {
    match when {
        When::Form(fields) => fields.iter().map(|(name, _)| names::path(name)).collect(),
        When::Json(fields) => fields.iter().map(|(pointer, _)| names::path(pointer)).collect(),
    }
}

/// One content type that these logins take: true for JSON, false for a form.
fn content(logins: &[Rc<PasswordLogin>], head: &Head<'_>) -> Result<bool, Fault> {
    if values(head, "content-encoding").next().is_some() {
        return Err(unsupported("a password login with a content-encoding"));
    }
    let value = once(head, "content-type").map_err(|()| unsupported("content-type twice"))?;
    let value =
        value.and_then(|v| std::str::from_utf8(v).ok()).ok_or_else(|| unsupported("no content-type"))?;
    let mut parts = value.split(';');
    let kind = parts.next().unwrap_or_default().trim_matches([' ', '\t']);
    let parameters: Vec<String> = parts.map(|p| p.trim_matches([' ', '\t']).to_ascii_lowercase()).collect();
    let charset = match parameters.as_slice() {
        [] => true,
        [one] => matches!(one.as_str(), "charset=utf-8" | "charset=\"utf-8\""),
        _ => false,
    };
    let is_json = kind.eq_ignore_ascii_case(JSON);
    let takes = logins.iter().any(|login| login.is_json() == is_json);
    if !charset || !takes || !is_json && !kind.eq_ignore_ascii_case(FORM) {
        let expected = match logins.iter().any(|login| login.is_json()) {
            true => JSON,
            false => FORM,
        };
        return Err(unsupported(format!("expected {expected} in UTF-8, found {}", beside::clipped(value))));
    }
    Ok(is_json)
}
