//! Who has signed in through SSO since this Envoy started, for `readiness`, and who of them was an administrator by
//! the word of the identity provider: no directory knows that, and where one cannot be linked (a static list) this is
//! all that is known of sign-ins, too. Kept in shared data, bounded, as hashes of names;
//! what does not fit is forgotten, which makes a verdict more careful and never less.

use sha2::{Digest, Sha256};

use crate::config::Account;
use crate::host::Host;

const BUCKETS: u64 = 256;
/// Hashes in a bucket: 256 buckets of 512 are 131,072 users and 1 MB.
const PER_BUCKET: usize = 512;

/// A 64-bit hash of several texts, the same on every worker.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finalize();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn key(hash: u64) -> String {
    format!("sso.seen.{}", hash % BUCKETS)
}

/// Notes a sign-in, with those of the administrators' roles that the identity brought; those it brought before and
/// does not any longer are forgotten.
pub(super) fn mark(host: &dyn Host, account: &Account, username: &str, claim_roles: &[String]) {
    change(host, hash(&[&account.code, username]), true);
    for role in &account.password.admin_roles {
        change(host, hash(&[&account.code, username, role]), claim_roles.contains(role));
    }
}

/// True where a sign-in was noted.
pub(super) fn seen(host: &dyn Host, account: &Account, username: &str) -> bool {
    holds(host, hash(&[&account.code, username]))
}

/// True where this user's identity made an administrator at the last sign-in, and would today.
pub(super) fn administrator(host: &dyn Host, account: &Account, username: &str) -> bool {
    let granted = |role: &&String| account.mapping.role_map.values().any(|mapped| mapped == *role);
    let mut roles = account.password.admin_roles.iter().filter(granted);
    roles.any(|role| holds(host, hash(&[&account.code, username, role])))
}

fn holds(host: &dyn Host, hash: u64) -> bool {
    let (value, _) = host.shared_get(&key(hash));
    value.is_some_and(|value| value.chunks_exact(8).any(|known| known == hash.to_be_bytes()))
}

fn change(host: &dyn Host, hash: u64, there: bool) {
    let (key, entry) = (key(hash), hash.to_be_bytes());
    // A lost race costs one note; the next sign-in makes it.
    for _ in 0..4 {
        let (value, cas) = host.shared_get(&key);
        let mut value = value.unwrap_or_default();
        let known = value.chunks_exact(8).any(|known| known == entry);
        if known == there || there && value.len() >= PER_BUCKET * 8 {
            return;
        }
        match there {
            true => value.extend_from_slice(&entry),
            false => {
                value = value.chunks_exact(8).filter(|known| *known != entry).flatten().copied().collect()
            }
        }
        if host.shared_set(&key, &value, cas) {
            return;
        }
    }
}
