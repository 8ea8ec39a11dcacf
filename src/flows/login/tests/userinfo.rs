//! UserInfo that would only add something to an ID token: whatever becomes of the call, the login goes on without it. How the user
//! authenticated is the ID token's to say.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS};
use crate::host::task::{Call, Failure, Reply};
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{self, header, TestHost, START};

pub(super) fn configuration(changes: Value) -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    let mut account = json!({
        "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
        "identity_providers": [{ "id": "corp", "oidc": {
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/a",
            "token_endpoint": "https://idp.example/token", "userinfo_endpoint": "https://graph.example/userinfo", "jwks": keys,
            "client_id": "app",
        } }],
        "access": [
            { "prefix": "/strong/", "allow": "users", "acr_values": ["mfa"] },
            { "prefix": "/key/", "allow": "users", "when": [{ "amr": "hwk" }] },
        ],
    });
    account.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "idp.example": "idp", "graph.example": "graph" }, "accounts": [account],
    })
}

pub(super) struct Login {
    pub(super) browser: Browser,
    pub(super) back: Seen,
    notices: Vec<String>,
    pub(super) host: Rc<TestHost>,
}

impl Login {
    pub(super) fn is_in(&self) -> bool {
        self.back.location() == "/reports"
    }
}

pub(super) fn log_in(config: &Value, id_token: &Value, userinfo: &Reply) -> Login {
    let host: Rc<TestHost> = TestHost::new();
    let filter_state = filter_state(&host, config);
    let mut browser = Browser::new(&filter_state, "app.example");
    let start = browser.get("/reports", &mut |call| panic!("nobody is asked: {call:?}"));
    let url = url::Url::parse(start.location()).expect("to the provider");
    let param = |name: &str| url.query_pairs().find(|(own, _)| own == name).expect(name).1.into_owned();
    let mut claims = json!({
        "iss": "https://idp.example", "aud": "app", "sub": "ada", "iat": START / 1000, "exp": START / 1000 + 300,
        "nonce": param("nonce"), "email": "ada@acme.com",
    });
    claims.as_object_mut().unwrap().extend(id_token.as_object().unwrap().clone());
    let id_token = token_of(&json!({ "alg": "ES256", "kid": "p256" }), &claims.to_string());
    let tokens = json!({ "access_token": "at", "token_type": "Bearer", "id_token": id_token });
    let target = format!("/sso/oidc/consume?u=acme&code=c&state={}", param("state"));
    let back = browser.get(&target, &mut |call: &Call| match header(call, ":path") {
        Some("/token") => testing::json(&tokens),
        _ => userinfo.clone(),
    });
    let about = |(_, line): (_, String)| line.contains("UserInfo adds nothing").then_some(line);
    let notices = host.logs().into_iter().filter_map(about).collect();
    Login { browser, back, notices, host }
}

/// Every way in which the call or its answer fails.
fn failures() -> Vec<Reply> {
    let mut failures: Vec<Reply> = [400, 401, 403, 404, 405, 429, 500, 502, 503]
        .map(|status| testing::status(status, "application/json", r#"{"error":"no"}"#))
        .into();
    failures.extend([Failure::Timeout, Failure::Unreachable].map(Reply::Failed));
    failures.extend([
        testing::answer("text/html", "<html>"),
        testing::answer("application/json", "{"),
        testing::answer("application/json", "[]"),
        testing::answer("application/json", r#""ada""#),
        testing::answer("application/json", ""),
        testing::answer("application/json", r#"{"sub":"ada","groups":["staff"],"sub":"ada"}"#),
        testing::answer("application/json", format!(r#"{{"sub":"ada","x":"{}"}}"#, "x".repeat(2_000_000))),
        testing::answer("application/jwt", "a.b.c"),
        testing::status(302, "", ""),
        testing::status(204, "", ""),
    ]);
    failures
}

#[test]
fn whatever_becomes_of_it_the_user_is_in() {
    let roles = json!({ "mapping": { "roles_claim": "groups", "role_map": { "staff": "member" } } });
    let headers = json!({ "forward": { "headers": { "x-department": "department" } } });
    let good = testing::json(&json!({ "sub": "ada", "groups": ["staff"], "department": "Lakes" }));
    for changes in [&roles, &headers] {
        let login = log_in(&configuration(changes.clone()), &json!({}), &good);
        assert!(login.is_in() && login.notices.is_empty());
        for failure in failures() {
            let mut login = log_in(&configuration(changes.clone()), &json!({}), &failure);
            assert!(login.is_in(), "{failure:?}: {}", login.back.code());
            assert_eq!(login.notices.len(), 1, "{failure:?}: {:?}", login.notices);
            let seen = login.browser.get("/reports", &mut |call| panic!("nobody is asked: {call:?}"));
            let live = seen.pass.unwrap().live.unwrap();
            assert!(live.session.user.roles.is_empty(), "{failure:?}");
            assert!(live.told("x-department").is_none(), "{failure:?}");
        }
        // A host without a cluster cannot be asked either.
        let mut config = configuration(changes.clone());
        config["clusters"].as_object_mut().unwrap().remove("graph.example");
        let login = log_in(&config, &json!({}), &good);
        assert!(login.is_in() && login.notices.len() == 1, "{} {:?}", login.back.code(), login.notices);
        // The token has everything: UserInfo is not asked.
        let whole = json!({ "groups": ["staff"], "department": "Lakes" });
        let login = log_in(&configuration(changes.clone()), &whole, &Reply::Failed(Failure::Timeout));
        assert!(login.is_in() && login.notices.is_empty() && login.back.calls.len() == 1);
    }
}

#[test]
fn what_the_mapping_needs_is_still_needed_and_another_user_is_none() {
    let needed = json!({ "mapping": { "from": "userinfo" } });
    for failure in failures() {
        let login = log_in(&configuration(needed.clone()), &json!({}), &failure);
        assert!(!login.is_in() && login.back.status() >= 400, "{failure:?}");
    }
    let roles = json!({ "mapping": { "roles_claim": "groups", "role_map": { "staff": "member" } } });
    for (sub, is_in) in [(json!("ada"), true), (json!("Ada"), false), (json!("eve"), false)] {
        let userinfo = testing::json(&json!({ "sub": sub, "email": "ada@acme.com", "groups": ["staff"] }));
        for changes in [&needed, &roles] {
            let login = log_in(&configuration(changes.clone()), &json!({}), &userinfo);
            assert_eq!(login.is_in(), is_in, "{sub} {changes}: {}", login.back.code());
        }
    }
}

#[test]
fn how_the_user_authenticated_is_said_by_the_id_token_alone() {
    let asked = json!({ "mapping": { "roles_claim": "groups", "role_map": { "staff": "member" } } });
    let from = json!({ "mapping": { "from": "userinfo" } });
    let strong = json!({ "acr": "mfa", "amr": ["hwk"] });
    for (id_token, added, opens) in [
        (json!({}), json!({}), false),
        (strong.clone(), json!({}), true),
        (strong.clone(), json!({ "acr": "password", "amr": ["pwd"] }), true),
        (json!({}), strong.clone(), false),
        (json!({ "acr": "password", "amr": ["pwd"] }), strong.clone(), false),
        (json!({ "acr": ["mfa"], "amr": { "hwk": true } }), strong.clone(), false),
        (json!({ "acr": null, "amr": null }), strong, false),
    ] {
        let mut userinfo = json!({ "sub": "ada", "email": "ada@acme.com" });
        userinfo.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
        for changes in [&asked, &from] {
            let mut login = log_in(&configuration(changes.clone()), &id_token, &testing::json(&userinfo));
            assert!(login.is_in(), "{}", login.back.code());
            for path in ["/strong/x", "/key/x"] {
                let seen = login.browser.get(path, &mut |call| panic!("nobody is asked: {call:?}"));
                assert_eq!(seen.pass.is_some(), opens, "{path} {id_token} {added} {changes}");
            }
        }
    }
}
