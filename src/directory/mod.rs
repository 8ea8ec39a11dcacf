//! Where users are looked up, and the one account behind an identity.
//!
//! - `resolve`: from an identity to the user, at sign-in. `matching`: which record is meant, and whether it may sign in.
//! - `recheck`: the user of a session, asked again. `provision`, `invitations`: if no user matches.
//! - `lookup`: finding records, in a `static_list` or by `scim`. `cache`: what is remembered of them. `record`: what a user is.
//! - `reports`, `seen`, `notices`: what administrators are shown.
//!
//! Invariants: what a directory returns is compared again here, whatever it was asked: real ones ignore filters. A directory that
//! cannot be asked, or that answers something odd, is `directory_unavailable`: it never signs a user in, and never makes one
//! unknown. How values compare: `values`.

mod cache;
#[cfg(test)]
mod identity_tests;
mod invitations;
#[cfg(test)]
mod issuer_tests;
mod lookup;
mod matching;
pub mod notices;
mod provision;
mod recheck;
mod record;
pub mod reports;
mod resolve;
pub mod scim;
pub mod seen;
mod static_list;
#[cfg(test)]
pub(crate) mod tests;

pub use cache::Cache;
pub use lookup::{by_attribute, like_username};
pub use provision::accept_invitation;
pub use recheck::{recheck, without_directory};
pub use record::{Record, User, UserSource};
pub use resolve::{resolve, Resolution};

use crate::fault::{Code, Fault};

/// The refusal for a directory that cannot be asked or answers something odd.
pub(crate) fn unavailable(detail: impl Into<String>) -> Fault {
    Fault::new(Code::DirectoryUnavailable, detail)
}
