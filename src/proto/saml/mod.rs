//! SAML 2.0, service-provider side, as a protocol without a host: messages in, checked facts out.
//!
//! ```text
//! authn_request ─┬─ bindings (redirect, post) ── the browser ── the IdP
//! logout ────────┤
//!                └─ sign ── crypto::private_key
//! response ──┬─ encryption ── crypto       what is read is read from the node that
//! logout ────┼─ signature ── c14n          `signature` verified, in the one tree that
//! metadata ──┴─ xml, limits                `xml` let through: nothing is looked up globally
//! idp: what one VM knows of one provider
//! ```
//!
//! To change a check: `expected` (audience, times, recipient, request), `response` (the order of all checks), `signature`,
//! `name_id` (who it is). `verified` is what comes out, `refused` why nothing did, `names` the schemas' names.
//!
//! Written by hand because no library fits (see the decision record): a verifier of the SAML profile alone is small
//! enough to read, and is tested against xmlsec1 as an oracle.

pub mod algorithm;
pub mod authn_request;
pub mod bindings;
pub mod c14n;
pub mod encryption;
mod expected;
pub mod idp;
mod limits;
pub mod logout;
pub mod metadata;
pub mod name_id;
pub mod names;
pub mod refused;
pub mod response;
pub mod sign;
pub mod signature;
pub mod time;
pub mod verified;
pub mod xml;

pub use crate::crypto::{certificate, private_key};
pub use idp::Idp;

#[cfg(test)]
pub(crate) mod tests;

use crate::fault::Fault;
use crate::host::{self, Host};

/// A fresh message identifier of 128 bits (SAML core section 1.3.4). It starts with a letter: an `xs:ID` may not start
/// with a digit, and Entra refuses one that does.
pub fn fresh_id(host: &dyn Host) -> Result<String, Fault> {
    let bytes = host::random::<16>(host)?;
    Ok(bytes.iter().fold(String::from("id-"), |id, byte| id + &format!("{byte:02x}")))
}
