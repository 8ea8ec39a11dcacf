//! Marks: what has ended, as it stands in the engine. Its id there says nothing to who cannot open it, so that a guessed
//! subject cannot be looked up; and nothing else opens, so that only who has the keys can end sessions.

use super::keys::Keys;
use crate::crypto::seal::{KeyRing, Purpose};
use crate::fault::Fault;
use crate::host::Host;

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// How its id and its time are to be read.
    pub kind: Kind,
    /// As in the sets of this Envoy.
    pub id: [u8; 16],
    /// Milliseconds since 1970.
    pub time: u64,
}

/// Kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One session, by its id, until it would have expired.
    Session,
    /// Those that a provider calls by one name, if they were opened up to this time.
    Party,
    /// A user who signed in last at this time, or a role that this brought.
    Seen,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Session, Kind::Party, Kind::Seen];

    fn letter(self) -> u8 {
        match self {
            Kind::Session => b's',
            Kind::Party => b'b',
            Kind::Seen => b'w',
        }
    }
}

impl Mark {
    fn plain(&self) -> Vec<u8> {
        let mut plain = vec![self.kind.letter()];
        plain.extend(self.id);
        plain.extend(self.time.to_le_bytes());
        plain
    }

    /// Its key. A later time for one id has another key, so that no replica writes an earlier one over it; but for
    /// sign-ins, which have no lease.
    pub fn key(&self, keys: &Keys, ring: &KeyRing) -> Vec<u8> {
        match self.kind {
            Kind::Seen => keys.of('s', &ring.name(&[b"seen", &self.id])),
            _ => keys.of('m', &ring.name(&[b"mark", &self.plain()])),
        }
    }

    /// Sealed under its key.
    pub fn seal(&self, host: &dyn Host, ring: &KeyRing, key: &[u8]) -> Result<Vec<u8>, Fault> {
        ring.seal_bytes(host, Purpose::Shared, key, &self.plain())
    }

    /// The mark in this value; `None` where it was not sealed by a key of ours, or for another key.
    pub fn open(ring: &KeyRing, key: &[u8], value: &[u8]) -> Option<Self> {
        let plain = ring.open_bytes(Purpose::Shared, key, value)?;
        let (letter, rest) = plain.split_first()?;
        let (id, time) = rest.split_first_chunk::<16>()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == *letter)?;
        Some(Self { kind, id: *id, time: u64::from_le_bytes(time.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    fn ring(ids: &[&str]) -> KeyRing {
        KeyRing::new(ids.iter().map(|id| ((*id).to_owned(), [id.len() as u8; 32])).collect())
    }

    #[test]
    fn a_mark_opens_under_its_own_key_alone() {
        let (host, keys) = (TestHost::new(), Keys::new("sso"));
        let old = ring(&["a"]);
        let mark = Mark { kind: Kind::Party, id: [7; 16], time: START };
        let key = mark.key(&keys, &old);
        let sealed = mark.seal(&*host, &old, &key).unwrap();
        assert_eq!(Mark::open(&old, &key, &sealed), Some(mark));
        assert_eq!(Mark::open(&old, &keys.of('m', &[1; 16]), &sealed), None);
        assert_eq!(Mark::open(&ring(&["bb"]), &key, &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(Mark::open(&old, &key, &forged), None, "{at}");
            assert_eq!(Mark::open(&old, &key, &sealed[..at]), None, "{at}");
        }
        // While keys are rotated their order differs from Envoy to Envoy.
        let both = [ring(&["a", "bb"]), ring(&["bb", "a"])];
        for one in &both {
            assert_eq!(mark.key(&keys, one), key);
            assert_eq!(Mark::open(one, &key, &sealed), Some(mark));
            let sealed = mark.seal(&*host, one, &key).unwrap();
            assert!(both.iter().all(|other| Mark::open(other, &key, &sealed) == Some(mark)));
        }
    }

    #[test]
    fn a_later_time_does_not_replace_an_earlier_one() {
        let (keys, ring) = (Keys::new("sso"), ring(&["a"]));
        let mark = Mark { kind: Kind::Party, id: [7; 16], time: START };
        assert_ne!(mark.key(&keys, &ring), Mark { time: START + 1, ..mark }.key(&keys, &ring));
        assert_ne!(mark.key(&keys, &ring), Mark { kind: Kind::Session, ..mark }.key(&keys, &ring));
    }
}
