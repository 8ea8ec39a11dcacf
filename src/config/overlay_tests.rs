//! Settings over the file of an account that shares its origin with others.

use serde_json::{json, Value};

use super::*;
use crate::config::{load, Config};

/// An account at one origin that all have, without single sign-on in the file. `changes` come over it.
fn account(code: &str, changes: Value) -> Value {
    let mut account = json!({
        "code": code, "origins": ["https://app.example.com"], "sso": "disabled",
        "self_service": {"settings": ["sso", "identity_providers"], "hosts": ["*.example.com"]},
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        json::set(&mut account, name, value.clone());
    }
    account
}

fn loaded(accounts: Vec<Value>) -> Config {
    let config = json!({
        "session": {"keys": [{"id": "k", "value": crate::testing::browser::KEY}]},
        "shared": {"engine": "etcd", "cluster": "etcd"}, "clusters": {"*": "all"}, "accounts": accounts,
    });
    load(config.to_string().as_bytes(), &Placeholders).unwrap()
}

fn settings(idp: &str) -> Value {
    json!({"sso": "enabled", "identity_providers": [{"id": idp, "title": "Acme", "oidc": {
        "discovery": "https://idp.example.com/.well-known/openid-configuration", "client_id": "c",
    }}]})
}

fn with(config: &Config, account: usize, idp: &str) -> Result<Rc<Account>, Vec<String>> {
    with_settings(config.accounts[account].file.as_ref().unwrap(), &settings(idp))
        .map_err(|all| all.iter().map(ToString::to_string).collect())
}

/// Values compared with the schema while all accounts of an origin get settings of their own.
fn work(number: usize) -> usize {
    let accounts = (0..number).map(|n| account(&format!("a{n:04}"), json!({})));
    let config = loaded(accounts.collect());
    let before = schema::walked::values();
    for account in 0..number {
        assert!(with(&config, account, "corp").unwrap().enabled);
    }
    schema::walked::values() - before
}

#[test]
fn a_thousand_accounts_on_one_origin_take_a_thousand_times_the_work_of_one() {
    let one = work(1);
    assert!(one > 10, "{one}");
    assert_eq!(work(1_000), 1_000 * one);
}

#[test]
fn a_callback_must_be_of_one_account() {
    let own = |code: &str, path: &str| account(code, json!({"paths": {"oidc_callback": path}}));
    let config = loaded(vec![
        own("a", "/back"),
        own("b", "/back"),
        own("c", "/of-c"),
        own("d", "/back-again?u={code}"),
        own("e", "/sso/admin/e"),
        own("f", "/sso/{idp}?u={code}"),
        // It answers somewhere, and does not say for whom.
        account(
            "g",
            settings("corp").as_object().map_or(Value::Null, |own| {
                let mut own = own.clone();
                own.insert("paths".into(), json!({"oidc_callback": "/sso/g"}));
                own.into()
            }),
        ),
    ]);
    for (number, problem) in [
        (0, Some("paths.oidc_callback: is a path of account \"b\" too")),
        (1, Some("paths.oidc_callback: is a path of account \"a\" too")),
        (2, None),
        (3, None),
        (4, Some("paths.oidc_callback: is a path of account \"a\" too")),
        (5, None),
        (6, None),
    ] {
        let found = with(&config, number, "corp");
        match problem {
            Some(problem) => {
                assert!(found.as_ref().is_err_and(|all| all[0].starts_with(problem)), "{number}: {found:?}")
            }
            None => assert!(found.is_ok(), "{number}: {found:?}"),
        }
    }
    // Its provider's id makes a path out of which another account's answers come.
    let found = with(&config, 5, "g");
    assert_eq!(found.unwrap_err(), ["paths: /sso/g is where a provider of account \"g\" answers"]);
}

#[test]
fn browsers_must_keep_the_cookies_of_an_account_that_is_enabled_later() {
    let config = json!({
        "session": {"keys": [{"id": "k", "value": crate::testing::browser::KEY}]},
        "shared": {"engine": "etcd", "cluster": "etcd"}, "clusters": {"*": "all"}, "cookies": {"domain": "example.com"},
        "accounts": [account("a", json!({})), account("b", json!({"origins": ["https://app.example.org"]}))],
    });
    let config = load(config.to_string().as_bytes(), &Placeholders).unwrap();
    assert!(with(&config, 0, "corp").is_ok());
    let found = with(&config, 1, "corp").unwrap_err();
    assert!(found[0].starts_with("origins[0]: is not under cookies.domain example.com"), "{found:?}");
}
