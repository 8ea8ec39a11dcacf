//! From bytes to a [`Config`], or to everything that is wrong with them.

use std::collections::HashSet;
use std::rc::Rc;

use serde_json::Value;

use super::account_file::{self, AccountFile};
use super::env::Environment;
use super::origins::Served;
use super::problems::{At, Problem, Problems};
use super::read::Read;
use super::surroundings::Surroundings;
use super::{
    account, calls, clusters, cookies, document as reading, origins, pages, raw, schema, session, shared,
    Account, Config, Directory,
};

/// Reads and checks a configuration: a JSON object, or the bytes of a `google.protobuf.Struct`.
pub fn load(bytes: &[u8], env: &dyn Environment) -> Result<Config, Vec<Problem>> {
    let problem = |message: String| vec![Problem { path: String::new(), message }];
    let problems = Problems::default();
    let document = reading::read(bytes, &problems.root()).map_err(problem)?;
    let files = account_file::keep(&document, env);
    checked(document, problems, files, env)
}

fn checked(
    mut document: Value,
    problems: Problems,
    files: Vec<Option<Rc<AccountFile>>>,
    env: &dyn Environment,
) -> Result<Config, Vec<Problem>> {
    let problem = |message: String| vec![Problem { path: String::new(), message }];
    schema::check(&mut document, &problems.root());
    let shape = problems.problems.take();
    let mut wrong = Vec::new();
    let raw = raw::Configuration::read(document, &mut wrong);
    if let Some(message) = wrong.into_iter().next() {
        return Err(problem(message));
    }
    let unknown = vec![None; raw.accounts.len()];
    let mut config = configuration(&problems.root(), &raw, &unknown, files, env);
    config.warnings = problems.warnings.into_inner();
    let all = all(shape, problems.problems.into_inner());
    match all.is_empty() {
        true => Ok(config),
        false => Err(all),
    }
}

/// The problems of the shape, and those that were found with what stands in their place.
pub(super) fn all(shape: Vec<Problem>, others: Vec<Problem>) -> Vec<Problem> {
    let mut all = shape;
    for found in others {
        // What was replaced by something neutral has been reported already.
        if !all.iter().any(|known| known.path == found.path) {
            all.push(found);
        }
    }
    all
}

/// What the accounts have in common: no two may have one code, and origins must go together.
fn served<'a>(list: &At<'_>, accounts: &'a [Rc<Account>]) -> Served<'a> {
    let mut codes = HashSet::with_capacity(accounts.len());
    let mut served = Served::of(accounts.len());
    for (i, account) in accounts.iter().enumerate() {
        if !codes.insert(account.code.as_str()) {
            let at = list.index(i).field("code");
            at.problem(format!("{:?} is another account's already", account.code));
        }
        served.add(&|| list.index(i), account);
    }
    served
}

/// Checks what was read. `known`: the accounts in their order, those that were checked before; `raw` holds the others.
pub(super) fn configuration(
    at: &At<'_>,
    raw: &raw::Configuration,
    known: &[Option<Rc<Account>>],
    files: Vec<Option<Rc<AccountFile>>>,
    env: &dyn Environment,
) -> Config {
    if known.is_empty() {
        at.field("accounts").problem("is empty: at least one account is needed");
    }
    let mut accounts = Vec::with_capacity(known.len());
    let mut written = raw.accounts.iter();
    let list = at.field("accounts");
    for (i, known_account) in known.iter().enumerate() {
        let account = match known_account {
            Some(account) => account.clone(),
            None => {
                let at = list.index(i);
                let Some(account) = written.next() else { break };
                let code = match &account.code {
                    Some(code) => code.clone(),
                    None if known.len() == 1 => "default".into(),
                    None => {
                        at.field("code").problem("is missing: needed where there are several accounts");
                        format!("account-{i}")
                    }
                };
                Rc::new(account::check(&at, account, code, files.get(i).cloned().flatten(), env))
            }
        };
        accounts.push(account);
    }
    let served = served(&list, &accounts);
    let cookies = cookies::check(&at.field("cookies"), &raw.cookies);
    origins::secure_cookies(&at.field("cookies"), &accounts, &cookies);
    let mut clusters = clusters::check(&at.field("clusters"), &raw.clusters);
    for account in &accounts {
        if let Directory::Scim(scim) = &account.directory {
            clusters.keep_apart(&scim.url);
        }
    }
    let is_shared = raw.shared.is_some();
    let mut unreached = HashSet::new();
    let mut written = raw.accounts.iter();
    let concerns_known = known.iter().any(Option::is_some) && served.concerns_known();
    for (i, (account, known)) in accounts.iter().zip(known).enumerate() {
        let is_known = known.is_some();
        if is_known && !concerns_known {
            continue;
        }
        let at = list.index(i);
        served.check(&at, account);
        if is_known {
            continue;
        }
        if account.self_service.is_some() && !is_shared {
            at.field("self_service").problem("needs shared: settings and invitations are kept in the engine");
        }
        let origins = written.next().map(|raw| raw.origins.as_slice()).unwrap_or_default();
        origins::keep_cookies(&at, account, origins, &cookies);
        calls::check(&at, account, &clusters, &mut unreached);
    }
    let clusters = Rc::new(clusters);
    if let Some(file) = files.iter().flatten().next() {
        let _ = file.surroundings.set(Surroundings::new(clusters.clone(), cookies.clone(), &served));
    }
    Config {
        session: session::check(&at.field("session"), &raw.session, raw.shared.is_some(), env),
        cookies,
        shared: raw.shared.as_ref().map(|raw| shared::check(&at.field("shared"), raw)),
        clusters,
        accounts,
        pages: pages::check(&at.field("pages"), &raw.pages),
        warnings: Vec::new(),
    }
}
