//! Which bearer tokens count.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::problems::At;
use crate::config::{raw, Protocol, Provider};

/// Bearer tokens that count as a session.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// Audiences that mean this application.
    pub audiences: Vec<String>,
    /// Ids of the providers whose tokens count.
    pub providers: Vec<String>,
    /// Other issuers by provider id.
    pub issuers: BTreeMap<String, String>,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &raw::Bearer, providers: &[Rc<Provider>]) -> Bearer {
    if raw.audiences.is_empty() {
        at.field("audiences").problem("is empty: a token for any audience would count");
    }
    // Only an OpenID provider has keys that its tokens are verified with.
    let is_openid =
        |id: &String| providers.iter().any(|p| p.id == *id && matches!(p.protocol, Protocol::Oidc(_)));
    for (i, id) in raw.providers.iter().enumerate() {
        let at = at.field("providers").index(i);
        if !providers.iter().any(|p| p.id == *id) {
            at.problem(format!("no identity provider has the id {id:?}"));
        } else if !is_openid(id) {
            at.problem(format!("{id:?} is no oidc provider: there are no keys to verify its tokens with"));
        }
    }
    let ids: Vec<String> = match raw.providers.is_empty() {
        true => providers.iter().map(|p| p.id.clone()).filter(is_openid).collect(),
        false => raw.providers.clone(),
    };
    if ids.is_empty() {
        at.problem("needs an oidc provider: there are no keys to verify tokens with");
    }
    for id in raw.issuers.keys().filter(|id| !ids.contains(*id)) {
        at.field("issuers").field(id).problem("is none of the providers whose tokens count");
    }
    Bearer { audiences: raw.audiences.clone(), providers: ids, issuers: raw.issuers.clone() }
}
