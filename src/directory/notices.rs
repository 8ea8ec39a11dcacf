//! Roles that a user did not get although the provider has them: told to the operator, in the log and in the report of
//! completeness.

use serde_json::{json, Value};

use super::User;
use crate::config::Account;
use crate::host::events::{self, Place};
use crate::host::{Host, Level};
use crate::identity::roles::{self, Notice};
use crate::identity::{Claims, Identity};
use crate::values::json;

/// The most kinds that are counted for an account: claims and reasons are the configuration's and ours, so few.
const MAX_KINDS: usize = 32;

/// Notes at a sign-in why the identity's groups grant nothing, if something is wrong with them. Never a value.
pub fn note(host: &dyn Host, account: &Account, identity: &Identity) {
    if let Some(notice) = roles::notice(&account.mapping, &identity.claims) {
        tell(host, account, &identity.provider, &notice);
    }
}

/// Notes the same at a renewal, for a user who had roles: once a session.
pub fn note_lost_roles(host: &dyn Host, account: &Account, user: &User, claims: &Claims) {
    if user.claim_roles.is_empty() {
        return;
    }
    if let Some(notice) = roles::notice(&account.mapping, claims) {
        tell(host, account, "", &notice);
    }
}

fn tell(host: &dyn Host, account: &Account, provider: &str, notice: &Notice) {
    let provider = Some(provider).filter(|provider| !provider.is_empty());
    let place = Place { account: Some(&account.code), provider, ..Place::default() };
    let reason = format!("{} grants no role: {}", notice.claim, notice.reason);
    events::notice(host, place, Level::Warn, &reason);
    count(host, account, notice);
}

fn key(account: &Account) -> String {
    format!("sso.notices.{}", account.code)
}

/// `[{"claim", "reason", "count"}]` since this Envoy started.
pub fn list(host: &dyn Host, account: &Account) -> Vec<Value> {
    let (value, _) = host.shared_get(&key(account));
    value.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default()
}

fn count(host: &dyn Host, account: &Account, notice: &Notice) {
    let key = key(account);
    // A lost race costs one count.
    for _ in 0..4 {
        let (value, cas) = host.shared_get(&key);
        let mut list: Vec<Value> =
            value.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default();
        let is_same = |known: &Value| known["claim"] == *notice.claim && known["reason"] == notice.reason;
        let before = list.iter().position(is_same).map(|at| list.swap_remove(at));
        if before.is_none() && list.len() >= MAX_KINDS {
            return;
        }
        let count =
            before.and_then(|known| known.get("count")?.as_u64()).unwrap_or_default().saturating_add(1);
        list.push(json!({ "claim": notice.claim, "reason": notice.reason, "count": count }));
        if host.shared_set(&key, json::text(&Value::from(list)).as_bytes(), cas) {
            return;
        }
    }
}
