//! From bytes to a [`Config`], or to everything that is wrong with them.

use std::collections::HashSet;
use std::rc::Rc;

use serde_json::Value;

use super::account_file::{self, AccountFile};
use super::env::{self, Environment};
use super::origins::Served;
use super::problems::{At, Problem, Problems};
use super::read::Read;
use super::surroundings::Surroundings;
use super::{
    account, calls, clusters, document as reading, duration, names, origins, raw, schema, shared, Account,
    Config, Cookies, Directory, SameSite, SessionSettings,
};
use crate::crypto::seal::KeyRing;

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
    let mut codes = HashSet::new();
    let mut accounts = Vec::with_capacity(known.len());
    let mut served = Served::default();
    let mut written = raw.accounts.iter();
    let list = at.field("accounts");
    for (i, known_account) in known.iter().enumerate() {
        let at = list.index(i);
        let account = match known_account {
            Some(account) => account.clone(),
            None => {
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
        if !codes.insert(account.code.clone()) {
            at.field("code").problem(format!("{:?} is another account's already", account.code));
        }
        served.add(&at, &account);
        accounts.push(account);
    }
    let cookies = cookies(&at.field("cookies"), &raw.cookies);
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
    let has_shared_origins = served.is_shared();
    for (i, (account, known)) in accounts.iter().zip(known).enumerate() {
        let is_known = known.is_some();
        if is_known && !has_shared_origins {
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
        session: session(&at.field("session"), &raw.session, raw.shared.is_some(), env),
        cookies,
        shared: raw.shared.as_ref().map(|raw| shared::check(&at.field("shared"), raw)),
        clusters,
        accounts,
        pages: pages(&at.field("pages"), &raw.pages),
        warnings: Vec::new(),
    }
}

fn session(at: &At<'_>, raw: &raw::Session, shared: bool, env: &dyn Environment) -> SessionSettings {
    let mut keys = Vec::new();
    let mut ids = HashSet::new();
    if raw.keys.is_empty() {
        at.field("keys").problem("is empty: at least one key is needed; envoy-sso keygen makes one");
    }
    for (i, key) in raw.keys.iter().enumerate() {
        let at = at.field("keys").index(i);
        if key.id.is_empty()
            || key.id.len() > 32
            || !key.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            at.field("id").problem("expected 1 to 32 letters, digits, '-' and '_'");
        } else if !ids.insert(key.id.as_str()) {
            at.field("id").problem(format!("{:?} is another key's already", key.id));
        }
        let Some(secret) = env::named(&at, key.env.as_deref(), key.value.as_deref(), env) else { continue };
        match KeyRing::decode(&secret) {
            Some(bytes) => keys.push((key.id.clone(), bytes)),
            None => at.problem("expected 32 bytes in base64, as envoy-sso keygen prints them"),
        }
    }
    const DAY: u64 = 86_400_000;
    let lifetime = duration::field(at, "lifetime", &raw.lifetime, 8 * 3_600_000, (1_000, 400 * DAY));
    SessionSettings {
        keys: Rc::new(KeyRing::new(keys)),
        shared,
        lifetime,
        idle: duration::field(at, "idle", &raw.idle, 3_600_000.min(lifetime), (1_000, 400 * DAY)),
        recheck: duration::field(at, "recheck", &raw.recheck, 300_000, (0, 400 * DAY)),
        recheck_grace: duration::field(at, "recheck_grace", &raw.recheck_grace, 3_600_000, (0, 400 * DAY)),
        cache: cache(&at.field("cache"), raw.cache),
    }
}

/// How many sessions are remembered.
fn cache(at: &At<'_>, raw: Option<u32>) -> usize {
    const DEFAULT: usize = 16_384;
    let number = raw.map_or(Some(DEFAULT), |raw| usize::try_from(raw).ok());
    number.filter(|number| (100..=1_000_000).contains(number)).unwrap_or_else(|| {
        at.problem("expected a number from 100 to 1000000");
        DEFAULT
    })
}

fn cookies(at: &At<'_>, raw: &raw::Cookies) -> Cookies {
    let name = raw.name.clone().unwrap_or_else(|| "sso".into());
    if name.is_empty()
        || name.len() > 64
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        at.field("name").problem("expected 1 to 64 letters, digits, '-' and '_'");
    }
    let secure = raw.secure.unwrap_or(true);
    let same_site = raw.same_site.unwrap_or_default();
    if same_site == SameSite::None && !secure {
        at.field("same_site").problem("none needs secure: browsers drop such cookies otherwise");
    }
    if let Some(domain) = &raw.domain {
        let bare = domain.strip_prefix('.').unwrap_or(domain);
        if !names::is_domain(bare) || !bare.is_ascii() {
            at.field("domain").problem("expected a domain such as example.com");
        }
    }
    let prefix = match (secure, &raw.domain) {
        (true, None) => "__Host-",
        (true, Some(_)) => "__Secure-",
        (false, _) => "",
    };
    let persistent = raw.persistent.unwrap_or_default();
    Cookies { name: format!("{prefix}{name}"), secure, same_site, domain: raw.domain.clone(), persistent }
}

fn pages(at: &At<'_>, raw: &raw::Pages) -> crate::pages::Settings {
    if let Some(accent) = &raw.accent {
        let hex = accent
            .strip_prefix('#')
            .is_some_and(|h| h.len() == 6 && h.bytes().all(|b| b.is_ascii_hexdigit()));
        if !hex {
            at.field("accent").problem("expected a colour such as #1a5fb4");
        }
    }
    if let Some(logo) = &raw.logo {
        if !(logo.starts_with('/') && !logo.starts_with("//") || logo.starts_with("https://")) {
            at.field("logo").problem("expected a path on the same origin or an https URL");
        }
    }
    texts(&at.field("texts"), &raw.texts);
    for (tag, own) in &raw.translations {
        let at = at.field("translations").field(tag);
        if !crate::pages::is_language(tag) {
            at.problem("expected a language tag such as de or zh-CN (RFC 5646)");
        }
        texts(&at, own);
    }
    let raw = raw.clone();
    crate::pages::Settings {
        name: raw.name,
        logo: raw.logo,
        accent: raw.accent,
        contact: raw.contact,
        language: raw.language,
        texts: raw.texts,
        translations: raw.translations,
    }
}

/// A key that another release knew must not take every sign-in down: a warning.
fn texts(at: &At<'_>, texts: &raw::Params) {
    for key in texts.keys().filter(|key| !crate::pages::is_text(key)) {
        at.field(key).warning("no text has this key: `envoy-sso texts` prints those there are");
    }
}
