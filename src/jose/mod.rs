//! Signed tokens: compact JWS (RFC 7515), the keys that verify them (RFC 7517) and the algorithms
//! (RFC 7518, RFC 8037). Pure; what a token claims is `oidc`'s business.

mod alg;
pub mod curve;
mod jwk;
mod jws;
mod key_set;
mod rng;
mod sign;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod tests;

pub use alg::Alg;
pub use jwk::Key;
pub use jws::Jws;
pub use jws::MAX_TOKEN;
pub use key_set::{KeySet, Unverified, MAX_KEY_SET};
pub(crate) use rng::HostRng;
pub use sign::{check_signing_key, sign, Protected};
