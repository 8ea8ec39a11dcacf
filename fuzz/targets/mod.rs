//! One function for each parser that reads what strangers write. The fuzzer calls them with whatever it
//! makes up (`fuzz/fuzz_targets`), `cargo test` with every file of `fuzz/seeds` (`tests/fuzz_seeds.rs`).
//!
//! None is satisfied with "no panic": each says what must hold of whatever the parser lets through, and
//! finds that out by other means than the parser's own.
#![allow(dead_code)] // a fuzz target uses one of them

pub mod access_token;
mod applications;
pub mod callback_query;
pub mod configuration;
pub mod cookie;
pub mod discovery;
mod host;
pub mod id_token;
pub mod key_set;
pub mod logout_token;
pub mod password_body;
pub mod path;
mod provider;
pub mod return_url;
mod saml;
pub mod saml_logout;
pub mod saml_metadata;
pub mod saml_response;
pub mod saml_xml;
pub mod shared_engine;

/// Reads the bytes, and panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder of seeds.
pub const ALL: [(&str, Target); 16] = [
    ("access_token", access_token::run),
    ("callback_query", callback_query::run),
    ("configuration", configuration::run),
    ("cookie", cookie::run),
    ("discovery", discovery::run),
    ("id_token", id_token::run),
    ("key_set", key_set::run),
    ("logout_token", logout_token::run),
    ("password_body", password_body::run),
    ("path", path::run),
    ("return_url", return_url::run),
    ("saml_logout", saml_logout::run),
    ("saml_metadata", saml_metadata::run),
    ("saml_response", saml_response::run),
    ("saml_xml", saml_xml::run),
    ("shared_engine", shared_engine::run),
];
