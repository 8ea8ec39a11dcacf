//! A provider's keys: a strange one spoils none of the others, and none makes an HMAC count.

use envoy_sso::crypto::{Jws, KeySet};
use serde_json::Value;

use super::host::Still;
use super::provider::SIGNED;

pub fn run(data: &[u8]) {
    let Ok(set) = KeySet::parse(data) else { return };
    let document: Value = serde_json::from_slice(data).expect("what was read strictly is JSON");
    let members = document["keys"].as_array().expect("keys is an array");
    assert_eq!(set.len() + set.skipped.0, members.len(), "every key is kept or left out");
    let named = |kid: &str| members.iter().any(|m| m["kid"] == kid);
    assert!(members.iter().filter_map(|m| m["kid"].as_str()).all(|kid| !set.has(kid) || named(kid)));
    let secret = |m: &&Value| m["kty"] == "oct" || m["use"] == "enc";
    assert!(
        set.len() <= members.len() - members.iter().filter(secret).count(),
        "no secret, no encryption key"
    );

    let tokens: Value = serde_json::from_str(SIGNED).unwrap();
    for (alg, token) in tokens.as_object().unwrap() {
        let token = token.as_str().unwrap();
        let jws = Jws::parse(token).unwrap();
        let verified = set.verify(&Still::default(), &jws);
        assert!(!(alg.starts_with("HS") && verified.is_ok()), "{alg} with a public key");
        // Nobody holds these tokens' private keys but us, so that only our public keys verify them.
        let ours: Value = serde_json::from_str(super::provider::JWKS).unwrap();
        if let (Ok(_), Some(kid)) = (&verified, &jws.kid) {
            let of = |set: &Value| {
                let keys = set["keys"].as_array().cloned().unwrap_or_default();
                let keys = keys.into_iter().filter(|k| k["kid"] == **kid);
                keys.filter_map(|k| [&k["n"], &k["x"]].into_iter().find_map(|v| v.as_str().map(text)))
                    .collect::<Vec<_>>()
            };
            assert!(
                of(&document).iter().any(|key| of(&ours).contains(key)),
                "{alg} by a key that is not ours"
            );
        }
    }
}

/// Base64url without its padding and leading zeros.
fn text(coordinate: &str) -> String {
    coordinate.trim_end_matches('=').trim_start_matches('A').to_owned()
}
