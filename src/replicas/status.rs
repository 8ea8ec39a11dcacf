//! How far this Envoy is in step with the engine, in the data all its workers share. The worker that follows writes it.

use std::cell::Cell;

use crate::host::Host;

/// What is known, in milliseconds since 1970; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// In step as of this time.
    pub proof: u64,
    /// Under `closed` sessions count from this time on.
    pub open_from: u64,
    /// When everything was read for the first time.
    pub first_read: u64,
    /// When the engine could last not be asked.
    pub failed: u64,
}

impl Status {
    /// Reads it.
    pub fn read(host: &dyn Host, tag: &str) -> Self {
        let (bytes, _) = host.shared_get(&key(tag));
        let bytes = bytes.unwrap_or_default();
        let mut numbers =
            bytes.chunks_exact(8).map(|n| n.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        let mut next = || numbers.next().unwrap_or(0);
        Self { proof: next(), open_from: next(), first_read: next(), failed: next() }
    }

    /// Writes it.
    pub fn write(&self, host: &dyn Host, tag: &str) {
        let numbers = [self.proof, self.open_from, self.first_read, self.failed];
        host.shared_set(&key(tag), &numbers.map(u64::to_le_bytes).concat(), None);
    }

    /// In step as of a time. After a gap of more than `stale`, or a late start, sessions count `settle` later: by then
    /// the other Envoys have delivered what they could not tell.
    pub fn proven(&mut self, asked: u64, now: u64, stale: u64, settle: u64) {
        let late = match self.proof {
            0 => self.failed != 0,
            proof => now.saturating_sub(proof) > stale,
        };
        if late {
            self.open_from = now.saturating_add(settle);
        }
        self.proof = self.proof.max(asked);
        if self.first_read == 0 {
            self.first_read = now;
        }
    }

    /// True where sessions count under `closed`.
    pub fn is_in_step(&self, now: u64, stale: u64) -> bool {
        self.proof != 0 && now.saturating_sub(self.proof) < stale && now >= self.open_from
    }
}

fn key(tag: &str) -> String {
    format!("sso.shared.{tag}.status")
}

/// What one worker remembers, so that a request seldom looks.
#[derive(Debug, Default)]
pub struct Seen {
    good_until: Cell<u64>,
    has_read: Cell<bool>,
}

impl Seen {
    /// True where sessions count under `closed`. It costs no look into shared data until the last proof is stale.
    #[inline]
    pub fn is_in_step(&self, host: &dyn Host, tag: &str, now: u64, stale: u64) -> bool {
        if now < self.good_until.get() {
            return true;
        }
        let status = Status::read(host, tag);
        let good = status.is_in_step(now, stale);
        if good {
            self.good_until.set(status.proof.saturating_add(stale));
        }
        good
    }

    /// True once everything was read.
    #[inline]
    pub fn has_read(&self, host: &dyn Host, tag: &str) -> bool {
        if !self.has_read.get() && Status::read(host, tag).first_read != 0 {
            self.has_read.set(true);
        }
        self.has_read.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    const STALE: u64 = 5_000;
    const SETTLE: u64 = 2_000;

    #[test]
    fn a_start_with_the_engine_there_is_in_step_at_once() {
        let mut status = Status::default();
        assert!(!status.is_in_step(START, STALE));
        status.proven(START, START + 5, STALE, SETTLE);
        assert!(status.is_in_step(START + 5, STALE));
        assert_eq!(status.first_read, START + 5);
        assert!(status.is_in_step(START + STALE - 1, STALE));
        assert!(!status.is_in_step(START + STALE, STALE));
    }

    #[test]
    fn after_an_outage_it_settles_first() {
        let mut status = Status { failed: START, ..Status::default() };
        status.proven(START + 100, START + 100, STALE, SETTLE);
        assert!(!status.is_in_step(START + 100, STALE), "the engine was away at the start");
        assert!(status.is_in_step(START + 100 + SETTLE, STALE));
        let back = START + 60_000;
        status.proven(back, back, STALE, SETTLE);
        assert!(!status.is_in_step(back + SETTLE - 1, STALE));
        status.proven(back + 1_000, back + 1_000, STALE, SETTLE);
        assert!(status.is_in_step(back + SETTLE, STALE), "the second proof does not put it off");
    }

    #[test]
    fn every_worker_reads_it_and_seldom() {
        let host = TestHost::new();
        let (seen, tag) = (Seen::default(), "t");
        assert!(!seen.has_read(&*host, tag));
        let mut status = Status::default();
        status.proven(START, START, STALE, SETTLE);
        status.write(&*host.worker(), tag);
        assert_eq!(Status::read(&*host, tag), status);
        assert!(seen.has_read(&*host, tag) && seen.is_in_step(&*host, tag, START, STALE));
        let looks = host.shared_gets();
        assert!(seen.is_in_step(&*host, tag, START + STALE - 1, STALE) && seen.has_read(&*host, tag));
        assert_eq!(host.shared_gets(), looks);
        assert!(!seen.is_in_step(&*host, tag, START + STALE, STALE));
    }
}
