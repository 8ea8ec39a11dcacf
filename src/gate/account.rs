//! Which account a request is for.

use std::rc::Rc;

use super::published;
use crate::access::{demand, Demand};
use crate::config::Endpoint;
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::bearer::{self, Named};
use crate::flows::login;
use crate::flows::logout;
use crate::http::query::{self, Param};
use crate::http::{Head, Jar, Path};
use crate::session::LiveSession;
use crate::state::{AccountState, CookieCopy, FilterState, SessionState};

/// The account, or that there is none.
pub enum AccountChoice {
    /// This one, who is there, and the copy of the session that its cookies hold.
    Account(Rc<AccountState>, SessionState, CookieCopy),
    /// No account is served here.
    None,
    /// Several accounts are, and nothing says which.
    AskUser,
}

/// The account: the one whose origin was asked for; where several share it the one that `u` names at
/// the filter's own endpoints, else the session's.
#[inline]
pub fn choose(
    filter_state: &FilterState,
    account_states: &[Rc<AccountState>],
    head: &Head,
    path: &Path<'_>,
    jar: &Jar<'_>,
    now: u64,
) -> AccountChoice {
    match account_states {
        [] => AccountChoice::None,
        [account_state] => {
            let (session_state, copy) = match account_state.account.enabled {
                true => filter_state.session_and_age(account_states, jar, now),
                false => (SessionState::None, CookieCopy::Latest),
            };
            // A response made for `u=a` is nothing to `u=b`, also where `b` has an origin of its own.
            match named(account_states, head, path) {
                Named::Unknown => AccountChoice::None,
                _ => AccountChoice::Account(account_state.clone(), session_state, copy),
            }
        }
        several => {
            let (session_state, copy) = filter_state.session_and_age(several, jar, now);
            match named(several, head, path) {
                Named::Account(account_state) => {
                    let session_state = match session_state {
                        SessionState::Valid(live) if !Rc::ptr_eq(&live.account, &account_state.account) => {
                            SessionState::None
                        }
                        other => other,
                    };
                    AccountChoice::Account(account_state.clone(), session_state, copy)
                }
                Named::Unknown => AccountChoice::None,
                Named::Nothing => match (bearer::named(several, head), &session_state) {
                    // A token says for whom it is, and is verified there. Where that account would not ask for one
                    // its claims are ignored: without verification they may be forged.
                    (Named::Account(account_state), _)
                        if is_verified_at(account_state, several, head, path) =>
                    {
                        AccountChoice::Account(account_state.clone(), SessionState::None, CookieCopy::Latest)
                    }
                    (Named::Account(_), SessionState::Valid(live)) => of_session(several, live, copy),
                    // A token that is for none of them: not even beside a session.
                    (Named::Unknown, _) => shared_by_all(several, path, head),
                    (Named::Nothing, SessionState::Valid(live)) => of_session(several, live, copy),
                    _ => shared_by_all(several, path, head),
                },
            }
        }
    }
}

fn of_session(
    account_states: &[Rc<AccountState>],
    live: &Rc<LiveSession>,
    copy: CookieCopy,
) -> AccountChoice {
    let account_state =
        account_states.iter().find(|account_state| Rc::ptr_eq(&account_state.account, &live.account));
    let session_state = SessionState::Valid(live.clone());
    account_state.cloned().map_or(AccountChoice::AskUser, |account_state| {
        AccountChoice::Account(account_state, session_state, copy)
    })
}

/// True where a token for this account is verified before anything passes: on a path of `users` or `optional` that is
/// not a password login.
fn is_verified_at(
    account_state: &AccountState,
    account_states: &[Rc<AccountState>],
    head: &Head,
    path: &Path<'_>,
) -> bool {
    let demand = demand(&account_state.account.access, path, head.path(), head.method());
    !matches!(demand, Demand::Anyone | Demand::Programs) && !is_login(account_states, head, path)
}

/// True where a request is a password login of any of these accounts.
fn is_login(account_states: &[Rc<AccountState>], head: &Head, path: &Path<'_>) -> bool {
    account_states
        .iter()
        .any(|account_state| login::password::login_at(&account_state.account, head, path).is_some())
}

/// What `u` says at one of the filter's own endpoints: nothing, an account, or one that is not here.
#[inline]
fn named<'a>(account_states: &'a [Rc<AccountState>], head: &Head, path: &Path<'_>) -> Named<'a> {
    let Some(path) = path.plain() else { return Named::Nothing };
    let endpoint = |account_state: &&Rc<AccountState>| account_state.account.paths.endpoint(path).is_some();
    if !account_states.iter().any(|account_state| endpoint(&account_state)) {
        return Named::Nothing;
    }
    if let Some(query) = head.query() {
        let [named] = query::params(query, ["u"]);
        if named != Param::Absent {
            let code = named.text();
            let is_meant =
                |account_state: &&Rc<AccountState>| Some(&account_state.account.code) == code.as_ref();
            return account_states.iter().find(is_meant).into();
        }
    }
    // A callback path that holds the code, or belongs to one account only.
    let mut own = account_states.iter().filter(endpoint);
    match (own.next(), own.next()) {
        (Some(only), None) => Named::Account(only),
        _ => Named::Nothing,
    }
}

/// Several accounts on one origin and no session: what all of them let pass, passes.
fn shared_by_all(account_states: &[Rc<AccountState>], path: &Path<'_>, head: &Head) -> AccountChoice {
    let open = |account_state: &Rc<AccountState>| {
        !account_state.account.enabled
            || matches!(
                demand(&account_state.account.access, path, head.path(), head.method()),
                Demand::Anyone | Demand::Optional | Demand::Programs
            )
    };
    match account_states.first() {
        Some(account_state) if account_states.iter().all(open) && !is_login(account_states, head, path) => {
            AccountChoice::Account(account_state.clone(), SessionState::None, CookieCopy::Latest)
        }
        _ => AccountChoice::AskUser,
    }
}

/// The refusal if no account is served.
pub fn account_unknown(filter_state: &Rc<FilterState>, head: &Rc<Head>, now: u64) -> Ruling {
    let host: String = String::from_utf8_lossy(head.authority()).chars().take(100).collect();
    let accounts = filter_state.config.accounts.iter();
    let known: Vec<String> = accounts.flat_map(|account| account.origins_as_written()).take(10).collect();
    let detail = format!("no account is served at {host:?}; origins are {}", known.join(", "));
    unknown(filter_state, head, now, detail)
}

/// The refusal where what was asked for is not served.
pub fn unknown(filter_state: &Rc<FilterState>, head: &Rc<Head>, now: u64, detail: String) -> Ruling {
    let fault = Fault::new(Code::AccountUnknown, detail);
    let exchange = Exchange::new(filter_state, None, head, String::new(), now).unsure();
    Ruling::LocalReply(exchange.refuse(&fault))
}

/// Several accounts are served here, and nothing says which.
pub fn ask_for_account(filter_state: &Rc<FilterState>, head: &Rc<Head>, now: u64) -> Ruling {
    let account_states = filter_state.accounts_at(head.authority());
    let path = Path::read(head.path()).canonical().to_owned();
    let mut enabled = account_states.iter().filter(|account_state| account_state.account.enabled);
    let exchange =
        |account_state| Exchange::new(filter_state, account_state, head, path.clone(), now).unsure();
    match enabled.clone().find_map(|account_state| account_state.account.paths.endpoint(&path)) {
        Some(Endpoint::Ready) => return published::ready(filter_state, head),
        Some(Endpoint::Jwks) => return Ruling::LocalReply(published::jwks(&exchange(None))),
        _ => {}
    }
    // A user who has just signed out has no account, and is not asked for one on the way out.
    let is_out = |account_state: &&Rc<AccountState>| {
        account_state.account.paths.endpoint(&path) == Some(Endpoint::LogoutComplete)
    };
    if let Some(account_state) = enabled.clone().find(is_out) {
        let left = logout::left_from(filter_state, head);
        let left = enabled.find(|account_state| Some(&account_state.account.code) == left.as_ref());
        return Ruling::LocalReply(logout::complete(&exchange(left.or(Some(account_state)))));
    }
    let exchange = exchange(enabled.next());
    if exchange.head.is_navigation() {
        return Ruling::LocalReply(login::page::ask_for_account(&exchange));
    }
    let fault = Fault::new(Code::LoginRequired, "several accounts are served here and there is no session");
    Ruling::LocalReply(exchange.refuse(&fault))
}
