//! A session's user, asked about again after `recheck`.

use super::{lookup, provision, Cache, Record, User, UserSource};
use crate::config::{Account, Attribute, Directory, PasswordMode, ProvisioningMode};
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::roles::Granted;
use crate::values::email;

/// The user as the directory has it now; `None` where it is inactive or gone, and the session ends. Where
/// the directory cannot be asked the fault is `directory_unavailable`: the session goes on unchanged for
/// `recheck_grace`, never with more than it had.
pub async fn recheck(io: &Io, account: &Account, cache: &Cache, user: &User) -> Result<Option<User>, Fault> {
    let granted = user.granted(&account.mapping);
    let server = match &account.directory {
        Directory::None => return Ok(without_directory(account, user)),
        Directory::Static(_) => None,
        Directory::Scim(server) => Some(server),
    };
    let remembered = server.and_then(|s| cache.answer(account, &user.username, io.now(), s.cache));
    let found = match remembered {
        Some(found) => found,
        None => lookup::like_username(io, account, cache, &user.username).await?,
    };
    let mut same = found.iter().filter(|record| {
        record.username == user.username && (user.directory_id.is_none() || record.id == user.directory_id)
    });
    let record: Option<&Record> = match (same.next(), same.next()) {
        (record, None) => record,
        // Two of one name: it is not certain whose session it is.
        _ => return Ok(None),
    };
    let record =
        record.filter(|_| user.origin != UserSource::Application || is_certain(account, user, &found));
    match record {
        Some(record) if !record.active => Ok(None),
        Some(record) => {
            let mut fresh = User::of(record, &account.mapping, granted);
            fresh.name = fresh.name.or_else(|| user.name.clone());
            Ok(Some(fresh))
        }
        None => Ok(without_record(account, user, &found, granted)),
    }
}

/// True if the record of the name is certainly the user whom the application signed in, as the login would have it: the only
/// one of the name in any case, and what was typed is a username. Else the session would get the roles that its login was
/// refused.
fn is_certain(account: &Account, user: &User, like: &[Record]) -> bool {
    let logins = &account.password.logins;
    let by_username = !logins.is_empty() && logins.iter().all(|login| login.attribute == Attribute::Username);
    like.len() == 1 && (by_username || account.is_named_admin(&user.username))
}

/// The user as the configuration of today has them, in an account without a directory; `None`: the session ends. A directory
/// that was taken away takes its users along.
pub fn without_directory(account: &Account, user: &User) -> Option<User> {
    let stays = matches!(user.origin, UserSource::Identity | UserSource::Application);
    stays.then(|| user.with_roles(Vec::new(), user.granted(&account.mapping)))
}

/// A user whom the directory does not have stays where none was needed to begin with.
fn without_record(account: &Account, user: &User, like: &[Record], granted: Granted) -> Option<User> {
    let directory_roles = match user.origin {
        UserSource::Session if like.is_empty() => still_provisioned(account, user)?,
        // The application may take one spelling for the other: a session never stays as an inactive user.
        UserSource::Application
            if account.password.mode == PasswordMode::Enabled && like.iter().all(|record| record.active) =>
        {
            Vec::new()
        }
        UserSource::Application if like.is_empty() && account.is_named_admin(&user.username) => Vec::new(),
        _ => return None,
    };
    Some(user.with_roles(directory_roles, granted))
}

/// The roles of a user made for this session, where provisioning would still make it.
fn still_provisioned(account: &Account, user: &User) -> Option<Vec<String>> {
    let address = email::normalise(user.email.as_deref()?)?;
    let roles = match account.provisioning.mode {
        ProvisioningMode::Off => None,
        ProvisioningMode::Invited => provision::invited(account, &address),
        ProvisioningMode::Automatic => provision::let_in(account, &address),
    };
    roles.map(<[String]>::to_vec)
}
