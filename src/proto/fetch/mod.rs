//! What asking an identity provider has in common, whatever it speaks: how its answers are judged, and how its
//! documents (discovery, keys, SAML metadata) are kept.

pub mod answer;
pub mod document;
pub mod redirects;
pub mod secret_file;
pub mod turn;
