//! Metadata: ours, and theirs in the shapes of real identity providers.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::idp::*;
use super::keys;
use crate::config::NameIdFormat;
use crate::proto::saml::certificate::Certificate;
use crate::proto::saml::metadata::{self, Ours, Theirs, MAX_METADATA};
use crate::proto::saml::names::{DSIG, MD, POST, REDIRECT, SAMLP};
use crate::proto::saml::xml;
use crate::testing::START;

fn key(purpose: &str, pem: &str) -> String {
    let der: String = pem.lines().filter(|l| !l.contains("-----")).collect::<Vec<_>>().join("\n      ");
    let purpose = attribute("use", purpose);
    format!("<KeyDescriptor{purpose}><KeyInfo xmlns=\"{DSIG}\"><X509Data><X509Certificate>\n{der}\n</X509Certificate></X509Data></KeyInfo></KeyDescriptor>")
}

#[test]
fn addresses_stay_as_the_provider_wrote_them() {
    for text in super::messages::AS_WRITTEN {
        let escaped = xml::escape(text);
        let service = format!("<SingleLogoutService Binding=\"{POST}\" Location=\"https://idp/slo\" ResponseLocation=\" {escaped}\"/>");
        let inside =
            [key("signing", keys::IDP), endpoint("SingleSignOnService", POST, &escaped), service].concat();
        let theirs = read(&entity(IDP, &role(&inside))).unwrap();
        assert_eq!(theirs.sso_post.unwrap().text, text);
        let slo = theirs.slo_post.unwrap();
        assert_eq!((slo.requests.text.as_str(), slo.responses.text.as_str()), ("https://idp/slo", text));
    }
}

fn endpoint(name: &str, binding: &str, location: &str) -> String {
    format!("<{name} Binding=\"{binding}\" Location=\"{location}\"/>")
}

fn role(inside: &str) -> String {
    format!("<IDPSSODescriptor protocolSupportEnumeration=\"{SAMLP}\">{inside}</IDPSSODescriptor>")
}

fn entity(id: &str, inside: &str) -> String {
    format!("<EntityDescriptor xmlns=\"{MD}\" entityID=\"{id}\">{inside}</EntityDescriptor>")
}

fn usual() -> String {
    key("signing", keys::IDP) + &endpoint("SingleSignOnService", REDIRECT, "https://idp/sso")
}

fn read(text: &str) -> Result<Theirs, String> {
    Theirs::read(text, None, START)
}

#[test]
fn okta_keycloak_and_others() {
    let inside = [
        key("signing", keys::IDP),
        key("signing", keys::STRANGER),
        key("signing", keys::IDP),
        key("encryption", keys::SP),
        endpoint("SingleLogoutService", POST, "https://idp/slo-post"),
        endpoint("SingleLogoutService", REDIRECT, "https://idp/slo")
            .replace("/>", " ResponseLocation=\"https://idp/slo-done\"/>"),
        "<NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</NameIDFormat>".into(),
        endpoint("SingleSignOnService", "urn:oasis:names:tc:SAML:2.0:bindings:SOAP", "https://idp/soap"),
        endpoint("SingleSignOnService", POST, "https://idp/post?a=1&amp;b=2"),
        endpoint("SingleSignOnService", REDIRECT, "https://idp/redirect"),
        endpoint("SingleSignOnService", REDIRECT, "https://idp/second"),
    ];
    let text = entity(
        IDP,
        &role(&inside.concat())
            .replace("<IDPSSODescriptor ", "<IDPSSODescriptor WantAuthnRequestsSigned=\"true\" "),
    );
    let theirs = read(&format!("<?xml version=\"1.0\"?><!-- Keycloak -->{text}")).unwrap();
    assert_eq!(theirs.entity_id, IDP);
    assert_eq!(theirs.sso_redirect.unwrap().text, "https://idp/redirect");
    assert_eq!(theirs.sso_post.unwrap().text, "https://idp/post?a=1&b=2");
    let slo = theirs.slo_redirect.unwrap();
    assert_eq!(
        (slo.requests.text.as_str(), slo.responses.text.as_str()),
        ("https://idp/slo", "https://idp/slo-done")
    );
    let slo = theirs.slo_post.unwrap();
    assert_eq!(slo.requests, slo.responses);
    let subjects: Vec<&str> = theirs.certificates.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=idp.example.com", "CN=stranger.example.com"]);
    assert!(theirs.wants_signed_requests);
    assert_eq!((theirs.valid_until, theirs.warnings.len()), (None, 0));
}

#[test]
fn adfs_and_entra_speak_ws_federation_too() {
    let fed = format!(
        "<RoleDescriptor xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:fed=\"http://docs.oasis-open.org/wsfed/federation/200706\" xsi:type=\"fed:SecurityTokenServiceType\" protocolSupportEnumeration=\"http://docs.oasis-open.org/wsfed/federation/200706\">{}<fed:PassiveRequestorEndpoint><Address xmlns=\"http://www.w3.org/2005/08/addressing\">https://fs/adfs/ls/</Address></fed:PassiveRequestorEndpoint></RoleDescriptor>",
        key("signing", keys::WEAK)
    );
    let sp = format!(
        "<SPSSODescriptor protocolSupportEnumeration=\"{SAMLP}\">{}</SPSSODescriptor>",
        key("signing", keys::SP)
    );
    let signature = format!("<Signature xmlns=\"{DSIG}\"><SignedInfo/><KeyInfo><X509Data><X509Certificate>AAAA</X509Certificate></X509Data></KeyInfo></Signature>");
    // The next certificate is published before it is used, without a use in Entra's case.
    let idp = role(
        &(key("encryption", keys::SP)
            + &key("signing", keys::IDP)
            + &key("", keys::STRANGER)
            + &endpoint("SingleSignOnService", POST, "https://fs/adfs/ls/")),
    );
    let theirs =
        read(&entity("http://fs/adfs/services/trust", &format!("{signature}{fed}{sp}{idp}"))).unwrap();
    assert_eq!(theirs.entity_id, "http://fs/adfs/services/trust");
    assert_eq!(theirs.certificates.len(), 2);
    assert_eq!(theirs.sso_post.unwrap().text, "https://fs/adfs/ls/");
}

#[test]
fn google_and_several_entities() {
    let google = "https://accounts.google.com/o/saml2?idpid=C0";
    let one = entity(google, &role(&usual()))
        .replace("entityID", "validUntil=\"2031-01-01T00:00:00.000Z\" entityID");
    let theirs = read(&one).unwrap();
    assert_eq!((theirs.entity_id.as_str(), theirs.valid_until), (google, xml_time("2031-01-01T00:00:00Z")));
    let sp = entity("https://sp", "<SPSSODescriptor/>");
    let other = entity("https://other", &role(&usual()));
    let all = |inside: &str| format!("<EntitiesDescriptor xmlns=\"{MD}\">{inside}</EntitiesDescriptor>");
    assert_eq!(read(&all(&format!("{sp}{}", all(&other)))).unwrap().entity_id, "https://other");
    let two = all(&format!("{sp}{one}{other}"));
    assert!(read(&two).unwrap_err().contains("set saml.issuer"));
    assert_eq!(Theirs::read(&two, Some("https://other"), START).unwrap().entity_id, "https://other");
    assert!(Theirs::read(&two, Some("https://third"), START).unwrap_err().contains("https://other"));
    assert!(Theirs::read(&two, Some("https://sp"), START).unwrap_err().contains("no IDPSSODescriptor"));
}

fn xml_time(text: &str) -> Option<u64> {
    crate::proto::saml::time::parse(text)
}

#[test]
fn metadata_that_cannot_be_used() {
    let good = entity(IDP, &role(&usual()));
    assert!(read(&good).is_ok());
    for (bad, why) in [
        ("<html></html>".to_owned(), "not SAML metadata"),
        (String::new(), "not well-formed"),
        (format!("<!DOCTYPE x>{good}"), "document type"),
        (good.replace(SAMLP, "urn:oasis:names:tc:SAML:1.1:protocol"), "no IDPSSODescriptor"),
        (good.replace(REDIRECT, "urn:other"), "no SingleSignOnService"),
        (good.replace("https://idp/sso", "javascript:alert(1)"), "no SingleSignOnService"),
        (good.replace("https://idp/sso", "/sso"), "no SingleSignOnService"),
        (good.replace("signing", "encryption"), "no usable signing certificate"),
        (
            entity(IDP, &role(&usual().replacen(&key("signing", keys::IDP), &key("signing", keys::WEAK), 1))),
            "1024 bits",
        ),
        (good.replace("entityID", &format!("validUntil=\"{}\" entityID", at(0))), "expired"),
        (good.replace("<IDPSSODescriptor", "<IDPSSODescriptor validUntil=\"soon\""), "not a time"),
        (good.replace(&format!("entityID=\"{IDP}\""), ""), "no entityID"),
        (
            good.replace(
                "</EntityDescriptor>",
                &format!("<!--{}--></EntityDescriptor>", " ".repeat(MAX_METADATA)),
            ),
            "at most",
        ),
    ] {
        assert_ne!(bad, good);
        let error = read(&bad).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    // One bad certificate does not spoil the others.
    let theirs = read(&entity(IDP, &role(&(key("signing", keys::WEAK) + &usual())))).unwrap();
    assert_eq!((theirs.certificates.len(), theirs.warnings.len()), (1, 1));
}

#[test]
fn ours() {
    let (signing, encryption) = (certificate(keys::SP), certificate(keys::IDP));
    let full = Ours {
        entity_id: ENTITY,
        acs_url: "https://app.example.com/acs?u=a&b",
        slo_url: Some(SLO),
        signing: Some(&signing),
        signs_requests: true,
        encryption: Some(&encryption),
        name_id_format: NameIdFormat::Persistent,
    };
    let text = full.document();
    let document = xml::parse(&text, &mut xml::Work::response()).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("entityID"), Some(ENTITY));
    let role = xml::one(root, MD, "SPSSODescriptor").unwrap();
    assert_eq!(role.attribute("AuthnRequestsSigned"), Some("true"));
    // The order of the schema: keys, logout, formats, consumers.
    let names: Vec<&str> = role.children().map(|n| n.tag_name().name()).collect();
    assert_eq!(
        names,
        [
            "KeyDescriptor",
            "KeyDescriptor",
            "SingleLogoutService",
            "SingleLogoutService",
            "NameIDFormat",
            "AssertionConsumerService"
        ]
    );
    let acs = xml::one(role, MD, "AssertionConsumerService").unwrap();
    assert_eq!(
        (acs.attribute("Location"), acs.attribute("Binding")),
        (Some("https://app.example.com/acs?u=a&b"), Some(POST))
    );
    let bare = Ours {
        slo_url: None,
        signing: None,
        signs_requests: false,
        encryption: None,
        name_id_format: NameIdFormat::Unspecified,
        ..full
    };
    let text = bare.document();
    assert!(text.contains("AuthnRequestsSigned=\"false\""));
    assert!(
        !text.contains("KeyDescriptor") && !text.contains("SingleLogout") && !text.contains("NameIDFormat")
    );
}

#[test]
fn an_authority_beside_the_certificate_it_issued_signs_nothing() {
    let (ca, leaf) = (certificate(keys::CA), certificate(keys::LEAF));
    let shown = |list: &[&Certificate]| -> String {
        let one = |own: &&Certificate| {
            format!("<ds:X509Certificate>{}</ds:X509Certificate>", STANDARD.encode(&own.der))
        };
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"{DSIG}\" entityID=\"{IDP}\">\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor>\
             <ds:KeyInfo><ds:X509Data>{}</ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService \
             Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{IDP}/sso\"/></md:IDPSSODescriptor>\
             </md:EntityDescriptor>",
            list.iter().map(one).collect::<String>()
        )
    };
    let read = |list: &[&Certificate]| Theirs::read(&shown(list), None, START).unwrap();
    let idp = certificate(keys::IDP);
    for (list, kept, left_out) in [
        (vec![&leaf, &ca], vec![&leaf], true),
        (vec![&ca, &leaf], vec![&leaf], true),
        (vec![&ca], vec![&ca], false),
        // Unrelated ones, which roll over, stay.
        (vec![&idp, &ca], vec![&idp, &ca], false),
        (vec![&idp, &idp], vec![&idp], false),
    ] {
        let theirs = read(&list);
        let found: Vec<&[u8]> = theirs.certificates.iter().map(|own| own.der.as_slice()).collect();
        let wanted: Vec<&[u8]> = kept.iter().map(|own| own.der.as_slice()).collect();
        assert_eq!(found, wanted);
        assert_eq!(theirs.warnings.iter().any(|why| why.contains("the authority")), left_out);
    }
}

#[test]
fn metadata_may_be_latin_1() {
    let text = |head: &[u8], name: &[u8]| [head, b"<a>", name, b"</a>"].concat();
    let latin = text(b"<?xml version='1.0' encoding='ISO-8859-1'?>\n", b"caf\xe9");
    assert!(metadata::text(&latin).unwrap().ends_with("<a>caf\u{e9}</a>"));
    assert!(metadata::text(&text(b"<?xml version='1.0' encoding='UTF-8'?>", b"caf\xe9")).is_err());
    assert!(metadata::text(&text(b"", b"caf\xe9")).is_err());
    assert!(xml::parse("<?xml\tversion='1.0'\r\nencoding='utf8'?><a/>", &mut xml::Work::response()).is_ok());
}

#[test]
fn metadata_leads_nowhere_that_its_administrator_could_not_name() {
    let text = entity(IDP, &role(&usual()));
    let nowhere = crate::config::Bounds::default();
    let refused = read(&text).unwrap().within(Some(&nowhere)).unwrap_err();
    assert!(refused.contains("leads elsewhere"), "{refused}");
    read(&text).unwrap().within(None).unwrap();
}
