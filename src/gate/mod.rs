//! One request in, one ruling out: pass it on, answer it, read its body first, or start a flow.
//!
//! The common case, a request with a valid session, is decided here synchronously. The order of the
//! lines in [`rule`] is the order of the rules.

mod asked;
mod choice;
mod demands;
#[cfg(test)]
mod shared_origin_tests;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::rc::Rc;

pub use asked::Asked;
pub use demands::{refuse, step_up_target, unmet, Unmet};

use crate::answer::Answer;
use crate::bearer::{self, Bearing};
use crate::config::Endpoint;
use crate::fault::{Code, Fault};
use crate::login;
use crate::recheck;
use crate::recheck::renewal::Due;
use crate::request::{CookieEdit, Head, Path};
use crate::session::{Method, Opened};
use crate::surface::{demand, Demand};
use crate::task::{Ask, Task};
use crate::world::{Site, Visitor, World};
use choice::Choice;

/// What becomes of a request.
pub enum Ruling {
    /// It goes to the application, changed like this.
    Pass(Pass),
    /// The filter answers.
    Answer(Answer),
    /// A flow decides.
    Flow(Task<Result<Outcome, Fault>>, Rc<Asked>),
    /// It waits: asked every now and then, this says what becomes of it as soon as that is known.
    Wait(Box<dyn FnMut() -> Option<Ruling>>),
    /// The body decides: at most so many bytes of it are read.
    Body(usize, Box<dyn FnOnce(Body) -> Ruling>),
}

impl Ruling {
    /// A flow decides about this request, which it shares.
    pub fn flow<F>(asked: Rc<Asked>, flow: impl FnOnce(Ask, Rc<Asked>) -> F) -> Self
    where
        F: Future<Output = Result<Outcome, Fault>> + 'static,
    {
        let ask = asked.world.ask();
        let future = flow(ask.clone(), asked.clone());
        Ruling::Flow(Task::new(ask, future), asked)
    }
}

/// How a flow ends.
pub enum Outcome {
    /// The request goes to the application.
    Pass(Pass),
    /// The filter answers.
    Answer(Answer),
}

/// A request's body.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is larger than was asked for.
    TooLarge,
}

/// What is changed in a request on its way to the application.
#[derive(Default)]
pub struct Pass {
    /// Headers taken away.
    pub remove: Vec<String>,
    /// `connection` becomes `upgrade`: it named headers that the next hop would take away.
    pub upgrade: bool,
    /// The canonical path, where it is not what was asked for.
    pub target: Option<Vec<u8>>,
    /// The `cookie` header without this filter's own cookies.
    pub cookie: CookieEdit,
    /// Whose request it is.
    pub opened: Option<Rc<Opened>>,
    /// `set-cookie` values for the answer.
    pub set_cookies: Vec<String>,
    /// A header of the session's that is not set: its access token has expired.
    pub withheld: Option<String>,
    /// A password login, whose answer says whether the password was right.
    pub password: Option<Box<crate::password::Watch>>,
}

impl Pass {
    /// The request goes on as this session's.
    #[inline]
    pub fn carry(&mut self, opened: Rc<Opened>, now: u64) {
        // Looked at in this order: how it was opened stands where nothing else of a request looks.
        if !self.remove.is_empty() && opened.session.method == Method::Bearer {
            // The token was verified: the application may call others with it.
            self.remove.retain(|name| name != "authorization");
        }
        if now >= opened.token_expires {
            self.withheld.clone_from(&opened.account.forward.access_token);
            // Where the filter's token would stand, nobody else's takes its place.
            self.remove.extend(self.withheld.clone());
        }
        self.opened = Some(opened);
    }
}

/// Rules on a request.
#[inline]
pub fn rule(world: &Rc<World>, head: Rc<Head>) -> Ruling {
    let now = world.host.now();
    let sites = world.sites_at(head.authority());
    let path = Path::read(head.path());
    let jar = head.jar(&world.config.cookies.name);
    let choice = choice::choose(world, sites, &head, &path, &jar, now);
    let (site, visitor, behind) = match choice {
        Choice::Site(site, visitor, behind) => (site, visitor, behind),
        Choice::None => return choice::account_unknown(world, &head, now),
        Choice::Ask => return choice::ask_for_account(world, &head, now),
    };
    if sites.len() > 1 && crate::password::is_of_another(sites, &site, &head, &path) {
        let path = path.canonical().to_owned();
        return crate::password::refuse_of_another(&asked(world, &site, &head, path, now));
    }
    let account = &site.account;
    let mut pass =
        Pass { remove: reserved(sites, &site, &head), upgrade: head.names_hops(), ..Pass::default() };
    if !account.enabled {
        return Ruling::Pass(pass);
    }
    let own = path.plain().and_then(|path| account.paths.endpoint(path));
    if own.is_none() && path.canonical().as_bytes() != head.path() && head.path().starts_with(b"/") {
        pass.target = Some(canonical_target(&head, &path));
    }
    // From here on the rare cases need the request as a whole.
    if let Some(endpoint) = own {
        let path = path.canonical().to_owned();
        return crate::endpoints::answer(asked(world, &site, &head, path, now), endpoint);
    }
    if !account.password.logins.is_empty() {
        if let Some(login) = crate::password::login_at(account, &head, &path) {
            // Beside a login that is ruled on, Basic credentials would be one that is not.
            strip_credentials(sites, &head, &mut pass);
            pass.cookie = jar.edit(&head);
            let path = path.canonical().to_owned();
            return crate::password::gate(asked(world, &site, &head, path, now), login, pass);
        }
    }
    let demand = demand(&account.access, &path, head.path());
    if demand != Demand::Programs {
        strip_credentials(sites, &head, &mut pass);
    }
    pass.cookie = jar.edit(&head);
    let wanted = match demand {
        Demand::Anyone | Demand::Programs => return Ruling::Pass(pass),
        Demand::Users(wanted) => wanted,
    };
    let (visitor, behind) = match bearer::look(world, &site, &head, now) {
        Bearing::Nothing => (visitor, behind),
        Bearing::Known(opened) => (Visitor::Known(opened), false),
        Bearing::Unknown(token, known) => {
            let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
            return bearer::verify(asked, token, known, pass);
        }
        Bearing::Wrong(fault) => {
            let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
            return Ruling::Answer(bearer::refuse(&asked, &fault));
        }
    };
    let opened = match visitor {
        Visitor::Known(opened) => opened,
        nobody => {
            let path = path.canonical().to_owned();
            let stale = matches!(nobody, Visitor::Stale);
            return sign_in_first(asked(world, &site, &head, path, now), stale);
        }
    };
    if now >= opened.recheck.get() && recheck::is_needed(&site, &opened) {
        // Before the demands: a role may have been granted or taken.
        let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
        if !opened.session.is_renewable() {
            return recheck::start(asked, opened, pass);
        }
        if let Due::Ruled(ruling) = recheck::renewal::due(&asked, &opened) {
            return ruling;
        }
    }
    if let Some(unmet) = unmet(&wanted, &opened, now) {
        let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
        return demands::answer(asked, &opened, unmet);
    }
    if now >= opened.reseal {
        pass.set_cookies = recheck::slide(world, &opened, now);
    } else if behind {
        pass.set_cookies = recheck::cookies_of(world, &opened);
    }
    pass.carry(opened, now);
    Ruling::Pass(pass)
}

fn asked(world: &Rc<World>, site: &Rc<Site>, head: &Rc<Head>, path: String, now: u64) -> Rc<Asked> {
    let (world, site, head) = (world.clone(), Some(site.clone()), head.clone());
    Rc::new(Asked { world, site, is_unsure: false, head, path, now })
}

/// Nobody is signed in: a navigation goes to sign in and comes back, anything else is told so.
pub fn sign_in_first(asked: Rc<Asked>, stale: bool) -> Ruling {
    // Who asks whether anybody is signed in wants to know, not to sign in.
    if asked.head.is_navigation() && asked.endpoint() != Some(Endpoint::Session) {
        return login::page::first(asked, stale);
    }
    let fault = match stale {
        true => Fault::new(Code::SessionExpired, "the session cookie holds no valid session"),
        false => Fault::new(Code::LoginRequired, "no session"),
    };
    Ruling::Answer(if stale { asked.refuse_stale(&fault) } else { asked.refuse(&fault) })
}

fn canonical_target(head: &Head, path: &Path<'_>) -> Vec<u8> {
    let mut target = path.canonical().as_bytes().to_vec();
    if let Some(query) = head.query() {
        target.push(b'?');
        target.extend(query);
    }
    target
}

/// The headers that nobody may send. Accounts of one origin have one application: what is told about the people
/// of one is told by the filter alone, whoever is there.
#[inline]
fn reserved(sites: &[Rc<Site>], site: &Site, head: &Head) -> Vec<String> {
    let of = |site: &Site| site.account.forward.reserved.among(head.headers());
    if sites.len() == 1 {
        return of(site);
    }
    let mut list: Vec<String> = sites.iter().flat_map(|site| of(site)).collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// Basic credentials count on `programs` paths only: elsewhere they would be a password login that
/// nothing ruled on. Where the filter sets `authorization`, others' count there only too: beside the headers of a
/// session that has no access token they would be taken for its.
#[inline]
fn strip_credentials(sites: &[Rc<Site>], head: &Head, pass: &mut Pass) {
    if !head.has_authorization() {
        return;
    }
    let is_ours = |site: &Rc<Site>| site.account.forward.access_token.as_deref() == Some("authorization");
    if head.has_basic() || sites.iter().any(is_ours) {
        pass.remove.push("authorization".into());
    }
}
