//! Our private RSA key: signs requests, opens encrypted assertions.

use std::rc::Rc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::certificate::MIN_RSA_BITS;
use super::oaep::Oaep;
use super::rate::PrivateKeyRate;
use super::rsa_key::RsaKey;
use crate::fault::{Code, Fault};
use crate::host::{Hash, Host};
use crate::values::secret::Secret;

/// An RSA private key of at least 2048 bits.
#[derive(Clone)]
pub struct PrivateKey {
    key: Rc<RsaKey>,
    public: RsaPublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
    rate: Option<Rc<PrivateKeyRate>>,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Reads PKCS#8 PEM. The error never holds a part of it.
    pub fn parse(pem: &Secret) -> Result<Self, String> {
        const CONVERT: &str = "convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem";
        let text = pem.expose();
        if text.contains("BEGIN RSA PRIVATE KEY") || text.contains("BEGIN EC PRIVATE KEY") {
            return Err(format!("a key in the old PKCS#1 or SEC1 form, expected PKCS#8; {CONVERT}"));
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(format!("a key under a passphrase, expected PKCS#8 without one; {CONVERT}"));
        }
        if text.contains("BEGIN CERTIFICATE") {
            return Err("a certificate, expected a private key (-----BEGIN PRIVATE KEY-----)".into());
        }
        let body = text
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .ok_or("not a PKCS#8 private key in PEM (-----BEGIN PRIVATE KEY-----)")?
            .0;
        let compact: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let pkcs8 = STANDARD
            .decode(compact.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| "not a private key in PEM (its base64 is broken)")?;
        const NOT_RSA: &str =
            "not an RSA private key: SAML requests are signed and assertions opened with RSA";
        let key = RsaPrivateKey::from_pkcs8_der(&pkcs8).map_err(|_| NOT_RSA)?;
        let bits = key.n().bits();
        if bits < MIN_RSA_BITS {
            return Err(format!("an RSA key of {bits} bits: at least {MIN_RSA_BITS} are needed"));
        }
        let public = key.to_public_key();
        Ok(Self { key: Rc::new(RsaKey::new(&key).ok_or(NOT_RSA)?), public, pkcs8, rate: None })
    }

    /// The key under a limit that it shares with the other keys of this worker.
    pub fn limited_by(self, rate: Rc<PrivateKeyRate>) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Whether the key may be used once more within this second.
    pub fn check_rate(&self, now: u64) -> Result<(), Fault> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.check(now))
    }

    /// How many bits the modulus has.
    pub fn bits(&self) -> usize {
        self.public.n().bits()
    }

    /// Whether a certificate holds the public half.
    pub fn belongs_to(&self, certificate: &super::certificate::Certificate) -> bool {
        matches!(&certificate.key, super::certificate::PublicKey::Rsa(key) if *key == self.public)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256: by the host where it offers that, else here.
    pub fn sign(&self, host: &dyn Host, message: &[u8]) -> Result<Vec<u8>, Fault> {
        if let Some(signature) = host.sign_rsa(Hash::Sha256, &self.pkcs8, message) {
            return Ok(signature);
        }
        self.rate.as_ref().map_or(Ok(()), |rate| rate.spend(host.now()))?;
        self.key
            .sign(host, message)?
            .ok_or_else(|| Fault::new(Code::NotReady, "the SAML signing key cannot sign"))
    }

    /// How many bytes the modulus has, and so whatever is encrypted for this key.
    pub fn size(&self) -> usize {
        self.public.size()
    }

    /// RSAES-OAEP; `None` where it cannot be opened. Fails where this worker has used private keys too often within this
    /// second.
    pub(crate) fn decrypt(
        &self,
        host: &dyn Host,
        oaep: Oaep,
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.spend(host.now()))?;
        self.key.decrypt(host, oaep, ciphertext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::saml::certificate::Certificate;
    use crate::proto::saml::tests::keys;
    use crate::testing::TestHost;

    fn parse(pem: &str) -> Result<PrivateKey, String> {
        PrivateKey::parse(&Secret::new(pem.into()))
    }

    #[test]
    fn reads_keys_and_says_what_is_wrong() {
        let key = parse(keys::SP_KEY).unwrap();
        assert!(key.belongs_to(&Certificate::parse(keys::SP).unwrap()));
        assert!(!key.belongs_to(&Certificate::parse(keys::IDP).unwrap()));
        for (bad, why) in [
            ("", "PKCS#8"),
            (keys::SP, "certificate"),
            (keys::WEAK_KEY, "1024 bits"),
            (keys::P256_KEY, "RSA"),
            ("-----BEGIN RSA PRIVATE KEY-----", "openssl"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "passphrase"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("MII"), "no part of the key: {error}");
        }
    }

    #[test]
    fn signs_the_same_here_and_by_the_host() {
        let key = parse(keys::SP_KEY).unwrap();
        let (pure, native) = (TestHost::new(), TestHost::new().with_native_rsa());
        assert_eq!(key.sign(&*pure, b"text").unwrap(), key.sign(&*native, b"text").unwrap());
        assert_eq!((pure.native_calls(), native.native_calls()), (0, 1));
    }

    #[test]
    fn does_not_sign_without_randomness() {
        let host = TestHost::new();
        host.fail_random();
        assert!(parse(keys::SP_KEY).unwrap().sign(&*host, b"text").is_err());
    }
}
