//! Which sessions stay when the configuration of their provider, mapping or headers changes.

use serde_json::{json, Value};

use crate::host::task::{Call, Reply};
use crate::session::Purpose;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{TestHost, START};

fn provider(issuer: &str, client: &str, more: Value) -> Value {
    let mut provider = json!({ "id": "corp", "oidc": {
        "issuer": issuer, "authorization_endpoint": "https://idp.example/a", "token_endpoint": "https://idp.example/t",
        "jwks_uri": "https://idp.example/k", "client_id": client,
    } });
    provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    provider
}

fn configuration(provider: Value, changes: Value) -> Value {
    let mut account = json!({
        "code": "a", "origins": ["https://app.example"], "sso": "enabled", "identity_providers": [provider],
        "mapping": { "roles_claim": "groups", "role_map": { "admins": "boss" } },
        "forward": { "headers": { "x-level": "level" } },
    });
    account.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "cookies": { "secure": false },
        "clusters": { "*": "idp" }, "accounts": [account],
    })
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// A request with a session of before, under this configuration. `client`: the hash that the session has.
fn seen(configuration: &Value, client: Option<String>, domain: Option<&str>) -> Seen {
    let filter_state = filter_state(&TestHost::new(), configuration);
    let mut origin = json!({ "p": "corp", "i": "https://idp.example", "s": "1" });
    if let Some(client) = client {
        origin["c"] = json!(client);
    }
    if let Some(domain) = domain {
        origin["e"] = json!(domain);
    }
    let session = json!({
        "s": "id", "u": { "u": "ada", "o": "i", "r": ["boss"], "c": ["boss"], "g": { "groups": ["admins"] } },
        "m": "sso", "o": origin, "h": [{ "h": "x-level", "v": "7", "c": "level" }], "b": START, "l": START, "c": START,
    });
    let keys = &filter_state.config.session.keys;
    let sealed =
        keys.seal(&*filter_state.host, Purpose::Session, "a", session.to_string().as_bytes()).unwrap();
    let mut browser = Browser::new(&filter_state, "app.example").with("accept", "*/*");
    browser.cookies.push(("sso".into(), sealed));
    browser.get("/who", &mut nobody)
}

fn client_of(configuration: &Value) -> Option<String> {
    let filter_state = filter_state(&TestHost::new(), configuration);
    Some(filter_state.account_states[0].account.providers[0].client.clone())
}

fn told(seen: &Seen, name: &str) -> Option<String> {
    seen.pass.as_ref()?.live.as_ref()?.told(name)
}

#[test]
fn a_session_stays_with_the_issuer_and_the_client_that_opened_it() {
    let before = configuration(provider("https://idp.example", "app", json!({})), json!({}));
    let client = client_of(&before);
    let same = json!({ "title": "Another title" });
    for (now, stays) in [
        (provider("https://idp.example", "app", json!({})), true),
        (provider("https://idp.example", "app", same), true),
        (provider("https://idp.example", "other", json!({})), false),
        (provider("https://other.example", "app", json!({})), false),
        (
            json!({ "id": "corp", "oauth2": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/a",
                "token_endpoint": "https://idp.example/t", "userinfo_endpoint": "https://idp.example/u", "client_id": "app"
            } }),
            false,
        ),
        // Its metadata is not there yet: nobody is signed out by that.
        (
            json!({ "id": "corp", "oidc": {
                "discovery": "https://idp.example/.well-known/openid-configuration", "client_id": "app"
            } }),
            true,
        ),
        (
            json!({ "id": "corp", "oidc": {
                "discovery": "https://other.example/.well-known/openid-configuration", "client_id": "app"
            } }),
            false,
        ),
    ] {
        let now = configuration(now, json!({}));
        let seen = seen(&now, client.clone(), None);
        assert_eq!(seen.pass.is_some(), stays, "{now}");
        if !stays {
            assert_eq!(seen.code(), "session_expired", "{now}");
        }
    }
    assert!(seen(&before, None, None).pass.is_some(), "of an older release");
}

#[test]
fn a_provider_that_becomes_confined_keeps_its_own() {
    let confined = json!({ "confined": true, "email_domains": ["acme.com"] });
    let now = configuration(provider("https://idp.example", "app", confined), json!({}));
    for (domain, stays) in
        [(Some("acme.com"), true), (Some("other.com"), false), (Some("sub.acme.com"), false), (None, false)]
    {
        assert_eq!(seen(&now, None, domain).pass.is_some(), stays, "{domain:?}");
    }
}

#[test]
fn roles_and_headers_follow_the_configuration_of_today() {
    let corp = || provider("https://idp.example", "app", json!({}));
    let mapping = |claim: &str, group: &str, role: &str| json!({ "mapping": { "roles_claim": claim, "role_map": { group: role } } });
    for (changes, roles) in [
        (json!({}), Some("boss")),
        (mapping("groups", "admins", "chief"), Some("chief")),
        (mapping("groups", "others", "boss"), None),
        (mapping("teams", "admins", "boss"), None),
        (json!({ "mapping": {} }), None),
    ] {
        let now = configuration(corp(), changes.clone());
        assert_eq!(told(&seen(&now, None, None), "x-sso-roles").as_deref(), roles, "{changes}");
    }
    let headers = |headers: Value| {
        let now = configuration(corp(), json!({ "forward": { "headers": headers } }));
        told(&seen(&now, None, None), "x-level")
    };
    assert_eq!(headers(json!({ "x-level": "level" })).as_deref(), Some("7"));
    assert_eq!(headers(json!({ "x-level": "self_level" })), None, "another claim under the same name");
    assert_eq!(headers(json!({})), None);
}
