//! Draft, test sign-in, enable, and who may do it.

use super::*;

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
    // Another user's sign-in is shown, and is not proof.
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

/// The provider's groups make the administrator: without them ada signs in, and is none.
#[test]
fn a_test_that_leads_to_no_administrator_is_no_way_back() {
    let mapping = |role_map: Value| {
        json!({ "from": "userinfo", "claim": "email", "attribute": "email", "roles_claim": "id",
            "role_map": role_map })
    };
    let world = World::with(|file| {
        file["accounts"][0]["directory"]["static"]["users"][0]["roles"] = json!([]);
        file["accounts"][0]["mapping"] = mapping(json!({ "admins": "account_admin" }));
    });
    let ada = world.signed_in("ada");
    let enable = |draft: Value| {
        assert_eq!(world.call(&ada, "PUT", "settings/draft", draft).status(), 200);
        assert_eq!(world.tested(&ada, "ada", "corp")["ok"], true);
        assert_eq!(world.document(&ada)["draft"]["tested"], json!(["corp"]));
        world.call(&ada, "POST", "settings/enable", json!({}))
    };
    // No administrator would be left, with stricter passwords or with the same.
    for mode in ["disabled", "admins"] {
        let seen = enable(json!({ "mapping": mapping(json!({})), "password": { "mode": mode } }));
        assert_eq!((seen.status(), seen.code()), (409, "settings_untested"), "{mode}: {}", seen.text());
    }
    let kept = mapping(json!({ "admins": "account_admin", "staff": "member" }));
    assert_eq!(
        enable(json!({ "mapping": kept, "password": { "mode": "disabled" } })).status(),
        200,
        "the twin"
    );
    let lost = json!({ "mapping": mapping(json!({ "staff": "member" })) });
    assert_eq!(enable(lost).code(), "settings_untested");
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({ "confirm": true })).status(), 200);
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

/// The account that holds has no SAML provider: the response is judged by the draft's.
#[test]
fn a_saml_draft_is_tested_by_its_own_provider() {
    use crate::flows::login::saml::tests::{answer, begun};
    use crate::proto::saml::bindings::encode_post;
    let world = World::new();
    let ada = world.signed_in("ada");
    let saml = json!({ "id": "saml", "title": "SAML", "saml": {
        "sso_url": "https://saml.idp.example/sso?tenant=1", "issuer": "https://saml.idp.example",
        "certificates": [crate::proto::saml::tests::keys::IDP] } });
    let saved = world.call(&ada, "PUT", "settings/draft", json!({ "identity_providers": [saml] }));
    assert_eq!(saved.status(), 200, "{}", saved.text());
    let mut browser = ada.at(&world.state).with("accept", "application/json");
    let login = begun(&world.get(&mut browser, "/sso/admin/settings/test?idp=saml"));
    let message = encode_post(&answer(&login.id).write());
    let post = |browser: &mut Browser, relay_state: &str| {
        let fields = [("SAMLResponse", message.as_str()), ("RelayState", relay_state)];
        browser.post("/sso/saml/consume?u=default", &fields, &mut |call| world.respond(call))
    };
    // Not this login's: nothing is known of any provider.
    let foreign = post(&mut world.browser().with("sec-fetch-site", "same-origin"), "x");
    assert!(matches!(foreign.code(), "state_unknown" | "continue"), "{}", foreign.text());
    let seen = post(&mut browser, &login.relay_state);
    assert_eq!(seen.status(), 200, "{}", seen.text());
    // It was signed for another account: the draft's provider says so.
    assert_eq!((&seen.json()["ok"], &seen.json()["code"]), (&json!(false), &json!("assertion_invalid")));
    assert_eq!(world.document(&ada)["draft"]["tested"], json!([]));
}
