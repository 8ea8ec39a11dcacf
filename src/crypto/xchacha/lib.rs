//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha section 2) for cookies and shared values, compiled for speed.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// Bytes of a nonce.
pub const NONCE: usize = 24;

/// Bytes that a sealed text is longer.
pub const TAG: usize = 16;

/// The cipher with one key.
pub struct Cipher(XChaCha20Poly1305);

impl Cipher {
    /// The cipher with this key.
    #[inline(never)]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// The ciphertext and its tag. A nonce is used once.
    #[inline(never)]
    pub fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(XNonce::from_slice(nonce), Payload { msg: plain, aad: associated }).ok()
    }

    /// What was sealed with this key, nonce and associated data; `None` for all else.
    #[inline(never)]
    pub fn open(&self, nonce: &[u8; NONCE], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: associated }).ok()
    }
}
