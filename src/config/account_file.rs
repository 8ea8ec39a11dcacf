//! An account's part of the file, kept for accounts whose administrators may change it.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{json, Map, Value};

use super::env::Environment;
use super::raw::SettingsPart;
use crate::values::{json, order};

/// The file of one account, and what of the rest of the configuration its check needs.
#[derive(Debug)]
pub struct AccountFile {
    /// The account itself.
    pub account: Value,
    /// The configuration without accounts.
    pub(super) common: Rc<Value>,
    /// The other accounts that are served at one of its origins, and must go together with it.
    pub(super) others: Vec<Rc<Value>>,
    /// Variables that are missing are no problem: `envoy-sso check`, tests.
    pub(super) lenient: bool,
}

impl AccountFile {
    /// True unless the file itself turns passwords off: by `mode`, or by single sign-on without a mode.
    pub fn lets_passwords(&self) -> bool {
        let text = |path| self.account.pointer(path).and_then(Value::as_str);
        match text("/password/mode") {
            Some(mode) => mode != "disabled",
            None => text("/sso") != Some("enabled"),
        }
    }

    /// The settings that the file has, as version 0.
    pub fn settings(&self, parts: &[SettingsPart]) -> Value {
        let mut settings = Map::new();
        for part in parts {
            let value = match part {
                SettingsPart::Sso => self.account.get("sso").cloned().unwrap_or_else(|| json!("disabled")),
                SettingsPart::IdentityProviders => {
                    self.account.get("identity_providers").cloned().unwrap_or_else(|| json!([]))
                }
                SettingsPart::Mapping => self.account.get("mapping").cloned().unwrap_or_else(|| json!({})),
                SettingsPart::Password => {
                    let mode = self.account.pointer("/password/mode").cloned();
                    json!({ "mode": mode.unwrap_or_else(|| json!("disabled")) })
                }
                SettingsPart::Invitations => continue,
            };
            settings.insert(part.as_str().to_owned(), value);
        }
        Value::Object(settings)
    }
}

/// The files of the accounts that have `self_service`, by their place in the list.
pub(super) fn keep(document: &Value, env: &dyn Environment) -> Vec<Option<Rc<AccountFile>>> {
    let accounts = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_kept = |account: &Value| account.get("self_service").is_some_and(|value| !value.is_null());
    if !accounts.iter().any(is_kept) {
        return accounts.iter().map(|_| None).collect();
    }
    let beside = document.as_object().into_iter().flatten().filter(|(name, _)| *name != "accounts");
    let common: Map<String, Value> = beside.map(|(name, value)| (name.clone(), value.clone())).collect();
    let common = Rc::new(Value::Object(common));
    let single = accounts.len() == 1;
    let mut served: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, account) in accounts.iter().enumerate() {
        origins(account).for_each(|origin| served.entry(origin).or_default().push(i));
    }
    // An account beside several has one copy for all of them.
    let mut copies: HashMap<usize, Rc<Value>> = HashMap::new();
    let mut copy =
        |i: usize, account: &Value| copies.entry(i).or_insert_with(|| Rc::new(account.clone())).clone();
    let mut file = |(i, account): (usize, &Value)| {
        is_kept(account).then(|| {
            let mut beside: Vec<usize> =
                origins(account).filter_map(|origin| served.get(origin)).flatten().copied().collect();
            order::sort(&mut beside);
            beside.dedup();
            let others = beside.into_iter().filter(|j| *j != i);
            let others = others.filter_map(|j| Some(copy(j, accounts.get(j)?))).collect();
            let mut account = account.clone();
            if single && account.get("code").is_none_or(Value::is_null) {
                json::set(&mut account, "code", "default".into());
            }
            Rc::new(AccountFile { account, common: common.clone(), others, lenient: env.lenient() })
        })
    };
    accounts.iter().enumerate().map(&mut file).collect()
}

/// Where an account is served, as it is written.
fn origins(account: &Value) -> impl Iterator<Item = &str> {
    let list = account.get("origins").and_then(Value::as_array).into_iter().flatten();
    list.chain(account.get("login_origin")).filter_map(Value::as_str)
}
