//! The signed identity: audience, lifetime and key ring.

use std::collections::HashSet;
use std::rc::Rc;

use super::Assertion;
use crate::config::duration;
use crate::config::env::{self, Environment};
use crate::config::names::is_token;
use crate::config::problems::At;
use crate::config::raw;
use crate::crypto::AssertionKey;

/// Milliseconds. Shorter ones could expire on their way to the application: dates in a JWT are whole seconds.
const LIFETIMES: (u64, u64) = (3_000, 86_400_000);

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &raw::Assertion, env: &dyn Environment) -> Assertion {
    if raw.audience.is_empty() {
        at.field("audience").problem("is missing: who the assertion is for, such as https://app.example.com");
    }
    if raw.keys.is_empty() {
        at.field("keys").problem("is empty: at least one P-256 key is needed to sign with");
    }
    let mut ids = HashSet::new();
    let keys = raw.keys.iter().enumerate().filter_map(|(i, raw)| {
        let at = at.field("keys").index(i);
        if !is_token(&raw.id) || raw.id.len() > 64 {
            at.field("id").problem("expected 1 to 64 visible characters without quotes: the key's kid");
        } else if !ids.insert(raw.id.as_str()) {
            at.field("id").problem(format!("{:?} is another key's already", raw.id));
        }
        let pem = env::secret(&at.field("private_key"), &raw.private_key, env)?;
        let key = AssertionKey::parse(&raw.id, &pem);
        key.map_err(|why| at.field("private_key").problem(why)).ok()
    });
    Assertion {
        keys: Rc::new(keys.collect()),
        header: raw.header.as_deref().unwrap_or("x-sso-assertion").to_ascii_lowercase(),
        audience: raw.audience.clone(),
        lifetime: duration::field(at, "lifetime", &raw.lifetime, 300_000, LIFETIMES) / 1000,
    }
}
