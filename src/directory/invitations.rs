//! Invitations that were taken up. Each is used up by the first sign-in, so that a user who was deleted from the directory
//! does not come back by it.
//!
//! This Envoy's workers share the record, which ends with the process. Another address, or other roles, is another invitation.

use super::seen;
use crate::config::{Account, Directory};
use crate::host::shared_set::{id_of, SharedSet, WhenFull};
use crate::host::Host;

const TAKEN: SharedSet =
    SharedSet { name: "sso.invitations", buckets: 256, capacity: 128, when_full: WhenFull::Evict };

/// Kept for so long, in milliseconds: longer than a process lives.
const KEPT: u64 = 4_000 * 86_400_000;

/// True if the invitation of this normalised address was taken up.
pub(super) fn is_taken(host: &dyn Host, account: &Account, address: &str, roles: &[String]) -> bool {
    is_kept(account) && TAKEN.contains(host, &id(account, address, roles), host.now())
}

/// Notes that the invitation was taken up.
pub(super) fn take(host: &dyn Host, account: &Account, address: &str, roles: &[String]) {
    if is_kept(account) {
        let now = host.now();
        TAKEN.insert(host, &id(account, address, roles), now.saturating_add(KEPT), now);
    }
}

/// Over a static list the user lasts as long as the session, and the invitation is what lets them in again.
fn is_kept(account: &Account) -> bool {
    matches!(account.directory, Directory::Scim(_))
}

fn id(account: &Account, address: &str, roles: &[String]) -> [u8; 16] {
    let mut parts = vec![account.code.as_str(), address];
    parts.extend(roles.iter().map(String::as_str));
    id_of(&format!("{:016x}", seen::hash(&parts)))
}
