//! Tokens that are bound to a key (DPoP): the key goes with the session.

use std::cell::RefCell;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

use super::*;

/// The public key and the `htu` of a call's proof.
fn proven(call: &Call) -> (Value, Value) {
    let proof = header(call, "dpop").expect("a proof");
    let part = |at: usize| -> Value {
        let text = proof.split('.').nth(at).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0)["jwk"].clone(), part(1)["htu"].clone())
}

#[test]
fn every_replica_renews_with_the_key_of_the_login() {
    let mut config = configuration();
    config["accounts"][0]["identity_providers"][0]["oidc"]["dpop"] = json!(true);
    let (here, there) = (TestHost::new(), TestHost::new());
    let (one, two) = (filter_state(&here, &config), filter_state(&there, &config));
    let mut idp = Idp::new(&here);
    idp.change = json!({ "token_type": "DPoP" });
    let keys = RefCell::new(Vec::new());
    let noted = |call: &Call| {
        let (key, place) = proven(call);
        assert_eq!(place, json!("https://idp.example/token"));
        keys.borrow_mut().push(key);
        None
    };
    let mut ada = sign_in_beside(&one, &mut idp, noted);
    for filter_state in [&two, &one] {
        here.advance(2 * DUE);
        there.advance(2 * DUE);
        let mut at = copy(&ada, filter_state);
        let seen = at.get("/reports", &mut |call| noted(call).unwrap_or_else(|| idp.respond(call)));
        assert_eq!(told(&seen, "x-sso-user").as_deref(), Some("ada@acme.com"));
        ada = at;
    }
    sign_in_beside(&one, &mut idp, noted);
    let keys = keys.into_inner();
    assert_eq!((idp.refreshes, keys.len()), (2, 4));
    assert!(keys[0] == keys[1] && keys[1] == keys[2], "one session, one key");
    assert_ne!(keys[0], keys[3], "another login, another key");
}
