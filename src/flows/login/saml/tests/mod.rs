//! Whole SAML logins: a filter, a browser, and an IdP that signs what a test makes of its answer.

mod unsolicited;

use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Reply};
use crate::proto::saml::bindings::{encode_post, Redirected};
use crate::proto::saml::tests::idp::{Answer, Style, IDP, REQUEST};
use crate::proto::saml::tests::keys;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{header, status, TestHost};

pub(crate) const HOST: &str = "app.example.com";
pub(crate) const ACS: &str = "/sso/saml/consume?u=acme";

pub(crate) fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

pub(crate) fn configuration(saml: Value) -> Value {
    let mut settings =
        json!({ "sso_url": format!("{IDP}/sso?tenant=1"), "issuer": IDP, "certificates": [keys::IDP] });
    let Value::Object(more) = saml else { unreachable!() };
    settings.as_object_mut().unwrap().extend(more);
    settings.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let account = |code: &str, host: &str| {
        json!({
            "code": code, "origins": [format!("https://{host}")], "sso": "enabled",
            "identity_providers": [{ "id": "partners", "saml": settings }],
            "directory": { "static": { "users": [
                { "username": "ada", "email": "ada@acme.com" }, { "username": "bob", "email": "bob@acme.com" },
            ] } }
        })
    };
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
        "accounts": [account("acme", HOST), account("other", "other.example.com")]
    })
}

pub(crate) fn filter(saml: Value) -> (Rc<TestHost>, Rc<FilterState>, Browser) {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration(saml));
    let browser = Browser::new(&filter_state, HOST);
    (host, filter_state, browser)
}

/// A login that went to the IdP: the request's ID and RelayState.
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) relay_state: String,
}

pub(crate) fn begun(seen: &Seen) -> Begun {
    let (_, query) = seen.location().split_once("tenant=1&").unwrap();
    let request = Redirected::parse(query).unwrap();
    let (_, rest) = request.message.split_once(" ID=\"").unwrap();
    Begun { id: rest.split('"').next().unwrap().into(), relay_state: request.relay_state.unwrap() }
}

pub(crate) fn begin(browser: &mut Browser) -> Begun {
    begun(&browser.get("/reports?q=1", &mut nobody))
}

/// The good answer to a request.
pub(crate) fn answer(id: &str) -> Answer {
    let mut answer = Answer::default();
    answer.response = answer.response.replace(REQUEST, id);
    answer.confirmation = answer.confirmation.replace(REQUEST, id);
    answer
}

pub(crate) fn post(browser: &mut Browser, message: &str, relay_state: &str) -> Seen {
    let encoded = encode_post(message);
    browser.post(ACS, &[("SAMLResponse", &encoded), ("RelayState", relay_state)], &mut nobody)
}

/// Posts the page's form back, as a browser does by itself.
pub(crate) fn bounced(browser: &mut Browser, page: &Seen) -> Seen {
    assert_eq!(page.code(), "continue", "{}", page.text());
    let fields: Vec<(String, String)> = ["SAMLResponse", "RelayState", "sso_bounced"]
        .iter()
        .map(|name| ((*name).into(), page.field(name)))
        .collect();
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(ACS, &fields, &mut nobody)
}

pub(crate) fn user(browser: &mut Browser) -> Option<String> {
    let seen = browser.get("/", &mut nobody);
    Some(seen.pass?.live?.session.user.username.clone())
}

#[test]
fn signs_in_and_comes_back_to_the_url_that_was_asked() {
    let (host, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let seen = post(&mut browser, &answer(&login.id).write(), &login.relay_state);
    assert_eq!((seen.status(), seen.location()), (302, "/reports?q=1"));
    let seen = browser.get("/reports?q=1", &mut nobody);
    let live = seen.pass.unwrap().live.unwrap();
    let session = &live.session;
    assert_eq!(session.user.username, "ada");
    assert_eq!((session.origin.issuer.as_str(), session.origin.subject.as_str()), (IDP, "ada@acme.com"));
    assert_eq!(session.origin.sid.as_deref(), Some("_session"));
    assert!(session.origin.name_id.is_some() && session.origin.nonce.is_none());
    assert_eq!(host.counted("sso_logins.account.acme.idp.partners.outcome.ok"), 1);
}

#[test]
fn the_request_goes_by_post_where_that_is_configured_and_is_signed() {
    let key = json!({ "private_key": { "value": keys::SP_KEY }, "certificate": keys::SP });
    let (_, _, mut browser) = filter(json!({ "binding": "post", "signing": key, "name_id_format": "email" }));
    let seen = browser.get("/reports", &mut nobody);
    assert_eq!((seen.status(), seen.code()), (200, "login_required"));
    assert!(seen.text().contains(&format!("action=\"{IDP}/sso?tenant=1\"")), "{}", seen.text());
    let request = crate::proto::saml::bindings::decode_post(&seen.field("SAMLRequest")).unwrap();
    assert!(request.contains("SignatureValue") && request.contains("emailAddress"), "{request}");
    let id = request.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap();
    let seen = post(&mut browser, &answer(id).write(), &seen.field("RelayState"));
    assert_eq!((seen.status(), seen.location()), (302, "/reports"));
}

#[test]
fn an_answer_counts_once_in_one_browser_for_one_request() {
    let (_, filter_state, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let good = answer(&login.id).write();
    let copied = browser.cookies.clone();

    let mut other = Browser::new(&filter_state, HOST);
    let page = post(&mut other, &good, &login.relay_state);
    assert_eq!(
        bounced(&mut other, &page).code(),
        "state_unknown",
        "another browser has no login in progress"
    );
    let own = begin(&mut other);
    assert_eq!(
        post(&mut other, &good, &own.relay_state).code(),
        "assertion_invalid",
        "it answers another request"
    );
    assert_eq!(user(&mut other), None);

    let page = post(&mut browser, &good, "another-relay-state");
    assert_eq!(bounced(&mut browser, &page).code(), "state_unknown");
    assert_eq!(post(&mut browser, &good, &login.relay_state).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));

    let mut thief = Browser::new(&filter_state, HOST);
    thief.cookies = copied;
    assert_eq!(
        post(&mut thief, &good, &login.relay_state).code(),
        "state_unknown",
        "used, though the cookie was copied"
    );
}

#[test]
fn an_answer_without_in_response_to_is_no_answer_to_ours() {
    let (_, _, mut browser) = filter(json!({ "idp_initiated": "accept" }));
    let login = begin(&mut browser);
    let seen = post(&mut browser, &Answer::unsolicited(Style::Both).write(), &login.relay_state);
    assert_eq!(seen.code(), "assertion_invalid");
    assert_eq!(user(&mut browser), None);
}

#[test]
fn a_browser_that_drops_the_cookie_of_a_cross_site_post_bounces() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let cookies = std::mem::take(&mut browser.cookies);
    let page = post(&mut browser, &answer(&login.id).write(), &login.relay_state);
    // Under no-referrer a form's `Origin` is null, and the POST could not be told from a foreign one.
    assert_eq!(page.answer.as_ref().unwrap().header("referrer-policy"), Some("strict-origin"));
    browser.cookies = cookies;
    let seen = bounced(&mut browser, &page);
    assert_eq!((seen.status(), seen.location()), (302, "/reports?q=1"));
}

#[test]
fn a_browser_that_knows_no_same_site_none_has_the_twin() {
    let (_, _, mut browser) = filter(json!({}));
    let seen = browser.get("/reports?q=1", &mut nobody);
    let answer_headers = seen.answer.as_ref().unwrap().headers.clone();
    let kinds: Vec<bool> = answer_headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.contains("SameSite=None"))
        .collect();
    assert_eq!(kinds, [true, false]);
    let login = begun(&seen);
    browser.cookies.retain(|(name, _)| name.ends_with("-lax"));
    let lax = std::mem::take(&mut browser.cookies);
    assert_eq!(lax.len(), 1);
    let page = post(&mut browser, &answer(&login.id).write(), &login.relay_state);
    browser.cookies = lax;
    let seen = bounced(&mut browser, &page);
    assert_eq!((seen.status(), seen.location()), (302, "/reports?q=1"));
    assert!(
        !browser.cookies.iter().any(|(name, _)| name.contains("-flow-")),
        "used up: {:?}",
        browser.cookies
    );
}

#[test]
fn the_forms_fields_count_once() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let good = encode_post(&answer(&login.id).write());
    let state = login.relay_state.as_str();
    for form in [
        vec![("RelayState", state)],
        vec![("SAMLResponse", good.as_str()), ("SAMLResponse", &good), ("RelayState", state)],
        vec![("SAMLResponse", good.as_str()), ("RelayState", state), ("RelayState", state)],
    ] {
        assert_eq!(browser.post(ACS, &form, &mut nobody).code(), "callback_invalid");
    }
    for message in ["", "%%%", "aGVsbG8="] {
        let seen = browser.post(ACS, &[("SAMLResponse", message), ("RelayState", state)], &mut nobody);
        assert_eq!(seen.code(), "assertion_invalid");
    }
    let seen = browser.post(ACS, &[("SAMLResponse", &good), ("RelayState", state)], &mut nobody);
    assert_eq!(seen.status(), 302);
    let seen = browser.get(ACS, &mut nobody);
    assert_eq!((seen.status(), seen.answer.unwrap().header("allow")), (405, Some("POST")));
}

#[test]
fn another_accounts_answer_is_refused() {
    let (_, filter_state, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let good = encode_post(&answer(&login.id).write());
    let form = [("SAMLResponse", good.as_str()), ("RelayState", login.relay_state.as_str())];
    let mut other = Browser::new(&filter_state, "other.example.com");
    other.cookies = browser.cookies.clone();
    let seen = other.post("/sso/saml/consume?u=other", &form, &mut nobody);
    assert_eq!(seen.code(), "state_unknown");
    assert_eq!(browser.post("/sso/saml/consume?u=other", &form, &mut nobody).code(), "account_unknown");
    assert_eq!(browser.post(ACS, &form, &mut nobody).status(), 302);
}

#[test]
fn step_up_asks_for_the_context_and_does_not_ask_for_ever() {
    let mut configuration = configuration(json!({}));
    configuration["accounts"][0]["access"] = json!([{ "prefix": "/admin/", "allow": "users", "acr_values": ["urn:oasis:names:tc:SAML:2.0:ac:classes:X509"] }]);
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration);
    let mut browser = Browser::new(&filter_state, HOST);
    let login = begin(&mut browser);
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).status(), 302);
    let seen = browser.get("/admin/", &mut nobody);
    let (_, query) = seen.location().split_once("tenant=1&").unwrap();
    assert!(Redirected::parse(query).unwrap().message.contains("classes:X509</saml:AuthnContextClassRef>"));
    let login = begun(&seen);
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).code(), "idp_denied");
    let login = begun(&browser.get("/admin/", &mut nobody));
    let mut strong = answer(&login.id);
    strong.authn = strong.authn.replace("classes:Password", "classes:X509");
    assert_eq!(post(&mut browser, &strong.write(), &login.relay_state).location(), "/admin/");
    assert!(browser.get("/admin/", &mut nobody).pass.is_some());
}

#[test]
fn a_name_that_does_not_last_links_no_account_but_names_the_session() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let mut transient = answer(&login.id);
    transient.name_id =
        "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:transient\">_x1</saml:NameID>"
            .into();
    assert_eq!(post(&mut browser, &transient.write(), &login.relay_state).status(), 302);
    let live = browser.get("/", &mut nobody).pass.unwrap().live.unwrap();
    let origin = &live.session.origin;
    assert_eq!(
        (origin.subject.as_str(), origin.name_id.as_ref().unwrap().value.as_str()),
        ("ada@acme.com", "_x1")
    );
}

/// What is left out of an attribute must not decide who somebody is, or what they may.
#[test]
fn xml_in_an_attribute_that_counts_is_refused() {
    let targeted = "<saml:AttributeValue><saml:NameID>x7Kq</saml:NameID></saml:AttributeValue>";
    for (claim, roles, code) in [
        ("email", Value::Null, "redirect"),
        ("/email/0", Value::Null, "redirect"),
        ("NameID", Value::Null, "redirect"),
        ("email", json!("groups"), "redirect"),
        ("email", json!("targeted"), "assertion_invalid"),
        ("email", json!("urn:oid:1"), "assertion_invalid"),
        ("email", json!("/targeted/0"), "assertion_invalid"),
        ("urn:oid:1", Value::Null, "assertion_invalid"),
        ("targeted", Value::Null, "assertion_invalid"),
    ] {
        let mut configuration = configuration(json!({}));
        configuration["accounts"][0]["mapping"] = json!({ "claim": claim });
        if !roles.is_null() {
            configuration["accounts"][0]["mapping"]["roles_claim"] = roles.clone();
        }
        let host = TestHost::new();
        let mut browser = Browser::new(&filter_state(&host, &configuration), HOST);
        let login = begin(&mut browser);
        let mut answer = answer(&login.id);
        // Beside a value that would do.
        answer.attributes.push_str(&format!(
            "<saml:AttributeStatement><saml:Attribute Name=\"urn:oid:1\" FriendlyName=\"targeted\">{targeted}\
             <saml:AttributeValue>ada@acme.com</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"
        ));
        let seen = post(&mut browser, &answer.write(), &login.relay_state);
        assert_eq!(seen.code(), code, "{claim} {roles}: {}", seen.text());
    }
}

#[test]
fn the_identity_providers_session_bounds_ours() {
    let (host, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let mut short = answer(&login.id);
    let until = crate::proto::saml::time::instant(crate::testing::START + 120_000);
    short.authn = short
        .authn
        .replace("<saml:AuthnStatement ", &format!("<saml:AuthnStatement SessionNotOnOrAfter=\"{until}\" "));
    assert_eq!(post(&mut browser, &short.write(), &login.relay_state).status(), 302);
    host.advance(119_999);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    host.advance(1);
    assert_eq!(user(&mut browser), None);
}

/// What an IdP publishes, with these certificates.
pub(crate) fn metadata(certificates: &[&str]) -> String {
    let keys: String = certificates
        .iter()
        .map(|pem| {
            let body: String = pem.lines().filter(|line| !line.contains("-----")).collect();
            format!("<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>")
        })
        .collect();
    format!("<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{IDP}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}<md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{IDP}/sso?tenant=1\"/></md:IDPSSODescriptor></md:EntityDescriptor>")
}

#[test]
fn metadata_says_where_to_go_and_brings_a_new_key_once_a_minute() {
    let by_url = json!({ "metadata_url": format!("{IDP}/metadata"), "sso_url": null, "issuer": null, "certificates": null });
    let (host, _, mut browser) = filter(by_url);
    let published = std::cell::RefCell::new(Some(metadata(&[keys::STRANGER])));
    let mut serve = |call: &Call| {
        assert_eq!(header(call, ":path"), Some("/metadata"));
        match &*published.borrow() {
            // Keycloak serves it as application/xml and nothing else.
            Some(_) if !header(call, "accept").unwrap_or_default().contains("*/*") => {
                status(406, "application/json", "")
            }
            Some(text) => status(200, "application/xml;charset=UTF-8", text.as_str()),
            None => status(503, "text/plain", ""),
        }
    };
    let seen = browser.get("/reports?q=1", &mut serve);
    assert_eq!(seen.calls.len(), 1);
    let login = begun(&seen);
    *published.borrow_mut() = None;
    let send = |browser: &mut Browser, login: &Begun, serve: &mut dyn FnMut(&Call) -> Reply| {
        let encoded = encode_post(&answer(&login.id).write());
        browser.post(ACS, &[("SAMLResponse", &encoded), ("RelayState", &login.relay_state)], serve)
    };
    let seen = send(&mut browser, &login, &mut serve);
    assert_eq!(
        (seen.code(), seen.calls.len()),
        ("assertion_invalid", 1),
        "the key is unknown, and newer metadata is not to be had"
    );
    *published.borrow_mut() = Some(metadata(&[keys::STRANGER, keys::IDP]));
    let login = begin(&mut browser);
    assert_eq!(send(&mut browser, &login, &mut serve).calls.len(), 0, "not twice in one minute");
    host.advance(60_000);
    browser.cookies.clear();
    let login = begin(&mut browser);
    let mut late = answer(&login.id);
    let seen = {
        late.confirmation = late
            .confirmation
            .replace(&crate::proto::saml::tests::idp::at(300), &crate::proto::saml::tests::idp::at(360));
        late.conditions = late
            .conditions
            .replace(&crate::proto::saml::tests::idp::at(300), &crate::proto::saml::tests::idp::at(360));
        let encoded = encode_post(&late.write());
        browser.post(ACS, &[("SAMLResponse", &encoded), ("RelayState", &login.relay_state)], &mut serve)
    };
    assert_eq!((seen.calls.len(), seen.location()), (1, "/reports?q=1"), "{}", seen.text());
}

#[test]
fn our_metadata_is_what_an_idp_reads() {
    let key = json!({ "private_key": { "value": keys::SP_KEY }, "certificate": keys::SP });
    let (_, _, mut browser) =
        filter(json!({ "signing": key, "decryption": { "private_key": { "value": keys::SP_KEY } } }));
    let seen = browser.get("/sso/saml/metadata?u=acme", &mut nobody);
    assert_eq!(seen.answer.as_ref().unwrap().header("content-type"), Some("application/samlmetadata+xml"));
    let text = seen.text();
    for part in [
        "entityID=\"https://app.example.com/sso/saml/metadata?u=acme\"",
        "Location=\"https://app.example.com/sso/saml/consume?u=acme\"",
        "use=\"signing\"",
        "use=\"encryption\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("SingleLogoutService"), "no slo_url is configured");
    assert_eq!(browser.get("/sso/saml/metadata?u=acme&idp=none", &mut nobody).code(), "request_invalid");
}

#[test]
fn the_administrators_check_says_what_to_look_at() {
    let mut configuration = configuration(json!({}));
    configuration["accounts"][0]["directory"]["static"]["users"][0]["roles"] = json!(["boss"]);
    configuration["accounts"][0]["password"] = json!({ "mode": "disabled", "admin_roles": ["boss"] });
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration);
    let mut browser = Browser::new(&filter_state, HOST);
    let login = begin(&mut browser);
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).status(), 302);
    let check = |browser: &mut Browser| {
        let seen = browser.get("/sso/admin/check", &mut |_| status(200, "text/html", ""));
        let report = seen.json();
        assert_eq!(report["ok"], true, "{report}");
        let checks = report["checks"].as_array().unwrap().clone();
        let detail = |name: &str| {
            let found = checks.iter().find(|check| check["name"] == format!("partners: {name}"));
            found.map(|check| check["detail"].as_str().unwrap().to_owned()).unwrap_or_default()
        };
        (detail("last sign-in"), detail("certificate"), detail("sign-in URL"))
    };
    let (last, certificate, reached) = check(&mut browser);
    assert!(last.starts_with("worked at"), "{last}");
    assert!(certificate.contains("idp.example.com") && certificate.contains(" until "), "{certificate}");
    assert!(reached.contains("answers"), "{reached}");

    let mut other = Browser::new(&filter_state, HOST);
    let login = begin(&mut other);
    let mut elsewhere = answer(&login.id);
    elsewhere.response = elsewhere.response.replace("https://app.example.com", "https://old.example.com");
    let seen = post(&mut other, &elsewhere.write(), &login.relay_state);
    assert_eq!(seen.code(), "assertion_invalid");
    assert!(!seen.text().contains("old.example.com"), "general words on the person's page");
    let (last, ..) = check(&mut browser);
    assert!(last.contains("warning: refused at") && last.contains("old.example.com"), "{last}");
}
