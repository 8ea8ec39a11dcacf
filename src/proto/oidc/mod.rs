//! OpenID Connect and OAuth 2.0, the relying party's side, pure: every endpoint is a pair, make the
//! request and read the answer.
//!
//! ```text
//! provider           discovery and keys of one provider, kept and refreshed
//! client_auth, dpop  how the filter proves itself              (RFC 6749 2.3, RFC 7523, RFC 9449)
//! authorization      where the browser goes                    (RFC 6749 4.1.1, RFC 7636, RFC 9126)
//! callback           what it brings back                       (RFC 6749 4.1.2, RFC 9207)
//! token              code or refresh token for tokens          (RFC 6749 4.1.3 and 6)
//! id_token           who it is                                 (OpenID Connect Core 3.1.3.7 and 12.2)
//! access_token       who a program speaks for                  (RFC 9068, RFC 6750)
//! introspection      what an opaque token is                  (RFC 7662)
//! machine            who a program is at an issuer of its own  (RFC 7519)
//! userinfo           what else is known                        (OpenID Connect Core 5.3)
//! logout             the way out                               (OpenID Connect RP-Initiated Logout 1.0)
//! logout_token       the provider's own logout                 (OpenID Connect Back-Channel Logout 1.0)
//! groups, addresses  what a provider lists at URLs of its own  (Google, GitHub)
//! ```
//!
//! To change what a token must show: `id_token`, `access_token`. How a signature is verified: `signed`, over `crypto`. A
//! provider's quirk belongs to the endpoint where it shows, and is told by what the provider sends, never by its name.

pub mod access_token;
mod addresses;
pub mod authorization;
pub mod callback;
pub mod client_auth;
pub mod discovery;
pub mod dpop;
pub mod form;
pub mod groups;
pub mod id_token;
pub mod introspection;
pub mod logout;
pub mod logout_token;
pub mod machine;
pub mod provider;
pub mod signed;
pub mod token;
pub mod userinfo;

#[cfg(test)]
mod tests;

pub use crate::crypto::{check_signing_key, KeySet};
pub use callback::Callback;
pub use discovery::Metadata;
pub use id_token::Claims;
pub use provider::Provider;
pub use token::Tokens;
