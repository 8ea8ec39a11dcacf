//! What administrators set, laid over their account's file and checked by the very code that checks a file.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::account_file::AccountFile;
use super::env::{Environment, Placeholders, ProcessEnvironment};
use super::problems::Problems;
use super::read::Read;
use super::{account, check, raw, schema, Account, Bounds, Problem, Protocol};
use crate::host::clusters::Clusters;
use crate::values::json;

/// The account with these settings laid over the file's, or everything that is wrong with them. Paths are those of the
/// settings. What else the configuration has is not read again: settings do not change it.
pub fn with_settings(file: &Rc<AccountFile>, settings: &Value) -> Result<Rc<Account>, Vec<Problem>> {
    let whole = |message: &str| vec![Problem { path: String::new(), message: message.to_owned() }];
    let surroundings = file.surroundings.get().ok_or_else(|| whole("the file was not checked"))?;
    let env: &dyn Environment = match file.lenient {
        true => &Placeholders,
        false => &ProcessEnvironment,
    };
    let mut document = laid_over(file, settings);
    let problems = Problems::default();
    let at = problems.root();
    schema::check_account(&mut document, &at);
    let shape = problems.problems.take();
    let mut wrong = Vec::new();
    let raw = raw::Account::read(document, &mut wrong);
    if let Some(message) = wrong.first() {
        return Err(whole(message));
    }
    let code = raw.code.clone().unwrap_or_default();
    // The next change starts from the file again.
    let mut account = account::check(&at, &raw, code, Some(file.clone()), env);
    surroundings.check(&at, &account, &raw.origins);
    let all = check::all(shape, problems.problems.into_inner());
    if !all.is_empty() {
        return Err(all);
    }
    hold(&mut account, file, settings, &surroundings.clusters).ok_or_else(|| whole("the account is gone"))?;
    Ok(Rc::new(account))
}

fn laid_over(file: &AccountFile, settings: &Value) -> Value {
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
    account
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

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
