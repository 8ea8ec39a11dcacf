//! Who may use a password: the table of docs/directory.md.

use super::Username;
use crate::config::{Account, PasswordMode};
use crate::directory::{self, Cache, User, UserSource};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::identity::roles::Granted;

/// The request may go on; if the application accepts the password, this is who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// For the `password` session.
    pub user: User,
}

/// Rules on a username. The directory is asked anew each time: a remembered answer would let an
/// administrator in who was demoted a moment ago.
pub async fn rule(io: &Io, account: &Account, cache: &Cache, username: &Username) -> Result<Ruling, Fault> {
    let name = username.as_str();
    let found = match account.password.mode {
        PasswordMode::Disabled => {
            let detail = format!(
                "a password login as {name:?}: passwords are disabled for account {:?}",
                account.code
            );
            return Err(Fault::new(Code::PasswordDisabled, detail));
        }
        PasswordMode::Admins => directory::by_username(io, account, cache, name).await?,
        // Passwords go on working while the directory does not; the session has no roles then.
        PasswordMode::Enabled => match directory::by_username(io, account, cache, name).await {
            Err(fault) if fault.code != Code::DirectoryUnavailable => return Err(fault),
            found => found.unwrap_or(None),
        },
    };
    let known = found.map(|record| (record.active, User::of(&record, &account.mapping, Granted::default())));
    match (account.password.mode, known) {
        (PasswordMode::Enabled, Some((true, user))) => Ok(Ruling { user }),
        (PasswordMode::Enabled, Some((false, _))) => {
            Err(Fault::new(Code::UserInactive, format!("a password login as {name:?}, who is inactive")))
        }
        (PasswordMode::Enabled, None) => Ok(Ruling {
            user: User::without_record(
                name.to_owned(),
                UserSource::Application,
                Vec::new(),
                Granted::default(),
            ),
        }),
        (_, Some((true, user))) if account.is_admin(&user.roles) => Ok(Ruling { user }),
        // One refusal for all others: an answer must not tell who exists, or who is inactive.
        (_, known) => {
            let why = match known {
                None => "is unknown, or not the only one of that name",
                Some((false, _)) => "is inactive",
                Some(_) => "has none of password.admin_roles",
            };
            Err(Fault::new(Code::PasswordNotAllowed, format!("a password login as {name:?}, who {why}")))
        }
    }
}

/// True while a `password` session stands under the present mode, judged by the user's last known roles.
pub fn session_stands(account: &Account, user: &User) -> bool {
    match account.password.mode {
        PasswordMode::Enabled => true,
        PasswordMode::Admins => user.origin == UserSource::Directory && account.is_admin(&user.roles),
        PasswordMode::Disabled => false,
    }
}
