use base64::Engine;
use serde_json::{json, Map, Value};

use super::test_keys::*;
use super::*;
use crate::testing::TestHost;
use crate::values::secret::Secret;

fn keys() -> KeySet {
    KeySet::parse(JWKS.as_bytes()).unwrap()
}

fn signed() -> Map<String, Value> {
    serde_json::from_str(SIGNED).unwrap()
}

fn verify(keys: &KeySet, token: &str) -> Result<Map<String, Value>, Unverified> {
    let jws = Jws::parse(token).map_err(Unverified::Refused)?;
    keys.verify(&*TestHost::new(), &jws).map(|(claims, _)| claims)
}

#[test]
fn every_algorithm_verifies_what_another_implementation_signed() {
    let (keys, mut asymmetric) = (keys(), 0);
    for host in [TestHost::new(), TestHost::new().with_native_rsa()] {
        for (alg, token) in &signed() {
            let token = token.as_str().unwrap();
            let jws = Jws::parse(token).unwrap();
            // The same payload with a changed signature, and the same signature with a changed payload.
            let (input, signature) = token.rsplit_once('.').unwrap();
            let flipped = if signature.starts_with('A') { "B" } else { "A" };
            let forged = format!("{input}.{flipped}{}", &signature[1..]);
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
            let short = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes[1..]);
            let short = format!("{input}.{short}");
            let none = format!("{input}.");
            let other = token_of(&json!({"alg": "ES256"}), r#"{"sub":"eve"}"#);
            let payload = other.split('.').nth(1).unwrap();
            let swapped = format!("{}.{payload}.{signature}", input.split_once('.').unwrap().0);
            for bad in [&forged, &short, &none, &swapped] {
                let jws = Jws::parse(bad).unwrap();
                let result = if jws.alg.is_symmetric() {
                    jws.verify_with_secret(&Secret::new(SECRET.into()))
                } else {
                    keys.verify(&*host, &jws).map(|(claims, _)| claims)
                };
                assert!(matches!(result, Err(Unverified::Refused(_))), "{alg} {result:?}");
            }
            let claims = if jws.alg.is_symmetric() {
                assert!(jws.verify_with_secret(&Secret::new("another".into())).is_err());
                assert!(jws.verify_with_secret(&Secret::new(String::new())).is_err());
                jws.verify_with_secret(&Secret::new(SECRET.into())).unwrap()
            } else {
                asymmetric += 1;
                keys.verify(&*host, &jws).unwrap().0
            };
            assert_eq!(claims["sub"], "ada");
            assert_eq!(claims["alg"], json!(alg));
        }
    }
    assert_eq!(asymmetric, 22);
}

#[test]
fn the_proxy_verifies_rsa_where_it_can() {
    let host = TestHost::new().with_native_rsa();
    for (alg, native) in [("RS256", 1), ("RS384", 2), ("RS512", 3), ("PS256", 3), ("ES256", 3)] {
        let signed = signed();
        keys().verify(&*host, &Jws::parse(signed[alg].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(host.native_calls(), native, "{alg}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    // The classic confusion: an HMAC made with the text of the public key.
    let token = signed()["HS256"].as_str().unwrap().to_owned();
    let error = verify(&keys(), &token).unwrap_err();
    assert!(
        matches!(&error, Unverified::Refused(why) if why.contains("not verified with a public key")),
        "{error:?}"
    );
    // And an asymmetric token is not verified with a secret.
    let token = signed()["RS256"].as_str().unwrap().to_owned();
    assert!(Jws::parse(&token).unwrap().verify_with_secret(&Secret::new(SECRET.into())).is_err());
}

#[test]
fn headers_that_change_the_rules_are_refused() {
    let good = json!({"alg": "ES256", "kid": "p256", "typ": "JWT"});
    let claims = r#"{"sub":"ada"}"#;
    assert!(verify(&keys(), &token_of(&good, claims)).is_ok());
    let with = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        token_of(&header, claims)
    };
    for (token, why) in [
        (with("alg", json!("none")), "\"none\" is not accepted"),
        (with("alg", json!("None")), "is not accepted"),
        (with("alg", json!("es256")), "is not accepted"),
        (with("alg", json!(null)), "no alg"),
        (with("crit", json!(["exp"])), "crit"),
        (with("b64", json!(false)), "b64"),
        (with("kid", json!(7)), "kid is not a string"),
        (with("kid", json!("rsa-a")), "no key of the token's name"),
        (with("kid", json!("nobody")), "no key has"),
        (format!("{}.x.y", with("typ", json!("JWT"))), "JWE"),
        (format!("{}.x", with("typ", json!("JWT"))), "three parts"),
        ("a.b".into(), "three parts"),
        ("".into(), "three parts"),
        (format!("{}=", with("typ", json!("JWT"))), "signature is not base64url"),
        (
            format!("W10{}", &token_of(&good, claims)[token_of(&good, claims).find('.').unwrap()..]),
            "an array",
        ),
        ("a".repeat(MAX_TOKEN + 1), "more than"),
        (token_of(&good, "[]"), "expected a JSON object"),
        (token_of(&good, r#"{"sub":"a","sub":"b"}"#), "\"sub\" is there twice"),
    ] {
        let error = format!("{:?}", verify(&keys(), &token).unwrap_err()).replace("\\\"", "\"");
        assert!(error.contains(why), "{error} does not say {why}");
    }
    // Keys a token brings along are not looked at: this one carries none of ours, and is verified by kid.
    for (name, value) in
        [("jku", json!("https://evil")), ("jwk", json!({"kty": "RSA"})), ("x5c", json!(["x"]))]
    {
        assert!(verify(&keys(), &with(name, value)).is_ok(), "{name} is ignored");
    }
}

#[test]
fn a_duplicate_header_member_is_refused() {
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none"}"#);
    let error = Jws::parse(&format!("{head}.e30.AA")).unwrap_err();
    assert!(error.contains("twice"), "{error}");
}

#[test]
fn a_strange_key_does_not_spoil_the_others() {
    let good: Value = serde_json::from_str(JWKS).unwrap();
    let weak: Value = serde_json::from_str(RSA_WEAK_JWK).unwrap();
    let p256 = good["keys"][2].clone();
    let with = |name: &str, value: Value| {
        let mut key = p256.clone();
        key[name] = value;
        key
    };
    // Members nobody knows, and the same point with its padding, stay usable.
    for key in [
        with("status", json!("active")),
        with("x5t", json!(1)),
        with("use", json!("sig")),
        with("alg", json!("ES256")),
    ] {
        assert_eq!(KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap().len(), 1, "{key}");
    }
    for (key, why) in [
        (with("use", json!("enc")), "not for signatures"),
        (with("key_ops", json!(["encrypt"])), "not for verification"),
        (with("kty", json!("PQC")), "unknown type"),
        (with("crv", json!("secp256k1")), "unknown type"),
        (with("crv", json!("P-384")), "not a point"),
        (with("x", json!("AAAA")), "not a point"),
        (with("x", json!("*")), "not base64url"),
        (with("y", json!(null)), "has no y"),
        (with("x", json!("A".repeat(100))), "long coordinate"),
        (with("alg", json!("RS256")), "not of its type"),
        (with("alg", json!("RSA-OAEP")), "not accepted"),
        (with("kid", json!(["p256"])), "kid is not a string"),
        (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "no usable modulus"),
        (json!({"kty": "RSA", "n": good["keys"][0]["n"], "e": "Ag"}), "no usable"),
        (json!({"kty": "oct", "k": "AAAA"}), "unknown type"),
        (weak, "1024 bits"),
        (json!("a string"), "not an object"),
    ] {
        let mut set = good.clone();
        set["keys"].as_array_mut().unwrap().insert(0, key.clone());
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!((set.len(), set.skipped.0), (6, 1), "{key}");
        assert!(set.skipped.1.as_ref().unwrap().contains(why), "{:?} does not say {why}", set.skipped);
        assert!(verify(&set, token(&json!({"sub": "ada"})).expose()).is_ok(), "{key}");
    }
}

#[test]
fn what_is_no_key_set_is_refused() {
    let many = |n: usize| json!({"keys": vec![json!({}); n]}).to_string();
    assert!(KeySet::parse(many(1000).as_bytes()).is_ok());
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        "<html>",
        r#"{"keys":[],"keys":[]}"#,
        &many(1001),
        &" ".repeat(MAX_KEY_SET + 1),
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(30)]);
    }
}

#[test]
fn without_kid_the_one_key_of_its_type_is_tried() {
    let token = token_of(&json!({"alg": "ES256"}), r#"{"sub":"ada"}"#);
    assert!(verify(&keys(), &token).is_ok());
    let good: Value = serde_json::from_str(JWKS).unwrap();
    let set = |n: usize| {
        KeySet::parse(json!({"keys": vec![good["keys"][2].clone(); n]}).to_string().as_bytes()).unwrap()
    };
    assert!(verify(&set(1), &token).is_ok());
    for several in [2, 9] {
        assert!(
            matches!(verify(&set(several), &token), Err(Unverified::Refused(why)) if why.contains("names no kid"))
        );
    }
    // With none that fits, a newer set may help.
    let rsa_only = KeySet::parse(json!({"keys": [good["keys"][0]]}).to_string().as_bytes()).unwrap();
    assert!(matches!(verify(&rsa_only, &token), Err(Unverified::UnknownKey(_))));
}

#[test]
fn a_keys_own_algorithm_binds() {
    let mut set: Value = serde_json::from_str(JWKS).unwrap();
    let token = signed()["PS256"].as_str().unwrap().to_owned();
    assert!(verify(&KeySet::parse(set.to_string().as_bytes()).unwrap(), &token).is_ok());
    set["keys"][0]["alg"] = json!("RS256");
    assert!(verify(&KeySet::parse(set.to_string().as_bytes()).unwrap(), &token).is_err());
}

#[test]
fn our_signatures_verify() {
    let claims: Map<String, Value> = serde_json::from_value(json!({"iss": "me"})).unwrap();
    for host in [TestHost::new(), TestHost::new().with_native_rsa()] {
        for (alg, pem, kid) in [
            ("RS256", RSA_A, "rsa-a"),
            ("PS256", RSA_A, "rsa-a"),
            ("ES256", P256, "p256"),
            ("EdDSA", ED25519, "ed25519"),
        ] {
            let protected = Protected { kid: Some(kid), x5t: Some("thumb") };
            let token = sign(&*host, alg, &Secret::new(pem.into()), protected, &claims).unwrap();
            let jws = Jws::parse(token.expose()).unwrap();
            assert_eq!((jws.alg.name(), jws.header["x5t"].as_str()), (alg, Some("thumb")));
            assert_eq!(keys().verify(&*host, &jws).unwrap().0, claims, "{alg}");
        }
    }
    let host = TestHost::new().with_native_rsa();
    sign(&*host, "RS256", &Secret::new(RSA_A.into()), Protected::default(), &claims).unwrap();
    assert_eq!(host.native_calls(), 1);
    let host = TestHost::new();
    host.fail_random();
    assert!(sign(&*host, "PS256", &Secret::new(RSA_A.into()), Protected::default(), &claims).is_err());
}

#[test]
fn a_key_that_cannot_sign_is_found_at_load() {
    for (alg, pem, good) in [
        ("RS256", RSA_A, true),
        ("PS256", RSA_A, true),
        ("ES256", P256, true),
        ("EdDSA", ED25519, true),
        ("RS256", P256, false),
        ("ES256", P384, false),
        ("ES256", RSA_A, false),
        ("EdDSA", P256, false),
        ("RS256", RSA_WEAK, false),
        ("HS256", RSA_A, false),
        ("RS256", "not a key", false),
    ] {
        let result = check_signing_key(alg, &Secret::new(pem.into()));
        assert_eq!(result.is_ok(), good, "{alg} {result:?}");
        if let Err(why) = result {
            assert!(!why.contains("not a key") && !why.contains("MII"), "the key is quoted: {why}");
        }
    }
}
