//! Who may ask for what.

use super::plain_path;
use std::rc::Rc;

use crate::access::{AccessRule, Admission, Match, Resource};
use crate::config::duration;
use crate::config::names::is_token;
use crate::config::problems::At;
use crate::config::raw::{self, Allow};

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &[raw::AccessRule]) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    for (i, rule) in raw.iter().enumerate() {
        let at = at.index(i);
        let matches = match (&rule.path, &rule.prefix) {
            (Some(path), None) => {
                plain_path(&at.field("path"), path);
                Match::Path(path.clone())
            }
            (None, Some(prefix)) => {
                plain_path(&at.field("prefix"), prefix);
                Match::Prefix(prefix.clone())
            }
            _ => {
                at.problem("expected exactly one of path and prefix");
                continue;
            }
        };
        let Some(allow) = rule.allow else {
            at.field("allow").problem("is missing: anyone, users or programs");
            continue;
        };
        let users_only = !rule.roles.is_empty()
            || !rule.acr_values.is_empty()
            || rule.max_age.is_some()
            || rule.resource.is_some();
        if allow != Allow::Users && users_only {
            at.problem("roles, acr_values, max_age and resource go with allow: users only");
        }
        for acr in rule.acr_values.iter().filter(|acr| !is_token(acr)) {
            at.field("acr_values")
                .problem(format!("{acr:?} is no acr: visible ASCII without spaces and quotes"));
        }
        let admission = match allow {
            Allow::Anyone => Admission::Anyone,
            Allow::Programs => Admission::Programs,
            Allow::Users => Admission::Users {
                roles: rule.roles.clone(),
                acr_values: rule.acr_values.clone(),
                max_age: rule
                    .max_age
                    .as_ref()
                    .map(|_| duration::field(&at, "max_age", &rule.max_age, 0, (1_000, 31_536_000_000))),
                resource: rule.resource.as_ref().map(|raw| resource(&at.field("resource"), raw, &matches)),
            },
        };
        let rule = AccessRule { matches, admission };
        if let Some(earlier) = rules.iter().position(|earlier| covers(earlier, &rule)) {
            at.warning(format!("is never reached: access[{earlier}] comes first for all of its paths"));
        }
        rules.push(rule);
    }
    rules
}

fn resource(at: &At<'_>, raw: &raw::Resource, matches: &Match) -> Rc<Resource> {
    for scope in raw.scopes.iter().filter(|scope| !is_token(scope)) {
        at.field("scopes")
            .problem(format!("{scope:?} is not a scope: visible ASCII without spaces and quotes"));
    }
    Rc::new(Resource {
        path: Resource::path_of(matches),
        name: raw.name.clone(),
        scopes: raw.scopes.clone(),
        client_id: raw.client_id.clone(),
    })
}

/// Whether the earlier rule is the first for every path of the later one. One with capitals and demands of its own is
/// meant in any case, beside the first rule (`surface::demand`).
fn covers(earlier: &AccessRule, later: &AccessRule) -> bool {
    let (Match::Path(path) | Match::Prefix(path)) = &later.matches;
    let all = match &earlier.matches {
        Match::Prefix(prefix) => path.starts_with(prefix),
        own @ Match::Path(_) => *own == later.matches,
    };
    all && !(later.admission.is_demanding() && path.bytes().any(|byte| byte.is_ascii_uppercase()))
}
