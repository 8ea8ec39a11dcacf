//! Who is signed in, as `/sso/session` tells it.

use super::*;

#[test]
fn whoever_asks_for_the_session_in_a_tab_is_told_and_not_sent_to_sign_in() {
    let (_, _, mut idp, mut ada) = in_another_session();
    let seen = ada.get("/sso/session", &mut |call| idp.respond(call));
    assert_eq!((seen.status(), seen.code(), idp.refreshes), (401, "session_expired", 2));
}

#[test]
fn the_session_endpoint_tells_what_is_true_now() {
    // The provider has ended it.
    let host = TestHost::new();
    let ours = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&ours, &mut idp).with("accept", "application/json");
    let session = |ada: &mut Browser, idp: &mut Idp| ada.get("/sso/session", &mut |call| idp.respond(call));
    assert_eq!(session(&mut ada, &mut idp).json()["user"], "ada@acme.com");
    assert_eq!(idp.refreshes, 0);
    host.advance(DUE);
    idp.good = None;
    // Lots are drawn, the provider is asked, and a race with another replica is waited for.
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(session(&mut ada, &mut idp).code().to_owned());
        host.advance(DUE);
    }
    assert_eq!((codes.join(" ").as_str(), idp.refreshes), ("ok ok session_expired", 1));
    // The directory has put somebody out, or given them a role.
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["directory"] =
        json!({ "scim": { "url": "https://directory.example/scim", "cache": "0s" } });
    let filter_state = filter_state(&host, &config);
    let mut idp = Idp::new(&host);
    idp.change = json!({ "refresh_token": null });
    let user = |active: bool, roles: Value| {
        let user = json!({ "id": "u1", "userName": "ada", "active": active, "roles": roles,
            "externalId": "https://idp.example|1", "emails": [{ "value": "ada@acme.com" }] });
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1,
            "itemsPerPage": 1, "startIndex": 1, "Resources": [user] })
    };
    let mut directory = user(true, json!([]));
    let at_directory = |call: &Call| header(call, ":authority") == Some("directory.example");
    let mut ada =
        sign_in_beside(&filter_state, &mut idp, |call| at_directory(call).then(|| answer(&directory)));
    let mut io = |browser: &mut Browser, target: &str, directory: &Value| {
        browser.get(target, &mut |call| match at_directory(call) {
            true => answer(directory),
            false => idp.respond(call),
        })
    };
    assert_eq!(io(&mut ada, "/sso/session", &directory).json()["roles"], json!(["boss"]));
    host.advance(RECHECK);
    directory = user(true, json!([{ "value": "auditor" }]));
    assert_eq!(io(&mut ada, "/sso/session", &directory).json()["roles"], json!(["auditor", "boss"]));
    host.advance(RECHECK);
    directory = user(false, json!([]));
    assert_eq!(io(&mut ada, "/sso/session", &directory).code(), "user_inactive");
    assert_eq!(io(&mut ada, "/sso/session", &directory).status(), 401, "and it is over");
}
