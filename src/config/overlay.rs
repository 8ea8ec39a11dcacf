//! What administrators set, laid over their account's file and checked by the very code that checks a file.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::account_file::AccountFile;
use super::env::{Environment, Placeholders, ProcessEnvironment};
use super::{check, Account, Problem};
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
    // The next change starts from the file again.
    Rc::get_mut(&mut account).ok_or_else(gone)?.file = Some(file.clone());
    Ok(account)
}

/// Paths of the account's own settings, without the account.
fn relative(problems: Vec<Problem>) -> Vec<Problem> {
    let own =
        |path: &str| path.strip_prefix("accounts[0]").map(|rest| rest.trim_start_matches('.').to_owned());
    let relative = |problem: Problem| Problem { path: own(&problem.path).unwrap_or(problem.path), ..problem };
    problems.into_iter().map(relative).collect()
}
