//! Single logout through the whole filter, begun here and at the IdP, by Redirect and POST.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::config::Address;
use crate::flows::login::saml::tests::{answer, begin, begun, filter, metadata, nobody, post, user, HOST};
use crate::proto::saml::bindings::{decode_post, Redirected};
use crate::proto::saml::logout::{LogoutStatus, Outgoing};
use crate::proto::saml::name_id::NameId;
use crate::proto::saml::private_key::PrivateKey;
use crate::proto::saml::sign::Signer;
use crate::proto::saml::tests::idp::{private, IDP, SLO};
use crate::proto::saml::tests::keys;
use crate::state::FilterState;
use crate::testing::browser::{Browser, Seen};
use crate::testing::{status, TestHost};

const OURS: &str = "/sso/saml/logout?u=acme";

fn settings() -> Value {
    json!({
        "slo_url": format!("{IDP}/slo"),
        "signing": { "private_key": { "value": keys::SP_KEY }, "certificate": keys::SP },
    })
}

/// Ada, signed in by an answer with this SessionIndex.
fn ada(filter_state: &Rc<FilterState>, index: &str) -> Browser {
    let mut browser = Browser::new(filter_state, HOST);
    let login = begin(&mut browser);
    let mut answer = answer(&login.id);
    answer.authn = answer.authn.replace("_session", index);
    assert_eq!(post(&mut browser, &answer.write(), &login.relay_state).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    browser
}

fn name(value: &str) -> NameId {
    NameId { value: value.into(), ..NameId::default() }
}

fn from_idp(host: &TestHost, name_id: &NameId, index: Option<&str>) -> Outgoing {
    Outgoing::request(host, &Address::read(SLO).unwrap(), IDP, name_id, index).unwrap()
}

/// Sends it by one of the bindings, signed with this key.
fn send(
    browser: &mut Browser,
    host: &TestHost,
    by_post: bool,
    key: Option<&PrivateKey>,
    message: &Outgoing,
) -> Seen {
    let signer = key.map(|key| Signer { host, key, certificate: None });
    if by_post {
        let fields = message.post(Some("theirs"), signer).unwrap();
        let form: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        return browser.post(OURS, &form, &mut nobody);
    }
    let url = message.redirect(&Address::read(SLO).unwrap(), Some("theirs"), signer).unwrap();
    let target = url.strip_prefix("https://app.example.com").unwrap();
    browser.get(target, &mut nobody)
}

/// Our answer to the IdP, by either binding, and its RelayState.
fn response(seen: &Seen) -> (String, Option<String>) {
    match seen.location().split_once("/slo?") {
        Some((_, query)) => {
            let redirected = Redirected::parse(query).unwrap();
            (redirected.message, redirected.relay_state)
        }
        None => {
            assert!(seen.text().contains(&format!("action=\"{IDP}/slo\"")), "{}", seen.text());
            // The provider may do this in a frame.
            let policy = seen.policy();
            assert!(policy.contains(&format!("frame-ancestors {IDP};")), "{policy}");
            (decode_post(&seen.field("SAMLResponse")).unwrap(), Some(seen.field("RelayState")))
        }
    }
}

#[test]
fn the_idp_ends_the_session_it_names_or_all_of_a_person() {
    let key = private(keys::IDP_KEY);
    for by_post in [false, true] {
        let (host, filter_state, _) = filter(settings());
        let mut desk = ada(&filter_state, "_desk");
        let mut phone = ada(&filter_state, "_phone");
        let request = from_idp(&host, &name("ada@acme.com"), Some("_desk"));
        // By way of the desk's browser, whose cookies go.
        let (text, relay_state) = response(&send(&mut desk, &host, by_post, Some(&key), &request));
        assert!(
            text.contains("status:Success") && text.contains(&format!("InResponseTo=\"{}\"", request.id)),
            "{text}"
        );
        assert_eq!(relay_state.as_deref(), Some("theirs"));
        assert!(desk.cookies.iter().all(|(name, _)| !name.ends_with("sso")), "{:?}", desk.cookies);
        assert_eq!(user(&mut desk), None);
        assert_eq!(user(&mut phone).as_deref(), Some("ada"));

        // Without a SessionIndex, by way of a browser that has no session.
        let request = from_idp(&host, &name("ada@acme.com"), None);
        let mut any = Browser::new(&filter_state, HOST);
        response(&send(&mut any, &host, by_post, Some(&key), &request));
        assert_eq!(user(&mut phone), None);
        // What is opened afterwards is none of what ended, also where the request is sent again.
        host.advance(1);
        ada(&filter_state, "_later");
        host.advance(60_000);
        let mut later = ada(&filter_state, "_later");
        response(&send(&mut any, &host, by_post, Some(&key), &request));
        assert_eq!(user(&mut later).as_deref(), Some("ada"));
    }
}

#[test]
fn what_is_not_signed_fresh_and_for_us_ends_nothing() {
    let (key, stranger) = (private(keys::IDP_KEY), private(keys::STRANGER_KEY));
    for by_post in [false, true] {
        let (host, filter_state, _) = filter(settings());
        let mut browser = ada(&filter_state, "_session");
        let mut elsewhere = Browser::new(&filter_state, HOST);
        let elsewhere = &mut elsewhere;
        let request = from_idp(&host, &name("ada@acme.com"), None);
        let foreign = Outgoing::request(
            &*host,
            &Address::read(SLO).unwrap(),
            "https://other.example",
            &name("ada@acme.com"),
            None,
        );
        for (why, seen) in [
            ("unsigned", send(elsewhere, &host, by_post, None, &request)),
            ("signed by a stranger", send(elsewhere, &host, by_post, Some(&stranger), &request)),
            ("another issuer", send(elsewhere, &host, by_post, Some(&key), &foreign.unwrap())),
        ] {
            assert_eq!((seen.status(), seen.code()), (400, "request_invalid"), "{why}");
        }
        // Somebody else's name ends somebody else's sessions.
        let other = from_idp(&host, &name("bob@acme.com"), None);
        response(&send(elsewhere, &host, by_post, Some(&key), &other));
        let other = from_idp(&host, &name("ada@acme.com"), Some("_other"));
        response(&send(elsewhere, &host, by_post, Some(&key), &other));
        assert_eq!(user(&mut browser).as_deref(), Some("ada"));
        host.advance(6 * 60_000);
        assert_eq!(send(elsewhere, &host, by_post, Some(&key), &request).code(), "request_invalid", "stale");
        assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    }
}

#[test]
fn garbage_and_doubles_are_refused() {
    let (host, filter_state, _) = filter(settings());
    let mut browser = Browser::new(&filter_state, HOST);
    for target in [
        OURS,
        "/sso/saml/logout?u=acme&SAMLRequest=%00",
        "/sso/saml/logout?u=acme&SAMLRequest=a&SAMLResponse=b",
    ] {
        assert_eq!(browser.get(target, &mut nobody).code(), "request_invalid", "{target}");
    }
    for form in [vec![], vec![("SAMLRequest", "%%")], vec![("SAMLRequest", "PGE+"), ("SAMLRequest", "PGE+")]]
    {
        assert_eq!(browser.post(OURS, &form, &mut nobody).code(), "request_invalid");
    }
    drop(host);
}

#[test]
fn signing_out_here_asks_the_idp_and_takes_its_answer() {
    let key = private(keys::IDP_KEY);
    for binding in ["redirect", "post"] {
        let mut saml = settings();
        saml["binding"] = json!(binding);
        let (host, filter_state, _) = filter(saml);
        let mut browser = Browser::new(&filter_state, HOST);
        let id = {
            let seen = browser.get("/", &mut nobody);
            let request = match binding {
                "post" => (decode_post(&seen.field("SAMLRequest")).unwrap(), seen.field("RelayState")),
                _ => {
                    let redirected =
                        Redirected::parse(seen.location().split_once("tenant=1&").unwrap().1).unwrap();
                    (redirected.message, redirected.relay_state.unwrap())
                }
            };
            let id = request.0.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            assert_eq!(post(&mut browser, &answer(&id).write(), &request.1).status(), 302);
            id
        };
        let copy = browser.cookies.clone();
        let seen = browser.get("/sso/logout", &mut nobody);
        let request = match seen.location().split_once("/slo?") {
            Some((_, query)) => Redirected::parse(query).unwrap().message,
            None => {
                assert!(seen.policy().contains("frame-ancestors 'none'"), "{}", seen.policy());
                decode_post(&seen.field("SAMLRequest")).unwrap()
            }
        };
        assert!(
            request.contains(">ada@acme.com</saml:NameID>")
                && request.contains("<samlp:SessionIndex>_session<"),
            "{request}"
        );
        assert_ne!(request.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap(), id);
        let mut copied = Browser::new(&filter_state, HOST);
        copied.cookies = copy;
        assert_eq!(user(&mut copied), None, "ended here before the IdP answers");

        let sent = request.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap();
        let to = Address::read(SLO).unwrap();
        let other = Outgoing::response(&*host, &to, IDP, "id-other", LogoutStatus::Success).unwrap();
        assert_eq!(
            send(&mut browser, &host, binding == "post", Some(&key), &other).code(),
            "request_invalid"
        );
        let good = Outgoing::response(&*host, &to, IDP, sent, LogoutStatus::Success).unwrap();
        assert_eq!(
            send(&mut browser, &host, binding == "post", None, &good).code(),
            "request_invalid",
            "unsigned"
        );
        let seen = send(&mut browser, &host, binding == "post", Some(&key), &good);
        assert_eq!(seen.location(), "/sso/logout-complete");
    }
}

#[test]
fn without_slo_url_there_is_no_single_logout() {
    let key = private(keys::IDP_KEY);
    let (host, filter_state, _) = filter(json!({}));
    let mut browser = ada(&filter_state, "_session");
    let request = from_idp(&host, &name("ada@acme.com"), None);
    assert_eq!(send(&mut browser, &host, false, Some(&key), &request).code(), "request_invalid");
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    assert_eq!(browser.get("/sso/logout", &mut nobody).location(), "/sso/logout-complete");
    assert_eq!(user(&mut browser), None);
}

/// An endpoint in their metadata is not a wish for single logout: most IdPs meet an unsigned message with an error page of
/// their own, where the sign-out would end.
#[test]
fn their_metadata_brings_single_logout_only_where_messages_are_signed() {
    let key = private(keys::IDP_KEY);
    let endpoint = "Service Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=";
    let published = metadata(&[keys::IDP])
        .replace("<md:SingleSignOn", &format!("<md:SingleLogout{endpoint}\"{IDP}/slo\"/><md:SingleSignOn"));
    for signing in [settings()["signing"].clone(), Value::Null] {
        let signed = !signing.is_null();
        let (host, filter_state, mut browser) = filter(json!({
            "metadata_url": format!("{IDP}/metadata"), "sso_url": null, "issuer": null, "certificates": null,
            "signing": signing,
        }));
        let mut serve = |_: &_| status(200, "application/xml", published.as_str());
        let login = begun(&browser.get("/", &mut serve));
        assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).status(), 302);
        let ours = browser.get("/sso/saml/metadata?u=acme", &mut nobody).text();
        assert_eq!(ours.contains("SingleLogoutService"), signed, "{ours}");
        let account = &filter_state.account_states[0].account;
        let registered = crate::flows::admin::redirect_uris(account);
        assert_eq!(registered.iter().any(|(_, uri)| uri.ends_with(OURS)), signed, "{registered:?}");

        let other = from_idp(&host, &name("bob@acme.com"), None);
        let seen = send(&mut Browser::new(&filter_state, HOST), &host, false, Some(&key), &other);
        assert_eq!(seen.status(), if signed { 302 } else { 400 }, "{}", seen.text());
        let seen = browser.get("/sso/logout", &mut nobody);
        match signed {
            true => assert!(seen.location().starts_with(&format!("{IDP}/slo?")), "{}", seen.location()),
            false => assert_eq!(seen.location(), "/sso/logout-complete"),
        }
        assert_eq!(user(&mut browser), None);
    }
}
