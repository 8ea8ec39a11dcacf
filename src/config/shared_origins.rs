//! Accounts that share an origin: what comes back from a provider must say whose it is.

use std::rc::Rc;

use super::problems::At;
use super::{Account, Endpoint, Protocol};

/// A request without a session is asked for the account, and an account that is off opens no session.
pub(super) fn left_out(at: &At<'_>, served: &[Rc<Account>]) {
    if let Some(other) = served.iter().find(|other| other.enabled) {
        at.field("sso").warning(format!(
            "no user of it gets past the sign-in of account {:?}: it needs an origin of its own",
            other.code
        ));
    }
}

/// Refuses a callback that no answer could come back to: it belongs to several accounts, or its `u` to another.
/// `served`: the accounts of one of the account's origins, itself among them.
pub(super) fn check(at: &At<'_>, account: &Rc<Account>, served: &[Rc<Account>]) {
    let is_saml = |protocol: &Protocol| matches!(protocol, Protocol::Saml(_));
    for (endpoint, name, saml) in
        [(Endpoint::OidcCallback, "oidc_callback", false), (Endpoint::SamlCallback, "saml_callback", true)]
    {
        if !account.providers.iter().any(|provider| is_saml(&provider.protocol) == saml) {
            continue;
        }
        let registered = match saml {
            true => account.paths.registered(endpoint),
            false => account.paths.callback(first_with_code(account)),
        };
        let (path, query) = registered.split_once('?').unwrap_or((&registered, ""));
        let mut codes = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "u");
        let at = at.field("paths").field(name);
        match (codes.next(), codes.next()) {
            (Some((_, code)), None) if code == account.code => {}
            (Some(_), _) => at.problem("expected {code} as the value of u, once: it names the account"),
            (None, _) => {
                let other = |other: &&Rc<Account>| {
                    !Rc::ptr_eq(other, account) && other.paths.endpoint(path).is_some()
                };
                if let Some(other) = served.iter().find(other) {
                    at.problem(format!(
                        "is a path of account {:?} too, at the same origin: write {{code}} into it, as {path}?u={{code}}",
                        other.code
                    ));
                }
            }
        }
    }
}

/// The callbacks of several providers differ in the provider's id alone: one stands for all.
fn first_with_code(account: &Account) -> &str {
    let mut providers = account.providers.iter();
    let first = providers.find(|provider| !matches!(provider.protocol, Protocol::Saml(_)));
    first.map_or("", |provider| provider.id.as_str())
}
