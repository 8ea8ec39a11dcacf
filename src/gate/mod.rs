//! One request in, one ruling out: pass it on, answer it, read its body first, or start a flow.
//!
//! The common case, a request with a valid session, is decided here synchronously. The order of the
//! lines in [`rule`] is the order of the rules.

mod account;
mod endpoints;
#[cfg(test)]
mod shared_origin_tests;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::access::{demand, Demand};
use crate::exchange::{unmet, Asked, Pass, Ruling};
use crate::flows::bearer::{self, Bearing};
use crate::flows::login;
use crate::flows::recheck;
use crate::flows::recheck::renewal::Due;
use crate::http::{Head, Path};
use crate::state::{Site, Visitor, World};
use account::Choice;

/// Rules on a request.
#[inline]
pub fn rule(world: &Rc<World>, head: Rc<Head>) -> Ruling {
    let mut ruling = rule_once(world, head);
    while let Ruling::Again(head) = ruling {
        ruling = rule_once(world, head);
    }
    ruling
}

#[inline]
fn rule_once(world: &Rc<World>, head: Rc<Head>) -> Ruling {
    let now = world.host.now();
    let sites = world.sites_at(head.authority());
    let path = Path::read(head.path());
    let jar = head.jar(&world.config.cookies.name);
    let choice = account::choose(world, sites, &head, &path, &jar, now);
    let (site, visitor, behind) = match choice {
        Choice::Site(site, visitor, behind) => (site, visitor, behind),
        Choice::None => return account::account_unknown(world, &head, now),
        Choice::Ask => return account::ask_for_account(world, &head, now),
    };
    if sites.len() > 1 && login::password::is_of_another(sites, &site, &head, &path) {
        let path = path.canonical().to_owned();
        return login::password::refuse_of_another(&asked(world, &site, &head, path, now));
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
        return endpoints::answer(asked(world, &site, &head, path, now), endpoint);
    }
    if !account.password.logins.is_empty() {
        if let Some(login) = login::password::login_at(account, &head, &path) {
            // Beside a login that is ruled on, Basic credentials would be one that is not.
            strip_credentials(sites, &head, &mut pass);
            pass.cookie = jar.edit(&head);
            let path = path.canonical().to_owned();
            return login::password::gate(asked(world, &site, &head, path, now), login, pass);
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
            return login::sign_in_first(asked(world, &site, &head, path, now), stale);
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
        return login::step_up(asked, &opened, unmet);
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
