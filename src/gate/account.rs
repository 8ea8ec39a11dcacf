//! Which account a request is for.

use std::rc::Rc;

use crate::access::{demand, Demand};
use crate::config::Endpoint;
use crate::exchange::{Asked, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::bearer;
use crate::flows::login;
use crate::flows::logout;
use crate::http::{Head, Jar, Path};
use crate::session::Opened;
use crate::state::{Site, Visitor, World};

/// The account, or that there is none.
pub enum Choice {
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
pub fn choose(
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
                    // A token says for whom it is, and is verified there. Where that account would not ask for one
                    // it says nothing: anybody can write what an unverified token says.
                    (Some(Some(site)), _) if is_verified_at(site, several, head, path) => {
                        Choice::Site(site.clone(), Visitor::Nobody, false)
                    }
                    (Some(Some(_)), Visitor::Known(opened)) => of_session(several, opened, behind),
                    // A token that is for none of them: not even beside a session.
                    (Some(None), _) => shared_by_all(several, path, head),
                    (None, Visitor::Known(opened)) => of_session(several, opened, behind),
                    _ => shared_by_all(several, path, head),
                },
            }
        }
    }
}

fn of_session(sites: &[Rc<Site>], opened: &Rc<Opened>, behind: bool) -> Choice {
    let site = sites.iter().find(|site| Rc::ptr_eq(&site.account, &opened.account));
    let visitor = Visitor::Known(opened.clone());
    site.cloned().map_or(Choice::Ask, |site| Choice::Site(site, visitor, behind))
}

/// True where a token for this account is verified before anything passes: on a path of `users` that is nobody's
/// password login.
fn is_verified_at(site: &Site, sites: &[Rc<Site>], head: &Head, path: &Path<'_>) -> bool {
    matches!(demand(&site.account.access, path, head.path()), Demand::Users(_))
        && !is_login(sites, head, path)
}

/// True where a request is a password login of any of these accounts.
fn is_login(sites: &[Rc<Site>], head: &Head, path: &Path<'_>) -> bool {
    sites.iter().any(|site| login::password::login_at(&site.account, head, path).is_some())
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
    match sites.first() {
        Some(site) if sites.iter().all(open) && !is_login(sites, head, path) => {
            Choice::Site(site.clone(), Visitor::Nobody, false)
        }
        _ => Choice::Ask,
    }
}

/// The refusal where nobody is served.
pub fn account_unknown(world: &Rc<World>, head: &Rc<Head>, now: u64) -> Ruling {
    let host: String = String::from_utf8_lossy(head.authority()).chars().take(100).collect();
    let fault = Fault::new(Code::AccountUnknown, format!("no account is served at {host:?}"));
    let (world, head) = (world.clone(), head.clone());
    let asked = Asked { world, site: None, is_unsure: true, head, path: String::new(), now };
    Ruling::Answer(asked.refuse(&fault))
}

/// Several accounts are served here, and nothing says which.
pub fn ask_for_account(world: &Rc<World>, head: &Rc<Head>, now: u64) -> Ruling {
    let sites = world.sites_at(head.authority());
    let path = Path::read(head.path()).canonical().to_owned();
    let mut enabled = sites.iter().filter(|site| site.account.enabled);
    let asked = |site: Option<&Rc<Site>>| {
        let site = site.cloned();
        Asked { world: world.clone(), site, is_unsure: true, head: head.clone(), path: path.clone(), now }
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
