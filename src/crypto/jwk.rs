//! One public key of a key set (RFC 7517), and a signature checked with it.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jwt_compact::alg::{Ed25519, Es256, Rsa};
use jwt_compact::{Algorithm, AlgorithmSignature};
use rsa::pkcs8::EncodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use serde_json::{Map, Value};

use super::curve::{Curve, Point};
use super::Alg;
use crate::host::Host;

/// RSA keys below are refused (RFC 7518 section 3.3), above they cost too much to try.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key.
#[derive(Debug)]
pub struct Key {
    /// `kid`.
    pub kid: Option<String>,
    /// `issuer`, Microsoft's own member: the issuer, or template of issuers, the key may sign for.
    pub issuer: Option<String>,
    alg: Option<Alg>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa { key: RsaPublicKey, spki: Vec<u8> },
    P256(p256::ecdsa::VerifyingKey),
    P384(Point),
    P521(Point),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Key {
    /// Reads a member of `keys`; `Err` says why it is of no use here. That is normal: sets hold
    /// encryption keys and types that are not known yet, and they must not spoil the others.
    pub fn parse(jwk: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| match jwk.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("{name} is not a string")),
        };
        if text("use")?.is_some_and(|u| u != "sig") {
            return Err("is not for signatures".into());
        }
        if let Some(ops) = jwk.get("key_ops").and_then(Value::as_array) {
            if !ops.iter().any(|op| op == "verify") {
                return Err("is not for verification".into());
            }
        }
        let alg = match text("alg")? {
            None => None,
            Some(name) => Some(Alg::parse(name).ok_or("has an algorithm that is not accepted")?),
        };
        let bytes = |name: &str| {
            let text = text(name)?.ok_or_else(|| format!("has no {name}"))?;
            // Padding is not allowed, but some providers send it.
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| format!("{name} is not base64url"))
        };
        let point = |size: usize| {
            let mut point = vec![4u8]; // uncompressed, SEC 1 section 2.3.3
            for coordinate in [bytes("x")?, bytes("y")?] {
                // RFC 7518 section 6.2.1.2: full length; stripped zeros are put back.
                let missing =
                    size.checked_sub(coordinate.len()).ok_or_else(|| "has a long coordinate".to_owned())?;
                point.extend(std::iter::repeat_n(0u8, missing));
                point.extend(coordinate);
            }
            Ok::<_, String>(point)
        };
        let public = match (text("kty")?, text("crv")?) {
            (Some("RSA"), _) => rsa(&bytes("n")?, &bytes("e")?)?,
            (Some("EC"), Some("P-256")) => {
                Public::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&point(32)?).map_err(off_curve)?)
            }
            (Some("EC"), Some("P-384")) => Public::P384(
                Point::new(Curve::P384, point(Curve::P384.size())?).ok_or_else(|| off_curve(()))?,
            ),
            (Some("EC"), Some("P-521")) => Public::P521(
                Point::new(Curve::P521, point(Curve::P521.size())?).ok_or_else(|| off_curve(()))?,
            ),
            (Some("OKP"), Some("Ed25519")) => {
                let x: [u8; 32] = bytes("x")?.try_into().map_err(|_| "x is not of 32 bytes")?;
                Public::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(&x).map_err(off_curve)?)
            }
            _ => return Err("is of an unknown type".into()),
        };
        let key = Self {
            kid: text("kid")?.map(str::to_owned),
            issuer: text("issuer")?.map(str::to_owned),
            alg,
            public,
        };
        match alg {
            Some(alg) if !key.fits_type(alg) => {
                Err(format!("has alg {}, which is not of its type", alg.name()))
            }
            _ => Ok(key),
        }
    }

    /// Whether the key may verify that algorithm: by its type and curve, and by its own `alg` where it
    /// has one. This is what stops a public key from being taken for an HMAC secret.
    pub fn fits(&self, alg: Alg) -> bool {
        self.fits_type(alg) && self.alg.is_none_or(|own| own == alg)
    }

    fn fits_type(&self, alg: Alg) -> bool {
        matches!(
            (&self.public, alg),
            (Public::Rsa { .. }, Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384 | Alg::Ps512)
                | (Public::P256(_), Alg::Es256)
                | (Public::P384(_), Alg::Es384)
                | (Public::P521(_), Alg::Es512)
                | (Public::Ed25519(_), Alg::EdDsa)
        )
    }

    /// Checks a signature. RSASSA-PKCS1-v1_5 goes to the proxy's library where it is offered.
    pub fn verify(&self, host: &dyn Host, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(alg) {
            return false;
        }
        match (&self.public, alg) {
            (Public::Rsa { key, spki }, Alg::Rs256 | Alg::Rs384 | Alg::Rs512) => host
                .verify_rsa(alg.hash(), spki, signature, message)
                .unwrap_or_else(|| rsa_verify(alg, key, message, signature)),
            (Public::Rsa { key, .. }, _) => rsa_verify(alg, key, message, signature),
            (Public::P256(key), _) => with(&Es256, key, message, signature),
            (Public::Ed25519(key), _) => with(&Ed25519, key, message, signature),
            (Public::P384(key) | Public::P521(key), _) => key.verify(host, message, signature),
        }
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Public, String> {
    let key = RsaPublicKey::new_with_max_size(
        BigUint::from_bytes_be(n),
        BigUint::from_bytes_be(e),
        *RSA_BITS.end(),
    )
    .map_err(|_| "has no usable modulus or exponent")?;
    let bits = key.n().bits();
    if !RSA_BITS.contains(&bits) {
        return Err(format!("has {bits} bits: RSA keys need 2048"));
    }
    let spki = key.to_public_key_der().map_err(|_| "cannot be written as DER")?.into_vec();
    Ok(Public::Rsa { key, spki })
}

fn rsa_verify(alg: Alg, key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
    alg.name().parse::<Rsa>().is_ok_and(|rsa| with(&rsa, key, message, signature))
}

/// A check by one of jwt-compact's algorithms, whose signatures of fixed length must have that length
/// before they are read.
pub(super) fn with<A: Algorithm>(alg: &A, key: &A::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    if A::Signature::LENGTH.is_some_and(|length| length.get() != signature.len()) {
        return false;
    }
    A::Signature::try_from_slice(signature).is_ok_and(|s| alg.verify_signature(&s, key, message))
}

fn off_curve<E>(_: E) -> String {
    "is not a point of its curve".into()
}
