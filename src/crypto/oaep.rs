//! EME-OAEP decoding in constant time (RFC 8017 section 7.1.2), with an empty label.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// A hash function inside OAEP. SHA-1 is not a signature there: its collisions do not matter, and it is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl OaepHash {
    pub(super) fn of(self, text: &[u8], more: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::new().chain_update(text).chain_update(more).finalize().to_vec(),
            Self::Sha256 => Sha256::new().chain_update(text).chain_update(more).finalize().to_vec(),
        }
    }

    /// MGF1 (RFC 8017 appendix B.2.1), added to the target.
    pub(super) fn mask(self, seed: &[u8], target: &mut [u8]) {
        let length = self.of(&[], &[]).len();
        for (counter, part) in (0u32..).zip(target.chunks_mut(length)) {
            let mask = Zeroizing::new(self.of(seed, &counter.to_be_bytes()));
            part.iter_mut().zip(mask.iter()).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

/// The parameters of RSAES-OAEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oaep {
    /// Hashes the label, which is empty.
    pub label: OaepHash,
    /// Makes the masks.
    pub mask: OaepHash,
}

impl Oaep {
    /// The message of an encoded one. All faults look the same from outside, and take the same time: which of them it was is an
    /// oracle (Manger 2001).
    pub fn decode(self, encoded: &mut [u8]) -> Option<Zeroizing<Vec<u8>>> {
        let label = self.label.of(&[], &[]);
        let (first, masked) = encoded.split_first_mut()?;
        let (seed, block) = masked.split_at_mut_checked(label.len())?;
        // A block holds the label's hash and the one that ends the padding.
        if block.len() <= label.len() {
            return None;
        }
        self.mask.mask(block, seed);
        self.mask.mask(seed, block);
        let (hash, padded) = block.split_at_checked(label.len())?;

        let mut valid = first.ct_eq(&0) & hash.ct_eq(&label);
        let (mut in_padding, mut start) = (Choice::from(1), 0);
        for (after, byte) in (1u32..).zip(padded) {
            let (is_zero, is_one) = (byte.ct_eq(&0), byte.ct_eq(&1));
            start.conditional_assign(&after, in_padding & is_one);
            valid &= !in_padding | is_zero | is_one;
            in_padding &= is_zero;
        }
        valid &= !in_padding;
        // The length of a valid message shows by its copy.
        let message = bool::from(valid).then(|| padded.get(start as usize..))??;
        Some(Zeroizing::new(message.to_vec()))
    }
}
