//! envoy-sso
#![forbid(unsafe_code)]

pub mod config;
pub mod directory;
pub mod fault;
pub mod gate;
pub mod host;
pub mod identity;
pub mod login;
pub mod logout;
pub mod oidc;
pub mod pages;
pub mod password;
pub mod proxy;
pub mod saml;
pub mod secret;
pub mod session;
pub mod surface;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
