//! From an identity to the one user behind it: the table of docs/directory.md.

use super::matching::{allowed, existing, name, text, unknown};
use super::{provision, Cache, User, UserSource};
use crate::config::{Account, Directory, ProvisioningMode};
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::{mapped_value, roles, Identity, Mapped};

/// What an identity leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A user, signed in.
    User(User),
    /// No user yet, but an invitation: ask whether the person accepts, then call `accept_invitation`.
    Invitation {
        /// The address that was invited.
        email: String,
        /// What the new user will be.
        roles: Vec<String>,
    },
}

/// Finds the user. One request to a SCIM directory; the first time one more by the mapped value, and one for the link.
pub async fn resolve(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
) -> Result<Resolution, Fault> {
    allowed(account, identity)?;
    let mapped = mapped_value(&account.mapping, identity);
    if matches!(account.directory, Directory::None) {
        return Ok(Resolution::User(from_identity(account, identity, mapped?)));
    }
    if let Some(user) = existing(io, account, cache, identity, &mapped).await? {
        provision::use_up_invitation(io.host(), account, identity);
        return Ok(Resolution::User(user));
    }
    let mapped = mapped?;
    match account.provisioning.mode {
        ProvisioningMode::Off => Err(unknown(account, &mapped, "provisioning is off")),
        ProvisioningMode::Invited => {
            let new = provision::invitation(io.host(), account, identity, &mapped)?;
            Ok(Resolution::Invitation { email: new.email, roles: new.roles })
        }
        ProvisioningMode::Automatic if account.is_draft => {
            provision::automatic(account, identity, &mapped)?;
            Err(unknown(account, &mapped, "the user would be created"))
        }
        ProvisioningMode::Automatic => {
            let new = provision::automatic(account, identity, &mapped)?;
            let user = provision::create(io, account, cache, identity, &mapped, new).await?;
            Ok(Resolution::User(user))
        }
    }
}

/// Without a directory the identity is the user.
fn from_identity(account: &Account, identity: &Identity, mapped: Mapped) -> User {
    let granted = roles::from_claims(&account.mapping, &identity.claims);
    let mut user = User::without_record(mapped.value, UserSource::Identity, Vec::new(), granted);
    user.email = crate::identity::usable_email(&account.mapping, identity);
    user.phone = text(identity, "phone_number");
    user.name = name(identity);
    user
}
