//! The token endpoint: how the client authenticates, which answers are read.
use super::*;

#[test]
fn the_way_to_authenticate_is_chosen() {
    let base = oidc().client;
    let key = client_key(AssertionAudience::Issuer);
    let public = ClientCredentials { secret: None, ..base.clone() };
    let keyed = ClientCredentials { key: Some(key), ..public.clone() };
    let chosen = ClientCredentials { auth: Some(ClientAuth::Basic), ..base.clone() };
    let list = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    for (provider, advertised, expected) in [
        (&base, None, ClientAuth::Basic),
        (&base, list(&["client_secret_basic", "client_secret_post"]), ClientAuth::Basic),
        (&base, list(&["client_secret_post", "private_key_jwt"]), ClientAuth::Post),
        (&base, list(&["client_secret_jwt"]), ClientAuth::Basic),
        (&chosen, list(&["client_secret_post"]), ClientAuth::Basic),
        (&keyed, list(&["client_secret_post"]), ClientAuth::PrivateKeyJwt),
        (&public, None, ClientAuth::None),
    ] {
        assert_eq!(client_auth::method(provider, advertised.as_deref()), expected, "{advertised:?}");
    }
}

fn exchanged(change: impl FnOnce(&mut Oidc), reply: Reply) -> (Result<Tokens, Fault>, Call) {
    let mut oidc = oidc();
    change(&mut oidc);
    let metadata = read(&metadata(), &oidc);
    let io = TestHost::new().io();
    let inner = io.clone();
    let flow = async move {
        let endpoint = Endpoint::of_oidc(&oidc, &metadata);
        exchange(&inner, &endpoint, &secret("c&1"), REDIRECT, Some(&secret("verifier"))).await
    };
    let (result, mut calls) = drive(&io, flow, [reply]);
    (result, calls.remove(0))
}

fn tokens() -> Value {
    json!({"access_token": "at", "id_token": "it", "refresh_token": "rt", "token_type": "Bearer", "expires_in": 60})
}

#[test]
fn the_code_is_exchanged_with_its_verifier() {
    let (result, call) = exchanged(
        |oidc| {
            oidc.client.client_id = "a:b c".into();
            oidc.client.secret = Some(secret("p%&\u{e9}").into());
            oidc.token_params = vec![("resource".into(), "urn:x".into())];
        },
        testing::json(&tokens()),
    );
    assert_eq!(result.unwrap().expires_in, Some(60));
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "c&1"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", "verifier"),
        ("resource", "urn:x"),
    ];
    assert_eq!(form(&call), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    // base64 of a%3Ab+c:p%25%26%C3%A9 (RFC 6749 section 2.3.1).
    assert_eq!(header(&call, "authorization"), Some("Basic YSUzQWIrYzpwJTI1JTI2JUMzJUE5"));
    let (_, call) = exchanged(|o| o.client.auth = Some(ClientAuth::Post), testing::json(&tokens()));
    assert!(
        form(&call).contains(&("client_secret".into(), "s3cret".into()))
            && header(&call, "authorization").is_none()
    );
    let (_, call) = exchanged(|o| o.client.secret = None, testing::json(&tokens()));
    assert!(
        form(&call).contains(&("client_id".into(), "lakehouse".into()))
            && header(&call, "authorization").is_none()
    );
}

fn client_key(audience: AssertionAudience) -> ClientKey {
    let kid = Some("ed25519".into());
    ClientKey { private_key: secret(ED25519), kid, alg: "EdDSA".into(), x5t: None, audience }
}

/// The claims of the assertion in this call.
fn assertion(call: &Call) -> serde_json::Map<String, Value> {
    let sent: BTreeMap<_, _> = form(call).into_iter().collect();
    assert_eq!(sent["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let keys = KeySet::parse(JWKS.as_bytes()).unwrap();
    let jws = Jws::parse(&sent["client_assertion"]).unwrap();
    let (claims, _) = keys.verify(&*TestHost::new(), &jws).unwrap();
    claims
}

#[test]
fn a_client_assertion_is_signed_for_the_issuer_alone() {
    let issuer = |o: &mut Oidc| o.client.key = Some(client_key(AssertionAudience::Issuer));
    let (_, call) = exchanged(issuer, testing::json(&tokens()));
    let claims = assertion(&call);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("lakehouse"), &json!("lakehouse")));
    assert_eq!(claims["aud"], ISSUER);
    assert_eq!(
        (claims["iat"].as_u64(), claims["exp"].as_u64()),
        (Some(START / 1000), Some(START / 1000 + 60))
    );
    assert!(claims["jti"].as_str().unwrap().len() >= 20);
    // Where the provider insists on it.
    let insists = |o: &mut Oidc| o.client.key = Some(client_key(AssertionAudience::TokenEndpoint));
    assert_eq!(
        assertion(&exchanged(insists, testing::json(&tokens())).1)["aud"],
        "https://idp.example.com/token"
    );
    // A provider that names another's token endpoint receives nothing that is good there.
    let (endpoint, keyed) = (url("https://victim.example/token"), |audience| ClientCredentials {
        key: Some(client_key(audience)),
        ..oidc().client
    });
    let own = keyed(AssertionAudience::Issuer);
    let named = |issuer| client_auth::audience(&own, issuer, &endpoint).to_owned();
    assert_eq!(named("https://evil.example"), "https://evil.example");
    // No server is meant by these.
    for issuer in ["", "https://login.microsoftonline.com/{tenantid}/v2.0"] {
        assert_eq!(named(issuer), "https://victim.example/token");
    }
}

#[test]
fn token_answers_are_read_strictly() {
    let with = |name: &str, value: Value| {
        let mut tokens = tokens();
        tokens[name] = value;
        tokens
    };
    for good in [
        with("token_type", json!("bearer")),
        with("expires_in", json!("3600")),
        with("expires_in", json!(3599.5)),
        with("refresh_token", json!(null)),
        with("scope", json!(["odd"])),
        with("token_type", json!(null)),
        with("token_type", json!("")),
        with("access_token", json!("a b~!\u{20}.-_/+=")),
    ] {
        assert!(exchanged(|_| (), testing::json(&good)).0.is_ok(), "{good}");
    }
    for (reply, code, why) in [
        (testing::json(&with("id_token", json!(null))), Code::IdpInvalidAnswer, "id_token is missing"),
        (testing::json(&with("id_token", json!(7))), Code::IdpInvalidAnswer, "id_token is a number"),
        (testing::json(&with("token_type", json!("DPoP"))), Code::IdpInvalidAnswer, "token_type"),
        (testing::json(&with("token_type", json!("mac"))), Code::IdpInvalidAnswer, "token_type"),
        (testing::json(&with("token_type", json!(7))), Code::IdpInvalidAnswer, "token_type is a number"),
        (testing::json(&with("expires_in", json!(-1))), Code::IdpInvalidAnswer, "expires_in"),
        (testing::json(&with("expires_in", json!("soon"))), Code::IdpInvalidAnswer, "expires_in"),
        (
            testing::json(&with("error", json!("bad_verification_code"))),
            Code::IdpInvalidAnswer,
            "bad_verification_code",
        ),
        (testing::json(&json!([])), Code::IdpInvalidAnswer, "an array"),
        (
            testing::answer("application/json", r#"{"id_token":"a","id_token":"b"}"#),
            Code::IdpInvalidAnswer,
            "twice",
        ),
        (
            status(400, "application/json", r#"{"error":"invalid_grant\n<b>"}"#),
            Code::IdpInvalidAnswer,
            "error invalid_grant?<b>",
        ),
        (
            status(400, "application/json", r#"{"error":"invalid_grant","error_description":"used\r\nx"}"#),
            Code::IdpInvalidAnswer,
            "error invalid_grant (used??x): it was used",
        ),
        (
            status(401, "application/json", r#"{"error":"invalid_client"}"#),
            Code::IdpInvalidAnswer,
            "error invalid_client",
        ),
        (status(302, "text/html", ""), Code::IdpInvalidAnswer, "status 302"),
        (status(500, "text/html", ""), Code::IdpUnavailable, "status 500"),
        (status(504, "text/html", ""), Code::IdpTimeout, "status 504"),
    ] {
        let fault = exchanged(|_| (), reply).0.unwrap_err();
        assert_eq!(fault.code, code, "{}", fault.detail);
        assert!(fault.detail.contains(why), "{} does not say {why}", fault.detail);
    }
}

#[test]
fn no_token_holds_what_a_header_cannot_carry() {
    for name in ["access_token", "refresh_token", "id_token"] {
        let bytes = (0u8..0x20).chain([0x7f]).map(char::from).chain(['\u{80}', '\u{e9}', '\u{1f600}']);
        for bad in bytes {
            for token in [format!("a{bad}b"), format!("{bad}a"), format!("a{bad}")] {
                let mut answer = tokens();
                answer[name] = json!(token);
                let fault = exchanged(|_| (), testing::json(&answer)).0.unwrap_err();
                assert_eq!(fault.code, Code::IdpInvalidAnswer, "{name} {bad:?}");
                assert!(fault.detail.contains(&format!("{name} holds bytes")), "{}", fault.detail);
                assert!(!fault.detail.contains(&token), "no token in the log");
            }
        }
    }
}

#[test]
fn an_error_of_the_settings_says_which_to_compare() {
    for (error, in_setup, advice) in [
        ("invalid_client", true, "client_id, client_secret and client_auth"),
        ("unauthorized_client", true, "grants"),
        ("unsupported_grant_type", true, "token_endpoint"),
        ("invalid_scope", true, "compare scope"),
        ("invalid_redirect_uri", true, "redirect URI"),
        ("incorrect_client_credentials", true, "client_secret"),
        ("invalid_grant", false, "redirect URI"),
        ("server_said_no", false, "status"),
    ] {
        let body = json!({ "error": error, "error_description": "the secret \"expired\"" });
        for code in [200, 400, 401] {
            let reply = status(code, "application/json", body.to_string());
            let fault = exchanged(|_| (), reply).0.unwrap_err();
            assert_eq!((fault.code, fault.in_setup), (Code::IdpInvalidAnswer, in_setup), "{error}");
            let said = format!("status {code}, error {error} (the secret ?expired?)");
            assert!(fault.detail.contains(&said), "{}", fault.detail);
            assert!(fault.detail.contains(advice), "{}", fault.detail);
        }
    }
}

#[test]
fn a_token_answer_without_a_type_is_noted_once() {
    let host = TestHost::new();
    for (kind, notes) in [(json!("Bearer"), 0), (json!(null), 1)] {
        let (oidc, io) = (oidc(), host.io());
        let metadata = read(&metadata(), &oidc);
        let inner = io.clone();
        let flow = async move {
            exchange(&inner, &Endpoint::of_oidc(&oidc, &metadata), &secret("c"), REDIRECT, None).await
        };
        let mut answer = tokens();
        answer["token_type"] = kind;
        assert!(drive(&io, flow, [testing::json(&answer)]).0.is_ok());
        assert_eq!(host.logs().iter().filter(|(_, line)| line.contains("token_type")).count(), notes);
    }
}

#[test]
fn a_refresh_tells_an_ended_grant_from_a_failure() {
    let run = |reply: Reply| {
        let (oidc, io) = (oidc(), TestHost::new().io());
        let metadata = read(&metadata(), &oidc);
        let inner = io.clone();
        let flow = async move { refresh(&inner, &Endpoint::of_oidc(&oidc, &metadata), &secret("rt")).await };
        let (result, calls) = drive(&io, flow, [reply]);
        assert!(form(&calls[0]).contains(&("refresh_token".into(), "rt".into())));
        result
    };
    // No ID token and no new refresh token is fine.
    let answer = json!({"access_token": "at", "token_type": "Bearer"});
    assert!(matches!(run(testing::json(&answer)), Ok(Refreshed::Tokens(t)) if t.refresh_token.is_none()));
    // Auth0 answers 403.
    for (code, error) in [
        (400, "invalid_grant"),
        (403, "invalid_grant"),
        (400, "interaction_required"),
        (400, "login_required"),
        (400, "consent_required"),
    ] {
        let ended = status(code, "application/json", json!({ "error": error }).to_string());
        assert!(matches!(run(ended), Ok(Refreshed::Ended(said)) if said == error), "{error}");
    }
    // Dex and Authlib answer so if a token has expired or was replaced. Dex answers so with 500 too, if it fails itself.
    let invalid_request = |code| run(status(code, "application/json", r#"{"error":"invalid_request"}"#));
    assert!(matches!(invalid_request(400), Ok(Refreshed::Ended("invalid_request"))));
    assert_eq!(invalid_request(500).unwrap_err().code, Code::IdpUnavailable);
    assert_eq!(
        run(status(400, "application/json", r#"{"error":"invalid_client"}"#)).unwrap_err().code,
        Code::IdpInvalidAnswer
    );
    assert_eq!(
        run(status(503, "application/json", r#"{"error":"x"}"#)).unwrap_err().code,
        Code::IdpUnavailable
    );
    assert_eq!(run(testing::json(&json!({}))).unwrap_err().code, Code::IdpInvalidAnswer);
}
