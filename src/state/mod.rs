//! What one worker's filter runs on: the checked configuration and all that is kept between requests.
//!
//! - [`FilterState`]: one worker's filter. A change of configuration or settings makes a new one; requests under way keep
//!   theirs.
//! - [`AccountState`]: an account with its providers' documents and its directory's answers.
//! - [`background`]: documents, keys and secrets are fetched before they are needed.
//! - `settings`: what administrators have set, laid over the file. [`sharing`]: what other Envoys are told.
//!
//! Invariant: a session counts only if its account, provider and way in are those of the configuration that holds now
//! (`admit`).

pub mod background;
pub mod introspected;
mod settings;
pub mod sharing;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use introspected::Introspected;
pub use settings::Settled;

use crate::config::{suffix, Account, Config, Directory, Endpoint, Origin, Protocol, Provider};
use crate::crypto::rate::PrivateKeyRate;
use crate::directory;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Outside, Trace};
use crate::host::Host;
use crate::http::{bare_authority, Found, Jar, Path, Reserved};
use crate::identity::Issuers;
use crate::proto::oidc;
use crate::proto::saml;
use crate::replicas::{outbox, Replicas};
use crate::session::{ended, LiveSession, LiveSessions, Method, Purpose, Session};
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
        Self { clients, machines, idps, directory, issuers, account, settled: Settled::File }
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
    /// Makes it from a checked configuration.
    pub fn new(host: Rc<dyn Host>, config: Config) -> Self {
        let rate = Rc::default();
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
        let account_states = config.accounts.iter().map(|account| {
            let waits = replicas.is_some() && account.file.is_some();
            let settled = if waits { Settled::Waiting } else { Settled::File };
            Rc::new(AccountState { settled, ..AccountState::new(account.clone(), &rate, &directories) })
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

    /// What is kept for an account that is no part of the configuration: a draft.
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
        let mut by_authority: BTreeMap<String, Vec<Rc<AccountState>>> = BTreeMap::new();
        let mut by_suffix: BTreeMap<String, Vec<Rc<AccountState>>> = BTreeMap::new();
        for account_state in &account_states {
            let account = &account_state.account;
            account_state.directory.prepare(account);
            let login = account.login_origin.iter().map(|login| &login.origin);
            let login = login.filter(|login| !account.origins.contains(login));
            for origin in account.origins.iter().chain(login) {
                by_authority.entry(origin.authority.clone()).or_default().push(account_state.clone());
            }
            for pattern in &account.patterns {
                by_suffix.entry(pattern.suffix.clone()).or_default().push(account_state.clone());
            }
        }
        let by_authority = by_authority.into_iter().collect();
        let by_suffix = by_suffix.into_iter().collect();
        let mut ready_paths: Vec<String> = account_states
            .iter()
            .map(|account_state| account_state.account.paths.path(Endpoint::Ready).to_owned())
            .collect();
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

    /// The session that these cookies hold for one of these accounts, if it is valid now.
    #[inline]
    pub fn session(&self, account_states: &[Rc<AccountState>], jar: &Jar<'_>, now: u64) -> SessionState {
        self.session_and_age(account_states, jar, now).0
    }

    /// The session that these cookies hold, as `session`, and which copy of it they hold.
    #[inline]
    pub fn session_and_age(
        &self,
        account_states: &[Rc<AccountState>],
        jar: &Jar<'_>,
        now: u64,
    ) -> (SessionState, CookieCopy) {
        let sealed = match jar.session() {
            Found::Nothing => return (SessionState::None, CookieCopy::Latest),
            Found::Broken => return (SessionState::Stale, CookieCopy::Latest),
            Found::Sealed(sealed) => sealed,
        };
        let sent = match self.live_sessions.get(&sealed) {
            Some(live) => live,
            None => match self.open(&sealed) {
                Some(live) => live,
                None => return (SessionState::Stale, CookieCopy::Latest),
            },
        };
        // A recheck may have given the session a newer state than this copy of its cookie has.
        let live = sent.clone().latest();
        let copy = match Rc::ptr_eq(&sent, &live) {
            true => CookieCopy::Latest,
            false => CookieCopy::Older,
        };
        let here =
            account_states.iter().any(|account_state| Rc::ptr_eq(&account_state.account, &live.account));
        if !here {
            return (SessionState::None, CookieCopy::Latest);
        }
        if live.is_provisional.get() && !self.still_counts(&live) {
            return (SessionState::Stale, CookieCopy::Latest);
        }
        if now >= live.expires || live.over.get() || live.mark.has_ended(&*self.host, now) {
            return (SessionState::Stale, CookieCopy::Latest);
        }
        (SessionState::Valid(live), copy)
    }

    /// Takes on a newer state of a session that another worker made; `false` where it is none.
    pub fn adopt(&self, live: &Rc<LiveSession>, sealed: &[u8]) -> bool {
        let newer = self.live_sessions.get(sealed).or_else(|| self.open(sealed));
        let Some(newer) = newer.map(LiveSession::latest) else { return false };
        let same = newer.session.id == live.session.id && Rc::ptr_eq(&newer.account, &live.account);
        if same && !Rc::ptr_eq(&newer, live) {
            *live.successor.borrow_mut() = Some(newer);
            return true;
        }
        false
    }

    fn open(&self, sealed: &[u8]) -> Option<Rc<LiveSession>> {
        let text = std::str::from_utf8(sealed).ok()?;
        let (code, plain) = self.config.session.keys.open(Purpose::Session, text)?;
        let session: Session = serde_json::from_slice(&plain).ok()?;
        if session.method == Method::Bearer {
            return None;
        }
        let account = self.config.accounts.iter().find(|account| account.code == code)?;
        let mut live = self.admit(account, session, sealed.into())?;
        if self.config.session.keys.is_old(text) {
            live.reseal = 0;
        }
        let live = Rc::new(live);
        self.live_sessions.put(live.clone(), self.host.now());
        Some(live)
    }

    /// A session as requests need it, if the configuration lets it be: its account and provider are still
    /// there, no cut ended it, and its way in is still open.
    pub fn admit(&self, account: &Rc<Account>, session: Session, sealed: Box<[u8]>) -> Option<LiveSession> {
        let way_in = match session.method {
            Method::Sso => self.is_of_its_provider(account, &session) != Some(false),
            Method::Password => crate::password::session_stands(account, &session.user),
            Method::Bearer => {
                account.bearer.as_ref().is_some_and(|bearer| bearer.counts(&session.origin.provider))
            }
        };
        if !(account.enabled || account.self_service.is_some()) || !way_in || session.is_before_cut(account) {
            return None;
        }
        // Without a directory the identity is the user, with what its groups grant today; with one, the next recheck tells.
        let session = match (session.method, &account.directory) {
            (Method::Sso | Method::Bearer, Directory::None) => {
                Session { user: directory::without_directory(account, &session.user)?, ..session }
            }
            _ => session,
        };
        let is_provisional =
            session.method == Method::Sso && self.is_of_its_provider(account, &session).is_none();
        let mut mark = ended::Mark::of(&account.code, &session);
        mark.shared = self.replicas.is_some();
        mark.remember(&*self.host, session.ends(&self.config.session));
        let due = session.provider_check(&self.config.session, account);
        let forwarded = account.forward.access_token.is_some() && session.tokens.access_token.is_some();
        Some(LiveSession {
            sealed,
            account: account.clone(),
            mark,
            verdicts: crate::session::conditions::verdicts(account, &session),
            headers: crate::session::headers::for_application(account, &session),
            assertions: account.forward.assertion.is_some().then(Box::default),
            expires: session.expires(&self.config.session),
            reseal: session.seen.saturating_add(self.config.session.idle / 16),
            due,
            checks: crate::session::checks::Checks::at(
                session.directory_check(&self.config.session, account),
                due,
            ),
            asking: RefCell::default(),
            token_expires: session.tokens.access_expires.filter(|_| forwarded).unwrap_or(u64::MAX),
            spread: Cell::new(false),
            over: Cell::new(false),
            is_provisional: Cell::new(is_provisional),
            successor: RefCell::new(None),
            session,
        })
    }
}

impl FilterState {
    /// Returns whether the session was opened by the provider that has its id today: under the same issuer, client and
    /// protocol, and as a user whom it may bring. `None`: the provider's metadata is not there yet to tell.
    fn is_of_its_provider(&self, account: &Account, session: &Session) -> Option<bool> {
        let origin = &session.origin;
        let Some(provider) = account.provider(&origin.provider) else { return Some(false) };
        let is_other_client = origin.client.as_ref().is_some_and(|client| *client != provider.client);
        let is_stranger = provider.confined
            && !origin.domain.as_ref().is_some_and(|domain| provider.email_domains.contains(domain));
        if is_other_client || is_stranger {
            return Some(false);
        }
        let mut account_states = self.account_states.iter();
        let account_state = account_states.find(|own| std::ptr::eq(&*own.account, account))?;
        account_state.issuers.is_of(provider, &origin.issuer)
    }

    /// True if a session that was let in before its provider's metadata was there counts, as far as is known by now.
    fn still_counts(&self, live: &LiveSession) -> bool {
        match self.is_of_its_provider(&live.account, &live.session) {
            None => true,
            Some(counts) => {
                live.is_provisional.set(!counts);
                counts
            }
        }
    }
}

/// Sorted, not hashed: a few comparisons, and nothing has to be UTF-8.
#[inline]
fn named<'a>(list: &'a ByName, name: &[u8]) -> Option<&'a [Rc<AccountState>]> {
    let at = list.binary_search_by(|(own, _)| own.as_bytes().cmp(name)).ok()?;
    list.get(at).map(|(_, account_states)| account_states.as_slice())
}

/// Which copy of a session a browser's cookies hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CookieCopy {
    /// The newest that is known here.
    Latest,
    /// An older one: the browser has yet to get the newer.
    Older,
}

/// Why there is no session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NoSession {
    /// No cookie holds one.
    Absent,
    /// The cookie's session does not count: expired, ended, unreadable.
    Stale,
}

impl NoSession {
    /// What a client is told that is not sent to sign in.
    pub fn fault(self) -> Fault {
        match self {
            Self::Stale => Fault::new(Code::SessionExpired, "the session cookie holds no valid session"),
            Self::Absent => Fault::new(Code::LoginRequired, "no session"),
        }
    }
}

/// Who the cookies say is there.
pub enum SessionState {
    /// There is no session.
    None,
    /// There is one that does not count: expired, ended, unreadable. Its cookies are deleted.
    Stale,
    /// A valid session.
    Valid(Rc<LiveSession>),
}

impl SessionState {
    /// The session, or why there is none.
    #[inline]
    pub fn live(self) -> Result<Rc<LiveSession>, NoSession> {
        match self {
            Self::Valid(live) => Ok(live),
            Self::Stale => Err(NoSession::Stale),
            Self::None => Err(NoSession::Absent),
        }
    }
}
