//! Each row is the good token with one thing changed.

use super::*;
use crate::crypto::test_keys::{token_of, SECRET};
use crate::fault::{Code, Fault};
use crate::proto::oidc::access_token::{self, AccessToken};
use crate::testing::{drive, TestHost, START};

const NOW: u64 = START / 1000;
const ADFS: &str = "http://fs.example.com/adfs/services/trust";
const ENTRA_V1: &str = "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/";

fn good() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": "lakehouse-api", "iat": NOW, "exp": NOW + 300, "client_id": "cli",
        "scope": "read",
    })
}

fn with(change: &Value) -> Value {
    testing::changed(good(), change)
}

fn with_metadata(change: Value) -> Value {
    let mut document = metadata();
    document["access_token_issuer"] = json!(ADFS);
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    document
}

fn verify(header: &Value, claims: &str, other: Option<&'static str>) -> Result<AccessToken, Fault> {
    verify_at(with_metadata(json!({})), header, claims, other)
}

fn verify_at(
    document: Value,
    header: &Value,
    claims: &str,
    other: Option<&'static str>,
) -> Result<AccessToken, Fault> {
    let (host, token) = (TestHost::new(), token_of(header, claims));
    let (io, provider) = (host.io(), provider(|_| ()));
    let inner = io.clone();
    let flow = async move {
        let audiences = ["lakehouse-api".to_owned(), "api://lakehouse".to_owned(), "lakehouse".to_owned()];
        access_token::verify(&inner, &provider, &token, &audiences, other).await
    };
    crate::testing::drive_with(&io, flow, |call| match call.what {
        "discovery" => testing::json(&document),
        _ => keys(),
    })
    .0
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"})
}

fn claims(change: Value) -> Result<AccessToken, String> {
    verify(&header(), &with(&change).to_string(), None).map_err(|fault| {
        assert_eq!(fault.code, Code::TokenInvalid);
        fault.detail
    })
}

#[test]
fn what_providers_issue_passes() {
    for change in [
        json!({}),
        json!({"aud": ["other", "api://lakehouse"]}),
        json!({"exp": NOW - 59}),
        json!({"iat": NOW + 60, "nbf": NOW + 60}),
        json!({"iat": NOW as f64 - 0.5}),
        json!({"auth_time": NOW - 10, "acr": "mfa", "jti": "1"}),
        json!({"auth_time": NOW + 60}),
        json!({"iss": ADFS}),
        // ADFS as it is: no `sub`, and a date.
        json!({"iss": ADFS, "sub": null, "auth_time": "2020-03-24T07:30:55.566Z", "appid": "script"}),
        json!({"auth_time": "yesterday"}),
        // Keycloak before 25, whose ID tokens' typ is ID.
        json!({"typ": "Bearer", "nonce": "n"}),
    ] {
        let result = claims(change.clone());
        assert!(result.is_ok(), "{change}: {result:?}");
    }
    let token = claims(json!({"auth_time": 7, "acr": "mfa"})).unwrap();
    assert_eq!(
        (token.issuer.as_str(), token.subject.as_deref(), token.issued),
        (ISSUER, Some("ada"), Some(NOW * 1000))
    );
    assert_eq!(
        (token.expires, token.auth_time, token.acr.as_deref()),
        ((NOW + 360) * 1000, Some(7), Some("mfa"))
    );
    let adfs = claims(json!({"iss": ADFS, "sub": null, "auth_time": "2020-03-24T07:30:55.566Z"})).unwrap();
    assert_eq!((adfs.issuer.as_str(), adfs.subject, adfs.auth_time), (ADFS, None, Some(1_585_035_055)));
    assert_eq!(claims(json!({"auth_time": "yesterday"})).unwrap().auth_time, None);
}

#[test]
fn the_subject_is_the_one_of_the_login_where_that_is_known() {
    let subject = |change: Value, pairwise: bool| {
        let document = with_metadata(
            json!({"subject_types_supported": if pairwise { ["pairwise"] } else { ["public"] }}),
        );
        let token = verify_at(document, &header(), &with(&change).to_string(), None).unwrap();
        (token.subject, token.is_login_subject)
    };
    let name = |name: &str| Some(name.to_owned());
    for (change, pairwise, wanted) in [
        (json!({}), false, (name("ada"), true)),
        // Entra: another client's token has another sub for the same person.
        (json!({}), true, (name("ada"), false)),
        (json!({"client_id": "lakehouse"}), true, (name("ada"), true)),
        (json!({"appid": "lakehouse"}), true, (name("ada"), true)),
        (json!({"appid": "lakehouse", "tid": "t"}), true, (name("ada"), false)),
        (json!({"aud": ["lakehouse-api", "lakehouse"], "tid": "t"}), true, (name("ada"), true)),
        (json!({"aud": ["lakehouse-api", "lakehouse"]}), true, (name("ada"), true)),
        // Okta: sub is the login name.
        (json!({"sub": "ada@acme.com", "cid": "cli", "uid": "00u1"}), false, (name("00u1"), true)),
        (json!({"uid": "00u1"}), false, (name("ada"), true)),
        (json!({"cid": "cli", "uid": 7}), false, (name("ada"), true)),
        (json!({"iss": ADFS, "sub": null}), false, (None, false)),
    ] {
        assert_eq!(subject(change.clone(), pairwise), wanted, "{change} {pairwise}");
    }
}

#[test]
fn each_claim_is_checked() {
    for (change, why) in [
        (json!({"iss": null}), "iss is missing"),
        (json!({"iss": 1}), "iss is a number"),
        (json!({"iss": "https://evil.example.com"}), "iss is"),
        (json!({"iss": format!("{ISSUER}/")}), "iss is"),
        (json!({"iss": ENTRA_V1}), "iss is"),
        (json!({"sub": null}), "sub is missing"),
        (json!({"sub": ""}), "sub is empty"),
        (json!({"sub": 7}), "sub is a number"),
        (json!({"aud": null}), "aud is missing"),
        (json!({"aud": "other"}), "aud holds none of bearer.audiences"),
        (json!({"aud": "LAKEHOUSE-API"}), "aud holds none of bearer.audiences"),
        (json!({"aud": ["other"]}), "aud holds none of bearer.audiences"),
        (json!({"aud": []}), "aud holds none of bearer.audiences"),
        (json!({"aud": {"a": 1}}), "aud is"),
        (json!({"exp": null}), "exp is missing"),
        (json!({"exp": NOW - 60}), "it expired"),
        (json!({"exp": "9999999999"}), "exp is a string"),
        (json!({"iat": null}), "iat is missing"),
        (json!({"iat": NOW + 61}), "in the future"),
        (json!({"nbf": NOW + 61}), "nbf is"),
        (json!({"auth_time": NOW + 61}), "auth_time is 61 s in the future"),
        (json!({"iss": ADFS, "auth_time": "2100-01-01T00:00:00Z"}), "in the future"),
        (json!({"cnf": {"jkt": "x"}}), "bound to a key"),
        (json!({"cnf": null, "nonce": "n"}), "it has nonce"),
        (json!({"at_hash": "x"}), "it has at_hash"),
        (json!({"events": {}}), "it has events"),
        (json!({"typ": "ID"}), "its claim typ is"),
        (json!({"typ": "Refresh"}), "its claim typ is"),
        (json!({"typ": "Offline"}), "its claim typ is"),
        (json!({"typ": "Logout"}), "its claim typ is"),
        (json!({"typ": 1}), "its claim typ is"),
        (json!({"token_use": "id"}), "its claim token_use is"),
    ] {
        match claims(change.clone()) {
            Err(detail) => assert!(detail.contains(why), "{change}: {detail}"),
            Ok(_) => panic!("{change} passes"),
        }
    }
}

#[test]
fn another_issuer_counts_where_the_configuration_names_it() {
    let entra = with(&json!({"iss": ENTRA_V1})).to_string();
    let found = verify(&header(), &entra, Some(ENTRA_V1)).unwrap();
    assert_eq!(found.issuer, ENTRA_V1);
    assert!(verify(&header(), &entra, None).is_err());
    assert!(verify(
        &header(),
        &with(&json!({"iss": "https://sts.windows.net/"})).to_string(),
        Some(ENTRA_V1)
    )
    .is_err());
}

/// Whether a token is an access token at all, told by `typ` or by what only access tokens have.
#[test]
fn an_id_token_is_no_access_token_also_where_its_audience_is_one() {
    let bare = json!({"aud": "lakehouse", "client_id": null, "scope": null});
    let of = |typ: Option<&str>, more: Value| {
        let mut claims = with(&bare);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut header = header();
        match typ {
            Some(typ) => header["typ"] = json!(typ),
            None => drop(header.as_object_mut().unwrap().remove("typ")),
        }
        let document = if claims["adfs"].is_null() { metadata() } else { with_metadata(json!({})) };
        verify_at(document, &header, &claims.to_string(), None).map(|_| ()).map_err(|fault| fault.code)
    };
    for (typ, more) in [
        (Some("at+jwt"), json!({})),
        (Some("application/at+jwt"), json!({})),
        (Some("AT+JWT"), json!({})),
        (Some("JWT"), json!({"typ": "Bearer"})),             // Keycloak
        (Some("JWT"), json!({"token_use": "access"})),       // Cognito
        (Some("JWT"), json!({"scp": "read", "ver": "2.0"})), // Entra v2
        (Some("JWT"), json!({"appid": "x", "ver": "1.0"})),  // Entra v1, applications
        (None, json!({"scp": ["read"], "cid": "x"})),        // Okta
        (Some("JWT"), json!({"scope": "read", "azp": "x"})), // Auth0
        (None, json!({"client_id": "x"})),                   // Ping
    ] {
        assert_eq!(of(typ, more.clone()), Ok(()), "{typ:?} {more}");
    }
    // For the API alone, not for the client: no ID token has such an audience.
    for typ in [Some("JWT"), None] {
        assert_eq!(of(typ, json!({"aud": "lakehouse-api"})), Ok(()), "{typ:?}");
        assert_eq!(of(typ, json!({"aud": "lakehouse-api", "nonce": "n"})), Err(Code::TokenInvalid));
        assert_eq!(of(typ, json!({"aud": ["lakehouse-api", "lakehouse"]})), Err(Code::TokenInvalid));
    }
    // ADFS, whose ID tokens have these too, and another issuer.
    let claims = json!({"adfs": true, "appid": "lakehouse", "scp": "openid"});
    assert_eq!(of(Some("JWT"), claims.clone()), Err(Code::TokenInvalid));
    assert_eq!(of(Some("at+jwt"), claims), Ok(()));
    for (typ, more) in [
        (Some("JWT"), json!({})),
        (None, json!({})),
        (Some("JWT"), json!({"azp": "lakehouse", "email": "ada@acme.com"})),
        (Some("JWT"), json!({"typ": "JWT"})),
        (Some("JWT"), json!({"scope": "openid", "nonce": "n"})),
        (Some("at+jwt"), json!({"nonce": "n"})),
        (Some("at+jwt"), json!({"typ": "ID"})),
        (Some("logout+jwt"), json!({"scope": "x"})),
        (Some("secevent+jwt"), json!({"scope": "x"})),
        (Some("dpop+jwt"), json!({"scope": "x"})),
        (Some("oauth-authz-req+jwt"), json!({"scope": "x"})),
        (Some(""), json!({"scope": "x"})),
    ] {
        assert_eq!(of(typ, more.clone()), Err(Code::TokenInvalid), "{typ:?} {more}");
    }
}

#[test]
fn algorithms_and_keys_are_the_providers() {
    let good = good().to_string();
    assert!(verify(&header(), &good, None).is_ok());
    for (name, value) in
        [("alg", "none"), ("alg", "HS256"), ("alg", "RS256"), ("kid", "rsa-a"), ("kid", "unknown")]
    {
        let mut header = header();
        header[name] = json!(value);
        assert_eq!(verify(&header, &good, None).unwrap_err().code, Code::TokenInvalid, "{name} {value}");
    }
    // Signed by the client's secret, which the client of another application has too.
    let provider = provider(|oidc| {
        oidc.id_token_alg = Some("HS256".into());
        oidc.client.secret = Some(secret(SECRET).into());
    });
    let tokens: Value = serde_json::from_str(crate::crypto::test_keys::SIGNED).unwrap();
    let symmetric = tokens["HS256"].as_str().unwrap().to_owned();
    let (host, audiences) = (TestHost::new(), ["lakehouse-api".to_owned()]);
    let io = host.io();
    let inner = io.clone();
    let flow = async move { access_token::verify(&inner, &provider, &symmetric, &audiences, None).await };
    let (result, _) = drive(&io, flow, [discovered()]);
    assert!(result.unwrap_err().detail.contains("HS256 is not accepted"));
}
