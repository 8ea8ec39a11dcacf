//! Finding records, in whatever directory an account has.

use super::scim::{self, Wanted};
use super::{Cache, Record};
use crate::config::{Account, Directory};
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::Mapped;

/// Everybody whom the mapped value leads to, inactive users too: uniqueness counts them.
pub(super) async fn by_mapped(
    io: &Io,
    account: &Account,
    cache: &Cache,
    mapped: &Mapped,
) -> Result<Vec<Record>, Fault> {
    match &account.directory {
        Directory::None => Ok(Vec::new()),
        Directory::Static(users) => Ok(cache.index(account, users).by_value(users, &mapped.value)),
        Directory::Scim(server) => scim::find(io, account, server, cache, Wanted::Mapped(mapped)).await,
    }
}

/// Everybody whose username could be taken for this one: equal but for case and compatibility forms.
pub(super) async fn like_username(
    io: &Io,
    account: &Account,
    cache: &Cache,
    username: &str,
) -> Result<Vec<Record>, Fault> {
    match &account.directory {
        Directory::None => Ok(Vec::new()),
        Directory::Static(users) => Ok(cache.index(account, users).by_username(users, username)),
        Directory::Scim(server) => {
            let found = scim::find(io, account, server, cache, Wanted::Username(username)).await?;
            cache.remember(account, username, io.now(), server.cache, &found);
            Ok(found)
        }
    }
}

/// The one user of that name, for rulings on passwords. Names compare exactly; where another user's name
/// differs only in case the application might take one for the other, so it counts as nobody's.
pub async fn by_username(
    io: &Io,
    account: &Account,
    cache: &Cache,
    username: &str,
) -> Result<Option<Record>, Fault> {
    Ok(only(like_username(io, account, cache, username).await?, username))
}

fn only(found: Vec<Record>, username: &str) -> Option<Record> {
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(record), None) if record.username == username => Some(record),
        _ => None,
    }
}
