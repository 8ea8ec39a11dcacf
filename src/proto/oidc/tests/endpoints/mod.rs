mod end_session;
mod token;

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
