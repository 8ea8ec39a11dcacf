//! Assertions without Envoy: what they say, when they are signed anew, and that workers share them.

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS, P256};
use crate::crypto::{Jws, KeySet};
use crate::directory::{User, UserSource};
use crate::session::{Authentication, Method, Session, Tokens};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, KEY};
use crate::testing::{changed, TestHost, START};

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

/// A browser with a session of this user, which began so.
fn signed_in(
    host: &std::rc::Rc<TestHost>,
    filter_state: &std::rc::Rc<FilterState>,
    name: &str,
    method: Method,
    from: Authentication,
) -> Browser {
    let user = User::without_record(name.to_owned(), UserSource::Identity, Vec::new(), Default::default());
    let session = Session::open(&**host, user, method, from, Tokens::default()).unwrap();
    Browser::new(filter_state, "app.example").with_session("acme", session)
}

fn given(browser: &mut Browser) -> String {
    let seen = browser.get("/reports", &mut |call: &_| panic!("no call is expected: {call:?}"));
    seen.pass.unwrap().assertion.unwrap().to_string()
}

fn by_sso() -> Authentication {
    Authentication {
        provider: "corp".into(),
        issuer: "https://idp.example".into(),
        ..Authentication::default()
    }
}

#[test]
fn each_kind_of_session_says_when_and_where_it_began() {
    let host = TestHost::new();
    let mut configuration = configuration("5m");
    configuration["accounts"][0]["password"] = json!({"mode": "enabled"});
    let filter_state = filter_state(&host, &configuration);
    host.advance(7_500);
    let told = |method, from| {
        let mut browser = signed_in(&host, &filter_state, "ada", method, from);
        let claims = claims(&host, &given(&mut browser));
        (claims["method"].clone(), claims.get("idp").cloned(), claims.get("auth_time").cloned())
    };
    let begun = START / 1000 + 7;
    assert_eq!(
        told(Method::Password, Authentication::default()),
        (json!("password"), None, Some(json!(begun)))
    );
    assert_eq!(told(Method::Sso, by_sso()), (json!("sso"), Some(json!("corp")), None));
    let at = Authentication { auth_time: Some(17), ..by_sso() };
    assert_eq!(told(Method::Sso, at).2, Some(json!(17)), "as the provider says");
}

#[test]
fn a_new_one_is_signed_in_the_very_millisecond() {
    let host = TestHost::new();
    let configuration = configuration("5m");
    let token = bearer(3600);
    let first = told(&host, &configuration, "app.example", &token);
    // Half a minute before it expires: applications' clocks differ.
    host.set_now(START / 1000 * 1000 + 269_999);
    assert_eq!(told(&host, &configuration, "app.example", &token), first);
    host.advance(1);
    assert_ne!(told(&host, &configuration, "app.example", &token), first);
}

#[test]
fn an_assertion_never_outlives_its_session() {
    let host = TestHost::new();
    let with_idle = |idle: &str| {
        changed(
            configuration("5m"),
            &json!({
                "session": { "keys": [{ "id": "k1", "value": KEY }], "idle": idle }
            }),
        )
    };
    let long = filter_state(&host, &with_idle("1h"));
    let mut browser = signed_in(&host, &long, "ada", Method::Sso, by_sso());
    let first = claims(&host, &given(&mut browser));
    assert_eq!(first["exp"], START / 1000 + 300);
    // A configuration under which the same session ends sooner.
    let short = filter_state(&host, &with_idle("100s"));
    let second = claims(&host, &given(&mut browser.at(&short)));
    assert_eq!(second["exp"], START / 1000 + 100);
    assert_eq!(first["sid"], second["sid"]);
}

#[test]
fn a_worker_that_has_the_last_one_looks_no_further() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration("5m"));
    let mut browser = Browser::new(&filter_state, "app.example").with("authorization", &bearer(60));
    let mut looks = || {
        let before = host.shared_gets();
        given(&mut browser);
        host.shared_gets() - before
    };
    looks();
    let usual = looks();
    // The time for a new one has come, but it would end with the session too.
    host.advance(40_000);
    looks();
    assert_eq!(looks(), usual);
    assert_eq!(host.counted("sso_assertions_signed"), 1);
}

#[test]
fn only_what_fits_is_shared() {
    let mut longest = 0;
    // Names and keys of several lengths: in base64 not every length of a token occurs.
    for (key, length) in
        ["a1", "a12", "a123"].into_iter().flat_map(|key| (1170..1240).map(move |length| (key, length)))
    {
        let mut configuration = configuration("5m");
        configuration["accounts"][0]["forward"]["assertion"]["keys"][0]["id"] = json!(key);
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration);
        let mut browser = signed_in(&host, &filter_state, &"a".repeat(length), Method::Sso, by_sso());
        let token = given(&mut browser);
        let is_kept = host.shared_keys().iter().any(|key| key.starts_with("sso.assertion."));
        assert_eq!(is_kept, token.len() <= 2048 - 32, "{key} {length} {}", token.len());
        longest = longest.max(if is_kept { token.len() } else { 0 });
    }
    assert_eq!(longest, 2016, "the very limit was among them");
}
