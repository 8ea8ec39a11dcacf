//! A session under way: sealed anew so that `idle` slides, and asked about again once it is older than `recheck`.
//!
//! - `asking`: the directory, asked by the background once for all requests of a session that wait.
//! - `renewal`: the use of a refresh token (RFC 6749 section 6), once over all workers and Envoys; `refresh` asks the provider.
//!
//! Invariants: hanging up changes nothing, what was begun is finished. While provider or directory are down a session goes on unchanged
//! for `recheck_grace`, and gains nothing. A recheck comes before the demands of the path.

pub mod asking;
mod claim;
mod refresh;
pub mod renewal;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::rc::Rc;

use renewal::Due;

use crate::access::Demand;
use crate::config::Directory;
use crate::exchange;
use crate::exchange::{Exchange, Outcome, Pass, Ruling};
use crate::fault::Fault;
use crate::flows::login;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::session::{self, LiveSession, Session};
use crate::state::{AccountState, FilterState};

/// True if a provider or directory must be asked.
pub fn is_needed(account_state: &AccountState, live: &LiveSession) -> bool {
    !matches!(account_state.account.directory, Directory::None) || live.session.is_renewable()
}

/// Waits for what the directory says, then lets the request pass with it.
pub fn start(exchange: Rc<Exchange>, live: Rc<LiveSession>, pass: Pass) -> Ruling {
    Ruling::flow(exchange, move |io, exchange| async move {
        match checked(&io, &exchange, &live).await? {
            Checked::Live(newer, cookies) => go_on(&io, &exchange, newer, cookies, pass).await,
            Checked::Over(_) if exchange.is_optional() => Ok(Outcome::Pass(pass)),
            Checked::Over(fault) => Ok(Outcome::LocalReply(exchange.refuse_stale(&fault))),
            Checked::Again => Ok(Outcome::Again(exchange.head.clone())),
        }
    })
}

/// The answer of one of the filter's own endpoints, with the session as it is after every check that was due.
pub fn answer<F>(
    exchange: Rc<Exchange>,
    live: Rc<LiveSession>,
    then: impl FnOnce(Io, Rc<Exchange>, Rc<LiveSession>) -> F + 'static,
) -> Ruling
where
    F: Future<Output = Result<Response, Fault>> + 'static,
{
    let needed = exchange.account_state.as_ref().is_some_and(|account_state| is_needed(account_state, &live));
    let due = needed && exchange.now >= live.checks.next();
    let directory = due && exchange.now >= live.checks.directory();
    if due && !directory {
        if let Due::Ruled(ruling) = renewal::due(&exchange, &live) {
            return ruling;
        }
    }
    Ruling::flow(exchange, move |io, exchange| async move {
        let (live, cookies) = match directory {
            true => match checked(&io, &exchange, &live).await? {
                Checked::Live(newer, cookies) => (newer, cookies),
                Checked::Over(fault) => return Ok(Outcome::LocalReply(exchange.refuse_stale(&fault))),
                Checked::Again => return Ok(Outcome::Again(exchange.head.clone())),
            },
            false => (live, Vec::new()),
        };
        let cookies = exchange.cookies_due(cookies);
        let answer = then(io, exchange, live).await?;
        Ok(Outcome::LocalReply(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie))))
    })
}

/// What the directory's verdict means for a request.
enum Checked {
    /// It goes on with this state, of which the browser gets these cookies.
    Live(Rc<LiveSession>, Vec<String>),
    /// The session is over.
    Over(Fault),
    /// It is ruled on anew: the session's provider may be due as well.
    Again,
}

async fn checked(io: &Io, exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Result<Checked, Fault> {
    match asking::directory_asked(io, exchange, live).await {
        Ok(_) if live.session.is_renewable() => Ok(Checked::Again),
        Ok(newer) if Rc::ptr_eq(&newer, live) => Ok(Checked::Live(newer, Vec::new())),
        Ok(newer) => {
            let cookies = cookies_of(&exchange.filter_state, &newer);
            Ok(Checked::Live(newer, cookies))
        }
        Err(fault) if fault.status() >= 500 => Err(fault),
        Err(fault) => Ok(Checked::Over(fault)),
    }
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
            pass.carry(io.host(), &exchange.head, live, io.now());
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
    let Some(session) = filter_state.whole(live) else { return Vec::new() };
    match reseal(filter_state, live, Session { seen: now, ..session }) {
        Ok(Some((_, cookies))) => cookies,
        _ => Vec::new(),
    }
}

/// The `set-cookie` values of a session as it is.
pub fn cookies_of(filter_state: &FilterState, live: &LiveSession) -> Vec<String> {
    let sealed = std::str::from_utf8(&live.sealed).unwrap_or_default();
    session::set_cookies(&filter_state.config.cookies, sealed, left(filter_state, live))
}

/// How long it lasts without another request, milliseconds.
fn left(filter_state: &FilterState, live: &LiveSession) -> u64 {
    live.expires.saturating_sub(filter_state.host.now())
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
    if newer.session.checked == live.session.checked {
        newer.checks.put_off_directory(live.checks.directory());
    }
    let newer = Rc::new(newer);
    *live.successor.borrow_mut() = Some(newer.clone());
    filter_state.live_sessions.put(newer.clone(), filter_state.host.now());
    let cookies =
        session::set_cookies(&filter_state.config.cookies, &sealed.text, left(filter_state, &newer));
    Ok(Some((newer, cookies)))
}
