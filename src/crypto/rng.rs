//! The host's randomness in the shape that the `rsa` crate asks for.

use rsa::rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::fault::Fault;
use crate::host::{random, Host};

/// Randomness for the salt of PSS, and for the blinding that hides a private key from timing (Kocher 1996).
/// The trait cannot fail and asks for an unknown number of bytes, the host can: SHA-256 in counter mode
/// over 32 bytes of the host's, wiped afterwards.
pub(crate) struct HostRng {
    seed: [u8; 32],
    counter: u64,
}

impl HostRng {
    /// Draws the seed.
    pub fn new(host: &dyn Host) -> Result<Self, Fault> {
        Ok(Self { seed: random(host)?, counter: 0 })
    }
}

impl Drop for HostRng {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl RngCore for HostRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.counter += 1;
            let block =
                Sha256::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes()).finalize();
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for HostRng {}
