//! The end session endpoint, and the provider's logout tokens.
use super::*;

#[test]
fn the_way_out_is_templated_or_standard() {
    let hint = secret("it");
    let logout = Logout {
        client_id: "lakehouse",
        post_logout_redirect_uri: Some("https://app.example.com/out?a=b"),
        id_token_hint: Some(&hint),
        state: Some("st"),
    };
    let metadata = read(&metadata(), &oidc());
    let standard = query(&logout::url(None, Some(&metadata), &logout).unwrap());
    assert_eq!(standard.len(), 4);
    assert_eq!(standard["post_logout_redirect_uri"], "https://app.example.com/out?a=b");
    assert_eq!((standard["id_token_hint"].as_str(), standard["state"].as_str()), ("it", "st"));
    let template = LogoutUrl {
        url: url("https://idp.example.com/v2/logout?federated"),
        params: BTreeMap::from([
            ("client_id".into(), "{client_id}".into()),
            ("returnTo".into(), "{post_logout_redirect_uri}".into()),
            ("x".into(), "{unknown}-{client_id".into()),
        ]),
    };
    let own = query(&logout::url(Some(&template), Some(&metadata), &logout).unwrap());
    assert_eq!((own["client_id"].as_str(), own["x"].as_str()), ("lakehouse", "{unknown}-{client_id"));
    assert_eq!(own["returnTo"], "https://app.example.com/out?a=b");
    let none = query(
        &logout::url(Some(&template), None, &Logout { client_id: "{state}", ..Logout::default() }).unwrap(),
    );
    assert!(!none.contains_key("returnTo") && none["client_id"] == "{state}");
    let mut silent = metadata;
    silent.end_session_endpoint = None;
    assert!(logout::url(None, Some(&silent), &logout).is_none());
}

#[test]
fn the_way_out_is_never_longer_than_servers_take() {
    let metadata = read(&metadata(), &oidc());
    let template = LogoutUrl {
        url: url("https://idp.example.com/v2/logout"),
        params: BTreeMap::from([
            ("hint".into(), "{id_token_hint}".into()),
            ("next".into(), "{post_logout_redirect_uri}".into()),
        ]),
    };
    for size in [10, 3_000, 3_800, 4_096, 5_000, 60_000] {
        let hint = secret(&"a".repeat(size));
        let logout = Logout {
            client_id: "lakehouse",
            post_logout_redirect_uri: Some("https://app.example.com/out"),
            id_token_hint: Some(&hint),
            state: Some("st"),
        };
        for (configured, hinted) in [(None, "id_token_hint"), (Some(&template), "hint")] {
            let found = logout::url(configured, Some(&metadata), &logout).unwrap();
            assert!(found.as_str().len() <= 4_096, "{size}");
            let parameters = query(&found);
            assert_eq!(parameters.contains_key(hinted), size < 4_000, "{size} {hinted}");
            assert!(parameters.values().any(|value| value == "https://app.example.com/out"));
        }
    }
}

#[test]
fn logout_tokens_follow_every_rule() {
    let now = START / 1000;
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let good = json!({
        "iss": ISSUER, "aud": "lakehouse", "sub": "ada", "sid": "s-1", "jti": "j-1",
        "iat": now, "exp": now + 120, "events": event,
    });
    let run = |typ: &str, change: Value| {
        let claims = testing::changed(good.clone(), &change);
        let token = token_of(&json!({"alg": "ES256", "kid": "p256", "typ": typ}), &claims.to_string());
        let (provider, io) = (provider(|_| ()), TestHost::new().io());
        let inner = io.clone();
        let flow = async move { logout_token::verify(&inner, &provider, &token).await };
        drive(&io, flow, [discovered(), keys()]).0
    };
    for (typ, change) in [
        ("logout+jwt", json!({})),
        ("JWT", json!({})),
        ("JWT", json!({"sub": null})),
        ("JWT", json!({"sid": null})),
        ("JWT", json!({"exp": null})),
    ] {
        assert_eq!(run(typ, change).unwrap().jti, "j-1");
    }
    for (typ, change) in [
        ("at+jwt", json!({})),
        ("JWT", json!({"nonce": "n"})),
        ("JWT", json!({"events": null})),
        ("JWT", json!({"events": {}})),
        ("JWT", json!({"events": ["http://schemas.openid.net/event/backchannel-logout"]})),
        ("JWT", json!({"events": {"http://schemas.openid.net/event/backchannel-logout": true}})),
        ("JWT", json!({"sub": null, "sid": null})),
        ("JWT", json!({"sub": 7})),
        ("JWT", json!({"jti": null})),
        ("JWT", json!({"iss": "https://evil"})),
        ("JWT", json!({"aud": "other"})),
        ("JWT", json!({"iat": null})),
        ("JWT", json!({"iat": now + 61})),
        ("JWT", json!({"exp": now - 60})),
        ("JWT", json!({"exp": null, "iat": now - 360})),
    ] {
        assert_eq!(run(typ, change.clone()).unwrap_err().code, Code::RequestInvalid, "{typ} {change}");
    }
}
