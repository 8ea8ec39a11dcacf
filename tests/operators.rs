//! Mistakes that operators make, and what `envoy-sso check` says of each: every row can be mended from its words.
//!
//! What only a provider or directory can show stands in `tests/online.rs` (`check --online`), what only a running Envoy can show
//! in `tests/e2e/test_operators.py` (the log).

#![allow(clippy::unwrap_used)] // helpers of tests

mod command;

use serde_json::{json, Value};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// What `check -` says of a document.
fn said(document: &str) -> (bool, String) {
    let output = command::given(command::command().args(["check", "-"]), document);
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// A configuration without a mistake: `check` has nothing to say but "ok".
fn good() -> Value {
    json!({
        "session": { "keys": [{ "id": "a", "value": KEY }] },
        "clusters": { "idp.example.com": "idp" },
        "accounts": [{
            "code": "acme",
            "origins": ["https://app.example.com"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "title": "Acme staff", "oidc": {
                "discovery": "https://idp.example.com/.well-known/openid-configuration",
                "client_id": "app", "client_secret": { "value": "a-secret-of-tests" },
            } }],
        }],
    })
}

fn logins() -> Value {
    json!({
        "mode": "enabled", "page": "/login",
        "logins": [{ "path": "/api/login", "username": { "json": "/username" }, "fields": ["username", "password"],
                     "success": { "status": [200], "cookie": "app" } }],
    })
}

/// An Envoy configuration that holds it.
fn envoy(configuration: &Value, stops_headers: bool, variables: &[&str]) -> Value {
    json!({
        "static_resources": {
            "listeners": [{ "typed_config": { "@type": WASM, "config": {
                "allow_on_headers_stop_iteration": stops_headers,
                "vm_config": { "code": { "local": { "filename": "envoy_sso.wasm" } },
                               "environment_variables": { "host_env_keys": variables } },
                "configuration": { "@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration },
            } } }],
            "clusters": [{ "name": "idp" }],
        },
    })
}

/// The good one with another value at a pointer; `null` takes the member away.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let map = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => map.remove(name),
        value => map.insert(name.to_owned(), value),
    };
    document
}

#[test]
fn the_twin_without_a_mistake_passes_without_a_warning() {
    for document in [good(), envoy(&good(), true, &[])] {
        assert_eq!(said(&document.to_string()), (true, "-: ok\n".into()), "{document}");
    }
}

#[test]
fn an_issuer_that_a_provider_can_have_is_no_mistake() {
    let oidc = "/accounts/0/identity_providers/0/oidc";
    for issuer in [
        "https://idp.example.com",
        "https://tenant.example.com/GUID/v2.0/",
        "https://idp.example.com/realms/acme",
    ] {
        let document = with(&format!("{oidc}/issuer"), json!(issuer));
        assert_eq!(said(&document.to_string()), (true, "-: ok\n".into()), "{issuer}");
    }
    // By hand a trailing slash may be the provider's own, as Auth0's is.
    let mut by_hand = good();
    *by_hand.pointer_mut(oidc).unwrap() = json!({
        "issuer": "https://idp.example.com/", "authorization_endpoint": "https://idp.example.com/authorize",
        "token_endpoint": "https://idp.example.com/token", "jwks_uri": "https://idp.example.com/jwks",
        "client_id": "app", "client_secret": { "value": "a-secret-of-tests" },
    });
    assert_eq!(said(&by_hand.to_string()), (true, "-: ok\n".into()));
}

#[test]
fn a_discovery_address_that_providers_have_is_no_mistake() {
    for address in [
        "/realms/acme/.well-known/openid-configuration",
        "/.well-known/openid-configuration/tenant",
        "/.well-known/oauth-authorization-server/tenant",
        "/v2.0/.well-known/openid-configuration?p=policy",
    ] {
        let url = format!("https://idp.example.com{address}");
        let document = with("/accounts/0/identity_providers/0/oidc/discovery", json!(url));
        assert_eq!(said(&document.to_string()), (true, "-: ok\n".into()), "{address}");
    }
}

#[test]
fn administrators_whom_a_sign_in_can_prove_are_no_mistake() {
    let password = json!({ "mode": "disabled", "administrators": ["root"], "admin_roles": ["boss"],
        "logins": logins()["logins"] });
    let mapping = json!({ "claim": "email", "roles_claim": "groups", "role_map": { "bosses": "boss" } });
    let users = json!({ "static": { "users": [{ "username": "root", "email": "root@acme.com", "roles": ["boss"] }] } });
    for (name, value) in [("mapping", mapping), ("directory", users)] {
        let mut document = with("/accounts/0/password", password.clone());
        document["accounts"][0][name] = value;
        assert_eq!(said(&document.to_string()), (true, "-: ok\n".into()), "{name}");
    }
}

#[test]
fn plain_http_on_this_machine_is_no_mistake() {
    for (origin, secure) in [
        ("http://localhost:8080", false),
        ("http://localhost:8080", true),
        ("http://acme.localhost:8080", false),
        ("https://app.example.com:8443", true),
    ] {
        let mut document = with("/accounts/0/origins", json!([origin]));
        document["cookies"] = json!({ "secure": secure });
        assert_eq!(said(&document.to_string()), (true, "-: ok\n".into()), "{origin} {secure}");
    }
}

#[test]
fn every_mistake_has_its_words() {
    let oidc = "/accounts/0/identity_providers/0/oidc";
    let at = |field: &str| format!("{oidc}/{field}");
    let issued = |issuer: &str| with(&at("issuer"), json!(issuer)).to_string();
    let secret = with(&at("client_secret"), json!({ "env": "OIDC_SECRET" }));
    let password = with("/accounts/0/password", logins());
    let istio = |own: &Value| json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": own, "url": "oci://r/envoy-sso" } });
    let gateway =
        |own: &Value| json!({ "kind": "EnvoyExtensionPolicy", "spec": { "wasm": [{ "config": own }] } });
    let misspelt = good().to_string().replace("origins", "orgins");
    let issuer = "https://idp.example.com/realms/acme";
    let rows: Vec<(&str, String, bool, &str)> = vec![
        ("the issuer as discovery", with(&at("discovery"), json!(issuer)).to_string(), true,
         "expected https://idp.example.com/realms/acme/.well-known/openid-configuration"),
        ("the issuer alone", with(&at("discovery"), Value::Null).to_string(), false, "oidc.issuer: is missing"),
        ("a host without a cluster", with("/clusters", json!({ "other.example.com": "idp" })).to_string(), true,
         "idp.example.com"),
        ("a cluster that Envoy does not have", envoy(&with("/clusters", json!({ "*": "ipd" })), true, &[]).to_string(), true,
         "clusters.*: \"ipd\" is not among the static clusters of this file (idp): correct the name"),
        ("the engine's cluster that Envoy does not have",
         envoy(&with("/shared", json!({ "engine": "etcd", "cluster": "etcd" })), true, &[]).to_string(), true,
         "shared.cluster: \"etcd\" is not among the static clusters"),
        ("a variable that the VM does not get", envoy(&secret, true, &["OTHER"]).to_string(), false,
         "client_secret.env: OIDC_SECRET is not in static_resources.listeners[0].typed_config.config.vm_config.environment_variables.host_env_keys"),
        ("a variable that Istio's VM does not get", istio(&secret).to_string(), false, "OIDC_SECRET is not in spec.vmConfig.env"),
        ("a variable that Envoy Gateway's VM does not get", gateway(&secret).to_string(), false,
         "OIDC_SECRET is not in spec.wasm[0].env.hostKeys"),
        ("a variable that is missing here", secret.to_string(), true, "OIDC_SECRET is not set here"),
        ("password logins without the flag", envoy(&password, false, &[]).to_string(), false,
         "accounts[0].password.logins: need allow_on_headers_stop_iteration: true"),
        ("password logins in a WasmPlugin", istio(&password).to_string(), true, "use an EnvoyFilter"),
        ("password logins in Envoy Gateway", gateway(&password).to_string(), true, "EnvoyPatchPolicy"),
        ("no title", with("/accounts/0/identity_providers/0/title", Value::Null).to_string(), true,
         "title: is missing: the page's button says \"corp\""),
        ("Google without a directory", with(&at("discovery"), json!("https://accounts.google.com/.well-known/openid-configuration"))
            .to_string().replace("idp.example.com", "accounts.google.com"), true, "anyone can have an account at this provider"),
        ("Entra common without a directory",
         with(&at("discovery"), json!("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"))
            .to_string().replace("idp.example.com", "login.microsoftonline.com"), true, "anyone can have an account at this provider"),
        ("https where the origin is http", with("/accounts/0/origins", json!(["http://app.example.com"])).to_string(), true,
         "browsers drop Secure cookies"),
        ("a public host over http", {
            let mut open = with("/accounts/0/origins", json!(["http://app.example.com"]));
            open["cookies"] = json!({ "secure": false });
            open.to_string()
        }, true, "accounts[0].origins[0]: is plain http: an attacker on the way can read the session cookie"),
        ("cookies without Secure", with("/cookies", json!({ "secure": false })).to_string(), true,
         "cookies.secure: is false, and https://app.example.com is https"),
        ("the port of the other scheme", with("/accounts/0/origins", json!(["https://app.example.com:80"])).to_string(), true,
         "accounts[0].origins[0]: has the scheme https with the port :80 of the other"),
        ("administrators that nothing proves", with("/accounts/0/password", json!({ "administrators": ["root"], "logins": logins()["logins"] })).to_string(),
         true, "accounts[0].password.administrators: have no effect without a directory"),
        ("administrators by password alone", {
            let mut named = with("/accounts/0/password", logins());
            named["accounts"][0]["password"]["administrators"] = json!(["root"]);
            named.to_string()
        }, true, "accounts[0].password.administrators: count after a password login alone"),
        ("admin_roles that nobody can have", with("/accounts/0/password", json!({ "mode": "disabled", "admin_roles": ["boss"] })).to_string(), true,
         "accounts[0].password.admin_roles: no user can have one of them"),
        ("a wrong well-known path", with(&at("discovery"), json!("https://idp.example.com/.well-known/openid?key=secret")).to_string(), true,
         "https://idp.example.com/.well-known/openid is not where providers have the document; expected https://idp.example.com/.well-known/openid-configuration\n"),
        ("a provider over http", with(&at("discovery"), json!("http://idp.example.com/.well-known/openid-configuration")).to_string(),
         true, "is plain http"),
        ("a key that is short", good().to_string().replace(KEY, "c2hvcnQ="), false, "expected 32 bytes in base64"),
        ("a passphrase for a key", good().to_string().replace(KEY, "correct horse"), false, "envoy-sso keygen"),
        ("no key", with("/session/keys", json!([])).to_string(), false, "at least one key is needed"),
        ("a typo in a field", misspelt, false, "did you mean origins?"),
        ("a typo at the top", good().to_string().replace("\"session\"", "\"sesion\""), false, "did you mean session?"),
        ("a wrong enum", with("/accounts/0/sso", json!("on")).to_string(), false, "accounts[0].sso"),
        ("a wrong type", with("/accounts/0/origins", json!("https://app.example.com")).to_string(), false, "accounts[0].origins"),
        ("a wrong duration", with("/session/idle", json!("one hour")).to_string(), false, "session.idle: expected a duration"),
        ("a number as duration", with("/session/idle", json!(3600)).to_string(), false, "session.idle"),
        ("a duration without a unit", with("/session/idle", json!("30")).to_string(), false, "session.idle: expected a duration"),
        ("a wrong colour", with("/pages", json!({ "accent": "blue" })).to_string(), false, "pages.accent: expected a colour"),
        ("a code that is there twice", {
            let mut twice = good();
            let account = twice["accounts"][0].clone();
            twice["accounts"].as_array_mut().unwrap().push(account);
            twice.to_string()
        }, false, "accounts[1].code"),
        ("YAML syntax", "session:\n  keys: [\naccounts: []\n".into(), false, "at line 4 column 1"),
        ("a password page that needs a session", with("/accounts/0/password", logins()).to_string(), true, "password.page"),
        ("admins without roles", with("/accounts/0/password", json!({ "mode": "admins" })).to_string(), false, "accounts[0].password"),
        ("a trailing slash in an origin", with("/accounts/0/origins", json!(["https://app.example.com/"])).to_string(), true, "ok"),
        ("a trailing slash in an issuer", issued("https://idp.example.com/"), true, "issuer: ends in a slash that https://idp.example.com lacks"),
        ("an issuer over http", issued("http://idp.example.com"), true, "issuer: is plain http: providers name an https issuer"),
        ("an issuer without a scheme", issued("idp.example.com"), true, "issuer: does not begin with https://"),
        ("an empty issuer", issued(""), true, "issuer: does not begin with https://"),
        ("white space behind an issuer", issued("https://idp.example.com "), true, "issuer: holds ' ', which no issuer has"),
        ("an issuer with a fragment", issued("https://idp.example.com#x"), true, "issuer: holds '#', which no issuer has"),
        ("`sso` forgotten", with("/accounts/0/sso", Value::Null).to_string(), true,
         "accounts[0].sso: is not set: single sign-on is off and everything passes"),
        ("a large RSA key", with(&at("client_key"), json!({ "private_key": { "value": large_key() }, "kid": "k", "alg": "RS256" }))
            .to_string().replace("\"client_secret\":{\"value\":\"a-secret-of-tests\"},", ""), true, "an RSA key of 3072 bits"),
    ];
    assert!(rows.len() >= 33, "{}", rows.len());
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|(mistake, document, passes, words)| {
            let (passed, text) = said(&document);
            (passed != passes || !text.contains(words))
                .then(|| format!("{mistake}: wanted {words:?}, {passes}\n{text}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn large_key() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/test-rsa-3072.pem")).unwrap()
}
