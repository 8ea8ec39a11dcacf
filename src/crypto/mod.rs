//! Keys and what is done with them. What a token claims is the business of `proto`.
//!
//! - `jws`, `alg`: compact JWS (RFC 7515) and its algorithms (RFC 7518, RFC 8037). `key_set`, `jwk`: the keys that verify (RFC 7517).
//! - `certificate`, `private_key`: those of operators and providers. `sign`, `assertion_key`: what the filter signs.
//! - `seal`: the one envelope of cookies and hidden fields. To change what a cookie is sealed with: there.
//! - `rsa_key`, `oaep`: what is done with a private RSA key, by the arithmetic of the crate `rsa_private`. `rate`: how often one
//!   worker does it.
//! - `curve`: ES384 and ES512 outside of wasm.

mod alg;
mod assertion_key;
pub mod certificate;
pub mod curve;
mod jwk;
mod jws;
mod key_set;
mod oaep;
pub mod private_key;
pub mod rate;
mod rsa_key;
pub mod seal;
mod sign;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod tests;

pub use alg::Alg;
pub use assertion_key::AssertionKey;
pub use jwk::Key;
pub use jws::Jws;
pub use jws::MAX_TOKEN;
pub use key_set::{KeySet, Unverified, MAX_KEY_SET};
pub use oaep::{Oaep, OaepHash};
pub use sign::{check_signing_key, sign, Protected};

use crate::values::secret::Secret;

/// So many certificates of an IdP are tried. Each costs a worker milliseconds, which a forged signature spends on all of
/// them, and metadata has room for thousands.
pub const MAX_CERTIFICATES: usize = 16;

/// Whether an operator's certificate can be used, and if not, why.
pub fn check_certificate(pem: &str) -> Result<(), String> {
    certificate::Certificate::parse(pem).map(|_| ())
}

/// How many bits an operator's private key has if it can be used, and if not, why.
pub fn check_private_key(pem: &Secret) -> Result<usize, String> {
    private_key::PrivateKey::parse(pem).map(|key| key.bits())
}

/// The RSA keys that the budgets of SECURITY.md are measured with.
pub const USUAL_KEY_BITS: usize = 2048;

/// What an operator should know of a private key with more bits than [`USUAL_KEY_BITS`].
pub fn large_key(bits: usize) -> String {
    format!(
        "RSA of {bits} bits: each use costs a worker several times what 2048 bits cost, and a browser that begins a login \
         causes one use"
    )
}

/// Whether a private key and a certificate that can be used are of one pair, and if not, why.
pub fn check_pair(private_key: &Secret, certificate: &str) -> Result<(), String> {
    match (private_key::PrivateKey::parse(private_key), certificate::Certificate::parse(certificate)) {
        (Ok(key), Ok(certificate)) if !key.belongs_to(&certificate) => {
            Err(format!("{} is not of the private_key: the IdP would use another key", certificate.name()))
        }
        _ => Ok(()),
    }
}
