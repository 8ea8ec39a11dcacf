//! A session's user, asked about at the directory: by the background, once for all requests that wait.
//!
//! A browser that hangs up takes nothing along: the check is finished, and its verdict holds for the next request. Until
//! there is one, no request of the session goes on (docs/decisions/011-nothing-dies-with-a-client.md).

use std::future::Future;
use std::rc::Rc;

use super::{renewal, reseal};
use crate::config::Directory;
use crate::directory;
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::host::events;
use crate::host::task::{Io, Lane};
use crate::host::Level;
use crate::session::checks::Asking;
use crate::session::{LiveSession, Method, Session};

/// Milliseconds: after a check that failed, a session within its grace is not asked about for so long.
pub const BACK_OFF: u64 = 2_000;

/// The newest state of a session, or why it may not go on.
pub type Verdict = Result<Rc<LiveSession>, Fault>;

/// Leaves a check of this session to the background unless one is under way, and waits for its verdict.
pub async fn asked<F>(io: &Io, live: &Rc<LiveSession>, lane: Lane, check: impl FnOnce(Io) -> F) -> Verdict
where
    F: Future<Output = Verdict> + 'static,
{
    let under_way = live.asking.borrow().clone();
    let asking = under_way.unwrap_or_else(|| {
        let asking: Rc<Asking<Rc<LiveSession>>> = Rc::default();
        *live.asking.borrow_mut() = Some(asking.clone());
        let answering = Answering { live: live.clone(), asking: asking.clone() };
        io.spawn(lane, |io| {
            let check = check(io);
            async move {
                answering.asking.answer(check.await);
                Ok(())
            }
        });
        asking
    });
    let told = asking.clone();
    io.until(move || told.is_done()).await;
    asking.verdict().unwrap_or_else(|| Err(Fault::new(Code::NotReady, "a check has no verdict")))
}

/// Ends a check, also one that is dropped: who waits for it must not wait for ever.
struct Answering {
    live: Rc<LiveSession>,
    asking: Rc<Asking<Rc<LiveSession>>>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        *self.live.asking.borrow_mut() = None;
        self.asking.answer(Err(Fault::new(Code::NotReady, "a check of the session was given up")));
    }
}

/// Asks the directory about the user of a session that is due.
pub async fn directory_asked(io: &Io, exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Verdict {
    let lane = Lane::new(&live.account.code, "directory");
    let (exchange, session) = (exchange.clone(), live.clone());
    asked(io, live, lane, |io| async move { check(&io, &exchange, &session).await }).await
}

async fn check(io: &Io, exchange: &Exchange, live: &Rc<LiveSession>) -> Verdict {
    let (account_state, _) = exchange.site_and_origin()?;
    let (filter_state, session) = (&exchange.filter_state, &live.session);
    let settings = &filter_state.config.session;
    if let Directory::Scim(server) = &account_state.account.directory {
        // However many pages it answers with.
        io.set_deadline(io.now().saturating_add(server.timeout));
    }
    let found = directory::recheck(io, &account_state.account, &account_state.directory, &session.user).await;
    let now = io.now();
    let user = match found {
        Ok(Some(user)) => user,
        Ok(None) => {
            // Deactivated or gone: every copy of the session ends with it.
            live.mark.end(io.host(), session.ends(settings));
            events::session_ended(io.host(), session.place(exchange.place()), "user_inactive");
            filter_state.tell(io, exchange.place()).await;
            let detail = format!("{:?} is no longer active", session.user.username);
            return Err(Fault::new(Code::UserInactive, detail));
        }
        Err(fault) => {
            // While the directory cannot be asked a user keeps what they had, no more and no longer.
            let until = session.graced_until(settings, &live.account);
            let is_over = now >= until;
            // An administrator by name is one also while the directory cannot be asked: without its roles.
            let by_name =
                session.method == Method::Password && live.account.is_named_admin(&session.user.username);
            if is_over && !by_name {
                return Err(fault);
            }
            let reason = format!("a session goes on unchecked: {}", fault.detail);
            events::notice(io.host(), exchange.place(), Level::Warn, &reason);
            if !is_over {
                live.checks.put_off_directory(now.saturating_add(BACK_OFF).min(until));
                return Ok(live.clone());
            }
            session.user.without_directory()
        }
    };
    if session.is_renewable() {
        if let Some(newer) = renewal::renewed_elsewhere(filter_state, live, now) {
            return Ok(newer);
        }
        if user == session.user {
            // Its renewal seals it. A cookie more, with the old tokens, could reach the browser after the renewal's.
            live.checks.put_off_directory(now.saturating_add(settings.recheck.max(1_000)));
            return Ok(live.clone());
        }
    }
    let unreadable = || Fault::new(Code::NotReady, "a remembered session cannot be read again");
    let session = filter_state.whole(live).ok_or_else(unreadable)?;
    let session = Session { user, checked: now, seen: now, ..session };
    match reseal(filter_state, live, session)? {
        Some((newer, _)) => Ok(newer),
        None => Err(Fault::new(
            Code::SessionExpired,
            "its user no longer has the role that lets a password session be",
        )),
    }
}
