//! All that comes from outside: time, randomness, the proxy's cryptography, shared data, calls, metrics and the log.
//!
//! - `Host`, below, is the trait. `proxy::host` is the one for Envoy; tests bring their own (`testing`).
//! - `task`: a flow that waits for answers (`Io`). `call`: what it asks, and the answer. `failure`: why there was no answer.
//! - `clusters`: from a host's name to Envoy's cluster. `lanes`: how many calls one server gets at a time.
//! - `events`: log lines and metrics. To add either: there.
//! - `shared_set`: ids in the data that all workers share, bounded, each until it has expired.
//!
//! Invariants: nothing else in the filter reads a clock or draws a random number. Every call has a timeout. No event carries a
//! secret, a token or a cookie.

pub mod call;
pub mod clusters;
pub mod events;
pub mod failure;
pub mod lanes;
pub mod shared_set;
pub mod task;
#[cfg(test)]
mod tests;

use crate::fault::{Code, Fault};

/// A digest, by the name that RFC 7518 and Envoy's `verify_signature` share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The name that Envoy's foreign functions take.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
        }
    }
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// The number of a value that is not there yet. Envoy counts writes from 1 and writes an absent value
/// whatever the number: with this one, of two workers that found nothing only one writes.
pub const ABSENT: u32 = u32::MAX;

/// The surroundings. Every method is cheap and none waits.
pub trait Host {
    /// Milliseconds since 1970 UTC.
    fn now(&self) -> u64;

    /// Fills `out` with random bytes fit for keys; a failure is a refusal, never a weaker source.
    fn random(&self, out: &mut [u8]) -> Result<(), Fault>;

    /// RSASSA-PKCS1-v1_5 verification by the proxy's own library: `None` where it is not offered. `spki`
    /// is the DER SubjectPublicKeyInfo.
    fn verify_rsa(&self, _hash: Hash, _spki: &[u8], _signature: &[u8], _message: &[u8]) -> Option<bool> {
        None
    }

    /// ECDSA verification on P-384 and P-521 by the proxy's own library: `None` where it is not offered.
    /// `signature` is a DER ECDSA-Sig-Value.
    fn verify_ecdsa(&self, _hash: Hash, _spki: &[u8], _signature: &[u8], _message: &[u8]) -> Option<bool> {
        None
    }

    /// RSASSA-PKCS1-v1_5 signature by the proxy's own library: `None` where it is not offered. `pkcs8` is
    /// the DER PrivateKeyInfo.
    fn sign_rsa(&self, _hash: Hash, _pkcs8: &[u8], _message: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// A value all workers of this process share, and the number to give to `shared_set`: [`ABSENT`] where
    /// there is none.
    fn shared_get(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>);

    /// Writes it. With `cas`, only if nothing was written since that `shared_get`; `false` if something was.
    fn shared_set(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool;

    /// Adds one to a counter of `/stats`.
    fn count(&self, metric: &str);

    /// Records a number of milliseconds in a histogram of `/stats`.
    fn observe(&self, metric: &str, milliseconds: u64);

    /// Sets a gauge of `/stats`.
    fn gauge(&self, _metric: &str, _value: u64) {}

    /// Writes one JSON line to the log.
    fn log(&self, level: Level, line: &str);
}

/// `N` random bytes.
pub fn random<const N: usize>(host: &dyn Host) -> Result<[u8; N], Fault> {
    let mut bytes = [0u8; N];
    host.random(&mut bytes)?;
    Ok(bytes)
}

/// A random token of `N` bytes in base64url: 43 characters for 32 bytes.
pub fn random_token<const N: usize>(host: &dyn Host) -> Result<String, Fault> {
    use base64::Engine;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<N>(host)?))
}

/// The refusal for a source of randomness that failed.
pub fn no_randomness() -> Fault {
    Fault::new(Code::NotReady, "no randomness from the host")
}
