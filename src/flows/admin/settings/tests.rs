use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Reply, Via};
use crate::host::Host;
use crate::replicas::Replicas;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::engine::Engine;
use crate::testing::{json as answer, TestHost};

/// An account with an OAuth 2.0 provider, whose identity is whatever UserInfo says.
fn configuration(change: impl FnOnce(&mut Value)) -> Value {
    let provider = |id: &str| {
        json!({ "id": id, "title": id, "oauth2": {
            "authorization_endpoint": format!("https://{id}.idp.example/authorize"),
            "token_endpoint": format!("https://{id}.idp.example/token"),
            "userinfo_endpoint": format!("https://{id}.idp.example/user"),
            "client_id": "app", "client_secret": { "value": "file secret" } } })
    };
    let mut configuration = json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "*": "out" },
        "shared": { "engine": "etcd", "cluster": "etcd" },
        "accounts": [{
            "origins": ["https://app.example"], "sso": "enabled", "identity_providers": [provider("corp")],
            "mapping": { "from": "userinfo", "claim": "email", "attribute": "email" },
            "directory": { "static": { "users": [
                { "username": "ada", "email": "ada@acme.com", "roles": ["account_admin"] },
                { "username": "bob", "email": "bob@acme.com", "roles": ["member"] },
            ] } },
            "password": { "mode": "admins", "admin_roles": ["account_admin"] },
            "self_service": { "settings": ["sso", "identity_providers", "mapping", "password", "invitations"],
                "hosts": ["*.idp.example"], "roles": ["member"] },
        }],
    });
    change(&mut configuration);
    configuration
}

struct World {
    host: Rc<TestHost>,
    state: Rc<FilterState>,
    engine: Rc<RefCell<Engine>>,
    /// Whom the provider signs in.
    email: RefCell<String>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let host = TestHost::new();
        let state = filter_state(&host, &configuration(change));
        let world = Self { host, state, engine: Rc::default(), email: RefCell::new("ada@acme.com".into()) };
        world.read_everything();
        let state = Rc::new(world.state.resettled().expect("nothing was set"));
        Self { state, ..world }
    }

    fn replicas(&self) -> &Rc<Replicas> {
        self.state.replicas.as_ref().unwrap()
    }

    /// The engine was read, and `settle` is over.
    fn read_everything(&self) {
        let now = self.host.now();
        let mut status = self.replicas().status(&*self.host);
        (status.proof, status.first_read) = (now, now - 60_000);
        status.write(&*self.host, self.replicas().tag());
    }

    fn respond(&self, call: &Call) -> Reply {
        if let Via::Grpc { .. } = call.via {
            return self.engine.borrow_mut().answer(call);
        }
        match call.what {
            "token" => answer(&json!({ "access_token": "at", "token_type": "Bearer" })),
            _ => answer(&json!({ "sub": "1", "id": 1, "email": *self.email.borrow() })),
        }
    }

    /// What every worker does within a moment.
    fn settled(&mut self) {
        if let Some(next) = self.state.resettled() {
            self.state = Rc::new(next);
        }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.state, "app.example")
    }

    fn signed_in(&self, name: &str) -> Browser {
        *self.email.borrow_mut() = format!("{name}@acme.com");
        let mut browser = self.browser();
        let start = self.get(&mut browser, "/sso/login?idp=corp&return_to=/x");
        let done = self.follow(&mut browser, &start);
        assert_eq!(done.location(), "/x", "{}", done.text());
        browser
    }

    /// From the authorization request back to the callback.
    fn follow(&self, browser: &mut Browser, start: &Seen) -> Seen {
        let url = url::Url::parse(start.location()).expect("a redirect to the provider");
        let state = url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
        let target = format!("/sso/oidc/consume?u=default&code=c&state={}", state.unwrap());
        self.get(browser, &target)
    }

    fn get(&self, browser: &mut Browser, target: &str) -> Seen {
        browser.get(target, &mut |call| self.respond(call))
    }

    fn call(&self, browser: &Browser, method: &str, path: &str, body: Value) -> Seen {
        self.call_with(browser, method, path, body, &[])
    }

    fn call_with(
        &self,
        browser: &Browser,
        method: &str,
        path: &str,
        body: Value,
        more: &[(&str, &str)],
    ) -> Seen {
        let mut browser = browser.at(&self.state).with("accept", "application/json");
        for (name, value) in more {
            browser = browser.with(name, value);
        }
        if !body.is_null() {
            browser = browser.with("content-type", "application/json");
        }
        let bytes = (!body.is_null()).then(|| body.to_string().into_bytes());
        browser.send(method, &format!("/sso/admin/{path}"), bytes, &mut |call| self.respond(call))
    }

    fn document(&self, browser: &Browser) -> Value {
        let seen = self.call(browser, "GET", "settings", Value::Null);
        assert_eq!(seen.status(), 200, "{}", seen.text());
        seen.json()
    }

    /// A test sign-in as the person whom the provider says.
    fn tested(&self, browser: &Browser, name: &str, idp: &str) -> Value {
        *self.email.borrow_mut() = format!("{name}@acme.com");
        let mut browser = browser.at(&self.state).with("accept", "application/json");
        let start = self.get(&mut browser, &format!("/sso/admin/settings/test?idp={idp}"));
        let done = self.follow(&mut browser, &start);
        assert_eq!(done.status(), 200, "{}", done.text());
        done.json()
    }
}

fn corp(change: impl FnOnce(&mut Value)) -> Value {
    let mut providers = configuration(|_| ())["accounts"][0]["identity_providers"].clone();
    providers[0]["oauth2"]["client_secret"] = json!({ "set": true });
    change(&mut providers[0]);
    json!({ "identity_providers": providers })
}

#[test]
fn a_draft_changes_nothing_until_it_is_tested_and_enabled() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let before = world.document(&ada);
    assert_eq!((&before["active"]["version"], &before["active"]["by"]), (&json!(0), &json!(null)));
    assert_eq!(before["active"]["settings"]["password"], json!({ "mode": "admins" }));
    assert_eq!(before["draft"], Value::Null);
    // Saved, and nothing holds yet.
    let mut body = corp(|provider| provider["title"] = json!("Acme"));
    body["password"] = json!({ "mode": "disabled" });
    let saved = world.call(&ada, "PUT", "settings/draft", body);
    assert_eq!(saved.status(), 200, "{}", saved.text());
    world.settled();
    let document = world.document(&ada);
    assert_eq!(document["draft"]["by"], "ada");
    assert_eq!(document["draft"]["tested"], json!([]));
    assert_eq!(document["active"], before["active"]);
    // Nobody has signed in with it.
    let refused = world.call(&ada, "POST", "settings/enable", json!({}));
    assert_eq!((refused.status(), refused.code()), (409, "settings_untested"));
    // Another user's sign-in is shown, and is no proof.
    let report = world.tested(&ada, "bob", "corp");
    assert_eq!(
        (&report["ok"], &report["user"], &report["mapped"]),
        (&json!(true), &json!("bob"), &json!("bob@acme.com"))
    );
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({})).status(), 409);
    // Neither is a failed one.
    let report = world.tested(&ada, "nobody", "corp");
    assert_eq!((&report["ok"], &report["code"]), (&json!(false), &json!("identity_unknown")));
    // The administrator's own is.
    assert_eq!(world.tested(&ada, "ada", "corp")["user"], "ada");
    assert_eq!(world.document(&ada)["draft"]["tested"], json!(["corp"]));
    let enabled = world.call(&ada, "POST", "settings/enable", json!({}));
    assert_eq!(enabled.status(), 200, "{}", enabled.text());
    let document = enabled.json();
    assert_eq!((&document["active"]["version"], &document["active"]["by"]), (&json!(1), &json!("ada")));
    assert_eq!(document["history"][0]["changes"], json!(["identity_providers[0].title", "password.mode"]));
    assert_eq!(document["draft"], Value::Null);
    // It holds with the next request, and the session goes on.
    world.settled();
    assert_eq!(world.state.account_states[0].account.password.mode, crate::config::PasswordMode::Disabled);
    let page = ada.at(&world.state).get("/x", &mut |call| world.respond(call));
    assert!(page.pass.is_some_and(|pass| pass.live.is_some()));
    // Back in one step: passwords become more open.
    let back = world.call(&ada, "POST", "settings/rollback", json!({ "version": 0 }));
    assert_eq!(back.status(), 200, "{}", back.text());
    assert_eq!(back.json()["active"]["version"], 2);
    world.settled();
    assert_eq!(world.state.account_states[0].account.password.mode, crate::config::PasswordMode::Admins);
}

#[test]
fn what_nobody_has_tested_is_enabled_only_by_saying_it_twice() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    assert_eq!(
        world.call(&ada, "PUT", "settings/draft", json!({ "password": { "mode": "disabled" } })).status(),
        200
    );
    assert_eq!(
        world.call(&ada, "POST", "settings/enable", json!({ "confirm": false })).code(),
        "settings_untested"
    );
    assert_eq!(
        world.call(&ada, "POST", "settings/enable", json!({ "confirm": "yes" })).code(),
        "settings_invalid"
    );
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({ "confirm": true })).status(), 200);
    // Without single sign-on the application is as it was: nothing to test.
    assert_eq!(world.call(&ada, "PUT", "settings/draft", json!({ "sso": "disabled" })).status(), 200);
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({})).status(), 200);
    world.settled();
    assert!(!world.state.account_states[0].account.enabled);
    // And the way back to it is open.
    assert_eq!(world.document(&ada)["active"]["settings"]["sso"], "disabled");
    let rolled = world.call(&ada, "POST", "settings/rollback", json!({ "version": 1 }));
    assert_eq!(rolled.code(), "settings_untested");
    assert_eq!(
        world.call(&ada, "POST", "settings/rollback", json!({ "version": 7 })).code(),
        "settings_invalid"
    );
    assert_eq!(
        world.call(&ada, "POST", "settings/rollback", json!({ "version": 1, "confirm": true })).status(),
        200
    );
}

#[test]
fn a_test_belongs_to_this_very_draft() {
    let world = World::new();
    let ada = world.signed_in("ada");
    world.call(&ada, "PUT", "settings/draft", corp(|_| ()));
    world.tested(&ada, "ada", "corp");
    world.call(&ada, "PUT", "settings/draft", corp(|provider| provider["title"] = json!("other")));
    assert_eq!(world.document(&ada)["draft"]["tested"], json!([]));
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({})).code(), "settings_untested");
    // A sign-in that was under way for the draft before is told so.
    let mut browser = ada.at(&world.state).with("accept", "application/json");
    let start = world.get(&mut browser, "/sso/admin/settings/test");
    world.call(&ada, "PUT", "settings/draft", corp(|provider| provider["title"] = json!("third")));
    let done = world.follow(&mut browser, &start);
    assert_eq!(done.json()["ok"], false, "{}", done.text());
    assert_eq!(world.document(&ada)["draft"]["tested"], json!([]));
}

#[test]
fn a_test_sign_in_opens_no_session() {
    let world = World::new();
    let ada = world.signed_in("ada");
    world.call(&ada, "PUT", "settings/draft", corp(|_| ()));
    let mut browser = ada.at(&world.state).with("accept", "application/json");
    let start = world.get(&mut browser, "/sso/admin/settings/test?idp=corp");
    let session = |browser: &Browser| {
        browser.cookies.iter().filter(|(name, _)| !name.contains("flow")).cloned().collect::<Vec<_>>()
    };
    let before = session(&browser);
    *world.email.borrow_mut() = "bob@acme.com".into();
    let done = world.follow(&mut browser, &start);
    assert_eq!(done.json()["user"], "bob");
    assert_eq!(session(&browser), before, "still ada's");
    // For people there is a page.
    let mut browser = ada.at(&world.state);
    let start = world.get(&mut browser, "/sso/admin/settings/test");
    let page = world.follow(&mut browser, &start);
    assert!(
        page.text().contains("bob@acme.com") && page.text().starts_with("<!doctype html>"),
        "{}",
        page.text()
    );
}

#[test]
fn only_this_accounts_administrators() {
    let world = World::new();
    let ada = world.signed_in("ada");
    let bob = world.signed_in("bob");
    let nobody = world.browser();
    let requests = [
        ("GET", "settings", Value::Null),
        ("PUT", "settings/draft", json!({ "sso": "disabled" })),
        ("DELETE", "settings/draft", Value::Null),
        ("POST", "settings/enable", json!({ "confirm": true })),
        ("POST", "settings/rollback", json!({ "version": 0, "confirm": true })),
        ("GET", "settings/test", Value::Null),
        ("POST", "invitations", json!({ "email": "x@acme.com", "roles": [] })),
        ("DELETE", "invitations/x", Value::Null),
    ];
    let before = world.engine.borrow().revision;
    for (method, path, body) in requests {
        let seen = world.call(&nobody, method, path, body.clone());
        assert_eq!((seen.status(), seen.code()), (401, "login_required"), "{method} {path}");
        let seen = world.call(&bob, method, path, body.clone());
        assert_eq!((seen.status(), seen.code()), (403, "role_missing"), "{method} {path}");
        if method != "GET" {
            for header in [
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            ] {
                let seen = world.call_with(&ada, method, path, body.clone(), &[header]);
                assert_eq!(
                    (seen.status(), seen.code()),
                    (403, "request_invalid"),
                    "{method} {path} {header:?}"
                );
            }
        }
    }
    assert_eq!(world.engine.borrow().revision, before, "nothing was written");
    // The twin.
    let seen = world.call_with(
        &ada,
        "PUT",
        "settings/draft",
        json!({ "sso": "disabled" }),
        &[("origin", "https://app.example")],
    );
    assert_eq!(seen.status(), 200, "{}", seen.text());
    let form =
        world.call_with(&ada, "POST", "settings/enable", Value::Null, &[("content-type", "text/plain")]);
    assert_eq!(form.code(), "content_type_unsupported");
    for (method, path, allow) in [
        ("POST", "settings/draft", "PUT, DELETE"),
        ("PUT", "settings/enable", "POST"),
        ("PUT", "invitations/x", "DELETE"),
    ] {
        let seen = world.call(&ada, method, path, json!({}));
        assert_eq!(
            (seen.status(), seen.answer.as_ref().unwrap().header("allow")),
            (405, Some(allow)),
            "{path}"
        );
    }
}

#[test]
fn problems_are_said_at_once_and_nothing_is_kept() {
    let world = World::new();
    let ada = world.signed_in("ada");
    let body = json!({ "mapping": { "from": "userinfo", "claim": "email", "attribute": "email", "role_map": { "all": "owner" } },
        "access": [], "identity_providers": [{ "id": "x", "oauth2": { "authorization_endpoint": "https://evil.example/a",
        "token_endpoint": "https://127.0.0.1/t", "userinfo_endpoint": "http://corp.idp.example/u", "client_id": "c",
        "client_secret": { "env": "SSO_SESSION_KEY" } } }] });
    let seen = world.call(&ada, "PUT", "settings/draft", body);
    assert_eq!((seen.status(), seen.code()), (422, "settings_invalid"));
    let paths: Vec<String> = seen.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["path"].as_str().unwrap().to_owned())
        .collect();
    for path in [
        "access",
        "identity_providers[0].oauth2.authorization_endpoint",
        "identity_providers[0].oauth2.token_endpoint",
        "identity_providers[0].oauth2.userinfo_endpoint",
        "identity_providers[0].oauth2.client_secret",
        "mapping.role_map.all",
    ] {
        assert!(paths.iter().any(|own| own == path), "{path}: {paths:?}");
    }
    assert_eq!(world.document(&ada)["draft"], Value::Null);
    let raw = |bytes: &[u8]| {
        let mut browser = ada.at(&world.state).with("content-type", "application/json");
        browser
            .send("PUT", "/sso/admin/settings/draft", Some(bytes.to_vec()), &mut |call| world.respond(call))
    };
    assert_eq!(raw(br#"{"sso":"enabled","sso":"disabled"}"#).code(), "settings_invalid", "a member twice");
    assert_eq!(raw(b"{").code(), "settings_invalid");
    assert_eq!(raw(&vec![b' '; 300 << 10]).code(), "body_too_large");
}

#[test]
fn a_secret_goes_in_and_never_comes_out() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let body = corp(|provider| provider["oauth2"]["client_secret"] = json!({ "value": "hunter2" }));
    let saved = world.call(&ada, "PUT", "settings/draft", body);
    assert_eq!(saved.status(), 200);
    assert!(!saved.text().contains("hunter2") && !saved.text().contains("file secret"), "{}", saved.text());
    world.call(&ada, "POST", "settings/enable", json!({ "confirm": true }));
    world.settled();
    let crate::config::Protocol::OAuth2(oauth2) =
        &world.state.account_states[0].account.providers[0].protocol
    else {
        panic!("it is plain OAuth 2.0")
    };
    assert!(
        format!("{:?}", oauth2.client).contains("[redacted]")
            || !format!("{:?}", oauth2.client).contains("hunter2")
    );
    // Sealed in the engine.
    let engine = world.engine.borrow();
    for kv in &engine.values {
        assert!(!String::from_utf8_lossy(&kv.value).contains("hunter2"));
    }
    let logs = world.host.logs().iter().map(|(_, line)| line.clone()).collect::<String>();
    assert!(!logs.contains("hunter2"), "{logs}");
    assert!(logs.contains("\"what\":\"enabled\""), "{logs}");
}

#[test]
fn two_administrators_do_not_overwrite_each_other() {
    let world = World::new();
    let ada = world.signed_in("ada");
    let etag = |seen: &Seen| seen.answer.as_ref().unwrap().header("etag").unwrap().to_owned();
    let first = etag(&world.call(&ada, "GET", "settings", Value::Null));
    let saved =
        world.call_with(&ada, "PUT", "settings/draft", json!({ "sso": "disabled" }), &[("if-match", &first)]);
    assert_eq!(saved.status(), 200);
    let second = etag(&saved);
    assert_ne!(first, second);
    for (method, path, body) in [
        ("PUT", "settings/draft", json!({ "sso": "enabled" })),
        ("POST", "settings/enable", json!({ "confirm": true })),
        ("POST", "settings/rollback", json!({ "version": 0, "confirm": true })),
    ] {
        let late = world.call_with(&ada, method, path, body, &[("if-match", &first)]);
        assert_eq!((late.status(), late.code()), (412, "settings_changed"), "{path}");
    }
    let enabled = world.call_with(&ada, "POST", "settings/enable", json!({}), &[("if-match", &second)]);
    assert_eq!(enabled.status(), 200, "{}", enabled.text());
}

#[test]
fn the_engine_away_changes_nothing_and_shows_the_last_known() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    world.call(&ada, "PUT", "settings/draft", json!({ "password": { "mode": "disabled" } }));
    world.call(&ada, "POST", "settings/enable", json!({ "confirm": true }));
    world.settled();
    world.engine.borrow_mut().is_away = true;
    for (method, path, body) in [
        ("PUT", "settings/draft", json!({ "sso": "disabled" })),
        ("POST", "settings/rollback", json!({ "version": 0, "confirm": true })),
        ("POST", "invitations", json!({ "email": "x@acme.com", "roles": [] })),
    ] {
        let seen = world.call(&ada, method, path, body);
        assert_eq!((seen.status(), seen.code()), (503, "not_ready"), "{path}");
    }
    assert_eq!(world.document(&ada)["active"]["settings"]["password"]["mode"], "disabled");
    world.settled();
    assert_eq!(world.state.account_states[0].account.password.mode, crate::config::PasswordMode::Disabled);
}

#[test]
fn until_settings_are_read_only_what_is_open_to_everybody_passes() {
    let host = TestHost::new();
    let state = filter_state(
        &host,
        &configuration(|c| {
            c["accounts"][0]["sso"] = json!("disabled");
            c["accounts"][0]["access"] = json!([{ "prefix": "/static/", "allow": "anyone" }, { "prefix": "/api/", "allow": "programs" }]);
        }),
    );
    let mut browser = Browser::new(&state, "app.example");
    let mut silent = |call: &Call| panic!("{call:?}");
    for path in ["/", "/x", "/sso/login", "/sso/admin", "/sso/session"] {
        let seen = browser.get(path, &mut silent);
        assert_eq!((seen.status(), seen.code()), (503, "not_ready"), "{path}");
    }
    for path in ["/static/a.css", "/api/x"] {
        assert!(browser.get(path, &mut silent).pass.is_some(), "{path}");
    }
    assert!(!state.is_ready());
    assert!(state.resettled().is_none(), "nothing was read yet");
    let replicas = state.replicas.as_ref().unwrap();
    let mut status = replicas.status(&*host);
    (status.proof, status.first_read) = (host.now(), host.now() - 60_000);
    status.write(&*host, replicas.tag());
    let state = Rc::new(state.resettled().expect("nothing was set: the file holds"));
    assert!(state.is_ready());
    // Disabled by the file: the application is as it was, and the own endpoints answer.
    let mut browser = browser.at(&state);
    assert!(browser.get("/x", &mut silent).pass.is_some());
    assert_eq!(browser.get("/sso/session", &mut silent).code(), "login_required");
}

#[test]
fn a_person_is_invited_once() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let invite = |email: &str, roles: Value| {
        world.call(&ada, "POST", "invitations", json!({ "email": email, "roles": roles }))
    };
    for (email, roles, path) in [
        ("nonsense", json!([]), "email"),
        ("", json!([]), "email"),
        ("carol@acme.com", json!(["owner"]), "roles[0]"),
        ("carol@acme.com", json!("member"), "roles"),
    ] {
        let seen = invite(email, roles);
        assert_eq!(
            (seen.status(), seen.json()["problems"][0]["path"].as_str()),
            (422, Some(path)),
            "{email}"
        );
    }
    let seen = invite(" Carol@ACME.com", json!(["member"]));
    assert_eq!(seen.status(), 201, "{}", seen.text());
    let id = seen.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(invite("carol@acme.com", json!([])).status(), 422, "twice");
    world.settled();
    // She is offered it at her next sign-in, and it is used up by accepting it.
    *world.email.borrow_mut() = "carol@acme.com".into();
    let mut carol = world.browser();
    let start = world.get(&mut carol, "/sso/login?idp=corp&return_to=/x");
    let page = world.follow(&mut carol, &start);
    assert_eq!(page.code(), "invitation", "{}", page.text());
    // Withdrawn while the page is open.
    let mut late = carol.at(&world.state);
    let csrf = page.field("csrf");
    assert_eq!(world.call(&ada, "DELETE", &format!("invitations/{id}"), Value::Null).status(), 204);
    let refused = late
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(refused.code(), "identity_unknown", "{}", refused.text());
    assert_eq!(
        world.call(&ada, "DELETE", &format!("invitations/{id}"), Value::Null).status(),
        204,
        "gone already"
    );
    // Invited again: taken up once.
    assert_eq!(
        world
            .call(&ada, "POST", "invitations", json!({ "email": "carol@acme.com", "roles": ["member"] }))
            .status(),
        201
    );
    world.settled();
    let mut carol = world.browser();
    let start = world.get(&mut carol, "/sso/login?idp=corp&return_to=/x");
    let page = world.follow(&mut carol, &start);
    let csrf = page.field("csrf");
    let mut twice = carol.at(&world.state);
    let accepted = carol
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(accepted.location(), "/x", "{}", accepted.text());
    let second = twice
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(second.code(), "identity_unknown", "{}", second.text());
    assert_eq!(world.document(&ada)["invitations"], json!([]));
}

#[test]
fn without_the_engine_there_is_no_self_service() {
    let mut document = configuration(|_| ());
    document.as_object_mut().unwrap().remove("shared");
    let problems =
        crate::config::load(document.to_string().as_bytes(), &crate::config::Placeholders).unwrap_err();
    assert!(
        problems.iter().any(|p| p.path == "accounts[0].self_service" && p.message.contains("needs shared")),
        "{problems:?}"
    );
}

/// What is prepared before anything is on has to be prepared by an administrator, who is there by password alone.
#[test]
fn while_single_sign_on_is_off_an_administrators_password_opens_a_session() {
    use crate::testing::decided;
    let world = World::with(|c| {
        let account = &mut c["accounts"][0];
        account["sso"] = json!("disabled");
        account["password"] = json!({
            "mode": "disabled", "admin_roles": ["account_admin"], "administrators": ["root"], "attempts": { "limit": 1 },
            "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }],
        });
    });
    let login = |target: &str, body: &str, headers: &[(&str, &str)], status: u16| {
        let mut browser = world.browser();
        browser.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let seen =
            browser.send("POST", target, Some(body.as_bytes().to_vec()), &mut |call| world.respond(call));
        let mut pass = seen.pass.unwrap_or_else(|| panic!("{target} {body}: nothing is refused"));
        let cookies = pass.on_response.take().map(|judge| {
            decided(judge(&vec![(":status".to_owned(), status.to_string().into_bytes())], true))
        });
        for pair in cookies.iter().flatten().filter_map(|line| line.split(';').next()?.split_once('=')) {
            browser.cookies.push((pair.0.to_owned(), pair.1.to_owned()));
        }
        browser.headers.clear();
        browser
    };
    for name in ["ada", "root"] {
        for _ in 0..3 {
            assert!(login("/login", &format!("username={name}&password=x"), &[], 401).cookies.is_empty());
        }
        let mut admin = login("/login", &format!("username={name}&password=x"), &[], 200);
        assert_eq!(world.get(&mut admin, "/sso/session").json()["method"], "password", "{name}");
        assert_eq!(world.call(&admin, "GET", "settings", Value::Null).status(), 200, "{name}");
        let passed = world.get(&mut admin, "/x").pass.unwrap();
        assert!(passed.live.is_none(), "the application is told nothing");
    }
    // Another user's opens nothing, nor what cannot be read or comes from elsewhere; all of it passes.
    for (target, body) in [
        ("/login", "username=bob&password=x"),
        ("/login", "username=nobody&password=x"),
        ("/login", "username=ada&username=bob"),
        ("/login", "username=ada&email=bob"),
        ("/login", "password=x"),
        ("/login", ""),
        ("/login?username=bob", "username=ada"),
        ("/LOGIN", "username=ada"),
        ("/login/", "username=ada"),
        ("/other", "username=ada"),
    ] {
        assert!(login(target, body, &[], 200).cookies.is_empty(), "{target} {body}");
    }
    let large = format!("username=ada&x={}", "x".repeat(80_000));
    assert!(login("/login", &large, &[], 200).cookies.is_empty());
    for header in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
    ] {
        assert!(login("/login", "username=ada", &[header], 200).cookies.is_empty(), "{header:?}");
    }
}

impl World {
    /// The page, with its token and revision.
    fn page(&self, browser: &Browser, query: &str) -> Seen {
        let mut browser = browser.at(&self.state);
        let seen = self.get(&mut browser, &format!("/sso/admin/settings{query}"));
        assert_eq!(seen.status(), 200, "{}", seen.text());
        seen
    }

    /// A form of that page.
    fn post(&self, browser: &Browser, page: &Seen, fields: &[(&str, &str)]) -> Seen {
        let (csrf, revision) = (page.field("csrf"), page.field("revision"));
        let revision = revision.replace("&quot;", "\"");
        let mut all = vec![("csrf", csrf.as_str()), ("revision", revision.as_str())];
        all.extend(fields);
        let mut browser = browser.at(&self.state);
        browser.post("/sso/admin/settings", &all, &mut |call| self.respond(call))
    }
}

const BY_HAND: [(&str, &str); 10] = [
    ("idp", "corp"),
    ("sso", "enabled"),
    ("provider.id", "corp"),
    ("provider.title", "Acme <people>"),
    ("protocol", "oauth2"),
    ("oauth2.authorization_endpoint", "https://corp.idp.example/authorize"),
    ("oauth2.token_endpoint", "https://corp.idp.example/token"),
    ("oauth2.userinfo_endpoint", "https://corp.idp.example/user"),
    ("oauth2.client_id", "app"),
    ("password.mode", "disabled"),
];

#[test]
fn the_whole_story_by_forms() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let page = world.page(&ada, "");
    let text = page.text();
    assert!(text.contains("https://app.example/sso/oidc/consume") && !text.contains("file secret"), "{text}");
    let with = |more: &[(&'static str, &'static str)]| [&BY_HAND[..], more].concat();
    let saved = world.post(&ada, &page, &with(&[("do", "save")]));
    assert_eq!(
        (saved.status(), saved.location()),
        (302, "/sso/admin/settings?done=save"),
        "{}",
        saved.text()
    );
    let page = world.page(&ada, "?done=save");
    assert!(page.text().contains("The draft is saved.") && page.text().contains("Acme &lt;people&gt;"));
    // Not tested yet: "all the same" is offered, and does it.
    let refused = world.post(&ada, &page, &[("do", "enable")]);
    assert_eq!((refused.status(), refused.code()), (409, "settings_untested"));
    assert!(refused.text().contains("name=\"confirm\" value=\"true\""), "{}", refused.text());
    assert_eq!(world.tested(&ada, "ada", "corp")["ok"], true);
    let page = world.page(&ada, "");
    assert_eq!(world.post(&ada, &page, &[("do", "enable")]).status(), 302);
    world.settled();
    let document = world.document(&ada);
    assert_eq!(document["active"]["settings"]["password"]["mode"], "disabled");
    assert_eq!(document["active"]["settings"]["identity_providers"][0]["title"], "Acme <people>");
    assert_eq!(
        document["active"]["settings"]["identity_providers"][0]["oauth2"]["client_secret"],
        json!({ "set": true })
    );
    // And back.
    let page = world.page(&ada, "");
    assert_eq!(world.post(&ada, &page, &[("do", "rollback"), ("version", "0")]).status(), 302);
    assert_eq!(world.document(&ada)["active"]["version"], 2);
    // Invitations.
    let page = world.page(&ada, "");
    let invited =
        world.post(&ada, &page, &[("do", "invite"), ("email", "eve@acme.com"), ("roles", "member")]);
    assert_eq!(invited.status(), 302, "{}", invited.text());
    let id = world.document(&ada)["invitations"][0]["id"].as_str().unwrap().to_owned();
    let page = world.page(&ada, "");
    assert!(page.text().contains("eve@acme.com"));
    assert_eq!(world.post(&ada, &page, &[("do", "withdraw"), ("id", &id)]).status(), 302);
    assert_eq!(world.document(&ada)["invitations"], json!([]));
}

#[test]
fn what_was_typed_stays_and_a_secret_is_never_shown() {
    let world = World::new();
    let ada = world.signed_in("ada");
    let page = world.page(&ada, "");
    let mut fields = BY_HAND.to_vec();
    fields[6].1 = "https://evil.example/\"><script>";
    fields.extend([("oauth2.client_secret", "hunter2"), ("do", "save")]);
    let refused = world.post(&ada, &page, &fields);
    assert_eq!((refused.status(), refused.code()), (422, "settings_invalid"));
    let text = refused.text();
    assert!(
        text.contains("href=\"#oauth2.token_endpoint\"") && text.contains("aria-invalid=\"true\""),
        "{text}"
    );
    assert!(text.contains("https://evil.example/&quot;&gt;&lt;script&gt;"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("<script>"), "{text}");
    // Mended, and the secret comes along.
    let kept = refused.field("kept.oauth2.client_secret");
    assert!(!kept.is_empty());
    fields = BY_HAND.to_vec();
    fields.extend([
        ("oauth2.client_secret", ""),
        ("kept.oauth2.client_secret", kept.as_str()),
        ("do", "save"),
    ]);
    world.engine.borrow_mut().is_away = true;
    let away = world.post(&ada, &refused, &fields);
    assert_eq!((away.status(), away.code()), (503, "not_ready"));
    assert!(away.text().contains("Acme &lt;people&gt;"), "{}", away.text());
    world.engine.borrow_mut().is_away = false;
    let kept = away.field("kept.oauth2.client_secret");
    fields = BY_HAND.to_vec();
    fields.extend([
        ("oauth2.client_secret", ""),
        ("kept.oauth2.client_secret", kept.as_str()),
        ("do", "save"),
    ]);
    assert_eq!(world.post(&ada, &away, &fields).status(), 302);
    let kept = crate::settings::store::known(world.replicas(), &*world.host, "default").unwrap().book;
    let settings = &kept.draft.unwrap().settings;
    assert_eq!(settings["identity_providers"][0]["oauth2"]["client_secret"], json!({ "value": "hunter2" }));
    // Two administrators at once.
    let stale = world.post(&ada, &page, &[("do", "enable"), ("confirm", "true")]);
    assert_eq!((stale.status(), stale.code()), (412, "settings_changed"));
}

#[test]
fn only_forms_of_this_page_and_session() {
    let world = World::new();
    let (ada, bob) = (world.signed_in("ada"), world.signed_in("bob"));
    let page = world.page(&ada, "");
    let fields = [("csrf", "x"), ("do", "save"), ("sso", "disabled")];
    let mut browser = ada.at(&world.state);
    let forged = browser.post("/sso/admin/settings", &fields, &mut |call| world.respond(call));
    assert_eq!((forged.status(), forged.code()), (403, "request_invalid"));
    // The token of another session, and of another page.
    let other = world.post(&world.signed_in("ada"), &page, &[("do", "save"), ("sso", "disabled")]);
    assert_eq!(other.status(), 403);
    let mut browser = ada.at(&world.state);
    let sessions = world.get(&mut browser, "/sso/admin/sessions");
    let other = world.post(&ada, &sessions, &[("do", "save"), ("sso", "disabled")]);
    assert_eq!(other.status(), 403, "{}", other.text());
    assert_eq!(world.post(&bob, &page, &[("do", "save"), ("sso", "disabled")]).code(), "role_missing");
    let mut elsewhere = ada.at(&world.state).with("origin", "https://evil.example");
    let csrf = page.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("do", "save"), ("sso", "disabled")];
    let sent = elsewhere.post("/sso/admin/settings", &fields, &mut |call| world.respond(call));
    assert_eq!(sent.status(), 403);
    assert_eq!(world.document(&ada)["draft"], Value::Null);
}
