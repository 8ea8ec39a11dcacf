use std::collections::BTreeMap;

use super::*;
use crate::config::{AssertionAudience, ClientAuth, ClientKey, LogoutUrl, OAuth2};
use crate::crypto::test_keys::{token, token_of, ED25519, JWKS};
use crate::crypto::{Jws, KeySet};
use crate::fault::{Code, Fault};
use crate::host::task::Call;
use crate::proto::oidc::authorization::{challenge, Authorization, Pkce};
use crate::proto::oidc::callback::{Callback, Outcome, MAX_CALLBACK};
use crate::proto::oidc::logout::{self, Logout};
use crate::proto::oidc::token::{exchange, refresh, Endpoint, Refreshed};
use crate::proto::oidc::{client_auth, logout_token, userinfo, Metadata, Tokens};
use crate::testing::{drive, form, header, status, TestHost, START};

const REDIRECT: &str = "https://app.example.com/sso/oidc/consume?u=acme";

fn read(document: &Value, oidc: &Oidc) -> Metadata {
    Metadata::read(document.to_string().as_bytes(), oidc).unwrap()
}

fn query(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a parameter is there twice: {url}");
    map
}

#[test]
fn the_challenge_is_rfc_7636_appendix_b() {
    assert_eq!(
        challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
    let pkce = Pkce::new(&*TestHost::new()).unwrap();
    assert_eq!((pkce.verifier.expose().len(), pkce.challenge.len()), (43, 43));
}

#[test]
fn the_authorization_url_holds_every_parameter_once() {
    let host = TestHost::new();
    let pkce = Pkce::new(&*host).unwrap();
    let mut oidc = oidc();
    oidc.authorization_params = vec![("prompt".into(), "login".into()), ("acr_values".into(), "mfa".into())];
    let mut request = Authorization::of_oidc(&oidc, REDIRECT, "st", "no", &pkce);
    let found = query(&request.url(&url("https://idp.example.com/authorize?tenant=a%20b")));
    for (name, value) in [
        ("tenant", "a b"),
        ("client_id", "lakehouse"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "st"),
        ("nonce", "no"),
        ("code_challenge", &pkce.challenge),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
        ("acr_values", "mfa"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!found.contains_key("response_mode") && !found.contains_key("login_hint"));
    request.response_mode = ResponseMode::FormPost;
    request.login_hint = Some("ada@acme.com&x=1");
    request.more = &[("prompt", "none"), ("state", "forged")];
    let found = query(&request.url(&url("https://idp.example.com/authorize")));
    assert_eq!(found["response_mode"], "form_post");
    assert_eq!(found["login_hint"], "ada@acme.com&x=1");
    assert_eq!((found["prompt"].as_str(), found["state"].as_str()), ("none", "st"));
}

fn push(
    document: Value,
    change: impl FnOnce(&mut Oidc),
    replies: Vec<Reply>,
) -> (Result<Url, Fault>, Vec<Call>) {
    let host = TestHost::new();
    let mut oidc = oidc();
    change(&mut oidc);
    let metadata = read(&document, &oidc);
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let pkce = Pkce::new(inner.host())?;
        Authorization::of_oidc(&oidc, REDIRECT, "st", "no", &pkce).start(&inner, &oidc, &metadata, None).await
    };
    drive(&io, flow, replies)
}

#[test]
fn a_pushed_request_leaves_two_parameters_in_the_url() {
    let mut document = metadata();
    document["pushed_authorization_request_endpoint"] = json!("https://idp.example.com/par");
    // Offered is not required.
    assert!(push(document.clone(), |_| (), vec![]).0.unwrap().query().unwrap().contains("code_challenge"));
    document["require_pushed_authorization_requests"] = json!(true);
    let good = || status(201, "application/json", r#"{"request_uri":"urn:x:1","expires_in":60}"#);
    let (result, calls) = push(document.clone(), |_| (), vec![good()]);
    let found = query(&result.unwrap());
    assert_eq!(
        found,
        BTreeMap::from(
            [("client_id", "lakehouse"), ("request_uri", "urn:x:1")].map(|(a, b)| (a.into(), b.into()))
        )
    );
    let sent = form(&calls[0]);
    for name in ["client_id", "redirect_uri", "state", "nonce", "code_challenge"] {
        assert_eq!(sent.iter().filter(|(n, _)| n == name).count(), 1, "{name}");
    }
    assert!(header(&calls[0], "authorization").unwrap().starts_with("Basic "));
    let (_, calls) = push(document.clone(), |o| o.client.auth = Some(ClientAuth::Post), vec![good()]);
    assert_eq!(form(&calls[0]).iter().filter(|(n, _)| n == "client_id").count(), 1);
    for (reply, code) in [
        (status(201, "application/json", "{}"), Code::IdpInvalidAnswer),
        (status(400, "application/json", r#"{"error":"invalid_request"}"#), Code::IdpInvalidAnswer),
        (status(503, "text/html", ""), Code::IdpUnavailable),
    ] {
        assert_eq!(push(document.clone(), |_| (), vec![reply]).0.unwrap_err().code, code);
    }
    document["pushed_authorization_request_endpoint"] = json!(null);
    assert_eq!(push(document, |_| (), vec![]).0.unwrap_err().code, Code::IdpInvalidAnswer);
}

#[test]
fn callbacks_are_read_strictly() {
    let good =
        Callback::parse(b"code=c%2B1&state=st&session_state=x&iss=https%3A%2F%2Fidp.example.com").unwrap();
    assert_eq!((good.state.as_str(), good.iss.as_deref()), ("st", Some(ISSUER)));
    assert!(matches!(&good.outcome, Outcome::Code(code) if code.expose() == "c+1"));
    assert!(!format!("{good:?}").contains("c+1"), "the code is a secret");
    let long = format!("state=st&code={}", "a".repeat(MAX_CALLBACK));
    for (bytes, why) in [
        (&b"code=c"[..], "state is missing"),
        (b"state=&code=c", "state is missing"),
        (b"", "state is missing"),
        (b"error=access_denied", "error access_denied"),
        (b"state=st", "neither"),
        (b"state=st&code=c&error=e", "both"),
        (b"state=a&state=a&code=c", "state is there twice"),
        (b"state=a&s%74ate=b&code=c", "state is there twice"),
        (b"state=a&code=c&code=d", "code is there twice"),
        (b"state=a&error=c&error=d", "error is there twice"),
        (b"state=a&code=c&iss=a&iss=", "iss is there twice"),
        (b"state=a&code=%ff", "not UTF-8"),
        (b"state=a&code=\xff", "not UTF-8"),
        (b"state=a&code=c%0d%0a", "printable ASCII"),
        (b"state=a&code=c%00", "printable ASCII"),
        (b"state=a&code=%7f", "printable ASCII"),
        (b"state=a&code=c%c3%a9", "printable ASCII"),
        (b"state=a&code=%4", "percent"),
        (b"state=a&code=%zz", "percent"),
        (long.as_bytes(), "more than"),
    ] {
        let fault = Callback::parse(bytes).unwrap_err();
        assert_eq!(fault.code, Code::CallbackInvalid);
        assert!(fault.detail.contains(why), "{} does not say {why}", fault.detail);
    }
}

#[test]
fn a_refusal_of_the_provider_has_its_code() {
    let metadata = read(&metadata(), &oidc());
    for (error, code) in [
        ("access_denied", Code::IdpDenied),
        ("login_required", Code::IdpDenied),
        ("interaction_required", Code::IdpDenied),
        ("consent_required", Code::IdpDenied),
        ("whatever", Code::IdpDenied),
        ("server_error", Code::IdpUnavailable),
        ("temporarily_unavailable", Code::IdpUnavailable),
    ] {
        let bytes = format!("state=st&error={error}&error_description=no%0A%22{}", "x".repeat(500));
        let fault = Callback::parse(bytes.as_bytes()).unwrap().code(&metadata).unwrap_err();
        assert_eq!(fault.code, code, "{error}");
        assert!(fault.detail.contains(error) && fault.detail.contains("no??xxx"), "{}", fault.detail);
        assert!(fault.detail.len() < 300 && !fault.detail.contains('\n'));
    }
}

#[test]
fn another_providers_answer_is_refused() {
    let mut document = metadata();
    for (promised, iss, good) in [
        (false, None, true),
        (false, Some(ISSUER), true),
        (true, Some(ISSUER), true),
        (true, None, false),
        (false, Some("https://evil"), false),
        (false, Some("https://idp.example.com/"), false),
    ] {
        document["authorization_response_iss_parameter_supported"] = json!(promised);
        let iss = iss.map(|iss| format!("&iss={iss}")).unwrap_or_default();
        for outcome in ["code=c", "error=access_denied"] {
            let callback = Callback::parse(format!("state=st&{outcome}{iss}").as_bytes()).unwrap();
            let result = callback.code(&read(&document, &oidc()));
            let refused = matches!(&result, Err(fault) if fault.code == Code::CallbackInvalid);
            assert_eq!(!refused, good, "{promised} {iss} {result:?}");
        }
    }
}

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

#[test]
fn userinfo_is_about_the_same_person() {
    use crate::proto::oidc::id_token::{verify, Expectation};
    let now = START / 1000;
    let run = |reply: Reply| {
        let provider = provider(|o| o.userinfo_params = vec![("schema".into(), "a b".into())]);
        let io = TestHost::new().io();
        let inner = io.clone();
        let claims = json!({"iss": ISSUER, "sub": "ada", "aud": "lakehouse", "nonce": "n", "iat": now, "exp": now + 9});
        let flow = async move {
            let moment = Expectation::Login { nonce: "n", max_age: None };
            let claims = verify(&inner, &provider, &token(&claims), None, moment).await?;
            Ok(userinfo::fetch(&inner, &provider, claims.subject(), Some(&secret("at")), None).await?)
        };
        let (result, calls) = drive(&io, flow, [discovered(), keys(), reply]);
        assert_eq!(header(&calls[2], ":path"), Some("/userinfo?schema=a+b"));
        assert_eq!(header(&calls[2], "authorization"), Some("Bearer at"));
        result
    };
    let jwt = |claims: Value| testing::answer("application/jwt", token(&claims).expose().to_owned());
    let json = |claims: Value| testing::json(&claims);
    for good in [
        json(json!({"sub": "ada", "groups": ["a"]})),
        jwt(json!({"sub": "ada"})),
        jwt(json!({"sub": "ada", "iss": ISSUER, "aud": ["lakehouse"]})),
    ] {
        assert_eq!(run(good).unwrap()["sub"], "ada");
    }
    let unsigned = token_of(&json!({"alg": "none"}), r#"{"sub":"ada"}"#);
    for (bad, code) in [
        (json(json!({"sub": "eve"})), Code::IdTokenInvalid),
        (json(json!({"email": "ada@acme.com"})), Code::IdTokenInvalid),
        (json(json!({"sub": ["ada"]})), Code::IdTokenInvalid),
        (jwt(json!({"sub": "eve"})), Code::IdTokenInvalid),
        (jwt(json!({"sub": "ada", "iss": "https://evil"})), Code::IdTokenInvalid),
        (jwt(json!({"sub": "ada", "aud": "other"})), Code::IdTokenInvalid),
        (testing::answer("application/jwt", unsigned), Code::IdTokenInvalid),
        (testing::answer("text/html", "<html>"), Code::IdpInvalidAnswer),
        (status(401, "application/json", "{}"), Code::IdpInvalidAnswer),
        (status(503, "application/json", "{}"), Code::IdpUnavailable),
    ] {
        assert_eq!(run(bad.clone()).unwrap_err().code, code, "{bad:?}");
    }
}

#[test]
fn a_plain_oauth_provider_names_its_person() {
    let run = |subject: Option<&str>, answer: Value| {
        let oauth2 = OAuth2 {
            issuer: "https://git.example.com".into(),
            authorization: url("https://git.example.com/authorize"),
            token: url("https://git.example.com/token"),
            userinfo: url("https://git.example.com/user"),
            emails: None,
            subject: subject.map(str::to_owned),
            client: oidc().client,
            scope: vec![],
            authorization_params: Vec::new(),
            token_params: Vec::new(),
            userinfo_params: Vec::new(),
            groups: None,
            response_mode: ResponseMode::Query,
            logout: None,
            timeout: 1000,
        };
        let io = TestHost::new().io();
        let inner = io.clone();
        let flow = async move { userinfo::fetch_person(&inner, &oauth2, &secret("at")).await };
        drive(&io, flow, [testing::json(&answer)]).0.map(|person| person.subject)
    };
    for (subject, answer, expected) in [
        (None, json!({"id": 583231, "login": "ada"}), Some("583231")),
        (None, json!({"id": 1, "sub": "s"}), Some("s")),
        (Some("login"), json!({"id": 1, "login": "ada"}), Some("ada")),
        (Some("/data/id"), json!({"data": {"id": "x"}}), Some("x")),
        (Some("login"), json!({"id": 1}), None),
        (None, json!({"id": 1.5}), None),
        (None, json!({"id": ""}), None),
        (None, json!({"id": null}), None),
        (None, json!({"sub": [], "id": 1}), None),
        (None, json!([]), None),
    ] {
        let result = run(subject, answer.clone());
        assert_eq!(result.as_deref().ok(), expected, "{answer}");
        assert!(result.is_ok() || result.unwrap_err().code == Code::IdpInvalidAnswer);
    }
}

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
