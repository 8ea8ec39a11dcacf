//! Signatures as an IdP or an attacker makes them, each part replaceable.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use rsa::pkcs8::DecodePrivateKey;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::proto::saml::c14n;
use crate::proto::saml::names::{DSIG, ENVELOPED, EXC_C14N};
use crate::proto::saml::xml;

use super::keys;

#[derive(Clone)]
pub enum Key {
    Rsa(&'static str),
    P256,
    P384,
    Hmac(Vec<u8>),
}

#[derive(Clone)]
pub struct Spec {
    pub key: Key,
    pub algorithm: String,
    pub digest: String,
    pub canonicalization: String,
    pub transforms: String,
    /// The prefixes that both canonicalisations get.
    pub inclusive: Vec<&'static str>,
    /// `None`: to the element itself.
    pub uri: Option<String>,
    pub key_info: String,
    /// A second reference or anything else at the end of SignedInfo.
    pub more: String,
}

pub fn method(name: &str, algorithm: &str, inside: &str) -> String {
    format!("<ds:{name} Algorithm=\"{algorithm}\">{inside}</ds:{name}>")
}

pub fn certificate_info(pem: &str) -> String {
    let der: String = pem.lines().filter(|l| !l.contains("-----")).collect();
    format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            key: Key::Rsa(keys::IDP_KEY),
            algorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".into(),
            digest: "http://www.w3.org/2001/04/xmlenc#sha256".into(),
            canonicalization: method("CanonicalizationMethod", EXC_C14N, ""),
            transforms: method("Transform", ENVELOPED, "") + &method("Transform", EXC_C14N, ""),
            inclusive: vec![],
            uri: None,
            key_info: certificate_info(keys::IDP),
            more: String::new(),
        }
    }
}

pub fn digest(uri: &str, message: &[u8]) -> Vec<u8> {
    match uri.rsplit(['#', '-']).next().unwrap() {
        "sha1" => sha1::Sha1::digest(message).to_vec(),
        "sha384" => Sha384::digest(message).to_vec(),
        "sha512" => Sha512::digest(message).to_vec(),
        _ => Sha256::digest(message).to_vec(),
    }
}

/// DigestInfo of SHA-1 (RFC 8017 section 9.2).
const SHA1_PREFIX: [u8; 15] = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block[..key.len()].copy_from_slice(&key);
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

pub fn raw_signature(key: &Key, algorithm: &str, message: &[u8]) -> Vec<u8> {
    let hash = digest(algorithm, message);
    match key {
        Key::Rsa(pem) => {
            let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
            let padding = match hash.len() {
                20 => rsa::Pkcs1v15Sign { hash_len: Some(20), prefix: Box::new(SHA1_PREFIX) },
                48 => rsa::Pkcs1v15Sign::new::<Sha384>(),
                64 => rsa::Pkcs1v15Sign::new::<Sha512>(),
                _ => rsa::Pkcs1v15Sign::new::<Sha256>(),
            };
            key.sign(padding, &hash).unwrap()
        }
        Key::P256 => {
            let key = p256::ecdsa::SigningKey::from_pkcs8_pem(keys::P256_KEY).unwrap();
            let signature: p256::ecdsa::Signature = key.sign_prehash(&hash).unwrap();
            signature.to_bytes().to_vec()
        }
        Key::P384 => {
            let key = p384::ecdsa::SigningKey::from_pkcs8_pem(keys::P384_KEY).unwrap();
            let signature: p384::ecdsa::Signature = key.sign_prehash(&hash).unwrap();
            signature.to_bytes().to_vec()
        }
        Key::Hmac(key) => hmac(key, message),
    }
}

/// The message with a signature behind its first Issuer.
pub fn sign(message: &str, spec: &Spec) -> String {
    let document = xml::parse(message, &mut xml::Work::response()).unwrap();
    let root = document.root_element();
    let id = root.attribute("ID").unwrap_or_default();
    let content = c14n::canonical(root, None, &spec.inclusive).unwrap();
    let value = STANDARD.encode(digest(&spec.digest, &content));
    let uri = spec.uri.clone().unwrap_or(format!("#{id}"));
    let template = format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>{}{}<ds:Reference URI=\"{uri}\"><ds:Transforms>{}</ds:Transforms>{}<ds:DigestValue>{value}</ds:DigestValue></ds:Reference>{}</ds:SignedInfo><ds:SignatureValue>@@</ds:SignatureValue>{}</ds:Signature>",
        spec.canonicalization, method("SignatureMethod", &spec.algorithm, ""), spec.transforms, method("DigestMethod", &spec.digest, ""), spec.more, spec.key_info
    );
    let at = message.find("</saml:Issuer>").unwrap() + "</saml:Issuer>".len();
    let unsigned = format!("{}{template}{}", &message[..at], &message[at..]);
    let document = roxmltree::Document::parse(&unsigned).unwrap();
    let info = document
        .root_element()
        .children()
        .find(|n| xml::is(*n, DSIG, "Signature"))
        .and_then(|n| n.first_element_child())
        .unwrap();
    let octets = c14n::canonical(info, None, &spec.inclusive).unwrap();
    let value = STANDARD.encode(raw_signature(&spec.key, &spec.algorithm, &octets));
    // Wrapped as most IdPs wrap it.
    let lines: Vec<&str> = value.as_bytes().chunks(76).map(|c| std::str::from_utf8(c).unwrap()).collect();
    unsigned.replacen("@@", &lines.join("\n"), 1)
}

/// The first element with this opening, through its closing tag.
pub fn cut<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let start = text.find(open).unwrap();
    let end = text[start..].find(close).unwrap() + start + close.len();
    &text[start..end]
}

pub fn signature(text: &str) -> &str {
    cut(text, "<ds:Signature ", "</ds:Signature>")
}

/// Without its first signature.
pub fn unsigned(text: &str) -> String {
    text.replacen(signature(text), "", 1)
}
