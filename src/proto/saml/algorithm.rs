//! The algorithms that count, by their URIs, and words for those that do not.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::signature::Verifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::certificate::{Certificate, PublicKey};
use crate::host::{Hash, Host};

const SETTING: &str = "set the IdP's signature algorithm to RSA-SHA256 and its digest to SHA-256";

/// A digest algorithm (XML Signature section 6.2, RFC 9231 section 2.1).
pub fn digest(uri: &str) -> Result<Hash, String> {
    match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(Hash::Sha256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(Hash::Sha384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(Hash::Sha512),
        "http://www.w3.org/2000/09/xmldsig#sha1" => {
            Err(format!("the digest is SHA-1, which is broken: {SETTING}"))
        }
        other => {
            Err(format!("the digest algorithm {:?} is not supported: {SETTING}", super::xml::clip(other)))
        }
    }
}

/// The digest of a message.
pub fn hash(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// RSASSA-PKCS1-v1_5.
    Rsa(Hash),
    /// ECDSA, `r` and `s` side by side.
    Ecdsa(Hash),
}

impl Signing {
    /// By URI (RFC 9231 section 2.3). HMAC never counts: keyed with the public certificate, any attacker can make one.
    pub fn from_uri(uri: &str) -> Result<Self, String> {
        Ok(match uri {
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Self::Rsa(Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Self::Rsa(Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Self::Rsa(Hash::Sha512),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Self::Ecdsa(Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => Self::Ecdsa(Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512" => Self::Ecdsa(Hash::Sha512),
            sha1 if sha1.ends_with("-sha1") => {
                return Err(format!("the signature is made with SHA-1, which is broken: {SETTING}"));
            }
            other => {
                let other = super::xml::clip(other);
                return Err(format!("the signature algorithm {other:?} is not supported: {SETTING}"));
            }
        })
    }

    /// Whether this certificate's key made the signature. The key's kind decides what is possible, the message
    /// cannot (algorithm confusion).
    pub fn verifies(
        self,
        host: &dyn Host,
        certificate: &Certificate,
        signature: &[u8],
        message: &[u8],
    ) -> bool {
        match (self, &certificate.key) {
            (Self::Rsa(hash), PublicKey::Rsa(key)) => host
                .verify_rsa(hash, &certificate.spki, signature, message)
                .unwrap_or_else(|| rsa_verifies(hash, key, signature, message)),
            (Self::Ecdsa(by), PublicKey::P256(key)) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash(by, message), &signature).is_ok()),
            (Self::Ecdsa(by), PublicKey::P384(key)) => key.verify_with(by, host, message, signature),
            _ => false,
        }
    }
}

fn rsa_verifies(hash: Hash, key: &rsa::RsaPublicKey, signature: &[u8], message: &[u8]) -> bool {
    let Ok(signature) = rsa::pkcs1v15::Signature::try_from(signature) else { return false };
    let key = key.clone();
    match hash {
        Hash::Sha256 => rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message, &signature).is_ok(),
        Hash::Sha384 => rsa::pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(message, &signature).is_ok(),
        Hash::Sha512 => rsa::pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(message, &signature).is_ok(),
    }
}
