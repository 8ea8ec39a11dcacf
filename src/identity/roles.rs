//! Roles that an identity brings: its groups through `role_map`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{claim, Claims};
use crate::config::Mapping;

/// The most roles a user carries, and the longest: they travel in a cookie and a header. What is beyond
/// is left out, which can only take something away.
const MAX_ROLES: usize = 200;
const MAX_ROLE: usize = 256;

/// The roles that `roles_claim` grants. Only what `role_map` names grants anything: an identity provider
/// must not be able to make a role up.
pub fn from_claims(mapping: &Mapping, claims: &Claims) -> Vec<String> {
    let groups = match mapping.roles_claim.as_ref().and_then(|name| claim(claims, name)) {
        Some(Value::String(group)) => vec![group.as_str()],
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    union(mapped(mapping, groups), [])
}

/// What `role_map` makes of groups: an unmapped one grants nothing.
pub fn mapped<'a>(
    mapping: &'a Mapping,
    groups: impl IntoIterator<Item = &'a str> + 'a,
) -> impl Iterator<Item = String> + 'a {
    groups.into_iter().filter_map(|group| mapping.role_map.get(group).cloned())
}

/// Both, each role once, in alphabetical order.
pub fn union(a: impl IntoIterator<Item = String>, b: impl IntoIterator<Item = String>) -> Vec<String> {
    let all: BTreeSet<String> =
        a.into_iter().chain(b).filter(|role| !role.is_empty() && role.len() <= MAX_ROLE).collect();
    all.into_iter().take(MAX_ROLES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::mapping::tests::mapping;
    use serde_json::json;

    #[test]
    fn groups_grant_what_role_map_says_and_nothing_else() {
        let mut mapping = mapping();
        mapping.roles_claim = Some("groups".into());
        mapping.role_map = [("admins", "account_admin"), ("a", "member"), ("b", "member")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        for (groups, roles) in [
            (json!("admins"), vec!["account_admin"]),
            (json!(["b", "admins", "a"]), vec!["account_admin", "member"]),
            (json!(["account_admin", "Admins", "admins ", "nobody"]), vec![]),
            (json!([{"value": "admins"}, 1, null, "a"]), vec!["member"]),
            (json!("admins,a"), vec![]),
            (json!({"admins": true}), vec![]),
            (json!(null), vec![]),
        ] {
            let claims = json!({ "groups": groups });
            assert_eq!(from_claims(&mapping, claims.as_object().unwrap()), roles, "{claims}");
        }
        mapping.roles_claim = None;
        assert!(from_claims(&mapping, json!({"groups": "admins"}).as_object().unwrap()).is_empty());
    }

    #[test]
    fn a_union_is_sorted_and_has_each_role_once() {
        let strings = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(union(strings(&["b", "a", ""]), strings(&["a", "c"])), ["a", "b", "c"]);
    }
}
