//! A session under way: sealed anew so that `idle` slides, and asked about again once it is older than `recheck`:
//! at the directory here, at the IdP by `renewal` where there is a refresh token.

mod refresh;
pub mod renewal;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::rc::Rc;

use renewal::Due;

use crate::access::Demand;
use crate::config::Directory;
use crate::directory;
use crate::exchange;
use crate::exchange::{Exchange, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::session::{self, LiveSession, Session};
use crate::state::{AccountState, FilterState};

/// Milliseconds: one look-up for one session, whatever arrives beside it.
const ONE_ASKS: u64 = 5_000;

/// True where there is anybody to ask.
pub fn is_needed(account_state: &AccountState, live: &LiveSession) -> bool {
    !matches!(account_state.account.directory, Directory::None) || live.session.is_renewable()
}

/// Asks the directory, then lets the request pass with what it says.
pub fn start(exchange: Rc<Exchange>, live: Rc<LiveSession>, pass: Pass) -> Ruling {
    one_asks(&exchange, &live);
    Ruling::flow(exchange, move |io, exchange| async move { recheck(&io, &exchange, &live, pass).await })
}

/// The answer of one of the filter's own endpoints, with the session as it is once whoever is due was asked again.
pub fn answer<F>(
    exchange: Rc<Exchange>,
    live: Rc<LiveSession>,
    then: impl FnOnce(Io, Rc<Exchange>, Rc<LiveSession>) -> F + 'static,
) -> Ruling
where
    F: Future<Output = Result<Response, Fault>> + 'static,
{
    let needed = exchange.account_state.as_ref().is_some_and(|account_state| is_needed(account_state, &live));
    let due = needed && exchange.now >= live.recheck.get();
    if due && live.session.is_renewable() {
        if let Due::Ruled(ruling) = renewal::due(&exchange, &live) {
            return ruling;
        }
    }
    let directory = due && !live.session.is_renewable();
    if directory {
        one_asks(&exchange, &live);
    }
    Ruling::flow(exchange, move |io, exchange| async move {
        let (mut live, mut cookies) = (live, Vec::new());
        if directory {
            match recheck(&io, &exchange, &live, Pass::default()).await? {
                Outcome::Pass(pass) => {
                    cookies = pass.set_cookies;
                    live = pass.live.unwrap_or(live);
                }
                answer => return Ok(answer),
            }
        }
        let cookies = exchange.cookies_due(cookies);
        let answer = then(io, exchange, live).await?;
        Ok(Outcome::LocalReply(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie))))
    })
}

/// While this request asks, others go on with what is known; past the grace nobody does, not even beside one who asks.
pub fn one_asks(exchange: &Exchange, live: &LiveSession) {
    let until = live.session.graced_until(&exchange.filter_state.config.session, &live.account);
    if exchange.now < until {
        live.recheck.set(exchange.now.saturating_add(ONE_ASKS).min(until));
    }
}

/// What becomes of a request of this session: `Pass` with the session as it is now, or an answer.
pub async fn recheck(
    io: &Io,
    exchange: &Exchange,
    live: &Rc<LiveSession>,
    pass: Pass,
) -> Result<Outcome, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let filter_state = &exchange.filter_state;
    let session = &live.session;
    let user = match directory::recheck(io, &account_state.account, &account_state.directory, &session.user)
        .await
    {
        Ok(Some(user)) => user,
        Ok(None) => {
            // Deactivated or gone: every copy of the session ends with it.
            let until = session.ends(&filter_state.config.session);
            live.mark.end(io.host(), until);
            events::session_ended(
                io.host(),
                Place { user: Some(&session.user.username), ..exchange.place() },
                "user_inactive",
            );
            if exchange.is_optional() {
                return Ok(Outcome::Pass(pass));
            }
            let fault =
                Fault::new(Code::UserInactive, format!("{:?} is no longer active", session.user.username));
            return Ok(Outcome::LocalReply(exchange.refuse_stale(&fault)));
        }
        Err(fault) => {
            // Nobody gets more than they had while the directory cannot be asked, nor for longer.
            let until = live.session.graced_until(&filter_state.config.session, &live.account);
            if io.now() >= until {
                return Err(fault);
            }
            events::notice(
                io.host(),
                exchange.place(),
                crate::host::Level::Warn,
                &format!("a session goes on unchecked: {}", fault.detail),
            );
            return go_on(io, exchange, live.clone(), Vec::new(), pass).await;
        }
    };
    let now = io.now();
    let session = Session { user, checked: now, seen: now, ..session.clone() };
    let Some((newer, cookies)) = reseal(filter_state, live, session)? else {
        if exchange.is_optional() {
            return Ok(Outcome::Pass(pass));
        }
        let fault = Fault::new(
            Code::SessionExpired,
            "its user no longer has the role that lets a password session be",
        );
        return Ok(Outcome::LocalReply(exchange.refuse_stale(&fault)));
    };
    go_on(io, exchange, newer, cookies, pass).await
}

/// The request, judged by what the session is now.
pub async fn go_on(
    io: &Io,
    exchange: &Exchange,
    live: Rc<LiveSession>,
    cookies: Vec<String>,
    mut pass: Pass,
) -> Result<Outcome, Fault> {
    let cookies = exchange.cookies_due(cookies);
    // The filter's own endpoints judge for themselves.
    let unmet = match exchange.demand() {
        Some(Demand::Users(demands)) => exchange::unmet(&demands, &live, io.now()),
        _ => None,
    };
    let answer = match unmet {
        None => {
            pass.set_cookies = cookies;
            pass.carry(live, io.now());
            return Ok(Outcome::Pass(pass));
        }
        Some(unmet) => match exchange::step_up_target(exchange, &live, &unmet) {
            Some((target, parameters)) => {
                login::start_login(io, exchange, &live.session.origin.provider, target, parameters).await?
            }
            None => exchange::refuse(exchange, &live, &unmet),
        },
    };
    Ok(Outcome::LocalReply(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie))))
}

/// The session with this request as its last: `set-cookie` values, none where sealing fails (the session
/// goes on as it was).
pub fn slide(filter_state: &FilterState, live: &Rc<LiveSession>, now: u64) -> Vec<String> {
    // An older state must not be written over the one that another worker has renewed meanwhile.
    if let Some(newer) = renewal::renewed_elsewhere(filter_state, live, now) {
        return cookies_of(filter_state, &newer);
    }
    let session = Session { seen: now, ..live.session.clone() };
    match reseal(filter_state, live, session) {
        Ok(Some((_, cookies))) => cookies,
        _ => Vec::new(),
    }
}

/// The `set-cookie` values of a session as it is.
pub fn cookies_of(filter_state: &FilterState, live: &LiveSession) -> Vec<String> {
    let sealed = std::str::from_utf8(&live.sealed).unwrap_or_default();
    session::set_cookies(&filter_state.config.cookies, sealed)
}

/// A newer state of a session and its `set-cookie` values.
type Resealed = (Rc<LiveSession>, Vec<String>);

/// Seals a newer state of a session, which older copies of its cookie lead to from now on. `None`: the
/// configuration does not let it be any longer.
pub(super) fn reseal(
    filter_state: &FilterState,
    live: &Rc<LiveSession>,
    session: Session,
) -> Result<Option<Resealed>, Fault> {
    let sealed = session.seal(&*filter_state.host, &filter_state.config, &live.account)?;
    let (account, user) = (Some(live.account.code.as_str()), Some(sealed.session.user.username.as_str()));
    events::left_out(&*filter_state.host, Place { account, user, ..Place::default() }, &sealed.left_out);
    let Some(newer) = filter_state.admit(&live.account, sealed.session, sealed.text.as_bytes().into()) else {
        return Ok(None);
    };
    let newer = Rc::new(newer);
    *live.successor.borrow_mut() = Some(newer.clone());
    filter_state.live_sessions.put(newer.clone());
    Ok(Some((newer, session::set_cookies(&filter_state.config.cookies, &sealed.text))))
}
