//! Whole requests of an invited person, against a static directory and a plain OAuth 2.0 provider.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{json, Value};

use crate::config::{load, Placeholders};
use crate::directory::tests::provisioning::server;
use crate::host::task::{Call, Reply};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{header, json as answer, TestHost};

fn configuration() -> Value {
    let account = |code: &str| {
        json!({
            "code": code, "origins": [format!("https://{code}.example")], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oauth2": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "userinfo_endpoint": "https://idp.example/userinfo",
                "client_id": "app", "client_secret": { "value": "s" }
            } }],
            "mapping": { "from": "userinfo", "roles_claim": "groups", "role_map": { "staff": "member" } },
            "directory": { "static": { "users": [{ "username": "bob", "email": "bob@acme.com" }] } },
            "provisioning": { "mode": "invited", "invitations": [{ "email": "Ina@acme.com", "roles": ["editor"] }] },
            "forward": { "headers": { "x-department": "department" } }
        })
    };
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
        "accounts": [account("acme"), account("other")]
    })
}

fn person() -> Value {
    let crowd: Vec<String> = (0..500).map(|i| format!("a group that grants nothing {i}")).collect();
    let groups: Vec<&str> = crowd.iter().map(String::as_str).chain(["staff"]).collect();
    json!({
        "sub": "s-1", "email": "ina@acme.com", "email_verified": true, "name": "Ina", "department": "Lakes",
        "groups": groups, "address": "x".repeat(5000),
    })
}

fn idp(person: &Value) -> impl FnMut(&Call) -> Reply + '_ {
    move |call| match header(call, ":path") {
        Some("/token") => answer(&json!({ "access_token": "at-1", "token_type": "Bearer" })),
        Some("/userinfo") => answer(person),
        other => panic!("nobody asks for {other:?}"),
    }
}

type Form = Vec<(String, String)>;

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// A login that went to the provider and back.
fn log_in(filter_state: &Rc<FilterState>, code: &str, person: &Value) -> (Browser, Seen) {
    let mut browser = Browser::new(filter_state, &format!("{code}.example"));
    let start = browser.get("/reports?q=1", &mut nobody);
    let url = url::Url::parse(start.location()).expect("to the provider");
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let back = browser.get(&format!("/sso/oidc/consume?u={code}&code=c&state={state}"), &mut idp(person));
    (browser, back)
}

fn invited(filter_state: &Rc<FilterState>) -> (Browser, String) {
    let (browser, page) = log_in(filter_state, "acme", &person());
    assert_eq!((page.status(), page.code()), (200, "invitation"), "{}", page.text());
    assert!(page.text().contains("ina@acme.com") && page.text().contains("editor"));
    let csrf = page.field("csrf");
    assert!(!csrf.is_empty());
    (browser, csrf)
}

fn has_session(browser: &mut Browser) -> bool {
    browser.get("/reports", &mut nobody).pass.is_some()
}

#[test]
fn who_accepts_is_in_with_the_roles_of_the_invitation_and_of_the_groups() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (mut browser, csrf) = invited(&filter_state);
    assert!(!has_session(&mut browser), "not before the answer");
    let seen = browser.post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut nobody);
    assert_eq!((seen.status(), seen.location()), (302, "/reports?q=1"), "{}", seen.text());
    let passed = browser.get("/reports", &mut nobody).pass.expect("she is in");
    let live = passed.live.expect("with a session");
    assert_eq!(live.told("x-sso-user").as_deref(), Some("ina@acme.com"));
    assert_eq!(live.told("x-sso-name").as_deref(), Some("Ina"));
    assert_eq!(live.told("x-sso-roles").as_deref(), Some("editor,member"));
    assert_eq!(live.told("x-department").as_deref(), Some("Lakes"));
    assert!(browser.cookies.iter().all(|(name, _)| !name.contains("invitation")), "its cookie is gone");
}

#[test]
fn who_declines_is_nobody() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (mut browser, csrf) = invited(&filter_state);
    let seen = browser.post("/sso/invitation", &[("csrf", &csrf), ("decision", "decline")], &mut nobody);
    assert_eq!((seen.status(), seen.location()), (302, "/sso/logout-complete"));
    assert!(!has_session(&mut browser));
    let again = browser.post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut nobody);
    assert_eq!(again.code(), "state_unknown", "and cannot change their mind without signing in again");
}

#[test]
fn the_page_comes_again_after_a_reload_and_beside_another_login() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (mut browser, csrf) = invited(&filter_state);
    assert_eq!(browser.get("/sso/login?idp=corp", &mut nobody).status(), 302);
    let page = browser.get("/sso/invitation", &mut nobody);
    assert_eq!((page.code(), page.field("csrf")), ("invitation", csrf));
    assert_eq!(
        Browser::new(&filter_state, "acme.example").get("/sso/invitation", &mut nobody).code(),
        "state_unknown"
    );
}

#[test]
fn an_answer_that_is_not_the_persons_own_is_refused() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let accept = |change: &dyn Fn(&mut Browser, &mut Form)| {
        let (mut browser, csrf) = invited(&filter_state);
        let mut form = vec![("csrf".to_owned(), csrf), ("decision".to_owned(), "accept".to_owned())];
        change(&mut browser, &mut form);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = browser.post("/sso/invitation", &form, &mut nobody);
        (seen.status(), seen.code().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(accept(&|_, _| ()), refused(302, "redirect"));
    assert_eq!(
        accept(&|_, form| {
            form.remove(0);
        }),
        refused(403, "request_invalid")
    );
    assert_eq!(accept(&|_, form| form[0].1.push('x')), refused(403, "request_invalid"));
    assert_eq!(accept(&|_, form| form.push(form[0].clone())), refused(403, "request_invalid"));
    assert_eq!(
        accept(&|_, form| {
            form.pop();
        }),
        refused(400, "request_invalid")
    );
    assert_eq!(accept(&|_, form| form[1].1 = "yes".into()), refused(400, "request_invalid"));
    let from = |name: &'static str, value: &'static str| {
        accept(&move |browser: &mut Browser, _: &mut Form| browser.headers.push((name.into(), value.into())))
    };
    assert_eq!(from("sec-fetch-site", "same-origin"), refused(302, "redirect"));
    assert_eq!(from("sec-fetch-site", "cross-site"), refused(403, "request_invalid"));
    assert_eq!(from("origin", "https://acme.example"), refused(302, "redirect"));
    assert_eq!(from("origin", "https://evil.example"), refused(403, "request_invalid"));
    assert_eq!(from("content-type", "text/plain"), refused(415, "content_type_unsupported"));
    assert_eq!(accept(&|browser, _| browser.cookies.clear()), refused(400, "state_unknown"));
    let later = |milliseconds: u64| accept(&|_, _| host.advance(milliseconds));
    assert_eq!(later(599_000), refused(302, "redirect"));
    assert_eq!(later(600_000), refused(400, "state_unknown"));
}

#[test]
fn one_accounts_invitation_is_none_of_anothers() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (browser, csrf) = invited(&filter_state);
    let mut elsewhere = Browser::new(&filter_state, "other.example");
    elsewhere.cookies = browser.cookies.clone();
    let seen = elsewhere.post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut nobody);
    assert_eq!(seen.code(), "state_unknown");
}

#[test]
fn an_invitation_that_was_withdrawn_lets_nobody_in() {
    let host = TestHost::new();
    let (mut browser, csrf) = invited(&filter_state(&host, &configuration()));
    let mut changed = configuration();
    changed["accounts"][0]["provisioning"]["invitations"] = json!([]);
    let mut after = Browser::new(&filter_state(&host, &changed), "acme.example");
    after.cookies = browser.cookies.clone();
    let form = [("csrf", csrf.as_str()), ("decision", "accept")];
    assert_eq!(after.post("/sso/invitation", &form, &mut nobody).code(), "identity_unknown");
    assert_eq!(
        browser.post("/sso/invitation", &form, &mut nobody).code(),
        "redirect",
        "where it stands it counts"
    );
}

#[test]
fn only_who_is_invited_is_asked() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut somebody = person();
    for (email, verified, code) in [
        ("bob@acme.com", true, "redirect"),
        ("eve@acme.com", true, "identity_unknown"),
        ("ina@acme.com", false, "email_unverified"),
        ("INA@acme.com", true, "invitation"),
    ] {
        somebody["email"] = json!(email);
        somebody["email_verified"] = json!(verified);
        assert_eq!(log_in(&filter_state, "acme", &somebody).1.code(), code, "{email} {verified}");
    }
}

#[test]
fn a_session_cookie_is_no_invitation_and_an_invitation_no_session() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (mut browser, csrf) = invited(&filter_state);
    let (base, sealed) = (
        filter_state.config.cookies.name.clone(),
        browser.cookies.iter().find(|(name, _)| name.ends_with("-flow-invitation")),
    );
    let sealed = sealed.expect("a cookie").1.clone();
    assert!(sealed.len() <= crate::session::CHUNK);
    let mut thief = Browser::new(&filter_state, "acme.example");
    thief.cookies = vec![(base.clone(), sealed)];
    assert!(!has_session(&mut thief));
    browser.post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut nobody);
    let session = browser.cookies.iter().find(|(name, _)| *name == base).expect("a session").1.clone();
    thief.cookies = vec![(format!("{base}-flow-invitation"), session)];
    assert_eq!(thief.get("/sso/invitation", &mut nobody).code(), "state_unknown");
}

#[test]
fn an_invitation_is_used_up_by_the_sign_in_that_took_it_up() {
    let mut config = configuration();
    config["accounts"][0]["directory"] =
        json!({ "scim": { "url": "http://directory.internal/scim/v2", "cache": "0s" } });
    let host = TestHost::new();
    let filter_state_of = |config: &Value, worker: &Rc<TestHost>| filter_state(worker, config);
    let users = Rc::new(RefCell::new(Vec::new()));
    let ina = person();
    let log_in = |filter_state: &Rc<FilterState>| {
        let (mut provider, mut directory) = (idp(&ina), server(users.clone(), true));
        let mut browser = Browser::new(filter_state, "acme.example");
        let start = browser.get("/reports", &mut nobody);
        let url = url::Url::parse(start.location()).expect("to the provider");
        let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        let target = format!("/sso/oidc/consume?u=acme&code=c&state={state}");
        let seen = browser.get(&target, &mut |call| match header(call, ":authority") {
            Some("directory.internal") => directory(call),
            _ => provider(call),
        });
        (browser, seen)
    };
    let accept = |browser: &mut Browser, page: &Seen| {
        let csrf = page.field("csrf");
        let form = [("csrf", csrf.as_str()), ("decision", "accept")];
        browser.post("/sso/invitation", &form, &mut server(users.clone(), true)).code().to_owned()
    };
    let first = filter_state_of(&config, &host);
    // Two browsers at once, on two workers: one user.
    let (mut browser, page) = log_in(&first);
    let (mut other, same_page) = log_in(&filter_state_of(&config, &host.worker()));
    assert_eq!([page.code(), same_page.code()], ["invitation"; 2]);
    assert_eq!(accept(&mut browser, &page), "redirect");
    accept(&mut other, &same_page);
    assert_eq!(users.borrow().len(), 1);
    assert_eq!(log_in(&first).1.code(), "redirect", "she is in the directory now");
    // Deleted there: the invitation does not bring her back, on no worker.
    users.borrow_mut().clear();
    for worker in [host.clone(), host.worker()] {
        assert_eq!(log_in(&filter_state_of(&config, &worker)).1.code(), "identity_unknown");
    }
    assert!(users.borrow().is_empty());
    // Invited anew with other roles, she is asked again.
    config["accounts"][0]["provisioning"]["invitations"][0]["roles"] = json!(["reader"]);
    assert_eq!(log_in(&filter_state_of(&config, &host)).1.code(), "invitation");
}

#[test]
fn a_second_invitation_of_one_address_is_told_at_load() {
    let invited = |second: &str| {
        let mut config = configuration();
        let list =
            json!([{ "email": "Ina@acme.com", "roles": ["editor"] }, { "email": second, "roles": ["boss"] }]);
        config["accounts"][0]["provisioning"]["invitations"] = list;
        let warnings = load(config.to_string().as_bytes(), &Placeholders).unwrap().warnings;
        warnings
            .iter()
            .any(|warning| warning.to_string().contains("invitations[1].email: is invited already"))
    };
    for (second, told) in [("ina@acme.com", true), ("INA@ACME.COM", true), ("bob@acme.com", false)] {
        assert_eq!(invited(second), told, "{second}");
    }
}
