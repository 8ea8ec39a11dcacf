//! OpenID Connect Back-Channel Logout 1.0.

use super::*;

#[test]
fn the_session_ends_on_every_worker_and_the_answer_is_as_the_specification_has_it() {
    let host = TestHost::new();
    let TwoWorkers { here, mut ada, mut bob, mut elsewhere, .. } = TwoWorkers::of(&host);
    assert!(is_in(&mut elsewhere));
    let seen = post(&here, "acme", &logout_token(json!({})));
    assert_eq!((seen.status(), seen.text().as_str()), (200, ""));
    assert_eq!(seen.answer.as_ref().unwrap().header("cache-control"), Some("no-store"));
    assert!(!is_in(&mut ada) && !is_in(&mut elsewhere));
    assert!(is_in(&mut bob));
    assert_eq!(host.counted("sso_sessions_ended.reason.backchannel_logout"), 1);
    let line = host.logs().into_iter().find(|(_, line)| line.contains("backchannel_logout"));
    assert!(line.is_some_and(|(_, line)| line.contains("\"ends\":\"sid\"")));
}

#[test]
fn sid_sub_and_both() {
    // What the token names: which of these sessions of ada it ends. The last one has no sid.
    for (change, ended) in [
        (json!({}), [true, false, true]),
        (json!({ "sub": null }), [true, false, false]),
        (json!({ "sid": null }), [true, true, true]),
        (json!({ "sid": "another" }), [false, false, true]),
        (json!({ "sid": "another", "sub": null }), [false, false, false]),
        (json!({ "sub": "bob", "sid": null }), [false, false, false]),
    ] {
        let filter_state = filter_state(&TestHost::new(), &configuration());
        let mut browsers = [Some("sid-1"), Some("sid-2"), None]
            .map(|sid| signed_in(&filter_state, "acme", "corp", Who { sid, ..ADA }));
        assert_eq!(post(&filter_state, "acme", &logout_token(change.clone())).status(), 200, "{change}");
        assert_eq!(browsers.each_mut().map(|browser| !is_in(browser)), ended, "{change}");
    }
}

#[test]
fn what_is_opened_afterwards_goes_on() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut before = signed_in(&filter_state, "acme", "corp", ADA);
    assert_eq!(post(&filter_state, "acme", &logout_token(json!({ "sid": null }))).status(), 200);
    host.advance(1);
    let mut after = signed_in(&filter_state, "acme", "corp", ADA);
    assert!(!is_in(&mut before) && is_in(&mut after));
    // A token that comes late is not about what was opened a minute and more after it was issued.
    host.advance(61_000);
    let mut later = signed_in(&filter_state, "acme", "corp", ADA);
    assert_eq!(post(&filter_state, "acme", &logout_token(json!({ "sid": null, "jti": "2" }))).status(), 200);
    assert!(!is_in(&mut after) && is_in(&mut later));
}

#[test]
fn a_login_under_way_does_not_open_what_has_ended() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut browser = Browser::new(&filter_state, "acme.example");
    let start = browser.get("/sso/login?idp=corp", &mut documents());
    let [state, nonce] = ["state", "nonce"].map(|name| parameter(start.location(), name).unwrap());
    assert_eq!(post(&filter_state, "acme", &logout_token(json!({}))).status(), 200);
    host.advance(1000);
    let back = browser.get(&format!("/sso/oidc/consume?u=acme&code=c&state={state}"), &mut idp(ADA, nonce));
    assert_eq!((back.status(), back.code()), (401, "session_expired"), "and no redirect in circles");
    assert!(!is_in(&mut browser));
    signed_in(&filter_state, "acme", "corp", Who { sid: Some("sid-2"), ..ADA });
}

#[test]
fn every_rule_on_the_token() {
    let good = json!({ "alg": "ES256", "kid": "p256", "typ": "logout+jwt" });
    let event = |value: Value| json!({ "events": value });
    let mut cases: Vec<(String, String, bool)> = Vec::new();
    let mut case = |name: &str, header: &Value, change: Value, passes: bool| {
        cases.push((name.to_owned(), sign(header.clone(), &claims(change)), passes));
    };
    case("good", &good, json!({}), true);
    case("typ JWT", &json!({ "alg": "ES256", "kid": "p256", "typ": "JWT" }), json!({}), true);
    case("no typ", &json!({ "alg": "ES256", "kid": "p256" }), json!({}), true);
    case("no kid", &json!({ "alg": "ES256" }), json!({}), true);
    case("several audiences", &good, json!({ "aud": ["other", "app"] }), true);
    case("no exp (Authentik)", &good, json!({ "exp": null }), true);
    case("an event with members", &good, event(json!({ EVENT: { "a": 1 }, "other": {} })), true);
    case("iat a minute ahead", &good, json!({ "iat": NOW + 60 }), true);
    case("exp within the skew", &good, json!({ "exp": NOW - 59 }), true);
    case("alg of another key", &json!({ "alg": "RS256", "kid": "p256" }), json!({}), false);
    case("alg not listed", &json!({ "alg": "ES384", "kid": "p256" }), json!({}), false);
    case("HMAC", &json!({ "alg": "HS256" }), json!({}), false);
    case(
        "typ of an access token",
        &json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt" }),
        json!({}),
        false,
    );
    case("unknown kid", &json!({ "alg": "ES256", "kid": "unknown" }), json!({}), false);
    for (name, change) in [
        ("wrong iss", json!({ "iss": "https://idp.example/" })),
        ("no iss", json!({ "iss": null })),
        ("wrong aud", json!({ "aud": "other" })),
        ("no aud", json!({ "aud": null })),
        ("aud of another type", json!({ "aud": { "app": true } })),
        ("no sub and no sid", json!({ "sub": null, "sid": null })),
        ("empty sid and no sub", json!({ "sub": null, "sid": "" })),
        ("sid of another type", json!({ "sid": 7 })),
        ("sub of another type", json!({ "sub": ["ada"] })),
        ("a nonce", json!({ "nonce": "n" })),
        ("an empty nonce", json!({ "nonce": "" })),
        ("no events", json!({ "events": null })),
        ("other events", event(json!({ "http://schemas.openid.net/event/other": {} }))),
        ("events a list", event(json!([EVENT]))),
        ("events a text", event(json!(EVENT))),
        ("the event is true", event(json!({ EVENT: true }))),
        ("no iat", json!({ "iat": null })),
        ("iat a text", json!({ "iat": NOW.to_string() })),
        ("iat in the future", json!({ "iat": NOW + 61 })),
        ("expired", json!({ "exp": NOW - 60 })),
        ("old, without exp", json!({ "exp": null, "iat": NOW - 360 })),
        ("no jti", json!({ "jti": null })),
        ("empty jti", json!({ "jti": "" })),
        ("jti of another type", json!({ "jti": 1 })),
    ] {
        case(name, &good, change, false);
    }
    let whole = logout_token(json!({}));
    let (signed, _) = whole.rsplit_once('.').unwrap();
    let none = sign(json!({ "alg": "none" }), &claims(json!({})));
    let (none, _) = none.rsplit_once('.').unwrap();
    for (name, token) in [
        ("alg none", format!("{none}.")),
        ("alg none with a signature", format!("{none}.AAAA")),
        ("no signature", format!("{signed}.")),
        (
            "another token's signature",
            format!("{signed}.{}", logout_token(json!({ "jti": "x" })).rsplit_once('.').unwrap().1),
        ),
        (
            "an ID token",
            sign(
                json!({ "alg": "ES256", "kid": "p256" }),
                &json!({ "iss": ISSUER, "aud": "app", "sub": "ada", "iat": NOW, "exp": NOW + 60 }),
            ),
        ),
        ("encrypted", "a.b.c.d.e".into()),
        ("no token", "x".into()),
        ("empty", String::new()),
        ("huge", "a".repeat(60_000)),
    ] {
        cases.push((name.to_owned(), token, false));
    }
    for (name, token, passes) in cases {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration());
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        let seen = post(&filter_state, "acme", &token);
        let expected = if passes { (200, "back_channel_logout") } else { (400, "request_invalid") };
        assert_eq!((seen.status(), seen.code()), expected, "{name}: {}", seen.text());
        assert_eq!(is_in(&mut ada), !passes, "{name}");
        if !passes {
            let answer = seen.answer.as_ref().unwrap();
            assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
            assert_eq!(seen.json()["error"], "invalid_request", "{name}");
            assert_eq!(host.counted("sso_refusals.code.request_invalid"), 1, "{name}");
            assert!(!host.logs().iter().any(|(_, line)| line.contains(signed)), "{name}");
        }
    }
}

#[test]
fn a_token_is_good_once_on_every_worker() {
    let host = TestHost::new();
    let (here, there) =
        (filter_state(&host, &configuration()), filter_state(&host.worker(), &configuration()));
    let token = logout_token(json!({}));
    assert_eq!(post(&here, "acme", &token).status(), 200);
    assert_eq!(post(&here, "acme", &token).status(), 400);
    assert_eq!(post(&there, "acme", &token).status(), 400);
    assert_eq!(post(&there, "acme", &logout_token(json!({ "jti": "jti-2" }))).status(), 200);
    // The same jti is another one at another account.
    assert_eq!(post(&there, "other", &token).status(), 200);
}

#[test]
fn the_request_itself() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let token = logout_token(json!({}));
    let send = |method: &str, body: Option<&str>, kind: &str| {
        let mut idp =
            Browser::new(&filter_state, "acme.example").with("accept", "*/*").with("content-type", kind);
        let body = body.map(|body| body.as_bytes().to_vec());
        idp.send(method, "/sso/backchannel-logout?u=acme", body, &mut documents())
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let form = format!("logout_token={token}");
    for (method, body, kind, expected) in [
        ("GET", None, FORM, (405, "method_not_allowed")),
        ("PUT", Some(form.as_str()), FORM, (405, "method_not_allowed")),
        ("POST", Some(&token), "application/logout+jwt", (415, "content_type_unsupported")),
        ("POST", Some("x=1"), FORM, (400, "request_invalid")),
        ("POST", Some(&format!("{form}&logout_token=x")), FORM, (400, "request_invalid")),
        ("POST", Some(&"a".repeat(70_000)), FORM, (413, "body_too_large")),
        // Other parameters are none of ours (section 2.5).
        ("POST", Some(&format!("x=1&{form}&y=2")), FORM, (200, "back_channel_logout")),
    ] {
        let seen = send(method, body, kind);
        assert_eq!((seen.status(), seen.code()), expected, "{method} {kind} {}", seen.text());
    }
    // The token in the query is not a token in the form.
    let mut idp = Browser::new(&filter_state, "acme.example");
    let target =
        format!("/sso/backchannel-logout?u=acme&logout_token={}", logout_token(json!({ "jti": "q" })));
    assert_eq!(idp.post(&target, &[("x", "y")], &mut documents()).code(), "request_invalid");
    assert_eq!(idp.post("/sso/backchannel-logout?u=nobody", &[], &mut nobody).code(), "account_unknown");
}

#[test]
fn one_account_and_provider_do_not_end_the_sessions_of_another() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let one = Who { issuer: "https://one.example", client_id: "app-1", ..ADA };
    let mut browsers = [
        signed_in(&filter_state, "acme", "corp", ADA),
        signed_in(&filter_state, "other", "corp", ADA),
        signed_in(&filter_state, "several", "one", one),
        signed_in(
            &filter_state,
            "several",
            "two",
            Who { issuer: "https://two.example", client_id: "app-2", ..ADA },
        ),
        signed_in(&filter_state, "several", "same", Who { client_id: "app-3", ..one }),
    ];
    let mut ended = |code: &str, token: &str, status: u16| {
        let seen = post(&filter_state, code, token);
        assert_eq!(seen.status(), status, "{}", seen.text());
        browsers.each_mut().map(|browser| !is_in(browser))
    };
    // The provider is found by iss and aud together.
    for (jti, iss, aud) in
        [("a", "https://one.example", "app-2"), ("b", "https://three.example", "app-1"), ("c", ISSUER, "app")]
    {
        let token = logout_token(json!({ "jti": jti, "iss": iss, "aud": aud }));
        assert_eq!(ended("several", &token, 400), [false; 5]);
    }
    let token = logout_token(json!({ "jti": "d", "iss": "https://one.example", "aud": "app-1" }));
    assert_eq!(ended("several", &token, 200), [false, false, true, false, false]);
    let token =
        logout_token(json!({ "jti": "e", "iss": "https://one.example", "aud": "app-3", "sid": null }));
    assert_eq!(ended("several", &token, 200), [false, false, true, false, true]);
    assert_eq!(ended("acme", &logout_token(json!({})), 200), [true, false, true, false, true]);
}

#[test]
fn a_provider_that_is_down_ends_nothing_and_says_so() {
    let host = TestHost::new();
    let one = Who { issuer: "https://one.example", client_id: "app-1", ..ADA };
    let token = logout_token(json!({ "iss": "https://one.example", "aud": "app-1" }));
    let send = |filter_state: &Rc<FilterState>, code: &str, respond: &mut dyn FnMut(&Call) -> Reply| {
        let mut idp = Browser::new(filter_state, &format!("{code}.example")).with("accept", "*/*");
        idp.post(&format!("/sso/backchannel-logout?u={code}"), &[("logout_token", &token)], respond)
    };
    let fresh = filter_state(&host, &configuration());
    let seen = send(&fresh, "several", &mut |_| Reply::Failed(Failure::Unreachable));
    assert_eq!((seen.status(), seen.code()), (400, "idp_unavailable"));
    assert_eq!(seen.json()["error"], "temporarily_unavailable");
    // The same token is good when the provider is back: it was not used up.
    host.advance(20_000);
    let mut browser = signed_in(&fresh, "several", "one", one);
    assert_eq!(send(&fresh, "several", &mut documents()).status(), 200);
    assert!(!is_in(&mut browser));
}

#[test]
fn an_unknown_key_is_looked_for_once_a_minute() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let unknown = |jti: &str| sign(json!({ "alg": "ES256", "kid": "new" }), &claims(json!({ "jti": jti })));
    let keys = |token: &str, set: &str| {
        let mut idp = Browser::new(&filter_state, "acme.example");
        let mut respond = |call: &Call| match header(call, ":path") {
            Some("/keys") => testing::answer("application/json", set.to_owned()),
            other => panic!("nobody asks for {other:?}"),
        };
        let seen = idp.post("/sso/backchannel-logout?u=acme", &[("logout_token", token)], &mut respond);
        (seen.status(), seen.calls.len())
    };
    assert_eq!(keys(&unknown("a"), JWKS), (400, 1));
    assert_eq!(keys(&unknown("b"), JWKS), (400, 0), "throttled");
    assert!(is_in(&mut ada));
    host.advance(60_000);
    assert_eq!(keys(&unknown("c"), &JWKS.replace("\"p256\"", "\"new\"")), (200, 1), "a rotated key");
    assert!(!is_in(&mut ada));
}
