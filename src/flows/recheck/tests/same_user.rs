//! A refreshed ID token is about the session's user, or ends the session.
use super::*;

#[test]
fn the_new_id_token_is_the_old_persons() {
    let good = |change: Value| {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration());
        let mut idp = Idp::new(&host);
        let mut ada = sign_in(&filter_state, &mut idp);
        host.advance(2 * DUE);
        for (name, value) in change.as_object().unwrap() {
            if value == "GONE" {
                idp.claims.as_object_mut().unwrap().remove(name);
                continue;
            }
            idp.claims[name] = match value.as_str() {
                Some("THE NONCE") => json!(idp.nonce),
                _ => value.clone(),
            };
        }
        let seen = get(&mut ada, &mut idp);
        assert_eq!(idp.refreshes, 1);
        match seen.pass {
            Some(_) => Ok(()),
            None => {
                let again = copy(&ada, &filter_state)
                    .with("accept", "text/plain")
                    .get("/reports", &mut |call| idp.respond(call));
                assert!(again.pass.is_none(), "{change}: it is over");
                assert_eq!(idp.refreshes, 1);
                Err(seen.code().to_owned())
            }
        }
    };
    for change in [
        json!({}),
        json!({ "nonce": "THE NONCE" }),
        json!({ "auth_time": START as f64 / 1000.0 + 0.4 }),
        json!({ "aud": ["app"] }),
        json!({ "email": "new@acme.com" }),
        json!({ "sid": "first" }),
        json!({ "auth_time": START / 1000 + 60 }),
        json!({ "auth_time": START / 1000 - 500 }),
        json!({ "auth_time": START / 1000 + 86_400_000 }),
        json!({ "auth_time": "GONE" }),
        json!({ "auth_time": START / 1000 + 60, "acr": "stronger" }),
    ] {
        assert_eq!(good(change.clone()), Ok(()), "{change}");
    }
    for change in [
        json!({ "sub": "2" }),
        json!({ "sub": "" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "aud": "other" }),
        json!({ "aud": ["app", "other"] }),
        json!({ "azp": "other" }),
        json!({ "nonce": "another" }),
        json!({ "auth_time": "today" }),
        json!({ "exp": START / 1000 }),
        json!({ "iat": START / 1000 + 10_000 }),
        json!({ "at_hash": "wrong" }),
    ] {
        assert_eq!(good(change.clone()), Err("id_token_invalid".into()), "{change}");
    }
}

#[test]
fn an_auth_time_that_moves_neither_ends_a_session_nor_makes_it_fresher() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["access"] = json!([{ "prefix": "/strong/", "allow": "users", "max_age": "35m" }]);
    let filter_state = filter_state(&host, &config);
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&filter_state, &mut idp);
    let strong = |ada: &mut Browser, idp: &mut Idp| ada.get("/strong/x", &mut |call| idp.respond(call));
    // As Cognito does it: a later one with each refresh.
    for n in 1..=3u64 {
        host.advance(2 * DUE);
        idp.claims["auth_time"] = json!(host.now() / 1000);
        assert!(strong(&mut ada, &mut idp).pass.is_some(), "renewal {n}");
    }
    assert_eq!(idp.refreshes, 3);
    // By then the user authenticated longer ago than the rule allows, whatever the provider says since.
    host.advance(2 * DUE);
    idp.claims["auth_time"] = json!(host.now() / 1000);
    let seen = strong(&mut ada, &mut idp);
    assert_eq!((seen.status(), seen.code()), (302, "login_required"));
    assert!(seen.location().contains("max_age=2100"), "{}", seen.location());
    assert_eq!(host.counted("sso_sessions_ended.reason.authenticated_anew"), 0);
}

#[test]
fn another_session_of_the_provider_is_signed_in_to_again_without_an_error() {
    let (host, filter_state, mut idp, mut ada) = in_another_session();
    let mut program = copy(&ada, &filter_state).with("accept", "application/json");
    assert_eq!(get(&mut program, &mut idp).code(), "session_expired");
    let seen = get(&mut ada, &mut idp);
    assert_eq!((seen.status(), seen.code(), seen.pass.is_none()), (302, "login_required", true));
    assert_eq!(idp.refreshes, 2);
    assert_eq!(host.counted("sso_sessions_ended.reason.authenticated_anew"), 1);
}
