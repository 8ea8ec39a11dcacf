//! The protocol against a scripted provider.

mod access_token;
mod discovery;
mod dpop;
mod endpoints;
mod groups;
mod id_token;
mod keeping;
mod secrets;

use std::rc::Rc;

use serde_json::{json, Value};
use url::Url;

use super::Provider;
use crate::config::{ClientCredentials, Endpoints, Oidc, ResponseMode};
use crate::crypto::test_keys::JWKS;
use crate::host::task::Reply;
use crate::testing;
use crate::values::secret::Secret;

pub const ISSUER: &str = "https://idp.example.com";

pub fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// The good case: discovery, a secret, the usual scopes.
pub fn oidc() -> Oidc {
    Oidc {
        discovery: Some(url("https://idp.example.com/.well-known/openid-configuration")),
        issuer: None,
        endpoints: Endpoints::default(),
        jwks: None,
        client: ClientCredentials {
            client_id: "lakehouse".into(),
            secret: Some(secret("s3cret").into()),
            assertion: None,
            auth: None,
            key: None,
        },
        scope: vec!["openid".into(), "email".into()],
        authorization_params: Vec::new(),
        token_params: Vec::new(),
        userinfo_params: Vec::new(),
        groups: None,
        dpop: false,
        introspection: None,
        response_mode: ResponseMode::Query,
        id_token_alg: None,
        tenants: None,
        logout: None,
        bounds: None,
        timeout: 1000,
    }
}

pub fn provider(change: impl FnOnce(&mut Oidc)) -> Rc<Provider> {
    let mut oidc = oidc();
    change(&mut oidc);
    Rc::new(Provider::new(&oidc))
}

pub fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://idp.example.com/authorize",
        "token_endpoint": "https://idp.example.com/token",
        "userinfo_endpoint": "https://idp.example.com/userinfo",
        "jwks_uri": "https://idp.example.com/keys",
        "end_session_endpoint": "https://idp.example.com/logout",
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    })
}

pub fn discovered() -> Reply {
    testing::json(&metadata())
}

pub fn keys() -> Reply {
    testing::answer("application/jwk-set+json", JWKS)
}
