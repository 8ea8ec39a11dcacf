//! Single logout, both ways, by both bindings.

use super::encrypted::{lock_id, Lock};
use super::idp::*;
use super::keys;
use crate::config::Address;
use crate::fault::Code;
use crate::proto::saml::bindings::{decode_post, Redirected};
use crate::proto::saml::certificate::Certificate;
use crate::proto::saml::logout::{
    read_request, read_response, Expected, LogoutRequest, LogoutStatus, Message, Outgoing, Received,
};
use crate::proto::saml::name_id::NameId;
use crate::proto::saml::private_key::PrivateKey;
use crate::proto::saml::refused::Refused;
use crate::proto::saml::sign::Signer;
use crate::proto::saml::signature::Trust;
use crate::testing::{TestHost, START};

use super::forge::{sign, Spec};

fn expected<'a>(host: &'a TestHost, certificates: &'a [Certificate], now: u64) -> Expected<'a> {
    Expected {
        trust: Trust { host, certificates },
        decryption_key: None,
        issuer: IDP,
        slo_url: SLO,
        entity_id: "https://app.example.com/sp",
        now,
        clock_skew: 60_000,
    }
}

fn name() -> NameId {
    NameId {
        value: "ada&co@acme.com".into(),
        format: Some("urn:f".into()),
        name_qualifier: None,
        sp_name_qualifier: Some("sp".into()),
    }
}

fn query(url: &str) -> &str {
    url.split_once('?').unwrap().1
}

/// As the IdP sends it to us, by both bindings, signed with this key.
fn both_ways(outgoing: &Outgoing, key: Option<&PrivateKey>, check: &dyn Fn(&Message<'_>)) {
    let host = TestHost::new();
    let signer = key.map(|key| Signer { host: &*host, key, certificate: None });
    let to = Address::read(SLO).unwrap();
    let redirected = Redirected::parse(query(&outgoing.redirect(&to, Some("rs"), signer).unwrap())).unwrap();
    check(&Message::read(Received::Redirect(&redirected)).unwrap());
    let form = outgoing.post(Some("rs"), signer).unwrap();
    let text = decode_post(&form[0].1).unwrap();
    check(&Message::read(Received::Post(&text)).unwrap());
}

#[test]
fn a_request_of_the_idp() {
    let host = TestHost::new();
    let (idp, stranger) = (private(keys::IDP_KEY), private(keys::STRANGER_KEY));
    let certificates = [certificate(keys::IDP)];
    let to = Address::read(SLO).unwrap();
    for index in [Some("_session"), None] {
        let request = Outgoing::request(&*host, &to, IDP, &name(), index).unwrap();
        both_ways(&request, Some(&idp), &|received| {
            let read = read_request(&expected(&host, &certificates, START), received).unwrap();
            let session_indexes = index.iter().map(|i| (*i).to_owned()).collect();
            assert_eq!(
                read,
                LogoutRequest {
                    id: request.id.clone(),
                    issued: START,
                    name_id: name(),
                    session_indexes,
                    warnings: vec![]
                }
            );
            assert!(
                read_response(&expected(&host, &certificates, START), received, Some(&request.id)).is_err()
            );
        });
        let refused = |received: &Message<'_>, now: u64, why: &str, unknown: bool| {
            let refusal = read_request(&expected(&host, &certificates, now), received).unwrap_err();
            assert_eq!(refusal.fault.code, Code::RequestInvalid);
            assert_eq!(refusal.fault.status(), 400);
            assert_eq!(refusal.unknown_key, unknown);
            assert!(refusal.fault.detail.contains(why), "{}", refusal.fault.detail);
        };
        both_ways(&request, None, &|received| refused(received, START, "not signed", false));
        both_ways(&request, Some(&stranger), &|received| {
            refused(received, START, "not by a certificate", true)
        });
        // Ours says when it ends: five minutes, and the skew.
        both_ways(&request, Some(&idp), &|received| refused(received, START + 360_000, "stale", false));
        both_ways(&request, Some(&idp), &|received| {
            assert!(read_request(&expected(&host, &certificates, START + 359_999), received).is_ok());
        });
        both_ways(&request, Some(&idp), &|received| refused(received, START - 61_000, "future", false));
    }
    let other = Address::read("https://app.example.com/sso/saml/logout?u=beta").unwrap();
    for (to, issuer, why) in [(&other, IDP, "Destination"), (&to, "https://evil.com", "Issuer")] {
        let request = Outgoing::request(&*host, to, issuer, &name(), None).unwrap();
        both_ways(&request, Some(&idp), &|received| {
            let refusal = read_request(&expected(&host, &certificates, START), received).unwrap_err();
            assert!(refusal.fault.detail.contains(why), "{}", refusal.fault.detail);
        });
    }
}

fn posted(inside: &str, attributes: &str) -> Result<LogoutRequest, Refused> {
    posted_to(None, inside, attributes)
}

fn posted_to(
    decryption_key: Option<&PrivateKey>,
    inside: &str,
    attributes: &str,
) -> Result<LogoutRequest, Refused> {
    let host = TestHost::new();
    let text = format!(
        "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_l\" Version=\"2.0\" Destination=\"{SLO}\" {attributes}>{}{inside}</samlp:LogoutRequest>",
        issuer(IDP)
    );
    let certificates = [certificate(keys::IDP)];
    read_request(
        &Expected { decryption_key, ..expected(&host, &certificates, START) },
        &Message::read(Received::Post(&sign(&text, &Spec::default())))?,
    )
}

#[test]
fn staleness_and_shape() {
    let fresh = format!("IssueInstant=\"{}\"", at(0));
    let name = "<saml:NameID>ada</saml:NameID>";
    let index = "<samlp:SessionIndex>1</samlp:SessionIndex>";
    assert_eq!(
        posted(&format!("{name}{index}{}", index.replace('1', "2")), &fresh).unwrap().session_indexes,
        ["1", "2"]
    );
    // Without NotOnOrAfter five minutes, with it as it says.
    assert!(posted(name, &format!("IssueInstant=\"{}\"", at(-359))).is_ok());
    assert!(posted(name, &format!("IssueInstant=\"{}\"", at(-360))).is_err());
    assert!(posted(name, &format!("IssueInstant=\"{}\" NotOnOrAfter=\"{}\"", at(-3600), at(1))).is_ok());
    assert!(posted(name, &format!("IssueInstant=\"{}\" NotOnOrAfter=\"{}\"", at(0), at(-60))).is_err());
    for (inside, attributes) in [
        (name, ""),
        (name, "IssueInstant=\"now\""),
        ("", fresh.as_str()),
        ("<saml:EncryptedID/>", &fresh),
        ("<saml:NameID/>", &fresh),
        ("<saml:NameID>ada<!---->x</saml:NameID>", &fresh),
        ("<saml:NameID>ada</saml:NameID><saml:NameID>eve</saml:NameID>", &fresh),
        ("<saml:NameID>ada</saml:NameID><samlp:SessionIndex/>", &fresh),
        ("<saml:NameID>ada</saml:NameID><samlp:Extensions><samlp:LogoutRequest/></samlp:Extensions>", &fresh),
        ("<saml:NameID>ada</saml:NameID><saml:Assertion/>", &fresh),
    ] {
        let refusal = posted(inside, attributes).unwrap_err();
        assert_eq!(refusal.fault.code, Code::RequestInvalid, "{inside}");
    }
}

#[test]
fn an_encrypted_name_is_opened_with_our_key() {
    let fresh = format!("IssueInstant=\"{}\"", at(0));
    let ours = private(keys::SP_KEY);
    let hidden = lock_id(&Lock::default(), "<saml:NameID Format=\"urn:f\">ada</saml:NameID>");
    let read = posted_to(Some(&ours), &hidden, &fresh).unwrap();
    assert_eq!((read.name_id.value.as_str(), read.name_id.format.as_deref()), ("ada", Some("urn:f")));
    let why = |key: Option<&PrivateKey>, inside: &str| {
        let refusal = posted_to(key, inside, &fresh).unwrap_err();
        assert_eq!(refusal.fault.code, Code::RequestInvalid, "{inside}");
        refusal.fault.detail
    };
    assert!(why(None, &hidden).contains("saml.decryption is not set"));
    assert!(why(Some(&private(keys::STRANGER_KEY)), &hidden).contains("cannot be opened"));
    assert!(why(Some(&ours), &format!("<saml:NameID>eve</saml:NameID>{hidden}")).contains("both"));
    assert!(why(Some(&ours), "<saml:EncryptedID/>").contains("EncryptedData"));
}

#[test]
fn the_answer_to_ours() {
    let host = TestHost::new();
    let idp = private(keys::IDP_KEY);
    let certificates = [certificate(keys::IDP)];
    let to = Address::read(SLO).unwrap();
    for (success, status, sent) in
        [(true, "Success", LogoutStatus::Success), (false, "Responder", LogoutStatus::Responder)]
    {
        let response = Outgoing::response(&*host, &to, IDP, "id-ours", sent).unwrap();
        both_ways(&response, Some(&idp), &|received| {
            let read =
                read_response(&expected(&host, &certificates, START), received, Some("id-ours")).unwrap();
            assert_eq!((read.complete, read.status.as_str()), (success, status));
            let expected = expected(&host, &certificates, START);
            assert!(read_response(&expected, received, Some("id-other"))
                .unwrap_err()
                .fault
                .detail
                .contains("another request"));
            assert!(read_request(&expected, received).is_err());
        });
        both_ways(&response, None, &|received| {
            assert!(read_response(&expected(&host, &certificates, START), received, Some("id-ours")).is_err());
        });
    }
}
