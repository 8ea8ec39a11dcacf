//! What administrators set, laid over their account's file and checked by the very code that checks a file.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::account_file::AccountFile;
use super::env::{Environment, Placeholders, ProcessEnvironment};
use super::{check, Account, Bounds, Problem, Protocol};
use crate::host::clusters::Clusters;
use crate::values::json;

/// The account with these settings laid over the file's, or everything that is wrong with them. Paths are those of the
/// settings.
pub fn with_settings(file: &Rc<AccountFile>, settings: &Value) -> Result<Rc<Account>, Vec<Problem>> {
    let mut account = file.account.clone();
    for (name, value) in settings.as_object().into_iter().flatten() {
        if name == "password" {
            let mut password = account.get("password").cloned().unwrap_or_else(|| Map::new().into());
            if let Some(mode) = value.get("mode") {
                json::set(&mut password, "mode", mode.clone());
            }
            json::set(&mut account, "password", password);
        } else {
            json::set(&mut account, name, value.clone());
        }
    }
    let mut document = (*file.common).clone();
    let others = file.others.iter().map(|other| (**other).clone());
    json::set(&mut document, "accounts", std::iter::once(account).chain(others).collect());
    let env: &dyn Environment = match file.lenient {
        true => &Placeholders,
        false => &ProcessEnvironment,
    };
    let mut config = check::document(document, env).map_err(relative)?;
    let gone = || vec![Problem { path: String::new(), message: "the account is gone".into() }];
    let mut account =
        (!config.accounts.is_empty()).then(|| config.accounts.swap_remove(0)).ok_or_else(gone)?;
    let own = Rc::get_mut(&mut account).ok_or_else(gone)?;
    hold(own, file, settings, &config.clusters).ok_or_else(gone)?;
    // The next change starts from the file again.
    own.file = Some(file.clone());
    Ok(account)
}

/// Holds the providers that administrators named to the fence, with every document that they publish. What the file has
/// just like that is the operator's.
fn hold(account: &mut Account, file: &AccountFile, settings: &Value, clusters: &Rc<Clusters>) -> Option<()> {
    let Some(hosts) = account.self_service.as_ref().map(|own| own.hosts.clone()) else { return Some(()) };
    let list = |account: &Value| account.get("identity_providers").and_then(Value::as_array).cloned();
    let (named, of_the_file) = (list(settings).unwrap_or_default(), list(&file.account).unwrap_or_default());
    for (provider, named) in account.providers.iter_mut().zip(&named) {
        if of_the_file.contains(named) {
            continue;
        }
        let bounds = Some(Bounds { hosts: hosts.clone(), clusters: clusters.clone() });
        let provider = Rc::get_mut(provider)?;
        match &mut provider.protocol {
            Protocol::Oidc(oidc) => oidc.bounds = bounds,
            Protocol::Saml(saml) => saml.bounds = bounds,
            // It has no document.
            Protocol::OAuth2(_) => {}
        }
    }
    Some(())
}

/// Paths of the account's own settings, without the account.
fn relative(problems: Vec<Problem>) -> Vec<Problem> {
    let own =
        |path: &str| path.strip_prefix("accounts[0]").map(|rest| rest.trim_start_matches('.').to_owned());
    let relative = |problem: Problem| Problem { path: own(&problem.path).unwrap_or(problem.path), ..problem };
    problems.into_iter().map(relative).collect()
}
