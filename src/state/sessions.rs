//! From cookies to a session that counts now: opened, admitted by the configuration that holds, and remembered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{AccountState, FilterState};
use crate::config::{Account, Directory};
use crate::directory;
use crate::fault::{Code, Fault};
use crate::http::{Found, Jar};
use crate::session::{ended, renewals, LiveSession, Method, Purpose, Session};

impl FilterState {
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
        let (code, session) = self.read(text)?;
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

    /// A remembered session with its tokens, and all else that requests do not need. `None` if its envelope does not open, which every opened one did: without its
    /// tokens a session must not be sealed anew, since it would no longer be checked with its provider.
    pub fn whole(&self, live: &LiveSession) -> Option<Session> {
        if live.session.method == Method::Bearer {
            return Some(live.session.clone());
        }
        let (_, session) = self.read(std::str::from_utf8(&live.sealed).ok()?)?;
        // What the directory or the configuration grants today.
        Some(Session { user: live.session.user.clone(), ..session })
    }

    /// The account and the session in an envelope.
    fn read(&self, sealed: &str) -> Option<(String, Session)> {
        let (code, plain) = self.config.session.keys.open(Purpose::Session, sealed)?;
        Some((code, Session::from_bytes(&plain)?))
    }

    /// A session as requests need it, if the configuration lets it be: its account and provider are still
    /// there, no cut ended it, and its way in is still open.
    pub fn admit(&self, account: &Rc<Account>, session: Session, sealed: Box<[u8]>) -> Option<LiveSession> {
        // An SSO session alone has a provider that may have changed.
        let of_provider = match session.method {
            Method::Sso => self.is_of_its_provider(account, &session),
            Method::Password | Method::Bearer => Some(true),
        };
        let way_in = match session.method {
            Method::Sso => of_provider != Some(false),
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
        let mut mark = ended::Mark::of(&account.code, &session);
        mark.shared = self.replicas.is_some();
        mark.remember(&*self.host, session.ends(&self.config.session));
        let due = session.provider_check(&self.config.session, account);
        let forwarded = account.forward.access_token.is_some() && session.tokens.access_token.is_some();
        let renewal = renewals::Id::of(&session);
        let headers = crate::session::headers::for_application(account, &session);
        let verdicts = crate::session::conditions::verdicts(account, &session);
        // A bearer token is its own envelope.
        let session = if session.method == Method::Bearer { session } else { session.set_aside() };
        Some(LiveSession {
            sealed,
            account: account.clone(),
            mark,
            verdicts,
            headers,
            renewal,
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
            is_provisional: Cell::new(of_provider.is_none()),
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

impl From<NoSession> for SessionState {
    fn from(why: NoSession) -> Self {
        match why {
            NoSession::Absent => Self::None,
            NoSession::Stale => Self::Stale,
        }
    }
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
