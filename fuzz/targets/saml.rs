//! What the SAML targets share: an identity provider, and us.

use envoy_sso::proto::saml::certificate::Certificate;

pub const IDP: &str = "https://idp.partner.com";
pub const ACS: &str = "https://app.example.com/sso/saml/consume?u=acme";
pub const SLO: &str = "https://app.example.com/sso/saml/logout?u=acme";
pub const ENTITY: &str = "https://app.example.com/sso/saml/metadata?u=acme";
pub const REQUEST: &str = "id-0123456789abcdef";
pub const SP_KEY: &str = include_str!("../../tests/fixtures/saml/sp.key");

/// What the provider's signatures are verified with.
pub fn certificates() -> Vec<Certificate> {
    vec![Certificate::parse(include_str!("../../tests/fixtures/saml/idp.pem")).unwrap()]
}

/// Without white space, in which base64 may be wrapped.
pub fn compact(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}
