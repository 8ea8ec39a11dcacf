//! A session with a refresh token, renewed: asked about at the IdP and the directory in one go, once for one
//! session whatever arrives beside it.
//!
//! No request does it. Whoever finds it due first claims it in the shared data, leaves it to the background,
//! where a browser that goes away cannot take the new tokens along, and waits. Others go on with the session
//! as it is while that is good enough, or wait too; then all are ruled on again, with the session as it is by
//! then (docs/decisions/009-one-renewal.md).

use std::rc::Rc;

use super::refresh::renew;
use crate::exchange::{Asked, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login;
use crate::host::events;
use crate::host::task::Chore;
use crate::host::task::Task;
use crate::host::{random, Level};
use crate::session::renewals::{self, Id, State};
use crate::session::Opened;
use crate::state::World;

/// A renewal that has not ended by then died with its worker.
const LEASE: u64 = 60_000;
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
pub fn due(asked: &Rc<Asked>, opened: &Rc<Opened>) -> Due {
    let (world, now) = (&asked.world, asked.now);
    let host = &*world.host;
    let id = Id::of(&opened.session);
    let go_on_until = |until| {
        opened.recheck.set(until);
        Due::GoOn
    };
    match renewals::look(host, id, now) {
        State::Done(sealed) if world.adopt(opened, &sealed) => Due::Ruled(Ruling::Again(asked.head.clone())),
        // The configuration does not let it be any longer.
        State::Done(_) => over(asked, opened, "its newer state is no longer valid here"),
        State::Ended(code) => ended(asked, opened, code),
        State::Refused(until) => go_on_until(until),
        State::Failed(code, until) => {
            let settings = &world.config.session;
            let graced = opened.session.graced_until(settings, &opened.account);
            match now < graced {
                true => go_on_until(until.min(graced)),
                false => {
                    let code = code.unwrap_or(Code::IdpUnavailable);
                    let detail =
                        "recheck_grace is over and the session could not be renewed: see the line before";
                    Due::Ruled(Ruling::Answer(asked.refuse(&Fault::new(code, detail))))
                }
            }
        }
        State::Running if is_good_enough(world, opened, now) => go_on_until(now.saturating_add(GLANCE)),
        State::Running => Due::Ruled(wait(asked.clone(), opened.clone(), id)),
        State::Nothing => begin(asked, opened, id),
    }
}

fn begin(asked: &Rc<Asked>, opened: &Rc<Opened>, id: Id) -> Due {
    let (world, now) = (&asked.world, asked.now);
    let host = &*world.host;
    let session = &opened.session;
    if session.tokens.refresh_token.as_ref().is_some_and(|token| renewals::is_spent(host, token, now)) {
        return over(
            asked,
            opened,
            "its refresh token was used or refused, and what came of it is not known here",
        );
    }
    if is_good_enough(world, opened, now) && !opened.spread.replace(true) {
        // Requests of one moment reach several replicas, which know nothing of each other. Whoever draws the
        // shortest delay renews the session; by the time the others would, the browser has the new cookie.
        let most = (world.config.session.recheck / 16).min(SPREAD);
        let drawn = random::<2>(host).map(u16::from_le_bytes).unwrap_or_default();
        let delay = u64::from(drawn) % most.max(1);
        if delay > 0 {
            opened.recheck.set(now.saturating_add(delay));
            return Due::GoOn;
        }
    }
    if renewals::claim(host, id, now, now.saturating_add(LEASE)) {
        let Ok((site, _)) = asked.site_and_origin() else { return Due::GoOn };
        let (ask, world, opened) = (world.ask(), world.clone(), opened.clone());
        let provider = opened.session.origin.provider.clone();
        let flow = {
            let ask = ask.clone();
            async move {
                renew(&ask, &world, &site, &opened, id).await;
                Ok(())
            }
        };
        asked.world.errands.borrow_mut().push(Chore::errand(Task::new(ask, flow), provider));
    }
    Due::Ruled(wait(asked.clone(), opened.clone(), id))
}

/// The newer state of a session, where another worker has made one.
pub fn renewed_elsewhere(world: &World, opened: &Rc<Opened>, now: u64) -> Option<Rc<Opened>> {
    if !opened.session.is_renewable() {
        return None;
    }
    match renewals::look(&*world.host, Id::of(&opened.session), now) {
        State::Done(sealed) if world.adopt(opened, &sealed) => opened.successor.borrow().clone(),
        _ => None,
    }
}

/// While somebody renews it, a session in use goes on as it is: until its grace or its access token ends, and
/// no longer than one more `recheck`, so that whoever comes back after hours waits for what is true now.
fn is_good_enough(world: &World, opened: &Opened, now: u64) -> bool {
    let settings = &world.config.session;
    let until = opened.session.graced_until(settings, &opened.account);
    now < until.min(opened.due.saturating_add(settings.recheck)).min(opened.token_expires)
}

/// Parks the request until there is news, then rules on it again.
fn wait(asked: Rc<Asked>, opened: Rc<Opened>, id: Id) -> Ruling {
    let begun = asked.now;
    Ruling::Wait(Box::new(move || {
        let world = &asked.world;
        let now = world.host.now();
        let news = renewals::look(&*world.host, id, now);
        match news {
            State::Running if now.saturating_sub(begun) < PATIENCE => None,
            State::Running => {
                let fault = Fault::new(Code::IdpTimeout, "the session's renewal takes too long");
                Some(Ruling::Answer(asked.refuse(&fault)))
            }
            State::Ended(code) => match ended(&asked, &opened, code) {
                Due::Ruled(ruling) => Some(ruling),
                Due::GoOn => None,
            },
            _ => Some(Ruling::Again(asked.head.clone())),
        }
    }))
}

fn over(asked: &Rc<Asked>, opened: &Opened, why: &str) -> Due {
    opened.over.set(true);
    events::notice(
        &*asked.world.host,
        opened.session.place(asked.place()),
        Level::Info,
        &format!("a session is over: {why}"),
    );
    Due::Ruled(login::sign_in_first(asked.clone(), true))
}

/// The session ended while its renewal was waited for.
fn ended(asked: &Rc<Asked>, opened: &Opened, code: Option<Code>) -> Due {
    opened.over.set(true);
    Due::Ruled(match code {
        Some(code) => {
            let detail = format!("the session of {:?} ended at its recheck", opened.session.user.username);
            Ruling::Answer(asked.refuse_stale(&Fault::new(code, detail)))
        }
        None => login::sign_in_first(asked.clone(), true),
    })
}
