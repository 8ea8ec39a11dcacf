//! Protected resources: their metadata, challenges and scopes.

use serde_json::{json, Value};

use super::tests::{bearer, configuration, io, nobody, token};
use crate::testing::browser::{filter_state, Browser};
use crate::testing::TestHost;

fn with_resource() -> Value {
    let mut configuration = configuration();
    let account = &mut configuration["accounts"][0];
    let rules = account["access"].as_array_mut().unwrap();
    rules.insert(
        0,
        json!({ "prefix": "/mcp/", "allow": "users",
            "resource": { "name": "Reports", "scopes": ["reports.read", "reports.list"] } }),
    );
    rules.push(json!({ "path": "/feed", "allow": "users", "resource": {} }));
    configuration
}

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

#[test]
fn metadata_is_public_absolute_and_open_to_scripts() {
    let filter_state = filter_state(&TestHost::new(), &with_resource());
    let mut anybody = Browser::new(&filter_state, "APP.example:443").with("origin", "https://other.example");
    for method in ["GET", "HEAD"] {
        let seen = anybody.send(method, METADATA, None, &mut nobody);
        let answer = seen.answer.as_ref().unwrap();
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(
            (seen.status(), seen.json()),
            (
                200,
                json!({
                    "resource": "https://app.example/mcp", "resource_name": "Reports",
                    "authorization_servers": ["https://idp.example"],
                    "scopes_supported": ["reports.read", "reports.list"], "bearer_methods_supported": ["header"],
                })
            )
        );
    }
    let mut preflight =
        Browser::new(&filter_state, "app.example").with("access-control-request-method", "GET");
    let seen = preflight.send("OPTIONS", METADATA, None, &mut nobody);
    assert_eq!(seen.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD"),
        ("access-control-allow-headers", "*, authorization"),
    ] {
        assert_eq!(seen.answer.as_ref().unwrap().header(name), Some(value));
    }
    let seen = anybody.send("DELETE", METADATA, None, &mut nobody);
    assert_eq!((seen.status(), seen.code()), (405, "method_not_allowed"));
    // Other paths below are the application's, under its own rules.
    for path in ["", "/other", "/mcp/", "/mcp/x", "/MCP", "/feed/"] {
        let target = format!("/.well-known/oauth-protected-resource{path}");
        assert_eq!(anybody.get(&target, &mut nobody).status(), 302, "{path}");
    }
    assert_eq!(anybody.get("/.well-known/oauth-protected-resource/feed", &mut nobody).status(), 200);
}

#[test]
fn a_challenge_leads_to_the_metadata() {
    let filter_state = filter_state(&TestHost::new(), &with_resource());
    let more = ", resource_metadata=\"https://app.example/.well-known/oauth-protected-resource/mcp\", \
                scope=\"reports.read reports.list\"";
    let challenge = |path: &str, authorization: &str| {
        let seen = io(&filter_state, path, authorization);
        let answer = seen.answer.as_ref().unwrap();
        (seen.status(), seen.code().to_owned(), answer.header("www-authenticate").unwrap().to_owned())
    };
    let (status, code, text) = challenge("/mcp/tools", "Negotiate x");
    assert_eq!((status, code.as_str()), (401, "login_required"));
    assert_eq!(text, format!("Bearer realm=\"sso\"{more}"));
    let (status, code, text) = challenge("/mcp/tools", "Bearer nonsense");
    assert_eq!((status, code.as_str()), (401, "token_invalid"));
    assert!(text.contains("error=\"invalid_token\"") && text.ends_with(more), "{text}");
    let (status, code, text) = challenge("/mcp/tools", &bearer(&token(json!({ "scope": "reports.read x" }))));
    assert_eq!((status, code.as_str()), (403, "insufficient_scope"));
    assert_eq!(text, format!("Bearer realm=\"sso\", error=\"insufficient_scope\"{more}"));
    let (_, _, text) = challenge("/reports", "Negotiate x");
    assert_eq!(text, "Bearer realm=\"sso\"");
    let (_, _, text) = challenge("/feed", "Negotiate x");
    assert!(text.ends_with("/.well-known/oauth-protected-resource/feed\""), "{text}");
}

#[test]
fn every_scope_is_needed_in_a_token_in_any_of_its_forms() {
    let filter_state = filter_state(&TestHost::new(), &with_resource());
    for (scopes, passes) in [
        (json!({ "scope": "a reports.list reports.read" }), true),
        (json!({ "scp": ["reports.read", "reports.list"] }), true),
        (json!({ "scp": "reports.read reports.list" }), true),
        (json!({}), false),
        (json!({ "scope": "reports.list" }), false),
        (json!({ "scope": "reports.readreports.list" }), false),
        (json!({ "scope": "REPORTS.READ reports.list" }), false),
        (json!({ "scope": { "reports.read": true, "reports.list": true } }), false),
        (json!({ "scp": [["reports.read", "reports.list"]] }), false),
    ] {
        // A remembered token is judged as one that is new.
        for _ in 0..2 {
            let seen = io(&filter_state, "/mcp/", &bearer(&token(scopes.clone())));
            assert_eq!(seen.pass.is_some(), passes, "{scopes}");
            assert_eq!(seen.code() == "insufficient_scope", !passes, "{scopes}");
        }
    }
    // Elsewhere none is needed.
    assert!(io(&filter_state, "/feed", &bearer(&token(json!({})))).pass.is_some());
    // Every spelling of the path asks for them.
    for path in ["/mcp", "/MCP/x", "/mcp;v=1/x", "/x/..;/mcp/y", "/%6dcp/x"] {
        assert_eq!(
            io(&filter_state, path, &bearer(&token(json!({})))).code(),
            "insufficient_scope",
            "{path}"
        );
    }
}
