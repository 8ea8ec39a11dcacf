//! Assertions without Envoy: what they say, when they are signed anew, and that workers share them.

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS, P256};
use crate::crypto::{Jws, KeySet};
use crate::testing::browser::{filter_state, Browser, KEY};
use crate::testing::{TestHost, START};

fn configuration(lifetime: &str) -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example", "https://two.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oidc": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "jwks": keys, "client_id": "app"
            } }],
            "bearer": { "audiences": ["api"], "providers": ["corp"] },
            "forward": { "assertion": { "audience": "backend", "lifetime": lifetime, "keys": [
                { "id": "a1", "private_key": { "value": P256 } }
            ] } }
        }]
    })
}

/// A token that is good for so many seconds.
fn bearer(seconds: u64) -> String {
    let now = START / 1000;
    let claims = json!({
        "iss": "https://idp.example", "sub": "1", "aud": "api", "iat": now, "exp": now + seconds, "client_id": "cli",
        "email": "ada@acme.com", "amr": ["pwd"],
    });
    format!(
        "Bearer {}",
        token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}), &claims.to_string())
    )
}

/// What the application gets with this token at this origin, by a worker of its own.
fn told(host: &std::rc::Rc<TestHost>, configuration: &Value, authority: &str, token: &str) -> Option<String> {
    let filter_state = filter_state(host, configuration);
    let mut browser = Browser::new(&filter_state, authority).with("authorization", token);
    let passed = browser.get("/reports", &mut |call: &_| panic!("nobody is asked: {call:?}")).pass.unwrap();
    passed.assertion.map(|token| token.to_string())
}

fn claims(host: &TestHost, token: &str) -> Value {
    let published = filter_state(&TestHost::new(), &configuration("5m"));
    let account = &published.config.accounts[0];
    let key = account.forward.assertion.as_ref().unwrap().keys[0].public();
    let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let (claims, key) = set.verify(host, &Jws::parse(token).unwrap()).unwrap();
    assert_eq!(key.kid.as_deref(), Some("a1"));
    Value::Object(claims)
}

#[test]
fn workers_share_one_until_shortly_before_it_expires() {
    let host = TestHost::new();
    let configuration = configuration("60s");
    let token = bearer(3600);
    let signed = |count: u64| assert_eq!(host.counted("sso_assertions_signed"), count);
    let first = told(&host, &configuration, "app.example", &token).unwrap();
    for _ in 0..3 {
        assert_eq!(told(&host, &configuration, "app.example", &token).as_ref(), Some(&first));
        assert_eq!(told(&host, &configuration, "APP.example:443", &token).as_ref(), Some(&first));
    }
    signed(1);
    let claims_of = claims(&host, &first);
    let now = START / 1000;
    assert_eq!(
        (&claims_of["iat"], &claims_of["nbf"], &claims_of["exp"]),
        (&json!(now), &json!(now), &json!(now + 60))
    );
    assert_eq!((&claims_of["iss"], &claims_of["aud"]), (&json!("https://app.example"), &json!("backend")));
    assert_eq!((&claims_of["amr"], &claims_of["roles"]), (&json!(["pwd"]), &json!([])));
    assert_eq!((claims_of.get("acr"), claims_of.get("name")), (None, None));
    // Another origin is another issuer.
    let other = told(&host, &configuration, "two.example", &token).unwrap();
    assert_eq!(claims(&host, &other)["iss"], "https://two.example");
    signed(2);
    host.advance(53_000);
    assert_eq!(told(&host, &configuration, "app.example", &token), Some(first.clone()));
    host.advance(2_000);
    let next = told(&host, &configuration, "app.example", &token).unwrap();
    assert_ne!(next, first);
    assert_eq!(claims(&host, &next)["sid"], claims_of["sid"]);
    signed(3);
}

#[test]
fn it_ends_with_its_token_and_is_not_signed_again_and_again_before() {
    let host = TestHost::new();
    let configuration = configuration("5m");
    let token = bearer(20);
    let first = told(&host, &configuration, "app.example", &token).unwrap();
    assert_eq!(claims(&host, &first)["exp"], START / 1000 + 20);
    for _ in 0..19 {
        host.advance(1_000);
        assert_eq!(told(&host, &configuration, "app.example", &token), Some(first.clone()));
    }
    assert_eq!(host.counted("sso_assertions_signed"), 1);
    // The token is accepted a little longer, for clocks that differ; an assertion would be born expired.
    host.advance(1_000);
    assert_eq!(told(&host, &configuration, "app.example", &token), None);
}

#[test]
fn another_user_audience_or_key_is_another_assertion() {
    let host = TestHost::new();
    let token = bearer(3600);
    let first = told(&host, &configuration("5m"), "app.example", &token).unwrap();
    let mut changed = configuration("5m");
    changed["accounts"][0]["forward"]["assertion"]["audience"] = json!("other");
    let second = told(&host, &changed, "app.example", &token).unwrap();
    assert_eq!(claims(&host, &second)["aud"], "other");
    changed["accounts"][0]["mapping"] = json!({ "claim": "sub", "attribute": "username" });
    let third = told(&host, &changed, "app.example", &token).unwrap();
    assert_eq!(claims(&host, &third)["sub"], "1");
    assert_eq!([&first, &second, &third].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}
