//! What real providers send beside the good case, through the whole filter.

use serde_json::json;

use super::tests::*;
use crate::proto::saml::bindings::encode_post;
use crate::proto::saml::tests::idp::{status, Answer, Style};
use crate::testing::browser::{filter_state, Browser};
use crate::testing::TestHost;

#[test]
fn a_no_that_names_no_request_begins_nothing() {
    for mode in ["off", "restart", "accept"] {
        for (code, inner, expected) in [
            ("Responder", "RequestDenied", "idp_denied"),
            ("Responder", "AuthnFailed", "idp_denied"),
            ("Requester", "NoPassive", "assertion_invalid"),
        ] {
            let (host, _, mut browser) = filter(json!({ "idp_initiated": mode }));
            let mut no = Answer::unsolicited(Style::Nothing);
            no.status = status(code, inner);
            let text = no.write();
            let text = format!("{}</samlp:Response>", text.split("<saml:Assertion").next().unwrap());
            let page = post(&mut browser, &text, "");
            let seen = if page.code() == "continue" { bounced(&mut browser, &page) } else { page };
            assert_eq!((seen.status(), seen.code()), (403, expected), "{mode} {code}");
            assert!(browser.cookies.is_empty(), "{mode}: no login began");
            let logged = host.logs().iter().any(|(_, line)| line.contains(&format!("{code} / {inner}")));
            assert!(logged, "{mode} {inner}: the log names the status");
        }
        // The yes beside it is as ever.
        let (_, _, mut browser) = filter(json!({ "idp_initiated": mode }));
        let seen = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "");
        assert_eq!(seen.code() == "assertion_invalid", mode == "off");
    }
}

#[test]
fn an_answer_whose_relay_state_the_idp_lost_is_found_by_the_request_it_names() {
    let send = |browser: &mut Browser, message: &str, more: &[(&str, &str)]| {
        let encoded = encode_post(message);
        let fields: Vec<_> =
            [("SAMLResponse", encoded.as_str())].into_iter().chain(more.iter().copied()).collect();
        browser.post(ACS, &fields, &mut nobody)
    };
    let (_, filter_state, mut browser) = filter(json!({}));
    let (first, second) = (begin(&mut browser), begin(&mut browser));
    let good = answer(&second.id).write();
    // One that is there counts as it is.
    for wrong in ["", "x", first.relay_state.as_str()] {
        let mut other = Browser::new(&filter_state, HOST);
        other.cookies.clone_from(&browser.cookies);
        let seen = send(&mut other, &good, &[("RelayState", wrong), ("sso_bounced", "1")]);
        assert!(matches!(seen.code(), "state_unknown" | "assertion_invalid"), "{wrong}: {}", seen.code());
        assert_eq!(user(&mut other), None);
    }
    let mut elsewhere = Browser::new(&filter(json!({})).1, HOST);
    assert_eq!(send(&mut elsewhere, &good, &[("sso_bounced", "1")]).code(), "state_unknown");
    assert_eq!(
        send(&mut browser, &answer("id-foreign").write(), &[("sso_bounced", "1")]).code(),
        "state_unknown"
    );
    assert_eq!(send(&mut browser, &good, &[]).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
}

#[test]
fn without_a_saml_provider_nothing_of_a_message_is_read() {
    let host = TestHost::new();
    let mut settings = configuration(json!({}));
    settings["accounts"][0]["identity_providers"] = json!([{ "id": "corp", "oidc": {
        "discovery": "https://idp.example.com/.well-known/openid-configuration", "client_id": "a", "client_secret": { "value": "s" } } }]);
    let filter_state = filter_state(&host, &settings);
    let mut browser = Browser::new(&filter_state, HOST);
    for message in [Answer::default().write(), "<x/>".into(), "<".repeat(200_000)] {
        let seen = post(&mut browser, &message, "");
        assert_eq!((seen.status(), seen.code()), (400, "callback_invalid"));
        assert!(seen.text().contains("callback_invalid"));
        let encoded = encode_post(&message);
        let seen = browser.post("/sso/saml/logout?u=acme", &[("SAMLRequest", &encoded)], &mut nobody);
        assert_eq!((seen.status(), seen.code()), (400, "request_invalid"));
    }
    let seen = browser.get("/sso/saml/logout?u=acme&SAMLRequest=x", &mut nobody);
    assert_eq!((seen.status(), seen.code()), (400, "request_invalid"));
    let why = |what: &str| host.logs().iter().any(|(_, line)| line.contains(what));
    assert!(why("this account has no SAML provider") && why("there is no single logout"));
}

#[test]
fn the_same_value_twice_is_one_value() {
    let value = |name: &str, friendly: &str, values: &[&str]| {
        let values: String = values
            .iter()
            .map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>"))
            .collect();
        format!("<saml:Attribute Name=\"{name}\" FriendlyName=\"{friendly}\">{values}</saml:Attribute>")
    };
    for (attributes, user_is_there) in [
        (value("email", "", &["ada@acme.com", "ada@acme.com"]), true),
        (value("email", "a", &["ada@acme.com"]) + &value("email", "b", &["ada@acme.com"]), true),
        (value("urn:1", "email", &["ada@acme.com"]) + &value("urn:2", "email", &["ada@acme.com"]), true),
        (value("email", "", &["ada@acme.com", "bob@acme.com"]), false),
        (value("email", "", &["ada@acme.com", "bob@acme.com", "ada@acme.com"]), false),
        (value("email", "", &["ada@acme.com", "ada@acme.com", "bob@acme.com"]), false),
        (value("email", "", &["ada@acme.com", "ADA@acme.com"]), false),
        (value("email", "", &["ada@acme.com", "ada@acme.com "]), false),
    ] {
        let (_, _, mut browser) = filter(json!({}));
        let login = begin(&mut browser);
        let mut message = answer(&login.id);
        message.attributes = format!("<saml:AttributeStatement>{attributes}</saml:AttributeStatement>");
        let seen = post(&mut browser, &message.write(), &login.relay_state);
        assert_eq!(
            seen.code() != "identity_ambiguous" && seen.status() == 302,
            user_is_there,
            "{attributes}"
        );
        assert_eq!(user(&mut browser).is_some(), user_is_there);
    }
}
