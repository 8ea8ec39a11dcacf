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
        let contents = find_in_text(&std::fs::read_to_string(path).unwrap());
        assert_eq!((contents.found.len(), contents.problems), (1, Vec::new()));
        for found in contents.found {
            let loaded = load(found.configuration.to_string().as_bytes(), &Placeholders);
            assert!(loaded.is_ok(), "{file}: {:?}", loaded.err());
        }
    }
}

const P256: &str = include_str!("keys/test-p256.pem");
const P384: &str = include_str!("keys/test-p384.pem");

/// A configuration with this access rule alone, and where it is wrong.
fn rule(more: Value, place: &'static str) -> (&'static str, Value, &'static str) {
    let mut rule = json!({ "prefix": "/a/" });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = Box::leak(format!("accounts[0].access[0]{place}").into_boxed_str());
    ("/accounts/0/access", json!([rule]), path)
}

fn forward(settings: Value, place: &'static str) -> (&'static str, Value, &'static str) {
    let path = Box::leak(format!("accounts[0].forward{place}").into_boxed_str());
    ("/accounts/0/forward", settings, path)
}

fn key(id: &str, pem: &str) -> Value {
    json!({ "id": id, "private_key": { "value": pem } })
}

fn assertion(changes: Value) -> Value {
    let mut settings = json!({ "audience": "https://app.example.com", "keys": [key("a1", P256)] });
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({ "assertion": settings })
}

#[test]
fn what_rules_and_forward_may_say_passes() {
    for (pointer, value, _) in [
        rule(json!({ "allow": "optional" }), ""),
        rule(json!({ "allow": "optional", "methods": ["GET"] }), ""),
        rule(
            json!({ "allow": "users", "methods": ["GET", "M-SEARCH"], "when": [
            { "claim": "/a/b", "in": ["1"] }, { "email_domain": ["Acme.com"] }, { "user": ["a"] }, { "idp": "corp" },
            { "idp": ["corp"] }, { "amr": "otp" }, { "amr": ["otp", "hwk"] }, { "method": "sso" },
            { "method": ["sso", "password", "bearer"] }] }),
            "",
        ),
        forward(json!({ "identity": [] }), ""),
        forward(
            json!({ "identity": ["method", "user"], "id_token": "X-Id-Token", "access_token": "authorization" }),
            "",
        ),
        forward(assertion(json!({ "lifetime": "3s", "header": "X-Sso-Assertion" })), ""),
        forward(assertion(json!({ "keys": [key("a2", P256), key("a1", P256)] })), ""),
    ] {
        let document = with(&[(pointer, value)]);
        assert_eq!(problems(&document), Vec::<String>::new(), "{document}");
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
        ("/session/keys/0/env", json!("hunter2+swordfish="), "session.keys[0].env: is no variable's name"),
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

fn with_saml(more: Value) -> Value {
    let mut saml = json!({
        "sso_url": "https://idp.example.com/sso", "issuer": "https://idp.example.com",
        "certificates": [include_str!("fixtures/saml/idp.pem")],
    });
    saml.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    saml.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let mut document = good();
    document["accounts"][0]["identity_providers"] = json!([{ "id": "partners", "saml": saml }]);
    document
}

fn large_key() -> Value {
    json!({ "private_key": { "value": include_str!("fixtures/saml/large.key") } })
}

fn saml_key(certificate: Option<&str>) -> Value {
    let mut key = json!({ "private_key": { "value": include_str!("fixtures/saml/sp.key") } });
    if let Some(certificate) = certificate {
        key["certificate"] = json!(certificate);
    }
    key
}

#[test]
fn what_cannot_work_with_a_saml_provider_is_refused_at_load() {
    const SP: &str = include_str!("fixtures/saml/sp.pem");
    const STRANGER: &str = include_str!("fixtures/saml/stranger.pem");
    for (more, path) in [
        (json!({}), None),
        (json!({ "signing": saml_key(Some(SP)), "decryption": saml_key(Some(SP)) }), None),
        (json!({ "signing": saml_key(Some(STRANGER)) }), Some("saml.signing.certificate: ")),
        (json!({ "decryption": saml_key(Some(STRANGER)) }), Some("saml.decryption.certificate: ")),
        (json!({ "entity_id": "https://app.example.com" }), None),
        (json!({ "entity_id": "https://idp.example.com" }), Some("saml.entity_id: ")),
        (json!({ "issuer": "urn:idp:corp" }), None),
        (json!({ "issuer": "https://idp.example.com|x" }), Some("saml.issuer: ")),
        (json!({ "issuer": "https://idp.example.com " }), Some("saml.issuer: ")),
        (json!({ "issuer": "" }), Some("saml.issuer: ")),
    ] {
        let found = problems(&with_saml(more.clone()));
        match path {
            None => assert_eq!(found, Vec::<String>::new(), "{more}"),
            Some(path) => assert!(found.iter().any(|problem| problem.contains(path)), "{path}: {found:?}"),
        }
        assert!(!found.concat().contains("PRIVATE"), "{found:?}");
    }
}

#[test]
fn a_password_page_that_nobody_reaches_is_a_warning_at_load() {
    let login = json!({
        "path": "/api/login", "username": { "json": "/username" }, "fields": ["username", "password"],
        "success": { "status": [200] }
    });
    for (page, access, mode, warned) in [
        ("/login", json!([]), "enabled", true),
        ("/login", json!([{ "path": "/login", "allow": "users" }]), "enabled", true),
        ("/login", json!([{ "path": "/login", "allow": "anyone" }]), "enabled", false),
        ("/login", json!([{ "prefix": "/log", "allow": "programs" }]), "enabled", false),
        ("/login", json!([]), "disabled", false),
        ("/api/login", json!([]), "enabled", false),
    ] {
        let mut document = good();
        document["accounts"][0]["access"] = access.clone();
        document["accounts"][0]["password"] = json!({ "mode": mode, "page": page, "logins": [login] });
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        let found: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        let wanted = if warned { vec!["accounts[0].password.page"] } else { vec![] };
        assert_eq!(found, wanted, "{page} {mode} {access}");
    }
}

#[test]
fn secrets_for_headers_and_forms_are_printable_ascii() {
    for (secret, is_good) in [
        ("hunter2 ~!", true),
        ("one\ntwo", false),
        ("a\u{7f}", false),
        ("a\u{0}b", false),
        ("p\u{e4}ss", false),
    ] {
        let mut document = good();
        document["accounts"][0]["directory"] =
            json!({ "scim": { "url": "http://directory.internal/scim", "token": { "value": secret } } });
        document["accounts"][0]["identity_providers"][0]["oidc"]["client_secret"] =
            json!({ "value": secret });
        let found = problems(&document);
        for path in ["directory.scim.token", "oidc.client_secret"] {
            let is_refused =
                found.iter().any(|problem| problem.contains(path) && problem.contains("printable ASCII"));
            assert_eq!(is_refused, !is_good, "{secret:?}: {found:?}");
        }
        assert!(found.iter().all(|problem| !problem.contains(secret)), "{found:?}");
    }
}

#[test]
fn what_should_not_stay_so_with_a_saml_provider_is_a_warning_at_load() {
    let by_url = |url: &str| json!({ "metadata_url": url, "certificates": null });
    let certificate = Some(include_str!("fixtures/saml/sp.pem"));
    let slo = "https://idp.example.com/slo";
    for (more, path) in [
        (json!({}), None),
        (by_url("https://idp.example.com/metadata"), None),
        (by_url("http://localhost:8080/metadata"), None),
        (by_url("http://idp.example.com/metadata"), Some("saml.metadata_url: ")),
        (json!({ "metadata_url": "http://idp.example.com/metadata" }), None),
        (json!({ "slo_url": slo }), Some("saml.slo_url: ")),
        (json!({ "slo_url": slo, "signing": saml_key(certificate) }), None),
        (json!({ "signing": saml_key(None) }), Some("saml.signing.certificate: ")),
        (json!({ "decryption": saml_key(certificate) }), None),
        (json!({ "decryption": large_key() }), Some("saml.decryption.private_key: RSA of 3072 bits")),
        (json!({ "signing": large_key() }), Some("saml.signing.private_key: RSA of 3072 bits")),
    ] {
        let config = load(with_saml(more.clone()).to_string().as_bytes(), &Secrets).unwrap();
        let found: Vec<String> = config.warnings.iter().map(Problem::to_string).collect();
        match path {
            None => assert_eq!(found, Vec::<String>::new(), "{more}"),
            Some(path) => assert!(found.iter().any(|warning| warning.contains(path)), "{path}: {found:?}"),
        }
    }
    let mut twice = with_saml(json!({}));
    let mut second = twice["accounts"][0]["identity_providers"][0].clone();
    second["id"] = json!("again");
    twice["accounts"][0]["identity_providers"].as_array_mut().unwrap().push(second);
    let config = load(twice.to_string().as_bytes(), &Secrets).unwrap();
    assert!(config.warnings.iter().any(|w| w.path.ends_with("identity_providers[1].saml.issuer")));
}

/// The good configuration with these values in these places.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut document = good();
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    document
}

/// It has this problem or, without one, none.
fn judge(document: &Value, wanted: Option<&str>) {
    let found = problems(document);
    match wanted {
        None => assert_eq!(found, Vec::<String>::new(), "{document}"),
        Some(path) => assert!(found.iter().any(|problem| problem.starts_with(path)), "{path}: {found:?}"),
    }
}

fn warnings(document: &Value) -> Vec<String> {
    let config = load(document.to_string().as_bytes(), &Secrets).unwrap();
    config.warnings.iter().map(Problem::to_string).collect()
}

/// It loads with this warning or, without one, with none.
fn warn(document: &Value, wanted: Option<&str>) {
    let found = warnings(document);
    match wanted {
        None => assert_eq!(found, Vec::<String>::new(), "{document}"),
        Some(path) => assert!(found.len() == 1 && found[0].starts_with(path), "{path}: {found:?}"),
    }
}

#[test]
fn cookies_that_browsers_would_drop_are_refused() {
    const ORIGIN: &str = "accounts[0].origins[0]: ";
    for (domain, origin, problem) in [
        ("app.example.com", "https://app.example.com", None),
        ("example.com", "https://app.example.com", None),
        (".Example.com", "https://app.example.com:8443", None),
        ("localhost", "https://localhost:8443", None),
        ("example.org", "https://app.example.com", Some(ORIGIN)),
        ("ample.com", "https://app.example.com", Some(ORIGIN)),
        ("app.example.com", "https://example.com", Some(ORIGIN)),
        ("com", "https://app.example.com", Some(ORIGIN)),
        ("com", "https://example.com", Some(ORIGIN)),
        // A host that has no other name.
        ("intranet", "https://intranet", None),
        ("intranet", "https://app.intranet", Some(ORIGIN)),
        ("", "https://app.example.com", Some("cookies.domain: ")),
        ("*.example.com", "https://app.example.com", Some("cookies.domain: ")),
    ] {
        let mut document = with(&[("/accounts/0/origins", json!([origin]))]);
        document["cookies"] = json!({ "domain": domain });
        judge(&document, problem);
    }
    let mut off = with(&[("/accounts/0/sso", json!("disabled"))]);
    off["cookies"] = json!({ "domain": "example.org" });
    judge(&off, None);
}

#[test]
fn a_callback_must_say_whose_it_is() {
    let two = |first: Value, second: Value, origin: &str| {
        let mut document = good();
        let account = document["accounts"][0].clone();
        document["accounts"] = json!([account, account]);
        for (n, (code, paths)) in [("a", first), ("b", second)].into_iter().enumerate() {
            document["accounts"][n]["code"] = json!(code);
            document["accounts"][n]["paths"] = paths;
        }
        document["accounts"][1]["origins"] = json!([origin]);
        document
    };
    let callback = |path: &str| json!({ "oidc_callback": path });
    const SHARED: &str = "https://app.example.com";
    const FIRST: Option<&str> = Some("accounts[0].paths.oidc_callback: ");
    const SECOND: Option<&str> = Some("accounts[1].paths.oidc_callback: ");
    for (first, second, origin, problem) in [
        (json!({}), json!({}), SHARED, None),
        (callback("/cb/{code}"), callback("/cb/{code}"), SHARED, None),
        (callback("/cb"), callback("/back"), SHARED, None),
        (callback("/cb"), callback("/cb"), "https://b.example.com", None),
        (callback("/cb"), callback("/cb"), SHARED, FIRST),
        (callback("/cb"), callback("/cb"), SHARED, SECOND),
        (callback("/cb?tenant={code}"), callback("/cb?tenant={code}"), SHARED, FIRST),
        (callback("/cb"), json!({ "login": "/cb" }), SHARED, FIRST),
        (callback("/cb?u=a"), callback("/cb?u=a"), SHARED, SECOND),
        (callback("/cb?u=a"), callback("/cb?u=b"), SHARED, None),
        // A path of a kind that no provider of theirs uses.
        (json!({ "saml_callback": "/acs" }), json!({ "saml_callback": "/acs" }), SHARED, None),
    ] {
        judge(&two(first, second, origin), problem);
    }
    judge(&with(&[("/accounts/0/paths", callback("/cb"))]), None);
    judge(&with(&[("/accounts/0/paths", callback("/cb?u=other"))]), FIRST);
}

#[test]
fn what_is_no_domain_address_or_placeholder_is_refused() {
    let corp = "accounts[0].identity_providers[0]";
    for domain in ["@acme.com", "*.acme.com", "https://acme.com", "acme.com,b.com", "", "*"] {
        let document = with(&[("/accounts/0/identity_providers/0/email_domains", json!(["a.com", domain]))]);
        judge(&document, Some(&format!("{corp}.email_domains[1]: expected a domain")));
    }
    judge(&with(&[("/accounts/0/identity_providers/0/email_domains", json!(["Acme.com ", "corp"]))]), None);
    let provisioning = |domains: Value, email: &str| {
        with(&[
            ("/accounts/0/directory", json!({ "static": { "users": [] } })),
            (
                "/accounts/0/provisioning",
                json!({ "mode": "automatic", "email_domains": domains, "invitations": [{ "email": email }] }),
            ),
        ])
    };
    judge(&provisioning(json!(["*"]), "bob@acme.com"), None);
    judge(&provisioning(json!(["@acme.com"]), "b@c"), Some("accounts[0].provisioning.email_domains[0]: "));
    for email in ["bob", "Bob <bob@acme.com>", "mailto:bob@acme.com", "*@acme.com,a@b.c", "bob@*.com"] {
        judge(&provisioning(json!(["*"]), email), Some("accounts[0].provisioning.invitations[0].email: "));
    }
    for (cluster, problem) in [
        ("outbound|{port}||{host}", None),
        ("outbound|{port}||{hots}", Some("clusters.*: unknown placeholder {hots}")),
    ] {
        judge(&with(&[("/clusters/*", json!(cluster))]), problem);
    }
    for (value, problem) in [
        ("{client_id}", None),
        (
            "{clientid}",
            Some("accounts[0].identity_providers[0].oidc.logout_params.c: unknown placeholder {clientid}"),
        ),
    ] {
        judge(
            &with(&[
                ("/accounts/0/identity_providers/0/oidc/logout_url", json!("https://idp.example.com/out")),
                ("/accounts/0/identity_providers/0/oidc/logout_params", json!({ "c": value })),
            ]),
            problem,
        );
    }
    // One wildcard label, in front.
    judge(&with(&[("/accounts/0/origins", json!(["https://*.example.com"]))]), None);
    for origin in
        ["https://a.*.example.com", "https://*.*.example.com", "https://x*.example.com", "https://*"]
    {
        judge(&with(&[("/accounts/0/origins", json!([origin]))]), Some("accounts[0].origins[0]: "));
    }
}

fn by_hand(more: Value) -> Value {
    let mut oidc = json!({
        "issuer": "https://idp.example.com", "authorization_endpoint": "https://idp.example.com/authorize",
        "token_endpoint": "https://idp.example.com/token", "jwks_uri": "https://idp.example.com/keys", "client_id": "app",
    });
    oidc.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with(&[("/accounts/0/identity_providers/0/oidc", oidc)])
}

#[test]
fn a_claim_from_userinfo_needs_userinfo() {
    for (from, more, problem) in [
        ("id_token", json!({}), None),
        ("userinfo", json!({ "userinfo_endpoint": "https://idp.example.com/me" }), None),
        (
            "userinfo",
            json!({ "discovery": "https://idp.example.com/.well-known/openid-configuration" }),
            None,
        ),
        ("userinfo", json!({}), Some("accounts[0].identity_providers[0].oidc.userinfo_endpoint: ")),
    ] {
        let mut document = by_hand(more);
        document["accounts"][0]["mapping"] = json!({ "from": from });
        judge(&document, problem);
    }
}

#[test]
fn calls_that_cannot_be_made_or_trusted_are_a_warning() {
    let oidc = |field: &str| format!("accounts[0].identity_providers[0].oidc.{field}: ");
    warn(&by_hand(json!({})), None);
    for (field, url) in [
        ("token_endpoint", "http://idp.example.com/token"),
        ("jwks_uri", "http://idp.example.com/keys"),
        ("userinfo_endpoint", "http://idp.example.com/me"),
        ("discovery", "http://idp.example.com/.well-known/openid-configuration"),
    ] {
        warn(&by_hand(json!({ field: url })), Some(&format!("{}is plain http", oidc(field))));
        let mut plain = by_hand(json!({ field: url }));
        plain["accounts"][0]["origins"] = json!(["http://localhost:8080"]);
        warn(&plain, None);
        for local in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
            warn(&by_hand(json!({ field: url.replace("idp.example.com", local) })), None);
        }
    }
    let mut elsewhere = by_hand(json!({}));
    elsewhere["clusters"] = json!({ "idp.example.com": "idp", "users.example.com": "users" });
    warn(&elsewhere, None);
    let scim = |host: &str| json!({ "scim": { "url": format!("http://{host}/scim/v2") } });
    elsewhere["accounts"][0]["directory"] = scim("users.example.com");
    warn(&elsewhere, None);
    elsewhere["accounts"][0]["directory"] = scim("people.example.com");
    warn(&elsewhere, Some("accounts[0].directory.scim.url: no entry of clusters is for people.example.com"));
    elsewhere["clusters"] = json!({ "people.example.com": "people" });
    // Once a host.
    warn(&elsewhere, Some(&format!("{}no entry of clusters is for idp.example.com", oidc("token_endpoint"))));
}

#[test]
fn a_rule_that_is_never_reached_is_a_warning() {
    let rule = |kind: &str, path: &str, allow: &str| json!({ kind: path, "allow": allow });
    let boss = |kind: &str, path: &str| json!({ kind: path, "allow": "users", "roles": ["boss"] });
    for (first, second, never) in [
        (rule("path", "/a", "anyone"), rule("path", "/a", "users"), true),
        (rule("prefix", "/a/", "anyone"), rule("prefix", "/a/", "users"), true),
        (rule("prefix", "/a", "anyone"), rule("path", "/a/b", "users"), true),
        (rule("prefix", "/", "users"), boss("prefix", "/admin/"), true),
        (rule("prefix", "/a", "anyone"), boss("prefix", "/A"), false),
        (rule("prefix", "/", "users"), boss("prefix", "/Admin/"), false),
        (rule("prefix", "/", "users"), rule("prefix", "/Admin/", "anyone"), true),
        (rule("path", "/a", "anyone"), rule("prefix", "/a", "users"), false),
        (rule("path", "/a", "anyone"), rule("path", "/a/", "users"), false),
        (rule("prefix", "/a/", "anyone"), rule("path", "/a", "users"), false),
        (rule("prefix", "/a/b", "anyone"), rule("prefix", "/a/", "users"), false),
    ] {
        let document =
            with(&[("/accounts/0/access", json!([rule("path", "/else", "anyone"), first, second]))]);
        warn(&document, never.then_some("accounts[0].access[2]: is never reached: access[1] comes first"));
    }
}

#[test]
fn single_sign_on_that_is_off_and_does_not_look_like_it_is_a_warning() {
    let mut document = good();
    document["accounts"][0].as_object_mut().unwrap().remove("sso");
    warn(&document, Some("accounts[0].sso: is not set"));
    document["accounts"][0].as_object_mut().unwrap().remove("identity_providers");
    warn(&document, None);
    warn(&with(&[("/accounts/0/sso", json!("disabled"))]), None);
    let mut two = good();
    let account = two["accounts"][0].clone();
    two["accounts"] = json!([account, account]);
    two["accounts"][0]["code"] = json!("on");
    two["accounts"][1]["code"] = json!("off");
    warn(&two, None);
    two["accounts"][1]["sso"] = json!("disabled");
    warn(&two, Some("accounts[1].sso: nobody of it gets past"));
    two["accounts"][0]["sso"] = json!("disabled");
    warn(&two, None);
}

#[test]
fn a_success_that_no_answer_can_be_is_refused() {
    let at = "accounts[0].password.logins[0].success";
    for (success, problem) in [
        (json!({}), Some("")),
        (json!({ "status": [] }), Some("")),
        (json!(null), Some("")),
        (json!({ "redirect_not": "/login*" }), None),
        (json!({ "redirect": "/app/*", "redirect_not": "/app/login*" }), None),
        (json!({ "status": [302], "redirect_not": "/login?error*" }), None),
        (json!({ "redirect_not": "login" }), Some("redirect_not")),
        (json!({ "redirect_not": "*" }), Some("redirect_not")),
        (json!({ "redirect_not": "https://app.example.com/login" }), Some("redirect_not")),
        (json!({ "redirect": "/login", "redirect_not": "/login*" }), Some("redirect_not")),
        (json!({ "redirect": "/login/x*", "redirect_not": "/login*" }), Some("redirect_not")),
        (json!({ "status": [200], "redirect_not": "/login" }), Some("status[0]")),
        (json!({ "status": [304], "redirect": "/home" }), Some("status[0]")),
        (json!({ "status": [401] }), Some("status[0]")),
        (json!({ "status": [500] }), Some("status[0]")),
        (json!({ "json": { "pointer": "/token" } }), None),
        (json!({ "json": { "pointer": "/code", "equals": 0 } }), None),
        (json!({ "json": { "pointer": "/ok", "equals": true }, "status": [200], "cookie": "s" }), None),
        (json!({ "json": { "pointer": "token" } }), Some("json.pointer")),
        (json!({ "json": {} }), Some("json.pointer")),
        (json!({ "status": [200, 204], "cookie": "app_session" }), None),
        (json!({ "status": [302, 303], "redirect": "/home" }), None),
        (json!({ "redirect": "/home?welcome=1" }), None),
        (json!({ "redirect": "/home/*" }), None),
        (json!({ "redirect": "*" }), None),
        (json!({ "redirect": "home" }), Some("redirect")),
        (json!({ "redirect": "home*" }), Some("redirect")),
        (json!({ "redirect": "https://app.example.com/home" }), Some("redirect")),
        (json!({ "redirect": "//app.example.com/home" }), Some("redirect")),
        (json!({ "redirect": "/a/../home" }), Some("redirect")),
        (json!({ "redirect": "/home#top" }), Some("redirect")),
        (json!({ "redirect": "/my home" }), Some("redirect")),
        (json!({ "redirect": "/app/.*" }), Some("redirect")),
        (json!({ "redirect": "" }), Some("redirect")),
        (json!({ "status": [200], "redirect": "/home" }), Some("status[0]")),
        (json!({ "status": [302, 200], "redirect": "/home" }), Some("status[1]")),
        (json!({ "status": [20] }), Some("status[0]")),
        (json!({ "cookie": "" }), Some("cookie")),
        (json!({ "cookie": "a=b" }), Some("cookie")),
        (json!({ "cookie": " a" }), Some("cookie")),
    ] {
        let login = json!({ "path": "/api/login", "username": { "json": "/u" }, "success": success });
        let document = with(&[("/accounts/0/password", json!({ "mode": "enabled", "logins": [login] }))]);
        let path = problem.map(|name| match name {
            "" => format!("{at}: "),
            name => format!("{at}.{name}: "),
        });
        judge(&document, path.as_deref());
    }
    let login = json!({ "path": "/api/login", "username": { "json": "/u" } });
    for (mode, sso) in [("enabled", "enabled"), ("admins", "enabled"), ("disabled", "disabled")] {
        let password = json!({ "mode": mode, "admin_roles": ["boss"], "logins": [login] });
        let document = with(&[("/accounts/0/password", password), ("/accounts/0/sso", json!(sso))]);
        judge(&document, Some(&format!("{at}: is missing")));
    }
}

#[test]
fn a_login_that_contradicts_itself_is_refused() {
    let login = |more: Value| {
        let mut login = json!({
            "path": "/api/login", "username": { "json": "/u" }, "success": { "status": [200] }
        });
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        login
    };
    let token = json!({ "when": { "json": { "/grant_type": "password" } } });
    let at = "accounts[0].password.logins";
    for (logins, problem) in [
        (json!([login(json!({}))]), None),
        (json!([login(json!({ "fields": ["u", "password"] }))]), None),
        (json!([login(json!({ "fields": ["password"] }))]), Some("[0].fields")),
        (json!([login(json!({ "fields": [] }))]), Some("[0].fields")),
        (json!([login(json!({ "username": { "form": "user[name]" }, "fields": ["user"] }))]), None),
        (json!([login(json!({ "username": { "json": "/user/name" }, "fields": ["user"] }))]), None),
        (
            json!([login(json!({ "username": { "json": "/user/name" }, "fields": ["name"] }))]),
            Some("[0].fields"),
        ),
        (json!([login(token.clone())]), None),
        (json!([login(json!({ "when": {} }))]), Some("[0].when")),
        (
            json!([login(json!({ "when": { "json": { "grant_type": "x" } } }))]),
            Some("[0].when.json.grant_type"),
        ),
        (json!([login(json!({ "when": { "json": { "/a": null } } }))]), Some("[0].when.json./a")),
        (json!([login(json!({ "when": { "json": { "/a": [] } } }))]), Some("[0].when.json./a")),
        (json!([login(json!({ "when": { "form": { "a": "b" } } }))]), Some("[0].when")),
        (json!([login(json!({ "when": { "form": { "a": "b" }, "json": { "/a": 1 } } }))]), Some("[0].when")),
        (json!([login(json!({})), login(json!({}))]), Some("[1].path")),
        (json!([login(json!({})), login(token.clone())]), Some("[1].path")),
        (json!([login(token.clone()), login(token.clone())]), Some("[1].when")),
        (json!([login(token), login(json!({ "when": { "json": { "/op": 1 } } }))]), None),
        (json!([login(json!({ "username": { "json": "/u", "attribute": "email" } }))]), None),
        (
            json!([login(json!({ "username": { "json": "/u", "attribute": "mail" } }))]),
            Some("[0].username.attribute"),
        ),
    ] {
        let document = with(&[
            ("/accounts/0/password", json!({ "mode": "enabled", "logins": logins })),
            ("/accounts/0/directory", json!({ "static": { "users": [] } })),
        ]);
        judge(&document, problem.map(|place| format!("{at}{place}: ")).as_deref());
    }
    let by_phone = json!([login(json!({ "username": { "json": "/u", "attribute": "phone" } }))]);
    let document = with(&[("/accounts/0/password", json!({ "mode": "enabled", "logins": by_phone }))]);
    judge(&document, Some(&format!("{at}[0].username.attribute: ")));
}

#[test]
fn passwords_that_nothing_rules_on_and_risky_logins_are_warnings() {
    let login = |more: Value| {
        let mut login = json!({
            "path": "/login", "username": { "form": "u" }, "fields": ["u", "password"],
            "success": { "redirect_not": "/login*" }
        });
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([login])
    };
    let plain = login(json!({}));
    for (mode, logins, warned) in [
        (json!("enabled"), json!([]), Some("logins: is empty")),
        (json!("admins"), json!([]), Some("logins: is empty")),
        (json!("disabled"), json!([]), Some("logins: is empty")),
        (json!(null), json!([]), Some("logins: is empty")),
        (json!(null), plain.clone(), Some("mode: is not set")),
        (json!("disabled"), plain.clone(), None),
        (json!("enabled"), plain, None),
        (json!("enabled"), login(json!({ "fields": null })), Some("logins[0].fields: ")),
        (
            json!("enabled"),
            login(json!({ "success": { "status": [200] } })),
            Some("logins[0].success: status alone"),
        ),
        (
            json!("enabled"),
            login(json!({ "success": { "cookie": "s" } })),
            Some("logins[0].success: cookie alone"),
        ),
        (json!("enabled"), login(json!({ "success": { "cookie": "s", "status": [302] } })), None),
        (json!("enabled"), login(json!({ "success": { "cookie": "s", "redirect": "/" } })), None),
        (json!("enabled"), login(json!({ "path": "/graphql" })), Some("logins[0].path: looks like")),
        (json!("enabled"), login(json!({ "path": "/api/GraphQL/v1" })), Some("logins[0].path: looks like")),
    ] {
        let password =
            json!({ "mode": mode, "admin_roles": ["boss"], "administrators": ["root"], "logins": logins });
        let directory = json!({ "static": { "users": [] } });
        let document = with(&[("/accounts/0/password", password), ("/accounts/0/directory", directory)]);
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        match warned {
            Some(warned) => {
                assert!(found.iter().any(|w| w.contains(&format!("password.{warned}"))), "{found:?}")
            }
            None => assert_eq!(found, [""; 0]),
        }
    }
    // Without single sign-on everything passes, and without a section nothing was asked for.
    for change in [("/accounts/0/sso", json!("disabled")), ("/accounts/0/password", json!(null))] {
        let document = with(&[("/accounts/0/password", json!({ "mode": "disabled" })), change]);
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        assert_eq!(warnings, []);
    }
}

#[test]
fn a_password_path_that_the_filter_answers_itself_is_refused() {
    let password = |login: &str, page: &str| {
        let login = json!({ "path": login, "username": { "json": "/u" }, "success": { "status": [200] } });
        json!({ "mode": "enabled", "logins": [login], "page": page })
    };
    const LOGIN: Option<&str> = Some("accounts[0].password.logins[0].path: ");
    const PAGE: Option<&str> = Some("accounts[0].password.page: ");
    for (login, page, problem) in [
        ("/api/login", "/login", None),
        ("/sso/login", "/login", LOGIN),
        ("/sso/admin/login", "/login", LOGIN),
        ("/api/login", "/sso/login", PAGE),
        ("/enter", "/login", LOGIN),
    ] {
        let mut document = with(&[
            ("/accounts/0/password", password(login, page)),
            ("/accounts/0/paths", json!({ "session": "/enter" })),
        ]);
        judge(&document, problem);
        document["accounts"][0]["sso"] = json!("disabled");
        judge(&document, None);
    }
}

#[test]
fn mode_admins_without_an_administrator_is_a_warning() {
    let nobody = "accounts[0].password.admin_roles: no active user";
    for (user, mapping, warned) in [
        (json!({ "username": "ada", "roles": ["boss"] }), json!({}), false),
        (json!({ "username": "ada", "roles": ["boss"], "active": false }), json!({}), true),
        (json!({ "username": "ada", "roles": ["member"] }), json!({}), true),
        (
            json!({ "username": "ada" }),
            json!({ "roles_claim": "groups", "role_map": { "g": "boss" } }),
            false,
        ),
        (
            json!({ "username": "ada" }),
            json!({ "roles_claim": "groups", "role_map": { "g": "member" } }),
            true,
        ),
    ] {
        let login = json!({
            "path": "/login", "username": { "form": "u" }, "fields": ["u", "password"],
            "success": { "redirect": "/home" }
        });
        let mut document = with(&[
            ("/accounts/0/password", json!({ "mode": "admins", "admin_roles": ["boss"], "logins": [login] })),
            ("/accounts/0/directory", json!({ "static": { "users": [user] } })),
            ("/accounts/0/mapping", mapping),
        ]);
        warn(&document, warned.then_some(nobody));
        document["accounts"][0]["password"]["administrators"] = json!(["root"]);
        warn(&document, None);
    }
}

#[test]
fn a_directory_that_is_broken_is_no_missing_one() {
    let document = with(&[
        ("/accounts/0/password", json!({ "mode": "admins", "admin_roles": ["boss"] })),
        ("/accounts/0/provisioning", json!({ "mode": "invited" })),
        ("/accounts/0/directory", json!({ "scim": { "url": "directory.internal" } })),
    ]);
    let found = problems(&document);
    assert!(found.len() == 1 && found[0].starts_with("accounts[0].directory.scim.url: "), "{found:?}");
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let once = good().to_string();
    let twice = |more: &str| once.replacen("\"sso\":\"enabled\"", more, 1);
    for (text, wanted) in [
        (twice("\"sso\":\"enabled\""), vec![]),
        (twice("\"sso\":\"disabled\",\"sso\":\"enabled\""), vec!["accounts[0].sso: is there twice"]),
        (twice("\"sso\":\"enabled\",\"s\\u0073o\":\"enabled\""), vec!["accounts[0].sso: is there twice"]),
    ] {
        let found = load(text.as_bytes(), &Secrets).err().unwrap_or_default();
        assert_eq!(found.iter().map(Problem::to_string).collect::<Vec<_>>(), wanted, "{text}");
    }
}

#[test]
fn a_secret_that_two_providers_know_is_a_warning() {
    let provider = |id: &str, change: Value| {
        let mut oidc = json!({ "discovery": format!("https://{id}.example/.well-known/openid-configuration"), "client_id": "app" });
        for (name, value) in change.as_object().unwrap() {
            oidc[name] = value.clone();
        }
        json!({ "id": id, "title": id, "oidc": oidc })
    };
    let with = |one: Value, two: Value| {
        let providers = json!([provider("one", one), provider("two", two)]);
        let mut found = warnings(&with(&[
            ("/accounts/0/identity_providers", providers),
            ("/clusters", json!({ "*": "idp" })),
        ]));
        found.retain(|warning| !warning.contains("].confined: "));
        found
    };
    let secret = |text: &str| json!({ "client_secret": { "value": text } });
    let found = with(secret("the same"), secret("the same"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("accounts[0].identity_providers[1].oidc.client_secret: is that of \"one\" too")
    );
    assert!(!found[0].contains("the same"));
    assert!(with(secret("one"), secret("two")).is_empty());
    assert!(with(json!({}), json!({})).is_empty(), "public clients");
}

#[test]
fn what_programs_need_is_checked() {
    let provider = "/accounts/0/identity_providers/0/oidc";
    let access = json!([{ "prefix": "/mcp/", "allow": "users", "resource": { "scopes": ["reports.read"] } }]);
    let bearer = |more: Value| ("/accounts/0/bearer", more);
    let machine = |more: Value| {
        let mut machine = json!({ "id": "ci", "issuer": "https://ci.example.com", "audiences": ["a"], "users": { "x": "y" } });
        machine.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bearer(json!({ "audiences": ["api"], "machines": [machine] }))
    };
    let groups = json!({ "url": "https://idp.example.com/groups", "list": "/value", "name": "/id" });
    let both = json!({ "url": "http://files.internal/s", "env": "SECRET" });
    let file = json!({ "url": "http://files.internal/s" });
    let at = |name: &str| format!("{provider}/{name}");
    let own = "accounts[0].identity_providers[0].oidc";
    for (pointer, value, path) in [
        ("/accounts/0/access".to_owned(), access.clone(), "accounts[0].access[0].resource: needs bearer"),
        (at("groups"), groups.clone(), "accounts[0].mapping.roles_claim"),
        (
            at("client_secret"),
            both,
            &format!("{own}.client_secret: expected exactly one of env, value and url"),
        ),
        (at("client_secret"), json!({ "url": "files.internal/s" }), &format!("{own}.client_secret.url")),
        (
            at("client_auth"),
            json!("assertion"),
            &format!("{own}.client_auth: assertion needs a client_assertion"),
        ),
        ("/accounts/0/identity_providers/0/oidc/client_key".to_owned(), json!({ "private_key": file }), own),
    ] {
        judge(&with(&[(&pointer, value)]), Some(path));
    }
    for (more, path) in [
        (json!({ "id": "corp" }), "accounts[0].bearer.machines[0].id"),
        (json!({ "id": "a b" }), "accounts[0].bearer.machines[0].id"),
        (json!({ "users": {} }), "accounts[0].bearer.machines[0].users"),
        (json!({ "issuer": "ci" }), "accounts[0].bearer.machines[0].issuer"),
    ] {
        let (pointer, value) = machine(more);
        judge(&with(&[(pointer, value)]), Some(path));
    }
    // Each with what it needs.
    let (pointer, value) = machine(json!({}));
    judge(&with(&[(pointer, value), ("/accounts/0/access", access)]), None);
    judge(
        &with(&[(&at("groups"), groups), ("/accounts/0/mapping", json!({ "roles_claim": "groups" }))]),
        None,
    );
    judge(&with(&[(&at("client_secret"), json!({ "url": "http://files.internal/s" }))]), None);
}

#[test]
fn origins_with_a_wildcard_and_a_login_origin() {
    let with = |account: Value, rest: Value| {
        let mut document = good();
        document["accounts"][0].as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        problems(&document)
    };
    let login = "https://login.example.com";
    for (origins, login) in [
        (json!(["https://*.preview.example.com"]), json!(login)),
        (json!(["https://*.example.com", "https://app.example.com"]), json!(login)),
        (json!(["https://*.preview.example.com:8443"]), json!("https://login.example.com:8443")),
        (json!(["https://app.example.com"]), json!("https://app.example.com")),
        (json!(["https://*.preview.example.com"]), Value::Null),
        (json!(["http://*.localhost:8080"]), json!("http://login.localhost:8080")),
    ] {
        assert_eq!(
            with(json!({ "origins": origins, "login_origin": login }), json!({})),
            [""; 0],
            "{origins}"
        );
    }
    for pattern in [
        "https://*",
        "https://*.",
        "https://*.com",
        "https://*.com.",
        "https://a*.example.com",
        "https://*a.example.com",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://**.example.com",
        "https://*.10.0.0.1",
        "https://*.[::1]",
        "https://*.example.com/x",
        "https://*.example.com?x",
        "https://*.example.com#x",
        "https://u@*.example.com",
        "https://*.u@example.com",
        "https://*.example..com",
        "ftp://*.example.com",
        "*.example.com",
        "//*.example.com",
    ] {
        let found = with(json!({ "origins": [pattern] }), json!({}));
        assert!(
            found.iter().any(|text| text.starts_with("accounts[0].origins[0]: ")),
            "{pattern}: {found:?}"
        );
    }
    for (account, rest, place) in [
        (json!({ "login_origin": "https://*.example.com" }), json!({}), "login_origin: expected one origin"),
        (json!({ "login_origin": "https://login.example.com/x" }), json!({}), "login_origin: "),
        (json!({ "login_origin": "login.example.com" }), json!({}), "login_origin: "),
        (
            json!({ "login_origin": "http://login.example.com" }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["http://app.example.com"] }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["http://*.example.com"] }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["https://app.example.org"] }),
            json!({ "cookies": { "domain": "example.org" } }),
            "login_origin: is not under cookies.domain",
        ),
        (
            json!({ "origins": ["https://*.example.com"] }),
            json!({ "cookies": { "domain": "example.org" } }),
            "origins[0]: is not under cookies.domain",
        ),
        (
            json!({ "origins": ["https://*.a.example.com", "https://*.A.example.com"] }),
            json!({}),
            "origins: *.a.example.com is listed twice",
        ),
    ] {
        let found = with(account, rest);
        assert!(
            found.iter().any(|text| text.starts_with(&format!("accounts[0].{place}"))),
            "{place}: {found:?}"
        );
    }
    // Two accounts.
    let two = |first: Value, second: Value| {
        let mut document = good();
        let account = document["accounts"][0].clone();
        let accounts = [("a", first), ("b", second)].map(|(code, more)| {
            let mut account = account.clone();
            account["code"] = json!(code);
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            account
        });
        document["accounts"] = json!(accounts);
        problems(&document)
    };
    let (a, b) =
        (json!({ "origins": ["https://*.example.com"] }), json!({ "origins": ["https://x.example.com"] }));
    assert_eq!(two(a.clone(), b), [""; 0], "an exact origin goes before a pattern");
    let found = two(a.clone(), json!({ "origins": ["http://*.example.com"] }));
    assert!(
        found
            .iter()
            .any(|text| text.starts_with("accounts[1].origins: *.example.com is a pattern of account")),
        "{found:?}"
    );
    let shared = |host: &str| json!({ "origins": [format!("https://{host}")], "login_origin": login });
    assert_eq!(
        two(shared("a.example.com"), shared("b.example.com")),
        [""; 0],
        "accounts may share a login origin"
    );
    let found = two(shared("a.example.com"), json!({ "origins": [login] }));
    assert!(
        found.iter().any(|text| text.starts_with("accounts[0].login_origin: is an origin of account")),
        "{found:?}"
    );
}
