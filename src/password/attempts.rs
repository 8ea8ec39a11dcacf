//! Failed passwords, counted over all workers of a process.
//!
//! An attempt is counted when it begins, and taken back when the application accepts the password: a
//! hundred guesses sent at once are a hundred failures before the first answer comes, and a guess whose
//! answer is not waited for counts too. What is counted is kept as a keyed hash, so that an attacker cannot aim at
//! another name's bucket. Users whom the directory knows have buckets of their own: a flood of made-up names reaches none of
//! them. A bucket that is full forgets the name with the fewest failures, and of names that are all locked out the one
//! that failed longest ago.

use sha2::{Digest, Sha256};

use crate::config::AttemptLimit;
use crate::fault::{Code, Fault};
use crate::host::{self, Host};

/// Buckets of either kind, of at most this many bytes: 4 MB in all.
const BUCKETS: u64 = 128;
const BUCKET_BYTES: usize = 16 * 1024;
/// How often a write is tried while other workers write too.
const TRIES: usize = 16;

/// Whose failures are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// A user whom directory or configuration knows, by username.
    User(String),
    /// A browser that signed in as that user before, by its mark's id.
    Browser([u8; 8]),
    /// A name of which nothing is known.
    Name(String),
}

impl CountedBy {
    /// Kind and content, as they are hashed. To many applications `ROOT` is `root`: each spelling would be as many
    /// guesses more.
    pub fn parts(&self) -> (&'static str, Vec<u8>) {
        match self {
            CountedBy::User(name) => ("known", crate::values::names::careless(name).into_bytes()),
            CountedBy::Browser(id) => ("known", [&b"\0"[..], id].concat()),
            CountedBy::Name(name) => ("unknown", crate::values::names::careless(name).into_bytes()),
        }
    }
}

impl std::fmt::Display for CountedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CountedBy::User(name) | CountedBy::Name(name) => write!(f, "as {name:?}"),
            CountedBy::Browser(_) => f.write_str("in a browser that signed in before"),
        }
    }
}

/// An attempt under way.
#[derive(Clone, Debug)]
pub struct Attempt {
    key: String,
    name: [u8; 16],
    at: u64,
    window: u64,
}

struct Entry {
    name: [u8; 16],
    /// When, in milliseconds, oldest first.
    times: Vec<u64>,
}

/// Counts an attempt, or refuses it with `too_many_attempts`: the right password too, while locked out.
pub fn begin(
    host: &dyn Host,
    account: &str,
    counted: &CountedBy,
    limit: AttemptLimit,
) -> Result<Attempt, Fault> {
    let (key, name) = place(host, account, counted)?;
    let most = limit.limit.max(1) as usize;
    for _ in 0..TRIES {
        let now = host.now();
        let (value, cas) = host.shared_get(&key);
        let mut entries = read(&value.unwrap_or_default());
        prune(&mut entries, now, limit.window);
        let mut entry = match entries.iter().position(|entry| entry.name == name) {
            Some(at) => entries.swap_remove(at),
            None => Entry { name, times: Vec::new() },
        };
        if entry.times.len() >= most {
            let detail =
                format!("{} failed password logins {counted} within {} ms", entry.times.len(), limit.window);
            return Err(Fault::new(Code::TooManyAttempts, detail));
        }
        entry.times.push(now);
        make_room(&mut entries, size(&entry), most);
        entries.push(entry);
        if host.shared_set(&key, &write(&entries), cas) {
            return Ok(Attempt { key, name, at: now, window: limit.window });
        }
    }
    Err(Fault::new(
        Code::TooManyAttempts,
        "the count of failed password logins is written by too many at once",
    ))
}

impl Attempt {
    /// The application accepted the password: the name starts anew.
    pub fn succeeded(self, host: &dyn Host) {
        self.change(host, |times, _| times.clear());
    }

    /// The application did not judge the password: it was not a guess.
    pub fn withdrawn(self, host: &dyn Host) {
        self.change(host, |times, at| {
            if let Some(own) = times.iter().rposition(|time| *time == at) {
                times.remove(own);
            }
        });
    }

    fn change(self, host: &dyn Host, change: impl Fn(&mut Vec<u64>, u64)) {
        for _ in 0..TRIES {
            let (value, cas) = host.shared_get(&self.key);
            let mut entries = read(&value.unwrap_or_default());
            prune(&mut entries, host.now(), self.window);
            for entry in entries.iter_mut().filter(|entry| entry.name == self.name) {
                change(&mut entry.times, self.at);
            }
            entries.retain(|entry| !entry.times.is_empty());
            if host.shared_set(&self.key, &write(&entries), cas) {
                return;
            }
        }
    }
}

/// The bucket, and the hash under a key that this process made up.
fn place(host: &dyn Host, account: &str, counted: &CountedBy) -> Result<(String, [u8; 16]), Fault> {
    let (kind, content) = counted.parts();
    let mut digest = Sha256::new();
    digest.update(process_key(host)?);
    digest.update((account.len() as u64).to_be_bytes());
    digest.update(account.as_bytes());
    digest.update(content);
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    // Mutants `replace | with ^`, `replace << with >>`: the last byte decides, since BUCKETS divides 256.
    let bucket = name.iter().take(8).fold(0u64, |n, b| (n << 8) | u64::from(*b)) % BUCKETS;
    Ok((format!("sso.attempts.{kind}.{bucket}"), name))
}

fn process_key(host: &dyn Host) -> Result<Vec<u8>, Fault> {
    const KEY: &str = "sso.attempts.key";
    for _ in 0..TRIES {
        let (value, cas) = host.shared_get(KEY);
        match value {
            Some(key) if key.len() == 32 => return Ok(key),
            _ => {
                host.shared_set(KEY, &host::random::<32>(host)?, cas);
            }
        }
    }
    Err(Fault::new(Code::NotReady, "no key for counting attempts"))
}

/// Drops what is older than the window. A time in the future is a clock that was set back: it counts.
fn prune(entries: &mut Vec<Entry>, now: u64, window: u64) {
    for entry in entries.iter_mut() {
        entry.times.retain(|time| now.saturating_sub(*time) < window);
    }
    entries.retain(|entry| !entry.times.is_empty());
}

/// Forgets others until this one has room: the weakest first, a locked one only where all are.
fn make_room(entries: &mut Vec<Entry>, needed: usize, most: usize) {
    while entries.iter().map(size).sum::<usize>() + needed > BUCKET_BYTES.max(needed) {
        let weakness = |entry: &Entry| {
            let is_locked = entry.times.len() >= most;
            (is_locked, if is_locked { 0 } else { entry.times.len() }, entry.times.last().copied())
        };
        let weakest = entries.iter().enumerate().min_by_key(|(_, entry)| weakness(entry)).map(|(at, _)| at);
        let Some(weakest) = weakest else { return };
        entries.swap_remove(weakest);
    }
}

fn size(entry: &Entry) -> usize {
    18 + entry.times.len() * 8
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(&entry.name);
        out.extend_from_slice(&u16::try_from(entry.times.len()).unwrap_or(u16::MAX).to_be_bytes());
        for time in entry.times.iter().take(usize::from(u16::MAX)) {
            out.extend_from_slice(&time.to_be_bytes());
        }
    }
    out
}

fn read(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some((name, rest)) = bytes.split_first_chunk::<16>() {
        let Some((count, rest)) = rest.split_first_chunk::<2>() else { break };
        let Some((times, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 8) else {
            break;
        };
        // Mutant `replace | with ^`: the bits below are 0 after the shift.
        let times =
            times.chunks_exact(8).map(|t| t.iter().fold(0, |n, b| (n << 8) | u64::from(*b))).collect();
        entries.push(Entry { name: *name, times });
        bytes = rest;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    fn entry(name: u8, times: &[u64]) -> Entry {
        Entry { name: [name; 16], times: times.to_vec() }
    }

    /// The names that are left where an entry of this size needs room.
    fn left(mut entries: Vec<Entry>, needed: usize, most: usize) -> Vec<u8> {
        make_room(&mut entries, needed, most);
        let mut names: Vec<u8> = entries.iter().map(|entry| entry.name[0]).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_bucket_is_filled_to_its_last_byte_and_the_weakest_go_first() {
        let long: Vec<u64> = (0..1_000).collect();
        let entries = || vec![entry(1, &long), entry(2, &[5, 6]), entry(3, &[4])];
        let bytes = write(&entries()).len();
        assert_eq!(bytes, entries().iter().map(size).sum::<usize>());
        assert_eq!(left(entries(), BUCKET_BYTES - bytes, 2_000), [1, 2, 3]);
        assert_eq!(left(entries(), BUCKET_BYTES - bytes + 1, 2_000), [1, 2]);
        assert_eq!(left(entries(), BUCKET_BYTES - bytes + 27, 2_000), [1]);
        // What is locked stays, though others failed more often.
        assert_eq!(left(entries(), BUCKET_BYTES - bytes + 1, 2), [1, 2]);
        let locked = || vec![entry(1, &[10, 20]), entry(2, &[10, 19]), entry(3, &[30])];
        let bytes = write(&locked()).len();
        assert_eq!(left(locked(), BUCKET_BYTES - bytes + 1, 2), [1, 2]);
        // Of names that are all locked the one that failed longest ago goes.
        assert_eq!(left(locked(), BUCKET_BYTES - bytes + 27, 2), [1]);
        // What alone is larger than a bucket has it for itself.
        assert_eq!(left(locked(), BUCKET_BYTES + 1, 2), [0u8; 0]);
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let written = write(&[entry(1, &[1, 0x0102_0304_0506_0708]), entry(2, &[u64::MAX])]);
        let read_again: Vec<_> =
            read(&written).into_iter().map(|entry| (entry.name[0], entry.times)).collect();
        assert_eq!(read_again, [(1, vec![1, 0x0102_0304_0506_0708]), (2, vec![u64::MAX])]);
        assert_eq!(read(&written[..written.len() - 1]).len(), 1);
    }

    #[test]
    fn names_spread_over_the_buckets_under_a_key_of_this_process() {
        let host = TestHost::new();
        // What another program left there is not a key.
        assert!(host.shared_set("sso.attempts.key", b"short", None));
        let of = |n: u32| place(&*host, "acme", &CountedBy::Name(format!("name-{n}"))).unwrap().0;
        let buckets: std::collections::BTreeSet<String> = (0..300).map(of).collect();
        assert!(buckets.len() > 60, "{}", buckets.len());
        assert_eq!(host.shared_get("sso.attempts.key").0.map(|key| key.len()), Some(32));
        let limit = AttemptLimit { limit: 1, window: 60_000 };
        for (counted, said) in [
            (CountedBy::User("ada".into()), "1 failed password logins as \"ada\" within 60000 ms"),
            (
                CountedBy::Browser([7; 8]),
                "1 failed password logins in a browser that signed in before within 60000 ms",
            ),
        ] {
            begin(&*host, "acme", &counted, limit).unwrap();
            assert_eq!(begin(&*host, "acme", &counted, limit).unwrap_err().detail, said);
        }
    }
}
