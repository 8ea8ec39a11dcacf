//! A session's user, asked about again after `recheck`.

use super::{lookup, provision, Cache, Record, User, UserSource};
use crate::config::{Account, Directory, PasswordMode, ProvisioningMode};
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::roles;
use crate::values::email;

/// The user as the directory has it now; `None` where it is inactive or gone, and the session ends. Where
/// the directory cannot be asked the fault is `directory_unavailable`: the session goes on unchanged for
/// `recheck_grace`, never with more than it had.
pub async fn recheck(io: &Io, account: &Account, cache: &Cache, user: &User) -> Result<Option<User>, Fault> {
    // What the identity brought counts as far as the present configuration still lets it.
    let claim_roles: Vec<String> = user
        .claim_roles
        .iter()
        .filter(|role| account.mapping.role_map.values().any(|r| r == *role))
        .cloned()
        .collect();
    let server = match &account.directory {
        Directory::None => {
            // A directory that was taken away takes its roles along.
            let roles = roles::union(claim_roles.iter().cloned(), []);
            let stays = matches!(user.origin, UserSource::Identity | UserSource::Application);
            return Ok(stays.then(|| user.with_roles(roles, claim_roles)));
        }
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
        // Two of one name: nobody can say whose session it is.
        _ => return Ok(None),
    };
    match record {
        Some(record) if !record.active => Ok(None),
        Some(record) => {
            let mut fresh = User::of(record, &account.mapping, claim_roles);
            fresh.name = fresh.name.or_else(|| user.name.clone());
            Ok(Some(fresh))
        }
        None => Ok(without_record(account, user, found.is_empty(), claim_roles)),
    }
}

/// A user whom the directory does not have stays where none was needed to begin with.
fn without_record(account: &Account, user: &User, name_free: bool, claim_roles: Vec<String>) -> Option<User> {
    let directory_roles = match user.origin {
        UserSource::Session if name_free => still_provisioned(account, user)?,
        UserSource::Application if account.password.mode == PasswordMode::Enabled => Vec::new(),
        _ => return None,
    };
    let roles = roles::union(directory_roles, claim_roles.iter().cloned());
    Some(user.with_roles(roles, claim_roles))
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
