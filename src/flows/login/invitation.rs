//! An invited person's way in: they accept or decline before a user is made of them.
//!
//! Between the question and the answer the verified person waits in one sealed cookie of ten minutes.
//! The form carries a random value from inside it, so that no other site can answer in a person's name
//! (CWE-352). Accepting twice is harmless: the second time the user is there already.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flow::{Flow, LIFETIME};
use super::{forwarded, opened, origin};
use crate::config::{Endpoint, SameSite};
use crate::directory;
use crate::exchange::{Asked, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Ask;
use crate::host::{random_token, Level};
use crate::http::response::Answer;
use crate::identity::Identity;
use crate::pages;
use crate::session::{cookie, Method, Purpose, Session, Tokens, CHUNK};
use crate::state::Site;

/// The end of the cookie's name.
pub(super) const COOKIE: &str = "-flow-invitation";

/// What waits for the person's answer.
#[derive(Serialize, Deserialize)]
struct Waiting {
    /// The login that led here. It is used up: `state` is the value that the form carries, `started` is
    /// when the question was asked.
    #[serde(rename = "f")]
    flow: Flow,
    #[serde(rename = "i")]
    identity: Value,
    #[serde(rename = "t")]
    tokens: Tokens,
    #[serde(rename = "h")]
    headers: Vec<(String, String)>,
    /// For the page: who is invited, as what. Accepting looks it up again.
    #[serde(rename = "e")]
    email: String,
    #[serde(rename = "r")]
    roles: Vec<String>,
}

/// Asks the person, and keeps what is needed to go on.
#[allow(clippy::too_many_arguments)]
pub fn offer(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    flow: &Flow,
    identity: &Identity,
    tokens: Tokens,
    email: &str,
    roles: &[String],
) -> Result<Answer, Fault> {
    let flow = Flow {
        state: random_token::<16>(ask.host())?,
        started: ask.now(),
        verifier: String::new(),
        redirect_uri: String::new(),
        ..flow.clone()
    };
    let waiting = Waiting {
        flow,
        identity: identity.sealed(&site.account.mapping),
        tokens,
        headers: forwarded(ask, asked, site, identity),
        email: email.to_owned(),
        roles: roles.to_vec(),
    };
    let page = page(asked, site, &waiting);
    let sealed = seal(ask, asked, site, waiting)?;
    let place = Place { provider: Some(&identity.provider), ..asked.place() };
    events::login_outcome(ask.host(), place, "invited");
    let cookies = &asked.world.config.cookies;
    let attributes = cookie::Attributes { cookies, same_site: SameSite::Lax, max_age: Some(LIFETIME / 1000) };
    Ok(page.with_cookie(&cookie::set(&name(asked), &sealed, attributes)))
}

/// One cookie. The ID token is but a hint at logout, and the access token comes again with the next
/// sign-in: both give way where there is no room.
fn seal(ask: &Ask, asked: &Asked, site: &Site, mut waiting: Waiting) -> Result<String, Fault> {
    let keys = &asked.world.config.session.keys;
    for attempt in 0..3 {
        match attempt {
            1 => waiting.tokens.id_token = None,
            2 => {
                waiting.tokens = Tokens::default();
                events::notice(
                    ask.host(),
                    asked.place(),
                    Level::Warn,
                    "an invitation has no room for the access token",
                );
            }
            _ => {}
        }
        let plain = serde_json::to_vec(&waiting).unwrap_or_default();
        match keys.seal(ask.host(), Purpose::Invitation, &site.account.code, &plain) {
            Ok(sealed) if sealed.len() <= CHUNK => return Ok(sealed),
            _ => {}
        }
    }
    Err(Fault::new(Code::NotReady, "what is known of the invited person does not fit into a cookie"))
}

/// GET: the question again.
pub fn show(asked: &Asked) -> Answer {
    match take(asked) {
        Ok((site, waiting)) => page(asked, &site, &waiting),
        Err(fault) => asked.refuse(&fault),
    }
}

/// POST: the answer.
pub fn decide(asked: Rc<Asked>, body: Vec<u8>) -> Ruling {
    match read(&asked, &body) {
        Ok(None) => Ruling::Answer(declined(&asked)),
        Ok(Some((site, waiting))) => Ruling::flow(asked, move |ask, asked| async move {
            Ok(Outcome::Answer(accept(&ask, &asked, &site, waiting).await))
        }),
        Err(fault) => Ruling::Answer(asked.refuse(&fault)),
    }
}

/// What is accepted; `None`: it is declined.
fn read(asked: &Asked, body: &[u8]) -> Result<Option<(Rc<Site>, Waiting)>, Fault> {
    let (site, waiting) = take(asked)?;
    if asked.head.is_cross_site(&site.account.origin_texts()) {
        return Err(Fault::new(Code::RequestInvalid, "an invitation is answered on its own page only")
            .with_status(403));
    }
    let field = |name: &str| {
        let mut values = url::form_urlencoded::parse(body).filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        value.filter(|_| values.next().is_none()).unwrap_or_default()
    };
    if field("csrf") != waiting.flow.state {
        return Err(Fault::new(Code::RequestInvalid, "csrf is not that of the invitation").with_status(403));
    }
    match field("decision").as_str() {
        "accept" => Ok(Some((site, waiting))),
        "decline" => Ok(None),
        _ => {
            Err(Fault::new(Code::RequestInvalid, "decision is neither accept nor decline").about("decision"))
        }
    }
}

async fn accept(ask: &Ask, asked: &Asked, site: &Site, waiting: Waiting) -> Answer {
    let place = Place { provider: Some(&waiting.flow.provider), ..asked.place() };
    let return_to = waiting.flow.return_to.clone();
    match enter(ask, asked, site, &waiting).await {
        Ok(answer) => answer.with_cookie(&cookie::delete(&name(asked), &asked.world.config.cookies)),
        Err(fault) => {
            events::login_outcome(ask.host(), place, fault.code.as_str());
            // The invitation stays until it expires: a directory that was down may be back in a moment.
            asked.refuse_login(place, &fault, &return_to)
        }
    }
}

async fn enter(ask: &Ask, asked: &Asked, site: &Site, waiting: &Waiting) -> Result<Answer, Fault> {
    let flow = &waiting.flow;
    site.provider(&flow.provider).ok_or_else(|| unknown("its provider is gone"))?;
    let identity =
        Identity::unsealed(&waiting.identity).ok_or_else(|| unknown("it is of another version"))?;
    let user = directory::accept_invitation(ask, &site.account, &site.directory, &identity).await?;
    let session =
        Session::open(ask.host(), user, Method::Sso, origin(&identity, flow), waiting.tokens.clone())?;
    let session = Session { headers: waiting.headers.clone(), not_after: identity.not_after, ..session };
    opened(asked, site, session, flow)
}

fn declined(asked: &Asked) -> Answer {
    let host = &*asked.world.host;
    events::notice(host, asked.place(), Level::Info, "an invitation was declined");
    events::login_outcome(host, asked.place(), "declined");
    let out = asked.site.as_ref().map(|site| site.account.paths.registered(Endpoint::LogoutComplete));
    Answer::redirect(out.as_deref().unwrap_or("/"))
        .with_code("declined")
        .with_cookie(&cookie::delete(&name(asked), &asked.world.config.cookies))
}

/// The invitation that waits in this browser for this account.
fn take(asked: &Asked) -> Result<(Rc<Site>, Waiting), Fault> {
    let (site, _) = asked.site_and_origin()?;
    let (name, jar) = (name(asked), asked.jar());
    let mut values = jar.named(name.as_bytes());
    let sealed = values.next().ok_or_else(|| unknown("none waits in this browser"))?;
    if values.any(|other| other != sealed) {
        return Err(unknown("two cookies of one name"));
    }
    let keys = &asked.world.config.session.keys;
    let (code, plain) = std::str::from_utf8(sealed)
        .ok()
        .and_then(|text| keys.open(Purpose::Invitation, text))
        .ok_or_else(|| unknown("its cookie does not open"))?;
    if code != site.account.code {
        return Err(unknown("it belongs to another account"));
    }
    let waiting: Waiting = serde_json::from_slice(&plain).map_err(|_| unknown("it is of another version"))?;
    let started = waiting.flow.started;
    if asked.now.saturating_sub(started) >= LIFETIME || started > asked.now.saturating_add(60_000) {
        return Err(unknown("it was not answered within ten minutes"));
    }
    Ok((site, waiting))
}

fn unknown(why: &str) -> Fault {
    Fault::new(Code::StateUnknown, format!("invitation: {why}"))
}

fn name(asked: &Asked) -> String {
    format!("{}{COOKIE}", asked.world.config.cookies.name)
}

fn page(asked: &Asked, site: &Site, waiting: &Waiting) -> Answer {
    let mut action = site.account.paths.path(Endpoint::Invitation).to_owned();
    let several = asked.world.sites_at(asked.head.authority()).len() > 1;
    if several {
        action.push_str("?u=");
        action.push_str(&site.account.code);
    }
    let page = pages::Invitation {
        action,
        csrf: waiting.flow.state.clone(),
        fields: Vec::new(),
        user: waiting.email.clone(),
        organization: several.then(|| site.account.code.clone()),
        roles: waiting.roles.clone(),
    };
    pages::invitation(&asked.page_context(), &page)
}
