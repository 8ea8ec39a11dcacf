//! The keys of `tests/keys`, and tokens signed with them.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jwt_compact::alg::Es256;
use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::pkcs8::DecodePrivateKey;
use serde_json::{json, Value};

use crate::values::secret::Secret;

/// The public keys: `rsa-a`, `rsa-b` (alg RS256), `p256`, `p384`, `p521`, `ed25519`.
pub const JWKS: &str = include_str!("../../tests/keys/test-jwks.json");
/// One token for each algorithm, made by another implementation.
pub const SIGNED: &str = include_str!("../../tests/keys/test-signed.json");
/// The secret of its HMACs.
pub const SECRET: &str = "a client secret of some length, for tests only";
pub const RSA_A: &str = include_str!("../../tests/keys/test-rsa-a.pem");
pub const RSA_3072: &str = include_str!("../../tests/keys/test-rsa-3072.pem");
pub const RSA_WEAK: &str = include_str!("../../tests/keys/test-rsa-weak.pem");
pub const RSA_WEAK_JWK: &str = include_str!("../../tests/keys/test-rsa-weak.jwk.json");
pub const P256: &str = include_str!("../../tests/keys/test-p256.pem");
pub const P384: &str = include_str!("../../tests/keys/test-p384.pem");
pub const ED25519: &str = include_str!("../../tests/keys/test-ed25519.pem");

/// An ES256 token of the key `p256` with any header and any claims, also wrong ones.
pub fn token_of(header: &Value, claims: &str) -> String {
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(P256).unwrap();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", part(&header.to_string()), part(claims));
    let signature = Es256.sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

/// A good one with these claims.
pub fn token(claims: &Value) -> Secret {
    Secret::new(token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "JWT"}), &claims.to_string()))
}
