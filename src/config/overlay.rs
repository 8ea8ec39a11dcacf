//! What administrators set, laid over their account's file and checked by the very code that checks a file.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::account_file::AccountFile;
use super::env::{Environment, Placeholders, ProcessEnvironment};
use super::problems::Problems;
use super::read::Read;
use super::{account, check, fenced, raw, schema, Account, Bounds, Problem, Protocol, SettingsPart};
use crate::values::json;

/// The account with these settings laid over the file's, or everything that is wrong with them. Paths are those of the
/// settings. What else the configuration has is not read again: settings do not change it.
pub fn with_settings(file: &Rc<AccountFile>, settings: &Value) -> Result<Rc<Account>, Vec<Problem>> {
    let (mut account, found) = read(file, settings)?;
    let mut all: Vec<Problem> = hold(&mut account, file, settings);
    // What is outside is not refused twice.
    let outside: Vec<String> = all.iter().map(|problem| problem.path.clone()).collect();
    all.extend(found.into_iter().filter(|one| !outside.iter().any(|path| one.path.starts_with(path))));
    match all.is_empty() {
        true => Ok(Rc::new(account)),
        false => Err(all),
    }
}

/// As [`with_settings`], for settings that were enabled before. The operator may have narrowed the fence since: such a
/// provider is left out, and the problems say why.
pub fn held_settings(
    file: &Rc<AccountFile>,
    settings: &Value,
) -> Result<(Rc<Account>, Vec<Problem>), Vec<Problem>> {
    let (mut account, found) = read(file, settings)?;
    if !found.is_empty() {
        return Err(found);
    }
    let outside = hold(&mut account, file, settings);
    Ok((Rc::new(account), outside))
}

/// The account, and what is wrong with it but for the fence.
fn read(file: &Rc<AccountFile>, settings: &Value) -> Result<(Account, Vec<Problem>), Vec<Problem>> {
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
    let account = account::check(&at, &raw, code, Some(file.clone()), env);
    surroundings.check(&at, &account, &raw.origins);
    Ok((account, check::all(shape, problems.problems.into_inner())))
}

/// What the operator does not let administrators set is the file's, also where they have set it before.
fn laid_over(file: &AccountFile, settings: &Value) -> Value {
    let mut account = file.account.clone();
    for (name, value) in file.allowed(settings) {
        if name == "password" {
            let mut password = account.get("password").cloned().unwrap_or_else(|| Map::new().into());
            if let Some(mode) = value.get("mode") {
                json::set(&mut password, "mode", mode.clone());
            }
            json::set(&mut account, "password", password);
        } else {
            json::set(&mut account, &name, value);
        }
    }
    account
}

/// Holds the providers that administrators named to the fence, with every document that they publish. What the file has
/// just like that is the operator's. Those that are outside are left out; this is why.
fn hold(account: &mut Account, file: &AccountFile, settings: &Value) -> Vec<Problem> {
    let (Some(own), Some(surroundings)) = (&account.self_service, file.surroundings.get()) else {
        return Vec::new();
    };
    if !own.allows(SettingsPart::IdentityProviders) {
        return Vec::new();
    }
    let bounds = Bounds { hosts: own.hosts.clone(), clusters: surroundings.clusters.clone() };
    let list = |account: &Value| account.get("identity_providers").and_then(Value::as_array).cloned();
    let (named, of_the_file) = (list(settings).unwrap_or_default(), list(&file.account).unwrap_or_default());
    let mut problems = Vec::new();
    for (i, named) in named.iter().enumerate().filter(|(_, named)| !of_the_file.contains(named)) {
        let path = format!("identity_providers[{i}]");
        let id = named.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut found = fenced::outside(named, &path, &bounds);
        let own = account.providers.iter_mut().find(|provider| provider.id == id);
        match own.map(|provider| Rc::get_mut(provider).map(|own| &mut own.protocol)) {
            Some(Some(Protocol::Oidc(oidc))) => oidc.bounds = Some(bounds.clone()),
            Some(Some(Protocol::Saml(saml))) => saml.bounds = Some(bounds.clone()),
            // Neither has a document: the other one is none that can be used.
            Some(Some(Protocol::OAuth2(_))) | None => {}
            Some(None) => {
                found.push(Problem { path, message: "cannot be held to self_service.hosts".into() })
            }
        }
        if !found.is_empty() {
            account.providers.retain(|provider| provider.id != id);
        }
        problems.extend(found);
    }
    problems
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
