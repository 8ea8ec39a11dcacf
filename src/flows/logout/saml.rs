//! SAML single logout (SAML profiles section 4.4), begun here or at the IdP.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::config::{Address, Endpoint, Origin, SameSite, SamlBinding};
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login::saml::{by_issuer, Own};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::response::Response;
use crate::pages;
use crate::proto::fetch::turn::Sender;
use crate::proto::saml::bindings::{self, Kind, Redirected};
use crate::proto::saml::idp::{single_logout, Facts};
use crate::proto::saml::logout::{self, Expected, LogoutRequest, LogoutStatus, Outgoing, Received};
use crate::proto::saml::refused::Refused;
use crate::proto::saml::signature::Trust;
use crate::proto::saml::xml::clip;
use crate::proto::saml::Idp;
use crate::session::{cookie, ended, Authentication, Purpose};
use crate::state::{AccountState, SessionState};

/// The longest RelayState that is sent back: it should have 80 bytes (SAML bindings section 3.4.3).
const MAX_RELAY_STATE: usize = 1024;

/// How long an answer to a request of ours is waited for, milliseconds.
const WAIT: u64 = 600_000;

/// A request of ours that waits for its answer, in a cookie of its own.
#[derive(Serialize, Deserialize)]
struct Waiting {
    #[serde(rename = "saml")]
    id: String,
    #[serde(rename = "t")]
    sent: u64,
    /// The origin that the sign-out began at, if it is another.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    back: Option<String>,
}

/// Sends the browser to the IdP with a LogoutRequest for the session's NameID. `None` where there is no single
/// logout, or where its endpoint is not known: an IdP that is down does not keep a user from signing out here.
pub(super) async fn request(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    origin: &Origin,
    from: &Authentication,
    back: Option<&str>,
) -> Result<Option<Response>, Fault> {
    let (Some(idp), Some(name_id)) = (account_state.idps.get(&from.provider), &from.name_id) else {
        return Ok(None);
    };
    let Ok(facts) = idp.facts(io).await else { return Ok(None) };
    let Some((binding, endpoint)) = facts.slo(None) else { return Ok(None) };
    let own = Own::at(origin, &account_state.account, idp);
    let index = from.sid.as_deref();
    let message = Outgoing::request(io.host(), &endpoint.requests, &own.entity_id, name_id, index)?;
    let answer = leave(io, exchange, idp, *binding, &endpoint.requests, &message, None)?;
    let waiting = Waiting { id: message.id, sent: io.now(), back: back.map(str::to_owned) };
    Ok(Some(answer.with_cookie(&remember(io, exchange, account_state, &waiting)?)))
}

/// Refuses every message where no provider of the account has single logout, before anything of it is read.
pub fn expected(exchange: &Exchange) -> Result<(), Fault> {
    let account_state = exchange.account_state.as_ref();
    let any = account_state.is_some_and(|own| own.idps.values().any(|idp| single_logout(idp.config())));
    any.then_some(()).ok_or_else(no_single_logout)
}

/// A message that came by HTTP-Redirect.
pub fn redirected(exchange: Rc<Exchange>) -> Ruling {
    if let Err(fault) = expected(&exchange) {
        return Ruling::LocalReply(exchange.refuse(&fault));
    }
    let query = String::from_utf8_lossy(exchange.head.query().unwrap_or_default()).into_owned();
    match Redirected::parse(&query) {
        Ok(redirected) => receive(exchange, Message::Redirect(redirected)),
        Err(why) => Ruling::LocalReply(exchange.refuse(&Fault::new(Code::RequestInvalid, why))),
    }
}

/// A message that came by HTTP-POST.
pub fn posted(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    match Message::posted(&body) {
        Ok(message) => receive(exchange, message),
        Err(why) => Ruling::LocalReply(exchange.refuse(&Fault::new(Code::RequestInvalid, why))),
    }
}

/// A message as it came.
enum Message {
    Redirect(Redirected),
    Post(Kind, String, Option<String>),
}

impl Message {
    fn posted(body: &[u8]) -> Result<Self, String> {
        let [request, response, relay_state] =
            bindings::fields(body, ["SAMLRequest", "SAMLResponse", "RelayState"])?;
        let (kind, text) = match (request, response) {
            (Some(text), None) => (Kind::Request, text),
            (None, Some(text)) => (Kind::Response, text),
            _ => return Err("the form holds not exactly one of SAMLRequest and SAMLResponse".into()),
        };
        Ok(Self::Post(kind, bindings::decode_logout(&text)?, relay_state))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Redirect(redirected) => redirected.kind,
            Self::Post(kind, ..) => *kind,
        }
    }

    fn received(&self) -> Received<'_> {
        match self {
            Self::Redirect(redirected) => Received::Redirect(redirected),
            Self::Post(_, text, _) => Received::Post(text),
        }
    }

    fn relay_state(&self) -> Option<&str> {
        let relay_state = match self {
            Self::Redirect(redirected) => redirected.relay_state.as_deref(),
            Self::Post(.., relay_state) => relay_state.as_deref(),
        };
        relay_state.filter(|relay_state| relay_state.len() <= MAX_RELAY_STATE)
    }

    fn binding(&self) -> SamlBinding {
        match self {
            Self::Redirect(_) => SamlBinding::Redirect,
            Self::Post(..) => SamlBinding::Post,
        }
    }
}

fn receive(exchange: Rc<Exchange>, message: Message) -> Ruling {
    Ruling::flow(exchange, move |io, exchange| async move {
        answer(&io, &exchange, &message).await.map(Outcome::LocalReply)
    })
}

async fn answer(io: &Io, exchange: &Exchange, message: &Message) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let read = logout::Message::read(message.received())?;
    let issuer = read.claimed_issuer()?;
    let (id, idp) = by_issuer(io, &account_state, issuer).await.ok_or_else(|| {
        Fault::new(
            Code::RequestInvalid,
            format!("no provider of this account has the issuer {:?}", clip(issuer)),
        )
    })?;
    let own = Own::at(&origin, &account_state.account, idp);
    let place = Place { provider: Some(id), ..exchange.place() };
    match message.kind() {
        Kind::Request => {
            let judge = |expected: &Expected<'_>| logout::read_request(expected, &read);
            let (request, facts) = verify(io, idp, &own, judge).await?;
            warn(io, place, &request.warnings);
            let (binding, endpoint) = facts.slo(Some(message.binding())).ok_or_else(no_single_logout)?;
            let ended = end(io, exchange, &account_state, id, &facts, &request);
            let status = if ended { LogoutStatus::Success } else { LogoutStatus::Responder };
            events::session_ended(io.host(), place, "single_logout");
            exchange.filter_state.tell(io, place).await;
            let to = &endpoint.responses;
            let response = Outgoing::response(io.host(), to, &own.entity_id, &request.id, status)?;
            let answer = leave(io, exchange, idp, *binding, to, &response, message.relay_state())?;
            // The session of another user in this browser is not meant.
            Ok(match exchange.session_state() {
                SessionState::Valid(_) => answer,
                _ => exchange.signed_out(answer),
            })
        }
        Kind::Response => {
            let waiting = waiting(exchange, &account_state, io.now());
            let sent = waiting.as_ref().map(|waiting| waiting.id.as_str());
            let judge = |expected: &Expected<'_>| logout::read_response(expected, &read, sent);
            let (response, _) = verify(io, idp, &own, judge).await?;
            warn(io, place, &response.warnings);
            if !response.complete {
                let reason = format!("the provider did not end everything: {}", response.status);
                events::notice(io.host(), place, Level::Warn, &reason);
            }
            let account = &account_state.account;
            let back = waiting.and_then(|waiting| waiting.back);
            let back = back.and_then(|text| exchange.filter_state.application_origin(account, &text));
            let back = back.map(|origin| origin.to_string()).unwrap_or_default();
            let complete = format!("{back}{}", account.paths.registered(Endpoint::LogoutComplete));
            let cookies = &exchange.filter_state.config.cookies;
            Ok(Response::redirect(&complete).with_cookie(&cookie::delete(&name(exchange), cookies)))
        }
    }
}

/// Ends what the request names, here on every worker. False where it could not be noted.
fn end(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    id: &str,
    facts: &Facts,
    request: &LogoutRequest,
) -> bool {
    let party = ended::Party { account: &account_state.account.code, provider: id, issuer: &facts.issuer };
    let (host, settings, name) = (io.host(), &exchange.filter_state.config.session, &request.name_id.value);
    // What was opened after the request was made it does not mean: sent again, it ends nothing new.
    let skew = account_state.idps.get(id).map_or(0, |idp| idp.config().clock_skew);
    let live = io.now().min(request.issued.saturating_add(skew));
    if request.session_indexes.is_empty() {
        return ended::by_subject(host, settings, party, name, live);
    }
    // Where the IdP told no SessionIndex at sign-in, any session of the person may be the one.
    let mut all = ended::by_subject_without_sid(host, settings, party, name, live);
    for index in &request.session_indexes {
        all &= ended::by_subject_and_sid(host, settings, party, name, index, live);
    }
    all
}

/// Verifies the message against what we know of the IdP.
async fn verify<T>(
    io: &Io,
    idp: &Idp,
    own: &Own,
    read: impl Fn(&Expected<'_>) -> Result<T, Refused>,
) -> Result<(T, Facts), Fault> {
    let judge = |facts: &Facts| {
        if facts.slo.is_empty() {
            return Err(Refused::from(no_single_logout()));
        }
        read(&Expected {
            trust: Trust { host: io.host(), certificates: &facts.certificates },
            decryption_key: idp.decryption_key(),
            issuer: &facts.issuer,
            slo_url: &own.slo_url,
            entity_id: &own.entity_id,
            now: io.now(),
            clock_skew: idp.config().clock_skew,
        })
    };
    idp.judged(io, Sender::Stranger, judge).await
}

fn no_single_logout() -> Fault {
    let why = "there is no single logout with this provider: set saml.slo_url, or saml.signing where its metadata has \
               the endpoint";
    Fault::new(Code::RequestInvalid, why)
}

/// The browser takes a message of ours to the IdP.
fn leave(
    io: &Io,
    exchange: &Exchange,
    idp: &Idp,
    binding: SamlBinding,
    to: &Address,
    message: &Outgoing,
    relay_state: Option<&str>,
) -> Result<Response, Fault> {
    let signer = idp.signer(io.host());
    match binding {
        SamlBinding::Redirect => Ok(Response::redirect(&message.redirect(to, relay_state, signer)?)),
        SamlBinding::Post => {
            let fields = message.post(relay_state, signer)?;
            let action = to.url.to_string();
            // A provider may sign people out of all applications in frames of one page of its own. By then
            // they are signed out here: there is nothing to click on that a page around it could abuse.
            let framed_by = if message.is_response() { vec![action.clone()] } else { Vec::new() };
            let form = pages::AutoSubmit { action, fields, framed_by, ..Default::default() };
            pages::auto_submit(&exchange.page_context(), &form)
        }
    }
}

fn warn(io: &Io, place: Place<'_>, warnings: &[String]) {
    for warning in warnings {
        events::notice(io.host(), place, Level::Warn, warning);
    }
}

fn name(exchange: &Exchange) -> String {
    format!("{}-logout-saml", exchange.filter_state.config.cookies.name)
}

/// The answer may come as a cross-site POST, which carries no `Lax` cookie.
fn remember(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    waiting: &Waiting,
) -> Result<String, Fault> {
    let config = &exchange.filter_state.config;
    let plain = serde_json::to_vec(waiting).unwrap_or_default();
    let sealed = config.session.keys.seal(io.host(), Purpose::Logout, &account_state.account.code, &plain)?;
    let same_site = if config.cookies.secure { SameSite::None } else { SameSite::Lax };
    let attributes = cookie::Attributes { cookies: &config.cookies, same_site, max_age: Some(WAIT / 1000) };
    Ok(cookie::set(&name(exchange), &sealed, attributes))
}

/// The request of ours that this browser waits with. Without the cookie (plain HTTP, an old browser) the answer's
/// signature and age have to do: the session here ended before the request left.
fn waiting(exchange: &Exchange, account_state: &AccountState, now: u64) -> Option<Waiting> {
    let name = name(exchange);
    let jar = exchange.jar();
    let sealed = std::str::from_utf8(jar.named(name.as_bytes()).next()?).ok()?;
    let (account, plain) = exchange.filter_state.config.session.keys.open(Purpose::Logout, sealed)?;
    let waiting: Waiting = serde_json::from_slice(&plain).ok()?;
    let fresh = now.saturating_sub(waiting.sent) < WAIT;
    (account == account_state.account.code && fresh).then_some(waiting)
}
