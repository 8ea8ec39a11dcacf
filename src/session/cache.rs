//! Sessions this worker has opened, so that the next request with the same cookie costs no decryption.
//!
//! Memory is bounded: when all places are taken, a new session gets the place of one that was not asked for since
//! the hand of the clock came by it last. Nothing moves when it is asked for.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::checks::{Asking, Checks};
use super::ended::Mark;
use super::Session;
use crate::access::Verdict;
use crate::config::Account;
use crate::http::same;

/// How many sessions are kept: some 4 KB each, with the tokens of a usual provider.
const PLACES: usize = 16_384;

/// A session that was opened, with all that can be computed ahead.
#[derive(Debug)]
pub struct LiveSession {
    /// The envelope, compared as a whole: the map's key is only a part of it.
    pub sealed: Box<[u8]>,
    /// The session.
    pub session: Session,
    /// Its account.
    pub account: Rc<Account>,
    /// By what it ends early.
    pub mark: Mark,
    /// The verdict on each access rule with conditions, by slot.
    pub verdicts: Box<[Verdict]>,
    /// Headers for the application: name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// It is over at this time.
    pub expires: u64,
    /// From this time on a request seals it anew, so that `idle` slides.
    pub reseal: u64,
    /// When it was due to be checked with directory or IdP.
    pub due: u64,
    /// When directory and IdP are asked again.
    pub checks: Checks,
    /// A check under way, which its requests wait for.
    pub asking: RefCell<Option<Rc<Asking<Rc<LiveSession>>>>>,
    /// The access token for the application is good until then.
    pub token_expires: u64,
    /// Its renewal was put off once, so that replicas do not start it in the same moment.
    pub spread: Cell<bool>,
    /// The IdP refused to renew it, and it is over.
    pub over: Cell<bool>,
    /// The same session in a newer state, where a recheck gave it one.
    pub successor: RefCell<Option<Rc<LiveSession>>>,
}

impl LiveSession {
    /// The newest state of this session that this worker knows, which it leads to at once from now on.
    #[inline]
    pub fn latest(self: Rc<Self>) -> Rc<Self> {
        let Some(mut newest) = self.successor.borrow().clone() else { return self };
        let mut far = false;
        loop {
            let next = newest.successor.borrow().clone();
            let Some(newer) = next else { break };
            (newest, far) = (newer, true);
        }
        if far {
            *self.successor.borrow_mut() = Some(newest.clone());
        }
        newest
    }
}

/// The sessions of one worker.
#[derive(Debug)]
pub struct LiveSessions(RefCell<Clock<Rc<LiveSession>>>);

impl Default for LiveSessions {
    fn default() -> Self {
        Self(RefCell::new(Clock::of(PLACES)))
    }
}

impl LiveSessions {
    /// The session of this envelope, if it was opened before.
    #[inline]
    pub fn get(&self, sealed: &[u8]) -> Option<Rc<LiveSession>> {
        let sessions = self.0.borrow();
        let live = sessions.get(key(sealed)?)?;
        same(&live.sealed, sealed).then(|| live.clone())
    }

    /// Keeps one.
    pub fn put(&self, live: Rc<LiveSession>) {
        if let Some(key) = key(&live.sealed) {
            self.0.borrow_mut().put(key, live);
        }
    }
}

/// The end of an envelope is its authentication tag: as good as a hash, and nobody can choose it.
#[inline]
fn key(sealed: &[u8]) -> Option<u64> {
    sealed.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A cache whose eviction is that of the clock algorithm (second chance).
#[derive(Debug)]
struct Clock<T> {
    places: Vec<Place<T>>,
    most: usize,
    hand: usize,
    by_key: HashMap<u64, usize, BuildHasherDefault<Tag>>,
}

#[derive(Debug)]
struct Place<T> {
    key: u64,
    value: T,
    asked_for: Cell<bool>,
}

impl<T> Clock<T> {
    fn of(most: usize) -> Self {
        Self { places: Vec::new(), most, hand: 0, by_key: HashMap::default() }
    }

    #[inline]
    fn get(&self, key: u64) -> Option<&T> {
        let place = self.places.get(*self.by_key.get(&key)?)?;
        place.asked_for.set(true);
        Some(&place.value)
    }

    fn put(&mut self, key: u64, value: T) {
        let free = self.places.len() < self.most;
        let at = match self.by_key.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) if free => *new.insert(self.places.len()),
            Entry::Vacant(_) => {
                let at = self.next_to_go();
                if let Some(old) = self.places.get(at) {
                    self.by_key.remove(&old.key);
                }
                self.by_key.insert(key, at);
                at
            }
        };
        let place = Place { key, value, asked_for: Cell::new(false) };
        match self.places.get_mut(at) {
            Some(old) => *old = place,
            None => self.places.push(place),
        }
    }

    /// The first place, from where the hand stands, that nobody has asked for since it came by.
    fn next_to_go(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.places.len().max(1);
            if !self.places.get(at).is_some_and(|place| place.asked_for.take()) {
                return at;
            }
        }
    }
}

/// The key is as good as a hash; only its bits have to be spread.
#[derive(Default)]
struct Tag(u64);

impl Hasher for Tag {
    #[inline]
    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_there_are_never_more_than_places() {
        let mut clock = Clock::of(4);
        for key in 0..4 {
            clock.put(key, key * 10);
        }
        assert_eq!((clock.get(1), clock.get(3), clock.get(9)), (Some(&10), Some(&30), None));
        for key in 10..100 {
            clock.put(key, 0);
            assert_eq!((clock.get(1), clock.get(3)), (Some(&10), Some(&30)), "{key}");
            assert!(clock.places.len() <= 4 && clock.by_key.len() <= 4);
        }
        assert_eq!((clock.get(0), clock.get(2), clock.get(99)), (None, None, Some(&0)));
    }

    #[test]
    fn where_all_are_asked_for_all_the_time_one_goes_all_the_same() {
        let mut clock = Clock::of(3);
        for key in 0..50 {
            clock.put(key, key);
            for key in 0..=key {
                clock.get(key);
            }
            assert_eq!(clock.get(key), Some(&key));
        }
        assert_eq!(clock.by_key.len(), 3);
    }

    #[test]
    fn a_key_that_is_there_gets_the_new_value() {
        let mut clock = Clock::of(2);
        for (key, value) in [(1, "a"), (2, "b"), (1, "c")] {
            clock.put(key, value);
        }
        assert_eq!((clock.get(1), clock.get(2), clock.places.len()), (Some(&"c"), Some(&"b"), 2));
    }
}
