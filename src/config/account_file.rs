//! An account's part of the file, kept for accounts whose administrators may change it.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::{json, Map, Value};

use super::env::Environment;
use super::raw::SettingsPart;
use super::surroundings::Surroundings;
use crate::values::{json, order};

/// The file of one account, with what its check needs of the rest of the configuration.
#[derive(Debug)]
pub struct AccountFile {
    /// The account itself.
    pub account: Value,
    /// The rest of the configuration, once all of it was checked. All files share it.
    pub(super) surroundings: Rc<OnceCell<Surroundings>>,
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

    /// Of these settings those that `self_service.settings` lists now: the operator may have narrowed it since.
    pub fn allowed(&self, settings: &Value) -> Map<String, Value> {
        let listed = self.account.pointer("/self_service/settings").and_then(Value::as_array);
        let is_listed = |name: &str| listed.is_some_and(|list| list.iter().any(|part| part == name));
        let all = settings.as_object().into_iter().flatten();
        order::gathered(
            all.filter(|(name, _)| is_listed(name)).map(|(name, value)| (name.clone(), value.clone())),
        )
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

/// The files of the accounts that have `self_service`, by their place in the list. Their surroundings come with the check.
pub(super) fn keep(document: &Value, env: &dyn Environment) -> Vec<Option<Rc<AccountFile>>> {
    let accounts = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_kept = |account: &Value| account.get("self_service").is_some_and(|value| !value.is_null());
    let single = accounts.len() == 1;
    let surroundings = Rc::default();
    let file = |account: &Value| {
        is_kept(account).then(|| {
            let mut account = account.clone();
            if single && account.get("code").is_none_or(Value::is_null) {
                json::set(&mut account, "code", "default".into());
            }
            Rc::new(AccountFile { account, surroundings: Rc::clone(&surroundings), lenient: env.lenient() })
        })
    };
    accounts.iter().map(file).collect()
}
