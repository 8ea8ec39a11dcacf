//! Random damage: whatever a document becomes, it never panics and never signs in anybody but the person it was
//! signed for.

use super::encrypted::{lock, Lock};
use super::idp::*;
use crate::proto::saml::bindings::{decode_post, Redirected};
use crate::proto::saml::metadata::Theirs;
use crate::testing::START;

/// The same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Damages a few places: bytes changed, ranges doubled, moved or dropped, tokens thrown in.
    fn damage(&mut self, text: &str) -> String {
        const TOKENS: [&str; 16] = [
            "<",
            ">",
            "</",
            "/>",
            "\"",
            "'",
            "&",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?x?>",
            "xmlns=\"\"",
            "&#0;",
            "<saml:Assertion>",
            "ID=\"_assertion\"",
        ];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..1 + self.roll(3) {
            let at = self.roll(bytes.len());
            let end = (at + self.roll(400)).min(bytes.len());
            let range = bytes[at..end].to_vec();
            match self.roll(6) {
                0 => bytes[at] ^= 1 << self.roll(8),
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, range)),
                3 => {
                    bytes.drain(at..end);
                    let to = self.roll(bytes.len().max(1)).min(bytes.len());
                    bytes.splice(to..to, range);
                }
                4 => drop(bytes.splice(at..at, TOKENS[self.roll(TOKENS.len())].bytes())),
                _ => bytes.truncate(end.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(b'<');
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn damage_signs_nobody_else_in() {
    let mut dice = Dice(42);
    let us = Us::default();
    let mut documents: Vec<String> = SIGNED.iter().map(|style| Answer::signed(*style).write()).collect();
    let answer = Answer::signed(Style::Both);
    documents.push(answer.around(&lock(&Lock::default(), &answer.assertion())));
    let mut accepted = 0;
    for round in 0..4_000 {
        let text = dice.damage(&documents[round % documents.len()]);
        if let Ok(verified) = us.read(&text) {
            accepted += 1;
            assert_eq!(verified.values("email"), ["ada@acme.com"], "{text}");
            assert_eq!(verified.values("NameID"), ["ada@acme.com"], "{text}");
        }
    }
    // Damage to what is neither read nor signed may pass; hardly any does.
    assert!(accepted < 400, "{accepted}");
}

#[test]
fn damage_never_panics_the_other_readers() {
    let mut dice = Dice(7);
    let metadata = format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"x\"><IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{}</IDPSSODescriptor></EntityDescriptor>",
        super::forge::certificate_info(super::keys::IDP)
    );
    for _ in 0..2_000 {
        let _ = Theirs::read(&dice.damage(&metadata), None, START);
        let _ = Redirected::parse(&dice.damage("u=a&SAMLRequest=fZE%2B&RelayState=x&SigAlg=y&Signature=z"));
        let _ = decode_post(&dice.damage("PHgvPg=="));
        let _ = crate::crypto::check_certificate(&dice.damage(super::keys::IDP));
    }
}
