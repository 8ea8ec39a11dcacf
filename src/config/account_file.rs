//! An account's part of the file, kept for accounts whose administrators may change it.

use std::rc::Rc;

use serde_json::{json, Map, Value};

use super::env::Environment;
use super::raw::SettingsPart;
use crate::values::json;

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
    let mut common = document.clone();
    if let Some(common) = common.as_object_mut() {
        common.remove("accounts");
    }
    let common = Rc::new(common);
    let single = accounts.len() == 1;
    let shares = |one: &Value, other: &Value| {
        let origins = |account: &Value| -> Vec<Value> {
            let list = account.get("origins").and_then(Value::as_array).cloned().unwrap_or_default();
            list.into_iter().chain(account.get("login_origin").cloned()).collect()
        };
        let theirs = origins(other);
        origins(one).iter().any(|origin| theirs.contains(origin))
    };
    let file = |(i, account): (usize, &Value)| {
        is_kept(account).then(|| {
            let beside = accounts.iter().enumerate().filter(|(j, other)| *j != i && shares(account, other));
            let mut account = account.clone();
            if single && account.get("code").is_none_or(Value::is_null) {
                json::set(&mut account, "code", "default".into());
            }
            Rc::new(AccountFile {
                account,
                common: common.clone(),
                others: beside.map(|(_, other)| Rc::new(other.clone())).collect(),
                lenient: env.lenient(),
            })
        })
    };
    accounts.iter().enumerate().map(file).collect()
}
