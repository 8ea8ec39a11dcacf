//! From what an administrator sent to settings that could be enabled, or to every problem of it, each with its path.

use std::rc::Rc;

use serde_json::Value;

use super::secrets;
use crate::config::{self, Account, AccountFile, Problem, SelfService, SettingsPart};
use crate::values::json;

/// What a proposal is judged by.
pub struct Terms<'a> {
    /// The file's account.
    pub file: &'a Rc<AccountFile>,
    /// What administrators may set.
    pub allowed: &'a SelfService,
    /// The settings that hold.
    pub active: &'a Value,
    /// The draft, if there is one: its secrets may stay too.
    pub draft: Option<&'a Value>,
    /// The roles of the administrator at the keyboard.
    pub own_roles: &'a [String],
}

/// Settings that could be enabled.
#[derive(Debug)]
pub struct Proposal {
    /// Complete, with their secrets: what was not sent is as it holds.
    pub settings: Value,
    /// The account that they make.
    pub account: Rc<Account>,
}

/// Reads and checks a proposal.
pub fn read(body: &Value, terms: &Terms<'_>) -> Result<Proposal, Vec<Problem>> {
    let Some(sent) = body.as_object() else {
        return Err(vec![problem("", "expected an object with the settings")]);
    };
    let mut problems = Vec::new();
    let mut settings = terms.active.clone();
    for (name, value) in sent {
        match part(name) {
            Some(part) if terms.allowed.allows(part) && part != SettingsPart::Invitations => {
                if part == SettingsPart::Password {
                    only_the_mode(value, &mut problems);
                }
                json::set(&mut settings, name, value.clone());
            }
            _ => problems
                .push(problem(name, "is not a setting that administrators of this account may change")),
        }
    }
    let before: Vec<&Value> = terms.draft.into_iter().chain([terms.active]).collect();
    if sent.contains_key("identity_providers") {
        secrets::keep(&mut settings, &before, &mut problems);
    }
    if sent.contains_key("mapping") {
        only_roles_of_ones_own(&settings, terms, &mut problems);
    }
    match config::with_settings(terms.file, &settings) {
        Ok(account) if problems.is_empty() => Ok(Proposal { settings, account }),
        Ok(_) => Err(problems),
        Err(found) => {
            // What was refused already is not refused twice.
            let is_new = |one: &Problem| !problems.iter().any(|known| one.path.starts_with(&known.path));
            let new: Vec<Problem> = found.into_iter().filter(is_new).collect();
            problems.extend(new);
            Err(problems)
        }
    }
}

fn part(name: &str) -> Option<SettingsPart> {
    use SettingsPart::*;
    [Sso, IdentityProviders, Mapping, Password].into_iter().find(|part| part.as_str() == name)
}

fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem { path: path.to_owned(), message: message.into() }
}

/// Logins, attempts and administrators are the operator's.
fn only_the_mode(value: &Value, problems: &mut Vec<Problem>) {
    match value.as_object() {
        Some(map) => {
            for name in map.keys().filter(|name| *name != "mode") {
                let text = "is not a setting that administrators of this account may change";
                problems.push(problem(&format!("password.{name}"), text));
            }
            if !map.contains_key("mode") {
                problems.push(problem("password.mode", "is missing: enabled, admins or disabled"));
            }
        }
        None => problems.push(problem("password", "expected an object with mode")),
    }
}

/// An administrator grants what the file grants already, what he has himself, and what the operator lists.
fn only_roles_of_ones_own(settings: &Value, terms: &Terms<'_>, problems: &mut Vec<Problem>) {
    let of = |mapping: Option<&Value>| {
        mapping.and_then(|m| m.get("role_map")?.as_object()).cloned().unwrap_or_default()
    };
    let granted: Vec<Value> =
        of(terms.file.account.get("mapping")).into_iter().map(|(_, role)| role).collect();
    for (group, role) in of(settings.get("mapping")) {
        let Some(text) = role.as_str() else { continue };
        if !granted.contains(&role) && !may_grant(text, terms.own_roles, terms.allowed) {
            let message = format!("you cannot grant the role {text:?}: you do not have it yourself");
            problems.push(problem(&format!("mapping.role_map.{group}"), message));
        }
    }
}

/// True where this administrator may give a role to others.
pub fn may_grant(role: &str, own_roles: &[String], allowed: &SelfService) -> bool {
    own_roles.iter().chain(&allowed.roles).any(|own| own == role)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Placeholders;

    fn config(change: impl FnOnce(&mut Value)) -> config::Config {
        let mut account = json!({
            "origins": ["https://app.example.com"], "sso": "disabled",
            "identity_providers": [{ "id": "corp", "title": "Corp", "oidc": {
                "discovery": "https://acme.okta.com/.well-known/openid-configuration",
                "client_id": "app", "client_secret": { "env": "OIDC_SECRET" } } }],
            "directory": { "static": { "users": [{ "username": "ada", "email": "ada@acme.com", "roles": ["account_admin"] }] } },
            "mapping": { "claim": "email", "attribute": "email", "role_map": { "staff": "member" } },
            "password": { "mode": "enabled", "admin_roles": ["account_admin"] },
            "self_service": { "settings": ["sso", "identity_providers", "mapping", "password", "invitations"],
                "hosts": ["*.okta.com"], "roles": ["member"] },
        });
        change(&mut account);
        let document = json!({
            "session": { "keys": [{ "id": "k1", "value": crate::testing::browser::KEY }] },
            "clusters": { "*": "out" }, "shared": { "engine": "etcd", "cluster": "etcd" }, "accounts": [account],
        });
        config::load(document.to_string().as_bytes(), &Placeholders).expect("a good configuration")
    }

    fn proposed(body: Value) -> Result<Proposal, Vec<String>> {
        judged(&config(|_| ()), body)
    }

    fn judged(config: &config::Config, body: Value) -> Result<Proposal, Vec<String>> {
        let account = &config.accounts[0];
        let (file, allowed) = (account.file.as_ref().unwrap(), account.self_service.as_ref().unwrap());
        let active = file.settings(&allowed.settings);
        let own_roles = ["account_admin".to_owned()];
        let terms = Terms { file, allowed, active: &active, draft: None, own_roles: &own_roles };
        read(&body, &terms).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn provider(change: impl FnOnce(&mut Value)) -> Value {
        let mut provider = json!({ "id": "corp", "title": "Corp", "oidc": {
            "discovery": "https://acme.okta.com/.well-known/openid-configuration",
            "client_id": "app", "client_secret": { "set": true } } });
        change(&mut provider);
        json!({ "identity_providers": [provider] })
    }

    fn refused(body: Value, path: &str, why: &str) {
        let problems = proposed(body.clone()).expect_err(path);
        assert!(
            problems.iter().any(|problem| problem.starts_with(path) && problem.contains(why)),
            "{body}: {problems:?}"
        );
    }

    #[test]
    fn what_is_not_sent_stays_and_the_rest_is_the_files() {
        let proposal = proposed(json!({ "sso": "enabled" })).unwrap();
        assert!(proposal.account.enabled);
        assert_eq!(proposal.settings["mapping"]["claim"], "email");
        assert_eq!(proposal.settings["password"], json!({ "mode": "enabled" }));
        assert_eq!(
            proposal.settings["identity_providers"][0]["oidc"]["client_secret"],
            json!({ "env": "OIDC_SECRET" })
        );
        assert!(proposal.account.is_admin(&["account_admin".into()]));
        assert!(proposal.account.file.is_some(), "a change on top of it starts from the file again");
        let proposal = proposed(json!({ "password": { "mode": "admins" } })).unwrap();
        assert_eq!(proposal.account.password.mode, crate::config::PasswordMode::Admins);
        proposed(provider(|_| ())).unwrap();
    }

    #[test]
    fn only_what_is_listed_may_be_set() {
        for name in
            ["access", "directory", "forward", "self_service", "paths", "invitations", "code", "origins", "x"]
        {
            refused(json!({ name: {} }), name, "may change");
        }
        refused(
            json!({ "password": { "mode": "admins", "admin_roles": ["member"] } }),
            "password.admin_roles",
            "may change",
        );
        refused(json!({ "password": {} }), "password.mode", "missing");
        refused(json!([]), "expected", "");
        let config = config(|account| account["self_service"]["settings"] = json!(["mapping"]));
        let problems = judged(&config, json!({ "sso": "enabled" })).unwrap_err();
        assert!(problems[0].starts_with("sso: "), "{problems:?}");
        judged(&config, json!({ "mapping": { "claim": "upn", "attribute": "username" } })).unwrap();
    }

    #[test]
    fn the_check_is_the_files() {
        refused(json!({ "sso": "on" }), "sso", "enabled, disabled");
        refused(json!({ "mapping": { "claimm": "x" } }), "mapping.claimm", "did you mean claim");
        refused(
            provider(|p| p["oidc"]["client_idd"] = json!("x")),
            "identity_providers[0].oidc.client_idd",
            "unknown",
        );
        refused(provider(|p| p["id"] = json!("")), "identity_providers[0].id", "");
        refused(json!({ "identity_providers": [], "sso": "enabled" }), "identity_providers", "is empty");
    }

    #[test]
    fn every_url_stays_within_the_fence() {
        let with = |name: &str, url: &str| {
            let (name, url) = (name.to_owned(), url.to_owned());
            provider(move |p| p["oidc"][name] = json!(url))
        };
        for name in [
            "discovery",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "end_session_endpoint",
            "logout_url",
        ] {
            let path = format!("identity_providers[0].oidc.{name}");
            refused(with(name, "https://evil.example.com/x"), &path, "self_service.hosts");
            refused(with(name, "http://acme.okta.com/x"), &path, "https");
            refused(with(name, "https://127.0.0.1/x"), &path, "addresses");
            refused(with(name, "https://localhost/x"), &path, "public host");
        }
        // Names that are compared and parameters are not URLs that anything is fetched from.
        proposed(provider(|p| {
            p["oidc"]["issuer"] = json!("https://elsewhere.example.com");
            p["oidc"]["client_secret"] = json!({ "value": "new" });
            p["oidc"]["scope"] = json!(["openid", "https://www.googleapis.com/auth/x"]);
        }))
        .unwrap();
        // What the file has just like that is the operator's.
        let elsewhere = config(|account| account["self_service"]["hosts"] = json!(["*.example.org"]));
        judged(&elsewhere, provider(|_| ())).unwrap();
        let problems = judged(&elsewhere, provider(|p| p["title"] = json!("New"))).unwrap_err();
        assert!(problems[0].contains("self_service.hosts"), "{problems:?}");
    }

    #[test]
    fn nobody_grants_more_than_they_have() {
        let mapping = |role: &str| {
            json!({ "mapping": { "claim": "email", "attribute": "email", "roles_claim": "groups",
            "role_map": { "everyone": role } } })
        };
        proposed(mapping("account_admin")).unwrap();
        proposed(mapping("member")).unwrap();
        refused(mapping("owner"), "mapping.role_map.everyone", "do not have");
    }
}
