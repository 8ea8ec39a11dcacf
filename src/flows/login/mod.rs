//! Ways in: one readable async function each.
//!
//! | file | what it is |
//! |---|---|
//! | `page` | `/sso/login`: the sign-in page, or straight to the provider |
//! | `oidc` | OpenID Connect and OAuth 2.0: to the provider, and back at the callback |
//! | `saml` | SAML 2.0: AuthnRequest, assertion consumer service, unsolicited responses |
//! | `password` | the application's own login, ruled on; `attempt` counts it, `watch` waits for its answer |
//! | `unruled` | the application's own login while single sign-on is off |
//! | `invitation` | an invited person accepts or declines |
//! | `ticket` | a login for another origin of the account (`login_origin`) |
//! | `groups` | groups that a provider lists at a URL |
//! | `trial` | a test sign-in with an administrator's draft |
//!
//! Invariants: a login in progress lives in one sealed cookie (`login_state`, `flow_cookies`), which is used up once. A session
//! is issued in one place, `issue_session`, and ends the one before.

mod attempt;
mod flow_cookies;
pub(crate) mod groups;
pub mod invitation;
#[cfg(test)]
mod invitation_tests;
pub mod login_state;
mod oidc;
pub mod page;
pub mod password;
pub mod saml;
#[cfg(test)]
mod tests;
pub mod ticket;
#[cfg(test)]
mod ticket_tests;
pub mod trial;
pub mod unruled;
mod watch;

pub use oidc::{finish, form_post};
pub(crate) use oidc::{kept, wants_userinfo};

use std::rc::Rc;

use crate::access::condition::noted;
use crate::config::{Endpoint, MappingFrom, Protocol, SameSite};
use crate::directory::{notices, Resolution};
use crate::exchange::{refuse, step_up_target, Exchange, Outcome, Ruling, Unmet};
use crate::fault::{Code, Fault};
use crate::host::events;
use crate::host::task::Io;
use crate::http::response::Response;
use crate::identity::{self, Identity};
use crate::pages;
use crate::session::{
    self, chunk_name, cookie, ended, headers, Authentication, ForwardedClaim, LiveSession, Method, Session,
    Tokens,
};
use crate::state::{AccountState, NoSession, SessionState};
use flow_cookies::Returns;
use login_state::{AuthnParameters, LoginState};

/// Marks a form that went over a page of our own.
const BOUNCED: &str = "sso_bounced";

/// Sends the person to a provider, to come back to `target`.
pub fn begin(exchange: Rc<Exchange>, provider: &str, target: &str, parameters: AuthnParameters) -> Ruling {
    let (provider, target) = (provider.to_owned(), target.to_owned());
    Ruling::flow(exchange, move |io, exchange| async move {
        start_login(&io, &exchange, &provider, target, parameters).await.map(Outcome::LocalReply)
    })
}

/// Sends the person to authenticate again, where that helps and is possible.
pub fn step_up(exchange: Rc<Exchange>, live: &LiveSession, unmet: Unmet) -> Ruling {
    match step_up_target(&exchange, live, &unmet) {
        Some((target, parameters)) => begin(exchange, &live.session.origin.provider, &target, parameters),
        None => Ruling::LocalReply(refuse(&exchange, live, &unmet)),
    }
}

/// A request without a session: a navigation goes to sign in and comes back, anything else is told so.
pub fn sign_in_first(exchange: Rc<Exchange>, why: NoSession) -> Ruling {
    if exchange.head.is_speculative() && exchange.endpoint() != Some(Endpoint::Session) {
        return Ruling::LocalReply(exchange.ignored());
    }
    // The session endpoint answers the question and begins no login.
    if exchange.head.is_navigation() && exchange.endpoint() != Some(Endpoint::Session) {
        return page::first(exchange, why);
    }
    Ruling::LocalReply(exchange.refuse_without(why))
}

/// The same inside a flow: each protocol begins in its own way.
pub async fn start_login(
    io: &Io,
    exchange: &Exchange,
    provider: &str,
    target: String,
    parameters: AuthnParameters,
) -> Result<Response, Fault> {
    // Each login in progress has a cookie, of which a browser keeps a few: a page of links looked ahead at, or an image that
    // leads to the sign-in page, would fill them.
    let begins_here = exchange.endpoint() == Some(Endpoint::Login);
    if exchange.head.is_speculative() || begins_here && exchange.head.is_unasked() {
        return Ok(exchange.ignored());
    }
    let (account_state, origin) = exchange.site_and_origin()?;
    let provider = account_state
        .provider(provider)
        .ok_or_else(|| Fault::new(Code::RequestInvalid, "no such provider"))?;
    if account_state.account.login_elsewhere(&origin).is_some() {
        return ticket::leave(io, exchange, provider, target, parameters);
    }
    if exchange.is_login_only() && parameters.asked.is_none() {
        let why = "a login begins at an origin of the application";
        return Err(Fault::new(Code::RequestInvalid, why));
    }
    match &provider.protocol {
        Protocol::Saml(_) => saml::start_login(io, exchange, provider, target, parameters).await,
        _ => oidc::start_login(io, exchange, provider, target, parameters).await,
    }
}

/// The person leaves for the provider: with the cookie of this login, without one that no longer counts.
fn departed(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    login_state: LoginState,
    returns: Returns,
    answer: Response,
) -> Result<Response, Fault> {
    let session_state = exchange.session_state();
    let replaces = match &session_state {
        SessionState::Valid(old) => Some(old.session.id.clone()),
        _ => None,
    };
    let login_state = LoginState { replaces, ..login_state };
    let cookies = flow_cookies::begin(
        login_state,
        io.host(),
        &exchange.filter_state.config,
        &account_state.account.code,
        &exchange.head,
        returns,
    )?;
    let mut answer = answer.with_code(Code::LoginRequired.as_str());
    if let SessionState::Stale = session_state {
        answer = exchange.without_session(answer);
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
fn authenticated_well_enough(identity: &Identity, login_state: &LoginState) -> Result<(), Fault> {
    let wanted = &login_state.parameters.acr_values;
    if wanted.is_empty() || identity.acr.as_ref().is_some_and(|acr| wanted.contains(acr)) {
        return Ok(());
    }
    let acr: String = identity.acr.as_deref().unwrap_or("absent").chars().take(200).collect();
    let why = format!("the provider's acr is {acr:?}, the path asks for {}", wanted.join(" or "));
    Err(Fault::new(Code::IdpDenied, why).about("acr"))
}

/// The person comes back, verified and found: a session, or the question whether they accept an invitation.
async fn arrived(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    login_state: &LoginState,
    identity: &Identity,
    tokens: Tokens,
    resolution: Resolution,
) -> Result<Response, Fault> {
    // A draft signs no user in, whatever led here.
    if account_state.account.is_draft {
        return Err(page::nobody_here());
    }
    notices::note(io.host(), &account_state.account, identity);
    match resolution {
        Resolution::User(user) => {
            invitation::use_up(io, exchange, account_state, identity).await;
            let session = Session::open(
                io.host(),
                user,
                Method::Sso,
                origin(account_state, identity, login_state),
                tokens,
            )?;
            let headers = forwarded(io, exchange, account_state, identity);
            let conditions = noted(&account_state.account.access, &identity.claims);
            let session = Session { headers, conditions, not_after: identity.not_after, ..session };
            issue_session(exchange, account_state, session, login_state)
        }
        Resolution::Invitation { email, roles } => {
            invitation::offer(io, exchange, account_state, login_state, identity, tokens, &email, &roles)
        }
    }
}

/// By what a user knows which account of the provider this is: the first of these that is there.
fn shown(identity: &Identity) -> Option<String> {
    let text = |name: &&str| match identity.claims.get(*name)? {
        serde_json::Value::String(text) => Some(text.as_str()),
        // SAML's attributes are lists.
        serde_json::Value::Array(list) => list.first()?.as_str(),
        _ => None,
    };
    let names = ["email", "preferred_username", "upn", "login", "NameID", "name"];
    let mut all = names.iter().filter_map(text).chain([identity.subject.as_str()]);
    let found = all.find(|text| !text.is_empty());
    found.map(|text| text.chars().take(100).collect())
}

/// The values of `forward.headers`.
fn forwarded(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    identity: &Identity,
) -> Vec<ForwardedClaim> {
    headers::from_claims(io.host(), exchange.place(), &account_state.account, &identity.claims)
}

/// What the session keeps of the provider's word.
fn origin(account_state: &AccountState, identity: &Identity, login_state: &LoginState) -> Authentication {
    let account = &account_state.account;
    Authentication {
        client: account.provider(&identity.provider).map(|provider| provider.client.clone()),
        domain: identity::mapping::domain(&account.mapping, identity),
        provider: identity.provider.clone(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        sid: identity.sid.clone(),
        auth_time: identity.auth_time,
        acr: identity.acr.clone(),
        amr: Some(identity.amr.clone()),
        name_id: identity.name_id.clone().map(Box::new),
        scopes: Vec::new(),
        nonce: (identity.source != MappingFrom::Saml).then(|| login_state.nonce.clone()),
    }
}

/// A person is in: the session's cookies, and back to where they wanted to go. A session this browser had
/// before ends, whosever it was.
pub fn issue_session(
    exchange: &Exchange,
    account_state: &AccountState,
    session: Session,
    login_state: &LoginState,
) -> Result<Response, Fault> {
    if let Some(asked) = &login_state.parameters.asked {
        return ticket::back(exchange, account_state, session, asked);
    }
    let cookies = open_session(exchange, account_state, session)?;
    if let Some(id) = &login_state.replaces {
        ended::by_id(&*exchange.filter_state.host, &exchange.filter_state.config.session, id);
    }
    let answer = match exchange.filter_state.config.cookies.same_site {
        // The redirects began at the provider's page: a browser would not send along what was set on the way, and the
        // login would begin anew for ever. From a page of our own it does.
        SameSite::Strict => pages::go_on(&exchange.page_context(), &login_state.return_to),
        SameSite::Lax | SameSite::None => Response::redirect(&login_state.return_to),
    };
    Ok(cookies.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// Opens a session: its `set-cookie` values.
pub fn open_session(
    exchange: &Exchange,
    account_state: &AccountState,
    session: Session,
) -> Result<Vec<String>, Fault> {
    let filter_state = &exchange.filter_state;
    let host = &*filter_state.host;
    let sealed = session.seal(host, &filter_state.config, &account_state.account)?;
    let Some(new) = filter_state.admit(&account_state.account, sealed.session, sealed.text.as_bytes().into())
    else {
        return Err(Fault::new(Code::NotReady, "the configuration does not let this session be"));
    };
    if new.mark.has_ended(host, host.now()) {
        // Said here, not by sending the person round in circles.
        let why = "the provider ended its session while this login was under way";
        return Err(Fault::new(Code::SessionExpired, why));
    }
    if let SessionState::Valid(old) = exchange.session_state() {
        old.mark.end(host, old.session.ends(&filter_state.config.session));
    }
    // The browser's next request comes over the same connection most often, and so to this worker.
    let new = Rc::new(new);
    filter_state.live_sessions.put(new.clone(), host.now());
    let session = &new.session;
    let place = session.place(exchange.place());
    events::left_out(host, place, &sealed.left_out);
    headers::note_left_out(host, place, &account_state.account, session);
    events::login(host, place, session.method.as_str());
    let mut cookies = session::set_cookies(
        &filter_state.config.cookies,
        &sealed.text,
        new.expires.saturating_sub(host.now()),
    );
    let written = cookies.len();
    for n in exchange.jar().sent().filter(|n| *n >= written) {
        cookies.push(cookie::delete(
            &chunk_name(&filter_state.config.cookies.name, n),
            &filter_state.config.cookies,
        ));
    }
    if !account_state.account.password.logins.is_empty() {
        // In an emergency an administrator may never have used the password in this browser.
        let (config, jar, code) = (&filter_state.config, exchange.jar(), &account_state.account.code);
        cookies.push(session::device::renewed(host, config, &jar, code, &session.user.username)?);
    }
    Ok(cookies)
}
