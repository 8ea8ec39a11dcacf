//! `…/admin/sessions`: an administrator ends the sessions of a user, or of the account.

use std::rc::Rc;

use serde_json::Value;

use super::{admits, known};
use crate::config::Endpoint;
use crate::exchange::{Body, Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::bearer;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::pages;
use crate::session::{ended, LiveSession, Method, Purpose};
use crate::values::json;

/// Where it is, below the administrators' path.
pub const PATH: &str = "/sessions";
/// The largest order.
const MAX_BODY: usize = 4096;

/// Whose sessions end.
enum Whose {
    User(String),
    Everyone,
}

/// True for its path.
pub fn is_meant(exchange: &Exchange) -> bool {
    let root = exchange.account_state.as_ref().map(|state| state.account.paths.path(Endpoint::Admin));
    root.and_then(|root| exchange.path.strip_prefix(root)) == Some(PATH)
}

/// The page with its forms.
pub(super) fn show(exchange: &Exchange, live: &LiveSession) -> Result<Response, Fault> {
    let keys = &exchange.filter_state.config.session.keys;
    let host = &*exchange.filter_state.host;
    let csrf = keys.seal(host, Purpose::Form, &live.account.code, live.session.id.as_bytes())?;
    let action = format!("{}{PATH}", live.account.paths.path(Endpoint::Admin));
    let page = pages::Sessions { action, csrf, is_shared: exchange.filter_state.replicas.is_some() };
    Ok(pages::sessions(&exchange.page_context(), &page))
}

/// An order, as a form of the page or as JSON.
pub fn posted(exchange: Rc<Exchange>) -> Ruling {
    let kind = exchange.head.one("content-type").and_then(|value| value.split(';').next());
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = match kind.as_str() {
        "application/json" => true,
        "application/x-www-form-urlencoded" => false,
        _ => {
            let detail = "expected application/json or application/x-www-form-urlencoded";
            return Ruling::LocalReply(exchange.refuse(&Fault::new(Code::ContentTypeUnsupported, detail)));
        }
    };
    // Scripts set accounts up by token, where there is self_service.
    let has_token = !matches!(bearer::sent(&exchange.head), bearer::Sent::Nothing);
    let account_state = exchange.account_state.as_ref();
    let takes_tokens = account_state.is_some_and(|own| own.account.self_service.is_some());
    if !(is_json && has_token && takes_tokens) {
        if let Err(why) = exchange.session_state().live() {
            return Ruling::LocalReply(exchange.refuse_without(why));
        }
    }
    Ruling::Body(
        MAX_BODY,
        Box::new(move |body| match body {
            Body::Whole(bytes) => known(
                exchange,
                Box::new(move |io, exchange, live| {
                    Box::pin(async move {
                        let done = carried_out(&io, &exchange, &live, &bytes, is_json).await;
                        let place = Place { user: Some(&live.session.user.username), ..exchange.place() };
                        Ok(done.unwrap_or_else(|fault| exchange.refuse_at(place, &fault)))
                    })
                }),
            ),
            Body::TooLarge => {
                let fault = Fault::new(Code::BodyTooLarge, "an order is at most 4 KB");
                Ruling::LocalReply(exchange.refuse(&fault))
            }
        }),
    )
}

async fn carried_out(
    io: &Io,
    exchange: &Exchange,
    live: &LiveSession,
    body: &[u8],
    is_json: bool,
) -> Result<Response, Fault> {
    let by_browser = live.session.method != Method::Bearer;
    if by_browser && exchange.head.is_sent_from_elsewhere(&exchange.own_origins()) {
        return Err(Fault::new(Code::RequestInvalid, "an order from another site").with_status(403));
    }
    admits(live)?;
    let whose = match is_json {
        true => in_json(body)?,
        false => in_form(exchange, live, body)?,
    };
    let (host, settings) = (io.host(), &exchange.filter_state.config.session);
    let account = live.account.code.as_str();
    let (is_noted, user) = match &whose {
        Whose::User(user) => (ended::by_user(host, settings, account, user), Some(user.as_str())),
        Whose::Everyone => (ended::by_account(host, settings, account), None),
    };
    if !is_noted {
        return Err(Fault::new(Code::NotReady, "the end of sessions could not be noted"));
    }
    events::ended_by_administrator(host, exchange.place(), &live.session.user.username, user);
    exchange.filter_state.tell(io, exchange.place()).await;
    Ok(match is_json {
        true => Response::new(204, "sessions_ended"),
        false => Response::redirect(&exchange.path),
    })
}

fn invalid(why: &str) -> Fault {
    Fault::new(Code::RequestInvalid, format!("admin/sessions: {why}")).with_status(400)
}

/// `{"user": "ada"}` or `{"all": true}`, and nothing else.
fn in_json(body: &[u8]) -> Result<Whose, Fault> {
    let expected = || invalid("expected {\"user\": \"…\"} or {\"all\": true}");
    let order = json::parse_object(body, MAX_BODY).map_err(|_| expected())?;
    match (order.len(), order.get("user"), order.get("all")) {
        (1, Some(Value::String(user)), None) if !user.is_empty() => Ok(Whose::User(user.clone())),
        (1, None, Some(Value::Bool(true))) => Ok(Whose::Everyone),
        _ => Err(expected()),
    }
}

/// A form of the page, with its token.
fn in_form(exchange: &Exchange, live: &LiveSession, body: &[u8]) -> Result<Whose, Fault> {
    let value = |name: &str| {
        let mut values = url::form_urlencoded::parse(body).filter(|(own, _)| own == name);
        let first = values.next().map(|(_, value)| value.into_owned());
        first.filter(|_| values.next().is_none())
    };
    let keys = &exchange.filter_state.config.session.keys;
    let is_ours = value("csrf")
        .and_then(|csrf| keys.open(Purpose::Form, &csrf))
        .is_some_and(|(account, id)| account == live.account.code && id == live.session.id.as_bytes());
    if !is_ours {
        return Err(invalid("the form is not one of this page and session").with_status(403));
    }
    match (value("user"), value("all")) {
        (Some(user), None) if !user.trim().is_empty() => Ok(Whose::User(user.trim().to_owned())),
        (None, Some(all)) if all == "true" => Ok(Whose::Everyone),
        _ => Err(invalid("expected user or all")),
    }
}
