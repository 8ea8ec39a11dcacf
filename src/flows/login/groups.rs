//! Groups that are read by URL, at login and renewal.

use crate::config::{Account, Provider};
use crate::fault::Fault;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::identity::{roles, Claims};
use crate::proto::oidc::dpop::Proofs;
use crate::proto::oidc::groups;
use crate::values::secret::Secret;

/// Adds the names of a provider's list to the claims. Where the list cannot be read and roles decide, no user gets in by
/// half of the groups; elsewhere the log tells.
pub(crate) async fn add(
    io: &Io,
    account: &Account,
    provider: &Provider,
    claims: &mut Claims,
    access_token: Option<&Secret>,
    proofs: Option<&Proofs>,
) -> Result<(), Fault> {
    let (Some(own), Some(claim)) = (provider.groups(), account.mapping.roles_claim.first()) else {
        return Ok(());
    };
    let left_out = account.mapping.roles_claim.iter().any(|name| roles::is_left_out(claims, name));
    if !own.always && !left_out {
        return Ok(());
    }
    match groups::read(io, own, claims, access_token, proofs, provider.timeout()).await {
        Ok(names) => groups::add(claims, claim, names),
        Err(fault) if account.roles_decide() => return Err(fault),
        Err(fault) => {
            let place =
                Place { account: Some(&account.code), provider: Some(&provider.id), ..Place::default() };
            let reason = format!("a login goes on without groups by URL: {}", fault.detail);
            events::notice(io.host(), place, Level::Warn, &reason);
        }
    }
    Ok(())
}
