//! A P-256 key that signs assertions for the application, read once and kept.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jwt_compact::alg::Es256;
use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::ecdsa::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use serde_json::{json, Map, Value};

use crate::values::json;
use crate::values::secret::Secret;

/// A key with its name.
pub struct AssertionKey {
    id: String,
    key: SigningKey,
}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AssertionKey({:?}, …)", self.id)
    }
}

impl AssertionKey {
    /// Reads PKCS#8 PEM. The error never quotes it.
    pub fn parse(id: &str, pem: &Secret) -> Result<Self, String> {
        let key = SigningKey::from_pkcs8_pem(pem.expose().trim())
            .map_err(|_| "expected a P-256 private key as PKCS#8 PEM (BEGIN PRIVATE KEY)")?;
        Ok(Self { id: id.to_owned(), key })
    }

    /// `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half as a JSON Web Key (RFC 7517, RFC 7518 section 6.2.1).
    pub fn public(&self) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        let coordinate = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": coordinate(point.x().map(|x| &x[..])), "y": coordinate(point.y().map(|y| &y[..])),
        })
    }

    /// Signs the claims into a compact JWS. The nonce comes from key and message (RFC 6979): no randomness is needed.
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(json::text(value));
        let header = part(&json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" }));
        let input = format!("{header}.{}", part(&Value::Object(claims.clone())));
        let signature = Es256.sign(&self.key, input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
    }
}
