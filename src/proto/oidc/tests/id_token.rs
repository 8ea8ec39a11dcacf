//! Each row is the good token with one thing changed.

use super::*;
use crate::crypto::test_keys::{token, token_of, SECRET, SIGNED};
use crate::fault::{Code, Fault};
use crate::proto::oidc::id_token::{verify, Claims, Expectation};
use crate::testing::{drive, TestHost, START};

const NOW: u64 = START / 1000;
const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn good() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": "lakehouse", "nonce": "n-1",
        "iat": NOW, "exp": NOW + 300, "email": "ada@acme.com",
    })
}

fn with(change: &Value) -> Value {
    testing::changed(good(), change)
}

/// OpenID Connect Core 3.1.3.6, for ES256.
fn at_hash(access_token: &str) -> String {
    use base64::Engine;
    use sha2::Digest;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&sha2::Sha256::digest(access_token)[..16])
}

const LOGIN: Expectation<'_> = Expectation::Login { nonce: "n-1", max_age: None };

fn check(
    provider: &Rc<Provider>,
    token: Secret,
    moment: Expectation<'static>,
    replies: Vec<Reply>,
) -> Result<Claims, Fault> {
    let host = TestHost::new();
    let (io, provider) = (host.io(), provider.clone());
    let inner = io.clone();
    let access = secret("access");
    drive(&io, async move { verify(&inner, &provider, &token, Some(&access), moment).await }, replies).0
}

fn at_login(change: Value) -> Result<Claims, Fault> {
    check(&provider(|_| ()), token(&with(&change)), LOGIN, vec![discovered(), keys()])
}

#[test]
fn good_tokens_pass() {
    let claims = at_login(json!({})).unwrap();
    assert_eq!((claims.issuer(), claims.subject(), claims.sid()), (ISSUER, "ada", None));
    assert_eq!(claims.all()["email"], "ada@acme.com");
    for change in [
        json!({"aud": ["lakehouse"]}),
        json!({"aud": ["lakehouse", "other"], "azp": "lakehouse"}),
        json!({"azp": "lakehouse"}),
        json!({"exp": NOW as f64 + 0.5, "iat": NOW as f64 - 0.5}),
        json!({"exp": NOW - 59}),
        json!({"iat": NOW + 60}),
        json!({"nbf": NOW + 60}),
        json!({"auth_time": 0}),
        json!({"auth_time": NOW + 60}),
        json!({"auth_time": 1795300012.096181}),
        json!({"at_hash": at_hash("access")}),
        json!({"sub": "a".repeat(255)}),
        json!({"sid": "s-1", "unknown": {"nested": [1]}}),
    ] {
        let result = at_login(change.clone());
        assert!(result.is_ok(), "{change}: {result:?}");
    }
}

#[test]
fn everything_else_is_refused() {
    for (change, why) in [
        (json!({"iss": null}), "iss is missing"),
        (json!({"iss": "https://idp.example.com/"}), "iss is"),
        (json!({"iss": "https://evil.example.com"}), "iss is"),
        (json!({"iss": [ISSUER]}), "iss is an array"),
        (json!({"aud": null}), "aud is missing"),
        (json!({"aud": "other"}), "aud does not hold"),
        (json!({"aud": []}), "aud does not hold"),
        (json!({"aud": ["lakehouse", 7]}), "aud holds something"),
        (json!({"aud": {"lakehouse": 1}}), "aud is an object"),
        (json!({"aud": ["lakehouse", "other"]}), "azp is missing"),
        (json!({"aud": ["lakehouse", "other"], "azp": "other"}), "azp is not"),
        (json!({"azp": "other"}), "azp is not"),
        (json!({"azp": ["lakehouse"]}), "azp is an array"),
        (json!({"exp": null}), "exp is missing"),
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": "2099"}), "exp is a string"),
        (json!({"exp": -1}), "exp is out of range"),
        (json!({"exp": 1e300}), "exp is out of range"),
        (json!({"iat": null}), "iat is missing"),
        (json!({"iat": NOW + 61}), "iat is"),
        (json!({"iat": true}), "iat is a boolean"),
        (json!({"nbf": NOW + 61}), "nbf is"),
        (json!({"nbf": "0"}), "nbf is a string"),
        (json!({"nonce": null}), "nonce is missing"),
        (json!({"nonce": "n-2"}), "nonce is not"),
        (json!({"nonce": ["n-1"]}), "nonce is an array"),
        (json!({"at_hash": at_hash("another")}), "at_hash"),
        (json!({"at_hash": ["x"]}), "at_hash is an array"),
        (json!({"sub": null}), "sub is missing"),
        (json!({"sub": ""}), "sub is empty"),
        (json!({"sub": "a".repeat(256)}), "255"),
        (json!({"sub": 7}), "sub is a number"),
        (json!({"sub": "ad\u{e0}"}), "ASCII"),
        (json!({"sub": "a\nb"}), "ASCII"),
        (json!({"sid": 7}), "sid is a number"),
        (json!({"auth_time": "x"}), "auth_time is a string"),
        (json!({"auth_time": NOW + 61}), "auth_time is 61 s in the future"),
        (json!({"auth_time": NOW + 315_360_000}), "in the future"),
        (json!({"events": {}}), "events"),
    ] {
        let fault = at_login(change.clone()).unwrap_err();
        assert_eq!(fault.code, Code::IdTokenInvalid, "{change}");
        assert!(fault.detail.contains(why), "{change}: {:?} does not say {why:?}", fault.detail);
        assert!(!fault.detail.contains("n-1") && !fault.detail.contains("eyJ"), "{}", fault.detail);
    }
}

#[test]
fn tokens_of_another_kind_are_refused() {
    let header = |typ: Option<&str>| match typ {
        Some(typ) => json!({"alg": "ES256", "kid": "p256", "typ": typ}),
        None => json!({"alg": "ES256", "kid": "p256"}),
    };
    let run = |typ| {
        let token = secret(&token_of(&header(typ), &good().to_string()));
        check(&provider(|_| ()), token, LOGIN, vec![discovered(), keys()])
    };
    for good in [None, Some("JWT"), Some("application/jwt")] {
        assert!(run(good).is_ok());
    }
    for bad in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt"] {
        assert_eq!(run(Some(bad)).unwrap_err().code, Code::IdTokenInvalid, "{bad}");
    }
}

#[test]
fn max_age_is_enforced_where_it_was_asked() {
    let run = |change| {
        let moment = Expectation::Login { nonce: "n-1", max_age: Some(600) };
        check(&provider(|_| ()), token(&with(&change)), moment, vec![discovered(), keys()])
    };
    assert!(run(json!({"auth_time": NOW - 600})).is_ok());
    assert!(run(json!({"auth_time": NOW - 660})).is_ok(), "the edge: max_age and the allowance for clocks");
    assert!(run(json!({"auth_time": NOW - 661})).unwrap_err().detail.contains("max_age"));
    assert!(run(json!({})).unwrap_err().detail.contains("auth_time is missing"));
}

#[test]
fn a_refresh_is_about_the_same_person() {
    const FIRST: Expectation<'_> =
        Expectation::Refresh { issuer: ISSUER, subject: "ada", nonce: Some("n-1") };
    for (change, why) in [
        (json!({}), None),
        (json!({"nonce": null}), None),
        (json!({"auth_time": 100}), None),
        (json!({"nonce": "n-2"}), Some("nonce")),
        (json!({"sub": "eve"}), Some("sub")),
        // Providers move it; the session keeps the one of its login.
        (json!({"auth_time": 99}), None),
        (json!({"auth_time": 101}), None),
        (json!({"auth_time": NOW + 86_400}), None),
        (json!({"auth_time": "today"}), Some("auth_time")),
        (json!({"aud": "other"}), Some("aud")),
        (json!({"exp": NOW - 60}), Some("expired")),
    ] {
        let result = check(&provider(|_| ()), token(&with(&change)), FIRST, vec![discovered(), keys()]);
        match why {
            None => assert!(result.is_ok(), "{change}: {result:?}"),
            Some(why) => assert!(result.unwrap_err().detail.contains(why), "{change}"),
        }
    }
}

#[test]
fn algorithms_are_an_allow_list() {
    let signed: Value = serde_json::from_str(SIGNED).unwrap();
    // Tokens whose claims are poor: what matters is how far they come.
    let run = |alg: &str, configured: Option<&str>, advertised: Value| {
        let mut metadata = metadata();
        metadata["id_token_signing_alg_values_supported"] = advertised;
        let provider = provider(|oidc| {
            oidc.client.secret = Some(secret(SECRET).into());
            oidc.id_token_alg = configured.map(str::to_owned);
        });
        let token = secret(signed[alg].as_str().unwrap());
        let host = TestHost::new();
        let io = host.io();
        let inner = io.clone();
        let flow = async move { verify(&inner, &provider, &token, None, LOGIN).await };
        let result = testing::drive_with(&io, flow, |call| match call.what {
            "keys" => keys(),
            _ => testing::json(&metadata),
        });
        result.0.unwrap_err().detail
    };
    let verified = "iss is missing";
    for (alg, configured, advertised, why) in [
        ("RS256", None, json!(["ES256"]), verified),
        ("RS256", None, json!(null), verified),
        ("ES384", None, json!(["ES384"]), verified),
        ("ES512", None, json!(null), verified),
        ("Ed25519", None, json!(["EdDSA"]), verified),
        ("PS256", Some("PS256"), json!(["RS256"]), verified),
        ("HS256", Some("HS256"), json!(["RS256"]), verified),
        ("PS256", None, json!(["RS256"]), "not among those"),
        ("RS256", Some("ES256"), json!(["RS256"]), "configured is ES256"),
        ("HS256", None, json!(["HS256"]), "needs id_token_signed_response_alg"),
        ("HS256", Some("RS256"), json!(["HS256"]), "configured is RS256"),
        ("RS256", Some("HS256"), json!(["RS256"]), "configured is HS256"),
        ("HS512", Some("HS256"), json!(null), "configured is HS256"),
    ] {
        let detail = run(alg, configured, advertised);
        assert!(detail.contains(why), "{alg} {configured:?}: {detail}");
    }
}

#[test]
fn an_unknown_key_is_looked_for_once() {
    let all: Value = serde_json::from_str(JWKS).unwrap();
    let old = testing::json(&json!({"keys": [all["keys"][0]]}));
    let found = check(&provider(|_| ()), token(&good()), LOGIN, vec![discovered(), old.clone(), keys()]);
    assert!(found.is_ok(), "{found:?}");
    let missing =
        check(&provider(|_| ()), token(&good()), LOGIN, vec![discovered(), old.clone(), old.clone()]);
    assert_eq!(missing.unwrap_err().code, Code::IdTokenInvalid);
    let down = check(
        &provider(|_| ()),
        token(&good()),
        LOGIN,
        vec![discovered(), old, testing::status(503, "", "")],
    );
    assert_eq!(down.unwrap_err().code, Code::IdpUnavailable);
    // A wrong signature of a known key is final: nobody is asked again.
    let (mine, other) = (token(&good()), token(&with(&json!({"sub": "eve"}))));
    let forged = format!(
        "{}.{}",
        mine.expose().rsplit_once('.').unwrap().0,
        other.expose().rsplit_once('.').unwrap().1
    );
    let result = check(&provider(|_| ()), secret(&forged), LOGIN, vec![discovered(), keys()]);
    assert!(result.unwrap_err().detail.contains("signature"));
}

#[test]
fn google_is_one_issuer_in_two_forms() {
    let mut google = metadata();
    google["issuer"] = json!("https://accounts.google.com");
    let run = |iss: &str| {
        let provider = provider(|o| {
            o.discovery = Some(url("https://accounts.google.com/.well-known/openid-configuration"))
        });
        check(&provider, token(&with(&json!({"iss": iss}))), LOGIN, vec![testing::json(&google), keys()])
    };
    assert_eq!(run("https://accounts.google.com").unwrap().issuer(), "https://accounts.google.com");
    assert_eq!(run("accounts.google.com").unwrap().issuer(), "https://accounts.google.com");
    assert!(run("http://accounts.google.com").is_err());
    assert!(at_login(json!({"iss": "idp.example.com"})).is_err(), "only Google");
}

#[test]
fn a_template_is_filled_with_the_tokens_own_tenant() {
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let iss = template.replace("{tenantid}", TENANT);
    let run = |change: Value, tenants: Option<&str>, key_issuer: Option<&str>| {
        let mut entra = metadata();
        entra["issuer"] = json!(template);
        let mut set: Value = serde_json::from_str(JWKS).unwrap();
        if let Some(issuer) = key_issuer {
            set["keys"][2]["issuer"] = json!(issuer);
        }
        let provider = provider(|o| {
            o.discovery =
                Some(url("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"));
            o.tenants = tenants.map(|t| vec![t.to_owned()]);
        });
        let mut claims = with(&json!({"iss": iss, "tid": TENANT}));
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        check(&provider, token(&claims), LOGIN, vec![testing::json(&entra), testing::json(&set)])
    };
    let other = "00000000-6c67-4c5b-b112-36a304b66dad";
    assert_eq!(run(json!({}), None, None).unwrap().issuer(), iss);
    assert!(run(json!({}), Some(TENANT), Some(template)).is_ok());
    assert!(run(json!({}), None, Some(&iss)).is_ok());
    for (change, tenants, key_issuer) in [
        (json!({"tid": other}), None, None),
        (json!({"tid": null}), None, None),
        (json!({"tid": 7}), None, None),
        (json!({"iss": template}), None, None),
        (json!({"iss": template.replace("{tenantid}", "common"), "tid": "common"}), None, None),
        (json!({"iss": format!("{iss}/")}), None, None),
        (json!({}), Some(other), None),
        (
            json!({}),
            None,
            Some("https://login.microsoftonline.com/00000000-6c67-4c5b-b112-36a304b66dad/v2.0"),
        ),
    ] {
        let fault = run(change.clone(), tenants, key_issuer).unwrap_err();
        assert_eq!(fault.code, Code::IdTokenInvalid, "{change} {tenants:?} {key_issuer:?}");
    }
}
