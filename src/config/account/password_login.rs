//! One password login of the application: which requests it takes, and where the username is.

use serde_json::Value;

use super::plain_path;
use super::success::{self, Success};
use crate::config::problems::At;
use crate::config::raw::{self, Attribute};

/// A request that carries a password.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// Exact path.
    pub path: String,
    /// The fields that make a body a login; `None`: every body.
    pub when: Option<When>,
    /// Where the username is.
    pub username: UsernameField,
    /// The directory field that the username is.
    pub attribute: Attribute,
    /// The top-level fields that there may be; `None`: any by which no application could choose the account.
    pub fields: Option<Vec<String>>,
    /// What an accepted password looks like.
    pub success: Success,
}

/// Where the username is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameField {
    /// A JSON Pointer (RFC 6901).
    Json(String),
    /// A form field's name.
    Form(String),
}

/// Fields with their values, by which a body is told from others at the same path.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// By JSON Pointer.
    Json(Vec<(String, Value)>),
    /// By name.
    Form(Vec<(String, String)>),
}

impl PasswordLogin {
    /// A login of any body whose username is there; for tests and fuzzing.
    pub fn plain(path: &str, username: UsernameField) -> Self {
        Self {
            path: path.to_owned(),
            when: None,
            username,
            attribute: Attribute::Username,
            fields: None,
            success: Success::default(),
        }
    }

    /// True where the body is JSON; a form otherwise.
    pub fn is_json(&self) -> bool {
        matches!(self.username, UsernameField::Json(_))
    }
}

/// Checks all logins of an account. `None` in the list stands for one that cannot be used.
pub(super) fn check(at: &At<'_>, raw: &[raw::PasswordLogin], has_directory: bool) -> Vec<PasswordLogin> {
    let mut logins: Vec<PasswordLogin> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let at = at.index(i);
        let Some(login) = check_one(&at, raw, has_directory) else { continue };
        for other in logins.iter().filter(|other| other.path == login.path) {
            let path = at.field("path");
            match (&other.when, &login.when) {
                (Some(_), Some(_)) if other.when == login.when => {
                    at.field("when").problem(format!("is another login's of {:?} already", login.path));
                }
                (Some(_), Some(_)) => {}
                _ => path.problem(format!(
                    "{:?} is another login's already; logins that share a path need a when each",
                    login.path
                )),
            }
        }
        logins.push(login);
    }
    logins
}

fn check_one(at: &At<'_>, raw: &raw::PasswordLogin, has_directory: bool) -> Option<PasswordLogin> {
    plain_path(&at.field("path"), &raw.path);
    let success = success::check(&at.field("success"), raw.success.as_ref());
    let when = raw.when.as_ref().and_then(|raw| when(&at.field("when"), raw));
    let place = at.field("username");
    let username = match (&raw.username.json, &raw.username.form) {
        (Some(pointer), None) if pointer.starts_with('/') => UsernameField::Json(pointer.clone()),
        (None, Some(field)) if !field.is_empty() => UsernameField::Form(field.clone()),
        (Some(_), None) => {
            place.field("json").problem("expected a JSON Pointer such as /username");
            return None;
        }
        _ => {
            place.problem("expected exactly one of json and form");
            return None;
        }
    };
    match (&when, &username) {
        (Some(When::Json(_)), UsernameField::Form(_)) | (Some(When::Form(_)), UsernameField::Json(_)) => {
            at.field("when").problem("expected the kind of body that the username is in: json or form");
        }
        _ => {}
    }
    let attribute = raw.username.attribute.unwrap_or(Attribute::Username);
    if attribute != Attribute::Username && !has_directory {
        place.field("attribute").problem(format!(
            "{} needs a directory: without one no username is found by it",
            attribute.as_str()
        ));
    }
    if let Some(fields) = &raw.fields {
        let own = top_level(&username);
        if !own.iter().any(|name| fields.contains(name)) {
            at.field("fields")
                .problem(format!("expected the username's field {:?} among them", own.concat()));
        }
    }
    Some(PasswordLogin {
        path: raw.path.clone(),
        when,
        username,
        attribute,
        fields: raw.fields.clone(),
        success,
    })
}

/// The names under which `fields` may list the username's field: of `user[name]` that, or `user`.
fn top_level(username: &UsernameField) -> Vec<String> {
    match username {
        UsernameField::Json(pointer) => {
            let first = pointer.split('/').nth(1).unwrap_or_default();
            vec![first.replace("~1", "/").replace("~0", "~")]
        }
        UsernameField::Form(field) => match field.split_once('[') {
            Some((base, _)) => vec![base.to_owned(), field.clone()],
            None => vec![field.clone()],
        },
    }
}

fn when(at: &At<'_>, raw: &raw::LoginWhen) -> Option<When> {
    match (raw.form.is_empty(), raw.json.is_empty()) {
        (false, true) => Some(When::Form(raw.form.iter().map(|(k, v)| (k.clone(), v.clone())).collect())),
        (true, false) => {
            for (pointer, value) in &raw.json {
                let at = at.field("json").field(pointer);
                if !pointer.starts_with('/') {
                    at.problem("expected a JSON Pointer such as /grant_type");
                }
                if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                    at.problem("expected text, a number, true or false");
                }
            }
            Some(When::Json(raw.json.iter().map(|(k, v)| (k.clone(), v.clone())).collect()))
        }
        _ => {
            at.problem("expected exactly one of form and json, with at least one field");
            None
        }
    }
}

/// What loads and is risky: shapes by which a wrong password could look like a right one, or another account than
/// the one that was ruled on could be signed in.
pub(super) fn warn(at: &At<'_>, login: &PasswordLogin) {
    let success = &login.success;
    let no_more = success.redirect.is_none() && success.redirect_not.is_none() && success.json.is_none();
    if no_more && success.cookie.is_none() && !success.status.is_empty() && !login.is_json() {
        at.field("success").warning(
            "status alone: many applications answer a wrong password in a form with 200 and the form again; add \
             cookie, redirect or redirect_not",
        );
    }
    if no_more && success.cookie.is_some() && success.status.is_empty() {
        at.field("success").warning(
            "cookie alone: many applications set their session cookie after a wrong password too; add status, \
             redirect, redirect_not or json",
        );
    }
    if login.fields.is_none() {
        at.field("fields").warning(
            "is not set: list the fields that the login has, so that no other one chooses the account",
        );
    }
    let path = login.path.to_ascii_lowercase();
    if ["graphql", "gql", "jsonrpc", "json-rpc", "xmlrpc"].iter().any(|word| path.contains(word)) {
        at.field("path").warning(
            "looks like an endpoint of many operations (GraphQL, JSON-RPC): the rule reads one field of the body and \
             cannot see which operations it holds; see docs/passwords.md",
        );
    }
}
