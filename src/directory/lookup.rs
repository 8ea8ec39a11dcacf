//! Finding records, in whatever directory an account has.

use super::scim::{self, Wanted};
use super::{Cache, Record};
use crate::config::{Account, Attribute, Directory};
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::{mapping, Mapped};

/// All users whom the mapped value leads to, inactive users too: uniqueness counts them.
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

/// All users whom a name leads to that was typed in at a password login, where the name is that field of the
/// directory; inactive users too.
pub async fn by_attribute(
    io: &Io,
    account: &Account,
    cache: &Cache,
    attribute: Attribute,
    typed: &str,
) -> Result<Vec<Record>, Fault> {
    if attribute == Attribute::Username {
        return like_username(io, account, cache, typed).await;
    }
    let Some(value) = mapping::normalise_as(attribute, &account.mapping, typed) else {
        return Ok(Vec::new());
    };
    match &account.directory {
        Directory::None => Ok(Vec::new()),
        Directory::Static(users) => Ok(cache.index_by(account, users, attribute).by_value(users, &value)),
        Directory::Scim(server) => {
            let mapped = Mapped { attribute, value };
            scim::find(io, account, server, cache, Wanted::Mapped(&mapped)).await
        }
    }
}

/// All users whose username could be taken for this one: equal but for case and compatibility forms.
pub async fn like_username(
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
