//! Issuers for programs alone.

use serde_json::{json, Value};

use super::tests::{bearer, configuration, token};
use crate::crypto::test_keys::{token_of, JWKS};
use crate::host::task::{Call, Failure, Reply};
use crate::testing::browser::{filter_state, Browser, Seen};
use crate::testing::{answer, header, json as object, TestHost, START};

const NOW: u64 = START / 1000;
const CI: &str = "https://token.ci.example";

fn with_machines() -> Value {
    let mut configuration = configuration();
    let account = &mut configuration["accounts"][0];
    account["bearer"]["machines"] = json!([{
        "id": "ci", "issuer": CI, "audiences": ["lakehouse"],
        "users": { "repo:acme/etl": "ada", "repo:acme/old": "bob", "repo:acme/gone": "eve" },
    }]);
    configuration
}

fn machine_token(change: Value) -> String {
    let mut claims =
        json!({ "iss": CI, "sub": "repo:acme/etl", "aud": "lakehouse", "iat": NOW, "exp": NOW + 600 });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "JWT"}), &claims.to_string())
}

fn issuer(call: &Call) -> Reply {
    match header(call, ":path") {
        Some("/.well-known/openid-configuration") => {
            object(&json!({ "issuer": CI, "jwks_uri": format!("{CI}/keys") }))
        }
        Some("/keys") => answer("application/json", JWKS),
        other => panic!("nobody asks for {other:?}"),
    }
}

fn ask(configuration: &Value, token: &str, respond: &mut dyn FnMut(&Call) -> Reply) -> Seen {
    let filter_state = filter_state(&TestHost::new(), configuration);
    let mut program = Browser::new(&filter_state, "app.example").with("authorization", &bearer(token));
    program.get("/reports", respond)
}

#[test]
fn a_program_is_the_user_that_the_configuration_names() {
    let seen = ask(&with_machines(), &machine_token(json!({})), &mut issuer);
    let live = seen.pass.unwrap().live.unwrap();
    let told = |name: &str| live.told(name);
    for (name, value) in [
        ("x-sso-user", "ada"),
        ("x-sso-email", "ada@acme.com"),
        ("x-sso-roles", "editor"),
        ("x-sso-idp", "ci"),
        ("x-sso-method", "bearer"),
    ] {
        assert_eq!(told(name).as_deref(), Some(value), "{name}");
    }
    // No claim of the token grants a role, and none leads to another user.
    let claims = json!({ "groups": ["admins"], "email": "bob@acme.com" });
    let seen = ask(&with_machines(), &machine_token(claims), &mut issuer);
    assert_eq!(seen.pass.unwrap().live.unwrap().session.user.roles, ["editor"]);
}

#[test]
fn without_a_directory_it_has_no_roles() {
    let mut configuration = with_machines();
    configuration["accounts"][0].as_object_mut().unwrap().remove("directory");
    let seen = ask(&configuration, &machine_token(json!({ "groups": ["admins"] })), &mut issuer);
    let live = seen.pass.unwrap().live.unwrap();
    assert_eq!((live.session.user.username.as_str(), live.session.user.roles.len()), ("ada", 0));
}

#[test]
fn a_token_of_anybody_else_is_refused() {
    for (change, status, code) in [
        (json!({ "sub": "repo:acme/other" }), 403, "identity_unknown"),
        (json!({ "sub": "REPO:acme/etl" }), 403, "identity_unknown"),
        (json!({ "sub": "repo:acme/etl " }), 403, "identity_unknown"),
        (json!({ "sub": "repo:acme/gone" }), 403, "identity_unknown"),
        (json!({ "sub": "repo:acme/old" }), 403, "user_inactive"),
        (json!({ "sub": null }), 401, "token_invalid"),
        (json!({ "sub": ["repo:acme/etl"] }), 401, "token_invalid"),
        (json!({ "aud": "lakehouse-api" }), 401, "token_invalid"),
        (json!({ "aud": null }), 401, "token_invalid"),
        (json!({ "exp": NOW - 100 }), 401, "token_invalid"),
        (json!({ "exp": null }), 401, "token_invalid"),
        (json!({ "iat": null }), 401, "token_invalid"),
        (json!({ "nbf": NOW + 100 }), 401, "token_invalid"),
        (json!({ "cnf": { "jkt": "x" } }), 401, "token_invalid"),
        (json!({ "events": {} }), 401, "token_invalid"),
        (json!({ "iss": "https://token.ci.example/" }), 401, "token_invalid"),
    ] {
        let seen = ask(&with_machines(), &machine_token(change.clone()), &mut issuer);
        assert_eq!((seen.status(), seen.code()), (status, code), "{change}: {}", seen.text());
    }
    let mut forged = machine_token(json!({}));
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    assert_eq!(ask(&with_machines(), &forged, &mut issuer).code(), "token_invalid");
    // The provider's own tokens count as before, and its audience is not the machine's.
    assert!(ask(&with_machines(), &token(json!({})), &mut issuer).pass.is_some());
    assert_eq!(
        ask(&with_machines(), &token(json!({ "aud": "lakehouse" })), &mut issuer).code(),
        "token_invalid"
    );
}

#[test]
fn the_document_must_speak_for_the_issuer() {
    let mut other = |call: &Call| match header(call, ":path") {
        Some("/keys") => answer("application/json", JWKS),
        _ => object(&json!({ "issuer": "https://evil.example", "jwks_uri": format!("{CI}/keys") })),
    };
    assert_eq!(ask(&with_machines(), &machine_token(json!({})), &mut other).code(), "idp_invalid_answer");
    let down = &mut |_: &Call| Reply::Failed(Failure::Timeout);
    assert_eq!(ask(&with_machines(), &machine_token(json!({})), down).code(), "idp_timeout");
    // With the keys' URL nobody needs a document.
    let mut configuration = with_machines();
    configuration["accounts"][0]["bearer"]["machines"][0]["jwks_uri"] = json!(format!("{CI}/keys"));
    let seen = ask(&configuration, &machine_token(json!({})), &mut issuer);
    assert_eq!((seen.pass.is_some(), seen.calls.len()), (true, 1));
}
