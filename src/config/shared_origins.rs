//! Accounts that share an origin: what comes back from a provider must say whose it is.

use std::cell::OnceCell;
use std::rc::Rc;

use super::problems::At;
use super::{Account, Endpoint, Paths, Protocol};
use crate::values::order;

/// A request without a session is asked for the account, and an account that is off opens no session.
pub(super) fn left_out(at: &At<'_>, enabled: &Account) {
    at.field("sso").warning(format!(
        "no user of it gets past the sign-in of account {:?}: it needs an origin of its own",
        enabled.code
    ));
}

/// Refuses a callback that no answer could come back to: it belongs to several accounts, or its `u` to another.
/// `neighbours`: the accounts of one of the account's origins, itself among them.
pub(super) fn check<'n>(at: &At<'_>, account: &Account, neighbours: impl Fn() -> &'n Rc<Neighbours>) {
    for callback in Callback::all(account) {
        let at = at.field("paths").field(callback.name);
        let mut codes = callback.codes();
        let path = callback.path();
        match (codes.next(), codes.next()) {
            (Some(code), None) if code == account.code => {}
            (Some(_), _) => at.problem("expected {code} as the value of u, once: it names the account"),
            (None, _) => {
                if let Some(other) = neighbours().other(account, path) {
                    at.problem(format!(
                        "is a path of account {other:?} too, at the same origin: write {{code}} into it, as {path}?u={{code}}"
                    ));
                }
            }
        }
    }
}

/// Where an account's providers answer, as it is registered with them.
struct Callback {
    name: &'static str,
    registered: String,
}

impl Callback {
    /// Those that the account's providers use.
    fn all(account: &Account) -> impl Iterator<Item = Self> + '_ {
        let is_saml = |protocol: &Protocol| matches!(protocol, Protocol::Saml(_));
        let kinds = [("oidc_callback", false), ("saml_callback", true)].into_iter();
        let used = kinds.filter(move |(_, saml)| {
            account.providers.iter().any(|provider| is_saml(&provider.protocol) == *saml)
        });
        used.map(|(name, saml)| Self {
            name,
            registered: match saml {
                true => account.paths.registered(Endpoint::SamlCallback),
                false => account.paths.callback(first_with_code(account)),
            },
        })
    }

    fn path(&self) -> &str {
        self.registered.split_once('?').map_or(self.registered.as_str(), |(path, _)| path)
    }

    /// The values of `u`.
    fn codes(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let query = self.registered.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "u").map(|(_, code)| code)
    }
}

/// The callbacks of several providers differ in the provider's id alone: one stands for all.
fn first_with_code(account: &Account) -> &str {
    let mut providers = account.providers.iter();
    let first = providers.find(|provider| !matches!(provider.protocol, Protocol::Saml(_)));
    first.map_or("", |provider| provider.id.as_str())
}

/// The accounts of one origin, as the file has them.
#[derive(Debug)]
pub(super) struct Neighbours {
    accounts: Vec<(String, Rc<Paths>)>,
    /// Callbacks that do not say whose they are, each with its account.
    bare: Vec<(String, usize)>,
    /// The paths of their endpoints, sorted, each with its accounts: of those the first two, so that one is another's.
    index: OnceCell<Vec<(String, bool, usize)>>,
}

impl Neighbours {
    pub fn of(accounts: &[&Rc<Account>]) -> Self {
        let bare = accounts.iter().enumerate().flat_map(|(i, account)| {
            let bare = Callback::all(account).filter(|callback| callback.codes().next().is_none());
            bare.map(move |callback| (callback.path().to_owned(), i))
        });
        Self {
            bare: bare.collect(),
            accounts: accounts.iter().map(|own| (own.code.clone(), own.paths.clone())).collect(),
            index: OnceCell::new(),
        }
    }

    /// The code of another account that has an endpoint at this path.
    pub fn other(&self, account: &Account, path: &str) -> Option<&str> {
        let ends = path.char_indices().filter(|(_, letter)| *letter == '/').map(|(at, _)| (at, true));
        // Every path below the administrators' page belongs to it.
        ends.chain([(path.len(), false)])
            .filter_map(|(end, below)| self.at(account, path.get(..end)?, below))
            .next()
    }

    fn at(&self, account: &Account, path: &str, below: bool) -> Option<&str> {
        let index = self.index.get_or_init(|| self.indexed());
        let first = index.partition_point(|(own, is_admin, _)| (own.as_str(), *is_admin) < (path, below));
        let here = index.get(first..).unwrap_or_default().iter();
        let here = here.take_while(|(own, is_admin, _)| own == path && *is_admin == below);
        here.filter_map(|(.., owner)| Some(self.accounts.get(*owner)?.0.as_str()))
            .find(|code| *code != account.code)
    }

    fn indexed(&self) -> Vec<(String, bool, usize)> {
        let mut all = Vec::new();
        for (i, (_, paths)) in self.accounts.iter().enumerate() {
            for (endpoint, path) in paths.all() {
                all.push((path.to_owned(), false, i));
                if endpoint == Endpoint::Admin {
                    all.push((path.to_owned(), true, i));
                }
            }
        }
        order::sort(&mut all);
        all.dedup();
        let mut before: Option<(String, bool)> = None;
        let mut times = 0;
        all.retain(|(path, is_admin, _)| {
            let is_same = before.as_ref().is_some_and(|(own, admin)| own == path && admin == is_admin);
            times = if is_same { times + 1 } else { 1 };
            if !is_same {
                before = Some((path.clone(), *is_admin));
            }
            times <= 2
        });
        all
    }

    /// Refuses an endpoint of this account at which another one's provider answers without saying whose answer it is.
    pub fn spare(&self, at: &At<'_>, account: &Account) {
        for (path, owner) in &self.bare {
            let Some((code, _)) = self.accounts.get(*owner).filter(|(code, _)| *code != account.code) else {
                continue;
            };
            if account.paths.endpoint(path).is_some() {
                at.field("paths").problem(format!("{path} is where a provider of account {code:?} answers"));
            }
        }
    }
}
