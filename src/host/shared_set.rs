//! A bounded set in the data all workers of one Envoy share: ids that have ended or were used, each
//! until it would have expired anyway.
//!
//! Shared data has no way to delete a key, so the ids live in a fixed number of buckets, which are
//! pruned whenever they are written, with compare-and-swap. It spans the workers of one process and ends
//! with it.

use crate::host::Host;
use crate::values::order;

/// What becomes of a new id in a full bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The one that expires first makes room.
    Evict,
    /// It is refused.
    Refuse,
}

/// What became of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    New,
    /// It was there already.
    Known,
    /// There was no room, or the others wrote all the time: treat it as known where that is safer.
    Full,
}

/// A set.
#[derive(Clone, Copy, Debug)]
pub struct SharedSet {
    /// The beginning of its keys.
    pub name: &'static str,
    /// How many buckets; at most 4096.
    pub buckets: u32,
    /// How many ids a bucket holds.
    pub capacity: usize,
    /// What becomes of one more.
    pub when_full: WhenFull,
}

/// An id and its time: 4 bytes of the id choose the bucket, all 16 are compared.
const ENTRY: usize = 16 + 8;

impl SharedSet {
    /// True where the id is in the set and has not expired.
    pub fn contains(&self, host: &dyn Host, id: &[u8; 16], now: u64) -> bool {
        let (Some(bytes), _) = host.shared_get(&self.key(id)) else { return false };
        let found = entries(&bytes).any(|(other, until)| other == id && until > now);
        found
    }

    /// Adds an id until a time in milliseconds since 1970.
    pub fn insert(&self, host: &dyn Host, id: &[u8; 16], until: u64, now: u64) -> Inserted {
        self.write(host, id, until, now, |_| false)
    }

    /// The time beside an id, for a set whose times are not when an id expires but what [`Self::raise`] gave.
    pub fn time(&self, host: &dyn Host, id: &[u8; 16]) -> Option<u64> {
        let (bytes, _) = host.shared_get(&self.key(id));
        let found = entries(bytes.as_deref()?).find(|(other, _)| other == id).map(|(_, time)| time);
        found
    }

    /// Sets the time beside an id, never back; what is not after `forgotten` makes room.
    pub fn raise(&self, host: &dyn Host, id: &[u8; 16], time: u64, forgotten: u64) -> Inserted {
        self.write(host, id, time, forgotten, |known| known < time)
    }

    /// Writes an entry; one that is there already only where `over` says so of its time.
    fn write(
        &self,
        host: &dyn Host,
        id: &[u8; 16],
        time: u64,
        forgotten: u64,
        over: impl Fn(u64) -> bool,
    ) -> Inserted {
        let key = self.key(id);
        for _ in 0..16 {
            let (bytes, cas) = host.shared_get(&key);
            let bytes = bytes.unwrap_or_default();
            let mut kept: Vec<(&[u8], u64)> = entries(&bytes).filter(|(_, time)| *time > forgotten).collect();
            match kept.iter().position(|(other, _)| other == id) {
                Some(at) if kept.get(at).is_some_and(|(_, known)| over(*known)) => {
                    kept.remove(at);
                }
                Some(_) => return Inserted::Known,
                None => {}
            }
            if kept.len() >= self.capacity {
                if self.when_full == WhenFull::Refuse {
                    return Inserted::Full;
                }
                order::sort_by_key(&mut kept, |(_, time)| *time);
                kept.remove(0);
            }
            kept.push((id, time));
            let written: Vec<u8> =
                kept.iter().flat_map(|(id, time)| id.iter().copied().chain(time.to_le_bytes())).collect();
            if host.shared_set(&key, &written, cas) {
                return Inserted::New;
            }
        }
        Inserted::Full
    }

    /// Every entry.
    pub fn all(&self, host: &dyn Host) -> Vec<([u8; 16], u64)> {
        (0..self.buckets).flat_map(|bucket| self.bucket(host, bucket)).collect()
    }

    /// The entries of one bucket.
    pub fn bucket(&self, host: &dyn Host, bucket: u32) -> Vec<([u8; 16], u64)> {
        let (bytes, _) = host.shared_get(&format!("{}.{bucket:x}", self.name));
        let bytes = bytes.unwrap_or_default();
        let own = entries(&bytes).filter_map(|(id, time)| Some((<[u8; 16]>::try_from(id).ok()?, time)));
        own.collect()
    }

    /// Takes an entry out, unless it has another time by now.
    pub fn remove(&self, host: &dyn Host, id: &[u8; 16], time: u64) {
        let key = self.key(id);
        for _ in 0..16 {
            let (bytes, cas) = host.shared_get(&key);
            let bytes = bytes.unwrap_or_default();
            let mut kept = Vec::with_capacity(bytes.len());
            for (other, at) in entries(&bytes).filter(|(other, at)| *other != id || *at != time) {
                kept.extend_from_slice(other);
                kept.extend_from_slice(&at.to_le_bytes());
            }
            if kept.len() == bytes.len() || host.shared_set(&key, &kept, cas) {
                return;
            }
        }
    }

    /// The key of the bucket that this id is in.
    pub fn key(&self, id: &[u8; 16]) -> String {
        let [a, b, c, d, ..] = *id;
        format!("{}.{:x}", self.name, u32::from_le_bytes([a, b, c, d]) % self.buckets)
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    bytes.chunks_exact(ENTRY).filter_map(|entry| {
        let (id, until) = entry.split_at_checked(16)?;
        Some((id, u64::from_le_bytes(until.try_into().ok()?)))
    })
}

/// The id of a text in a set.
pub fn id_of(text: &str) -> [u8; 16] {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    let mut id = [0u8; 16];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    const SET: SharedSet = SharedSet { name: "t", buckets: 1, capacity: 3, when_full: WhenFull::Refuse };

    #[test]
    fn an_id_is_known_to_every_worker_until_it_expires() {
        let host = TestHost::new();
        let other = host.worker();
        let id = id_of("a");
        assert!(!SET.contains(&*other, &id, START));
        assert_eq!(SET.insert(&*host, &id, START + 10, START), Inserted::New);
        assert_eq!(SET.insert(&*other, &id, START + 10, START), Inserted::Known);
        assert!(SET.contains(&*other, &id, START + 9));
        assert!(!SET.contains(&*other, &id, START + 10));
        assert!(!SET.contains(&*other, &id_of("b"), START));
    }

    #[test]
    fn a_time_is_raised_and_never_set_back() {
        let host = TestHost::new();
        let set = SharedSet { when_full: WhenFull::Evict, ..SET };
        let id = id_of("a");
        assert_eq!(set.time(&*host, &id), None);
        assert_eq!(set.raise(&*host, &id, START, 0), Inserted::New);
        assert_eq!(set.raise(&*host, &id, START + 5, 0), Inserted::New);
        assert_eq!(set.raise(&*host, &id, START + 4, 0), Inserted::Known);
        assert_eq!(set.time(&*host.worker(), &id), Some(START + 5));
        // What is over makes room when the bucket is written; in a full one, the oldest.
        assert_eq!(set.raise(&*host, &id_of("b"), START + 6, START + 5), Inserted::New);
        assert_eq!(set.time(&*host, &id), None);
        for (i, name) in ["c", "d", "e"].iter().enumerate() {
            assert_eq!(set.raise(&*host, &id_of(name), START + 7 + i as u64, 0), Inserted::New);
        }
        assert_eq!(set.time(&*host, &id_of("b")), None);
        assert_eq!(set.time(&*host, &id_of("c")), Some(START + 7));
    }

    #[test]
    fn a_full_bucket_refuses_or_evicts_and_expired_ids_make_room() {
        let host = TestHost::new();
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            assert_eq!(SET.insert(&*host, &id_of(name), START + 10 + i as u64, START), Inserted::New);
        }
        assert_eq!(SET.insert(&*host, &id_of("d"), START + 10, START), Inserted::Full);
        let evicting = SharedSet { when_full: WhenFull::Evict, ..SET };
        assert_eq!(evicting.insert(&*host, &id_of("d"), START + 90, START), Inserted::New);
        assert!(!SET.contains(&*host, &id_of("a"), START), "the first to expire made room");
        assert!(SET.contains(&*host, &id_of("b"), START));
        assert_eq!(SET.insert(&*host, &id_of("e"), START + 90, START + 12), Inserted::New);
    }
}
