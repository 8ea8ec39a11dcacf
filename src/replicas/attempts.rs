//! Attempts at passwords, counted over all replicas: every attempt under way or failed is a key under its name's.

use super::client::Away;
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
}

impl Replicas {
    /// An attempt at a name, which the engine does not know yet.
    pub fn attempt(&self, host: &dyn Host, name: &[&[u8]]) -> Result<Counted, Away> {
        let id = random::<16>(host).map_err(Away::from)?;
        let mut all = self.keys.of('a', &self.ring.name(name));
        all.push(b'/');
        let own = [all.clone(), hex(&id).into_bytes()].concat();
        Ok(Counted { all, own })
    }

    /// Counts an attempt and says how many there are within the window, this one included. Writing and counting are one
    /// transaction: of many at once each gets another number.
    pub async fn count_attempt(&self, io: &Io, counted: &Counted, window: u64) -> Result<u64, Away> {
        let lease = self.lease(io.now(), window);
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

    /// The password was right: the name starts anew.
    pub async fn forget_attempts(&self, io: &Io, counted: &Counted) -> Result<(), Away> {
        let message = etcd::transaction(Vec::new(), vec![etcd::delete_all(counted.all.clone())], Vec::new());
        self.transaction(io, &[], message).await.map(|_| ())
    }

    /// It was no guess.
    pub async fn withdraw_attempt(&self, io: &Io, counted: &Counted) -> Result<(), Away> {
        let message = etcd::transaction(Vec::new(), vec![etcd::delete(counted.own.clone())], Vec::new());
        self.transaction(io, &[], message).await.map(|_| ())
    }
}
