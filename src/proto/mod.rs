//! The protocols, without a word of Envoy, requests, sessions or pages: each endpoint is a pair of functions, one that
//! makes the request and one that judges the answer.

pub mod fetch;
pub mod oidc;
pub mod saml;
