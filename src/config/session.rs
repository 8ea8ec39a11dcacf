//! Sessions: their keys, how long they live, how often they are checked again, and how many a worker remembers.

use std::collections::HashSet;
use std::rc::Rc;

use super::env::{self, Environment};
use super::problems::At;
use super::{duration, raw, SessionSettings};
use crate::crypto::seal::KeyRing;

/// Checks them. `shared`: there is an engine.
pub(super) fn check(at: &At<'_>, raw: &raw::Session, shared: bool, env: &dyn Environment) -> SessionSettings {
    let mut keys = Vec::new();
    let mut ids = HashSet::new();
    if raw.keys.is_empty() {
        at.field("keys").problem("is empty: at least one key is needed; envoy-sso keygen makes one");
    }
    for (i, key) in raw.keys.iter().enumerate() {
        let at = at.field("keys").index(i);
        if key.id.is_empty()
            || key.id.len() > 32
            || !key.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            at.field("id").problem("expected 1 to 32 letters, digits, '-' and '_'");
        } else if !ids.insert(key.id.as_str()) {
            at.field("id").problem(format!("{:?} is another key's already", key.id));
        }
        let Some(secret) = env::named(&at, key.env.as_deref(), key.value.as_deref(), env) else { continue };
        match KeyRing::decode(&secret) {
            Some(bytes) => keys.push((key.id.clone(), bytes)),
            None => at.problem("expected 32 bytes in base64, as envoy-sso keygen prints them"),
        }
    }
    const DAY: u64 = 86_400_000;
    let lifetime = duration::field(at, "lifetime", &raw.lifetime, 8 * 3_600_000, (1_000, 400 * DAY));
    SessionSettings {
        keys: Rc::new(KeyRing::new(keys)),
        shared,
        lifetime,
        idle: duration::field(at, "idle", &raw.idle, 3_600_000.min(lifetime), (1_000, 400 * DAY)),
        recheck: duration::field(at, "recheck", &raw.recheck, 300_000, (0, 400 * DAY)),
        recheck_grace: duration::field(at, "recheck_grace", &raw.recheck_grace, 3_600_000, (0, 400 * DAY)),
        cache: cache(&at.field("cache"), raw.cache),
    }
}

/// How many sessions are remembered.
fn cache(at: &At<'_>, raw: Option<u32>) -> usize {
    const DEFAULT: usize = 16_384;
    let number = raw.map_or(Some(DEFAULT), |raw| usize::try_from(raw).ok());
    number.filter(|number| (100..=1_000_000).contains(number)).unwrap_or_else(|| {
        at.problem("expected a number from 100 to 1000000");
        DEFAULT
    })
}
