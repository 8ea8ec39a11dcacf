//! Proofs of possession (RFC 9449).

use std::cell::RefCell;
use std::rc::Rc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use super::{secret, url};
use crate::fault::Fault;
use crate::host::task::{Answer, Call, Io, Reply, Request};
use crate::proto::oidc::dpop::{get, proofs, Key, Nonces, Proofs};
use crate::testing::{drive_with, header, json as answer, TestHost, START};

const PLACE: &str = "https://idp.example/userinfo?schema=openid#x";

/// Header and claims of a proof whose signature is good.
fn proof(call: &Call) -> (Value, Value) {
    let token = header(call, "dpop").unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let part = |at: usize| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let header = part(0);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    VerifyingKey::from_sec1_bytes(&point).unwrap().verify(input.as_bytes(), &signature).unwrap();
    (header, part(1))
}

/// An answer that gives a nonce, and refuses with it where `refused`.
fn with_nonce(nonce: &str, refused: bool) -> Reply {
    let body = if refused { json!({ "error": "use_dpop_nonce" }) } else { json!({ "sub": "ada" }) };
    let headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        ("dpop-nonce".to_owned(), nonce.as_bytes().to_vec()),
    ];
    Reply::Answer(Answer {
        status: if refused { 401 } else { 200 },
        headers,
        body: body.to_string().into_bytes(),
    })
}

fn reading(
    io: &Io,
    proofs: Rc<Proofs>,
    respond: impl FnMut(&Call) -> Reply,
) -> (Result<Reply, Fault>, Vec<Call>) {
    let inner = io.clone();
    let flow = async move {
        get(&inner, Request::get("userinfo", url(PLACE), 1_000), &secret("at"), Some(&proofs)).await
    };
    drive_with(io, flow, respond)
}

fn made(io: &Io, nonces: &Nonces) -> Rc<Proofs> {
    Rc::new(Proofs::new(Key::generate(io.host()).unwrap(), nonces))
}

#[test]
fn a_proof_says_what_it_is_for_and_is_signed_by_the_key_it_names() {
    let io = TestHost::new().io();
    let proofs = made(&io, &Nonces::default());
    let thumbprint = proofs.thumbprint();
    let (_, calls) = reading(&io, proofs.clone(), |_| answer(&json!({})));
    let (protected, claims) = proof(&calls[0]);
    assert_eq!((&protected["typ"], &protected["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!(protected["jwk"].as_object().unwrap().len(), 4, "the public key alone: crv, kty, x, y");
    let canonical = protected["jwk"].to_string();
    assert_eq!(thumbprint, URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)), "RFC 7638");
    assert_eq!(header(&calls[0], "authorization"), Some("DPoP at"));
    // Section 4.2: without query and fragment.
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("GET"), &json!("https://idp.example/userinfo")));
    assert_eq!(claims["ath"], json!(URL_SAFE_NO_PAD.encode(Sha256::digest("at"))));
    assert_eq!(claims["iat"], json!(START / 1000));
    assert_eq!(claims.get("nonce"), None);
    let (_, again) = reading(&io, proofs, |_| answer(&json!({})));
    assert_ne!(proof(&again[0]).1["jti"], claims["jti"], "each proof is used once");
}

#[test]
fn a_nonce_is_taken_up_once_and_kept_for_the_server() {
    let io = TestHost::new().io();
    let nonces = Nonces::default();
    let proofs = made(&io, &nonces);
    let sent = RefCell::new(Vec::new());
    let (reply, calls) = reading(&io, proofs.clone(), |call| {
        sent.borrow_mut().push(proof(call).1["nonce"].clone());
        with_nonce("n1", sent.borrow().len() == 1)
    });
    assert!(matches!(reply.unwrap(), Reply::Answer(answer) if answer.status == 200));
    assert_eq!((sent.take(), calls.len()), (vec![Value::Null, json!("n1")], 2));
    // Another login at this provider begins with it; a server that never has enough is asked twice and no more.
    let (reply, calls) = reading(&io, made(&io, &nonces), |_| with_nonce("n2", true));
    assert!(matches!(reply.unwrap(), Reply::Answer(answer) if answer.status == 401));
    assert_eq!(calls.iter().map(|call| proof(call).1["nonce"].clone()).collect::<Vec<_>>(), ["n1", "n2"]);
}

#[test]
fn a_login_beside_this_one_may_have_kept_the_nonce_first() {
    let io = TestHost::new().io();
    let nonces = Nonces::default();
    let (first, second) = (made(&io, &nonces), made(&io, &nonces));
    let place = url(PLACE);
    let request = |proofs: &Proofs| {
        proofs.prove(&io, Request::get("userinfo", place.clone(), 1_000), Some(&secret("at"))).unwrap()
    };
    // Both went without a nonce, and both are refused with the one that is current.
    let _ = (request(&first), request(&second));
    assert!(first.wants_nonce(&place, &with_nonce("n1", true)));
    assert!(second.wants_nonce(&place, &with_nonce("n1", true)));
    assert!(
        !first.wants_nonce(&place, &with_nonce("n2", false)),
        "a nonce of a good answer is kept, and that is all"
    );
}

#[test]
fn a_nonce_that_is_none_is_not_repeated() {
    let io = TestHost::new().io();
    let long = "n".repeat(513);
    for nonce in ["", "a b", "a\"b", "a\\b", long.as_str()] {
        let (_, calls) = reading(&io, made(&io, &Nonces::default()), |_| with_nonce(nonce, true));
        assert_eq!(calls.len(), 1, "{nonce:?}");
    }
}

#[test]
fn a_sealed_key_proves_for_its_session_on_every_replica() {
    let io = TestHost::new().io();
    let key = Key::generate(io.host()).unwrap();
    let (sealed, thumbprint) = (key.to_secret(), key.thumbprint());
    let opened = proofs(true, Some(&sealed), &Nonces::default()).unwrap().unwrap();
    assert_eq!(opened.thumbprint(), thumbprint);
    assert_ne!(
        Key::generate(io.host()).unwrap().thumbprint(),
        thumbprint,
        "every login has a key of its own"
    );
    assert!(proofs(false, None, &Nonces::default()).unwrap().is_none());
    for missing in [None, Some(secret("")), Some(secret("AAAA"))] {
        let fault = proofs(true, missing.as_ref(), &Nonces::default()).unwrap_err();
        assert_eq!(fault.code.as_str(), "state_unknown");
    }
}
