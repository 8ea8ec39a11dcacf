//! Signatures that verify somewhere and must not here.

use super::forge::{certificate_info, method, sign, signature, unsigned, Key, Spec};
use super::idp::{accepted, certificate, refused, Answer, Style, Us, SIGNED};
use super::keys;
use crate::proto::saml::certificate::fingerprint;
use crate::proto::saml::names::{DSIG, ENVELOPED, EXC_C14N};

const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";

#[test]
fn every_signing_style_signs_in() {
    for style in SIGNED {
        let verified = accepted(&Answer::signed(style).write());
        assert_eq!(verified.assertion_id, "_assertion");
        assert!(verified.warnings.is_empty(), "{:?}", verified.warnings);
    }
}

#[test]
fn unsigned_and_half_signed() {
    refused(&Answer::signed(Style::Nothing).write(), "neither the Response nor the Assertion is signed");
    for style in [Style::Response, Style::Assertion] {
        refused(&unsigned(&Answer::signed(style).write()), "neither");
    }
    // Both signed, one of them broken: every signature there is has to verify.
    let both = Answer::signed(Style::Both).write();
    refused(&both.replacen("_response", "_response2", 1), "refers to");
    let assertion =
        Answer { spec: Spec { key: Key::Rsa(keys::STRANGER_KEY), ..Spec::default() }, ..Answer::default() }
            .assertion();
    refused(&Answer::default().around(&assertion), "not by a certificate");
    // A signature over nothing of the assertion.
    let response = Answer::signed(Style::Response);
    refused(&response.write().replace("ada@acme.com", "eve@evil.com"), "digest");
    refused(&Answer::signed(Style::Assertion).write().replace("ada@acme.com", "eve@evil.com"), "digest");
}

#[test]
fn the_algorithms_that_count() {
    for (key, pem, names) in [
        (Key::Rsa(keys::IDP_KEY), keys::IDP, ["rsa-sha256", "rsa-sha384", "rsa-sha512"]),
        (Key::P256, keys::P256, ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"]),
        (Key::P384, keys::P384, ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"]),
    ] {
        for name in names {
            for digest in [
                "http://www.w3.org/2001/04/xmlenc#sha256",
                &format!("{MORE}sha384"),
                "http://www.w3.org/2001/04/xmlenc#sha512",
            ] {
                let spec = Spec {
                    key: key.clone(),
                    algorithm: format!("{MORE}{name}"),
                    digest: digest.into(),
                    ..Spec::default()
                };
                let text = Answer { spec, style: Style::Assertion, ..Answer::default() }.write();
                let us = Us { certificates: vec![certificate(pem)], ..Us::default() };
                assert!(us.read(&text).is_ok(), "{name} {digest}");
                // The same by another key of the configuration, of whatever kind.
                let us = Us { certificates: vec![certificate(keys::STRANGER)], ..Us::default() };
                assert!(us.read(&text).unwrap_err().unknown_key, "{name} {digest}");
            }
        }
    }
}

#[test]
fn algorithms_that_are_off() {
    for (algorithm, key, why) in [
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", Key::Rsa(keys::IDP_KEY), "SHA-1"),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", Key::Hmac(keys::IDP.into()), "not supported"),
        (
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            Key::Hmac(certificate(keys::IDP).der),
            "not supported",
        ),
        (
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            Key::Hmac(certificate(keys::IDP).spki),
            "not supported",
        ),
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", Key::Hmac(vec![]), "SHA-1"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-md5", Key::Rsa(keys::IDP_KEY), "not supported"),
        ("http://www.w3.org/2000/09/xmldsig#dsa-sha1", Key::Rsa(keys::IDP_KEY), "SHA-1"),
        ("", Key::Rsa(keys::IDP_KEY), "no Algorithm"),
        (
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Key::Rsa(keys::IDP_KEY),
            "not by a certificate",
        ),
    ] {
        for style in SIGNED {
            let spec = Spec { key: key.clone(), algorithm: algorithm.into(), ..Spec::default() };
            refused(&Answer { spec, style, ..Answer::default() }.write(), why);
        }
    }
    let spec = Spec { digest: "http://www.w3.org/2000/09/xmldsig#sha1".into(), ..Spec::default() };
    let refusal = refused(&Answer { spec, ..Answer::default() }.write(), "SHA-1");
    assert!(refusal.fault.detail.contains("RSA-SHA256"), "it says what to set");
}

#[test]
fn keys_come_from_the_configuration_alone() {
    let stranger = Spec {
        key: Key::Rsa(keys::STRANGER_KEY),
        key_info: certificate_info(keys::STRANGER),
        ..Spec::default()
    };
    for style in SIGNED {
        let refusal = refused(
            &Answer { style, spec: stranger.clone(), ..Answer::default() }.write(),
            &fingerprint(&certificate(keys::STRANGER).der),
        );
        assert!(refusal.unknown_key, "new metadata could change it");
        assert!(
            refusal.fault.detail.contains("idp.example.com"),
            "it names what is configured: {}",
            refusal.fault.detail
        );
        // With the right certificate shown, or none.
        for key_info in [certificate_info(keys::IDP), String::new()] {
            let spec = Spec { key_info, ..stranger.clone() };
            assert!(
                refused(&Answer { style, spec, ..Answer::default() }.write(), "not by a certificate")
                    .unknown_key
            );
        }
    }
    // Several while they roll over: either signs.
    let text = Answer { spec: stranger, ..Answer::default() }.write();
    let us = Us { certificates: vec![certificate(keys::IDP), certificate(keys::STRANGER)], ..Us::default() };
    assert!(us.read(&text).is_ok());
    assert!(us.read(&Answer::default().write()).is_ok());
    assert!(Us { certificates: vec![], ..Us::default() }.read(&text).is_err());
}

#[test]
fn references_and_transforms_are_exactly_the_profile() {
    let transform = |algorithm: &str| method("Transform", algorithm, "");
    let (enveloped, exclusive) = (transform(ENVELOPED), transform(EXC_C14N));
    let xpath = method(
        "Transform",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "<ds:XPath>ancestor::x</ds:XPath>",
    );
    let xslt = method("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116", "");
    let second = "<ds:Reference URI=\"#_x\"><ds:Transforms/></ds:Reference>";
    let uri = |uri: &str| Spec { uri: Some(uri.into()), ..Spec::default() };
    let transforms = |transforms: String| Spec { transforms, ..Spec::default() };
    let canonicalization = |uri: &str, inside: &str| Spec {
        canonicalization: method("CanonicalizationMethod", uri, inside),
        ..Spec::default()
    };
    for (spec, why) in [
        (uri(""), "refers to"),
        (uri("#"), "refers to"),
        (uri("_assertion"), "refers to"),
        (uri("#_other"), "refers to"),
        (uri("#xpointer(/)"), "refers to"),
        (uri("#xpointer(id('_assertion'))"), "refers to"),
        (uri("http://evil.com/x.xml"), "refers to"),
        (uri("file:///etc/passwd"), "refers to"),
        (transforms(String::new()), "exactly"),
        (transforms(enveloped.clone()), "exactly"),
        (transforms(exclusive.clone()), "exactly"),
        (transforms(format!("{exclusive}{enveloped}")), "enveloped"),
        (transforms(format!("{enveloped}{exclusive}{exclusive}")), "exactly"),
        (transforms(format!("{enveloped}{xpath}{exclusive}")), "exactly"),
        (transforms(format!("{enveloped}{xpath}")), "exclusive canonicalisation"),
        (transforms(format!("{xslt}{exclusive}")), "enveloped"),
        (
            transforms(format!(
                "{enveloped}{}",
                transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
            )),
            "exclusive",
        ),
        (transforms(format!("{enveloped}{}", transform(&format!("{EXC_C14N}WithCommentsToo")))), "exclusive"),
        (transforms(format!("{enveloped}{}", method("Transform", EXC_C14N, "<x/>"))), "unknown parameters"),
        (canonicalization("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", ""), "exclusive"),
        (canonicalization(EXC_C14N, "<x/>"), "unknown parameters"),
        (Spec { more: second.into(), ..Spec::default() }, "exactly"),
        (
            Spec { key_info: format!("{}<ds:Object/>", certificate_info(keys::IDP)), ..Spec::default() },
            "exactly",
        ),
        (Spec { key_info: "<ds:Object/>".into(), ..Spec::default() }, "exactly"),
    ] {
        for style in SIGNED {
            refused(&Answer { spec: spec.clone(), style, ..Answer::default() }.write(), why);
        }
    }
}

#[test]
fn two_of_anything_in_a_signature() {
    for style in SIGNED {
        let good = Answer::signed(style).write();
        let s = signature(&good);
        let info = super::forge::cut(s, "<ds:SignedInfo>", "</ds:SignedInfo>");
        let value = super::forge::cut(s, "<ds:SignatureValue>", "</ds:SignatureValue>");
        let method = super::forge::cut(s, "<ds:SignatureMethod", "</ds:SignatureMethod>");
        let digest = super::forge::cut(s, "<ds:DigestValue>", "</ds:DigestValue>");
        for bad in [
            good.replacen(s, &format!("{s}{s}"), 1),
            good.replacen(info, &format!("{info}{info}"), 1),
            good.replacen(value, &format!("{value}{value}"), 1),
            good.replacen(method, &format!("{method}{method}"), 1),
            good.replacen(digest, &format!("{digest}{digest}"), 1),
            good.replacen(
                method,
                &method.replace("></", "><ds:HMACOutputLength>1</ds:HMACOutputLength></"),
                1,
            ),
            good.replacen(value, "", 1),
            good.replacen(value, "<ds:SignatureValue></ds:SignatureValue>", 1),
            good.replacen(digest, "<ds:DigestValue></ds:DigestValue>", 1),
            good.replacen(s, &format!("<ds:Signature xmlns:ds=\"{DSIG}\"/>"), 1),
        ] {
            assert_ne!(bad, good);
            refused(&bad, "");
        }
        accepted(&good);
    }
}

#[test]
fn comments_never_split_a_value() {
    let name = |value: &str| format!("<saml:NameID>{value}</saml:NameID>");
    for style in SIGNED {
        // Signed for an address that begins like the victim's, cut by a comment that canonical form drops.
        let good = Answer { style, name_id: name("ada@acme.com.evil.com"), ..Answer::default() }.write();
        assert_eq!(accepted(&good).values("NameID"), ["ada@acme.com.evil.com"]);
        refused(
            &good.replace("ada@acme.com.evil", "ada@acme.com<!---->.evil"),
            "NameID must hold text alone",
        );
        let good = Answer::signed(style).write();
        let audience = format!("{}</saml:Audience>", super::idp::ENTITY);
        for (from, to, what) in [
            (audience.clone(), audience.replace("</", "<!-- --></"), "Audience must hold"),
            ("<ds:DigestValue>".into(), "<ds:DigestValue><!-- -->".into(), "DigestValue must hold"),
            (
                "ada@acme.com</saml:AttributeValue>".into(),
                "ada@acme.com<!-- --></saml:AttributeValue>".into(),
                "AttributeValue must hold",
            ),
            ("<ds:SignatureValue>".into(), "<ds:SignatureValue><!-- -->".into(), "SignatureValue must hold"),
        ] {
            refused(&good.replacen(&from, &to, 1), what);
        }
        // A comment where no value is read changes nothing (canonical form drops it).
        accepted(&good.replace("<saml:Subject>", "<saml:Subject><!-- -->"));
    }
    let nested = Answer { name_id: name("ada@acme.com<b xmlns=''>x</b>"), ..Answer::default() }.write();
    refused(&nested, "NameID must hold text alone");
}

#[test]
fn document_types_instructions_and_namespaces() {
    for style in SIGNED {
        let good = Answer::signed(style).write();
        for (bad, why) in [
            (format!("<!DOCTYPE samlp:Response>{good}"), "document type"),
            (format!("<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{good}"), "document type"),
            (format!("<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>{good}"), "document type"),
            (good.replace("ada@acme.com</saml:NameID>", "&x;</saml:NameID>"), "not well-formed"),
            (format!("<?xml-stylesheet href=\"x\"?>{good}"), "processing instruction"),
            (good.replace("<saml:Subject>", "<saml:Subject><?x?>"), "processing instruction"),
            (format!("{good}{good}"), ""),
            (good.replace("<saml:Subject>", "<saml:Subject xmlns:r=\"relative\">"), "absolute"),
            (
                good.replace(
                    "<saml:Subject>",
                    "<saml:Subject xmlns:xml=\"http://www.w3.org/XML/1998/namespace\">",
                ),
                "declared",
            ),
            (
                good.replace(
                    "<saml:Subject>",
                    "<saml:Subject xmlns:xmlns=\"http://www.w3.org/2000/xmlns/\">",
                ),
                "declared",
            ),
            (good.replace("<saml:Subject>", "<saml:Subject saml:xmlns=\"urn:x\">"), "not allowed"),
            (good.replace("<saml:Subject>", "<saml:Subject xmlns=\"urn:x\" xmlns=\"urn:y\">"), "twice"),
            (good.replace("<saml:Subject>", "<saml:Subject ID=\"_assertion\">"), "identifier"),
            (good.replace("<saml:Subject>", "<saml:Subject xml:id=\"_assertion\">"), "identifier"),
            (good.replace("<saml:Subject>", "<saml:Subject xml:base=\"http://x/\">"), "digest"),
        ] {
            assert_ne!(bad, good);
            refused(&bad, why);
        }
        accepted(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{good}"));
    }
}

#[test]
fn empty_identifiers() {
    for (from, to) in [("ID=\"_assertion\"", "ID=\"\""), ("ID=\"_assertion\" ", "")] {
        let mut answer = Answer::signed(Style::Assertion);
        answer.assertion = answer.assertion.replace(from, to);
        refused(&answer.write(), "ID");
    }
}

#[test]
fn the_host_verifies_where_it_can() {
    let text = Answer::signed(Style::Both).write();
    let us = Us { host: crate::testing::TestHost::new().with_native_rsa(), ..Us::default() };
    assert!(us.read(&text).is_ok());
    assert_eq!(us.host.native_calls(), 2);
    assert!(us.read(&text.replace("ada@acme.com", "eve@evil.com")).is_err());
    let other = sign(
        &unsigned(&Answer::signed(Style::Response).write()),
        &Spec { key: Key::Rsa(keys::STRANGER_KEY), ..Spec::default() },
    );
    assert!(us.read(&other).is_err());
}
