//! Who has signed in through SSO since this Envoy started, for `readiness`: where a directory cannot be
//! linked (a static list), this is all that is known. Kept in shared data, bounded, as hashes of names;
//! what does not fit is forgotten, which makes a verdict more careful and never less.

use sha2::{Digest, Sha256};

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

/// Notes a sign-in.
pub(super) fn mark(host: &dyn Host, code: &str, username: &str) {
    let hash = hash(&[code, username]);
    let (key, entry) = (key(hash), hash.to_be_bytes());
    // A lost race costs one note; the next sign-in makes it.
    for _ in 0..4 {
        let (value, cas) = host.shared_get(&key);
        let mut value = value.unwrap_or_default();
        if value.chunks_exact(8).any(|known| known == entry) || value.len() >= PER_BUCKET * 8 {
            return;
        }
        value.extend_from_slice(&entry);
        if host.shared_set(&key, &value, cas) {
            return;
        }
    }
}

/// True where a sign-in was noted.
pub(super) fn seen(host: &dyn Host, code: &str, username: &str) -> bool {
    let hash = hash(&[code, username]);
    let (value, _) = host.shared_get(&key(hash));
    value.is_some_and(|value| value.chunks_exact(8).any(|known| known == hash.to_be_bytes()))
}
