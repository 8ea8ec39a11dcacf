//! A session under way: sealed anew so that `idle` slides, and asked about again once it is older than `recheck`:
//! at the directory here, at the IdP by `renewal` where there is a refresh token.

mod refresh;
pub mod renewal;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::rc::Rc;

use renewal::Due;

use crate::access::{demand, Demand};
use crate::config::Directory;
use crate::directory;
use crate::exchange;
use crate::exchange::{Asked, Outcome, Pass, Ruling, Unmet};
use crate::fault::{Code, Fault};
use crate::flows::login;
use crate::host::events::{self, Place};
use crate::host::task::Ask;
use crate::http::response::Answer;
use crate::http::Path;
use crate::session::{self, Opened, Session};
use crate::state::{Site, World};

/// Milliseconds: one look-up for one session, whatever arrives beside it.
const ONE_ASKS: u64 = 5_000;

/// True where there is anybody to ask.
pub fn is_needed(site: &Site, opened: &Opened) -> bool {
    !matches!(site.account.directory, Directory::None) || opened.session.is_renewable()
}

/// Asks the directory, then lets the request pass with what it says.
pub fn start(asked: Rc<Asked>, opened: Rc<Opened>, pass: Pass) -> Ruling {
    one_asks(&asked, &opened);
    Ruling::flow(asked, move |ask, asked| async move { recheck(&ask, &asked, &opened, pass).await })
}

/// The answer of one of the filter's own endpoints, with the session as it is once whoever is due was asked again.
pub fn answer<F>(
    asked: Rc<Asked>,
    opened: Rc<Opened>,
    then: impl FnOnce(Ask, Rc<Asked>, Rc<Opened>) -> F + 'static,
) -> Ruling
where
    F: Future<Output = Result<Answer, Fault>> + 'static,
{
    let needed = asked.site.as_ref().is_some_and(|site| is_needed(site, &opened));
    let due = needed && asked.now >= opened.recheck.get();
    if due && opened.session.is_renewable() {
        if let Due::Ruled(ruling) = renewal::due(&asked, &opened) {
            return ruling;
        }
    }
    let directory = due && !opened.session.is_renewable();
    if directory {
        one_asks(&asked, &opened);
    }
    Ruling::flow(asked, move |ask, asked| async move {
        let (mut opened, mut cookies) = (opened, Vec::new());
        if directory {
            match recheck(&ask, &asked, &opened, Pass::default()).await? {
                Outcome::Pass(pass) => {
                    cookies = pass.set_cookies;
                    opened = pass.opened.unwrap_or(opened);
                }
                answer => return Ok(answer),
            }
        }
        let answer = then(ask, asked, opened).await?;
        Ok(Outcome::Answer(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie))))
    })
}

/// While this request asks, others go on with what is known; past the grace nobody does, not even beside one who asks.
pub fn one_asks(asked: &Asked, opened: &Opened) {
    let until = opened.session.graced_until(&asked.world.config.session, &opened.account);
    if asked.now < until {
        opened.recheck.set(asked.now.saturating_add(ONE_ASKS).min(until));
    }
}

/// What becomes of a request of this session: `Pass` with the session as it is now, or an answer.
pub async fn recheck(ask: &Ask, asked: &Asked, opened: &Rc<Opened>, pass: Pass) -> Result<Outcome, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let world = &asked.world;
    let session = &opened.session;
    let user = match directory::recheck(ask, &site.account, &site.directory, &session.user).await {
        Ok(Some(user)) => user,
        Ok(None) => {
            // Deactivated or gone: every copy of the session ends with it.
            let until = session.ends(&world.config.session);
            opened.mark.end(ask.host(), until);
            events::session_ended(
                ask.host(),
                Place { user: Some(&session.user.username), ..asked.place() },
                "user_inactive",
            );
            let fault =
                Fault::new(Code::UserInactive, format!("{:?} is no longer active", session.user.username));
            return Ok(Outcome::Answer(asked.refuse_stale(&fault)));
        }
        Err(fault) => {
            // Nobody gets more than they had while the directory cannot be asked, nor for longer.
            let until = opened.session.graced_until(&world.config.session, &opened.account);
            if ask.now() >= until {
                return Err(fault);
            }
            events::notice(
                ask.host(),
                asked.place(),
                crate::host::Level::Warn,
                &format!("a session goes on unchecked: {}", fault.detail),
            );
            return go_on(ask, asked, opened.clone(), Vec::new(), pass).await;
        }
    };
    let now = ask.now();
    let session = Session { user, checked: now, seen: now, ..session.clone() };
    let Some((newer, cookies)) = reseal(world, opened, session)? else {
        let fault = Fault::new(
            Code::SessionExpired,
            "its user no longer has the role that lets a password session be",
        );
        return Ok(Outcome::Answer(asked.refuse_stale(&fault)));
    };
    go_on(ask, asked, newer, cookies, pass).await
}

/// The request, judged by what the session is now.
pub async fn go_on(
    ask: &Ask,
    asked: &Asked,
    opened: Rc<Opened>,
    cookies: Vec<String>,
    mut pass: Pass,
) -> Result<Outcome, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let path = Path::read(asked.head.path());
    let unmet = match demand(&site.account.access, &path, asked.head.path()) {
        // The filter's own endpoints judge for themselves.
        _ if site.account.paths.endpoint(&asked.path).is_some() => None,
        Demand::Users(demands) => exchange::unmet(&demands, &opened, ask.now()),
        _ => None,
    };
    let answer = match unmet {
        None => {
            pass.set_cookies = cookies;
            pass.carry(opened, ask.now());
            return Ok(Outcome::Pass(pass));
        }
        Some(unmet) => match (exchange::step_up_target(asked, &opened, &unmet), unmet) {
            (Some(target), Unmet::Authentication(extras)) => {
                login::start_login(ask, asked, &opened.session.origin.provider, target, extras).await?
            }
            (_, unmet) => exchange::refuse(asked, &opened, &unmet),
        },
    };
    Ok(Outcome::Answer(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie))))
}

/// The session with this request as its last: `set-cookie` values, none where sealing fails (the session
/// goes on as it was).
pub fn slide(world: &World, opened: &Rc<Opened>, now: u64) -> Vec<String> {
    // An older state must not be written over the one that another worker has renewed meanwhile.
    if let Some(newer) = renewal::renewed_elsewhere(world, opened, now) {
        return cookies_of(world, &newer);
    }
    let session = Session { seen: now, ..opened.session.clone() };
    match reseal(world, opened, session) {
        Ok(Some((_, cookies))) => cookies,
        _ => Vec::new(),
    }
}

/// The `set-cookie` values of a session as it is.
pub fn cookies_of(world: &World, opened: &Opened) -> Vec<String> {
    let sealed = std::str::from_utf8(&opened.sealed).unwrap_or_default();
    session::set_cookies(&world.config.cookies, sealed)
}

/// A newer state of a session and its `set-cookie` values.
type Resealed = (Rc<Opened>, Vec<String>);

/// Seals a newer state of a session, which older copies of its cookie lead to from now on. `None`: the
/// configuration does not let it be any longer.
pub(super) fn reseal(
    world: &World,
    opened: &Rc<Opened>,
    session: Session,
) -> Result<Option<Resealed>, Fault> {
    let sealed = session.seal(&*world.host, &world.config, &opened.account)?;
    let (account, user) = (Some(opened.account.code.as_str()), Some(sealed.session.user.username.as_str()));
    events::left_out(&*world.host, Place { account, user, ..Place::default() }, &sealed.left_out);
    let Some(newer) = world.admit(&opened.account, sealed.session, sealed.text.as_bytes().into()) else {
        return Ok(None);
    };
    let newer = Rc::new(newer);
    *opened.successor.borrow_mut() = Some(newer.clone());
    world.opened.put(newer.clone());
    Ok(Some((newer, session::set_cookies(&world.config.cookies, &sealed.text))))
}
