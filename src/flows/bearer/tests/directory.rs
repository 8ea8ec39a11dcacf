//! The directory behind a token: asked again, its link compared and never written.
use super::*;

fn scim(config: &mut Value) {
    config["accounts"][0]["directory"] =
        json!({ "scim": { "url": "https://directory.example/scim", "cache": "0s" } });
}

#[test]
fn the_directory_is_asked_again_and_may_be_down_for_a_while() {
    let host = TestHost::new();
    let mut config = configuration();
    scim(&mut config);
    let filter_state = filter_state(&host, &config);
    let token = bearer(&token(json!({ "exp": NOW + 100_000 })));
    let user = |active: bool| {
        answer(&json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1,
            "itemsPerPage": 1, "startIndex": 1, "Resources": [{ "id": "u1", "userName": "ada", "active": active,
            "emails": [{ "value": "ada@acme.com" }], "externalId": "https://idp.example|1" }] }))
    };
    let io = |reply: Reply| {
        let mut program =
            Browser::new(&filter_state, "app.example").with("authorization", &token).with("accept", "*/*");
        program.get("/reports", &mut move |_| reply.clone())
    };
    assert_eq!(io(status(500, "text/plain", "")).code(), "directory_unavailable", "never let in unchecked");
    assert!(io(user(true)).pass.is_some());
    assert!(io(user(false)).calls.is_empty(), "remembered");
    host.advance(300_000);
    let seen = io(Reply::Failed(Failure::Unreachable));
    assert!(seen.pass.is_some() && seen.calls.len() == 1, "it goes on for its grace");
    assert!(io(user(false)).calls.is_empty(), "one asks");
    host.advance(5_000);
    let seen = io(user(false));
    assert_eq!((seen.status(), seen.code()), (403, "user_inactive"));
    assert_eq!(io(user(false)).code(), "user_inactive", "and is not remembered as good");
    assert!(io(user(true)).pass.is_some());
    host.advance(300_000 + 3_600_000);
    assert_eq!(
        io(Reply::Failed(Failure::Unreachable)).code(),
        "directory_unavailable",
        "past the grace nobody goes on"
    );
}

/// The link that logins write into the directory is none of a token's, whose `sub` may be another.
#[test]
fn the_directorys_link_is_compared_where_the_subject_is_the_logins_and_never_written() {
    let run = |document: Value, change: Value, link: Option<&str>| {
        let host = TestHost::new();
        let mut config = configuration();
        scim(&mut config);
        let oidc = &mut config["accounts"][0]["identity_providers"][0]["oidc"];
        *oidc = json!({ "discovery": "https://idp.example/.well-known/openid-configuration", "client_id": "app" });
        let mut discovery = json!({
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token", "jwks_uri": "https://idp.example/keys",
        });
        discovery.as_object_mut().unwrap().extend(document.as_object().unwrap().clone());
        let mut user =
            json!({ "id": "u1", "userName": "ada", "active": true, "emails": [{ "value": "ada@acme.com" }] });
        if let Some(link) = link {
            user["externalId"] = json!(link);
        }
        let list = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1,
            "itemsPerPage": 1, "startIndex": 1, "Resources": [user] });
        let filter_state = filter_state(&host, &config);
        let mut program = Browser::new(&filter_state, "app.example")
            .with("authorization", &bearer(&token(change)))
            .with("accept", "*/*");
        let seen = program.get("/reports", &mut |call| match header(call, ":path").unwrap() {
            "/.well-known/openid-configuration" => answer(&discovery),
            "/keys" => answer(&serde_json::from_str::<Value>(JWKS).unwrap()),
            path => {
                assert!(path.starts_with("/scim/Users?"), "{path}");
                assert_eq!(header(call, ":method"), Some("GET"), "a token writes nothing");
                answer(&list)
            }
        });
        seen.code().to_owned()
    };
    let okta = || json!({ "cid": "cli", "uid": "00u1", "sub": "ada@acme.com" });
    let adfs = || json!({ "iss": "http://fs.example/trust", "sub": null });
    for (document, change, link, wanted) in [
        (json!({}), json!({}), None, ""),
        (json!({}), json!({}), Some("https://idp.example|1"), ""),
        // An address that was given to a new person.
        (json!({}), json!({}), Some("https://idp.example|2"), "identity_conflict"),
        (json!({}), okta(), Some("https://idp.example|00u1"), ""),
        (json!({}), okta(), Some("https://idp.example|00u2"), "identity_conflict"),
        // Entra: each client's sub is another.
        (json!({ "subject_types_supported": ["pairwise"] }), json!({}), Some("https://idp.example|2"), ""),
        (
            json!({ "subject_types_supported": ["pairwise"] }),
            json!({ "client_id": "app" }),
            Some("https://idp.example|2"),
            "identity_conflict",
        ),
        (
            json!({ "access_token_issuer": "http://fs.example/trust" }),
            adfs(),
            Some("https://idp.example|2"),
            "",
        ),
        (json!({}), json!({ "sub": null }), None, "token_invalid"),
    ] {
        assert_eq!(run(document.clone(), change.clone(), link), wanted, "{document} {change} {link:?}");
    }
}
