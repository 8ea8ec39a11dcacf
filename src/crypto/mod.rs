//! Certificates and private keys of operators and providers.

pub mod certificate;
pub mod key;

use crate::secret::Secret;

/// Whether an operator's certificate can be used, and if not, why.
pub fn check_certificate(pem: &str) -> Result<(), String> {
    certificate::Certificate::parse(pem).map(|_| ())
}

/// Whether an operator's private key can be used, and if not, why.
pub fn check_private_key(pem: &Secret) -> Result<(), String> {
    key::PrivateKey::parse(pem).map(|_| ())
}

/// Whether a private key and a certificate that can be used are of one pair, and if not, why.
pub fn check_pair(private_key: &Secret, certificate: &str) -> Result<(), String> {
    match (key::PrivateKey::parse(private_key), certificate::Certificate::parse(certificate)) {
        (Ok(key), Ok(certificate)) if !key.belongs_to(&certificate) => {
            Err(format!("{} is not of the private_key: the IdP would use another key", certificate.name()))
        }
        _ => Ok(()),
    }
}
