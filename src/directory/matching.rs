//! The record that an identity matches, and whether it may sign in as it.

use super::scim::link;
use super::{lookup, seen, Cache, Record, User};
use crate::config::{Account, Directory, Link};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::identity::{claim, mapping, roles, Identity, Issuers, Linking, Mapped};
use crate::values::email;

/// Refuses an identity that its provider may not speak for.
pub(super) fn allowed(account: &Account, identity: &Identity) -> Result<(), Fault> {
    match account.provider(&identity.provider) {
        Some(provider) => mapping::confined(&account.mapping, provider, identity),
        None => Ok(()),
    }
}

/// The user whom issuer and subject lead to, else the one whom the mapped value leads to; `None` if there is none.
///
/// Issuer and subject are the one lasting name of a person (OpenID Connect Core section 5.7): an address that changes, or
/// that another user claims, neither locks the person out nor opens another's account.
pub(super) async fn existing(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
    mapped: &Result<Mapped, Fault>,
) -> Result<Option<User>, Fault> {
    if let Err(fault) = mapped {
        if fault.code == Code::EmailUnverified {
            return Err(fault.clone());
        }
    }
    if let Some(record) = linked(io, account, cache, identity).await? {
        mapping::check_verified(&account.mapping, identity)?;
        can_sign_in(account, &record)?;
        note_difference(io, account, identity, mapped, &record);
        cache.forget(account, &record.username);
        return Ok(Some(signed_in(io, account, identity, &record)));
    }
    let mapped = mapped.as_ref().map_err(Fault::clone)?;
    let found = lookup::by_mapped(io, account, cache, mapped).await?;
    let Some(record) = one(account, mapped, found)? else { return Ok(None) };
    check(account, cache.issuers(), identity, &record)?;
    if let Directory::Scim(server) = &account.directory {
        let unlinked = record.external_id.as_deref().unwrap_or_default().is_empty();
        if let Some(link) = identity.link().filter(|_| unlinked && !account.is_draft) {
            link::link(io, account, server, &record, &link).await;
        }
        cache.forget(account, &record.username);
    }
    Ok(Some(signed_in(io, account, identity, &record)))
}

/// The record that is linked to this issuer and subject.
async fn linked(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
) -> Result<Option<Record>, Fault> {
    let Some(link) = identity.lasting_link() else { return Ok(None) };
    let mut found = lookup::by_link(io, account, cache, &link).await?;
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().take(5).map(|record| record.username.as_str()).collect();
        let detail = format!(
            "{:?} of {} is linked to {} users: {}",
            identity.subject,
            identity.issuer,
            found.len(),
            names.join(", ")
        );
        return Err(Fault::new(Code::IdentityConflict, detail));
    }
    Ok(found.pop())
}

/// The link wins over another mapped value: the operator should know, and mend one of the two.
fn note_difference(
    io: &Io,
    account: &Account,
    identity: &Identity,
    mapped: &Result<Mapped, Fault>,
    record: &Record,
) {
    let why = match mapped {
        Ok(mapped) if record.matches(&account.mapping, mapped) => return,
        Ok(_) => "is not that of the directory",
        Err(_) => "cannot be read",
    };
    let place = Place {
        account: Some(&account.code),
        provider: Some(&identity.provider),
        user: Some(&record.username),
        ..Place::default()
    };
    let reason =
        format!("found by its link to issuer and subject: the mapped {} {why}", account.mapping.claim);
    events::notice(io.host(), place, Level::Warn, &reason);
}

/// The user of a record that passed every check.
pub(super) fn signed_in(io: &Io, account: &Account, identity: &Identity, record: &Record) -> User {
    let granted = roles::from_claims(&account.mapping, &identity.claims);
    if !account.is_draft {
        seen::mark(io.host(), account, &record.username, &granted.roles);
    }
    let mut user = User::of(record, &account.mapping, granted);
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

/// Refuses a record that signs no user in.
fn can_sign_in(account: &Account, record: &Record) -> Result<(), Fault> {
    if record.username.is_empty() {
        return Err(super::unavailable(format!("the user {:?} has no userName", record.id)));
    }
    if !record.active {
        let detail = format!("{:?} of account {:?} is inactive", record.username, account.code);
        return Err(Fault::new(Code::UserInactive, detail));
    }
    Ok(())
}

/// Refuses a record that this identity may not sign in as: one that signs no user in, or is linked to another identity.
pub(super) fn check(
    account: &Account,
    issuers: &Issuers,
    identity: &Identity,
    record: &Record,
) -> Result<(), Fault> {
    can_sign_in(account, record)?;
    if account.mapping.link == Link::First {
        if let Some(other) = other_provider(account, issuers, identity, record) {
            let detail = format!(
                "{:?} is linked to provider {other:?}, and mapping.link does not let {:?} sign it in",
                record.username, identity.provider
            );
            return Err(Fault::new(Code::IdentityConflict, detail));
        }
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

/// The other provider of the account that a record is linked to. A link to an issuer that no provider has is not an obstacle.
fn other_provider<'a>(
    account: &'a Account,
    issuers: &Issuers,
    identity: &Identity,
    record: &Record,
) -> Option<&'a str> {
    let link = record.external_id.as_deref()?;
    let own = account.provider(&identity.provider);
    // An issuer may hold a bar itself.
    link.match_indices('|').filter_map(|(at, _)| link.get(..at)).find_map(|issuer| {
        if issuer == identity.issuer || own.is_some_and(|own| issuers.is_of(own, issuer) == Some(true)) {
            return None;
        }
        let mut others = account.providers.iter().filter(|other| other.id != identity.provider);
        others.find(|other| issuers.is_of(other, issuer) == Some(true)).map(|other| other.id.as_str())
    })
}

/// The name an identity brings.
pub(super) fn name(identity: &Identity) -> Option<String> {
    text(identity, "name").map(|name| super::record::short(&name))
}

pub(super) fn text(identity: &Identity, name: &str) -> Option<String> {
    let text = mapping::text(identity.source, claim(&identity.claims, name)?)?.trim();
    (!text.is_empty() && text.len() <= 1_024).then(|| text.to_owned())
}

/// No user matches, and none is created.
pub(super) fn unknown(account: &Account, mapped: &Mapped, why: &str) -> Fault {
    let shown = match email::normalise(&mapped.value) {
        Some(_) => mapped.value.clone(),
        None => format!("{:?}", mapped.value),
    };
    let detail =
        format!("no user of account {:?} has the {} {shown}: {why}", account.code, mapped.attribute.as_str());
    Fault::new(Code::IdentityUnknown, detail)
}
