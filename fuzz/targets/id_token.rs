//! Signed tokens: nothing counts that the provider's key has not signed, and of what it has signed
//! nothing that is not an ID token of this login.
//!
//! Input with a line end is header and claims, and is signed here with the key `p256`; any other is a token.

use std::rc::Rc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use envoy_sso::crypto::{Jws, KeySet};
use envoy_sso::host::clusters::Clusters;
use envoy_sso::host::task::{Io, Step, Task};
use envoy_sso::proto::oidc::id_token::{verify, Claims, Expectation};
use envoy_sso::proto::oidc::Provider;
use envoy_sso::values::secret::Secret;
use jwt_compact::alg::Es256;
use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::pkcs8::DecodePrivateKey;
use serde_json::Value;

use super::host::{Still, NOW};
use super::provider::{by_hand, CLIENT, ISSUER, JWKS, SIGNED};

const P256: &str = include_str!("../../tests/keys/test-p256.pem");
const NONCE: &str = "n-1";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once('\n') {
        Some((header, claims)) => claimed(header, claims),
        None => found(text),
    }
}

/// A token from anywhere.
fn found(token: &str) {
    let Ok(jws) = Jws::parse(token) else { return };
    let keys = KeySet::parse(JWKS.as_bytes()).unwrap();
    let verified = keys.verify(&Still::default(), &jws);
    assert!(!(jws.alg.is_symmetric() && verified.is_ok()), "an HMAC with a public key");
    for key in [JWKS, P256, "x"] {
        // The key of a public key's document is not a secret.
        assert!(jws.verify_with_secret(&Secret::new(key.into())).is_err());
    }
    if verified.is_ok() {
        let known: Value = serde_json::from_str(SIGNED).unwrap();
        let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        let known = known.as_object().unwrap().values().filter_map(|t| signed(t.as_str()?));
        assert!(known.into_iter().any(|known| Some(known) == signed(token)), "forged: {token}");
    }
    // None of those is an ID token of this login.
    assert!(login(token).is_err());
}

/// Header and claims under the provider's signature.
pub(super) fn signed(header: &str, claims: &str) -> String {
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(P256).unwrap();
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = Es256.sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

/// A token of the provider's, whatever it says.
fn claimed(header: &str, claims: &str) {
    let Ok(accepted) = login(&signed(header, claims)) else { return };

    let header: Value = serde_json::from_str(header).expect("the header is JSON");
    assert_eq!(header["alg"], "ES256");
    assert!(header["kid"].is_null() || header["kid"] == "p256", "{header}");
    assert!(header.get("crit").is_none() && header.get("b64").is_none(), "{header}");
    let kind = header["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(!kind.ends_with("+jwt"), "a token of another kind: {header}");

    let claims: Value = serde_json::from_str(claims).expect("the claims are JSON");
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["nonce"], NONCE);
    assert_eq!(claims["sub"], *accepted.subject());
    assert!((1..=255).contains(&accepted.subject().len()) && accepted.subject().is_ascii());
    assert_eq!(accepted.issuer(), ISSUER);
    assert!(claims.get("events").is_none());
    let audiences: Vec<&str> = match &claims["aud"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|aud| aud.as_str().expect("a string")).collect(),
        other => panic!("aud {other}"),
    };
    assert!(audiences.contains(&CLIENT), "{audiences:?}");
    let azp = claims.get("azp").map(|azp| azp.as_str().expect("azp is a string"));
    assert!(azp == Some(CLIENT) || azp.is_none() && audiences.len() == 1, "azp {azp:?}");
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().expect("a number"));
    let now = NOW as f64;
    assert!(time("exp").expect("exp") > now - 60.0, "expired");
    assert!(time("iat").expect("iat") <= now + 60.0, "of the future");
    assert!(time("nbf").is_none_or(|nbf| nbf <= now + 60.0), "not yet");
    assert_eq!(accepted.auth_time(), time("auth_time"));
    assert!(claims.get("at_hash").is_none_or(|hash| hash == AT_HASH));
    assert_eq!(claims.get("sid").map(|sid| sid.as_str().expect("sid is a string")), accepted.sid());
}

/// Of the access token `access`: the left half of its SHA-256.
const AT_HASH: &str = "oFYf1knNtrqnhAVfBRuteQ";

fn login(token: &str) -> Result<Claims, ()> {
    let io = Io::new(Rc::new(Still::default()), Rc::new(Clusters::to("test")));
    let (inner, token) = (io.clone(), Secret::new(token.to_owned()));
    let flow = async move {
        let client = Provider::new(&by_hand());
        let moment = Expectation::Login { nonce: NONCE, max_age: None };
        verify(&inner, &client, &token, Some(&Secret::new("access".into())), moment).await
    };
    match Task::new(io, flow).start() {
        Step::Done(done) => done.map_err(|_| ()),
        Step::Call(call) => panic!("a call although all is configured: {call:?}"),
        Step::Wait(_) => panic!("a wait although all is configured"),
    }
}
