//! A private RSA key in use: what it opens and what it signs (RFC 8017).
//!
//! The crate `rsa` reads and checks the key. Its arithmetic, which is not in constant time, never sees a message:
//! `rsa_private` does that.

use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::oaep::{Oaep, OaepHash};
use crate::fault::Fault;
use crate::host::{random, Host};

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// `DigestInfo` of SHA-256 but for the digest (RFC 8017 section 9.2, note 1).
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// A private key, ready for use.
pub struct RsaKey {
    key: rsa_private::Key,
    bits: usize,
}

impl RsaKey {
    /// `None` if the key's numbers are not those of two odd primes.
    pub fn new(key: &RsaPrivateKey) -> Option<Self> {
        let bytes = |number: &BigUint| Zeroizing::new(number.to_bytes_be());
        let [p, q] = key.primes() else { return None };
        let key_of_parts = rsa_private::Key::new(rsa_private::Parts {
            n: &bytes(key.n()),
            // The crate takes no exponent over 33 bits.
            e: bytes(key.e()).iter().fold(0, |e, byte| e << 8 | u64::from(*byte)),
            p: &bytes(p),
            q: &bytes(q),
            dp: &bytes(key.dp()?),
            dq: &bytes(key.dq()?),
            qinv: &bytes(&key.qinv()?.to_biguint()?),
        })?;
        Some(Self { key: key_of_parts, bits: key.n().bits() })
    }

    fn apply(&self, host: &dyn Host, input: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let blinding = Zeroizing::new(random(host)?);
        Ok(self.key.apply(&blinding, input))
    }

    /// RSAES-OAEP; `None` where it cannot be opened.
    pub fn decrypt(
        &self,
        host: &dyn Host,
        oaep: Oaep,
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let encoded = self.apply(host, ciphertext)?;
        Ok(encoded.and_then(|mut encoded| oaep.decode(&mut encoded)))
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256; `None` if the key is broken.
    pub fn sign(&self, host: &dyn Host, message: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let digest = Sha256::digest(message);
        let length = self.bits.div_ceil(8);
        let mut encoded = vec![0xFF; length.saturating_sub(3 + SHA256.len() + DIGEST)];
        encoded.splice(0..0, [0, 1]);
        encoded.push(0);
        encoded.extend(SHA256);
        encoded.extend(digest);
        Ok(self.apply(host, &encoded)?.map(|signature| signature.to_vec()))
    }

    /// RSASSA-PSS with SHA-256 and a salt as long as the digest (RFC 7518 section 3.5); `None` if the key is broken.
    pub fn sign_pss(&self, host: &dyn Host, message: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let salt: [u8; DIGEST] = random(host)?;
        let hash = Sha256::new()
            .chain_update([0; 8])
            .chain_update(Sha256::digest(message))
            .chain_update(salt)
            .finalize();
        // RFC 8017 section 9.1.1: one bit less than the modulus, so that the number is less.
        let bits = self.bits.saturating_sub(1);
        let mut block = vec![0; bits.div_ceil(8).saturating_sub(2 * DIGEST + 2)];
        block.push(1);
        block.extend(salt);
        OaepHash::Sha256.mask(&hash, &mut block);
        if let Some(first) = block.first_mut() {
            *first &= 0xFF >> (8 * bits.div_ceil(8) - bits);
        }
        let mut encoded = vec![0; self.bits.div_ceil(8) - bits.div_ceil(8)];
        encoded.extend(block);
        encoded.extend(hash);
        encoded.push(0xBC);
        Ok(self.apply(host, &encoded)?.map(|signature| signature.to_vec()))
    }
}

#[cfg(test)]
#[path = "rsa_key_tests.rs"]
mod tests;
