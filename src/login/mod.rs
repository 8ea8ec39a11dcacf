//! Ways in: one readable async function each.

pub mod flow;
pub mod headers;
pub mod invitation;
#[cfg(test)]
mod invitation_tests;
mod oidc;
pub mod page;
pub mod recheck;
pub mod return_to;
#[cfg(test)]
mod ways_tests;

pub use oidc::{begin, finish, form_post};

use crate::answer::Answer;
use crate::events::{self, Place};
use crate::fault::{Code, Fault};
use crate::gate::Asked;
use crate::session::{self, chunk_name, cookie, Session};
use crate::world::{Site, Visitor};

/// A person is in: the session's cookies, and back to where they wanted to go. A session this browser had
/// before ends, whosever it was.
pub fn opened(asked: &Asked, site: &Site, session: Session, return_to: &str) -> Result<Answer, Fault> {
    let cookies = open_session(asked, site, session)?;
    let answer = Answer::redirect(return_to);
    Ok(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// Opens a session: its `set-cookie` values.
pub fn open_session(asked: &Asked, site: &Site, session: Session) -> Result<Vec<String>, Fault> {
    let world = &asked.world;
    let host = &*world.host;
    let sealed = session.seal(host, &world.config, &site.account)?;
    let Some(new) = world.admit(&site.account, session, sealed.as_bytes().into()) else {
        return Err(Fault::new(Code::NotReady, "the configuration does not let this session be"));
    };
    if new.mark.has_ended(host, host.now()) {
        // Said here, not by sending the person round in circles.
        let why = "the provider ended its session while this login was under way";
        return Err(Fault::new(Code::SessionExpired, why));
    }
    if let Visitor::Known(old) = asked.visitor() {
        old.mark.end(host, old.session.ends(&world.config.session));
    }
    let session = &new.session;
    let place = Place {
        provider: Some(session.origin.provider.as_str()).filter(|p| !p.is_empty()),
        user: Some(&session.user.username),
        ..asked.place()
    };
    events::login(host, place, session.method.as_str());
    let mut cookies = session::set_cookies(&world.config.cookies, &sealed);
    let written = cookies.len();
    for n in asked.jar().sent().filter(|n| *n >= written) {
        cookies.push(cookie::delete(&chunk_name(&world.config.cookies.name, n), &world.config.cookies));
    }
    Ok(cookies)
}
