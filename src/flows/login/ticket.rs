//! Logins of an account with `login_origin`: they begin and end at the origin that the user asked, and run at the login
//! origin in between. A sealed ticket goes there, another one comes back with the session.
//!
//! Each ticket lasts 60 seconds and counts once. Both carry the handle of a cookie that the asking origin sets when the
//! login begins, so that a session opens only in the browser that asked for it: a ticket that was sent to another
//! browser, or planted there, opens nothing (login CSRF, RFC 6749 section 10.12). A ticket names its origin, which
//! must be one of the account's: no redirect leads elsewhere.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::flow_cookies::Returns;
use super::login_state::{AuthnParameters, LoginState};
use super::{departed, issue_session, start_login, trial};
use crate::config::{Account, Endpoint, Origin, Provider};
use crate::exchange::{Asked, Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::random_token;
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::task::Io;
use crate::http::query::{self, Param};
use crate::http::response::Response;
use crate::session::{Purpose, Session};
use crate::state::AccountState;

/// The parameter that carries one.
const PARAMETER: &str = "ticket";

/// How long one lasts, milliseconds.
const LIFETIME: u64 = 60_000;

/// How far the clocks of two replicas may differ, milliseconds.
const SKEW: u64 = 60_000;

/// Tickets that were used.
const USED: SharedSet =
    SharedSet { name: "sso.tickets", buckets: 1024, capacity: 64, when_full: WhenFull::Evict };

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub struct Ticket<T> {
    /// The origin that was asked.
    #[serde(rename = "o")]
    pub origin: String,
    /// The handle of the cookie there.
    #[serde(rename = "s")]
    handle: String,
    /// When it was issued, milliseconds since 1970.
    #[serde(rename = "t")]
    issued: u64,
    /// What it brings.
    #[serde(rename = "w")]
    pub what: T,
}

/// A login on its way to the login origin.
#[derive(Serialize, Deserialize)]
struct Login {
    #[serde(rename = "p")]
    provider: String,
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "e", default, skip_serializing_if = "AuthnParameters::is_default")]
    parameters: AuthnParameters,
}

/// Sends the browser to the login origin, with a cookie of this one.
pub(super) fn leave(
    io: &Io,
    exchange: &Exchange,
    provider: &Provider,
    return_to: String,
    parameters: AuthnParameters,
) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let account = &account_state.account;
    let login_origin = account.callback_origin(&origin);
    let handle = random_token::<24>(io.host())?;
    let what = Login { provider: provider.id.clone(), return_to: return_to.clone(), parameters };
    let ticket = Ticket { origin: origin.to_string(), handle: handle.clone(), issued: io.now(), what };
    let sealed = seal(exchange, account, Purpose::TicketOut, &ticket)?;
    let (client, issuer) = (provider.client.clone(), String::new());
    let waiting = LoginState {
        provider: provider.id.clone(),
        client,
        issuer,
        state: handle,
        nonce: String::new(),
        verifier: String::new(),
        dpop: None,
        return_to,
        started: io.now(),
        parameters: AuthnParameters { is_away: true, ..AuthnParameters::default() },
        replaces: None,
    };
    let url = url(exchange, account, &login_origin, Endpoint::Login, &sealed);
    departed(io, exchange, &account_state, waiting, Returns::Navigation, Response::redirect(&url))
}

/// Sends the browser back to the origin that asked, with the session that it opens there.
pub(super) fn back(
    exchange: &Exchange,
    account_state: &AccountState,
    session: Session,
    asked: &Asked,
) -> Result<Response, Fault> {
    let filter_state = &exchange.filter_state;
    let account = &account_state.account;
    let gone = || Fault::new(Code::StateUnknown, "ticket: its origin is not one of the account's any more");
    let origin = filter_state.application_origin(account, &asked.origin).ok_or_else(gone)?;
    // What fits into the session's cookies fits into a ticket, but for its own names.
    let session = session.seal(&*filter_state.host, &filter_state.config, account)?.session;
    let (origin_text, handle) = (asked.origin.clone(), asked.handle.clone());
    let mut ticket = Ticket { origin: origin_text, handle, issued: filter_state.host.now(), what: session };
    let sealed = seal(exchange, account, Purpose::TicketBack, &ticket).or_else(|_| {
        ticket.what.tokens.id_token = None;
        seal(exchange, account, Purpose::TicketBack, &ticket)
    })?;
    Ok(Response::redirect(&url(exchange, account, &origin, Endpoint::Login, &sealed)))
}

/// Answers a request for the sign-in page that is for another origin, or brings a ticket. `None`: it is an ordinary one.
pub(super) fn show(exchange: &Rc<Exchange>) -> Option<Ruling> {
    let login_origin = exchange.account_state.as_ref()?.account.login_origin.as_ref()?;
    let is_there = exchange.origin()? == login_origin.origin;
    let text = match in_query(exchange) {
        None if is_there => return elsewhere(exchange).map(Ruling::LocalReply),
        None => return None,
        Some(text) => text,
    };
    // What looks ahead, or asks for a head, uses nothing up.
    if exchange.head.is_speculative() || exchange.head.method() == b"HEAD" {
        return Some(Ruling::LocalReply(exchange.ignored()));
    }
    let exchange = exchange.clone();
    Some(Ruling::flow(exchange, move |io, exchange| async move {
        let answer = match is_there {
            true => begin(&io, &exchange, &text).await,
            false => open_session(&io, &exchange, &text).await,
        };
        answer.map(Outcome::LocalReply)
    }))
}

/// At the login origin: the login that a ticket brings begins.
async fn begin(io: &Io, exchange: &Rc<Exchange>, text: &str) -> Result<Response, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let ticket: Ticket<Login> = read(exchange, &account_state.account, Purpose::TicketOut, text)?;
    use_up(io, exchange, "out", &ticket).await?;
    let Ticket { origin, handle, what, .. } = ticket;
    let draft = what.parameters.trial.as_ref().and_then(|own| trial::with_trial(exchange, own));
    let exchange = draft.unwrap_or_else(|| exchange.clone());
    // With its origin: a user who is refused here and tries again starts there.
    let target = format!("{origin}{}", what.return_to);
    let parameters = AuthnParameters { asked: Some(Asked { origin, handle }), ..what.parameters };
    start_login(io, &exchange, &what.provider, target, parameters).await
}

/// At the origin that asked: the session that a ticket brings opens, in the browser whose cookie it names.
async fn open_session(io: &Io, exchange: &Exchange, text: &str) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let ticket: Ticket<Session> = read(exchange, &account_state.account, Purpose::TicketBack, text)?;
    if ticket.origin != origin.to_string() {
        return Err(unknown("it is for another origin"));
    }
    // Used up by any browser: one that came to another browser is lost, so that it is useless to who has read it there.
    use_up(io, exchange, "back", &ticket).await?;
    let config = &exchange.filter_state.config;
    let code = &account_state.account.code;
    let (waiting, forget) = LoginState::take_away(io.host(), config, code, &exchange.head, &ticket.handle)?;
    if waiting.provider != ticket.what.origin.provider {
        return Err(unknown("it is from another provider"));
    }
    let answer = issue_session(exchange, &account_state, ticket.what, &waiting)?;
    Ok(forget.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// Leads a login that was asked for at the login origin to the origin that it is for: the one that its target is on, else
/// the first where the application is served. `None`: it is for this one.
pub(super) fn elsewhere(exchange: &Exchange) -> Option<Response> {
    let target = exchange.head.param("return_to").or_else(|| exchange.head.param("target_link_uri"));
    onward(exchange, target.as_deref(), exchange.head.query().unwrap_or_default())
}

/// Leads a login with this target and these parameters to the origin that it is for. `None`: it is for this one.
pub(super) fn onward(exchange: &Exchange, target: Option<&str>, parameters: &[u8]) -> Option<Response> {
    let account = &exchange.account_state.as_ref()?.account;
    let login = account.login_origin.as_ref()?;
    if exchange.origin()? != login.origin {
        return None;
    }
    let named = target.and_then(|target| origin_of(exchange, target));
    let origin = match named {
        Some(origin) if origin != login.origin => origin,
        _ if login.is_application => return None,
        _ => account.origins.first()?.clone(),
    };
    let mut url = format!("{origin}{}", account.paths.path(Endpoint::Login));
    // The application's origin judges them.
    let query = String::from_utf8_lossy(parameters);
    if !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    Some(Response::redirect(&url).with_code(Code::LoginRequired.as_str()))
}

/// The origin of the account that an absolute URL is on.
pub(super) fn origin_of(exchange: &Exchange, text: &str) -> Option<Origin> {
    let account = &exchange.account_state.as_ref()?.account;
    let url = url::Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let origin = format!("{}://{}", url.scheme(), crate::http::authority(&url));
    exchange.filter_state.application_origin(account, &origin).filter(|_| is_plain)
}

/// A sign-out goes on at the login origin: the URL there, with what has to be known of the session.
pub fn logout_url<T: Serialize>(exchange: &Exchange, what: T) -> Result<String, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let account = &account_state.account;
    let host = &*exchange.filter_state.host;
    let handle = random_token::<24>(host)?;
    let ticket = Ticket { origin: origin.to_string(), handle, issued: host.now(), what };
    let sealed = seal(exchange, account, Purpose::TicketLogout, &ticket)?;
    Ok(url(exchange, account, &account.callback_origin(&origin), Endpoint::Logout, &sealed))
}

/// What a ticket brings that a sign-out came to the login origin with. It is used up.
pub async fn logout<T: for<'de> Deserialize<'de>>(
    io: &Io,
    exchange: &Exchange,
    text: &str,
) -> Result<Ticket<T>, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    if account_state.account.login_elsewhere(&origin).is_some() {
        return Err(unknown("it is for the login origin"));
    }
    let ticket = read(exchange, &account_state.account, Purpose::TicketLogout, text)?;
    use_up(io, exchange, "logout", &ticket).await?;
    Ok(ticket)
}

/// The ticket in the query, if there is one; one that stands there twice is empty, which opens nowhere.
pub fn in_query(exchange: &Exchange) -> Option<String> {
    let [ticket] = query::params(exchange.head.query().unwrap_or_default(), [PARAMETER]);
    (ticket != Param::Absent).then(|| ticket.text().unwrap_or_default())
}

fn url(exchange: &Exchange, account: &Account, origin: &Origin, endpoint: Endpoint, sealed: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if exchange.filter_state.accounts_at(origin.authority.as_bytes()).len() > 1 {
        query.append_pair("u", &account.code);
    }
    query.append_pair(PARAMETER, sealed);
    format!("{origin}{}?{}", account.paths.path(endpoint), query.finish())
}

fn seal<T: Serialize>(
    exchange: &Exchange,
    account: &Account,
    purpose: Purpose,
    ticket: &Ticket<T>,
) -> Result<String, Fault> {
    let plain = serde_json::to_vec(ticket).map_err(|_| Fault::new(Code::NotReady, "a ticket is not JSON"))?;
    let filter_state = &exchange.filter_state;
    filter_state.config.session.keys.seal(&*filter_state.host, purpose, &account.code, &plain)
}

/// Reads a ticket of this account that has not expired, from one of its origins.
fn read<T: for<'de> Deserialize<'de>>(
    exchange: &Exchange,
    account: &Account,
    purpose: Purpose,
    text: &str,
) -> Result<Ticket<T>, Fault> {
    let opened = exchange.filter_state.config.session.keys.open(purpose, text);
    let (code, plain) = opened.ok_or_else(|| unknown("it does not open"))?;
    if code != account.code {
        return Err(unknown("it belongs to another account"));
    }
    let ticket: Ticket<T> =
        serde_json::from_slice(&plain).map_err(|_| unknown("it is of another version"))?;
    let age = exchange.now.saturating_sub(ticket.issued);
    if age >= LIFETIME || ticket.issued > exchange.now.saturating_add(SKEW) {
        return Err(unknown("it is older than 60 seconds"));
    }
    match exchange.filter_state.application_origin(account, &ticket.origin) {
        Some(_) => Ok(ticket),
        None => Err(unknown("its origin is not one of the account's")),
    }
}

/// A ticket counts once, over all Envoys where they share an engine.
async fn use_up<T>(io: &Io, exchange: &Exchange, way: &str, ticket: &Ticket<T>) -> Result<(), Fault> {
    let until = ticket.issued.saturating_add(LIFETIME);
    let id = id_of(&format!("ticket {way} {}", ticket.handle));
    if USED.insert(io.host(), &id, until, io.now()) == Inserted::Known {
        return Err(unknown("it was used already"));
    }
    match exchange.filter_state.use_once_if_known(io, exchange.place(), &id, until).await {
        true => Ok(()),
        false => Err(unknown("it was used already, at another Envoy")),
    }
}

fn unknown(why: &str) -> Fault {
    Fault::new(Code::StateUnknown, format!("ticket: {why}"))
}
