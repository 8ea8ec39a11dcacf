//! Who may still use a password, and where the application takes one.

use std::collections::HashSet;
use std::rc::Rc;

use super::success::{accepted, Success};
use super::{plain_path, Directory, Mapping};
use crate::access::{demand, AccessRule, Demand};
use crate::config::duration;
use crate::config::paths::Paths;
use crate::config::problems::At;
use crate::config::raw::{self, PasswordMode};
use crate::http::Path;

/// The password rule.
#[derive(Clone, Debug)]
pub struct Password {
    /// enabled, admins, disabled.
    pub mode: PasswordMode,
    /// The roles that make an administrator.
    pub admin_roles: Vec<String>,
    /// Where the application takes passwords.
    pub logins: Vec<Rc<PasswordLogin>>,
    /// Its own password page.
    pub page: Option<String>,
    /// Failures a username has.
    pub attempts: AttemptLimit,
}

/// A request that carries a password.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// Exact path.
    pub path: String,
    /// Where the username is.
    pub username: UsernameField,
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

/// Failures a username has in a window.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct AttemptLimit {
    pub limit: u32,
    /// Milliseconds.
    pub window: u64,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Password>) -> Password {
    let default = raw::Password::default();
    let raw = raw.unwrap_or(&default);
    let mut paths = HashSet::new();
    let mut logins = Vec::new();
    for (i, login) in raw.logins.iter().enumerate() {
        let at = at.field("logins").index(i);
        plain_path(&at.field("path"), &login.path);
        if !paths.insert(login.path.as_str()) {
            at.field("path").problem(format!("{:?} is another login's already", login.path));
        }
        let username = match (&login.username.json, &login.username.form) {
            (Some(pointer), None) if pointer.starts_with('/') => UsernameField::Json(pointer.clone()),
            (None, Some(field)) if !field.is_empty() => UsernameField::Form(field.clone()),
            (Some(_), None) => {
                at.field("username").field("json").problem("expected a JSON Pointer such as /username");
                continue;
            }
            _ => {
                at.field("username").problem("expected exactly one of json and form");
                continue;
            }
        };
        let success = success(&at.field("success"), &login.success.clone().unwrap_or_default());
        logins.push(Rc::new(PasswordLogin { path: login.path.clone(), username, success }));
    }
    if let Some(page) = &raw.page {
        plain_path(&at.field("page"), page);
    }
    let attempts = raw.attempts.clone().unwrap_or_default();
    let limit = attempts.limit.unwrap_or(10);
    if !(1..=1000).contains(&limit) {
        at.field("attempts").field("limit").problem("expected a number from 1 to 1000");
    }
    Password {
        mode: raw.mode.unwrap_or_default(),
        admin_roles: raw.admin_roles.clone(),
        logins,
        page: raw.page.clone(),
        attempts: AttemptLimit {
            limit,
            window: duration::field(
                &at.field("attempts"),
                "window",
                &attempts.window,
                300_000,
                (1_000, 86_400_000),
            ),
        },
    }
}

/// What no answer can be would make every login a failed one, and after some of them a locked name.
fn success(at: &At<'_>, raw: &raw::Success) -> Success {
    let success =
        Success { status: raw.status.clone(), cookie: raw.cookie.clone(), redirect: raw.redirect.clone() };
    for (i, status) in raw.status.iter().enumerate() {
        let at = at.field("status").index(i);
        if !(200..=599).contains(status) {
            at.problem("expected an HTTP status");
        } else if raw.redirect.is_some() && !(300..400).contains(status) {
            at.problem(format!("{status} is no redirect: expected 3xx, or success without redirect"));
        }
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"=;,\"".contains(&b));
    if raw.cookie.as_deref().is_some_and(|name| !is_name(name)) {
        at.field("cookie").problem("expected a cookie's name");
    }
    if let Some(to) = &raw.redirect {
        // It must hold for itself.
        let alone = Success { redirect: Some(to.clone()), ..Success::default() };
        let location = to.strip_suffix('*').unwrap_or(to).as_bytes().to_vec();
        if !accepted(&alone, 302, &[("location".into(), location)], 0) {
            at.field("redirect").problem(format!(
                "no answer can lead there: expected a path such as /home or /home*, as it stands in a browser's \
                 address, found {to:?}"
            ));
        }
    }
    success
}

/// At the filter's own endpoints it is the filter that answers, and the application never sees a password.
pub(super) fn apart(at: &At<'_>, password: &Password, paths: &Paths) {
    let own = |at: At<'_>, path: &str| {
        if let Some(endpoint) = paths.endpoint(path) {
            at.problem(format!("{path} is the filter's own {}", endpoint.name()));
        }
    };
    for (i, login) in password.logins.iter().enumerate() {
        own(at.field("logins").index(i).field("path"), &login.path);
    }
    if let Some(page) = &password.page {
        own(at.field("page"), page);
    }
}

/// Mode `admins` with nobody who is one.
pub(super) fn has_admins(at: &At<'_>, password: &Password, directory: &Directory, mapping: &Mapping) {
    let Directory::Static(users) = directory else { return };
    let is_admin = |role: &String| password.admin_roles.contains(role);
    let granted = !mapping.roles_claim.is_empty() && mapping.role_map.values().any(is_admin);
    if !granted && !users.iter().any(|user| user.active && user.roles.iter().any(is_admin)) {
        at.field("admin_roles")
            .warning("no active user of the directory has one of them: nobody gets in by password");
    }
}

/// A password page behind single sign-on is no way in.
pub(super) fn reachable(at: &At<'_>, password: &Password, access: &[AccessRule]) {
    let Some(page) = password.page.as_ref().filter(|_| password.mode != PasswordMode::Disabled) else {
        return;
    };
    let is_login = password.logins.iter().any(|login| login.path == *page);
    let path = Path::read(page.as_bytes());
    if !is_login
        && matches!(demand(access, &path, page.as_bytes(), b"GET"), Demand::Users(_) | Demand::OtherMethod(_))
    {
        at.warning(format!(
            "leads to single sign-on: access needs {{ path: {page}, allow: anyone }} for people to reach it"
        ));
    }
}
