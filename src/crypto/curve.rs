//! ES384 and ES512. Envoy's library verifies them; pure Rust does where there is none, outside of wasm: two more
//! curves in the wasm would be a fifth of it, for algorithms that hardly any provider uses.

use crate::host::{Hash, Host};

/// A curve with its `SubjectPublicKeyInfo` up to the point (RFC 5480 section 2) and its coordinate's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp384r1
    P384,
    /// secp521r1
    P521,
}

impl Curve {
    /// Bytes of a coordinate.
    pub fn size(self) -> usize {
        match self {
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn hash(self) -> Hash {
        match self {
            Curve::P384 => Hash::Sha384,
            Curve::P521 => Hash::Sha512,
        }
    }
}

/// A public key.
#[derive(Clone, Debug)]
pub struct Point {
    curve: Curve,
    spki: Vec<u8>,
    #[cfg(not(target_family = "wasm"))]
    sec1: Vec<u8>,
}

impl Point {
    /// Of an uncompressed point (SEC 1 section 2.3.3). Whether it is on the curve is checked natively here,
    /// in Envoy by its library at every use.
    pub fn new(curve: Curve, sec1: Vec<u8>) -> Option<Self> {
        #[cfg(not(target_family = "wasm"))]
        native::is_on(curve, &sec1).then_some(())?;
        let oid: &[u8] = match curve {
            Curve::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Curve::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        };
        const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        let algorithm = der(0x30, &[der(0x06, EC_PUBLIC_KEY), der(0x06, oid)].concat());
        let bits = der(0x03, &[&[0][..], &sec1].concat());
        let spki = der(0x30, &[algorithm, bits].concat());
        Some(Self {
            curve,
            spki,
            #[cfg(not(target_family = "wasm"))]
            sec1,
        })
    }

    /// Verifies a JWS signature: `R ‖ S` at full length, with the hash of the curve's own size (RFC 7518
    /// section 3.4).
    pub fn verify(&self, host: &dyn Host, message: &[u8], signature: &[u8]) -> bool {
        self.verify_with(self.curve.hash(), host, message, signature)
    }

    /// The same with a hash that the algorithm names (RFC 9231 section 2.3.6).
    pub fn verify_with(&self, hash: Hash, host: &dyn Host, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != 2 * self.curve.size() {
            return false;
        }
        let Some((r, s)) = signature.split_at_checked(self.curve.size()) else { return false };
        // ECDSA-Sig-Value, RFC 3279 section 2.2.3.
        let sequence = der(0x30, &[integer(r), integer(s)].concat());
        match host.verify_ecdsa(hash, &self.spki, &sequence, message) {
            Some(verified) => verified,
            #[cfg(not(target_family = "wasm"))]
            None => native::verify(self.curve, hash, &self.sec1, message, signature),
            #[cfg(target_family = "wasm")]
            None => false,
        }
    }
}

/// A DER element of at most 255 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x81);
    }
    out.push(content.len() as u8);
    out.extend_from_slice(content);
    out
}

/// A non-negative INTEGER in its shortest form.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len().saturating_sub(1));
    let mut content = bytes.get(start..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|b| b & 0x80 != 0) {
        content.insert(0, 0);
    }
    der(0x02, &content)
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use p384::ecdsa::signature::hazmat::PrehashVerifier;
    use sha2::{Digest, Sha256, Sha384, Sha512};

    use super::Curve;
    use crate::host::Hash;

    pub fn is_on(curve: Curve, sec1: &[u8]) -> bool {
        match curve {
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(sec1).is_ok(),
            Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(sec1).is_ok(),
        }
    }

    pub fn verify(curve: Curve, hash: Hash, sec1: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let digest = match hash {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha384 => Sha384::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        };
        match curve {
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(sec1).is_ok_and(|key| {
                p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_prehash(&digest, &s).is_ok())
            }),
            Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(sec1).is_ok_and(|key| {
                p521::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_prehash(&digest, &s).is_ok())
            }),
        }
    }
}
