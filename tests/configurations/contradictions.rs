//! One contradiction of each kind, by its path.

use serde_json::json;

use crate::access::{assertion, forward, key, rule, P256, P384};
use crate::{check, good, problems};

#[test]
fn each_contradiction_is_named_with_its_path() {
    assert_eq!(problems(&good()), Vec::<String>::new());
    let provider = "/accounts/0/identity_providers/0";
    for (pointer, value, path) in [
        ("/session/keys", json!([]), "session.keys: "),
        ("/session/keys/0/env", json!("NOWHERE"), "session.keys[0].env: "),
        ("/session/keys/0/env", json!("SECRET"), "session.keys[0]: "),
        ("/session/keys/0/env", json!("hunter2+swordfish="), "session.keys[0].env: is not a variable's name"),
        ("/session/keys", json!(["hunter2"]), "session.keys[0]: expected an object with env"),
        ("/session/idle", json!("soon"), "session.idle: "),
        ("/accounts", json!([]), "accounts: "),
        ("/accounts/0/origins", json!(["https://app.example.com/path"]), "accounts[0].origins[0]: "),
        ("/accounts/0/origins", json!(["https://u:hunter2@app.example.com"]), "accounts[0].origins[0]: "),
        ("/accounts/0/origins", json!(["ftp://app.example.com"]), "accounts[0].origins[0]: "),
        ("/accounts/0/sso", json!("on"), "accounts[0].sso: "),
        ("/accounts/0/paths", json!({ "login": "/sso/logout" }), "accounts[0].paths.logout: "),
        ("/accounts/0/paths", json!({ "login": "//x" }), "accounts[0].paths.login: "),
        ("/accounts/0/identity_providers", json!([]), "accounts[0].identity_providers: "),
        ("/accounts/0/password", json!({ "mode": "admins" }), "accounts[0].password.mode: "),
        ("/accounts/0/password", json!({ "mode": "admins" }), "accounts[0].password.admin_roles: "),
        (
            "/accounts/0/password",
            json!({ "logins": [{ "path": "/l", "username": {} }] }),
            "accounts[0].password.logins[0].username: ",
        ),
        ("/accounts/0/provisioning", json!({ "mode": "invited" }), "accounts[0].provisioning.mode: "),
        (
            "/accounts/0/access",
            json!([{ "path": "/a", "prefix": "/b", "allow": "anyone" }]),
            "accounts[0].access[0]: ",
        ),
        ("/accounts/0/access", json!([{ "path": "/a" }]), "accounts[0].access[0].allow: "),
        rule(json!({ "allow": "optional", "roles": ["a"] }), ": "),
        rule(json!({ "allow": "optional", "when": [{ "user": ["a"] }] }), ": "),
        rule(json!({ "allow": "anyone", "max_age": "1h" }), ": "),
        rule(json!({ "allow": "users", "methods": ["get"] }), ".methods[0]: "),
        rule(json!({ "allow": "users", "methods": ["GET", ""] }), ".methods[1]: "),
        rule(json!({ "allow": "users", "when": [{}] }), ".when[0]: "),
        rule(json!({ "allow": "users", "when": [{ "user": ["a"], "idp": "corp" }] }), ".when[0]: "),
        rule(json!({ "allow": "users", "when": [{ "claim": "a" }] }), ".when[0].in: "),
        rule(json!({ "allow": "users", "when": [{ "user": ["a"], "in": ["a"] }] }), ".when[0].in: "),
        rule(json!({ "allow": "users", "when": [{ "claim": "", "in": ["a"] }] }), ".when[0].claim: "),
        rule(json!({ "allow": "users", "when": [{ "user": ["a"] }, { "idp": "none" }] }), ".when[1].idp: "),
        rule(json!({ "allow": "users", "when": [{ "idp": [] }] }), ".when[0].idp: "),
        rule(json!({ "allow": "users", "when": [{ "amr": 5 }] }), ".when[0].amr: "),
        rule(json!({ "allow": "users", "when": [{ "method": ["sso", "saml"] }] }), ".when[0].method: "),
        rule(
            json!({ "allow": "users", "when": [{ "email_domain": ["a@b.c"] }] }),
            ".when[0].email_domain[0]: ",
        ),
        forward(json!({ "identity": ["user", "phone"] }), ".identity[1]: "),
        forward(json!({ "identity": ["user", "user"] }), ".identity[1]: "),
        forward(json!({ "id_token": "authorization" }), ".id_token: "),
        forward(json!({ "id_token": "x-a", "access_token": "X-A" }), ".id_token: "),
        forward(json!({ "id_token": "x-sso-user" }), ".id_token: "),
        forward(assertion(json!({ "audience": "" })), ".assertion.audience: "),
        forward(assertion(json!({ "keys": [] })), ".assertion.keys: "),
        forward(assertion(json!({ "lifetime": "2s" })), ".assertion.lifetime: "),
        forward(assertion(json!({ "header": "cookie" })), ".assertion.header: "),
        forward(assertion(json!({ "header": "x-sso-roles" })), ".assertion.header: "),
        forward(assertion(json!({ "keys": [key("a", P256), key("a", P256)] })), ".assertion.keys[1].id: "),
        forward(assertion(json!({ "keys": [key("", P256)] })), ".assertion.keys[0].id: "),
        forward(assertion(json!({ "keys": [key("a", P384)] })), ".assertion.keys[0].private_key: "),
        forward(
            assertion(json!({ "keys": [key("a", "hunter2-hunter2")] })),
            ".assertion.keys[0].private_key: ",
        ),
        (
            "/accounts/0/access",
            json!([{ "prefix": "/a%2e", "allow": "anyone" }]),
            "accounts[0].access[0].prefix: ",
        ),
        (
            "/accounts/0/access",
            json!([{ "prefix": "/a/", "allow": "anyone", "roles": ["x"] }]),
            "accounts[0].access[0]: ",
        ),
        (
            "/accounts/0/access",
            json!([{ "prefix": "/a/", "allow": "users", "acr_values": ["mfa", "two words"] }]),
            "accounts[0].access[0].acr_values: ",
        ),
        (
            "/accounts/0/access",
            json!([{ "prefix": "/a/", "allow": "users", "acr_values": ["m\"fa"] }]),
            "accounts[0].access[0].acr_values: ",
        ),
        ("/accounts/0/bearer", json!({ "audiences": [] }), "accounts[0].bearer.audiences: "),
        (
            "/accounts/0/bearer",
            json!({ "audiences": ["api"], "providers": ["nobody"] }),
            "accounts[0].bearer.providers[0]: ",
        ),
        (
            "/accounts/0/bearer",
            json!({ "audiences": ["api"], "issuers": { "nobody": "https://sts.example.com" } }),
            "accounts[0].bearer.issuers.nobody: ",
        ),
        (
            "/accounts/0/forward",
            json!({ "headers": { "cookie": "x" } }),
            "accounts[0].forward.headers.cookie: ",
        ),
        ("/accounts/0/forward", json!({ "access_token": "host" }), "accounts[0].forward.access_token: "),
    ] {
        check(pointer, value, path);
    }
    for name in
        ["x-sso-roles", "X-SSO-Roles", "x-sso-user", "x-forwarded-for", "x-forwarded-host", "host", "a_b"]
    {
        let path = format!("accounts[0].forward.headers.{name}: ");
        check("/accounts/0/forward", json!({ "headers": { name: "x" } }), &path);
    }
    check(
        "/accounts/0/forward",
        json!({ "headers": { "x-who": "a", "X-Who": "b" } }),
        "accounts[0].forward.headers.x-who: is there twice",
    );
    for name in ["x-who", "X-WHO", "x-sso-user"] {
        check(
            "/accounts/0/forward",
            json!({ "headers": { "x-Who": "a" }, "access_token": name }),
            "accounts[0].forward.access_token: ",
        );
    }
    for prefix in
        ["content-", "Content-", "x-envoy-", "x-envoy-sso-", "x-forwarded-", "sec-", "user-", "x-", "sso"]
    {
        check("/accounts/0/forward", json!({ "prefix": prefix }), "accounts[0].forward.prefix: ");
    }
    for (prefix, header) in [
        ("x-sso-", "x-who"),
        ("x-who-", "x-sso-roles"),
        ("remote-", "x-sso"),
        ("x-sso-", "x-sso-department"),
        ("x-sso-", "x-forwarded-email"),
    ] {
        let mut document = good();
        document["accounts"][0]["forward"] =
            json!({ "prefix": prefix, "headers": { header: "a" }, "access_token": "x-token" });
        assert_eq!(problems(&document), Vec::<String>::new(), "{prefix}");
    }
    for (field, value, path) in [
        ("/id", json!("a b"), "id: "),
        ("/oauth2", json!({}), "expected exactly one of oidc, oauth2 and saml"),
        ("/oidc/client_id", json!(""), "oidc.client_id: "),
        ("/oidc/client_auth", json!("private_key_jwt"), "oidc.client_auth: "),
        ("/oidc/client_secret", json!({ "env": "SECRET", "value": "x" }), "oidc.client_secret: "),
        (
            "/oidc/client_secret",
            json!("hunter2-swordfish"),
            "oidc.client_secret: expected an object with env",
        ),
        ("/oidc/client_secret", json!({ "env": "hunter2-swordfish" }), "oidc.client_secret.env: "),
        ("/oidc/discovery", json!("http://svc:hunter2@idp"), "no user and password"),
        ("/oidc/token_endpoint", json!("https://hunter2@idp"), "no user and password"),
        ("/oidc/scope", json!(["email"]), "oidc.scope: "),
        ("/oidc/authorization_params", json!({ "state": "x" }), "oidc.authorization_params.state: "),
        ("/oidc/token_params", json!({ "code": "x" }), "oidc.token_params.code: "),
        ("/oidc/discovery", json!("idp.example.com"), "oidc.discovery: "),
        ("/oidc/id_token_signed_response_alg", json!("none"), "oidc.id_token_signed_response_alg: "),
    ] {
        check(&format!("{provider}{field}"), value, path);
    }
}
