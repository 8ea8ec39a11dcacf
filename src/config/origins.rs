//! The origins of all accounts: which of them accounts share, and what of them contradicts the cookies or each other.

use std::cell::OnceCell;
use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use super::names;
use super::problems::At;
use super::shared_origins::{self, Neighbours};
use super::{Account, Cookies, Origin};

/// What is served where.
pub(super) struct Served<'a> {
    by_authority: HashMap<&'a str, Here<'a>>,
    patterns: HashMap<&'a str, &'a Rc<Account>>,
}

/// The accounts of one authority.
struct Here<'a> {
    first: &'a Rc<Account>,
    /// Almost always none, which takes no memory.
    others: Vec<&'a Rc<Account>>,
    /// The first one with single sign-on.
    enabled: Option<&'a Rc<Account>>,
    /// The first one whose application is served here. Thousands may have one login origin.
    application: Option<&'a Rc<Account>>,
    /// Their endpoints, once a callback does not say whose it is.
    neighbours: OnceCell<Rc<Neighbours>>,
}

impl<'a> Here<'a> {
    fn of(account: &'a Rc<Account>, application: Option<&'a Rc<Account>>) -> Self {
        let enabled = account.enabled.then_some(account);
        Self { first: account, others: Vec::new(), enabled, application, neighbours: OnceCell::new() }
    }

    fn add(&mut self, account: &'a Rc<Account>) {
        if self.enabled.is_none() && account.enabled {
            self.enabled = Some(account);
        }
        self.others.push(account);
    }

    fn last(&self) -> &'a Rc<Account> {
        self.others.last().copied().unwrap_or(self.first)
    }

    fn all(&self) -> impl Iterator<Item = &'a Rc<Account>> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// False if this account's neighbours here cannot make anything of it wrong.
    fn concerns(&self, authority: &str, account: &Account) -> bool {
        let among_applications = self.application.is_some() && account.is_login_only(authority.as_bytes());
        among_applications
            || match account.enabled {
                true => !account.paths.name_account(&account.code),
                false => self.enabled.is_some(),
            }
    }

    /// To be asked for once all were added.
    fn neighbours(&self) -> &Rc<Neighbours> {
        self.neighbours.get_or_init(|| Rc::new(Neighbours::of(&self.all().collect::<Vec<_>>())))
    }
}

impl<'a> Served<'a> {
    /// Nothing yet of so many accounts.
    pub(super) fn of(accounts: usize) -> Self {
        Self { by_authority: HashMap::with_capacity(accounts), patterns: HashMap::new() }
    }

    /// Adds an account, whose origins must go together with those before.
    pub(super) fn add<'p>(&mut self, at: &dyn Fn() -> At<'p>, account: &'a Rc<Account>) {
        for origin in &account.origins {
            self.add_application(at, account, &origin.authority);
        }
        for pattern in &account.patterns {
            match self.patterns.insert(&pattern.suffix, account) {
                Some(other) if Rc::ptr_eq(other, account) => {
                    at().field("origins").problem(format!("*{} is listed twice", pattern.suffix));
                }
                Some(other) => at().field("origins").problem(format!(
                    "*{} is a pattern of account {:?} too: each of its origins must be one account's",
                    pattern.suffix, other.code
                )),
                None => {}
            }
        }
        for login in account.login_origin.iter().filter(|login| !account.origins.contains(&login.origin)) {
            let application = login.is_application.then_some(account);
            match self.by_authority.entry(&login.origin.authority) {
                Entry::Vacant(place) => {
                    place.insert(Here::of(account, application));
                }
                Entry::Occupied(mut here) => {
                    let here = here.get_mut();
                    here.application = here.application.or(application);
                    here.add(account);
                }
            }
        }
    }

    fn add_application<'p>(&mut self, at: &dyn Fn() -> At<'p>, account: &'a Rc<Account>, authority: &'a str) {
        let mut here = match self.by_authority.entry(authority) {
            Entry::Occupied(here) => here,
            Entry::Vacant(place) => {
                place.insert(Here::of(account, Some(account)));
                return;
            }
        };
        let here = here.get_mut();
        here.application.get_or_insert(account);
        // An account is added as a whole: only the last one can be itself.
        if Rc::ptr_eq(here.last(), account) {
            at().field("origins").problem(format!("{authority} is listed twice"));
        } else if here.first.forward.prefix != account.forward.prefix {
            at().field("forward").field("prefix").problem(format!(
                "must be the prefix of account {:?}, which is served at the same origin",
                here.first.code
            ));
        } else {
            here.add(account);
        }
    }

    /// True if an account that was checked before has to be checked again, because of the accounts that stand beside it now.
    /// Where it is false, [`Served::check`] finds nothing.
    pub(super) fn concerns_known(&self) -> bool {
        let shared = self.by_authority.iter().filter(|(_, here)| !here.others.is_empty());
        shared
            .into_iter()
            .any(|(authority, here)| here.all().any(|account| here.concerns(authority, account)))
    }

    /// Authorities that several accounts have, each with them, once all were added.
    pub(super) fn shared(&self) -> impl Iterator<Item = (&str, &Rc<Neighbours>)> {
        let several = self.by_authority.iter().filter(|(_, here)| !here.others.is_empty());
        several.map(|(authority, here)| (*authority, here.neighbours()))
    }

    /// Checks what an account shares with others, once all were added.
    pub(super) fn check(&self, at: &At<'_>, account: &Rc<Account>) {
        for origin in all(account) {
            let Some(here) = self.by_authority.get(origin.authority.as_str()) else { continue };
            match (account.enabled, here.enabled) {
                (true, _) => shared_origins::check(at, account, || here.neighbours()),
                (false, Some(enabled)) => shared_origins::left_out(at, enabled),
                (false, None) => {}
            }
        }
        let login = account.login_origin.iter().map(|login| &login.origin);
        for origin in login.filter(|origin| account.is_login_only(origin.authority.as_bytes())) {
            let here = self.by_authority.get(origin.authority.as_str());
            if let Some(other) = here.and_then(|here| here.application) {
                at.field("login_origin").problem(format!(
                    "is an origin of account {:?}: name it in origins too, or use a host of its own",
                    other.code
                ));
            }
        }
    }
}

/// The origins of an account, with the one at which its logins run.
pub(super) fn all(account: &Account) -> impl Iterator<Item = &Origin> {
    let login = account.login_origin.iter().map(|login| &login.origin);
    account.origins.iter().chain(login.filter(|origin| !account.origins.contains(origin)))
}

/// Checks that browsers keep the cookies at every origin of an account, and that its logins find their way back.
pub(super) fn keep_cookies(at: &At<'_>, account: &Account, written: &[String], cookies: &Cookies) {
    let examples = account.patterns.iter().map(super::OriginPattern::example);
    let all: Vec<Origin> = account.origins.iter().cloned().chain(examples).collect();
    for origin in &all {
        let position = written.iter().position(|text| is_written(text, origin));
        keeps_cookies(
            &at.field("origins").index(position.unwrap_or_default()),
            origin,
            cookies,
            account.enabled,
        );
    }
    let Some(login) = &account.login_origin else {
        if !account.patterns.is_empty() && account.enabled {
            at.field("login_origin").warning(
                "is not set: each origin of a pattern has its own redirect URI, and every one must be registered at \
                 the providers",
            );
        }
        return;
    };
    let at = at.field("login_origin");
    keeps_cookies(&at, &login.origin, cookies, account.enabled);
    if let Some(other) = all.iter().find(|other| cookies.secure && other.scheme != login.origin.scheme) {
        at.problem(format!(
            "must have the scheme of {other}: browsers drop Secure cookies over http, so a login could not come back"
        ));
    }
}

/// Warns of cookies without `Secure` where browsers come by https: they are sent over plain http too.
pub(super) fn secure_cookies(at: &At<'_>, accounts: &[Rc<Account>], cookies: &Cookies) {
    if cookies.secure {
        return;
    }
    let mut origins = accounts.iter().flat_map(|account| account.origins_as_written());
    if let Some(origin) = origins.find(|origin| origin.starts_with("https:")) {
        at.field("secure").warning(format!(
            "is false, and {origin} is https: browsers would send the session cookie over plain http too; leave it out"
        ));
    }
}

fn is_written(text: &str, origin: &Origin) -> bool {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    text == origin.to_string() || text.replace('*', "label") == origin.to_string()
}

/// Browsers drop a cookie without a word where it is not for the origin that sets it.
fn keeps_cookies(at: &At<'_>, origin: &Origin, cookies: &Cookies, enabled: bool) {
    let host = names::host_of(&origin.authority);
    // RFC 6761 section 6.3: names under localhost are this machine.
    if origin.scheme == "http" && !names::is_local(host) && !host.ends_with(".localhost") {
        at.warning(match cookies.secure {
            true => {
                "is plain http, where browsers drop Secure cookies: use https, or cookies.secure: false to try things out"
            }
            false => "is plain http: an attacker on the way can read the session cookie and use it; use https",
        });
    }
    let other_port = match origin.scheme.as_str() {
        "https" => ":80",
        _ => ":443",
    };
    if origin.authority.ends_with(other_port) {
        at.warning(format!(
            "has the scheme {} with the port {other_port} of the other: write what browsers show",
            origin.scheme
        ));
    }
    let Some(domain) = cookies.domain.as_ref().filter(|_| enabled) else { return };
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
    // Browsers take no cookie for a whole top-level domain, but for a host that has no other name.
    let whole = !domain.contains('.');
    let above = host.strip_suffix(domain.as_str());
    if !above.is_some_and(|above| above.is_empty() || above.ends_with('.') && !whole) {
        at.problem(format!("is not under cookies.domain {domain}: browsers would drop every cookie"));
    }
}
