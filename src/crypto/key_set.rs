//! A JSON Web Key Set (RFC 7517 section 5): which key, and is the signature its own.

use jwt_compact::alg::{Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key};
use serde_json::{Map, Value};

use super::jwk::{with, Key};
use super::jws::MAX_TOKEN;
use super::{Alg, Jws};
use crate::host::Host;
use crate::values::json;
use crate::values::secret::Secret;

/// A larger set is not read.
pub const MAX_KEY_SET: usize = 512 << 10;
/// Microsoft asks for room for 1000 keys.
const MAX_KEYS: usize = 1000;
/// A token is tried against this many keys of its `kid` at most. One without a `kid` is tried against one alone: where the
/// set has more of its type, OpenID Connect Core section 10.1 obliges the provider to name one, and each more is a
/// signature that a stranger has verified.
const MAX_TRIED: usize = 2;

/// The keys of one provider.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// How many keys were left out, and why the first of them.
    pub skipped: (usize, Option<String>),
}

/// Why a signature does not count.
#[derive(Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No key of the set has the token's `kid`: the set may be old.
    UnknownKey(String),
    /// Anything else; a newer set would not help.
    Refused(String),
}

impl KeySet {
    /// Reads a set. Members, key types, curves and algorithms that are unknown, encryption keys and
    /// broken keys are left out, the others kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set = json::parse_object(bytes, MAX_KEY_SET)?;
        let Some(Value::Array(members)) = set.get("keys") else {
            return Err("expected an object with an array \"keys\"".into());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("{} keys are more than the {MAX_KEYS} that are read", members.len()));
        }
        let mut keys = Vec::with_capacity(members.len());
        let mut skipped = (0, None);
        for (i, member) in members.iter().enumerate() {
            let key = match member {
                Value::Object(jwk) => Key::parse(jwk),
                _ => Err("is not an object".to_owned()),
            };
            match key {
                Ok(key) => keys.push(key),
                Err(why) => {
                    skipped.0 += 1;
                    skipped.1.get_or_insert_with(|| format!("keys[{i}] {why}"));
                }
            }
        }
        Ok(Self { keys, skipped })
    }

    /// How many keys can verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The algorithms that a key of the set could verify.
    pub fn algs(&self) -> Vec<&'static str> {
        use Alg::*;
        let all = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Es512, EdDsa];
        let usable = |alg: &Alg| self.keys.iter().any(|key| key.fits(*alg));
        all.into_iter().filter(usable).map(Alg::name).collect()
    }

    /// Whether a key of that name is there.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The token's claims and the key that signed them, if one of the set did. The caller has compared
    /// `alg` with what it accepts.
    pub fn verify(&self, host: &dyn Host, jws: &Jws<'_>) -> Result<(Map<String, Value>, &Key), Unverified> {
        let refused = |why: String| Err(Unverified::Refused(why));
        if jws.alg.is_symmetric() {
            return refused(format!("{} is not verified with a public key", jws.alg.name()));
        }
        let named = |key: &&Key| match &jws.kid {
            Some(kid) => key.kid.as_ref() == Some(kid),
            None => true,
        };
        if let Some(kid) = jws.kid.as_deref().filter(|kid| !self.has(kid)) {
            let kid: String = kid.chars().take(100).collect();
            return Err(Unverified::UnknownKey(format!("no key has the token's kid {kid:?}")));
        }
        let candidates: Vec<&Key> = self.keys.iter().filter(named).filter(|key| key.fits(jws.alg)).collect();
        if candidates.is_empty() {
            let why = format!("no key of the token's name and of the type of {}", jws.alg.name());
            // Without a kid nothing says which key was meant: a newer set may have it.
            return Err(if jws.kid.is_none() {
                Unverified::UnknownKey(why)
            } else {
                Unverified::Refused(why)
            });
        }
        if candidates.len() > if jws.kid.is_some() { MAX_TRIED } else { 1 } {
            let kid = if jws.kid.is_some() { "a kid of several keys" } else { "no kid" };
            return refused(format!("the token names {kid} and {} keys would fit", candidates.len()));
        }
        let message = jws.signing_input.as_bytes();
        match candidates.into_iter().find(|key| key.verify(host, jws.alg, message, &jws.signature)) {
            Some(key) => Ok((claims(jws)?, key)),
            None if jws.kid.is_none() => {
                Err(Unverified::UnknownKey("no key made the token's signature".into()))
            }
            None => refused(format!("the {} signature is not the key's", jws.alg.name())),
        }
    }
}

impl Jws<'_> {
    /// The token's claims, if its HMAC was made with that secret. Only for a provider whose configuration
    /// names the algorithm: else a public key could be taken for the secret.
    pub fn verify_with_secret(&self, secret: &Secret) -> Result<Map<String, Value>, Unverified> {
        let (secret, message, mac) =
            (secret.expose().as_bytes(), self.signing_input.as_bytes(), &self.signature);
        let good = !secret.is_empty()
            && match self.alg {
                Alg::Hs256 => with(&Hs256, &Hs256Key::new(secret), message, mac),
                Alg::Hs384 => with(&Hs384, &Hs384Key::new(secret), message, mac),
                Alg::Hs512 => with(&Hs512, &Hs512Key::new(secret), message, mac),
                _ => false,
            };
        if !good {
            return Err(Unverified::Refused(format!(
                "the {} signature is not the secret's",
                self.alg.name()
            )));
        }
        claims(self)
    }
}

fn claims(jws: &Jws<'_>) -> Result<Map<String, Value>, Unverified> {
    json::parse_object(&jws.payload, MAX_TOKEN)
        .map_err(|why| Unverified::Refused(format!("the claims: {why}")))
}
