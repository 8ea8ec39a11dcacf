//! A server that cannot filter by `externalId`: it is asked by the mapped value alone.

use super::{is_unfilterable, request, send};
use crate::config::{Account, Scim};
use crate::directory::Cache;
use crate::fault::Fault;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;

/// A link that every server with such filters can be asked for.
const HARMLESS: &str = "envoy-sso";

/// A question for a link was refused: finds out whether the server refuses all of them, and remembers it.
///
/// One odd subject must not turn the lookup of links off for all others.
pub(super) async fn refused(io: &Io, account: &Account, server: &Scim, cache: &Cache) -> Result<(), Fault> {
    let filter = request::equals("externalId", HARMLESS);
    if !is_unfilterable(send(io, request::list(server, Some(&filter), 1, None)?).await?.status) {
        return Ok(());
    }
    cache.ask_no_links(account);
    // One line for all workers.
    let key = format!("sso.unlinked.{}", account.code);
    let (known, cas) = io.host().shared_get(&key);
    if known.is_none() && io.host().shared_set(&key, b"1", cas) {
        let place = Place { account: Some(&account.code), ..Place::default() };
        let reason = "the directory cannot filter by externalId: users are found by the mapped value alone, so that a \
                      changed address locks a user out; add the filter, or an index, to the directory";
        events::notice(io.host(), place, Level::Warn, reason);
    }
    Ok(())
}
