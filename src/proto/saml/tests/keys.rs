//! Keys and certificates for tests, and only for tests.
/// An authority, and a certificate that it issued.
pub const CA: &str = include_str!("../../../../tests/fixtures/saml/ca.pem");
pub const LEAF: &str = include_str!("../../../../tests/fixtures/saml/leaf.pem");
pub const IDP: &str = include_str!("../../../../tests/fixtures/saml/idp.pem");
pub const IDP_KEY: &str = include_str!("../../../../tests/fixtures/saml/idp.key");
pub const SP: &str = include_str!("../../../../tests/fixtures/saml/sp.pem");
pub const SP_KEY: &str = include_str!("../../../../tests/fixtures/saml/sp.key");
pub const STRANGER: &str = include_str!("../../../../tests/fixtures/saml/stranger.pem");
pub const STRANGER_KEY: &str = include_str!("../../../../tests/fixtures/saml/stranger.key");
pub const WEAK: &str = include_str!("../../../../tests/fixtures/saml/weak.pem");
pub const WEAK_KEY: &str = include_str!("../../../../tests/fixtures/saml/weak.key");
pub const P256: &str = include_str!("../../../../tests/fixtures/saml/p256.pem");
pub const P256_KEY: &str = include_str!("../../../../tests/fixtures/saml/p256.key");
pub const P384: &str = include_str!("../../../../tests/fixtures/saml/p384.pem");
pub const P384_KEY: &str = include_str!("../../../../tests/fixtures/saml/p384.key");
