//! Where users are looked up, and the one account behind an identity.
//!
//! What a directory returns is compared again here, whatever it was asked: real ones ignore filters. A
//! directory that cannot be asked, or that answers something odd, is `directory_unavailable`: it never
//! signs anyone in, and it never makes anyone unknown.

mod cache;
#[cfg(test)]
mod identity_tests;
mod invitations;
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
