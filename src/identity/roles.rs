//! Roles that an identity brings: its groups through `role_map`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{claim, Claims};
use crate::config::Mapping;
use crate::values::order;

/// The most roles a user carries, and the longest: they travel in a cookie and a header. What is beyond
/// is left out, which can only take something away.
const MAX_ROLES: usize = 200;
const MAX_ROLE: usize = 256;

/// Groups by the claim that named them: those that `role_map` names, and no others.
pub type Groups = BTreeMap<String, Vec<String>>;

/// What an identity's groups grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The groups that grant something. A session keeps them, so that it can follow a changed configuration.
    pub groups: Groups,
    /// The roles, sorted.
    pub roles: Vec<String>,
}

/// What `roles_claim` grants. Only what `role_map` names grants anything: an identity provider must not be
/// able to make a role up.
pub fn from_claims(mapping: &Mapping, claims: &Claims) -> Granted {
    let mut groups = Groups::new();
    let mut left = MAX_ROLES;
    for name in &mapping.roles_claim {
        let found = claim(claims, name).map(named).unwrap_or_default();
        let granting = found.into_iter().filter(|group| mapping.role_map.contains_key(*group));
        let granting: BTreeSet<&str> =
            order::gathered(granting.filter(|group| group.len() <= MAX_ROLE).take(left));
        left -= granting.len();
        if !granting.is_empty() {
            groups.insert(name.clone(), granting.into_iter().map(str::to_owned).collect());
        }
    }
    let roles = of_groups(mapping, &groups);
    Granted { groups, roles }
}

/// The roles that these groups grant under this mapping, which may be newer than the one they were read by.
pub fn of_groups(mapping: &Mapping, groups: &Groups) -> Vec<String> {
    let counting = groups.iter().filter(|(name, _)| mapping.roles_claim.contains(name));
    let names = counting.flat_map(|(_, groups)| groups.iter().map(String::as_str));
    union(mapped(mapping, names), [])
}

/// The groups that a claim names, in the shapes that providers send.
///
/// A text is one group, whatever is in it: "former lakehouse-admins" must not grant what "lakehouse-admins" does.
fn named(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        // Zitadel has the roles as names of an object.
        Value::Object(object) => {
            let granted = |value: &Value| match value {
                Value::Bool(granted) => *granted,
                Value::Object(of) => !of.is_empty(),
                Value::Array(of) => !of.is_empty(),
                _ => false,
            };
            let names = object.iter().filter(|(_, value)| granted(value)).map(|(name, _)| name.as_str());
            names.chain(one(value)).collect()
        }
        value => one(value).into_iter().collect(),
    }
}

/// The one group that a text, or an object with a `name`, is.
fn one(value: &Value) -> Option<&str> {
    match value {
        Value::String(group) => Some(group),
        Value::Object(object) => object.get("name")?.as_str(),
        _ => None,
    }
}

/// Leaves those groups in a roles claim that grant something: lists of hundreds do not fit into a cookie.
pub(super) fn prune(mapping: &Mapping, value: &mut Value) {
    let grants = |group: &str| mapping.role_map.contains_key(group);
    match value {
        Value::Array(items) => items.retain(|item| one(item).is_some_and(grants)),
        Value::Object(object) if !object.contains_key("name") => object.retain(|name, _| grants(name)),
        _ => {}
    }
}

/// Why a roles claim grants nothing although it is there, or would be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The claim.
    pub claim: String,
    /// What is wrong and what to do; never a value.
    pub reason: &'static str,
}

/// Entra names the claims in `_claim_names` that did not fit into the token (overage).
const OVERAGE: &str =
    "the provider left the groups out, since they are too many (overage): configure groups, or use app roles";
const GROUPS_LINK: &str = "http://schemas.microsoft.com/claims/groups.link";

/// What keeps these claims from granting anything, for the operator. `None` if a role is granted, or if the user simply is
/// in no group that `role_map` names.
pub fn notice(mapping: &Mapping, claims: &Claims) -> Option<Notice> {
    if !from_claims(mapping, claims).roles.is_empty() {
        return None;
    }
    mapping.roles_claim.iter().find_map(|name| {
        let reason = match claim(claims, name) {
            None if is_left_out(claims, name) => OVERAGE,
            None => return None,
            Some(value) => unreadable(mapping, value)?,
        };
        Some(Notice { claim: name.clone(), reason })
    })
}

/// True if the token says that the groups are elsewhere.
pub fn is_left_out(claims: &Claims, name: &str) -> bool {
    let first = name.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or(name);
    let elsewhere = claims.get("_claim_names").and_then(Value::as_object);
    let has_groups = matches!(claims.get("hasgroups"), Some(Value::Bool(true)))
        || claims.get("hasgroups").and_then(Value::as_str) == Some("true");
    elsewhere.is_some_and(|names| names.contains_key(first)) || has_groups || claims.contains_key(GROUPS_LINK)
}

fn unreadable(mapping: &Mapping, value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) | Value::Number(_) => {
            Some("its shape grants nothing: it is not a text, a list or an object")
        }
        Value::String(text) => {
            let mut parts = text.split([',', ' ', ';']).map(str::trim);
            let is_list = parts.any(|part| mapping.role_map.contains_key(part));
            is_list.then_some("it is one text, which is read as one group: have the provider send a list")
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| one(item).is_none()) => {
            Some("its shape grants nothing: the list has neither texts nor objects with a name")
        }
        Value::Object(object) if !object.is_empty() && named(value).is_empty() => {
            Some("its shape grants nothing: no member of the object is true, an object or a list")
        }
        _ => None,
    }
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
    let all = a.into_iter().chain(b).filter(|role| !role.is_empty() && role.len() <= MAX_ROLE);
    let all: BTreeSet<String> = order::gathered(all);
    all.into_iter().take(MAX_ROLES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::mapping::tests::mapping;
    use serde_json::json;

    fn granting() -> Mapping {
        let role_map = [("admins", "account_admin"), ("a", "member"), ("b", "member")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        Mapping { roles_claim: vec!["groups".into()], role_map, ..mapping() }
    }

    fn roles(mapping: &Mapping, claims: &Value) -> Vec<String> {
        from_claims(mapping, claims.as_object().unwrap()).roles
    }

    #[test]
    fn groups_grant_what_role_map_says_and_nothing_else() {
        for (groups, granted) in [
            (json!("admins"), vec!["account_admin"]),
            (json!(["b", "admins", "a"]), vec!["account_admin", "member"]),
            (json!(["account_admin", "Admins", "admins ", "nobody"]), vec![]),
            (json!([{"value": "admins"}, 1, null, "a"]), vec!["member"]),
            // Objects with a name, mixed with texts.
            (json!([{"name": "admins", "id": 7}, "a"]), vec!["account_admin", "member"]),
            (json!({"name": "admins"}), vec!["account_admin"]),
            (json!([{"name": ["admins"]}, [["admins"]], {"admins": true}]), vec![]),
            // The names of an object.
            (json!({"admins": {"123": "acme.example"}}), vec!["account_admin"]),
            (json!({"admins": true, "a": ["x"]}), vec!["account_admin", "member"]),
            (json!({"admins": false, "a": null, "b": "false"}), vec![]),
            (json!({"admins": {}, "a": [], "b": 0}), vec![]),
            (json!(null), vec![]),
            (json!([]), vec![]),
            (json!(7), vec![]),
        ] {
            assert_eq!(roles(&granting(), &json!({ "groups": groups })), granted, "{groups}");
        }
        let none = Mapping { roles_claim: Vec::new(), ..granting() };
        assert!(roles(&none, &json!({"groups": "admins"})).is_empty());
    }

    #[test]
    fn a_text_is_one_group_whatever_separators_are_in_it() {
        for separator in [",", ", ", " ", ";", "|", "\n", "\t", "/"] {
            for text in [format!("former{separator}admins"), format!("admins{separator}a")] {
                for groups in [json!(text), json!([text]), json!([{ "name": text }]), json!({ &text: true })]
                {
                    let claims = json!({ "groups": groups });
                    assert!(roles(&granting(), &claims).is_empty(), "{claims}");
                }
                let mut whole = granting();
                whole.role_map.insert(text.clone(), "whole".into());
                assert_eq!(roles(&whole, &json!({ "groups": text })), ["whole"]);
            }
        }
    }

    #[test]
    fn several_claims_count_together() {
        let two = Mapping {
            roles_claim: vec!["/realm_access/roles".into(), "/resource_access/app/roles".into()],
            ..granting()
        };
        let claims = json!({
            "realm_access": { "roles": ["a"] }, "resource_access": { "app": { "roles": ["admins"] } }
        });
        assert_eq!(roles(&two, &claims), ["account_admin", "member"]);
        assert_eq!(roles(&two, &json!({ "realm_access": { "roles": ["a"] } })), ["member"]);
    }

    #[test]
    fn groups_are_judged_again_under_another_mapping() {
        let before = from_claims(&granting(), json!({"groups": ["admins", "a", "x"]}).as_object().unwrap());
        assert_eq!(before.groups["groups"], ["a", "admins"]);
        let mut renamed = granting();
        renamed.role_map.remove("admins");
        renamed.role_map.insert("chiefs".into(), "account_admin".into());
        assert_eq!(of_groups(&renamed, &before.groups), ["member"], "another group grants it now");
        let elsewhere = Mapping { roles_claim: vec!["teams".into()], ..granting() };
        assert!(of_groups(&elsewhere, &before.groups).is_empty());
    }

    #[test]
    fn what_is_there_and_grants_nothing_is_told() {
        let told =
            |claims: Value| notice(&granting(), claims.as_object().unwrap()).map(|notice| notice.reason);
        for claims in [
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}),
            json!({"hasgroups": true}),
            json!({"hasgroups": "true"}),
            json!({GROUPS_LINK: ["https://graph.example/x"]}),
        ] {
            assert_eq!(told(claims.clone()), Some(OVERAGE), "{claims}");
        }
        for groups in [
            json!(7),
            json!(true),
            json!("admins,x"),
            json!("x admins"),
            json!([1, {"id": 7}]),
            json!({"admins": "yes"}),
        ] {
            assert!(told(json!({ "groups": groups })).is_some(), "{groups}");
        }
        for claims in [
            json!({}),
            json!({"_claim_names": {"address": "src1"}}),
            json!({"hasgroups": false}),
            json!({"groups": []}),
            json!({"groups": null}),
            json!({"groups": ["nobody"]}),
            json!({"groups": "Domain Users"}),
            json!({"groups": ["admins"], "hasgroups": true}),
        ] {
            assert_eq!(told(claims.clone()), None, "{claims}");
        }
    }

    #[test]
    fn a_union_is_sorted_and_has_each_role_once() {
        let strings = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(union(strings(&["b", "a", ""]), strings(&["a", "c"])), ["a", "b", "c"]);
    }

    #[test]
    fn groups_that_grant_have_one_limit_over_all_claims() {
        let names =
            |from: usize| -> Vec<String> { (from..from + MAX_ROLES).map(|n| format!("g{n}")).collect() };
        let role_map =
            names(0).into_iter().chain(names(MAX_ROLES)).map(|name| (name.clone(), name)).collect();
        let mapping = Mapping { roles_claim: vec!["a".into(), "b".into()], role_map, ..mapping() };
        let granted = |a: Value, b: Value| {
            let groups = from_claims(&mapping, json!({ "a": a, "b": b }).as_object().unwrap()).groups;
            groups.values().map(|names| names.len()).sum::<usize>()
        };
        assert_eq!(granted(json!(names(0)), json!(names(MAX_ROLES))), MAX_ROLES);
        assert_eq!(granted(json!(["g0"]), json!(names(MAX_ROLES))), MAX_ROLES);
        assert_eq!(granted(json!(["g0"]), json!(["g1"])), 2);
    }

    #[test]
    fn a_claim_is_cut_down_to_the_groups_that_grant() {
        for (claim, left) in [
            (json!(["x", "admins", {"name": "a"}, {"name": "x"}, 1]), json!(["admins", {"name": "a"}])),
            (json!({"admins": true, "x": true}), json!({"admins": true})),
            // One group with members of its own.
            (json!({"name": "admins", "id": 7}), json!({"name": "admins", "id": 7})),
            (json!("x"), json!("x")),
        ] {
            let mut value = claim.clone();
            prune(&granting(), &mut value);
            assert_eq!(value, left, "{claim}");
        }
    }

    #[test]
    fn a_claim_that_could_grant_nothing_is_told_and_an_honest_one_is_not() {
        let told = |claim: Value| {
            notice(&granting(), json!({ "groups": claim }).as_object().unwrap()).map(|own| own.reason)
        };
        for silent in
            [json!(null), json!({}), json!({"x": true}), json!([]), json!(["x"]), json!("x y"), json!("x")]
        {
            assert_eq!(told(silent.clone()), None, "{silent}");
        }
        for (claim, reason) in [
            (json!(7), "not a text, a list or an object"),
            (json!("x, admins"), "it is one text"),
            (json!([[1]]), "neither texts nor objects with a name"),
            (json!({"admins": "yes"}), "no member of the object is true"),
        ] {
            assert!(told(claim.clone()).is_some_and(|why| why.contains(reason)), "{claim}");
        }
    }
}
