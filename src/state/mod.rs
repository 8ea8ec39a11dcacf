//! What one worker's filter runs on: the checked configuration and all that is kept between requests.
//!
//! - [`FilterState`]: one worker's filter. A change of configuration or settings makes a new one; requests under way keep
//!   theirs.
//! - [`AccountState`]: an account with its providers' documents and its directory's answers.
//! - [`background`]: documents, keys and secrets are fetched before they are needed.
//! - `sessions`: which of them count, and what a worker remembers of them.
//! - `settings`: what administrators have set, laid over the file. [`sharing`]: what other Envoys are told.
//!
//! Invariant: a session counts only if its account, provider and way in are those of the configuration that holds now
//! (`admit`).

pub mod background;
pub mod introspected;
mod sessions;
mod settings;
pub mod sharing;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use introspected::Introspected;
pub use sessions::{CookieCopy, NoSession, SessionState};
pub use settings::Settled;

use crate::config::{suffix, Account, Config, Directory, Endpoint, Origin, Protocol, Provider};
use crate::crypto::rate::PrivateKeyRate;
use crate::directory;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Outside, Trace};
use crate::host::Host;
use crate::http::{bare_authority, Path, Reserved};
use crate::identity::Issuers;
use crate::proto::oidc;
use crate::proto::saml;
use crate::replicas::{outbox, Replicas};
use crate::session::LiveSessions;
use crate::values::order;

/// Accounts under sorted names.
type ByName = Vec<(String, Vec<Rc<AccountState>>)>;

/// One worker's filter.
pub struct FilterState {
    /// The surroundings.
    pub host: Rc<dyn Host>,
    /// The configuration.
    pub config: Config,
    /// Sessions opened so far.
    pub live_sessions: LiveSessions,
    /// Bearer tokens verified so far.
    pub bearers: LiveSessions,
    /// The headers that no client may send, of all accounts.
    pub reserved: Reserved,
    /// Opaque tokens that providers were asked about.
    pub introspected: Introspected,
    /// Every account, in the order written.
    pub account_states: Vec<Rc<AccountState>>,
    /// The engine that several Envoys share, where there is one.
    pub replicas: Option<Rc<Replicas>>,
    /// Where probes ask, of all accounts.
    ready_paths: Vec<String>,
    /// What all flows share: the surroundings, and the work that they leave to the background.
    pub outside: Rc<Outside>,
    /// Sorted by authority.
    by_authority: ByName,
    /// The accounts of patterns, sorted by what follows the one label.
    by_suffix: ByName,
    /// Operations with a private key that strangers may cause.
    rate: Rc<PrivateKeyRate>,
    /// The hosts of all directories, which no provider's document may lead to.
    directories: Rc<[String]>,
    /// What this worker has made of documents so far: a value that changes with them, and whether all were read.
    settings_seen: RefCell<Option<(Option<Vec<u8>>, bool)>>,
}

/// An account with what is kept for it.
pub struct AccountState {
    /// The account.
    pub account: Rc<Account>,
    /// Its OpenID Connect providers' documents, by provider id.
    pub clients: HashMap<String, Rc<oidc::Provider>>,
    /// Its issuers for programs alone.
    pub machines: Vec<Rc<oidc::machine::MachineIssuer>>,
    /// Its SAML providers, by provider id.
    pub idps: HashMap<String, Rc<saml::Idp>>,
    /// Whose identities are its providers'.
    pub issuers: Rc<Issuers>,
    /// What its directory said lately.
    pub directory: directory::Cache,
    /// How far what administrators set is known.
    pub settled: Settled,
    /// Operations with a private key that strangers may cause.
    rate: Rc<PrivateKeyRate>,
}

impl AccountState {
    fn new(account: Rc<Account>, rate: &Rc<PrivateKeyRate>, directories: &Rc<[String]>) -> Self {
        let clients = account.providers.iter().filter_map(|provider| match &provider.protocol {
            Protocol::Oidc(oidc) => {
                let client = oidc::Provider::apart_from(oidc, directories.clone());
                Some((provider.id.clone(), Rc::new(client)))
            }
            _ => None,
        });
        let idps = account.providers.iter().filter_map(|provider| match &provider.protocol {
            Protocol::Saml(saml) => Some((provider.id.clone(), Rc::new(saml::Idp::new(saml, rate)))),
            _ => None,
        });
        let (clients, idps): (HashMap<_, _>, HashMap<_, _>) = (clients.collect(), idps.collect());
        let issuers = Rc::new(Issuers::new(clients.clone(), idps.clone()));
        let machines = account.bearer.iter().flat_map(|bearer| &bearer.machines);
        let machines = machines.map(|own| Rc::new(oidc::machine::MachineIssuer::new(own.clone()))).collect();
        let directory = directory::Cache::with_issuers(issuers.clone());
        Self {
            clients,
            machines,
            idps,
            directory,
            issuers,
            account,
            settled: Settled::File,
            rate: rate.clone(),
        }
    }

    /// What is known of an OpenID Connect provider.
    pub fn client(&self, id: &str) -> Result<&Rc<oidc::Provider>, Fault> {
        self.clients
            .get(id)
            .ok_or_else(|| Fault::new(Code::NotReady, "no OpenID Connect provider has that id"))
    }

    /// The provider of that id.
    pub fn provider(&self, id: &str) -> Option<&Rc<Provider>> {
        self.account.provider(id)
    }
}

impl FilterState {
    /// Makes it from a checked configuration. What is kept for accounts that it took over from one before is taken over too.
    pub fn new(host: Rc<dyn Host>, config: Config) -> Self {
        let kept: Vec<Option<Rc<AccountState>>> =
            config.accounts.iter().map(|account| account.kept.get()).collect();
        // One budget for all accounts.
        let rate = kept.iter().flatten().next().map_or_else(Rc::default, |own| own.rate.clone());
        let directories: Rc<[String]> = config
            .accounts
            .iter()
            .filter_map(|account| match &account.directory {
                Directory::Scim(server) => Some(oidc::discovery::bare(&server.url)),
                _ => None,
            })
            .collect();
        let replicas = Replicas::new(&config, host.now());
        if replicas.is_some() {
            outbox::begin(&*host);
        }
        let account_states = config.accounts.iter().zip(kept).map(|(account, kept)| {
            kept.unwrap_or_else(|| {
                let waits = replicas.is_some() && account.file.is_some();
                let settled = if waits { Settled::Waiting } else { Settled::File };
                let own = AccountState { settled, ..AccountState::new(account.clone(), &rate, &directories) };
                let own = Rc::new(own);
                account.kept.set(&own);
                own
            })
        });
        let account_states = account_states.collect();
        let outside = Outside::new(host.clone(), config.clusters.clone());
        Self::of(host, config, account_states, replicas, outside, rate, directories)
    }

    /// The same filter with other accounts. What it remembers of sessions is read from their cookies again.
    fn with_accounts(&self, account_states: Vec<Rc<AccountState>>) -> Self {
        let accounts = account_states.iter().map(|own| own.account.clone()).collect();
        let config = Config { accounts, ..self.config.clone() };
        let (replicas, outside) = (self.replicas.clone(), self.outside.clone());
        let (rate, directories) = (self.rate.clone(), self.directories.clone());
        let next = Self::of(self.host.clone(), config, account_states, replicas, outside, rate, directories);
        next.settings_seen.replace(self.settings_seen.borrow().clone());
        next
    }

    /// What is kept for an account that is not part of the configuration: a draft.
    pub fn account_state_of(&self, account: Rc<Account>) -> Rc<AccountState> {
        Rc::new(AccountState::new(account, &self.rate, &self.directories))
    }

    fn of(
        host: Rc<dyn Host>,
        config: Config,
        account_states: Vec<Rc<AccountState>>,
        replicas: Option<Rc<Replicas>>,
        outside: Rc<Outside>,
        rate: Rc<PrivateKeyRate>,
        directories: Rc<[String]>,
    ) -> Self {
        let mut by_authority: BTreeMap<&str, Vec<Rc<AccountState>>> = BTreeMap::new();
        let mut by_suffix: BTreeMap<&str, Vec<Rc<AccountState>>> = BTreeMap::new();
        for account_state in &account_states {
            let account = &account_state.account;
            account_state.directory.prepare(account);
            let login = account.login_origin.iter().map(|login| &login.origin);
            let login = login.filter(|login| !account.origins.contains(login));
            for origin in account.origins.iter().chain(login) {
                by_authority.entry(&origin.authority).or_default().push(account_state.clone());
            }
            for pattern in &account.patterns {
                by_suffix.entry(&pattern.suffix).or_default().push(account_state.clone());
            }
        }
        let named = |all: BTreeMap<&str, Vec<Rc<AccountState>>>| -> ByName {
            all.into_iter().map(|(name, account_states)| (name.to_owned(), account_states)).collect()
        };
        let (by_authority, by_suffix) = (named(by_authority), named(by_suffix));
        let ready = account_states.iter().map(|own| own.account.paths.path(Endpoint::Ready));
        let mut ready: Vec<&str> = ready.collect();
        // Mostly all are one path, which need not be sorted.
        ready.dedup();
        let mut ready_paths: Vec<String> = ready.into_iter().map(str::to_owned).collect();
        order::sort(&mut ready_paths);
        ready_paths.dedup();
        let (live_sessions, bearers) = LiveSessions::pair(config.session.cache);
        let forwards = || config.accounts.iter().map(|account| &account.forward);
        let prefixes = forwards().map(|forward| forward.prefix.as_str());
        let reserved = Reserved::new(prefixes, forwards().flat_map(|forward| forward.names()));
        Self {
            host,
            reserved,
            config,
            live_sessions,
            bearers,
            introspected: Introspected::default(),
            account_states,
            replicas,
            ready_paths,
            outside,
            by_authority,
            by_suffix,
            rate,
            directories,
            settings_seen: RefCell::default(),
        }
    }

    /// True if the filter could rule on requests now, whatever its providers and directories do. Under
    /// `on_outage: closed` it cannot while it is out of step with the other replicas. A filter without a usable
    /// configuration has no state at all and answers everything with 503.
    pub fn is_ready(&self) -> bool {
        let is_closed = |replicas: &Rc<Replicas>| replicas.is_closed(&*self.host, self.host.now());
        !self.replicas.as_ref().is_some_and(is_closed)
            && self.account_states.iter().all(|own| own.settled != Settled::Waiting)
    }

    /// True if probes of some account ask at this path. They come for any host: the address of a pod, most often.
    pub fn is_ready_path(&self, path: &Path<'_>) -> bool {
        path.plain().is_some_and(|path| self.ready_paths.iter().any(|own| own == path))
    }

    /// The accounts served at an authority, as a `Host` header or `:authority` has it.
    #[inline]
    pub fn accounts_at(&self, authority: &[u8]) -> &[Rc<AccountState>] {
        let find = |authority: &[u8]| named(&self.by_authority, authority);
        // A name that is one of a pattern's as it stands is in lower case and without a default port.
        if let Some(found) = find(authority).or_else(|| self.accounts_of_pattern(authority)) {
            return found;
        }
        let Ok(text) = std::str::from_utf8(authority) else { return &[] };
        let lower = text.to_ascii_lowercase();
        let bare = bare_authority(&lower).as_bytes();
        let exact = find(lower.as_bytes()).or_else(|| find(bare));
        let of_pattern =
            || self.accounts_of_pattern(lower.as_bytes()).or_else(|| self.accounts_of_pattern(bare));
        exact.or_else(of_pattern).unwrap_or_default()
    }

    /// The accounts with a pattern that a lower-case authority is one of. An exact origin goes before it.
    #[inline]
    fn accounts_of_pattern(&self, authority: &[u8]) -> Option<&[Rc<AccountState>]> {
        if self.by_suffix.is_empty() {
            return None;
        }
        named(&self.by_suffix, suffix(authority)?)
    }

    /// The origin that a text names, if the application of this account is served there. What is not written exactly as
    /// an origin is written names none.
    pub fn application_origin(&self, account: &Account, text: &str) -> Option<Origin> {
        let (_, authority) = text.split_once("://")?;
        let authority = authority.as_bytes();
        let is_here = |own: &Rc<AccountState>| own.account.code == account.code;
        let origin = account.origin_at(authority).filter(|origin| origin.to_string() == text)?;
        let serves = self.accounts_at(authority).iter().any(is_here) && !account.is_login_only(authority);
        serves.then_some(origin)
    }

    /// What a flow holds; `trace` goes on its calls.
    pub fn io(&self, trace: Trace) -> Io {
        Io::of(self.outside.clone(), trace)
    }
}

/// Sorted, not hashed: a few comparisons, and nothing has to be UTF-8.
#[inline]
fn named<'a>(list: &'a ByName, name: &[u8]) -> Option<&'a [Rc<AccountState>]> {
    let at = list.binary_search_by(|(own, _)| own.as_bytes().cmp(name)).ok()?;
    list.get(at).map(|(_, account_states)| account_states.as_slice())
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use super::*;
    use crate::config::{Loaded, Placeholders};
    use crate::testing::TestHost;

    fn loaded(known: &Loaded, claims: [&str; 4]) -> FilterState {
        let account = |(n, claim): (usize, &&str)| -> Value {
            json!({
                "code": format!("a{n}"), "origins": [format!("https://a{n}.example.com")], "sso": "enabled",
                "identity_providers": [{"id": "corp", "title": "Acme", "oidc": {
                    "discovery": "https://idp.example.com/.well-known/openid-configuration", "client_id": "c",
                }}],
                "mapping": {"claim": claim},
            })
        };
        let accounts: Vec<Value> = claims.iter().enumerate().map(account).collect();
        let text = json!({
            "session": {"keys": [{"id": "k", "value": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]},
            "clusters": {"*": "all"}, "accounts": accounts,
        });
        FilterState::new(TestHost::new(), known.load(text.to_string().into_bytes(), &Placeholders).unwrap())
    }

    #[test]
    fn a_live_update_keeps_what_is_known_of_accounts_that_did_not_change() {
        let known = Loaded::default();
        let before = loaded(&known, ["email"; 4]);
        let after = loaded(&known, ["email", "upn", "email", "email"]);
        let pairs = before.account_states.iter().zip(&after.account_states);
        let kept: Vec<bool> = pairs.map(|(before, after)| Rc::ptr_eq(before, after)).collect();
        assert_eq!(kept, [true, false, true, true]);
        assert!(Rc::ptr_eq(&before.rate, &after.rate), "one budget of private keys for old and new accounts");
        let at = after.accounts_at(b"a1.example.com");
        assert_eq!(at.first().map(|own| own.account.mapping.claim.as_str()), Some("upn"));
        // The twin: what nobody uses any more is not kept.
        drop((before, after));
        let anew = loaded(&known, ["email"; 4]);
        assert_eq!(anew.account_states.len(), 4);
    }
}
