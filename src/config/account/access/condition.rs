//! The conditions of a rule.

use std::rc::Rc;

use crate::access::condition::ClaimCondition;
use crate::access::Condition;
use crate::config::names;
use crate::config::problems::At;
use crate::config::provider::Provider;
use crate::config::raw;
use crate::config::raw::OneOrMany;

/// How a session is opened.
const METHODS: [&str; 3] = ["sso", "password", "bearer"];

/// Checks them.
pub(super) fn check(at: &At<'_>, raw: &[raw::Condition], providers: &[Rc<Provider>]) -> Vec<Condition> {
    raw.iter().enumerate().filter_map(|(i, raw)| one(&at.index(i), raw, providers)).collect()
}

fn one(at: &At<'_>, raw: &raw::Condition, providers: &[Rc<Provider>]) -> Option<Condition> {
    let list = |list: &Option<OneOrMany>| list.as_ref().map(|list| list.0.clone());
    let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let all = [
        raw.claim.as_ref().map(|claim| {
            filled(&at.field("in"), &raw.r#in);
            Condition::Claim(ClaimCondition::new(claim.clone(), raw.r#in.clone()))
        }),
        given(&raw.email_domain)
            .map(|domains| Condition::EmailDomain(names::domains(&at.field("email_domain"), &domains))),
        given(&raw.user).map(|users| {
            filled(&at.field("user"), &users);
            Condition::User(users)
        }),
        list(&raw.idp).map(|ids| {
            let known = |id: &str| providers.iter().any(|provider| provider.id == id);
            among(&at.field("idp"), &ids, known, "the id of one of the account's identity_providers");
            Condition::Idp(ids)
        }),
        list(&raw.amr).map(|values| {
            filled(&at.field("amr"), &values);
            Condition::Amr(values)
        }),
        list(&raw.method).map(|methods| {
            among(
                &at.field("method"),
                &methods,
                |method| METHODS.contains(&method),
                "sso, password or bearer",
            );
            Condition::Method(methods)
        }),
    ];
    if raw.claim.is_none() && !raw.r#in.is_empty() {
        at.field("in").problem("goes with claim only");
    }
    if raw.claim.as_ref().is_some_and(String::is_empty) {
        at.field("claim").problem("expected a claim or a JSON Pointer");
    }
    let mut set = all.into_iter().flatten();
    match (set.next(), set.next()) {
        (Some(condition), None) => Some(condition),
        _ => {
            at.problem("expected exactly one of claim (with in), email_domain, user, idp, amr and method");
            None
        }
    }
}

fn filled(at: &At<'_>, list: &[String]) {
    if list.is_empty() || list.iter().any(String::is_empty) {
        at.problem("expected at least one value, and none that is empty");
    }
}

fn among(at: &At<'_>, list: &[String], known: impl Fn(&str) -> bool, expected: &str) {
    filled(at, list);
    for text in list.iter().filter(|text| !text.is_empty() && !known(text)) {
        at.problem(format!("expected {expected}, found {text:?}"));
    }
}
