//! One request in, one ruling out: pass it on, answer it, read its body first, or start a flow.
//!
//! The common case, a request with a valid session, is decided here synchronously. The order of the
//! lines in [`rule`] is the order of the rules (SPEC section 4).

use std::future::Future;
use std::rc::Rc;

use crate::answer::Answer;
use crate::bearer::{self, Bearing};
use crate::config::{Admission, Endpoint, PasswordMode};
use crate::events::{self, Place};
use crate::fault::{Code, Fault};
use crate::login::renew::Due;
use crate::login::{self, flow, return_to};
use crate::logout;
use crate::oidc::signed::SKEW_MILLISECONDS;
use crate::pages;
use crate::request::{bare_authority, CookieEdit, Head, Jar, Path};
use crate::session::{chunk_name, cookie, Method, Opened};
use crate::surface::{demand, Demand};
use crate::task::{Ask, Task};
use crate::world::{Site, Visitor, World};

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
        if now >= opened.token_expires {
            self.withheld.clone_from(&opened.account.forward.access_token);
            // Where the filter's token would stand, nobody else's takes its place.
            self.remove.extend(self.withheld.clone());
        }
        self.opened = Some(opened);
    }
}

/// A request that was asked, for flows and for refusals: head, account, origin.
pub struct Asked {
    /// The filter.
    pub world: Rc<World>,
    /// The account, where one was found.
    pub site: Option<Rc<Site>>,
    /// The request.
    pub head: Rc<Head>,
    /// The canonical path.
    pub path: String,
    /// Now, in milliseconds since 1970.
    pub now: u64,
}

impl Asked {
    /// The origin of the account that was asked; only configured ones are ever used in URLs.
    pub fn origin(&self) -> Option<&crate::config::Origin> {
        let site = self.site.as_ref()?;
        let authority = String::from_utf8_lossy(self.head.authority()).to_ascii_lowercase();
        let origins = &site.account.origins;
        origins
            .iter()
            .find(|o| o.authority == authority)
            .or_else(|| origins.iter().find(|o| o.authority == bare_authority(&authority)))
    }

    /// Account and origin, which every flow needs.
    pub fn site_and_origin(&self) -> Result<(Rc<Site>, crate::config::Origin), Fault> {
        match (&self.site, self.origin()) {
            (Some(site), Some(origin)) => Ok((site.clone(), origin.clone())),
            _ => Err(Fault::new(Code::AccountUnknown, "no account is served here")),
        }
    }

    /// For the log.
    pub fn place(&self) -> Place<'_> {
        Place {
            account: self.site.as_ref().map(|site| site.account.code.as_str()),
            request_id: self.head.request_id(),
            path: &self.path,
            ..Place::default()
        }
    }

    /// The cookies.
    pub fn jar(&self) -> Jar<'_> {
        self.head.jar(&self.world.config.cookies.name)
    }

    /// Who the cookies say is there.
    pub fn visitor(&self) -> Visitor {
        match &self.site {
            Some(site) => self.world.session(std::slice::from_ref(site), &self.jar(), self.now),
            None => Visitor::Nobody,
        }
    }

    /// The URL of the sign-in page that comes back to this request, or to `/` after anything but a
    /// navigation.
    pub fn login_url(&self) -> Option<String> {
        let site = self.site.as_ref()?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if self.world.sites_at(self.head.authority()).len() > 1 {
            query.append_pair("u", &site.account.code);
        }
        let own = site.account.paths.endpoint(&self.path).is_some();
        if let (true, false, Some(origin)) = (self.head.is_navigation(), own, self.origin()) {
            let target = String::from_utf8_lossy(self.head.target()).into_owned();
            if let Ok(target) = return_to::check(&target, origin) {
                query.append_pair("return_to", &target);
            }
        }
        let query = query.finish();
        let path = site.account.paths.path(Endpoint::Login);
        Some(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
    }

    /// What pages need to know about this request.
    pub fn page_context(&self) -> pages::Context<'_> {
        let pages = &self.world.config.pages;
        let mut context = pages::Context::new(pages, self.head.request_id(), self.head.is_person());
        context.login = self.login_url();
        context.in_language(self.head.all("accept-language"))
    }

    /// The answer for a refusal, which is logged and counted here, once.
    pub fn refuse(&self, fault: &Fault) -> Answer {
        events::refusal(&*self.world.host, self.place(), fault);
        let mut context = self.page_context();
        if is_failed_login(fault.code) {
            context.password_page = self.password_way();
        }
        // The Back button after signing in, or a second tab: the session is there already.
        if matches!(fault.code, Code::StateUnknown | Code::CallbackInvalid) {
            if let Visitor::Known(_) = self.visitor() {
                context.continue_to = Some("/".into());
            }
        }
        pages::refusal(fault, &context)
    }

    /// The refusal of a login that was to lead here: trying again leads there too.
    pub fn refuse_login(&self, fault: &Fault, return_to: &str) -> Answer {
        events::refusal(&*self.world.host, self.place(), fault);
        let mut context = self.page_context();
        if let Some(login) = &mut context.login {
            let pair = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", return_to)
                .finish();
            login.push(if login.contains('?') { '&' } else { '?' });
            login.push_str(&pair);
        }
        context.password_page = self.password_way();
        if let Visitor::Known(_) = self.visitor() {
            context.continue_to = Some("/".into());
        }
        pages::refusal(fault, &context)
    }

    /// Where a password still is a way in: the way back for an administrator whose IdP is broken.
    fn password_way(&self) -> Option<String> {
        let account = &self.site.as_ref()?.account;
        let page = account.password.page.as_ref()?;
        match account.password.mode {
            PasswordMode::Enabled => Some(page.clone()),
            PasswordMode::Admins => Some(format!("{}?show=all", account.paths.path(Endpoint::Login))),
            PasswordMode::Disabled => None,
        }
    }

    /// The same with the session's cookies deleted: they hold nothing that counts.
    pub fn refuse_stale(&self, fault: &Fault) -> Answer {
        self.without_session(self.refuse(fault))
    }

    /// Deletes every session cookie that was sent.
    pub fn without_session(&self, mut answer: Answer) -> Answer {
        let cookies = &self.world.config.cookies;
        for n in self.jar().sent() {
            answer = answer.with_cookie(&cookie::delete(&chunk_name(&cookies.name, n), cookies));
        }
        answer
    }
}

/// Codes with which a login fails, as opposed to a request of somebody who is in.
fn is_failed_login(code: Code) -> bool {
    use Code::*;
    !matches!(
        code,
        RoleMissing
            | AccountUnknown
            | MethodNotAllowed
            | BodyTooLarge
            | ContentTypeUnsupported
            | RequestInvalid
            | ReturnToRefused
    )
}

/// Rules on a request.
#[inline]
pub fn rule(world: &Rc<World>, head: Rc<Head>) -> Ruling {
    let now = world.host.now();
    let sites = world.sites_at(head.authority());
    let path = Path::read(head.path());
    let jar = head.jar(&world.config.cookies.name);
    let choice = choose(world, sites, &head, &path, &jar, now);
    let (site, visitor, behind) = match choice {
        Choice::Site(site, visitor, behind) => (site, visitor, behind),
        Choice::None => return account_unknown(world, &head, now),
        Choice::Ask => return ask_for_account(world, &head, now),
    };
    let account = &site.account;
    let mut pass = Pass { remove: account.forward.reserved.among(head.headers()), ..Pass::default() };
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
            strip_basic(&head, &mut pass);
            pass.cookie = jar.edit();
            let path = path.canonical().to_owned();
            return crate::password::gate(asked(world, &site, &head, path, now), login, pass);
        }
    }
    let demand = demand(&account.access, &path, head.path());
    if demand != Demand::Programs {
        strip_basic(&head, &mut pass);
    }
    pass.cookie = jar.edit();
    let demands = match demand {
        Demand::Anyone | Demand::Programs => return Ruling::Pass(pass),
        Demand::Users(demands) => demands,
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
    if now >= opened.recheck.get() && login::recheck::is_needed(&site, &opened) {
        // Before the demands: a role may have been granted or taken.
        let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
        if !opened.session.is_renewable() {
            return login::recheck::start(asked, opened, pass);
        }
        if let Due::Ruled(ruling) = login::renew::due(&asked, &opened) {
            return ruling;
        }
    }
    if let Some(unmet) = unmet(&demands, &opened, now) {
        let asked = asked(world, &site, &head, path.canonical().to_owned(), now);
        return match unmet {
            Unmet::Role(fault) => Ruling::Answer(asked.refuse(&fault)),
            Unmet::Authentication(extras) => step_up(asked, &opened, extras),
        };
    }
    if now >= opened.reseal {
        pass.set_cookies = login::recheck::slide(world, &opened, now);
    } else if behind {
        pass.set_cookies = login::recheck::cookies_of(world, &opened);
    }
    pass.carry(opened, now);
    Ruling::Pass(pass)
}

enum Choice {
    /// This one, who is there, and whether the cookies are older than what is known of the session.
    Site(Rc<Site>, Visitor, bool),
    /// Nobody is served here.
    None,
    /// Several accounts are, and nothing says which.
    Ask,
}

/// The account: the one whose origin was asked for; where several share it the one that `u` names at
/// the filter's own endpoints, else the session's.
#[inline]
fn choose(
    world: &World,
    sites: &[Rc<Site>],
    head: &Head,
    path: &Path<'_>,
    jar: &Jar<'_>,
    now: u64,
) -> Choice {
    match sites {
        [] => Choice::None,
        [site] => {
            let (visitor, behind) = match site.account.enabled {
                true => world.session_and_age(sites, jar, now),
                false => (Visitor::Nobody, false),
            };
            // A response made for `u=a` is nothing to `u=b`, also where `b` has an origin of its own.
            match named(sites, head, path) {
                Some(None) => Choice::None,
                _ => Choice::Site(site.clone(), visitor, behind),
            }
        }
        several => {
            let (visitor, behind) = world.session_and_age(several, jar, now);
            match named(several, head, path) {
                Some(Some(site)) => {
                    let visitor = match visitor {
                        Visitor::Known(opened) if !Rc::ptr_eq(&opened.account, &site.account) => {
                            Visitor::Nobody
                        }
                        other => other,
                    };
                    Choice::Site(site, visitor, behind)
                }
                Some(None) => Choice::None,
                None => match (bearer::site_of(several, head), &visitor) {
                    (Some(Some(site)), _) => Choice::Site(site.clone(), Visitor::Nobody, false),
                    // A token that is for none of them: not even beside a session.
                    (Some(None), _) => shared_by_all(several, path, head),
                    (None, Visitor::Known(opened)) => {
                        let site = several.iter().find(|site| Rc::ptr_eq(&site.account, &opened.account));
                        site.cloned().map_or(Choice::Ask, |site| Choice::Site(site, visitor, behind))
                    }
                    _ => shared_by_all(several, path, head),
                },
            }
        }
    }
}

/// What `u` says at one of the filter's own endpoints: nothing, an account, or one that is not here.
#[inline]
fn named(sites: &[Rc<Site>], head: &Head, path: &Path<'_>) -> Option<Option<Rc<Site>>> {
    let path = path.plain()?;
    let endpoint = |site: &&Rc<Site>| site.account.paths.endpoint(path).is_some();
    sites.iter().find(endpoint)?;
    if let Some(query) = head.query() {
        if url::form_urlencoded::parse(query).any(|(key, _)| key == "u") {
            let code = head.param("u");
            let site = sites.iter().find(|site| Some(&site.account.code) == code.as_ref());
            return Some(site.cloned());
        }
    }
    // A callback path that holds the code, or belongs to one account only.
    let mut own = sites.iter().filter(endpoint);
    let first = own.next();
    if own.next().is_none() {
        first.map(|site| Some(site.clone()))
    } else {
        None
    }
}

/// Several accounts on one origin and no session: what all of them let pass, passes.
fn shared_by_all(sites: &[Rc<Site>], path: &Path<'_>, head: &Head) -> Choice {
    let open = |site: &Rc<Site>| {
        !site.account.enabled
            || matches!(demand(&site.account.access, path, head.path()), Demand::Anyone | Demand::Programs)
    };
    let login = |site: &&Rc<Site>| crate::password::login_at(&site.account, head, path).is_some();
    match sites.first() {
        Some(site) if sites.iter().all(open) && !sites.iter().any(|site| login(&site)) => {
            Choice::Site(site.clone(), Visitor::Nobody, false)
        }
        _ => Choice::Ask,
    }
}

fn asked(world: &Rc<World>, site: &Rc<Site>, head: &Rc<Head>, path: String, now: u64) -> Rc<Asked> {
    Rc::new(Asked { world: world.clone(), site: Some(site.clone()), head: head.clone(), path, now })
}

fn account_unknown(world: &Rc<World>, head: &Rc<Head>, now: u64) -> Ruling {
    let host: String = String::from_utf8_lossy(head.authority()).chars().take(100).collect();
    let fault = Fault::new(Code::AccountUnknown, format!("no account is served at {host:?}"));
    let asked = Asked { world: world.clone(), site: None, head: head.clone(), path: String::new(), now };
    Ruling::Answer(asked.refuse(&fault))
}

fn ask_for_account(world: &Rc<World>, head: &Rc<Head>, now: u64) -> Ruling {
    let sites = world.sites_at(head.authority());
    let path = Path::read(head.path()).canonical().to_owned();
    let mut enabled = sites.iter().filter(|site| site.account.enabled);
    let asked = |site: Option<&Rc<Site>>| {
        let site = site.cloned();
        Asked { world: world.clone(), site, head: head.clone(), path: path.clone(), now }
    };
    // Whoever has just signed out is of no account, and nobody is asked for one on the way out.
    let is_out = |site: &&Rc<Site>| site.account.paths.endpoint(&path) == Some(Endpoint::LogoutComplete);
    if let Some(site) = enabled.clone().find(is_out) {
        let left = logout::left_from(world, head);
        let left = enabled.find(|site| Some(&site.account.code) == left.as_ref());
        return Ruling::Answer(logout::complete(&asked(left.or(Some(site)))));
    }
    let asked = asked(enabled.next());
    if asked.head.is_navigation() {
        return Ruling::Answer(login::page::ask_for_account(&asked));
    }
    let fault = Fault::new(Code::LoginRequired, "several accounts are served here and there is no session");
    Ruling::Answer(asked.refuse(&fault))
}

/// Nobody is signed in: a navigation goes to sign in and comes back, anything else is told so.
pub fn sign_in_first(asked: Rc<Asked>, stale: bool) -> Ruling {
    if asked.head.is_navigation() {
        return login::page::first(asked, stale);
    }
    let fault = match stale {
        true => Fault::new(Code::SessionExpired, "the session cookie holds no valid session"),
        false => Fault::new(Code::LoginRequired, "no session"),
    };
    Ruling::Answer(if stale { asked.refuse_stale(&fault) } else { asked.refuse(&fault) })
}

/// A demand that a session does not meet.
pub enum Unmet {
    /// A role is missing.
    Role(Fault),
    /// The IdP has to authenticate the person again, or better.
    Authentication(flow::Extras),
}

/// The first demand that the session does not meet.
#[inline]
pub fn unmet(demands: &[&Admission], opened: &Opened, now: u64) -> Option<Unmet> {
    if let Some(fault) = missing_role(demands, opened) {
        return Some(Unmet::Role(fault));
    }
    for demand in demands {
        let Admission::Users { acr_values, max_age, .. } = demand else { continue };
        let origin = &opened.session.origin;
        let acr = acr_values.is_empty() || origin.acr.as_ref().is_some_and(|acr| acr_values.contains(acr));
        let authenticated =
            origin.auth_time.map_or(opened.session.opened, |seconds| seconds.saturating_mul(1000));
        // With the same allowance for clocks as the ID token's check: what passed there passes here.
        let fresh = max_age
            .is_none_or(|age| now.saturating_sub(authenticated) <= age.saturating_add(SKEW_MILLISECONDS));
        if !acr || !fresh {
            return Some(Unmet::Authentication(flow::Extras {
                acr_values: acr_values.clone(),
                max_age: max_age.map(|age| age / 1000),
                ..flow::Extras::default()
            }));
        }
    }
    None
}

/// The first demand for a role that the session does not meet.
#[inline]
fn missing_role(demands: &[&Admission], opened: &Opened) -> Option<Fault> {
    let missing = |demand: &&Admission| match demand {
        Admission::Users { roles, .. } if !roles.is_empty() => {
            let held = &opened.session.user.roles;
            let detail =
                || format!("{:?} has none of the roles {}", opened.session.user.username, roles.join(", "));
            (!roles.iter().any(|role| held.contains(role))).then(|| Fault::new(Code::RoleMissing, detail()))
        }
        _ => None,
    };
    demands.iter().find_map(missing)
}

fn step_up(asked: Rc<Asked>, opened: &Opened, extras: flow::Extras) -> Ruling {
    match step_up_target(&asked, opened) {
        Some(target) => login::begin(asked, &opened.session.origin.provider, &target, extras),
        None => Ruling::Answer(asked.refuse(&weak())),
    }
}

/// Where a step-up comes back to, for a navigation of somebody whom a provider can authenticate again.
pub fn step_up_target(asked: &Asked, opened: &Opened) -> Option<String> {
    let person = opened.session.method == Method::Sso && asked.head.is_navigation();
    person.then(|| String::from_utf8_lossy(asked.head.target()).into_owned())
}

/// The refusal where nobody can be sent to the IdP.
pub fn weak() -> Fault {
    Fault::new(Code::LoginRequired, "the session was authenticated too long ago or too weakly for this path")
}

fn canonical_target(head: &Head, path: &Path<'_>) -> Vec<u8> {
    let mut target = path.canonical().as_bytes().to_vec();
    if let Some(query) = head.query() {
        target.push(b'?');
        target.extend(query);
    }
    target
}

/// Basic credentials count on `programs` paths only: elsewhere they would be a password login that
/// nothing ruled on.
#[inline]
fn strip_basic(head: &Head, pass: &mut Pass) {
    if head.has_basic() {
        pass.remove.push("authorization".into());
    }
}
