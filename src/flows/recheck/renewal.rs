//! A session with a refresh token, renewed: asked about at the IdP and the directory in one go, once for one
//! session whatever arrives beside it.
//!
//! No request does it. The first one that finds it due claims it in the shared data, leaves it to the background,
//! where a browser that goes away cannot take the new tokens along, and waits. Others go on with the session
//! as it is while that is good enough, or wait too; then all are ruled on again, with the session as it is by
//! then (docs/decisions/009-one-renewal.md).

use std::rc::Rc;

use super::claim::{renew_once, LEASE};
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login;
use crate::host::events;
use crate::host::task::Lane;
use crate::host::{random, Level};
use crate::session::renewals::{self, State};
use crate::session::LiveSession;
use crate::state::{FilterState, NoSession};

/// A request waits for one no longer than this.
const PATIENCE: u64 = 30_000;
/// Beside one that runs, a request of another worker looks again so often.
const GLANCE: u64 = 200;
/// Replicas draw lots for who renews a session that is in use, over at most so long.
const SPREAD: u64 = 5_000;

/// What becomes of a request whose session is due.
pub enum Due {
    /// It goes on with the session as it is.
    GoOn,
    /// Anything else.
    Ruled(Ruling),
}

/// Looks after a session with a refresh token that is due. Never waits, never asks.
pub fn due(exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Due {
    let (filter_state, now) = (&exchange.filter_state, exchange.now);
    let host = &*filter_state.host;
    let go_on_until = |until| {
        live.checks.put_off_provider(until);
        Due::GoOn
    };
    match renewals::look(host, live.renewal, now) {
        State::Done(sealed) if filter_state.adopt(live, &sealed) => {
            Due::Ruled(Ruling::Again(exchange.head.clone()))
        }
        // The configuration does not let it be any longer.
        State::Done(_) => over(exchange, live, "its newer state is no longer valid here"),
        State::Ended(code) => ended(exchange, live, code),
        State::Refused(until) => go_on_until(until),
        State::Failed(code, until) => {
            let settings = &filter_state.config.session;
            let graced = live.session.graced_until(settings, &live.account);
            match now < graced {
                true => go_on_until(until.min(graced)),
                false => {
                    let code = code.unwrap_or(Code::IdpUnavailable);
                    let detail =
                        "recheck_grace is over and the session could not be renewed: see the line before";
                    Due::Ruled(Ruling::LocalReply(exchange.refuse(&Fault::new(code, detail))))
                }
            }
        }
        State::Running if is_good_enough(filter_state, live, now) => go_on_until(now.saturating_add(GLANCE)),
        State::Running => Due::Ruled(wait(exchange.clone(), live.clone())),
        State::Nothing => begin(exchange, live),
    }
}

fn begin(exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Due {
    let (filter_state, now) = (&exchange.filter_state, exchange.now);
    let host = &*filter_state.host;
    let Some(session) = filter_state.whole(live) else {
        return over(exchange, live, "its tokens cannot be read again");
    };
    if session.tokens.refresh_token.as_ref().is_some_and(|token| renewals::is_spent(host, token, now)) {
        return over(
            exchange,
            live,
            "its refresh token was used or refused, and what came of it is not known here",
        );
    }
    let shares = filter_state.replicas.as_ref().is_some_and(|replicas| replicas.is_in_step(host, now));
    if !shares && is_good_enough(filter_state, live, now) && !live.spread.replace(true) {
        // Requests of one moment reach several replicas, which know nothing of each other. The one that draws the
        // shortest delay renews the session; by the time the others would, the browser has the new cookie.
        let most = (filter_state.config.session.recheck / 16).min(SPREAD);
        let drawn = random::<2>(host).map(u16::from_le_bytes).unwrap_or_default();
        let delay = u64::from(drawn) % most.max(1);
        if delay > 0 {
            live.checks.put_off_provider(now.saturating_add(delay));
            return Due::GoOn;
        }
    }
    if renewals::claim(host, live.renewal, now, now.saturating_add(LEASE)) {
        let Ok((account_state, _)) = exchange.site_and_origin() else { return Due::GoOn };
        let (filter_state, live) = (filter_state.clone(), live.clone());
        let lane = Lane::new(&account_state.account.code, &live.session.origin.provider);
        exchange.io().spawn(lane, |io| async move {
            renew_once(&io, &filter_state, &account_state, &live, &session).await;
            Ok(())
        });
    }
    Due::Ruled(wait(exchange.clone(), live.clone()))
}

/// The newer state of a session, where another worker has made one.
pub fn renewed_elsewhere(
    filter_state: &FilterState,
    live: &Rc<LiveSession>,
    now: u64,
) -> Option<Rc<LiveSession>> {
    if !live.session.is_renewable() {
        return None;
    }
    match renewals::look(&*filter_state.host, live.renewal, now) {
        State::Done(sealed) if filter_state.adopt(live, &sealed) => live.successor.borrow().clone(),
        _ => None,
    }
}

/// While it is being renewed, a session in use goes on as it is: until its grace or its access token ends, and
/// no longer than one more `recheck`, so that a user who comes back after hours waits for what is true now.
fn is_good_enough(filter_state: &FilterState, live: &LiveSession, now: u64) -> bool {
    let settings = &filter_state.config.session;
    let until = live.session.graced_until(settings, &live.account);
    now < until.min(live.due.saturating_add(settings.recheck)).min(live.token_expires)
}

/// Parks the request until there is news, then rules on it again.
fn wait(exchange: Rc<Exchange>, live: Rc<LiveSession>) -> Ruling {
    let begun = exchange.now;
    Ruling::Wait(Box::new(move || {
        let filter_state = &exchange.filter_state;
        let now = filter_state.host.now();
        let news = renewals::look(&*filter_state.host, live.renewal, now);
        match news {
            State::Running if now.saturating_sub(begun) < PATIENCE => None,
            State::Running => {
                let fault = Fault::new(Code::IdpTimeout, "the session's renewal takes too long");
                Some(Ruling::LocalReply(exchange.refuse(&fault)))
            }
            State::Ended(code) => match ended(&exchange, &live, code) {
                Due::Ruled(ruling) => Some(ruling),
                Due::GoOn => None,
            },
            _ => Some(Ruling::Again(exchange.head.clone())),
        }
    }))
}

fn over(exchange: &Rc<Exchange>, live: &LiveSession, why: &str) -> Due {
    live.over.set(true);
    events::notice(
        &*exchange.filter_state.host,
        live.session.place(exchange.place()),
        Level::Info,
        &format!("a session is over: {why}"),
    );
    if exchange.is_optional() {
        return Due::Ruled(Ruling::Again(exchange.head.clone()));
    }
    Due::Ruled(login::sign_in_first(exchange.clone(), NoSession::Stale))
}

/// The session ended while its renewal was waited for.
fn ended(exchange: &Rc<Exchange>, live: &LiveSession, code: Option<Code>) -> Due {
    live.over.set(true);
    Due::Ruled(match code {
        // As a request without a session.
        _ if exchange.is_optional() => Ruling::Again(exchange.head.clone()),
        Some(code) => {
            let detail = format!("the session of {:?} ended at its recheck", live.session.user.username);
            Ruling::LocalReply(exchange.refuse_stale(&Fault::new(code, detail)))
        }
        None => login::sign_in_first(exchange.clone(), NoSession::Stale),
    })
}
