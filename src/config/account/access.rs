//! Who may ask for what.

mod condition;

use std::rc::Rc;

use super::plain_path;
use super::provider::Provider;
use crate::access::{self, AccessRule, Admission, Match, Resource, When};
use crate::config::duration;
use crate::config::names::is_token;
use crate::config::problems::At;
use crate::config::raw::{self, Allow};

/// Each has a verdict of some 12 bytes in the session's cookie.
const MAX_ON_CLAIMS: usize = 64;

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &[raw::AccessRule], providers: &[Rc<Provider>]) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    let mut slots = 0..;
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
            at.field("allow").problem("is missing: anyone, optional, users or programs");
            continue;
        };
        let users_only = !rule.roles.is_empty()
            || !rule.acr_values.is_empty()
            || !rule.when.is_empty()
            || rule.max_age.is_some()
            || rule.resource.is_some();
        if allow != Allow::Users && users_only {
            at.problem("roles, acr_values, max_age, resource and when go with allow: users only");
        }
        for acr in rule.acr_values.iter().filter(|acr| !is_token(acr)) {
            at.field("acr_values")
                .problem(format!("{acr:?} is not an acr: visible ASCII without spaces and quotes"));
        }
        let conditions = condition::check(&at.field("when"), &rule.when, providers);
        let admission = match allow {
            Allow::Anyone => Admission::Anyone,
            Allow::Optional => Admission::Optional,
            Allow::Programs => Admission::Programs,
            Allow::Users => Admission::Users {
                roles: rule.roles.clone(),
                acr_values: rule.acr_values.clone(),
                max_age: rule
                    .max_age
                    .as_ref()
                    .map(|_| duration::field(&at, "max_age", &rule.max_age, 0, (1_000, 31_536_000_000))),
                resource: rule.resource.as_ref().map(|raw| resource(&at.field("resource"), raw, &matches)),
                when: (!conditions.is_empty())
                    .then(|| When { slot: slots.next().unwrap_or_default(), conditions }),
            },
        };
        let methods = methods(&at.field("methods"), &rule.methods);
        let rule = AccessRule { matches, methods, admission };
        if let Some(earlier) = rules.iter().position(|earlier| covers(earlier, &rule)) {
            at.warning(format!("is never reached: access[{earlier}] comes first for all of its paths"));
        }
        rules.push(rule);
    }
    let on_claims = access::condition::on_claims(&rules).count();
    if on_claims > MAX_ON_CLAIMS {
        at.problem(format!(
            "has {on_claims} conditions on claims: a session keeps {MAX_ON_CLAIMS} at the most"
        ));
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

/// Methods as requests have them.
fn methods(at: &At<'_>, raw: &[String]) -> Vec<String> {
    for (i, method) in raw.iter().enumerate() {
        let good = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if method.is_empty() || !method.bytes().all(good) {
            at.index(i).problem(format!("expected a method in capitals such as GET, found {method:?}"));
        }
    }
    raw.to_vec()
}

/// Whether the earlier rule is the first for every request of the later one. One with capitals and demands of its own is
/// meant in any case, beside the first rule (`access::demand`).
fn covers(earlier: &AccessRule, later: &AccessRule) -> bool {
    let (Match::Path(path) | Match::Prefix(path)) = &later.matches;
    let all = match &earlier.matches {
        Match::Prefix(prefix) => path.starts_with(prefix),
        own @ Match::Path(_) => *own == later.matches,
    };
    let every_method = earlier.methods.is_empty()
        || earlier.admission.is_demanding()
        || !later.methods.is_empty() && later.methods.iter().all(|method| earlier.methods.contains(method));
    all && every_method
        && !(later.admission.is_demanding() && path.bytes().any(|byte| byte.is_ascii_uppercase()))
}
