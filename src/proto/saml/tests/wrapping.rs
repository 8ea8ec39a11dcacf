//! XML signature wrapping: the signed original stays in the document where the digest finds it, another assertion
//! stands where the reader looks. One generator for XSW 1 to 9 and their siblings, over every signing style, with the
//! original's identifier and with another.

use super::forge::{cut, signature, unsigned};
use super::idp::{accepted, refused, Answer, Style};

const END: &str = "</saml:Assertion>";

fn evil(text: &str, fresh_id: bool) -> String {
    let text = text.replace("ada@acme.com", "eve@evil.com");
    if fresh_id {
        text.replace("\"_assertion\"", "\"_evil\"").replace("\"_response\"", "\"_evil_response\"")
    } else {
        text
    }
}

fn into(text: &str, before: &str, what: &str) -> String {
    let at = text.rfind(before).unwrap();
    format!("{}{what}{}", &text[..at], &text[at..])
}

fn behind(text: &str, after: &str, what: &str) -> String {
    let at = text.find(after).unwrap() + after.len();
    format!("{}{what}{}", &text[..at], &text[at..])
}

/// The document, with the signed assertion wrapped.
fn wrapped_assertions(document: &str, fresh_id: bool) -> Vec<(&'static str, String)> {
    let a = cut(document, "<saml:Assertion ", END);
    let (s, a0) = (signature(a), unsigned(a));
    let e = evil(&a0, fresh_id);
    let e_signed = behind(&e, "</saml:Issuer>", s);
    let with = |what: &str| document.replacen(a, what, 1);
    let status = |what: &str| {
        document.replacen(a, &e, 1).replacen(
            "</samlp:Status>",
            &format!("<samlp:StatusDetail>{what}</samlp:StatusDetail></samlp:Status>"),
            1,
        )
    };
    vec![
        ("XSW3: evil before the original", with(&format!("{e}{a}"))),
        ("XSW3: evil behind the original", with(&format!("{a}{e}"))),
        ("XSW4: original inside evil", with(&into(&e, END, a))),
        ("XSW4: evil inside the original", with(&into(a, END, &e))),
        ("XSW5: evil with the signature, original without at the end", with(&format!("{e_signed}{a0}"))),
        ("XSW5: the original before", with(&format!("{a0}{e_signed}"))),
        ("XSW6: original inside the signature of evil", with(&into(&e_signed, "</ds:Signature>", &a0))),
        ("XSW7: evil in Extensions", with(&format!("<samlp:Extensions>{e}</samlp:Extensions>{a}"))),
        ("XSW7: original in Extensions", with(&format!("<samlp:Extensions>{a}</samlp:Extensions>{e}"))),
        (
            "XSW8: original in Object",
            with(&into(&e_signed, "</ds:Signature>", &format!("<ds:Object>{a0}</ds:Object>"))),
        ),
        ("XSW9: original in StatusDetail", status(a)),
        (
            "original in Advice",
            with(&into(&e, "<saml:AuthnStatement", &format!("<saml:Advice>{a}</saml:Advice>"))),
        ),
        (
            "original in SubjectConfirmationData",
            with(&e.replacen(
                "/></saml:SubjectConfirmation>",
                &format!(">{a}</saml:SubjectConfirmationData></saml:SubjectConfirmation>"),
                1,
            )),
        ),
        ("original in an AttributeValue", with(&into(&e, "</saml:AttributeValue>", a))),
        (
            "signature beside evil, original in Extensions",
            with(&format!("{s}<samlp:Extensions>{a0}</samlp:Extensions>{e}")),
        ),
        ("signature in StatusDetail", status(s)),
        ("evil with the signature", with(&e_signed)),
        ("evil alone", with(&e)),
    ]
}

/// The document, with the signed response wrapped.
fn wrapped_responses(document: &str, fresh_id: bool) -> Vec<(&'static str, String)> {
    let (s, r0) = (signature(document), unsigned(document));
    let e = evil(&r0, fresh_id);
    let e_signed = behind(&e, "</saml:Issuer>", s);
    vec![
        ("XSW1: original inside the signature", into(&e_signed, "</ds:Signature>", &r0)),
        ("XSW2: original before the signature", behind(&e, "</saml:Issuer>", &format!("{r0}{s}"))),
        ("XSW2: original at the end", into(&e_signed, "</samlp:Response>", &r0)),
        ("original in Object", into(&e_signed, "</ds:Signature>", &format!("<ds:Object>{r0}</ds:Object>"))),
        (
            "original in Extensions",
            behind(&e_signed, "</ds:Signature>", &format!("<samlp:Extensions>{r0}</samlp:Extensions>")),
        ),
        (
            "signed original in Extensions",
            behind(&e, "</saml:Issuer>", &format!("<samlp:Extensions>{document}</samlp:Extensions>")),
        ),
        (
            "signed original in StatusDetail",
            e.replacen(
                "</samlp:Status>",
                &format!("<samlp:StatusDetail>{document}</samlp:StatusDetail></samlp:Status>"),
                1,
            ),
        ),
        (
            "signature in StatusDetail",
            e.replacen(
                "</samlp:Status>",
                &format!("<samlp:StatusDetail>{s}</samlp:StatusDetail></samlp:Status>"),
                1,
            ),
        ),
        ("original as the root's child only", format!("<w>{document}{e}</w>")),
        ("two roots", format!("{document}{e}")),
        ("evil with the signature", e_signed),
        ("evil alone", e),
    ]
}

#[test]
fn no_wrapping_signs_anybody_in() {
    let mut attacks = 0;
    for style in [Style::Assertion, Style::Both] {
        let document = Answer::signed(style).write();
        accepted(&document);
        for fresh_id in [true, false] {
            // With the response's signature, which any change breaks, and without it, as an attacker would.
            let stripped = if style == Style::Both { unsigned(&document) } else { document.clone() };
            for document in [&document, &stripped] {
                accepted(document);
                for (name, attack) in wrapped_assertions(document, fresh_id) {
                    assert_ne!(&attack, document, "{name}");
                    refused(&attack, "");
                    attacks += 1;
                }
            }
        }
    }
    for style in [Style::Response, Style::Both] {
        let document = Answer::signed(style).write();
        accepted(&document);
        for fresh_id in [true, false] {
            for (name, attack) in wrapped_responses(&document, fresh_id) {
                assert_ne!(attack, document, "{name}");
                refused(&attack, "");
                attacks += 1;
            }
        }
    }
    assert!(attacks > 180, "{attacks}");
}

/// The generator makes what it says: well-formed documents in which the evil name stands, so that they are refused for
/// what they are.
#[test]
fn the_wrapped_documents_are_well_formed() {
    let assertion = wrapped_assertions(&Answer::signed(Style::Assertion).write(), true);
    let response = wrapped_responses(&Answer::signed(Style::Response).write(), true);
    for (name, attack) in assertion.iter().chain(&response).filter(|(name, _)| *name != "two roots") {
        assert!(roxmltree::Document::parse(attack).is_ok(), "{name}");
        assert!(attack.contains("eve@evil.com"), "{name}");
        let original = name.contains("original") || name.contains("XSW");
        assert_eq!(attack.contains(">ada@acme.com<"), original, "{name}");
    }
}
