//! One provider, all of it in the configuration: nothing is fetched.

use envoy_sso::config::{ClientCredentials, Endpoints, Oidc, ResponseMode};
use envoy_sso::values::secret::Secret;
use url::Url;

pub const ISSUER: &str = "https://idp.example.com";
pub const CLIENT: &str = "lakehouse";
pub const JWKS: &str = include_str!("../../tests/keys/test-jwks.json");
/// One token for each algorithm, by its name, made by another implementation with the keys of `JWKS`.
pub const SIGNED: &str = include_str!("../../tests/keys/test-signed.json");

pub fn by_hand() -> Oidc {
    let at = |path: &str| Some(Url::parse(&format!("{ISSUER}{path}")).unwrap());
    Oidc {
        issuer: Some(ISSUER.into()),
        endpoints: Endpoints { authorization: at("/authorize"), token: at("/token"), ..Endpoints::default() },
        jwks: Some(JWKS.into()),
        discovery: None,
        ..discovered("https://idp.example.com/.well-known/openid-configuration")
    }
}

pub fn discovered(url: &str) -> Oidc {
    Oidc {
        discovery: Some(Url::parse(url).unwrap()),
        issuer: None,
        endpoints: Endpoints::default(),
        jwks: None,
        client: ClientCredentials {
            client_id: CLIENT.into(),
            secret: Some(Secret::new("s3cret".into()).into()),
            assertion: None,
            auth: None,
            key: None,
        },
        scope: vec!["openid".into()],
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
