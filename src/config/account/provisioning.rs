//! What happens if no user of the directory matches.

use std::collections::HashSet;

use crate::config::names::{domains, is_address};
use crate::config::problems::At;
use crate::config::raw::{self, ProvisioningMode};
use crate::values::email;

/// What happens if no user matches.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// off, invited, automatic.
    pub mode: ProvisioningMode,
    /// Lower case; `*` says all.
    pub email_domains: Vec<String>,
    /// Roles of a user created automatically.
    pub roles: Vec<String>,
    /// Who may accept.
    pub invitations: Vec<Invitation>,
}

/// One invitation.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Invitation {
    pub email: String,
    pub roles: Vec<String>,
    /// One that an administrator made, by its id; `None`: one of the file.
    pub id: Option<String>,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Provisioning>) -> Provisioning {
    let default = raw::Provisioning::default();
    let raw = raw.unwrap_or(&default);
    let mode = raw.mode.unwrap_or_default();
    if mode == ProvisioningMode::Automatic && raw.email_domains.is_empty() {
        at.field("email_domains").problem("is empty: automatic needs the domains let in; [\"*\"] says all");
    }
    let email_domains = match raw.email_domains.iter().any(|domain| domain == "*") {
        true => vec!["*".to_owned()],
        false => domains(&at.field("email_domains"), &raw.email_domains),
    };
    let mut invited = HashSet::new();
    for (i, invitation) in raw.invitations.iter().enumerate() {
        if email::normalise(&invitation.email).is_some_and(|address| !invited.insert(address)) {
            let at = at.field("invitations").index(i).field("email");
            at.warning("is invited already: only the first invitation of an address counts");
        }
        if !is_address(&invitation.email) {
            at.field("invitations")
                .index(i)
                .field("email")
                .problem("expected an email address alone, such as bob@acme.com");
        }
    }
    Provisioning {
        mode,
        email_domains,
        roles: raw.roles.clone(),
        invitations: raw
            .invitations
            .iter()
            .map(|i| Invitation { email: i.email.clone(), roles: i.roles.clone(), id: None })
            .collect(),
    }
}
