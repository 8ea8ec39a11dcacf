//! Who may use a password: the table of docs/directory.md.

use super::Username;
use crate::config::{Account, Attribute, Directory, PasswordMode};
use crate::directory::{self, Cache, Record, User, UserSource};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::identity::mapping::normalise_as;
use crate::identity::roles::Granted;
use crate::values::names::folded;

/// The request may go on; if the application accepts the password, this is who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// For the `password` session.
    pub user: User,
    /// Why the directory could not be asked, where the login goes on without it.
    pub without_directory: Option<String>,
}

/// What the directory says about a name that was typed in.
enum Found {
    /// This record, and no other.
    One(Box<Record>),
    /// No user of that name, and none whom an application could take for it.
    None,
    /// Several, or one of a name that is spelled otherwise: which one the application takes is not certain.
    Unclear,
    /// An inactive user whom the application may take the name for.
    Inactive,
}

/// Rules on a username. The directory is asked anew each time: a remembered answer would let an
/// administrator in who was demoted a moment ago.
pub async fn rule(
    io: &Io,
    account: &Account,
    cache: &Cache,
    attribute: Attribute,
    username: &Username,
) -> Result<Ruling, Fault> {
    rule_under(account.password.mode_for(username.as_str()), io, account, cache, attribute, username).await
}

/// The administrator whose name it is, if it certainly is one's.
pub async fn administrator(
    io: &Io,
    account: &Account,
    cache: &Cache,
    attribute: Attribute,
    username: &Username,
) -> Option<User> {
    let ruling = rule_under(PasswordMode::Admins, io, account, cache, attribute, username).await;
    ruling.ok().map(|ruling| ruling.user)
}

async fn rule_under(
    mode: PasswordMode,
    io: &Io,
    account: &Account,
    cache: &Cache,
    attribute: Attribute,
    username: &Username,
) -> Result<Ruling, Fault> {
    let name = username.as_str();
    if mode == PasswordMode::Disabled {
        let why = "passwords are disabled for account";
        let detail = format!("a password login as {name:?}: {why} {:?}", account.code);
        return Err(Fault::new(Code::PasswordDisabled, detail));
    }
    let found = match find(io, account, cache, attribute, name).await {
        Err(fault) if fault.code == Code::DirectoryUnavailable => {
            // Passwords go on working while the directory does not; so do those of the administrators by name.
            if mode == PasswordMode::Admins && !account.is_named_admin(name) {
                return Err(fault);
            }
            return Ok(Ruling { user: without_record(name), without_directory: Some(fault.detail) });
        }
        found => found?,
    };
    let refused =
        |code: Code, why: &str| Err(Fault::new(code, format!("a password login as {name:?}, who {why}")));
    let user = match found {
        Found::One(record) if record.active => User::of(&record, &account.mapping, Granted::default()),
        // One refusal for all others under `admins`: an answer must not tell who exists, or who is inactive.
        Found::One(_) | Found::Inactive if mode == PasswordMode::Admins => {
            return refused(Code::PasswordNotAllowed, "is inactive");
        }
        Found::One(_) | Found::Inactive => return refused(Code::UserInactive, "is inactive"),
        Found::Unclear if mode == PasswordMode::Admins => {
            return refused(Code::PasswordNotAllowed, "is not the only one of that name");
        }
        Found::None | Found::Unclear => without_record(name),
    };
    match mode {
        PasswordMode::Admins if !user.is_administrator(account) => {
            let why = match user.origin {
                UserSource::Directory => {
                    "has none of password.admin_roles and is not one of password.administrators"
                }
                _ => "is unknown",
            };
            refused(Code::PasswordNotAllowed, why)
        }
        _ => Ok(Ruling { user, without_directory: None }),
    }
}

fn without_record(name: &str) -> User {
    User::without_record(name.to_owned(), UserSource::Application, Vec::new(), Granted::default())
}

/// Finds the user whose field it is. An administrator's username counts whatever the field.
async fn find(
    io: &Io,
    account: &Account,
    cache: &Cache,
    attribute: Attribute,
    name: &str,
) -> Result<Found, Fault> {
    if let Directory::None = account.directory {
        return Ok(Found::None);
    }
    if attribute == Attribute::Username {
        let found = by_username(io, account, cache, name).await?;
        let mapped = account.mapping.attribute;
        let is_one = mapped != Attribute::Username && normalise_as(mapped, &account.mapping, name).is_some();
        if !matches!(found, Found::None) || !is_one {
            return Ok(found);
        }
        // An application that takes addresses in the field too would sign an inactive user in by one.
        let by_address = directory::by_attribute(io, account, cache, mapped, name).await?;
        return Ok(match only(by_address, |_| false) {
            Found::Inactive => Found::Inactive,
            _ => Found::None,
        });
    }
    let found = directory::by_attribute(io, account, cache, attribute, name).await?;
    match only(found, |record| !record.username.is_empty()) {
        Found::None => match by_username(io, account, cache, name).await? {
            Found::None => Ok(Found::None),
            found if account.is_named_admin(name) => Ok(found),
            // An application that takes both in one field signs that user in.
            Found::Inactive => Ok(Found::Inactive),
            Found::One(record) if !record.active => Ok(Found::Inactive),
            // But an address that is a stranger's username would open the stranger's session.
            _ if normalise_as(attribute, &account.mapping, name).is_none() => Ok(Found::Unclear),
            _ => {
                let why = "which is the username of a user with another one";
                let detail = format!("a password login by the {} {name:?}, {why}", attribute.as_str());
                Err(Fault::new(Code::PasswordNotAllowed, detail))
            }
        },
        found => Ok(found),
    }
}

/// Usernames compare exactly; where another user's name differs only in case the application might take one for the
/// other.
async fn by_username(io: &Io, account: &Account, cache: &Cache, name: &str) -> Result<Found, Fault> {
    let found = directory::like_username(io, account, cache, name).await?;
    if !is_case_stable(name) {
        // `ı` is `I` in upper case, and `i` after that: an application that maps case takes it for another name.
        let mapped = folded(&name.replace(DOTTED_I, "i"));
        let mapped = directory::like_username(io, account, cache, &mapped).await?;
        if found.iter().chain(&mapped).any(|record| record.username != name) {
            let why = "a username that case mapping would change into another user's";
            return Err(Fault::new(Code::UsernameUnreadable, why));
        }
    }
    Ok(only(found, |record| record.username == name))
}

/// The one record that it is, and what else an application could take the name for.
fn only(mut found: Vec<Record>, is_it: impl Fn(&Record) -> bool) -> Found {
    match found.as_slice() {
        [] => Found::None,
        [one] if is_it(one) => found.pop().map_or(Found::None, |record| Found::One(record.into())),
        several if several.iter().any(|record| is_it(record) && record.active) => Found::Unclear,
        several if several.iter().any(|record| !record.active) => Found::Inactive,
        _ => Found::Unclear,
    }
}

/// `İ` is `i` in lower case by Unicode's simple mapping, as Go, Java's `equalsIgnoreCase` and the C library have it, and
/// `i` with a dot above by the full one.
const DOTTED_I: char = '\u{130}';

/// True where mapping to upper case and back changes nothing but case.
fn is_case_stable(name: &str) -> bool {
    if name.contains(DOTTED_I) {
        return false;
    }
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let upper = name.chars().flat_map(char::to_uppercase).collect::<String>();
    lower(&upper) == lower(name)
}

/// True while a `password` session stands under the present mode, judged by the user's last known roles. While single
/// sign-on is off it is an administrator's, who prepares it.
pub fn session_stands(account: &Account, user: &User) -> bool {
    let mode = if account.enabled { account.password.mode_for(&user.username) } else { PasswordMode::Admins };
    match mode {
        PasswordMode::Enabled => true,
        PasswordMode::Admins => match user.origin {
            UserSource::Directory => user.is_administrator(account),
            UserSource::Application => account.is_named_admin(&user.username),
            UserSource::Session | UserSource::Identity => false,
        },
        PasswordMode::Disabled => false,
    }
}
