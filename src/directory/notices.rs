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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Directory;
    use crate::directory::UserSource;
    use crate::identity::example;
    use crate::testing::TestHost;

    /// An account that reads these claims for its roles.
    fn account(code: &str, claims: &[&str]) -> Account {
        let mut account = crate::directory::tests::account(Directory::None);
        account.code = code.into();
        account.mapping.roles_claim = claims.iter().map(|claim| (*claim).to_owned()).collect();
        account
    }

    /// Claims whose groups the provider has left out.
    fn left_out() -> Value {
        json!({ "email": "ada@acme.com", "hasgroups": true })
    }

    fn counts(host: &TestHost, account: &Account) -> Vec<(String, u64)> {
        let list = list(host, account);
        list.iter()
            .map(|one| (one["claim"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap()))
            .collect()
    }

    #[test]
    fn what_grants_nothing_is_told_and_counted_by_account_and_claim() {
        let host = TestHost::new();
        let (acme, other) = (account("acme", &["groups"]), account("other", &["roles"]));
        for _ in 0..3 {
            note(&*host, &acme, &example(left_out()));
        }
        note(&*host, &other, &example(left_out()));
        note(&*host, &account("acme", &["teams"]), &example(left_out()));
        note(&*host, &acme, &example(json!({ "email": "ada@acme.com" })));
        assert_eq!(counts(&host, &acme), [("groups".to_owned(), 3), ("teams".to_owned(), 1)]);
        assert_eq!(counts(&host, &other), [("roles".to_owned(), 1)]);
        let (level, line) = host.logs().into_iter().next().unwrap();
        assert_eq!(level, Level::Warn);
        for part in [
            "\"account\":\"acme\"",
            "\"idp\":\"corp\"",
            "groups grants no role: the provider left the groups out",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(host.logs().len(), 5, "nothing is told where the user is in no group");
    }

    #[test]
    fn a_renewal_tells_it_of_users_who_had_roles() {
        let host = TestHost::new();
        let acme = account("acme", &["groups"]);
        let claims = left_out().as_object().unwrap().clone();
        let mut user =
            User::without_record("ada".into(), UserSource::Session, Vec::new(), Default::default());
        note_lost_roles(&*host, &acme, &user, &claims);
        assert_eq!((counts(&host, &acme), host.logs().len()), (Vec::new(), 0));
        user.claim_roles = vec!["owner".into()];
        note_lost_roles(&*host, &acme, &user, &claims);
        assert_eq!(counts(&host, &acme), [("groups".to_owned(), 1)]);
        assert!(!host.logs()[0].1.contains("\"idp\""), "{:?}", host.logs());
    }

    #[test]
    fn so_many_kinds_are_counted_and_no_more() {
        let host = TestHost::new();
        for n in 0..MAX_KINDS + 5 {
            note(&*host, &account("acme", &[&format!("claim-{n}")]), &example(left_out()));
        }
        let acme = account("acme", &["claim-3"]);
        assert_eq!(counts(&host, &acme).len(), MAX_KINDS);
        note(&*host, &acme, &example(left_out()));
        assert!(
            counts(&host, &acme).contains(&("claim-3".to_owned(), 2)),
            "what is known goes on being counted"
        );
    }
}
