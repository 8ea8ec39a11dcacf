//! The directory is asked in the same go as the provider.
use super::*;

#[test]
fn the_directory_is_asked_in_the_same_go() {
    let users = json!([{ "username": "ada", "email": "ada@acme.com", "roles": ["editor"] }]);
    let host = TestHost::new();
    let mut idp = Idp::new(&host);
    let before = filter_state(&host, &with_directory(configuration(), users));
    let mut ada = sign_in(&before, &mut idp);
    assert_eq!(told(&get(&mut ada, &mut idp), "x-sso-roles").as_deref(), Some("boss,editor"));
    // The configuration changes; the session's next renewal brings directory and groups together.
    let users = json!([{ "username": "ada", "email": "ada@acme.com", "roles": ["reader"] }]);
    idp.claims["groups"] = json!(["staff"]);
    host.advance(2 * DUE);
    let mut same = copy(&ada, &filter_state(&host, &with_directory(configuration(), users)));
    assert_eq!(told(&get(&mut same, &mut idp), "x-sso-roles").as_deref(), Some("member,reader"));
    let users = json!([{ "username": "ada", "email": "ada@acme.com", "active": false }]);
    for fault in [None, Some(Reply::Failed(Failure::Unreachable))] {
        idp.fault = fault;
        host.advance(2 * DUE);
        let mut gone = copy(&same, &filter_state(&host, &with_directory(configuration(), users.clone())));
        let seen = get(&mut gone, &mut idp);
        assert_eq!((seen.status(), seen.code()), (403, "user_inactive"), "also while the provider is down");
        assert_eq!(get(&mut gone, &mut idp).code(), "login_required");
        // The next round is another session's.
        idp.fault = None;
        let users = json!([{ "username": "ada", "email": "ada@acme.com" }]);
        same = sign_in(&filter_state(&host, &with_directory(configuration(), users)), &mut idp);
    }
}

#[test]
fn a_directory_that_is_down_does_not_cost_the_new_tokens() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["directory"] =
        json!({ "scim": { "url": "https://directory.example/scim", "cache": "0s" } });
    let filter_state = filter_state(&host, &config);
    let mut idp = Idp::new(&host);
    let user = json!({ "id": "u1", "userName": "ada", "active": true, "emails": [{ "value": "ada@acme.com" }],
        "externalId": "https://idp.example|1", "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"] });
    let list = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1,
        "itemsPerPage": 1, "startIndex": 1, "Resources": [user] });
    let down = std::cell::Cell::new(false);
    let directory = |call: &Call| match header(call, ":authority") {
        Some("directory.example") if down.get() => Some(Reply::Failed(Failure::Unreachable)),
        Some("directory.example") => Some(answer(&list)),
        _ => None,
    };
    let both = |idp: &mut Idp, call: &Call| directory(call).unwrap_or_else(|| idp.respond(call));
    let mut ada = sign_in_beside(&filter_state, &mut idp, directory);
    down.set(true);
    host.advance(2 * DUE);
    assert!(told(&ada.get("/reports", &mut |call| both(&mut idp, call)), "x-sso-user").is_some());
    assert_eq!(idp.refreshes, 1);
    host.advance(11_000);
    let seen = ada.get("/reports", &mut |call| both(&mut idp, call));
    assert!(told(&seen, "x-sso-user").is_some() && !seen.calls.is_empty(), "the directory is asked again");
    assert_eq!(idp.refreshes, 1, "the provider is not");
    down.set(false);
    host.advance(2 * DUE);
    ada.get("/reports", &mut |call| both(&mut idp, call));
    assert_eq!((idp.refreshes, idp.good.is_some()), (2, true), "with the token of the time before");
    // Past the grace of the directory nobody goes on, however well the provider answers.
    down.set(true);
    host.advance(RECHECK + 3_600_000);
    let seen = ada.get("/reports", &mut |call| both(&mut idp, call));
    assert_eq!((seen.status(), seen.code()), (503, "directory_unavailable"));
}
