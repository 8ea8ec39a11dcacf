//! Encrypted assertions.

use std::rc::Rc;

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockEncryptMut, KeyIvInit};
use aes_gcm::aead::{Aead, KeyInit};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use rsa::Oaep;
use sha1::Sha1;
use sha2::Sha256;

use super::forge::unsigned;
use super::idp::*;
use super::keys;
use crate::crypto::rate::PrivateKeyRate;
use crate::fault::Code;
use crate::proto::saml::certificate::PublicKey;
use crate::proto::saml::names::{DSIG, SAML, XENC, XENC11};
use crate::testing::rng::TestRng;
use crate::testing::START;

#[derive(Clone)]
pub struct Lock {
    pub cipher: &'static str,
    pub transport: &'static str,
    pub sha256: bool,
    pub mask256: bool,
    pub to: &'static str,
    /// Okta: the key beside the data, with a RetrievalMethod.
    pub beside: bool,
    pub retrieval: &'static str,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            cipher: "aes256-gcm",
            transport: "rsa-oaep-mgf1p",
            sha256: false,
            mask256: false,
            to: keys::SP,
            beside: false,
            retrieval: "#_key",
        }
    }
}

pub fn raw(lock: &Lock, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let size = if lock.cipher.starts_with("aes128") { 16 } else { 32 };
    let key = vec![7u8; size];
    let mut content = vec![9u8; if lock.cipher.ends_with("gcm") { 12 } else { 16 }];
    let iv = content.clone();
    if lock.cipher.ends_with("gcm") {
        let nonce = aes_gcm::Nonce::from_slice(&iv);
        content.extend(match size {
            16 => aes_gcm::Aes128Gcm::new_from_slice(&key).unwrap().encrypt(nonce, plain).unwrap(),
            _ => aes_gcm::Aes256Gcm::new_from_slice(&key).unwrap().encrypt(nonce, plain).unwrap(),
        });
    } else {
        let mut padded = plain.to_vec();
        let padding = 16 - padded.len() % 16;
        padded.extend(vec![0xAA; padding - 1]);
        padded.push(padding as u8);
        content.extend(match size {
            16 => cbc::Encryptor::<aes::Aes128>::new_from_slices(&key, &iv)
                .unwrap()
                .encrypt_padded_vec_mut::<NoPadding>(&padded),
            _ => cbc::Encryptor::<aes::Aes256>::new_from_slices(&key, &iv)
                .unwrap()
                .encrypt_padded_vec_mut::<NoPadding>(&padded),
        });
    }
    let PublicKey::Rsa(public) = certificate(lock.to).key else { panic!() };
    let padding = match (lock.sha256, lock.mask256) {
        (false, false) => Oaep::new::<Sha1>(),
        (true, false) => Oaep::new_with_mgf_hash::<Sha256, Sha1>(),
        (false, true) => Oaep::new_with_mgf_hash::<Sha1, Sha256>(),
        (true, true) => Oaep::new::<Sha256>(),
    };
    let wrapped = public.encrypt(&mut TestRng(1), padding, &key).unwrap();
    (content, wrapped)
}

pub fn lock(lock: &Lock, plain: &str) -> String {
    let (content, wrapped) = raw(lock, plain.as_bytes());
    let space = if lock.cipher.ends_with("gcm") { XENC11 } else { XENC };
    let transport = if lock.transport == "rsa-oaep" { XENC11 } else { XENC };
    let digest =
        if lock.sha256 { format!("<ds:DigestMethod Algorithm=\"{XENC}sha256\"/>") } else { String::new() };
    let mask = if lock.mask256 {
        format!("<m:MGF xmlns:m=\"{XENC11}\" Algorithm=\"{XENC11}mgf1sha256\"/>")
    } else {
        String::new()
    };
    let key = format!(
        "<xenc:EncryptedKey Id=\"_key\"><xenc:EncryptionMethod Algorithm=\"{transport}{}\">{digest}{mask}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>",
        lock.transport, STANDARD.encode(wrapped)
    );
    let (inside, beside) = if lock.beside {
        (format!("<ds:RetrievalMethod Type=\"{XENC}EncryptedKey\" URI=\"{}\"/>", lock.retrieval), key)
    } else {
        (key, String::new())
    };
    format!(
        "<saml:EncryptedAssertion xmlns:saml=\"{SAML}\" xmlns:xenc=\"{XENC}\" xmlns:ds=\"{DSIG}\"><xenc:EncryptedData Type=\"{XENC}Element\"><xenc:EncryptionMethod Algorithm=\"{space}{}\"/><ds:KeyInfo>{inside}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>{beside}</saml:EncryptedAssertion>",
        lock.cipher, STANDARD.encode(content)
    )
}

/// An `EncryptedID`.
pub fn lock_id(with: &Lock, plain: &str) -> String {
    lock(with, plain).replace("EncryptedAssertion", "EncryptedID")
}

fn write(style: Style, with: &Lock) -> String {
    let answer = Answer::signed(style);
    answer.around(&lock(with, &answer.assertion()))
}

#[test]
fn opens_what_idps_encrypt() {
    for cipher in ["aes128-gcm", "aes256-gcm", "aes128-cbc", "aes256-cbc"] {
        for (transport, sha256, mask256) in [
            ("rsa-oaep-mgf1p", false, false),
            ("rsa-oaep-mgf1p", true, false),
            ("rsa-oaep", false, false),
            ("rsa-oaep", true, false),
            ("rsa-oaep", false, true),
            ("rsa-oaep", true, true),
        ] {
            let with = Lock { cipher, transport, sha256, mask256, ..Lock::default() };
            accepted(&write(Style::Both, &with));
            accepted(&write(Style::Response, &with));
            if cipher.ends_with("gcm") {
                accepted(&write(Style::Assertion, &with));
            } else {
                let why = refused(&write(Style::Assertion, &with), "saml20.sign.response").fault.detail;
                for setting in
                    ["SamlResponseSignature MessageAndAssertion", "Sign SAML response and assertion", "Both"]
                {
                    assert!(why.contains(setting), "{setting}: {why}");
                }
            }
        }
    }
}

#[test]
fn okta_puts_the_key_beside() {
    let with = Lock { beside: true, ..Lock::default() };
    accepted(&write(Style::Both, &with));
    // Without a RetrievalMethod there is nothing to match; with one it must be this key.
    let good = write(Style::Assertion, &with);
    accepted(&good);
    accepted(&good.replace(&format!("<ds:RetrievalMethod Type=\"{XENC}EncryptedKey\" URI=\"#_key\"/>"), ""));
    for retrieval in ["#_other", "http://evil.com/key", "", "_key"] {
        refused(&write(Style::Assertion, &Lock { retrieval, ..with.clone() }), "no EncryptedKey");
    }
}

#[test]
fn encrypted_is_not_signed() {
    for cipher in ["aes256-gcm", "aes256-cbc"] {
        let text = write(Style::Nothing, &Lock { cipher, ..Lock::default() });
        refused(&text, if cipher.ends_with("gcm") { "neither" } else { "not signed" });
    }
    // The public key is public: anybody can encrypt an assertion of their own.
    let mut answer = Answer::signed(Style::Assertion);
    answer.spec.key = super::forge::Key::Rsa(keys::STRANGER_KEY);
    refused(&answer.around(&lock(&Lock::default(), &answer.assertion())), "not by a certificate");
    let evil = Answer::signed(Style::Assertion).assertion().replace("ada@acme.com", "eve@evil.com");
    refused(&Answer::signed(Style::Assertion).around(&lock(&Lock::default(), &evil)), "digest");
}

#[test]
fn what_is_off_says_what_to_set() {
    for (from, to, why) in [
        ("rsa-oaep-mgf1p", "rsa-1_5", "RSA-1_5"),
        ("rsa-oaep-mgf1p", "kw-aes128", "RSA-OAEP"),
        ("aes256-gcm", "tripledes-cbc", "AES-256-GCM"),
        ("xenc:CipherValue>", "xenc:CipherReference>", "CipherValue"),
        ("EncryptedKey", "OtherKey", "no EncryptedKey"),
    ] {
        let good = write(Style::Assertion, &Lock::default());
        assert_ne!(good.replace(from, to), good);
        refused(&good.replace(from, to), why);
    }
    let us = Us { key: None, ..Us::default() };
    let refusal = us.read(&write(Style::Both, &Lock::default())).unwrap_err();
    assert!(refusal.fault.detail.contains("saml.decryption is not set"));
}

/// Whatever is damaged, the words are the same: no padding oracle, neither of RSA nor of CBC.
#[test]
fn one_error_for_every_damage() {
    let mut details = Vec::new();
    for cipher in ["aes128-cbc", "aes256-cbc", "aes256-gcm"] {
        let with = Lock { cipher, ..Lock::default() };
        let answer = Answer::signed(Style::Both);
        let good = lock(&with, &answer.assertion());
        let (content, wrapped) = raw(&with, answer.assertion().as_bytes());
        let mut damage = |from: &[u8], to: Vec<u8>| {
            let bad = good.replace(&STANDARD.encode(from), &STANDARD.encode(&to));
            assert_ne!(bad, good);
            // Under a signature that covers the damage, so that it is opened at all.
            details.push(refused(&answer.around(&bad), "").fault.detail);
        };
        let flip = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0x80;
            bytes
        };
        damage(&wrapped, flip(&wrapped, 100));
        damage(&wrapped, vec![1; 256]);
        damage(&wrapped, vec![1; 10]);
        damage(&wrapped, vec![]);
        damage(&content, vec![]);
        damage(&content, vec![0; 15]);
        damage(&content, vec![0; 16]);
        damage(&content, vec![0; 32]);
        damage(&content, content[..content.len() - 1].to_vec());
        damage(&content, flip(&content, content.len() - 17));
        // Each value of the last byte: the padding, and nothing, is told from it.
        if cipher.ends_with("cbc") {
            for mask in 1..=255u8 {
                let mut bytes = content.clone();
                let at = bytes.len() - 17;
                bytes[at] ^= mask;
                let bad = good.replace(&STANDARD.encode(&content), &STANDARD.encode(&bytes));
                let detail = refused(&unsigned(&answer.around(&bad)), "").fault.detail;
                assert!(detail.contains("AES-CBC"), "not even opened: {detail}");
            }
        }
    }
    let stranger = Lock { to: keys::STRANGER, ..Lock::default() };
    details.push(refused(&write(Style::Both, &stranger), "").fault.detail);
    let live: Vec<&String> = details.iter().filter(|d| d.contains("cannot be opened")).collect();
    assert!(live.iter().all(|d| *d == live[0]));
    // A changed CBC padding byte may open to something that is not an assertion: that too says nothing of the content.
    assert!(details.iter().all(|d| d.contains("cannot be opened") || d.contains("decrypted")), "{details:?}");
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

#[test]
fn the_content_is_one_assertion() {
    let answer = Answer::signed(Style::Assertion);
    let a = answer.assertion();
    let other = a.replace("_assertion", "_other");
    for plain in [
        String::new(),
        "text".into(),
        format!("{a}{other}"),
        format!("<saml:Assertion/>{a}"),
        format!("</decrypted>{a}<decrypted>"),
        format!("{a}</decrypted><decrypted>"),
        format!("<x>{a}</x>"),
        format!("<!DOCTYPE x>{a}"),
        format!("{DECLARATION}<!DOCTYPE x>{a}"),
        format!("{DECLARATION}{DECLARATION}{a}"),
        format!("{DECLARATION}<?php x?>{a}"),
        format!("{DECLARATION}</decrypted>{a}<decrypted>"),
        DECLARATION.into(),
        format!("<?php x?>{a}"),
        format!("<?xml-stylesheet href='x'?>{a}"),
        format!("{a}{DECLARATION}"),
        a.replace("<saml:Subject>", &format!("{DECLARATION}<saml:Subject>")),
        format!("{}{a}", DECLARATION.replace("utf-8", "iso-8859-1")),
        format!("{}{a}", DECLARATION.replace("?>", "")),
        lock(&Lock::default(), &a),
        a.replace("<saml:Subject>", "<saml:Advice><saml:Assertion/></saml:Advice><saml:Subject>"),
    ] {
        refused(&answer.around(&lock(&Lock::default(), &plain)), "");
    }
    // An identifier of the Response again, well signed.
    let mut twin = answer.clone();
    twin.assertion = twin.assertion.replace("_assertion", "_response");
    refused(&twin.around(&lock(&Lock::default(), &twin.assertion())), "identifier");
    accepted(&answer.around(&lock(&Lock::default(), &a)));
    accepted(&answer.around(&lock(&Lock::default(), &format!("\n {a}\n"))));
    // A document by itself, as some IdPs encrypt it.
    for head in [DECLARATION, "\u{feff}", &format!("\u{feff}{DECLARATION}\r\n"), "<?xml version='1.0'?>"] {
        accepted(&answer.around(&lock(&Lock::default(), &format!("{head}{a}"))));
    }
}

/// Encrypted in place, the assertion may use prefixes that are declared around it.
#[test]
fn prefixes_from_outside_are_inherited() {
    let answer = Answer::signed(Style::Assertion);
    let declared = format!(" xmlns:saml=\"{SAML}\"");
    let signed = answer.assertion();
    let bare = signed.replacen(&declared, "", 1);
    assert!(!bare.starts_with(&format!("<saml:Assertion{declared}")));
    accepted(&answer.around(&lock(&Lock::default(), &bare)));
    // One that is declared nowhere stays an error.
    refused(&answer.around(&lock(&Lock::default(), &bare.replace("saml:", "other:"))), "decrypted");
}

/// What was encrypted replaces `EncryptedData` (XML Encryption section 4.2): the namespaces around that are in scope, its
/// own are not.
#[test]
fn the_encrypted_datas_own_namespaces_are_not_inherited() {
    let mut answer = Answer::signed(Style::Assertion);
    answer.response = format!("xmlns=\"{SAML}\" {}", answer.response);
    // Everything in the default namespace, but for the Issuer that our forging hand looks for.
    let prefixed = format!("<saml:Issuer xmlns:saml=\"{SAML}\">");
    let text = unsigned(&answer.assertion()).replace("<saml:", "<").replace("</saml:", "</");
    let text = text.replace("xmlns:saml", "xmlns").replace("<Issuer>", &prefixed);
    let signed = super::forge::sign(&text.replace("</Issuer>", "</saml:Issuer>"), &answer.spec);
    let inherits = signed.replacen(&format!(" xmlns=\"{SAML}\""), "", 1);
    assert!(inherits.starts_with("<Assertion ID="), "{inherits}");
    let declared = format!(" xmlns:xenc=\"{XENC}\"");
    let default = |plain: &str| {
        let locked = lock(&Lock::default(), plain).replace(&declared, "").replace("xenc:", "");
        locked.replace("<EncryptedData ", &format!("<EncryptedData xmlns=\"{XENC}\" "))
    };
    for plain in [&signed, &inherits] {
        accepted(&answer.around(&lock(&Lock::default(), plain)));
        accepted(&answer.around(&default(plain)));
        refused(&answer.around(&default(&plain.replace("ada@acme.com", "eve@acme.com"))), "digest");
    }
    // Nor does a prefix that only EncryptedData declares mean anything in what replaces it.
    let other = Answer::signed(Style::Response);
    let bare = other.assertion().replacen(&format!(" xmlns:saml=\"{SAML}\""), "", 1).replace("saml:", "own:");
    for (at, means) in [("xenc:EncryptedData ", false), ("saml:EncryptedAssertion ", true)] {
        let locked = lock(&Lock::default(), &bare).replacen(at, &format!("{at}xmlns:own=\"{SAML}\" "), 1);
        match means {
            true => drop(accepted(&other.around(&locked))),
            false => drop(refused(&other.around(&locked), "decrypted")),
        }
    }
}

#[test]
fn two_encrypted_assertions() {
    let answer = Answer::signed(Style::Response);
    let one = lock(&Lock::default(), &answer.assertion());
    refused(&answer.around(&(one.clone() + &one.replace("_key", "_key2"))), "holds 2 assertions");
    refused(&answer.around(&(one.clone() + &answer.assertion())), "holds 2 assertions");
    // Hidden below another element.
    refused(
        &answer.around(&format!("<samlp:Extensions>{one}</samlp:Extensions>")),
        "EncryptedAssertion in Extensions",
    );
}

/// Some IdPs encrypt the NameID in the place of the assertion (SAML core section 2.2.4).
#[test]
fn a_name_may_be_encrypted_by_itself() {
    for style in [Style::Assertion, Style::Response, Style::Both] {
        let with = |names: &dyn Fn(&str) -> String| {
            let mut answer = Answer::signed(style);
            answer.name_id = names(&answer.name_id);
            answer
        };
        for cipher in ["aes256-gcm", "aes128-cbc"] {
            let with_cipher = Lock { cipher, ..Lock::default() };
            let answer = with(&|name| lock_id(&with_cipher, name));
            let verified = accepted(&answer.write());
            assert_eq!(verified.name_id.unwrap().value, "ada@acme.com");
            let us = Us { key: None, ..Us::default() };
            let refusal = us.read(&answer.write()).unwrap_err();
            assert!(refusal.fault.detail.contains("saml.decryption is not set"), "{}", refusal.fault.detail);
        }
        let good = Lock::default();
        let stranger = Lock { to: keys::STRANGER, ..Lock::default() };
        refused(&with(&|name| lock_id(&stranger, name)).write(), "cannot be opened");
        refused(&with(&|name| format!("{name}{}", lock_id(&good, name))).write(), "both");
        let two = |name: &str| lock_id(&good, name) + &lock_id(&good, name).replace("_key", "_key2");
        refused(&with(&two).write(), "EncryptedID");
        refused(&with(&|name| lock_id(&good, &name.repeat(2))).write(), "NameID");
        refused(&with(&|_| lock_id(&good, "<saml:NameID>ada<!---->x</saml:NameID>")).write(), "");
        refused(&with(&|_| lock_id(&good, "ada@acme.com")).write(), "NameID");
        refused(&with(&|name| lock_id(&good, &format!("<x>{name}</x>"))).write(), "NameID");
        refused(&with(&|name| lock_id(&good, &lock_id(&good, name))).write(), "NameID");
    }
}

/// An `EncryptedKey` for somebody else, by this method, with so many bytes.
fn foreign_key(method: &str, bytes: usize, attributes: &str) -> String {
    format!(
        "<xenc:EncryptedKey {attributes}><xenc:EncryptionMethod Algorithm=\"{XENC}{method}\"/><xenc:CipherData>\
         <xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>",
        STANDARD.encode(vec![7; bytes])
    )
}

#[test]
fn keys_for_somebody_else_are_skipped() {
    let good = write(Style::Assertion, &Lock::default());
    let with = |first: &str, ours: &str| {
        good.replace("<xenc:EncryptedKey Id", &format!("{first}<xenc:EncryptedKey {ours} Id"))
    };
    for first in [
        foreign_key("rsa-1_5", 256, ""),
        foreign_key("kw-aes128", 256, ""),
        foreign_key("rsa-oaep-mgf1p", 512, ""),
        foreign_key("rsa-oaep-mgf1p", 255, ""),
        "<xenc:EncryptedKey><x/></xenc:EncryptedKey>".into(),
        foreign_key("rsa-1_5", 256, "").repeat(7),
    ] {
        accepted(&with(&first, ""));
    }
    let foreign = foreign_key("rsa-oaep-mgf1p", 256, "Recipient=\"https://other.example\"");
    let ours = format!("Recipient=\"{}\"", ENTITY.replace('&', "&amp;"));
    accepted(&with(&foreign, &ours));
    accepted(&with(&foreign_key("rsa-oaep-mgf1p", 256, ""), &ours));
    // Ours without a recipient stands behind keys for others, before them, and between.
    for (before, after) in [(1, 0), (0, 1), (1, 1), (7, 0), (0, 7)] {
        let text = with(&foreign.repeat(before), "");
        let end = "</xenc:EncryptedKey></ds:KeyInfo>";
        assert_eq!(text.matches(end).count(), 1);
        accepted(&text.replace(end, &format!("</xenc:EncryptedKey>{}</ds:KeyInfo>", foreign.repeat(after))));
    }
    // Addressed to another it is not tried, unless there is no other key at all.
    let other = "Recipient=\"https://app.example.com/another\"";
    refused(&with(&foreign, other), "for other service providers");
    refused(&with(&foreign_key("rsa-oaep-mgf1p", 256, ""), other), "cannot be opened");
    accepted(&with("", other));
    // Two that could be ours, and nothing tells them apart: one is tried, which is the first.
    refused(&with(&foreign_key("rsa-oaep-mgf1p", 256, ""), ""), "cannot be opened");
    refused(&with(&foreign_key("rsa-1_5", 256, "").repeat(8), ""), "more than 8");
    // Where none is left, the words are about what is wrong with the last.
    refused(&good.replace("rsa-oaep-mgf1p", "rsa-1_5"), "RSA-1_5");
}

#[test]
fn several_retrieval_methods_name_several_keys() {
    let good = write(Style::Assertion, &Lock { beside: true, ..Lock::default() });
    let method = |uri: &str| format!("<ds:RetrievalMethod Type=\"{XENC}EncryptedKey\" URI=\"{uri}\"/>");
    let ours = method("#_key");
    accepted(&good.replace(&ours, &(method("#_other") + &ours)));
    accepted(&good.replace(&ours, &(ours.clone() + &method("#_other"))));
    refused(&good.replace(&ours, &(method("#_other") + &method("#_third"))), "no EncryptedKey");
}

#[test]
fn the_private_key_is_used_once_and_not_too_often() {
    let rate = Rc::new(PrivateKeyRate::default());
    let us = Us { key: Some(private(keys::SP_KEY).limited_by(rate.clone())), ..Us::default() };
    let good = write(Style::Assertion, &Lock::default());
    let four = good.replace(
        "<xenc:EncryptedKey Id",
        &(foreign_key("rsa-oaep-mgf1p", 256, "").repeat(3) + "<xenc:EncryptedKey Id"),
    );
    us.read(&four).unwrap_err();
    assert_eq!(rate.used(START), 1, "four keys, one operation");
    us.read(&write(Style::Nothing, &Lock { cipher: "aes256-cbc", ..Lock::default() })).unwrap_err();
    assert_eq!(rate.used(START), 1, "nothing is opened that the Response should have signed");
    let mut answer = Answer::signed(Style::Both);
    answer.spec.key = super::forge::Key::Rsa(keys::STRANGER_KEY);
    us.read(&answer.around(&lock(&Lock::default(), &answer.assertion()))).unwrap_err();
    assert_eq!(rate.used(START), 1, "nothing is opened that a stranger signed");
    while rate.spend(START).is_ok() {}
    let refusal = us.read(&good).unwrap_err();
    assert_eq!(refusal.fault.code, Code::NotReady);
    while rate.spend(START - 1000).is_ok() {}
    us.read(&good).unwrap();
}
