//! Surroundings that never change: one moment, randomness that repeats, nothing shared.

use std::cell::Cell;

use envoy_sso::fault::Fault;
use envoy_sso::host::{Host, Level};

/// 2027-01-15T08:00:00Z, in seconds.
pub const NOW: u64 = 1_800_000_000;

#[derive(Default)]
pub struct Still(Cell<u8>);

impl Host for Still {
    fn now(&self) -> u64 {
        NOW * 1000
    }

    fn random(&self, out: &mut [u8]) -> Result<(), Fault> {
        for byte in out {
            self.0.set(self.0.get().wrapping_mul(5).wrapping_add(17));
            *byte = self.0.get();
        }
        Ok(())
    }

    fn shared_get(&self, _: &str) -> (Option<Vec<u8>>, Option<u32>) {
        (None, None)
    }

    fn shared_set(&self, _: &str, _: &[u8], _: Option<u32>) -> bool {
        true
    }

    fn count(&self, _: &str) {}

    fn observe(&self, _: &str, _: u64) {}

    fn log(&self, _: Level, _: &str) {}
}
