//! Paths that ask for a stronger or a fresher authentication.
use super::*;

#[test]
fn a_path_asks_for_a_stronger_authentication() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut browser = signed_in(&filter_state, json!({ "acr": "password" }));
    let step = browser.get("/strong/x?y=1", &mut plainly());
    assert!(step.location().starts_with("https://corp.example/authorize?"), "{}", step.location());
    assert_eq!(query(step.location(), "acr_values").as_deref(), Some("mfa hardware"));
    // A script is told, not redirected.
    let mut script = browser.clone_headers(&[("accept", "application/json")]);
    script.cookies = browser.cookies.clone();
    let told = script.get("/strong/x", &mut plainly());
    assert_eq!(
        (told.code(), &told.json()["login"]),
        ("login_required", &json!("/sso/login?idp=corp&acr_values=mfa+hardware"))
    );
    // And where that leads is the login that the path asks for.
    let login = browser.get("/sso/login?idp=corp&acr_values=mfa+hardware&max_age=60", &mut plainly());
    assert_eq!(query(login.location(), "acr_values").as_deref(), Some("mfa hardware"));
    assert_eq!(query(login.location(), "max_age").as_deref(), Some("60"));
    for wrong in
        ["max_age=-1", "max_age=x", "max_age=", "max_age=1&max_age=2", "acr_values=%C3%A9", "acr_values=%0A"]
    {
        let seen = browser.get(&format!("/sso/login?idp=corp&{wrong}"), &mut plainly());
        assert_eq!((seen.status(), seen.code()), (400, "request_invalid"), "{wrong}");
    }
    let back = come_back(&mut browser, "one", &step, json!({ "acr": "hardware" }));
    assert_eq!((back.status(), back.location()), (302, "/strong/x?y=1"));
    assert!(browser.get("/strong/x?y=1", &mut plainly()).pass.is_some());
}

#[test]
fn a_provider_that_does_not_authenticate_as_asked_ends_in_a_page_not_in_a_loop() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for claims in
        [json!({}), json!({ "acr": "password" }), json!({ "acr": "MFA" }), json!({ "acr": "mfa hardware" })]
    {
        let mut browser = signed_in(&filter_state, json!({ "acr": "password" }));
        let step = browser.get("/strong/x", &mut plainly());
        let back = come_back(&mut browser, "one", &step, claims.clone());
        assert_eq!((back.status(), back.code()), (403, "idp_denied"), "{claims}");
        assert!(browser.get("/reports", &mut plainly()).pass.is_some(), "the session is what it was");
    }
}

#[test]
fn a_path_asks_for_a_fresh_authentication() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut browser = signed_in(&filter_state, json!({ "auth_time": NOW }));
    let fresh = |browser: &mut Browser| browser.get("/fresh/x", &mut plainly());
    assert!(fresh(&mut browser).pass.is_some());
    host.advance(360_000);
    assert!(fresh(&mut browser).pass.is_some(), "five minutes, and one for the clocks");
    host.advance(1);
    assert!(browser.get("/reports", &mut plainly()).pass.is_some(), "elsewhere the session is good");
    let step = fresh(&mut browser);
    assert_eq!(query(step.location(), "max_age").as_deref(), Some("300"));
    // The provider has to say when, and it has to be lately.
    let back = come_back(&mut browser, "one", &step, json!({ "auth_time": NOW }));
    assert_eq!(back.code(), "id_token_invalid");
    let step = fresh(&mut browser);
    assert_eq!(come_back(&mut browser, "one", &step, json!({})).code(), "id_token_invalid");
    let step = fresh(&mut browser);
    let back = come_back(&mut browser, "one", &step, json!({ "auth_time": NOW + 360 }));
    assert_eq!((back.status(), back.location()), (302, "/fresh/x"));
    assert!(fresh(&mut browser).pass.is_some());
    // What the ID token's check lets pass, the path lets pass: no loop between the two.
    host.advance(1_000_000);
    let step = fresh(&mut browser);
    let back = come_back(&mut browser, "one", &step, json!({ "auth_time": NOW + 1360 - 359 }));
    assert_eq!((back.status(), back.location()), (302, "/fresh/x"), "{}", back.text());
    assert!(fresh(&mut browser).pass.is_some());
}

#[test]
fn a_login_that_does_not_say_when_is_not_fresh_unless_nobody_can_be_asked() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut browser = signed_in(&filter_state, json!({}));
    let step = browser.get("/fresh/x", &mut plainly());
    assert_eq!(query(step.location(), "max_age").as_deref(), Some("300"));
    let back = come_back(&mut browser, "one", &step, json!({ "auth_time": NOW }));
    assert_eq!(back.location(), "/fresh/x");
    assert!(browser.get("/fresh/x", &mut plainly()).pass.is_some());
    // Plain OAuth 2.0 has no auth_time at all.
    let mut browser = Browser::new(&filter_state, "two.app");
    let seen = browser.get("/sso/login?idp=plain&return_to=%2Ffresh%2Fx", &mut plainly());
    assert_eq!(come_back(&mut browser, "two", &seen, json!({})).location(), "/fresh/x");
    assert!(browser.get("/fresh/x", &mut plainly()).pass.is_some());
}

#[test]
fn a_session_by_password_cannot_be_stepped_up() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let session = json!({
        "s": "id", "u": { "u": "bob", "o": "i" }, "m": "password", "b": START, "l": START, "c": START,
    });
    let keys = &filter_state.config.session.keys;
    let sealed = keys.seal(&*host, Purpose::Session, "one", session.to_string().as_bytes()).unwrap();
    let mut browser = Browser::new(&filter_state, "one.app");
    browser.cookies.push((filter_state.config.cookies.name.clone(), sealed));
    assert!(browser.get("/reports", &mut plainly()).pass.is_some());
    let seen = browser.get("/strong/x", &mut plainly());
    assert_eq!((seen.status(), seen.code()), (401, "login_required"), "no provider knows this person");
    assert!(seen.text().contains("/sso/login?return_to=%2Fstrong%2Fx"));
}
