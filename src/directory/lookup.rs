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

/// Every record that is linked to this issuer and subject, inactive users too. None if the directory cannot be asked for
/// links: then the mapped value leads to the record, whose link is compared.
pub(super) async fn by_link(
    io: &Io,
    account: &Account,
    cache: &Cache,
    link: &str,
) -> Result<Vec<Record>, Fault> {
    match &account.directory {
        Directory::None => Ok(Vec::new()),
        Directory::Static(users) => Ok(cache.index(account, users).by_link(users, link)),
        Directory::Scim(_) if cache.cannot_filter_links(account) => Ok(Vec::new()),
        Directory::Scim(server) => scim::find(io, account, server, cache, Wanted::Link(link)).await,
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

/// The one user of that name, for rulings on passwords. Names compare exactly; if another user's name differs only in case,
/// the application might take one for the other, so the name counts as unknown.
///
/// An inactive user whose name differs only in case is returned: the application may sign that user in.
pub async fn by_username(
    io: &Io,
    account: &Account,
    cache: &Cache,
    username: &str,
) -> Result<Option<Record>, Fault> {
    Ok(only(like_username(io, account, cache, username).await?, username))
}

fn only(found: Vec<Record>, username: &str) -> Option<Record> {
    let is_exact = |record: &Record| record.username == username;
    match found.as_slice() {
        [one] if is_exact(one) => found.into_iter().next(),
        several if several.iter().any(|record| is_exact(record) && record.active) => None,
        _ => found.into_iter().find(|record| !record.active),
    }
}
