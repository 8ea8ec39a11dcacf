//! Ways in: one readable async function each.

pub mod flow;
pub mod invitation;
#[cfg(test)]
mod invitation_tests;
mod oidc;
pub mod page;
pub mod password;
pub mod saml;
#[cfg(test)]
mod ways_tests;

pub use oidc::{finish, form_post};
pub(crate) use oidc::{kept, wants_userinfo};

use std::rc::Rc;

use crate::config::{Endpoint, MappingFrom, Protocol, SameSite};
use crate::directory::Resolution;
use crate::exchange::{refuse, step_up_target, Asked, Outcome, Ruling, Unmet};
use crate::fault::{Code, Fault};
use crate::host::events;
use crate::host::task::Ask;
use crate::http::response::Answer;
use crate::identity::Identity;
use crate::pages;
use crate::session::{self, chunk_name, cookie, ended, headers, Method, Opened, Origin, Session, Tokens};
use crate::state::{Site, Visitor};
use flow::{Extras, Flow, Returns};

/// Marks a form that went over a page of our own.
const BOUNCED: &str = "sso_bounced";

/// Sends the person to a provider, to come back to `target`.
pub fn begin(asked: Rc<Asked>, provider: &str, target: &str, extras: Extras) -> Ruling {
    let (provider, target) = (provider.to_owned(), target.to_owned());
    Ruling::flow(asked, move |ask, asked| async move {
        start_login(&ask, &asked, &provider, target, extras).await.map(Outcome::Answer)
    })
}

/// Sends the person to authenticate again, where that helps and is possible.
pub fn step_up(asked: Rc<Asked>, opened: &Opened, unmet: Unmet) -> Ruling {
    match (step_up_target(&asked, opened, &unmet), unmet) {
        (Some(target), Unmet::Authentication(extras)) => {
            begin(asked, &opened.session.origin.provider, &target, extras)
        }
        (_, unmet) => Ruling::Answer(refuse(&asked, opened, &unmet)),
    }
}

/// Nobody is signed in: a navigation goes to sign in and comes back, anything else is told so.
pub fn sign_in_first(asked: Rc<Asked>, stale: bool) -> Ruling {
    // Who asks whether anybody is signed in wants to know, not to sign in.
    if asked.head.is_navigation() && asked.endpoint() != Some(Endpoint::Session) {
        return page::first(asked, stale);
    }
    let fault = match stale {
        true => Fault::new(Code::SessionExpired, "the session cookie holds no valid session"),
        false => Fault::new(Code::LoginRequired, "no session"),
    };
    Ruling::Answer(if stale { asked.refuse_stale(&fault) } else { asked.refuse(&fault) })
}

/// The same inside a flow: each protocol begins in its own way.
pub async fn start_login(
    ask: &Ask,
    asked: &Asked,
    provider: &str,
    target: String,
    extras: Extras,
) -> Result<Answer, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let provider =
        site.provider(provider).ok_or_else(|| Fault::new(Code::RequestInvalid, "no such provider"))?;
    match &provider.protocol {
        Protocol::Saml(_) => saml::start_login(ask, asked, provider, target, extras).await,
        _ => oidc::start_login(ask, asked, provider, target, extras).await,
    }
}

/// The person leaves for the provider: with the cookie of this login, without one that no longer counts.
fn departed(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    flow: Flow,
    returns: Returns,
    answer: Answer,
) -> Result<Answer, Fault> {
    let visitor = asked.visitor();
    let replaces = match &visitor {
        Visitor::Known(old) => Some(old.session.id.clone()),
        _ => None,
    };
    let flow = Flow { replaces, ..flow };
    let cookies = flow.begin(ask.host(), &asked.world.config, &site.account.code, &asked.head, returns)?;
    let mut answer = answer.with_code(Code::LoginRequired.as_str());
    if let Visitor::Stale = visitor {
        answer = asked.without_session(answer);
    }
    Ok(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// To the person it is all one whether the IdP is down or its discovery document is no good.
fn unusable(fault: Fault) -> Fault {
    match fault.code {
        Code::IdpInvalidAnswer => Fault { code: Code::IdpUnavailable, ..fault },
        _ => fault,
    }
}

/// A provider may authenticate by less than it was asked for (OpenID Connect Core section 5.5.1.1: `acr` is
/// voluntary there). Said here, or the path that asks for more would send the person back for ever.
fn authenticated_well_enough(identity: &Identity, flow: &Flow) -> Result<(), Fault> {
    let wanted = &flow.extras.acr_values;
    if wanted.is_empty() || identity.acr.as_ref().is_some_and(|acr| wanted.contains(acr)) {
        return Ok(());
    }
    let acr: String = identity.acr.as_deref().unwrap_or("absent").chars().take(200).collect();
    let why = format!("the provider's acr is {acr:?}, the path asks for {}", wanted.join(" or "));
    Err(Fault::new(Code::IdpDenied, why).about("acr"))
}

/// The person comes back, verified and found: a session, or the question whether they accept an invitation.
fn arrived(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    flow: &Flow,
    identity: &Identity,
    tokens: Tokens,
    resolution: Resolution,
) -> Result<Answer, Fault> {
    match resolution {
        Resolution::User(user) => {
            let session = Session::open(ask.host(), user, Method::Sso, origin(identity, flow), tokens)?;
            let headers = forwarded(ask, asked, site, identity);
            let session = Session { headers, not_after: identity.not_after, ..session };
            opened(asked, site, session, flow)
        }
        Resolution::Invitation { email, roles } => {
            invitation::offer(ask, asked, site, flow, identity, tokens, &email, &roles)
        }
    }
}

/// The values of `forward.headers`.
fn forwarded(ask: &Ask, asked: &Asked, site: &Site, identity: &Identity) -> Vec<(String, String)> {
    headers::from_claims(ask.host(), asked.place(), &site.account, &identity.claims)
}

/// What the session keeps of the provider's word.
fn origin(identity: &Identity, flow: &Flow) -> Origin {
    Origin {
        provider: identity.provider.clone(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        sid: identity.sid.clone(),
        auth_time: identity.auth_time,
        acr: identity.acr.clone(),
        name_id: identity.name_id.clone(),
        nonce: (identity.source != MappingFrom::Saml).then(|| flow.nonce.clone()),
    }
}

/// A person is in: the session's cookies, and back to where they wanted to go. A session this browser had
/// before ends, whosever it was.
pub fn opened(asked: &Asked, site: &Site, session: Session, flow: &Flow) -> Result<Answer, Fault> {
    let cookies = open_session(asked, site, session)?;
    if let Some(id) = &flow.replaces {
        ended::by_id(&*asked.world.host, &asked.world.config.session, id);
    }
    let answer = match asked.world.config.cookies.same_site {
        // The redirects began at the provider's page: a browser would not send along what was set on the way, and the
        // login would begin anew for ever. From a page of our own it does.
        SameSite::Strict => pages::go_on(&asked.page_context(), &flow.return_to),
        SameSite::Lax | SameSite::None => Answer::redirect(&flow.return_to),
    };
    Ok(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// Opens a session: its `set-cookie` values.
pub fn open_session(asked: &Asked, site: &Site, session: Session) -> Result<Vec<String>, Fault> {
    let world = &asked.world;
    let host = &*world.host;
    let sealed = session.seal(host, &world.config, &site.account)?;
    let Some(new) = world.admit(&site.account, sealed.session, sealed.text.as_bytes().into()) else {
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
    let place = session.place(asked.place());
    events::left_out(host, place, &sealed.left_out);
    headers::note_left_out(host, place, &site.account, session);
    events::login(host, place, session.method.as_str());
    let mut cookies = session::set_cookies(&world.config.cookies, &sealed.text);
    let written = cookies.len();
    for n in asked.jar().sent().filter(|n| *n >= written) {
        cookies.push(cookie::delete(&chunk_name(&world.config.cookies.name, n), &world.config.cookies));
    }
    Ok(cookies)
}
