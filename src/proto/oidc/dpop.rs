//! Tokens that are bound to a key of ours (DPoP, RFC 9449): a thief cannot use one.
//!
//! Every login has a key of its own. It is sealed with the login in progress and, where there is a refresh token, with
//! the session, so that every replica can prove possession.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jwt_compact::alg::Es256;
use jwt_compact::{Algorithm, AlgorithmSignature};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::fault::{Code, Fault};
use crate::host::task::{Io, Reply, Request};
use crate::host::{random, random_token, Host};
use crate::proto::fetch::answer;
use crate::values::json;
use crate::values::secret::Secret;

/// A longer nonce is not repeated.
const MAX_NONCE: usize = 512;
/// Servers of one provider whose nonces are kept.
const MAX_NONCES: usize = 16;

/// The last nonce of each server of a provider, by origin (RFC 9449 section 8.2).
#[derive(Clone, Debug, Default)]
pub struct Nonces(Rc<RefCell<BTreeMap<String, String>>>);

/// The private key of one login.
pub struct Key(p256::ecdsa::SigningKey);

impl Key {
    /// A new one.
    pub fn generate(host: &dyn Host) -> Result<Self, Fault> {
        // All but one of 2^32 numbers of 32 bytes are keys of P-256.
        for _ in 0..4 {
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&random::<32>(host)?) {
                return Ok(Self(key));
            }
        }
        Err(crate::host::no_randomness())
    }

    /// As it is sealed.
    pub fn to_secret(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
    }

    /// The key of an envelope that opened.
    pub fn of_secret(secret: &Secret) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(secret.expose()).ok()?;
        p256::ecdsa::SigningKey::from_slice(&bytes).ok().map(Self)
    }

    /// The public key; its members in the order of RFC 7638.
    fn jwk(&self) -> Value {
        let point = self.0.verifying_key().to_encoded_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| {
            URL_SAFE_NO_PAD.encode(bytes.map(|bytes| bytes.as_slice()).unwrap_or_default())
        };
        json!({ "crv": "P-256", "kty": "EC", "x": coordinate(point.x()), "y": coordinate(point.y()) })
    }

    /// The thumbprint of the public key (RFC 7638), to which an authorization code is bound (`dpop_jkt`).
    pub fn thumbprint(&self) -> String {
        // `serde_json` writes members in alphabetical order, as RFC 7638 section 3.3 wants them.
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.jwk().to_string()))
    }
}

/// A key and what its proofs need to know.
pub struct Proofs {
    key: Key,
    nonces: Nonces,
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proofs(…)")
    }
}

impl Proofs {
    /// Proofs for a provider with these nonces.
    pub fn new(key: Key, nonces: &Nonces) -> Self {
        Self { key, nonces: nonces.clone() }
    }

    /// The thumbprint of the key.
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }

    /// The request with a proof; with `token`, for the use of that access token (RFC 9449 sections 4.2 and 7.1).
    pub fn prove(&self, io: &Io, request: Request, token: Option<&Secret>) -> Result<Request, Fault> {
        let mut url = request.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut claims = json!({
            "jti": random_token::<16>(io.host())?, "htm": request.method, "htu": url.as_str(),
            "iat": io.now() / 1000,
        });
        if let Some(claims) = claims.as_object_mut() {
            if let Some(nonce) = self.nonces.0.borrow().get(&server(&url)) {
                claims.insert("nonce".into(), json!(nonce));
            }
            if let Some(token) = token {
                claims.insert("ath".into(), json!(URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose()))));
            }
        }
        let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.key.jwk() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(json::text(value));
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = Es256.sign(&self.key.0, input.as_bytes());
        let proof = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()));
        Ok(request.header("dpop", proof))
    }

    /// Keeps the nonce that a server sent. True if it refused the proof for the lack of it (RFC 9449 sections 8 and 9).
    ///
    /// A login beside this one may have kept the nonce already: the refused proof did not have it all the same.
    pub fn wants_nonce(&self, url: &Url, reply: &Reply) -> bool {
        let Reply::Answer(answer) = reply else { return false };
        let Some(nonce) = answer.header("dpop-nonce").filter(|nonce| is_nonce(nonce)) else { return false };
        let mut nonces = self.nonces.0.borrow_mut();
        if nonces.len() >= MAX_NONCES {
            nonces.clear();
        }
        nonces.insert(server(url), nonce.to_owned());
        let challenged =
            answer.header("www-authenticate").is_some_and(|text| text.contains("use_dpop_nonce"));
        let refused = challenged || answer::oauth_error_of(reply).as_deref() == Some("use_dpop_nonce");
        refused && matches!(answer.status, 400 | 401)
    }

    /// A GET with an access token that is bound to the key, once more if the server wants a nonce.
    pub async fn get(&self, io: &Io, request: Request, token: &Secret) -> Result<Reply, Fault> {
        let url = request.url.clone();
        let request = request.header("authorization", format!("DPoP {}", token.expose()));
        let reply = io.call(self.prove(io, request.clone(), Some(token))?).await;
        match self.wants_nonce(&url, &reply) {
            true => Ok(io.call(self.prove(io, request, Some(token))?).await),
            false => Ok(reply),
        }
    }
}

/// Reads with an access token: by a proof where it is bound to a key, else as a bearer token.
pub async fn get(io: &Io, request: Request, token: &Secret, proofs: Option<&Proofs>) -> Result<Reply, Fault> {
    match proofs {
        Some(proofs) => proofs.get(io, request, token).await,
        None => Ok(io.call(request.header("authorization", format!("Bearer {}", token.expose()))).await),
    }
}

/// The proofs of a sealed key. One that is missing is a login that began before `dpop` was configured.
pub fn proofs(dpop: bool, key: Option<&Secret>, nonces: &Nonces) -> Result<Option<Proofs>, Fault> {
    if !dpop {
        return Ok(None);
    }
    let missing = || Fault::new(Code::StateUnknown, "dpop: the login has no key");
    let key = key.and_then(Key::of_secret).ok_or_else(missing)?;
    Ok(Some(Proofs::new(key, nonces)))
}

fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// RFC 9449 section 8.1: characters as in RFC 6749 appendix A.
fn is_nonce(text: &str) -> bool {
    (1..=MAX_NONCE).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
