//! OpenID Connect and OAuth 2.0, the relying party's side, pure.
pub use crate::jose::{check_signing_key, KeySet};
