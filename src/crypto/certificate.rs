//! Certificates as holders of keys. Trust is pinned: a certificate counts because the configuration (or the
//! configured metadata) names it, so only its key is used; chain, purpose and expiry decide nothing.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::RsaPublicKey;
use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::crypto::curve::{Curve, Point};

/// RSA keys below this can be factored by those who want to (NIST SP 800-131A).
pub const MIN_RSA_BITS: usize = 2048;

/// A public key that verifies signatures.
#[derive(Clone)]
pub enum PublicKey {
    /// RSA of at least 2048 bits.
    Rsa(RsaPublicKey),
    /// ECDSA on P-256.
    P256(p256::ecdsa::VerifyingKey),
    /// ECDSA on P-384.
    P384(Point),
}

/// A certificate of an IdP or of ours.
#[derive(Clone)]
pub struct Certificate {
    /// The key.
    pub key: PublicKey,
    /// The DER SubjectPublicKeyInfo, as the host's verification takes it.
    pub spki: Vec<u8>,
    /// The DER certificate.
    pub der: Vec<u8>,
    /// Milliseconds since 1970.
    pub not_before: u64,
    /// Milliseconds since 1970.
    pub not_after: u64,
    /// Whose it says it is, for people.
    pub subject: String,
    /// Whose it says it is, and who issued it, as the certificate writes them.
    names: (Vec<u8>, Vec<u8>),
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.name())
    }
}

impl Certificate {
    /// Reads one certificate: PEM, or the bare base64 that metadata and administration pages show.
    pub fn parse(text: &str) -> Result<Self, String> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let body = match text.split_once(BEGIN) {
            Some((before, rest)) => {
                let (body, after) = rest.split_once(END).ok_or("a PEM certificate without its END line")?;
                if after.contains(BEGIN) {
                    return Err("several certificates in one value: write each as an item of the list".into());
                }
                if !before.trim().is_empty() && before.contains("PRIVATE KEY")
                    || after.contains("PRIVATE KEY")
                {
                    return Err("a private key beside the certificate: expected the certificate alone".into());
                }
                body
            }
            None if text.contains("PRIVATE KEY") => {
                return Err("a private key, expected a certificate (-----BEGIN CERTIFICATE-----)".into());
            }
            None if text.contains("-----BEGIN") => {
                return Err("not a certificate, expected -----BEGIN CERTIFICATE-----".into());
            }
            None => text,
        };
        let compact: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| "not a PEM certificate (its base64 is broken)")?;
        Self::from_der(&der)
    }

    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, String> {
        let parsed: CertificateInner<Raw> =
            CertificateInner::from_der(der).map_err(|_| "not an X.509 certificate (its DER is broken)")?;
        let tbs = &parsed.tbs_certificate;
        let spki = tbs.subject_public_key_info.to_der().map_err(|_| "a certificate whose key is broken")?;
        let name = |name: &Name| name.to_der().map_err(|_| "a certificate whose names are broken");
        let time =
            |t: &x509_cert::time::Time| u64::try_from(t.to_unix_duration().as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            key: PublicKey::from_spki(&spki)?,
            spki,
            der: der.to_vec(),
            not_before: time(&tbs.validity.not_before),
            not_after: time(&tbs.validity.not_after),
            subject: crate::values::text::clip(&shown(&tbs.subject)),
            names: (name(&tbs.subject)?, name(&tbs.issuer)?),
        })
    }

    /// Whether the other certificate names this one's subject as its issuer.
    ///
    /// Self-signed certificates of one subject do not count: that is how keys roll over.
    pub fn issued(&self, other: &Certificate) -> bool {
        other.names.1 == self.names.0 && other.names.1 != other.names.0
    }

    /// Subject and the beginning of the SHA-256 fingerprint: enough to find it in an administration page.
    pub fn name(&self) -> String {
        format!("{:?} (SHA-256 {})", self.subject, fingerprint(&self.der))
    }

    /// What an operator should know about its dates, which decide nothing.
    pub fn date_warning(&self, now: u64) -> Option<String> {
        if now >= self.not_after {
            return Some(format!(
                "the certificate {} expired on {}: it is pinned and still verifies, replace it at the IdP and here",
                self.name(),
                crate::values::time::instant(self.not_after)
            ));
        }
        (now < self.not_before).then(|| {
            format!(
                "the certificate {} is valid only from {}",
                self.name(),
                crate::values::time::instant(self.not_before)
            )
        })
    }
}

/// The first eight bytes of the SHA-256 fingerprint, as administration pages print it.
pub fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().take(8).map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":") + ":…"
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki(spki: &[u8]) -> Result<Self, String> {
        if let Ok(key) = RsaPublicKey::from_public_key_der(spki) {
            let bits = key.n().bits();
            if bits < MIN_RSA_BITS {
                return Err(format!("an RSA key of {bits} bits: at least {MIN_RSA_BITS} are needed"));
            }
            return Ok(Self::Rsa(key));
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(spki) {
            return Ok(Self::P256(key));
        }
        if let Some(key) = p384(spki) {
            return Ok(Self::P384(key));
        }
        Err("a key of an unsupported kind: expected RSA (2048 to 4096 bits), P-256 or P-384".into())
    }
}

/// A name as RFC 4514 writes it, with the attributes that certificates of IdPs have. The library's own way of
/// writing knows every identifier there is, at 100 KB.
fn shown(name: &Name) -> String {
    const NAMES: [(ObjectIdentifier, &str); 6] = [
        (ObjectIdentifier::new_unwrap("2.5.4.3"), "CN"),
        (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
        (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
        (ObjectIdentifier::new_unwrap("2.5.4.8"), "ST"),
        (ObjectIdentifier::new_unwrap("2.5.4.10"), "O"),
        (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
    ];
    let parts = name.0.iter().rev().flat_map(|rdn| rdn.0.iter()).map(|part| {
        let value = String::from_utf8_lossy(part.value.value());
        match NAMES.iter().find(|(oid, _)| *oid == part.oid) {
            Some((_, name)) => format!("{name}={value}"),
            None => format!("{}={value}", part.oid),
        }
    });
    parts.collect::<Vec<_>>().join(",")
}

/// A point on P-384 (RFC 5480 section 2.1.1.1), for the host to verify with.
fn p384(spki: &[u8]) -> Option<Point> {
    const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    let (algorithm, curve) = info.algorithm.oids().ok()?;
    if algorithm != EC_PUBLIC_KEY || curve != Some(SECP384R1) {
        return None;
    }
    let point = info.subject_public_key.as_bytes()?;
    // Uncompressed (SEC 1 section 2.3.3): what certificates hold.
    (point.len() == 97 && point.first() == Some(&4)).then_some(())?;
    Point::new(Curve::P384, point.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::saml::tests::keys;

    #[test]
    fn reads_certificates_and_says_what_is_wrong() {
        let good = Certificate::parse(keys::IDP).unwrap();
        assert_eq!(good.subject, "CN=idp.example.com");
        assert!(matches!(good.key, PublicKey::Rsa(_)));
        assert!(matches!(Certificate::parse(keys::P256).unwrap().key, PublicKey::P256(_)));
        assert!(matches!(Certificate::parse(keys::P384).unwrap().key, PublicKey::P384(_)));
        let bare: String = keys::IDP.lines().filter(|l| !l.contains("-----")).collect();
        assert_eq!(Certificate::parse(&bare).unwrap().der, good.der);
        assert!(Certificate::parse(&format!("Bag Attributes\n{}\n", keys::IDP.replace('\n', "\r\n"))).is_ok());
        for (bad, why) in [
            (String::new(), "DER"),
            ("hello".into(), "base64"),
            (keys::IDP_KEY.into(), "private key"),
            (format!("{}{}", keys::IDP, keys::SP), "several"),
            (format!("{}{}", keys::IDP, keys::IDP_KEY), "private key"),
            (keys::IDP.replace("-----END", "----END"), "END"),
            (keys::WEAK.into(), "1024 bits"),
            (keys::IDP.replace("MII", "MIJ"), ""),
        ] {
            let error = Certificate::parse(&bad).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn dates_only_warn() {
        let certificate = Certificate::parse(keys::IDP).unwrap();
        assert_eq!(certificate.date_warning(certificate.not_before), None);
        assert_eq!(certificate.date_warning(certificate.not_after - 1), None);
        assert!(certificate.date_warning(certificate.not_after).unwrap().contains("expired"));
        assert!(certificate.date_warning(certificate.not_before - 1).unwrap().contains("only from"));
    }
}
