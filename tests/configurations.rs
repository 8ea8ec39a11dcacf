//! Whole configurations: what must pass, and everything that is wrong with one, at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

use envoy_sso::config::{find_in_text, load, Environment, Placeholders, Problem};
use serde_json::{json, Value};

struct Secrets;

impl Environment for Secrets {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "KEY" => Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into()),
            "SECRET" => Some("hunter2-hunter2".into()),
            _ => None,
        }
    }
}

fn good() -> Value {
    json!({
        "session": { "keys": [{ "id": "a", "env": "KEY" }] },
        "clusters": { "*": "idp" },
        "accounts": [{
            "origins": ["https://app.example.com"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oidc": {
                "discovery": "https://idp.example.com/.well-known/openid-configuration",
                "client_id": "app", "client_secret": { "env": "SECRET" },
            } }],
        }],
    })
}

fn problems(document: &Value) -> Vec<String> {
    match load(document.to_string().as_bytes(), &Secrets) {
        Ok(_) => Vec::new(),
        Err(list) => list.iter().map(Problem::to_string).collect(),
    }
}

#[test]
fn the_two_products_configurations_pass() {
    for file in ["control-plane", "lakehouse"] {
        let path = format!("{}/tests/examples/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let found = find_in_text(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(found.len(), 1);
        for configuration in found {
            let loaded = load(configuration.to_string().as_bytes(), &Placeholders);
            assert!(loaded.is_ok(), "{file}: {:?}", loaded.err());
        }
    }
}

#[test]
fn each_contradiction_is_named_with_its_path() {
    assert_eq!(problems(&good()), Vec::<String>::new());
    let provider = "/accounts/0/identity_providers/0";
    for (pointer, value, path) in [
        ("/session/keys", json!([]), "session.keys: "),
        ("/session/keys/0/env", json!("NOWHERE"), "session.keys[0].env: "),
        ("/session/keys/0/env", json!("SECRET"), "session.keys[0]: "),
        ("/session/idle", json!("soon"), "session.idle: "),
        ("/accounts", json!([]), "accounts: "),
        ("/accounts/0/origins", json!(["https://app.example.com/path"]), "accounts[0].origins[0]: "),
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
        (
            "/accounts/0/access",
            json!([{ "prefix": "/a%2e", "allow": "anyone" }]),
            "accounts[0].access[0].prefix: ",
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
    for (field, value, path) in [
        ("/id", json!("a b"), "id: "),
        ("/oauth2", json!({}), "expected exactly one of oidc, oauth2 and saml"),
        ("/oidc/client_id", json!(""), "oidc.client_id: "),
        ("/oidc/client_auth", json!("private_key_jwt"), "oidc.client_auth: "),
        ("/oidc/client_secret", json!({ "env": "SECRET", "value": "x" }), "oidc.client_secret: "),
        ("/oidc/scope", json!(["email"]), "oidc.scope: "),
        ("/oidc/authorization_params", json!({ "state": "x" }), "oidc.authorization_params.state: "),
        ("/oidc/token_params", json!({ "code": "x" }), "oidc.token_params.code: "),
        ("/oidc/discovery", json!("idp.example.com"), "oidc.discovery: "),
        ("/oidc/id_token_signed_response_alg", json!("none"), "oidc.id_token_signed_response_alg: "),
    ] {
        check(&format!("{provider}{field}"), value, path);
    }
}

/// The good configuration with one thing changed has a problem at that path, and never shows a secret.
fn check(pointer: &str, value: Value, path: &str) {
    let mut document = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = value.clone();
    let found = problems(&document);
    assert!(found.iter().any(|problem| problem.contains(path)), "{pointer} = {value}: {found:?}");
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn mistakes_of_every_kind_are_reported_together() {
    let mut document = good();
    document["sesion"] = json!({});
    document["session"]["idle"] = json!("soon");
    document["accounts"][0]["password"] = json!({ "mode": "some" });
    document["accounts"][0]["identity_providers"][0]["oidc"]["client_id"] = json!(7);
    document["accounts"][0]["origins"] = json!(["nowhere"]);
    let found = problems(&document);
    for path in [
        "sesion: ",
        "session.idle: ",
        "accounts[0].password.mode: ",
        "oidc.client_id: ",
        "accounts[0].origins[0]: ",
    ] {
        assert!(found.iter().any(|problem| problem.contains(path)), "{path} in {found:?}");
    }
    assert_eq!(found.len(), 5, "each once: {found:?}");
}

#[test]
fn texts_and_their_languages_are_checked() {
    let with = |pages: Value| {
        let mut document = good();
        document["pages"] = pages;
        load(document.to_string().as_bytes(), &Secrets)
    };
    let good = with(json!({
        "texts": { "sign_in.title": "Come in" },
        "translations": { "de": { "sign_in.title": "Anmelden" }, "zh-CN": {} },
    }));
    assert!(good.unwrap().warnings.is_empty());
    for (pages, path) in [
        (json!({ "texts": { "sign_in.titel": "x" } }), "pages.texts.sign_in.titel"),
        (
            json!({ "translations": { "de": { "sign_in.titel": "x" } } }),
            "pages.translations.de.sign_in.titel",
        ),
    ] {
        let warnings = with(pages).unwrap().warnings;
        assert_eq!(warnings.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), [path]);
    }
    let broken = with(json!({ "translations": { "de_CH": {} } })).unwrap_err();
    assert!(broken[0].to_string().starts_with("pages.translations.de_CH: expected a language tag"));
}
