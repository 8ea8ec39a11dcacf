//! Attempts at passwords, counted over all replicas: every attempt under way or failed is a key under its name's.
//!
//! What was not a failure is deleted again. A deletion that the engine did not confirm is tried again: an engine that hung
//! may do the counting late, and an administrator who signed in five times meanwhile would be locked out when it is back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::client::{Away, LEASE_MORE};
use super::etcd::{self, status};
use super::keys::hex;
use super::Replicas;
use crate::config::OnOutage;
use crate::host::task::Io;
use crate::host::{random, Host};

/// An attempt that the engine counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    all: Vec<u8>,
    own: Vec<u8>,
    window: u64,
}

/// Deletions that this worker waits for.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    waiting: RefCell<VecDeque<Deletion>>,
    is_under_way: Cell<bool>,
    /// Not before this time.
    next: Cell<u64>,
}

#[derive(Clone, Debug)]
struct Deletion {
    key: Vec<u8>,
    /// All attempts of the name, and not one alone.
    is_of_name: bool,
    /// When the engine has forgotten them by itself.
    until: u64,
}

/// Deletions that wait in a worker, of about 150 bytes each.
const WAITING: usize = 1_000;
/// Between two tries.
const PAUSE: u64 = 1_000;

impl Deletions {
    /// Strangers can fill it with attempts that an outage refused, but not with passwords that were right: those go last.
    fn add(&self, deletion: Deletion) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING {
            let oldest = waiting.iter().position(|waiting| !waiting.is_of_name).unwrap_or(0);
            waiting.remove(oldest);
        }
        waiting.push_back(deletion);
    }

    fn batch(&self, now: u64) -> Vec<Deletion> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|deletion| now < deletion.until);
        let most = waiting.len().min(etcd::BATCH);
        waiting.drain(..most).collect()
    }
}

impl Replicas {
    /// An attempt at a name, which the engine does not know yet.
    pub fn attempt(&self, host: &dyn Host, name: &[&[u8]], window: u64) -> Result<Counted, Away> {
        let id = random::<16>(host).map_err(Away::from)?;
        let mut all = self.keys.of('a', &self.ring.name(name));
        all.push(b'/');
        let own = [all.clone(), hex(&id).into_bytes()].concat();
        Ok(Counted { all, own, window })
    }

    /// Counts an attempt and says how many there are within the window, this one included. Writing and counting are one
    /// transaction: of many at once each gets another number.
    pub async fn count_attempt(&self, io: &Io, counted: &Counted) -> Result<u64, Away> {
        let lease = self.lease(io.now(), counted.window);
        let put = etcd::put(counted.own.clone(), Vec::new(), lease.id);
        let operations = vec![put, etcd::count(counted.all.clone())];
        let message = etcd::transaction(Vec::new(), operations, Vec::new());
        let done = self.transaction(io, &[lease], message).await?;
        self.unanswered_since.set(0);
        Ok(done.pages.iter().map(|page| page.count).max().unwrap_or(u64::MAX))
    }

    /// True if an attempt that could not be counted must not reach the application: the engine may only be slow, and
    /// each replica would let as many guesses through as all together may. With `open` the engine counts as away once
    /// this Envoy had no proof of it, or this worker no answer to an attempt, for `stale`; a refusal is an answer.
    pub fn must_be_counted(&self, host: &dyn Host, now: u64, away: &Away) -> bool {
        if self.settings.on_outage == OnOutage::Closed {
            return true;
        }
        if ![status::DEADLINE_EXCEEDED, status::UNAVAILABLE].contains(&away.status) {
            return false;
        }
        if self.unanswered_since.get() == 0 {
            self.unanswered_since.set(now);
        }
        let is_recent = |time: u64| now.saturating_sub(time) < self.settings.stale;
        is_recent(self.status(host).proof) && is_recent(self.unanswered_since.get())
    }

    /// The password was right: the name starts anew once [`Self::delete_attempts`] has run.
    pub fn forget_attempts(&self, now: u64, counted: Counted) {
        self.delete_later(now, counted.all, true, counted.window);
    }

    /// It was not a guess, and counts until [`Self::delete_attempts`] has run.
    pub fn withdraw_attempt(&self, now: u64, counted: Counted) {
        self.delete_later(now, counted.own, false, counted.window);
    }

    fn delete_later(&self, now: u64, key: Vec<u8>, is_of_name: bool, window: u64) {
        let until = now.saturating_add(window).saturating_add(LEASE_MORE);
        self.deletions.add(Deletion { key, is_of_name, until });
    }

    /// True if [`Self::delete_attempts`] has something to do by now.
    pub fn has_attempts_to_delete(&self, now: u64) -> bool {
        let deletions = &self.deletions;
        let is_waiting = !deletions.waiting.borrow().is_empty();
        is_waiting && !deletions.is_under_way.get() && now >= deletions.next.get()
    }

    /// Deletes in the engine what was not a failure. What the engine does not confirm stays for the next try.
    pub async fn delete_attempts(&self, io: &Io) -> Result<(), Away> {
        let deletions = &self.deletions;
        let mut under_way = UnderWay::begin(deletions, io.now());
        loop {
            under_way.batch = deletions.batch(io.now());
            let operations = under_way.batch.iter().map(|deletion| match deletion.is_of_name {
                true => etcd::delete_all(deletion.key.clone()),
                false => etcd::delete(deletion.key.clone()),
            });
            let operations: Vec<_> = operations.collect();
            if operations.is_empty() {
                deletions.next.set(0);
                return Ok(());
            }
            self.transaction(io, &[], etcd::transaction(Vec::new(), operations, Vec::new())).await?;
            under_way.batch.clear();
        }
    }
}

/// Deletions that are being sent; those that the engine did not confirm wait again once this is dropped.
struct UnderWay<'a> {
    deletions: &'a Deletions,
    batch: Vec<Deletion>,
}

impl<'a> UnderWay<'a> {
    fn begin(deletions: &'a Deletions, now: u64) -> Self {
        deletions.is_under_way.set(true);
        deletions.next.set(now.saturating_add(PAUSE));
        Self { deletions, batch: Vec::new() }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.batch.drain(..).for_each(|deletion| self.deletions.add(deletion));
        self.deletions.is_under_way.set(false);
    }
}
