//! Ways in: one readable async function each.

pub mod flow;
pub mod headers;
pub mod invitation;
#[cfg(test)]
mod invitation_tests;
mod oidc;
pub mod page;
pub mod recheck;
pub mod renew;
#[cfg(test)]
mod renew_tests;
mod renewal;
pub mod return_to;

pub(crate) use oidc::wants_userinfo;
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
    let session = &sealed.session;
    let place = Place {
        provider: Some(session.origin.provider.as_str()).filter(|p| !p.is_empty()),
        user: Some(&session.user.username),
        ..asked.place()
    };
    let method = session.method.as_str();
    if let Visitor::Known(old) = asked.visitor() {
        old.mark.end(host, old.session.ends(&world.config.session));
    }
    events::left_out(host, place, &sealed.left_out);
    if world.admit(&site.account, session.clone(), sealed.text.as_bytes().into()).is_none() {
        return Err(Fault::new(Code::NotReady, "the configuration does not let this session be"));
    }
    events::login(host, place, method);
    let mut cookies = session::set_cookies(&world.config.cookies, &sealed.text);
    let written = cookies.len();
    for n in asked.jar().sent().filter(|n| *n >= written) {
        cookies.push(cookie::delete(&chunk_name(&world.config.cookies.name, n), &world.config.cookies));
    }
    Ok(cookies)
}
