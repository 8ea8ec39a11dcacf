//! Sessions this worker has opened, so that the next request with the same cookie costs no decryption.
//!
//! Sessions of browsers and bearer tokens share one bound in bytes, and one in number. Beyond it the expired ones go
//! first, then one that was not asked for since the hand of the clock came by it last. Nothing moves when it is asked for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::assertions::Assertions;
use super::checks::{Asking, Checks};
use super::ended::Mark;
use super::headers::Headers;
use super::renewals;
use super::Session;
use crate::access::Verdict;
use crate::config::Account;
use crate::http::same;

/// How many bytes one may have, on average.
const BYTES: usize = 4 << 10;
/// So often the expired ones are looked for, milliseconds.
const SWEEP: u64 = 1000;
/// What one costs beside its texts.
const OVERHEAD: usize = 1024;

/// A session that was opened, with all that can be computed ahead.
#[derive(Debug)]
pub struct LiveSession {
    /// The envelope, compared as a whole: the map's key is only a part of it.
    pub sealed: Box<[u8]>,
    /// What requests need of the session.
    pub session: Session,
    /// What a renewal of this state is called.
    pub renewal: renewals::Id,
    /// Its account.
    pub account: Rc<Account>,
    /// By what it ends early.
    pub mark: Mark,
    /// The verdict on each access rule with conditions, by slot.
    pub verdicts: Box<[Verdict]>,
    /// Headers for the application: name and value.
    pub headers: Headers,
    /// Signed identities for the application, if the account has them.
    pub assertions: Option<Box<Assertions>>,
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
    /// It was let in before the metadata of its provider was there: whether it is that provider's is looked at again.
    pub is_provisional: Cell<bool>,
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

impl LiveSession {
    /// The value of a header that the application is told.
    #[cfg(test)]
    pub fn told(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(own, _)| **own == *name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Roughly how many bytes of memory it takes.
    fn bytes(&self) -> usize {
        let session = &self.session;
        let tokens = [&session.tokens.id_token, &session.tokens.access_token, &session.tokens.refresh_token];
        let tokens = tokens.into_iter().flatten().map(|token| token.expose().len());
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64);
        let own = session.headers.iter().map(|own| own.header.len() + own.value.len() + own.claim.len() + 88);
        let roles = session.user.roles.iter().chain(&session.conditions).map(|text| text.len() + 32);
        OVERHEAD + self.sealed.len() + tokens.chain(headers).chain(own).chain(roles).sum::<usize>()
    }
}

/// The sessions of one worker, or its bearer tokens: two views of one cache.
#[derive(Debug)]
pub struct LiveSessions {
    clock: Rc<RefCell<Clock<Rc<LiveSession>>>>,
    /// Mixed into the keys, so that what one view keeps is nothing to the other.
    view: u64,
}

impl LiveSessions {
    /// A cache for the sessions of browsers, and one for bearer tokens, with one bound for both.
    pub fn pair(places: usize) -> (Self, Self) {
        let clock = Rc::new(RefCell::new(Clock::of(places, places.saturating_mul(BYTES))));
        // Mutants `replace | with ^`, `replace << with >>`: any number but 0 sets them apart.
        (Self { clock: clock.clone(), view: 0 }, Self { clock, view: 1 << 63 | 1 })
    }

    /// The session of this envelope, if it was opened before.
    #[inline]
    pub fn get(&self, sealed: &[u8]) -> Option<Rc<LiveSession>> {
        let sessions = self.clock.borrow();
        let live = sessions.get(key(sealed)? ^ self.view)?;
        same(&live.sealed, sealed).then(|| live.clone())
    }

    /// Keeps one.
    pub fn put(&self, live: Rc<LiveSession>, now: u64) {
        if let Some(key) = key(&live.sealed) {
            let (bytes, expires) = (live.bytes(), live.expires);
            self.clock.borrow_mut().put(key ^ self.view, Place::new(live, bytes, expires), now);
        }
    }

    /// How many bytes both views take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.clock.borrow().bytes
    }
}

/// The end of an envelope is its authentication tag: as good as a hash, and not for a client to choose.
#[inline]
fn key(sealed: &[u8]) -> Option<u64> {
    sealed.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A cache whose eviction is that of the clock algorithm (second chance).
#[derive(Debug)]
struct Clock<T> {
    places: Vec<(u64, Place<T>)>,
    most: usize,
    most_bytes: usize,
    bytes: usize,
    hand: usize,
    swept: u64,
    by_key: HashMap<u64, usize, BuildHasherDefault<Tag>>,
}

#[derive(Debug)]
struct Place<T> {
    value: T,
    bytes: usize,
    expires: u64,
    asked_for: Cell<bool>,
}

impl<T> Place<T> {
    fn new(value: T, bytes: usize, expires: u64) -> Self {
        Self { value, bytes, expires, asked_for: Cell::new(false) }
    }
}

impl<T> Clock<T> {
    fn of(most: usize, most_bytes: usize) -> Self {
        Self { places: Vec::new(), most, most_bytes, bytes: 0, hand: 0, swept: 0, by_key: HashMap::default() }
    }

    #[inline]
    fn get(&self, key: u64) -> Option<&T> {
        let (_, place) = self.places.get(*self.by_key.get(&key)?)?;
        place.asked_for.set(true);
        Some(&place.value)
    }

    fn put(&mut self, key: u64, place: Place<T>, now: u64) {
        if let Some(at) = self.by_key.get(&key).copied() {
            self.remove(at);
        }
        if !self.has_room(place.bytes) && now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.remove_expired(now);
        }
        while !self.has_room(place.bytes) && !self.places.is_empty() {
            let at = self.next_to_go();
            self.remove(at);
        }
        self.bytes += place.bytes;
        self.by_key.insert(key, self.places.len());
        self.places.push((key, place));
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.places.len() < self.most && self.bytes.saturating_add(bytes) <= self.most_bytes
    }

    fn remove_expired(&mut self, now: u64) {
        let mut at = 0;
        while let Some((_, place)) = self.places.get(at) {
            match now >= place.expires {
                true => self.remove(at),
                false => at += 1,
            }
        }
    }

    /// Takes one out; the last gets its place.
    fn remove(&mut self, at: usize) {
        if at >= self.places.len() {
            return;
        }
        let (key, place) = self.places.swap_remove(at);
        self.bytes = self.bytes.saturating_sub(place.bytes);
        self.by_key.remove(&key);
        if let Some((moved, _)) = self.places.get(at) {
            self.by_key.insert(*moved, at);
        }
    }

    /// The first place, from where the hand stands, that was not asked for since it came by.
    fn next_to_go(&mut self) -> usize {
        loop {
            let at = self.hand.min(self.places.len().saturating_sub(1));
            self.hand = (at + 1) % self.places.len().max(1);
            if !self.places.get(at).is_some_and(|(_, place)| place.asked_for.take()) {
                return at;
            }
        }
    }
}

/// The key is as good as a hash; only its bits have to be spread.
#[derive(Default)]
struct Tag(u64);

impl Hasher for Tag {
    // Mutant `Hasher for Tag>::write_u64`: keys are compared, so that one hash for all finds the same, slower.
    #[inline]
    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    // Mutant `Hasher for Tag>::write with`: keys are numbers, which come by `write_u64`.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    // Mutant `Hasher for Tag>::finish`: keys are compared, so that one hash for all finds the same, slower.
    #[inline]
    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of a byte that does not expire.
    fn one<T>(value: T) -> Place<T> {
        Place::new(value, 1, u64::MAX)
    }

    #[test]
    fn what_is_asked_for_stays_and_there_are_never_more_than_places() {
        let mut clock = Clock::of(4, 100);
        for key in 0..4 {
            clock.put(key, one(key * 10), 0);
        }
        assert_eq!((clock.get(1), clock.get(3), clock.get(9)), (Some(&10), Some(&30), None));
        for key in 10..100 {
            clock.put(key, one(0), 0);
            assert_eq!((clock.get(1), clock.get(3)), (Some(&10), Some(&30)), "{key}");
            assert!(clock.places.len() <= 4 && clock.by_key.len() <= 4);
        }
        assert_eq!((clock.get(0), clock.get(2), clock.get(99)), (None, None, Some(&0)));
    }

    #[test]
    fn where_all_are_asked_for_all_the_time_one_goes_all_the_same() {
        let mut clock = Clock::of(3, 100);
        for key in 0..50 {
            clock.put(key, one(key), 0);
            for key in 0..=key {
                clock.get(key);
            }
            assert_eq!(clock.get(key), Some(&key));
        }
        assert_eq!(clock.by_key.len(), 3);
    }

    #[test]
    fn a_key_that_is_there_gets_the_new_value() {
        let mut clock = Clock::of(2, 100);
        for (key, value) in [(1, "a"), (2, "b"), (1, "c")] {
            clock.put(key, one(value), 0);
        }
        assert_eq!((clock.get(1), clock.get(2), clock.places.len()), (Some(&"c"), Some(&"b"), 2));
        assert_eq!(clock.bytes, 2);
    }

    #[test]
    fn what_is_expired_stays_while_there_is_room() {
        let mut clock = Clock::of(10, 100);
        clock.put(1, Place::new("a", 1, 50), 0);
        clock.put(2, Place::new("b", 1, u64::MAX), 10_000);
        assert_eq!(
            (clock.get(1), clock.get(2)),
            (Some(&"a"), Some(&"b")),
            "nothing is looked through for nothing"
        );
    }

    #[test]
    fn bytes_are_bounded_and_the_expired_go_first() {
        let mut clock = Clock::of(1000, 100);
        for key in 0..10 {
            clock.put(key, Place::new(key, 10, if key < 5 { 50 } else { u64::MAX }), 0);
            clock.get(key);
        }
        assert_eq!((clock.bytes, clock.places.len()), (100, 10));
        // Though all were asked for, and the hand stands at a living one.
        clock.put(10, Place::new(10, 30, u64::MAX), 5_000);
        let kept: Vec<u64> = (0..=10).filter(|key| clock.get(*key).is_some()).collect();
        assert_eq!((clock.bytes, kept), (80, vec![5, 6, 7, 8, 9, 10]));
        for key in 100..300 {
            clock.put(key, Place::new(key, usize::try_from(key % 37).unwrap(), key * 100), key * 100);
            let sum: usize = clock.places.iter().map(|(_, place)| place.bytes).sum();
            assert!(clock.bytes <= 100 && clock.bytes == sum, "{key}");
            assert!(clock.places.iter().enumerate().all(|(at, (key, _))| clock.by_key.get(key) == Some(&at)));
        }
    }
}
