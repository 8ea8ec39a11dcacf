//! Our own signatures, for `private_key_jwt` (RFC 7523, OpenID Connect Core section 9).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jwt_compact::alg::{Ed25519, Es256};
use jwt_compact::{Algorithm, AlgorithmSignature};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::RsaPrivateKey;
use serde_json::{json, Map, Value};

use super::rsa_key::RsaKey;
use crate::fault::{Code, Fault};
use crate::host::{Hash, Host};
use crate::values::secret::Secret;

/// What the header of a signed token says beside `alg` and `typ`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protected<'a> {
    /// `kid`.
    pub kid: Option<&'a str>,
    /// `x5t`, which Entra wants.
    pub x5t: Option<&'a str>,
}

enum Private {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

/// Whether `pem` is a PKCS#8 key that can sign `alg`; the error never quotes it.
pub fn check_signing_key(alg: &str, pem: &Secret) -> Result<(), String> {
    private(alg, pem).map(|_| ())
}

/// Signs the claims into a compact JWS with a PKCS#8 PEM key: `RS256`, `PS256`, `ES256` or `EdDSA`. RS256
/// is made by the proxy's library where it is offered.
pub fn sign(
    host: &dyn Host,
    alg: &str,
    pem: &Secret,
    protected: Protected<'_>,
    claims: &Map<String, Value>,
) -> Result<Secret, Fault> {
    let fault = |why: String| Fault::new(Code::NotReady, format!("client_key: {why}"));
    let key = private(alg, pem).map_err(fault)?;
    let mut header = Map::new();
    header.insert("alg".into(), json!(alg));
    header.insert("typ".into(), json!("JWT"));
    for (name, value) in [("kid", protected.kid), ("x5t", protected.x5t)] {
        if let Some(value) = value {
            header.insert(name.into(), json!(value));
        }
    }
    let part = |map: &Map<String, Value>| {
        serde_json::to_vec(map).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).map_err(|e| fault(e.to_string()))
    };
    let input = format!("{}.{}", part(&header)?, part(claims)?);
    let message = input.as_bytes();
    let signature = match &key {
        Private::P256(key) => Es256.sign(key, message).as_bytes().into_owned(),
        Private::Ed25519(key) => Ed25519.sign(key, message).as_bytes().into_owned(),
        Private::Rsa(key) => {
            let by_proxy = match alg {
                "RS256" => {
                    let der = key.to_pkcs8_der().map_err(|_| fault("cannot be written as DER".into()))?;
                    host.sign_rsa(Hash::Sha256, der.as_bytes(), message)
                }
                _ => None,
            };
            match by_proxy {
                Some(signature) => signature,
                None => {
                    let broken = || fault("did not sign".into());
                    let key = RsaKey::new(key).ok_or_else(broken)?;
                    let signature =
                        if alg == "RS256" { key.sign(host, message) } else { key.sign_pss(host, message) };
                    signature?.ok_or_else(broken)?
                }
            }
        }
    };
    Ok(Secret::new(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// The key of a PKCS#8 PEM that signs this algorithm.
fn private(alg: &str, pem: &Secret) -> Result<Private, String> {
    let pem = pem.expose().trim();
    let wrong = || format!("expected a PKCS#8 PEM key (BEGIN PRIVATE KEY) that can sign {alg}");
    match alg {
        "RS256" | "PS256" => {
            let key = RsaPrivateKey::from_pkcs8_pem(pem).map_err(|_| wrong())?;
            match key.n().bits() {
                bits if bits < 2048 => Err(format!("the RSA key has {bits} bits, 2048 are needed")),
                _ => Ok(Private::Rsa(Box::new(key))),
            }
        }
        "ES256" => p256::ecdsa::SigningKey::from_pkcs8_pem(pem).map(Private::P256).map_err(|_| wrong()),
        "EdDSA" => {
            use ed25519_dalek::pkcs8::DecodePrivateKey;
            ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Private::Ed25519).map_err(|_| wrong())
        }
        _ => Err(format!("{alg:?} is not RS256, PS256, ES256 or EdDSA")),
    }
}
