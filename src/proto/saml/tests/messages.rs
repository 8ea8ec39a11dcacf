//! What we send, and how messages travel.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use url::{form_urlencoded, Url};

use super::idp::*;
use super::keys;
use crate::config::{Address, NameIdFormat};
use crate::crypto::MAX_CERTIFICATES;
use crate::proto::saml::authn_request::{AuthnRequest, Settings};
use crate::proto::saml::bindings::{decode_logout, decode_post, redirect, Kind, Redirected};
use crate::proto::saml::logout::{LogoutStatus, Outgoing};
use crate::proto::saml::name_id::NameId;
use crate::proto::saml::names::{DSIG, SAML, SAMLP};
use crate::proto::saml::sign::Signer;
use crate::proto::saml::signature::{Problem, Trust};
use crate::proto::saml::xml::{self, MAX_LOGOUT, MAX_MESSAGE};
use crate::testing::TestHost;

fn trust<'a>(
    host: &'a TestHost,
    certificates: &'a [crate::proto::saml::certificate::Certificate],
) -> Trust<'a> {
    Trust { host, certificates }
}

/// Addresses that reading changes, all of them one that a provider may have written.
pub const AS_WRITTEN: [&str; 9] = [
    "https://idp.example:443/sso",
    "http://idp.example:80/sso",
    "https://idp.example",
    "https://idp.example?tenant=1&a=%20",
    "https://IDP.Example/SSO",
    "HTTPS://idp.example/sso",
    "https://idp.example/a/%7euser",
    "https://idp.example/a/../sso/./x",
    "https://idp.example/sso/",
];

fn destination(message: &str) -> String {
    let document = xml::parse(message, &mut xml::Work::response()).unwrap();
    document.root_element().attribute("Destination").unwrap().to_owned()
}

#[test]
fn destination_is_the_address_as_the_provider_wrote_it() {
    let host = TestHost::new();
    let name = NameId { value: "ada".into(), ..NameId::default() };
    for text in AS_WRITTEN {
        let to = Address::read(&format!("\n {text} ")).unwrap();
        let settings = Settings {
            sso_url: &to,
            acs_url: ACS,
            entity_id: "urn:us",
            name_id_format: NameIdFormat::Email,
            force_authn: false,
            authn_contexts: &[],
            signer: None,
        };
        let request = AuthnRequest::new(&*host, &settings).unwrap();
        let logout = [
            Outgoing::request(&*host, &to, "urn:us", &name, None).unwrap(),
            Outgoing::response(&*host, &to, "urn:us", "id-1", LogoutStatus::Success).unwrap(),
        ];
        let mut sent = vec![request.redirect(&settings, "s").unwrap()];
        sent.extend(logout.iter().map(|message| message.redirect(&to, None, None).unwrap()));
        for url in sent {
            let url = Url::parse(&url).unwrap();
            assert_eq!(url.host(), to.url.host(), "the browser goes where the text leads");
            let kind = url.query_pairs().find(|(name, _)| name.starts_with("SAML")).unwrap();
            let query = format!(
                "{}={}",
                kind.0,
                form_urlencoded::byte_serialize(kind.1.as_bytes()).collect::<String>()
            );
            assert_eq!(destination(&Redirected::parse(&query).unwrap().message), text);
        }
        let mut posted = vec![request.post(&settings, "s").unwrap()];
        posted.extend(logout.iter().map(|message| message.post(None, None).unwrap()));
        for form in posted {
            assert_eq!(destination(&decode_post(&form[0].1).unwrap()), text);
        }
    }
}

#[test]
fn line_ends_are_read_as_xml_has_them() {
    for (raw, read) in [
        ("x\r&lt;y", "x\n&lt;y"),
        ("x\r\n&lt;y", "x\n&lt;y"),
        ("\r\r\n\r", "\n\n\n"),
        ("x&#13;y\n", "x&#13;y\n"),
        ("x y", "x y"),
    ] {
        assert_eq!(decode_post(&STANDARD.encode(raw)).unwrap(), read, "{raw:?}");
    }
}

#[test]
fn the_authn_request() {
    let host = TestHost::new();
    let (key, ours) = (private(keys::SP_KEY), certificate(keys::SP));
    let sso = Address::read("https://idp.partner.com/sso?idpid=1&x=<").unwrap();
    let signer = Signer { host: &*host, key: &key, certificate: Some(&ours) };
    let settings = Settings {
        sso_url: &sso,
        acs_url: ACS,
        entity_id: "urn:a&b",
        name_id_format: NameIdFormat::Email,
        force_authn: true,
        authn_contexts: &[],
        signer: Some(signer),
    };
    let request = AuthnRequest::new(&*host, &settings).unwrap();
    assert!(request.id.starts_with("id-") && request.id.len() == 35);
    assert_ne!(AuthnRequest::new(&*host, &settings).unwrap().id, request.id);

    let url = request.redirect(&settings, "state-1").unwrap();
    let query = url.strip_prefix("https://idp.partner.com/sso?idpid=1&x=%3C&").expect(&url);
    let sent = Redirected::parse(query).unwrap();
    assert_eq!((sent.kind, sent.relay_state.as_deref()), (Kind::Request, Some("state-1")));
    let certificates = [ours.clone()];
    assert!(sent.verify(&trust(&host, &certificates)).unwrap().is_some());
    let document = xml::parse(&sent.message, &mut xml::Work::response()).unwrap();
    let root = document.root_element();
    assert!(xml::is(root, SAMLP, "AuthnRequest"));
    for (name, value) in [
        ("ID", request.id.as_str()),
        ("Version", "2.0"),
        ("IssueInstant", &at(0)),
        ("Destination", sso.text.as_str()),
        ("AssertionConsumerServiceURL", ACS),
        ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
        ("ForceAuthn", "true"),
    ] {
        assert_eq!(root.attribute(name), Some(value), "{name}");
    }
    assert_eq!(xml::text(xml::one(root, SAML, "Issuer").unwrap()).unwrap(), "urn:a&b");
    let policy = xml::one(root, SAMLP, "NameIDPolicy").unwrap();
    assert_eq!(policy.attribute("Format"), Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"));

    // By POST the signature is in the message, in the place of the schema.
    let fields = request.post(&settings, "state-1").unwrap();
    assert_eq!(fields[1], ("RelayState".to_owned(), "state-1".to_owned()));
    assert_eq!(fields[0].0, "SAMLRequest");
    let text = decode_post(&fields[0].1).unwrap();
    let document = xml::parse(&text, &mut xml::Work::response()).unwrap();
    let names: Vec<&str> = document.root_element().children().map(|n| n.tag_name().name()).collect();
    assert_eq!(names, ["Issuer", "Signature", "NameIDPolicy"]);
    assert!(trust(&host, &certificates).verify(document.root_element()).unwrap().is_some());
    let strangers = [certificate(keys::STRANGER)];
    assert!(matches!(trust(&host, &strangers).verify(document.root_element()), Err(Problem::UnknownKey(_))));

    // Unsigned without a key, and no policy where the IdP may choose.
    let settings =
        Settings { signer: None, force_authn: false, name_id_format: NameIdFormat::Unspecified, ..settings };
    let request = AuthnRequest::new(&*host, &settings).unwrap();
    assert!(!request.redirect(&settings, "s").unwrap().contains("Signature"));
    let text = decode_post(&request.post(&settings, "s").unwrap()[0].1).unwrap();
    assert!(!text.contains(DSIG) && !text.contains("NameIDPolicy") && !text.contains("ForceAuthn"));
}

#[test]
fn no_randomness_no_request() {
    let host = TestHost::new();
    host.fail_random();
    assert!(crate::proto::saml::fresh_id(&*host).is_err());
}

fn deflated(text: &[u8]) -> String {
    let bytes = miniz_oxide::deflate::compress_to_vec(text, 9);
    url::form_urlencoded::byte_serialize(STANDARD.encode(bytes).as_bytes()).collect()
}

#[test]
fn a_query_is_read_once() {
    let m = deflated(b"<x/>");
    let good = format!("u=acme&SAMLRequest={m}&RelayState=a%2Fb");
    assert_eq!(Redirected::parse(&good).unwrap().message, "<x/>");
    assert_eq!(Redirected::parse(&good).unwrap().relay_state.as_deref(), Some("a/b"));
    let deflate = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";
    assert!(Redirected::parse(&format!("{good}&SAMLEncoding={deflate}")).is_ok());
    for (bad, why) in [
        (String::new(), "neither"),
        ("RelayState=x".into(), "neither"),
        (format!("{good}&SAMLRequest={m}"), "twice"),
        (format!("{good}&SAMLResponse={m}"), "both"),
        (format!("{good}&RelayState=x"), "twice"),
        (format!("{good}&SAMLEncoding=other"), "encoding"),
        (format!("{good}&SigAlg=x"), "only one"),
        (format!("{good}&Signature=x"), "only one"),
        (format!("SAML%52equest={m}"), "escaped"),
        ("SAMLRequest=!!!".into(), "base64"),
        (format!("SAMLRequest={}", STANDARD.encode("<x/>").replace('=', "%3D")), "inflate"),
        (format!("SAMLRequest={}", deflated(b"\xff\xfe")), "UTF-8"),
    ] {
        let error = Redirected::parse(&bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn bombs_stop_at_the_cap() {
    let fits = deflated(&vec![b' '; MAX_LOGOUT]);
    let bomb = deflated(&vec![b' '; MAX_LOGOUT + 1]);
    let huge = deflated(&vec![b' '; 64 << 20]);
    assert!(Redirected::parse(&format!("SAMLRequest={fits}")).is_ok());
    assert!(Redirected::parse(&format!("SAMLRequest={bomb}")).is_err());
    assert!(Redirected::parse(&format!("SAMLRequest={huge}")).is_err());
    assert!(decode_post(&STANDARD.encode(vec![b' '; MAX_MESSAGE])).is_ok());
    assert!(decode_post(&STANDARD.encode(vec![b' '; MAX_MESSAGE + 1])).is_err());
    assert!(decode_post(&"A".repeat(1 << 20)).is_err());
    assert!(decode_logout(&STANDARD.encode(vec![b' '; MAX_LOGOUT])).is_ok());
    assert!(decode_logout(&STANDARD.encode(vec![b' '; MAX_LOGOUT + 1])).is_err());
    assert_eq!(decode_post("PHgv\r\n Pg==").unwrap(), "<x/>");
    for bad in ["PHgvPg", "PHgv*Pg==", "//79"] {
        assert!(decode_post(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_query_is_signed_as_it_was_sent() {
    let host = TestHost::new();
    let key = private(keys::IDP_KEY);
    let signer = Signer { host: &*host, key: &key, certificate: None };
    let to = Url::parse(SLO).unwrap();
    let certificates = [certificate(keys::STRANGER), certificate(keys::IDP)];
    let trust = trust(&host, &certificates);
    for relay_state in [None, Some("x y/ü&=")] {
        let url = redirect(&to, Kind::Response, "<x/>", relay_state, Some(signer)).unwrap();
        let query = url.strip_prefix("https://app.example.com/sso/saml/logout?").unwrap();
        let read = Redirected::parse(query).unwrap();
        assert_eq!(read.relay_state.as_deref(), relay_state);
        assert_eq!(read.verify(&trust).unwrap().unwrap().subject, "CN=idp.example.com");
        // Another order of the parameters is the same message; other octets are another.
        let mut parts: Vec<&str> = query.split('&').collect();
        parts.reverse();
        assert!(Redirected::parse(&parts.join("&")).unwrap().verify(&trust).is_ok());
        let mut others = vec![
            query.replace("SAMLResponse", "SAMLRequest"),
            query.replacen("%3A", "%3a", 1),
            query.replace("rsa-sha256", "rsa-sha512"),
        ];
        others.push(match relay_state {
            Some(_) => query.replace("RelayState=x", "RelayState=z"),
            None => format!("{query}&RelayState=z"),
        });
        for bad in others {
            assert_ne!(bad, query);
            assert!(
                matches!(Redirected::parse(&bad).unwrap().verify(&trust), Err(Problem::UnknownKey(_))),
                "{bad}"
            );
        }
        let sha1 = query.replace("2001%2F04%2Fxmldsig-more%23rsa-sha256", "2000%2F09%2Fxmldsig%23rsa-sha1");
        assert_ne!(sha1, query);
        assert!(
            matches!(Redirected::parse(&sha1).unwrap().verify(&trust), Err(Problem::Refused(why)) if why.contains("SHA-1"))
        );
    }
    // Each certificate costs a forged signature's verification: the last of many is not reached.
    let url = redirect(&to, Kind::Response, "<x/>", None, Some(signer)).unwrap();
    let read = Redirected::parse(url.split_once('?').unwrap().1).unwrap();
    for (strangers, counts) in [(MAX_CERTIFICATES - 1, true), (MAX_CERTIFICATES, false)] {
        let mut many: Vec<_> = (0..strangers).map(|_| certificate(keys::STRANGER)).collect();
        many.push(certificate(keys::IDP));
        let trust = Trust { certificates: &many, ..trust };
        assert_eq!(read.verify(&trust).is_ok(), counts, "{strangers}");
    }
    // ADFS escapes in lower case: the octets as received are what counts.
    let query = format!(
        "SAMLRequest={}&SigAlg=http%3a%2f%2fwww.w3.org%2f2001%2f04%2fxmldsig-more%23rsa-sha256",
        deflated(b"<x/>")
    );
    let signature = STANDARD.encode(key.sign(&*host, query.as_bytes()).unwrap());
    let signed = format!(
        "{query}&Signature={}",
        signature.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d")
    );
    assert!(Redirected::parse(&signed).unwrap().verify(&trust).unwrap().is_some());
    assert_eq!(
        Redirected::parse(&query.replace("&SigAlg", "&x")).unwrap().verify(&trust).unwrap().map(|_| ()),
        None
    );
}
