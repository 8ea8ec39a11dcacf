//! Who we are at a provider's token endpoint.

use std::rc::Rc;

use crate::config::env::{self, Environment};
use crate::config::problems::At;
use crate::config::raw::{self, AssertionAudience, ClientAuth};
use crate::values::secret::Secret;
use crate::values::secret_source::{SecretFile, SecretSource};

/// Who we are at a provider's token endpoint.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Our client identifier.
    pub client_id: String,
    /// Our secret.
    pub secret: Option<SecretSource>,
    /// How we authenticate; `None`: what discovery suggests, else basic with a secret, none without.
    pub auth: Option<ClientAuth>,
    /// The key for private_key_jwt.
    pub key: Option<ClientKey>,
    /// The platform's JWT for `assertion`.
    pub assertion: Option<SecretSource>,
}

impl ClientCredentials {
    /// The secrets that are read from files.
    pub fn files(&self) -> impl Iterator<Item = &Rc<SecretFile>> {
        self.secret.iter().chain(&self.assertion).filter_map(SecretSource::file)
    }
}

/// Credentials as they are written.
pub(super) struct Given<'a> {
    pub client_id: &'a str,
    pub secret: &'a Option<raw::Secret>,
    pub auth: Option<ClientAuth>,
    pub key: &'a Option<raw::ClientKey>,
    pub assertion: &'a Option<raw::Secret>,
}

/// The key that signs client assertions.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// PKCS#8 PEM.
    pub private_key: Secret,
    /// `kid` of the assertion.
    pub kid: Option<String>,
    /// `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub alg: String,
    /// `x5t` of the assertion.
    pub x5t: Option<String>,
    /// Whom the assertion is for.
    pub audience: AssertionAudience,
}

/// Checks it.
pub(super) fn credentials(at: &At<'_>, given: Given<'_>, env: &dyn Environment) -> ClientCredentials {
    let Given { client_id, secret, auth, key, assertion } = given;
    if client_id.is_empty() {
        at.field("client_id").problem("is missing: the client identifier registered at the provider");
    } else if !client_id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        at.field("client_id").problem("expected printable ASCII (RFC 6749 section A.1)");
    }
    match auth {
        Some(ClientAuth::Basic | ClientAuth::Post) if secret.is_none() => {
            at.field("client_auth").problem("basic and post need a client_secret");
        }
        Some(ClientAuth::PrivateKeyJwt) if key.is_none() => {
            at.field("client_auth").problem("private_key_jwt needs a client_key");
        }
        Some(ClientAuth::Assertion) if assertion.is_none() => {
            at.field("client_auth").problem("assertion needs a client_assertion");
        }
        Some(auth) if auth != ClientAuth::Assertion && assertion.is_some() => {
            at.field("client_assertion")
                .problem(format!("has no effect with client_auth: {}; expected assertion", auth.as_str()));
        }
        _ => {}
    }
    let read = |name: &str, raw: &Option<raw::Secret>| {
        raw.as_ref().and_then(|raw| env::source(&at.field(name), raw, env))
    };
    let (secret, assertion) = (read("client_secret", secret), read("client_assertion", assertion));
    let key = key.as_ref().and_then(|raw| {
        let at = at.field("client_key");
        let alg = raw.alg.clone().unwrap_or_else(|| "RS256".into());
        if !["RS256", "PS256", "ES256", "EdDSA"].contains(&alg.as_str()) {
            at.field("alg").problem(format!("expected RS256, PS256, ES256 or EdDSA, found {alg:?}"));
        }
        let private_key = env::secret(&at.field("private_key"), &raw.private_key, env)?;
        if let Err(why) = crate::crypto::check_signing_key(&alg, &private_key) {
            at.field("private_key").problem(why);
        }
        let (kid, x5t) = (raw.kid.clone(), raw.x5t.clone());
        Some(ClientKey { private_key, kid, alg, x5t, audience: raw.audience.unwrap_or_default() })
    });
    ClientCredentials { client_id: client_id.to_owned(), secret, auth, key, assertion }
}
