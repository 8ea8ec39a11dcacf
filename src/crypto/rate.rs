//! How often one worker uses private keys.

use std::cell::Cell;

use crate::fault::{Code, Fault};

/// Operations within one second. With RSA of 2048 bits, at some two milliseconds each, they are a twentieth of a worker's
/// time, with 4096 bits a quarter.
const MAX_PER_SECOND: u32 = 20;

/// A limit for the operations with a private key that the filter makes itself: a stranger who begins logins asks for one
/// with each. What Envoy signs natively costs less and does not count.
#[derive(Debug, Default)]
pub struct PrivateKeyRate {
    /// The second, and the operations in it.
    spent: Cell<(u64, u32)>,
}

impl PrivateKeyRate {
    /// Whether there is room for one more operation.
    pub fn check(&self, now: u64) -> Result<(), Fault> {
        let (second, count) = self.spent.get();
        if second == now / 1000 && count >= MAX_PER_SECOND {
            let detail = "this worker has used private keys too often within this second: try again";
            return Err(Fault::new(Code::NotReady, detail));
        }
        Ok(())
    }

    /// How many operations there were within this second.
    #[cfg(test)]
    pub fn used(&self, now: u64) -> u32 {
        let (second, count) = self.spent.get();
        if second == now / 1000 {
            count
        } else {
            0
        }
    }

    /// Counts one operation, or refuses it. The browser may try again a second later: nothing was used up.
    pub fn spend(&self, now: u64) -> Result<(), Fault> {
        self.check(now)?;
        let (second, count) = self.spent.get();
        let count = if second == now / 1000 { count } else { 0 };
        self.spent.set((now / 1000, count + 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_has_its_own_operations() {
        let rate = PrivateKeyRate::default();
        for now in [0, 500, 1_000] {
            let done = (0..100).filter(|_| rate.spend(now).is_ok()).count();
            assert_eq!(done, if now == 500 { 0 } else { 20 }, "{now}");
        }
    }
}
