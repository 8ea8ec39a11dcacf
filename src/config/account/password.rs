//! Who may still use a password, and where the application takes one.

use std::rc::Rc;

use super::password_login::{self, PasswordLogin};
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
    /// Usernames that are administrators too.
    pub administrators: Vec<String>,
    /// The account's own administrators turned passwords off although they were told that none of them would be left: the
    /// operator's `administrators` may use theirs all the same.
    pub keeps_administrators: bool,
    /// Where the application takes passwords.
    pub logins: Vec<Rc<PasswordLogin>>,
    /// Its own password page.
    pub page: Option<String>,
    /// Failures a username has.
    pub attempts: AttemptLimit,
}

/// Failures a username has in a window.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct AttemptLimit {
    pub limit: u32,
    /// Milliseconds.
    pub window: u64,
}

impl Password {
    /// The mode as pages offer it: passwords that are off but for `administrators` are administrators' only.
    pub fn offered(&self) -> PasswordMode {
        match self.mode {
            PasswordMode::Disabled if self.keeps_administrators && !self.administrators.is_empty() => {
                PasswordMode::Admins
            }
            mode => mode,
        }
    }

    /// True if this user is one of `administrators`.
    pub fn names(&self, username: &str) -> bool {
        self.administrators.iter().any(|name| name == username)
    }

    /// The mode that a username is ruled by.
    pub fn mode_for(&self, username: &str) -> PasswordMode {
        match self.names(username) {
            true => self.offered(),
            false => self.mode,
        }
    }
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Password>, has_directory: bool) -> Password {
    let default = raw::Password::default();
    let raw = raw.unwrap_or(&default);
    let logins = password_login::check(&at.field("logins"), &raw.logins, has_directory);
    for (i, name) in raw.administrators.iter().enumerate() {
        if name.is_empty() || name.trim() != name {
            at.field("administrators").index(i).problem("expected a username without white space around it");
        }
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
        administrators: raw.administrators.clone(),
        keeps_administrators: false,
        logins: logins.into_iter().map(Rc::new).collect(),
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

/// What loads and rules on nothing, or is risky. `given`: the password section, if there is one.
pub(super) fn warn(at: &At<'_>, password: &Password, given: Option<&raw::Password>) {
    let Some(raw) = given else { return };
    let logins = at.field("logins");
    if password.logins.is_empty() && raw.logins.is_empty() {
        logins.warning(match password.mode {
            PasswordMode::Enabled => "is empty: a user who signs in with a password never gets a session",
            PasswordMode::Admins | PasswordMode::Disabled => {
                "is empty: password.mode rules on nothing, and passwords pass unread"
            }
        });
    }
    if raw.mode.is_none() && !raw.logins.is_empty() {
        at.field("mode").warning("is not set: it is disabled, so that every password login is refused");
    }
    for (i, login) in password.logins.iter().enumerate() {
        password_login::warn(&logins.index(i), login);
    }
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

/// True if a group of a provider makes an administrator.
fn grants_admin(password: &Password, mapping: &Mapping) -> bool {
    let is_admin = |role: &String| password.admin_roles.contains(role);
    !mapping.roles_claim.is_empty() && mapping.role_map.values().any(is_admin)
}

/// Warns of administrators that no sign-in can prove. A name that only a provider claims makes no administrator.
pub(super) fn warn_without_directory(at: &At<'_>, password: &Password, mapping: &Mapping) {
    if grants_admin(password, mapping) {
        return;
    }
    let mend = "add a directory, or grant one of admin_roles by mapping.roles_claim and mapping.role_map";
    let (by_name, by_role) = (!password.administrators.is_empty(), !password.admin_roles.is_empty());
    match password.mode {
        PasswordMode::Enabled if by_name => at.field("administrators").warning(format!(
            "count after a password login alone, for want of a directory: after single sign-on the administrators' page \
             answers 403; {mend}"
        )),
        _ if by_name => at.field("administrators").warning(format!(
            "have no effect without a directory and with passwords off: the administrators' page answers 403 to every user; {mend}"
        )),
        _ if by_role => at.field("admin_roles").warning(format!(
            "no user can have one of them: the administrators' page answers 403 to every user; {mend}"
        )),
        _ => {}
    }
}

/// Mode `admins` without a user who is one.
pub(super) fn has_admins(at: &At<'_>, password: &Password, directory: &Directory, mapping: &Mapping) {
    let Directory::Static(users) = directory else { return };
    let is_admin = |role: &String| password.admin_roles.contains(role);
    if !grants_admin(password, mapping)
        && password.administrators.is_empty()
        && !users.iter().any(|user| user.active && user.roles.iter().any(is_admin))
    {
        at.field("admin_roles")
            .warning("no active user of the directory has one of them: no user gets in by password");
    }
}

/// A password page behind single sign-on lets no user in.
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
