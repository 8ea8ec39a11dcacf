//! Without the engine, and until it was read.

use super::*;

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

#[test]
fn an_account_for_which_nothing_was_set_is_not_checked_again() {
    let host = TestHost::new();
    let first = filter_state(&host, &configuration(|_| ()));
    let world = World { host, state: first.clone(), engine: Rc::default(), email: RefCell::default() };
    world.read_everything();
    let next = first.resettled().expect("nothing was set");
    assert!(Rc::ptr_eq(&next.account_states[0].account, &first.account_states[0].account));
}
