//! Who has signed in through SSO, for `readiness`, and who of them was an administrator by the word of the identity
//! provider: no directory knows that, and where one cannot be linked (a static list) this is all that is known of
//! sign-ins, too. Kept in shared data, bounded, as hashes of names with the time of the latest sign-in; what does not fit
//! is forgotten, which makes a verdict more careful and never less. With `shared` the engine is told, and reports read
//! it: then a restart forgets none.

use crate::config::Account;
use crate::host::shared_set::{id_of, SharedSet, WhenFull};
use crate::host::Host;
use crate::replicas::marks::{Kind, Mark};
use crate::replicas::outbox;

/// 131,072 users and administrators' roles of users, 3 MB.
const SEEN: SharedSet =
    SharedSet { name: "sso.seen", buckets: 2048, capacity: 64, when_full: WhenFull::Evict };

/// A hash of several texts, the same on every worker.
fn id(parts: &[&str]) -> [u8; 16] {
    let mut text = String::new();
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(' ');
        text.push_str(part);
    }
    id_of(&text)
}

/// 64 bits of such a hash.
pub(super) fn hash(parts: &[&str]) -> u64 {
    // Mutant `replace | with ^`: the bits below are 0 after the shift.
    id(parts).iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Notes a sign-in, with those of the administrators' roles that the identity brought. A role counts while it is as late as
/// its user: those it brought before and does not any longer are over.
pub(super) fn mark(host: &dyn Host, account: &Account, username: &str, claim_roles: &[String]) {
    let time = host.now();
    note(host, id(&[&account.code, username]), time);
    for role in account.password.admin_roles.iter().filter(|role| claim_roles.contains(role)) {
        note(host, id(&[&account.code, username, role]), time);
    }
}

fn note(host: &dyn Host, id: [u8; 16], time: u64) {
    SEEN.raise(host, &id, time, 0);
    if outbox::is_shared(host) {
        outbox::add(host, Mark { kind: Kind::Seen, id, time });
    }
}

/// True where a sign-in was noted.
pub(super) fn seen(host: &dyn Host, account: &Account, username: &str) -> bool {
    SEEN.time(host, &id(&[&account.code, username])).is_some()
}

/// True where this user's identity made an administrator at the last sign-in, and would today.
pub(super) fn administrator(host: &dyn Host, account: &Account, username: &str) -> bool {
    let granted = |role: &&String| account.mapping.role_map.values().any(|mapped| mapped == *role);
    let Some(last) = SEEN.time(host, &id(&[&account.code, username])) else { return false };
    let mut roles = account.password.admin_roles.iter().filter(granted);
    roles.any(|role| SEEN.time(host, &id(&[&account.code, username, role])).is_some_and(|time| time >= last))
}

/// Takes in what the engine has. A later one that is known here was lost there: it is told again.
pub(super) fn learn(host: &dyn Host, mark: &Mark) {
    SEEN.raise(host, &mark.id, mark.time, 0);
    match SEEN.time(host, &mark.id) {
        Some(time) if time > mark.time => outbox::add(host, Mark { time, ..*mark }),
        _ => {}
    }
}

/// A part of all that is known.
pub fn known(host: &dyn Host, part: u32) -> impl Iterator<Item = Mark> {
    SEEN.bucket(host, part).into_iter().map(|(id, time)| Mark { kind: Kind::Seen, id, time })
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
