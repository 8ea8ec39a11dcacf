//! The shapes that real identity providers send.

use super::encrypted::{lock, Lock};
use super::forge::{cut, method, sign, Spec};
use super::idp::*;
use crate::proto::saml::names::{ENVELOPED, EXC_C14N, SAML, SAMLP};

#[test]
fn okta() {
    // Signed twice, xs:string values, InclusiveNamespaces in the transform, encrypted with the key beside.
    let inclusive = format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"xs\"/>");
    let spec = Spec {
        transforms: method("Transform", ENVELOPED, "") + &method("Transform", EXC_C14N, &inclusive),
        ..Spec::default()
    };
    let attributes = "<saml:AttributeStatement><saml:Attribute Name=\"email\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified\"><saml:AttributeValue xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">ada@acme.com</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>";
    // The prefix xs is in scope only at the values: digests with and without the list differ there.
    let with_list = Spec {
        inclusive: vec!["xs"],
        canonicalization: method("CanonicalizationMethod", EXC_C14N, &inclusive),
        ..spec
    };
    for style in SIGNED {
        let answer =
            Answer { style, spec: with_list.clone(), attributes: attributes.into(), ..Answer::default() };
        accepted(&answer.write());
        accepted(&answer.around(&lock(&Lock { beside: true, ..Lock::default() }, &answer.assertion())));
    }
    // The list counts: signed with it, verified without it, the digest differs.
    let stripped = Answer {
        spec: with_list,
        style: Style::Assertion,
        attributes: attributes.into(),
        ..Answer::default()
    }
    .write();
    let transform =
        cut(&stripped, "<ds:Transform Algorithm=\"http://www.w3.org/2001/10", "</ds:Transform>").to_owned();
    refused(&stripped.replacen(&transform, &method("Transform", EXC_C14N, ""), 1), "");
}

#[test]
fn google_puts_attributes_before_authentication() {
    for style in [Style::Response, Style::Assertion] {
        let mut answer = Answer::signed(style);
        answer.conditions.push_str(&std::mem::take(&mut answer.attributes));
        accepted(&answer.write());
    }
}

#[test]
fn entra_signs_the_assertion_only() {
    let mut answer = Answer::signed(Style::Assertion);
    // NotBefore is IssueInstant, an hour and ten minutes long; the default namespace instead of prefixes.
    answer.conditions = conditions(&at(0), &at(4200), &restriction(ENTITY));
    answer.attributes = mail(&["ada@acme.com"]);
    let assertion = answer.assertion();
    let unprefixed = super::forge::unsigned(&assertion)
        .replace("<saml:", "<")
        .replace("</saml:", "</")
        .replace("xmlns:saml", "xmlns");
    let at_issuer = unprefixed.replace("</Issuer>", "</saml:Issuer>");
    assert_ne!(at_issuer, unprefixed);
    // Our forging hand looks for a prefixed Issuer: give it one, in the same namespace.
    let prefixed = at_issuer.replacen("<Issuer>", &format!("<saml:Issuer xmlns:saml=\"{SAML}\">"), 1);
    accepted(&answer.around(&sign(&prefixed, &answer.spec)));
    // By Entra's clock, which is ahead of ours by less than the skew.
    let mut ahead = Answer::signed(Style::Assertion);
    ahead.response = ahead.response.replace(&at(0), &at(30));
    ahead.assertion = ahead.assertion.replace(&at(0), &at(30));
    ahead.conditions = conditions(&at(30), &at(4230), &restriction(ENTITY));
    accepted(&ahead.write());
}

#[test]
fn adfs() {
    // No NameID where no rule issues one, WS-Federation attribute names, upper-case escapes are the binding's matter.
    let mut answer = Answer::signed(Style::Assertion);
    answer.name_id.clear();
    let claim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
    answer.attributes =
        answer.attributes.replace("Name=\"email\" FriendlyName=\"mail\"", &format!("Name=\"{claim}\""));
    answer.authn = answer.authn.replace(
        "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
        "<saml:AuthnContextClassRef>urn:federation:authentication:windows",
    );
    let verified = Us::default().read(&answer.write()).unwrap();
    assert_eq!(verified.values(claim), ["ada@acme.com"]);
    assert_eq!(verified.name_id, None);
}

#[test]
fn auth0_signs_one_of_the_two() {
    for style in [Style::Response, Style::Assertion] {
        accepted(&Answer::signed(style).write());
    }
}

#[test]
fn authentik_without_an_audience_says_what_to_set() {
    let answer = Answer {
        conditions: conditions(&at(-300), &at(300), ""),
        style: Style::Assertion,
        ..Answer::default()
    };
    let refusal = refused(&answer.write(), "Authentik: Audience of the provider");
    assert!(refusal.fault.detail.contains(ENTITY));
}

#[test]
fn keycloak_names_its_key_and_repeats_attributes() {
    let spec = Spec {
        key_info: "<ds:KeyInfo><ds:KeyName>KWxhYmVsIG9mIGEga2V5</ds:KeyName></ds:KeyInfo>".into(),
        ..Spec::default()
    };
    let role = |name: &str| {
        format!("<saml:Attribute Name=\"Role\"><saml:AttributeValue>{name}</saml:AttributeValue></saml:Attribute>")
    };
    let mut answer = Answer { spec, style: Style::Response, ..Answer::default() };
    answer.attributes.push_str(&format!(
        "<saml:AttributeStatement>{}{}</saml:AttributeStatement>",
        role("admin"),
        role("user")
    ));
    let verified = accepted(&answer.write());
    assert_eq!(verified.values("Role"), ["admin", "user"]);
    let value = "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>";
    answer.spec.key_info = value.into();
    accepted(&answer.write());
}

/// SAML core section 5.4.3 allows exclusive canonicalisation with comments. A reference to `#id` selects none, so what is
/// signed is the same; in SignedInfo a comment would count.
#[test]
fn fusionauth_canonicalises_with_comments() {
    let with = format!("{EXC_C14N}WithComments");
    let spec = Spec {
        canonicalization: method("CanonicalizationMethod", &with, ""),
        transforms: method("Transform", ENVELOPED, "") + &method("Transform", &with, ""),
        ..Spec::default()
    };
    for style in SIGNED {
        let good = Answer { style, spec: spec.clone(), ..Answer::default() }.write();
        accepted(&good);
        accepted(&good.replace("<saml:Subject>", "<!-- c --><saml:Subject>"));
        refused(&good.replacen("<ds:Reference ", "<!-- c --><ds:Reference ", 1), "holds a comment");
        refused(&good.replacen("<ds:Transforms>", "<ds:Transforms><!---->", 1), "holds a comment");
        refused(&good.replace("ada@acme.com", "ada@acme.com<!---->.evil.com"), "");
        refused(&good.replace("ada@acme.com", "eve@acme.com"), "digest");
        // Without the comments of SignedInfo in its canonical form there is nothing to refuse in one.
        let plain = Answer::signed(style).write();
        accepted(&plain.replacen("<ds:Reference ", "<!-- c --><ds:Reference ", 1));
    }
}

#[test]
fn shibboleth_releases_attributes_whose_values_are_xml() {
    let value = |value: &str| format!("<saml:AttributeValue>{value}</saml:AttributeValue>");
    let targeted = format!(
        "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\" NameQualifier=\"https://idp.example\" \
         SPNameQualifier=\"{ENTITY}\">x7Kq</saml:NameID>"
    );
    let in_a_piece_of_its_own =
        format!("</saml:Attribute><saml:Attribute Name=\"Role\">{}", value("<b xmlns=''>admin</b>"));
    for style in SIGNED {
        let mut answer = Answer::signed(style);
        answer.attributes.push_str(&format!(
            "<saml:AttributeStatement><saml:Attribute Name=\"urn:oid:1.3.6.1.4.1.5923.1.1.1.10\" \
             FriendlyName=\"eduPersonTargetedID\">{}</saml:Attribute><saml:Attribute Name=\"Role\">{}{}\
             </saml:Attribute></saml:AttributeStatement>",
            value(&format!("\n  {targeted}\n")),
            value("editor"),
            in_a_piece_of_its_own,
        ));
        let verified = accepted(&answer.write());
        for left_out in ["urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "eduPersonTargetedID"] {
            assert_eq!(verified.values(left_out), Vec::<String>::new());
            assert!(verified.holds_xml(left_out));
        }
        assert_eq!(verified.values("Role"), ["editor"]);
        assert!(verified.holds_xml("Role") && !verified.holds_xml("email") && !verified.holds_xml("none"));
        // Text and something beside it: what its value is would be a matter of opinion.
        for mixed in [
            "admin<b xmlns=''/>",
            "<b xmlns=''/>admin",
            "<b xmlns=''/><!---->",
            "admin<!---->x",
            "<!---->admin",
        ] {
            let mut answer = Answer::signed(style);
            let role = format!("<saml:Attribute Name=\"Role\">{}</saml:Attribute>", value(mixed));
            answer.attributes.push_str(&format!("<saml:AttributeStatement>{role}</saml:AttributeStatement>"));
            refused(&answer.write(), "attribute \"Role\"");
        }
    }
}

#[test]
fn pretty_printed_and_shibboleth_prefixes() {
    // saml2p and saml2 for prefixes, indented, with a comment between elements.
    let text = super::forge::unsigned(&Answer::signed(Style::Response).write());
    let indented = text.replace("><", ">\n  <").replace("</samlp:Status>", "</samlp:Status><!-- c -->");
    accepted(&sign(&indented, &Spec::default()));
    let renamed = text.replace("samlp:", "saml2p:").replace(":samlp", ":saml2p");
    assert!(renamed.contains(&format!("xmlns:saml2p=\"{SAMLP}\"")));
    accepted(&sign(&renamed, &Spec::default()));
}

#[test]
fn inclusive_namespaces_in_both_places() {
    let list = |prefixes: &str| {
        format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"{prefixes}\"/>")
    };
    for (prefixes, inclusive) in
        [("saml samlp", vec!["saml", "samlp"]), ("#default ds xs", vec!["", "ds", "xs"]), ("", vec![])]
    {
        let spec = Spec {
            canonicalization: method("CanonicalizationMethod", EXC_C14N, &list(prefixes)),
            transforms: method("Transform", ENVELOPED, "") + &method("Transform", EXC_C14N, &list(prefixes)),
            inclusive,
            ..Spec::default()
        };
        // Only the response's signature sees the same namespaces alone and in place.
        accepted(&Answer { spec, style: Style::Response, ..Answer::default() }.write());
    }
}

#[test]
fn a_list_of_prefixes_has_an_end() {
    let signed = |count: usize| {
        let prefixes: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        let list = format!(
            "<ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"{}\"/>",
            prefixes.join(" ")
        );
        let spec = Spec {
            transforms: method("Transform", ENVELOPED, "") + &method("Transform", EXC_C14N, &list),
            ..Spec::default()
        };
        Answer { spec, style: Style::Response, ..Answer::default() }.write()
    };
    accepted(&signed(64));
    for count in [65, 66] {
        refused(&signed(count), "a PrefixList of more than 64 prefixes");
    }
}
