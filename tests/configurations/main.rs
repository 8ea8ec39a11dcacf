//! Whole configurations: what must pass, and everything that is wrong with one, at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

mod access;
mod contradictions;
mod origins;
mod passwords;
mod providers;
mod saml;

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
