//! One request in, one ruling out: pass it on, answer it, read its body first, or start a flow.
//!
//! The order of the lines in [`rule`] is the order of the rules:
//!
//! 1. the account, by origin (`account`); none: 404;
//! 2. headers that no client may send are removed, on every path and in every state;
//! 3. the filter's own endpoints (`endpoints`), then the application's password logins;
//! 4. what `access` demands of the path;
//! 5. a bearer token, else the session; a recheck where it is due; then the demands.
//!
//! Invariants: a request with a valid session is decided here, synchronously and without a call. What cannot be decided
//! is refused. A new endpoint goes to `endpoints` and `config::paths`, a new rule on paths to `access`.

mod account;
mod endpoints;
mod in_step;
mod origins;
#[cfg(test)]
mod provider_tests;
mod published;
#[cfg(test)]
mod shared_origin_tests;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::access::{demand, Demand};
use crate::exchange::{unmet, Exchange, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::bearer::{self, BearerLookup};
use crate::flows::login::{self, password::Match};
use crate::flows::recheck;
use crate::flows::recheck::renewal::Due;
use crate::http::{Head, Path};
use crate::state::{AccountState, CookieCopy, FilterState, SessionState, Settled};
use account::AccountChoice;

/// Rules on a request.
#[inline]
pub fn rule(filter_state: &Rc<FilterState>, head: Rc<Head>) -> Ruling {
    let mut ruling = rule_once(filter_state, head);
    while let Ruling::Again(head) = ruling {
        ruling = rule_once(filter_state, head);
    }
    ruling
}

#[inline]
fn rule_once(filter_state: &Rc<FilterState>, head: Rc<Head>) -> Ruling {
    let now = filter_state.host.now();
    let account_states = filter_state.accounts_at(head.authority());
    let path = Path::read(head.path());
    if let Some(ruling) = bearer::metadata::answer(filter_state, account_states, &head, &path, now) {
        return ruling;
    }
    let jar = head.jar(&filter_state.config.cookies.name);
    let choice = account::choose(filter_state, account_states, &head, &path, &jar, now);
    let (account_state, session_state, copy) = match choice {
        AccountChoice::Account(account_state, session_state, copy) => (account_state, session_state, copy),
        AccountChoice::None if filter_state.is_ready_path(&path) => {
            return published::ready(filter_state, &head)
        }
        AccountChoice::None => return account::account_unknown(filter_state, &head, now),
        AccountChoice::AskUser if origins::serve_logins_alone(account_states, &head, &path) => {
            return account::account_unknown(filter_state, &head, now)
        }
        AccountChoice::AskUser => return account::ask_for_account(filter_state, &head, now),
    };
    let exchange = || exchange(filter_state, &account_state, &head, &path, now);
    if account_states.len() > 1
        && login::password::is_of_another(account_states, &account_state, &head, &path)
    {
        return login::password::refuse_of_another(&exchange());
    }
    let account = &account_state.account;
    if account.login_origin.is_some() {
        if let Some(ruling) = origins::not_at_login_origin(filter_state, account, &head, &path, now) {
            return ruling;
        }
    }
    let mut pass = Pass {
        remove: filter_state.reserved.among(head.headers()),
        upgrade: head.names_hops(),
        ..Pass::default()
    };
    if account_state.settled == Settled::Waiting {
        return unsettled(filter_state, account_states, &account_state, &head, &path, now, pass);
    }
    if !account.enabled {
        // They open sessions again once single sign-on is back on: an application that logs headers must not have them.
        pass.cookie = jar.edit(&head);
        return switched_off(filter_state, &account_state, &head, &path, now, pass);
    }
    let own = path.plain().and_then(|path| account.paths.endpoint(path));
    let differs = !path.is_too_long() && path.canonical().as_bytes() != head.path();
    if own.is_none() && differs && head.path().starts_with(b"/") {
        pass.target = Some(canonical_target(&head, &path));
    }
    // From here on the rare cases need the request as a whole.
    if let Some(endpoint) = own {
        let exchange = exchange();
        if in_step::is_unsure(filter_state, now) && in_step::concerns(&exchange, endpoint) {
            return in_step::hold_with_body(exchange);
        }
        return endpoints::answer(exchange, endpoint);
    }
    if !account.password.logins.is_empty() && !head.is_no_login.get() {
        if let Some(login) = login::password::login_at(account, &head, &path) {
            // Beside a login that is ruled on, Basic credentials would be one that is not.
            strip_credentials(account_states, &head, &mut pass);
            pass.cookie = jar.edit(&head);
            let exchange = exchange();
            if head.method() == b"POST" && in_step::is_unsure(filter_state, now) {
                return in_step::hold_with_body(exchange);
            }
            return login::password::gate(exchange, login, pass);
        }
    }
    let demand = demand(&account.access, &path, head.path(), head.method());
    if demand != Demand::Programs {
        strip_credentials(account_states, &head, &mut pass);
    }
    pass.cookie = jar.edit(&head);
    let is_optional = demand == Demand::Optional;
    let wanted = match demand {
        Demand::Anyone | Demand::Programs => return Ruling::Pass(pass),
        Demand::Optional => Vec::new(),
        Demand::Users(wanted) => wanted,
        Demand::OtherMethod(allowed) => {
            let exchange = exchange();
            return endpoints::not_allowed(&exchange, &allowed.join(", "));
        }
    };
    let bearer = bearer::lookup(filter_state, &account_state, &head, now);
    if in_step::is_unsure(filter_state, now)
        && (!matches!(bearer, BearerLookup::Absent) || matches!(session_state, SessionState::Valid(_)))
    {
        return in_step::hold(exchange());
    }
    let (session_state, copy) = match bearer {
        BearerLookup::Absent => (session_state, copy),
        BearerLookup::Valid(live) => (SessionState::Valid(live), CookieCopy::Latest),
        BearerLookup::Unknown(token, known) => {
            let exchange = exchange();
            return bearer::verify(exchange, token, known, pass);
        }
        BearerLookup::Refused(fault) => {
            let exchange = exchange();
            return Ruling::LocalReply(bearer::refuse(&exchange, &fault));
        }
    };
    let live = match session_state.live() {
        Ok(live) => live,
        Err(_) if is_optional => return Ruling::Pass(pass),
        Err(why) => {
            let exchange = exchange();
            // Of several accounts the cookie may be another's, which is not stale there.
            if account_states.len() == 1 {
                exchange.has_no_session(why);
            }
            return login::sign_in_first(exchange, why);
        }
    };
    if now >= live.checks.next() && recheck::is_needed(&account_state, &live) {
        // Before the demands: a role may have been granted or taken.
        let exchange = exchange();
        if now >= live.checks.directory() {
            return recheck::start(exchange, live, pass);
        }
        if let Due::Ruled(ruling) = recheck::renewal::due(&exchange, &live) {
            return ruling;
        }
    }
    if let Some(unmet) = unmet(&wanted, &live, now) {
        let exchange = exchange();
        return login::step_up(exchange, &live, unmet);
    }
    // A request that looks ahead gets no cookie: the user's own does.
    if (now >= live.reseal || copy == CookieCopy::Older) && !head.is_speculative() {
        pass.set_cookies = match now >= live.reseal {
            true => recheck::slide(filter_state, &live, now),
            false => recheck::cookies_of(filter_state, &live),
        };
    }
    pass.carry(&*filter_state.host, &head, live, now);
    Ruling::Pass(pass)
}

/// Single sign-on is off: everything passes, but for what lets administrators prepare it.
fn switched_off(
    filter_state: &Rc<FilterState>,
    account_state: &Rc<AccountState>,
    head: &Rc<Head>,
    path: &Path<'_>,
    now: u64,
    pass: Pass,
) -> Ruling {
    let account = &account_state.account;
    if filter_state.is_ready_path(path) {
        return published::ready(filter_state, head);
    }
    if account.self_service.is_none() {
        return Ruling::Pass(pass);
    }
    let exchange = || exchange(filter_state, account_state, head, path, now);
    if let Some(endpoint) = path.plain().and_then(|path| account.paths.endpoint(path)) {
        return endpoints::answer(exchange(), endpoint);
    }
    match login::password::login_at(account, head, path) {
        Some(Match::Exact(logins)) => login::unruled::pass(exchange(), logins, pass),
        _ => Ruling::Pass(pass),
    }
}

/// What administrators have set was not read yet, and the file may be more open than it: only what the file gives to
/// `anyone` passes, as if single sign-on were on.
fn unsettled(
    filter_state: &Rc<FilterState>,
    account_states: &[Rc<AccountState>],
    account_state: &Rc<AccountState>,
    head: &Rc<Head>,
    path: &Path<'_>,
    now: u64,
    mut pass: Pass,
) -> Ruling {
    if filter_state.is_ready_path(path) {
        return published::ready(filter_state, head);
    }
    let account = &account_state.account;
    let is_own = path.plain().is_some_and(|path| account.paths.endpoint(path).is_some());
    let is_login = login::password::login_at(account, head, path).is_some();
    let demand = demand(&account.access, path, head.path(), head.method());
    if is_own || is_login || !matches!(demand, Demand::Anyone | Demand::Programs) {
        let exchange = exchange(filter_state, account_state, head, path, now);
        let fault = Fault::new(Code::NotReady, "the account's settings have not been read yet");
        return Ruling::LocalReply(exchange.refuse(&fault));
    }
    if demand != Demand::Programs {
        strip_credentials(account_states, head, &mut pass);
    }
    pass.cookie = head.jar(&filter_state.config.cookies.name).edit(head);
    Ruling::Pass(pass)
}

fn exchange(
    filter_state: &Rc<FilterState>,
    account_state: &Rc<AccountState>,
    head: &Rc<Head>,
    path: &Path<'_>,
    now: u64,
) -> Rc<Exchange> {
    Rc::new(Exchange::new(filter_state, Some(account_state), head, path.canonical().to_owned(), now))
}

fn canonical_target(head: &Head, path: &Path<'_>) -> Vec<u8> {
    let mut target = path.canonical().as_bytes().to_vec();
    if let Some(query) = head.query() {
        target.push(b'?');
        target.extend(query);
    }
    target
}

/// Basic credentials, and others that prove a password, count on `programs` paths only: elsewhere they would be a password login that
/// nothing ruled on. Where the filter sets `authorization`, others' count there only too: beside the headers of a
/// session that has no access token they would be taken for its.
#[inline]
fn strip_credentials(account_states: &[Rc<AccountState>], head: &Head, pass: &mut Pass) {
    if !head.has_authorization() {
        return;
    }
    let is_ours = |account_state: &Rc<AccountState>| {
        account_state.account.forward.access_token.as_deref() == Some("authorization")
    };
    if head.has_password() || account_states.iter().any(is_ours) {
        pass.remove.push("authorization".into());
    }
}
