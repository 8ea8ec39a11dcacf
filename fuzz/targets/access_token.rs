//! Bearer tokens: nothing counts that the provider's key has not signed, and of what it has signed nothing that
//! is not an access token for this application.
//!
//! Input with a line end is header and claims, and is signed here with the key `p256`; any other is the value
//! of an `authorization` header.

use std::rc::Rc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use envoy_sso::flows::bearer::{sent, Sent};
use envoy_sso::host::clusters::Clusters;
use envoy_sso::host::task::{Io, Step, Task};
use envoy_sso::http::Head;
use envoy_sso::proto::oidc::access_token::{unverified, verify, AccessToken};
use envoy_sso::proto::oidc::Provider;
use jwt_compact::alg::Es256;
use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::pkcs8::DecodePrivateKey;
use serde_json::Value;

use super::host::{Still, NOW};
use super::provider::{by_hand, ISSUER};

const P256: &str = include_str!("../../tests/keys/test-p256.pem");
const AUDIENCE: &str = "lakehouse-api";
const OTHER: &str = "https://sts.example.com/";

pub fn run(data: &[u8]) {
    match data.split(|b| *b == b'\n').collect::<Vec<_>>().as_slice() {
        [header, claims] => {
            if let (Ok(header), Ok(claims)) = (std::str::from_utf8(header), std::str::from_utf8(claims)) {
                claimed(header, claims);
            }
        }
        _ => found(data),
    }
}

/// Any value of the header: only `Bearer` and one word is a token, and none of them was signed.
fn found(value: &[u8]) {
    let head = Head::new(vec![("authorization".to_owned(), value.to_vec())], true);
    let text = String::from_utf8_lossy(value).trim_matches([' ', '\t', '\r', '\n', '\x0c']).to_owned();
    let named = text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
    match sent(&head) {
        Sent::Token(token) => {
            assert!(named && text.ends_with(token) && text.split_ascii_whitespace().count() == 2, "{text:?}");
            let _ = unverified(token);
            assert!(accepted(token).is_err(), "{token}");
        }
        Sent::Wrong(fault) => assert!(named && [400, 401].contains(&fault.status()), "{text:?}"),
        Sent::Nothing => {
            let scheme = text.split([' ', '\t', ',']).next().unwrap_or_default();
            assert!(!scheme.eq_ignore_ascii_case("bearer"), "{text:?}");
        }
    }
    let twice = Head::new(vec![("authorization".to_owned(), value.to_vec()); 2], true);
    assert!(!matches!(sent(&twice), Sent::Token(_)));
}

/// A token of the provider's, whatever it says.
fn claimed(header: &str, claims: &str) {
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(P256).unwrap();
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = Es256.sign(&key, input.as_bytes());
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()));
    let Ok(accepted) = accepted(&token) else { return };

    let header: Value = serde_json::from_str(header).expect("the header is JSON");
    assert_eq!(header["alg"], "ES256");
    let kind = header["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(["", "jwt", "at+jwt", "application/at+jwt"].contains(&kind.as_str()), "{header}");
    let claims: Value = serde_json::from_str(claims).expect("the claims are JSON");
    // Keycloak repeats the nonce in what it calls Bearer.
    let bearer = claims["typ"].as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("bearer"));
    assert!(claims.get("nonce").is_none() || bearer, "nonce");
    for name in ["at_hash", "c_hash", "s_hash", "events", "cnf"] {
        assert!(claims.get(name).is_none(), "{name}");
    }
    for (name, not) in
        [("typ", ["ID", "Refresh", "Offline", "Logout"]), ("token_use", ["id", "refresh", "", "ID"])]
    {
        assert!(
            claims.get(name).is_none_or(|kind| kind.is_string() && !not.iter().any(|not| kind == not)),
            "{name}"
        );
    }
    let says = ["scope", "scp", "client_id", "cid", "appid", "typ", "token_use"];
    let client_id = by_hand().client.client_id;
    let for_us = claims["aud"] == client_id.as_str()
        || claims["aud"].as_array().is_some_and(|list| list.iter().any(|aud| aud == client_id.as_str()));
    let said = kind.ends_with("at+jwt") || says.iter().any(|name| claims.get(name).is_some());
    assert!(said || !for_us, "{claims}");
    assert!(claims["iss"] == ISSUER || claims["iss"] == OTHER);
    assert_eq!(claims["iss"], accepted.issuer.as_str());
    let subject = accepted.subject.as_deref().expect("only ADFS has none");
    let okta = claims.get("cid").is_some() && claims["uid"].is_string();
    assert_eq!(claims[if okta { "uid" } else { "sub" }], subject);
    assert!((1..=255).contains(&subject.len()) && subject.is_ascii());
    let ours = |aud: &Value| aud == AUDIENCE;
    assert!(ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|list| list.iter().any(ours)));
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().expect("a number"));
    let now = NOW as f64;
    assert!(time("exp").expect("exp") > now - 60.0, "expired");
    assert!(time("iat").expect("iat") <= now + 60.0, "of the future");
    assert!(time("nbf").is_none_or(|nbf| nbf <= now + 60.0), "not yet");
}

fn accepted(token: &str) -> Result<AccessToken, ()> {
    let io = Io::new(Rc::new(Still::default()), Rc::new(Clusters::to("test")));
    let (inner, token) = (io.clone(), token.to_owned());
    let flow = async move {
        let client = Provider::new(&by_hand());
        verify(&inner, &client, &token, &[AUDIENCE.to_owned()], Some(OTHER)).await
    };
    match Task::new(io, flow).start() {
        Step::Done(done) => done.map_err(|_| ()),
        Step::Call(call) => panic!("a call although all is configured: {call:?}"),
        Step::Wait(_) => panic!("a wait although all is configured"),
    }
}
