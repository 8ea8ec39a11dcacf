//! Access rules and the headers that applications get.

use serde_json::{json, Value};

use crate::{good, problems, warn, with};

pub(crate) const P256: &str = include_str!("../keys/test-p256.pem");

pub(crate) const P384: &str = include_str!("../keys/test-p384.pem");

/// A configuration with this access rule alone, and where it is wrong.
pub(crate) fn rule(more: Value, place: &'static str) -> (&'static str, Value, &'static str) {
    let mut rule = json!({ "prefix": "/a/" });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = Box::leak(format!("accounts[0].access[0]{place}").into_boxed_str());
    ("/accounts/0/access", json!([rule]), path)
}

pub(crate) fn forward(settings: Value, place: &'static str) -> (&'static str, Value, &'static str) {
    let path = Box::leak(format!("accounts[0].forward{place}").into_boxed_str());
    ("/accounts/0/forward", settings, path)
}

pub(crate) fn key(id: &str, pem: &str) -> Value {
    json!({ "id": id, "private_key": { "value": pem } })
}

pub(crate) fn assertion(changes: Value) -> Value {
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
    warn(&two, Some("accounts[1].sso: no user of it gets past"));
    two["accounts"][0]["sso"] = json!("disabled");
    warn(&two, None);
}
