//! Sessions this worker has opened, so that the next request with the same cookie costs no decryption.
//!
//! Two generations: when the young one is full it becomes the old one, and what is used again moves
//! back. Memory is bounded, and nothing is ever walked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::ended::Mark;
use super::Session;
use crate::config::Account;
use crate::request::same;

/// How many sessions one generation holds.
const GENERATION: usize = 8192;

/// A session that was opened, with all that can be computed ahead.
#[derive(Debug)]
pub struct Opened {
    /// The envelope, compared as a whole: the map's key is only a part of it.
    pub sealed: Box<[u8]>,
    /// The session.
    pub session: Session,
    /// Its account.
    pub account: Rc<Account>,
    /// Its key among the ended ones, as it stands in shared data.
    pub mark: Mark,
    /// Headers for the application: name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// It is over at this time.
    pub expires: u64,
    /// From this time on a request seals it anew, so that `idle` slides.
    pub reseal: u64,
    /// When it was due to be checked with directory or IdP.
    pub due: u64,
    /// From this time on directory or IdP are asked again.
    pub recheck: Cell<u64>,
    /// The access token for the application is good until then.
    pub token_expires: u64,
    /// Its renewal was put off once, so that replicas do not start it in the same moment.
    pub spread: Cell<bool>,
    /// The IdP refused to renew it, and it is over.
    pub over: Cell<bool>,
    /// The same session in a newer state, where a recheck gave it one.
    pub successor: RefCell<Option<Rc<Opened>>>,
}

impl Opened {
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
#[derive(Debug, Default)]
pub struct OpenedSessions(RefCell<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Rc<Opened>, BuildHasherDefault<Tag>>,
    old: HashMap<u64, Rc<Opened>, BuildHasherDefault<Tag>>,
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

impl OpenedSessions {
    /// The session of this envelope, if it was opened before.
    #[inline]
    pub fn get(&self, sealed: &[u8]) -> Option<Rc<Opened>> {
        let key = key(sealed)?;
        let mut generations = self.0.borrow_mut();
        if let Some(opened) = generations.young.get(&key) {
            return same(&opened.sealed, sealed).then(|| opened.clone());
        }
        let opened = generations.old.remove(&key).filter(|opened| same(&opened.sealed, sealed))?;
        generations.insert(key, opened.clone());
        Some(opened)
    }

    /// Keeps one.
    pub fn put(&self, opened: Rc<Opened>) {
        if let Some(key) = key(&opened.sealed) {
            self.0.borrow_mut().insert(key, opened);
        }
    }
}

impl Generations {
    #[inline]
    fn insert(&mut self, key: u64, opened: Rc<Opened>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, opened);
    }
}

/// The end of an envelope is its authentication tag: as good as a hash, and nobody can choose it.
#[inline]
fn key(sealed: &[u8]) -> Option<u64> {
    sealed.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}
