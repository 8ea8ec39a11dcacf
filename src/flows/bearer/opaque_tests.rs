//! Opaque tokens against a provider that is asked about them.

use std::rc::Rc;

use serde_json::{json, Value};

use super::tests::{configuration, nobody};
use crate::host::task::{Call, Failure, Reply};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen};
use crate::testing::{form, header, json as answer, status, TestHost, START};

const NOW: u64 = START / 1000;
const ENDPOINT: &str = "https://idp.example/introspect";

fn with_introspection(introspection: Value) -> Value {
    let mut configuration = configuration();
    let oidc = &mut configuration["accounts"][0]["identity_providers"][0]["oidc"];
    oidc["introspection"] = introspection;
    oidc["client_secret"] = json!({ "value": "s3cret" });
    configuration
}

fn active(change: Value) -> Value {
    let mut claims = json!({
        "active": true, "iss": "https://idp.example", "sub": "1", "aud": "lakehouse-api", "client_id": "cli",
        "iat": NOW, "exp": NOW + 3600, "token_type": "Bearer", "email": "ada@acme.com", "scope": "read",
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn ask(filter_state: &Rc<FilterState>, token: &str, respond: &mut dyn FnMut(&Call) -> Reply) -> Seen {
    let mut program = Browser::new(filter_state, "app.example")
        .with("authorization", &format!("Bearer {token}"))
        .with("accept", "*/*");
    program.get("/reports", respond)
}

#[test]
fn an_opaque_token_is_asked_about_once_and_remembered_until_recheck() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &with_introspection(json!(ENDPOINT)));
    let seen = ask(&filter_state, "opaque-1", &mut |_| answer(&active(json!({}))));
    assert!(seen.pass.is_some(), "{}", seen.text());
    assert_eq!(seen.calls.len(), 1);
    let call = &seen.calls[0];
    assert_eq!(header(call, ":path"), Some("/introspect"));
    assert_eq!(header(call, "authorization"), Some("Basic YXBwOnMzY3JldA=="));
    let sent = form(call);
    assert_eq!(sent[0], ("token".into(), "opaque-1".into()));
    assert_eq!(sent[1], ("token_type_hint".into(), "access_token".into()));
    assert!(ask(&filter_state, "opaque-1", &mut nobody).pass.is_some());
    host.advance(5 * 60_000 + 1);
    assert_eq!(ask(&filter_state, "opaque-1", &mut |_| answer(&active(json!({})))).calls.len(), 1);
    // Revoked at the provider: it ends at the next check.
    host.advance(5 * 60_000 + 1);
    let seen = ask(&filter_state, "opaque-1", &mut |_| answer(&json!({ "active": false })));
    assert_eq!((seen.status(), seen.code()), (401, "token_invalid"));
    assert_eq!(
        ask(&filter_state, "opaque-1", &mut nobody).code(),
        "token_invalid",
        "refusals are remembered"
    );
    host.advance(30_000);
    assert!(ask(&filter_state, "opaque-1", &mut |_| answer(&active(json!({ "exp": NOW + 3600 }))))
        .pass
        .is_some());
    assert!(!host.logs().iter().any(|(_, line)| line.contains("opaque-1")), "no token in the log");
}

#[test]
fn a_token_ends_with_its_exp() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &with_introspection(json!(ENDPOINT)));
    assert!(ask(&filter_state, "short", &mut |_| answer(&active(json!({ "exp": NOW + 10 })))).pass.is_some());
    host.advance(69_000);
    assert!(ask(&filter_state, "short", &mut nobody).pass.is_some(), "clocks may differ by a minute");
    host.advance(1_000);
    let seen = ask(&filter_state, "short", &mut |_| answer(&active(json!({ "exp": NOW + 10 }))));
    assert_eq!((seen.code(), seen.calls.len()), ("token_invalid", 1));
}

#[test]
fn what_the_provider_says_of_another_token_does_not_count() {
    let filter_state = filter_state(&TestHost::new(), &with_introspection(json!(ENDPOINT)));
    for (n, (change, passes)) in [
        (json!({}), true),
        (json!({ "aud": ["x", "lakehouse-api"], "iss": null, "token_type": null }), true),
        (json!({ "aud": null }), true),
        (json!({ "exp": null, "iat": null }), true),
        (json!({ "active": "true" }), false),
        (json!({ "active": 1 }), false),
        (json!({ "active": null }), false),
        (json!({ "aud": "another-client" }), false),
        (json!({ "aud": ["app"] }), false),
        (json!({ "aud": [] }), false),
        (json!({ "aud": 1 }), false),
        (json!({ "iss": "https://evil.example" }), false),
        (json!({ "iss": 1 }), false),
        (json!({ "exp": NOW - 100 }), false),
        (json!({ "exp": "never" }), false),
        (json!({ "nbf": NOW + 100 }), false),
        (json!({ "iat": NOW + 100 }), false),
        (json!({ "auth_time": NOW + 100 }), false),
        (json!({ "cnf": { "jkt": "x" } }), false),
        (json!({ "cnf": {} }), false),
        (json!({ "token_type": "DPoP" }), false),
        (json!({ "token_type": "refresh_token" }), false),
        (json!({ "typ": "Refresh" }), false),
        (json!({ "typ": "ID" }), false),
        (json!({ "token_use": "refresh_token" }), false),
        (json!({ "token_use": "id" }), false),
    ]
    .into_iter()
    .enumerate()
    {
        let seen = ask(&filter_state, &format!("token-{n}"), &mut |_| answer(&active(change.clone())));
        assert_eq!(seen.pass.is_some(), passes, "{change}: {}", seen.text());
        assert_eq!(seen.code() == "token_invalid", !passes, "{change}");
    }
    // The endpoint of the discovery document answers for every application of the provider.
    let mut configuration = with_introspection(json!(true));
    let oidc = configuration["accounts"][0]["identity_providers"][0]["oidc"].as_object_mut().unwrap();
    for name in ["issuer", "authorization_endpoint", "token_endpoint"] {
        oidc.remove(name);
    }
    oidc.insert("discovery".into(), json!("https://idp.example/.well-known/openid-configuration"));
    let filter_state = crate::testing::browser::filter_state(&TestHost::new(), &configuration);
    let provider = |change: Value| {
        move |call: &Call| match header(call, ":path") {
            Some("/.well-known/openid-configuration") => answer(&json!({
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "introspection_endpoint": ENDPOINT,
            })),
            _ => answer(&active(change.clone())),
        }
    };
    assert_eq!(ask(&filter_state, "a", &mut provider(json!({ "aud": null }))).code(), "token_invalid");
    assert!(ask(&filter_state, "b", &mut provider(json!({}))).pass.is_some());
}

#[test]
fn a_provider_that_cannot_say_lets_nobody_new_in_and_nobody_known_out() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &with_introspection(json!(ENDPOINT)));
    assert!(ask(&filter_state, "known", &mut |_| answer(&active(json!({})))).pass.is_some());
    host.advance(5 * 60_000 + 1);
    let faults: [(&dyn Fn() -> Reply, u16, &str); 5] = [
        (&|| Reply::Failed(Failure::Unreachable), 503, "idp_unavailable"),
        (&|| Reply::Failed(Failure::Timeout), 504, "idp_timeout"),
        (&|| status(500, "application/json", "{}"), 503, "idp_unavailable"),
        (&|| status(401, "application/json", r#"{"error":"invalid_client"}"#), 502, "idp_invalid_answer"),
        (&|| status(200, "text/html", "<p>"), 502, "idp_invalid_answer"),
    ];
    for (n, (reply, wanted, code)) in faults.into_iter().enumerate() {
        let seen = ask(&filter_state, &format!("new-{n}"), &mut |_| reply());
        assert_eq!((seen.status(), seen.code()), (wanted, code));
        let seen = ask(&filter_state, &format!("new-{n}"), &mut nobody);
        assert_eq!((seen.status(), seen.code()), (wanted, code), "remembered for two seconds");
        assert!(ask(&filter_state, "known", &mut |_| reply()).pass.is_some());
        host.advance(6_000);
    }
    host.advance(3_600_000);
    assert_eq!(ask(&filter_state, "known", &mut |_| Reply::Failed(Failure::Timeout)).code(), "idp_timeout");
}

#[test]
fn a_flood_of_random_tokens_is_bounded_and_a_known_token_passes_beside_it() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &with_introspection(json!(ENDPOINT)));
    assert!(ask(&filter_state, "known", &mut |_| answer(&active(json!({})))).pass.is_some());
    let mut calls = 0;
    for n in 0..1_000 {
        let seen = ask(&filter_state, &format!("random-{n}"), &mut |_| answer(&json!({ "active": false })));
        calls += seen.calls.len();
        assert!(matches!(seen.code(), "token_invalid" | "idp_unavailable"), "{}", seen.code());
    }
    assert_eq!(calls, 99, "100 in a second, with the known one");
    assert!(ask(&filter_state, "known", &mut nobody).pass.is_some());
    let long = "x".repeat(5_000);
    assert_eq!(ask(&filter_state, &long, &mut nobody).code(), "token_invalid");
    // Without introspection nobody is asked about such a token.
    let plain = crate::testing::browser::filter_state(&host, &configuration());
    assert_eq!(ask(&plain, "opaque", &mut nobody).code(), "token_invalid");
    // A JWT is verified here and never sent anywhere.
    assert_eq!(ask(&filter_state, "eyJhbGciOiJub25lIn0.e30.", &mut nobody).code(), "token_invalid");
}

#[test]
fn who_waits_beside_a_question_is_answered_with_it() {
    use crate::exchange::{Outcome, Ruling};
    use crate::host::task::Step;
    use crate::http::Head;
    let filter_state = filter_state(&TestHost::new(), &with_introspection(json!(ENDPOINT)));
    let request = || {
        let headers = [
            (":method", "GET"),
            (":path", "/reports"),
            (":authority", "app.example"),
            ("authorization", "Bearer together"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        crate::gate::rule(&filter_state, Rc::new(Head::new(headers.into(), true)))
    };
    let begin = |ruling: Ruling| match ruling {
        Ruling::Flow(mut task, _) => match task.start() {
            Step::Wait(ready) => (task, ready),
            _ => panic!("it waits"),
        },
        _ => panic!("a flow decides"),
    };
    let mut waiting: Vec<_> = (0..20).map(|_| begin(request())).collect();
    assert!(waiting.iter_mut().all(|(_, ready)| !ready()));
    let mut calls = Vec::new();
    let mut respond = |_: &Call| answer(&active(json!({})));
    crate::testing::browser::run_errands(&filter_state, &mut respond, &mut calls);
    assert_eq!(calls.len(), 1, "one call for one token");
    for (task, ready) in &mut waiting {
        assert!(ready());
        assert!(matches!(task.start(), Step::Done(Ok(Outcome::Pass(_)))));
    }
}
