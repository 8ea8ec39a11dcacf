//! The record that an identity matches, and whether it may sign in as it.

use super::scim::link;
use super::{lookup, seen, Cache, Record, User};
use crate::config::{Account, Directory};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::identity::{claim, mapping, roles, Identity, Linking, Mapped};
use crate::values::email;

/// The user whom the mapped value leads to, `None` where nobody matches.
pub(super) async fn existing(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
    mapped: &Mapped,
) -> Result<Option<User>, Fault> {
    let found = lookup::by_mapped(io, account, cache, mapped).await?;
    let Some(record) = one(account, mapped, found)? else { return Ok(None) };
    check(account, identity, &record)?;
    if let Directory::Scim(server) = &account.directory {
        let unlinked = record.external_id.as_deref().unwrap_or_default().is_empty();
        if let Some(link) = identity.link().filter(|_| unlinked) {
            link::link(io, account, server, &record, &link).await;
        }
        cache.forget(account, &record.username);
    }
    Ok(Some(signed_in(io, account, identity, &record)))
}

/// The user of a record that passed every check.
pub(super) fn signed_in(io: &Io, account: &Account, identity: &Identity, record: &Record) -> User {
    let claim_roles = roles::from_claims(&account.mapping, &identity.claims);
    seen::mark(io.host(), account, &record.username, &claim_roles);
    let mut user = User::of(record, &account.mapping, claim_roles);
    if user.name.is_none() {
        user.name = name(identity);
    }
    user
}

/// The only one, `None` where there is none; several are a refusal: signing in one of them would be a guess.
pub(super) fn one(account: &Account, mapped: &Mapped, found: Vec<Record>) -> Result<Option<Record>, Fault> {
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().take(5).map(|r| r.username.as_str()).collect();
        let detail = format!(
            "{} {:?} leads to {} users: {}, …",
            mapped.attribute.as_str(),
            mapped.value,
            found.len(),
            names.join(", ")
        );
        return Err(Fault::new(Code::IdentityAmbiguous, detail).about(&account.mapping.claim));
    }
    Ok(found.into_iter().next())
}

/// May this identity sign in as this record?
pub(super) fn check(account: &Account, identity: &Identity, record: &Record) -> Result<(), Fault> {
    if record.username.is_empty() {
        return Err(super::unavailable(format!("the user {:?} has no userName", record.id)));
    }
    if !record.active {
        let detail = format!("{:?} of account {:?} is inactive", record.username, account.code);
        return Err(Fault::new(Code::UserInactive, detail));
    }
    // An email that was given to a new person must not open the account of the one who had it before.
    let linked = record
        .external_id
        .as_deref()
        .and_then(|link| link.strip_prefix(identity.issuer.as_str())?.strip_prefix('|'));
    match linked {
        Some(subject) if subject != identity.subject && identity.linking != Linking::Unknown => {
            let detail = format!(
                "{:?} is linked to subject {subject:?} of {}, not to {:?}",
                record.username, identity.issuer, identity.subject
            );
            Err(Fault::new(Code::IdentityConflict, detail))
        }
        _ => Ok(()),
    }
}

/// The name an identity brings.
pub(super) fn name(identity: &Identity) -> Option<String> {
    text(identity, "name").map(|name| super::record::short(&name))
}

pub(super) fn text(identity: &Identity, name: &str) -> Option<String> {
    let text = mapping::text(identity.source, claim(&identity.claims, name)?)?.trim();
    (!text.is_empty() && text.len() <= 1_024).then(|| text.to_owned())
}

/// Nobody matches, and nobody is made.
pub(super) fn unknown(account: &Account, mapped: &Mapped, why: &str) -> Fault {
    let shown = match email::normalise(&mapped.value) {
        Some(_) => mapped.value.clone(),
        None => format!("{:?}", mapped.value),
    };
    let detail =
        format!("no user of account {:?} has the {} {shown}: {why}", account.code, mapped.attribute.as_str());
    Fault::new(Code::IdentityUnknown, detail)
}
