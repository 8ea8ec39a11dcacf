//! The filter's own endpoints: which method, which flow.

use std::rc::Rc;

use serde_json::json;

use super::origins::expects_callback;
use super::published;
use crate::config::Endpoint;
use crate::exchange::{Body, Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::recheck;
use crate::flows::{admin, login, logout};
use crate::http::response::Response;
use crate::http::Head;
use crate::proto::{oidc, saml};
use crate::session::LiveSession;

/// Answers a request to one of them.
pub fn answer(exchange: Rc<Exchange>, endpoint: Endpoint) -> Ruling {
    let method = exchange.head.method().to_owned();
    if is_ignored(&exchange.head, endpoint) {
        return Ruling::LocalReply(match endpoint {
            Endpoint::Logout => logout::looked_ahead(&exchange),
            _ => exchange.ignored(),
        });
    }
    if let Err(fault) = query_fits(&exchange, endpoint).and_then(|()| expects_callback(&exchange, endpoint)) {
        return Ruling::LocalReply(exchange.refuse(&fault));
    }
    match (endpoint, method.as_slice()) {
        (Endpoint::Login, b"GET" | b"HEAD") => login::page::show(exchange),
        (Endpoint::Login, b"POST") => form(exchange, 16 << 10, login::page::initiated),
        (Endpoint::OidcCallback, b"GET") => {
            let query = exchange.head.query().unwrap_or_default().to_vec();
            login::finish(exchange, query)
        }
        (Endpoint::OidcCallback, b"POST") => form(exchange, oidc::callback::MAX_CALLBACK, login::form_post),
        (Endpoint::SamlCallback, b"POST") => match login::saml::expected(&exchange) {
            Ok(()) => form(exchange, saml::bindings::MAX_FORM, login::saml::posted),
            Err(fault) => Ruling::LocalReply(exchange.refuse(&fault)),
        },
        (Endpoint::SamlMetadata, b"GET" | b"HEAD") => {
            Ruling::LocalReply(login::saml::metadata::show(&exchange))
        }
        (Endpoint::Session, b"GET" | b"HEAD") => session(exchange),
        (Endpoint::SamlLogout, b"GET") => logout::saml::redirected(exchange),
        (Endpoint::SamlLogout, b"POST") => match logout::saml::expected(&exchange) {
            Ok(()) => form(exchange, saml::bindings::MAX_LOGOUT_FORM, logout::saml::posted),
            Err(fault) => Ruling::LocalReply(exchange.refuse(&fault)),
        },
        (Endpoint::Logout, b"GET" | b"HEAD") => logout::asked_for(exchange, None),
        // A program's POST without anything in it.
        (Endpoint::Logout, b"POST") if exchange.head.ends => logout::asked_for(exchange, Some(Vec::new())),
        (Endpoint::Logout, b"POST") => {
            form(exchange, 4096, |exchange, body| logout::asked_for(exchange, Some(body)))
        }
        (Endpoint::LogoutComplete, b"GET" | b"HEAD") => Ruling::LocalReply(logout::complete(&exchange)),
        (Endpoint::BackchannelLogout, b"POST") => {
            form(exchange, logout::back_channel::MAX_FORM, logout::back_channel::received)
        }
        (Endpoint::FrontchannelLogout, b"GET") => logout::front_channel::asked_for(exchange, None),
        (Endpoint::FrontchannelLogout, b"POST") => {
            form(exchange, logout::front_channel::MAX_FORM, |exchange, body| {
                logout::front_channel::asked_for(exchange, Some(body))
            })
        }
        (Endpoint::Invitation, b"GET" | b"HEAD") => Ruling::LocalReply(login::invitation::show(&exchange)),
        (Endpoint::Invitation, b"POST") => form(exchange, 4096, login::invitation::decide),
        (Endpoint::Admin, b"GET" | b"HEAD") => admin::show(exchange),
        (Endpoint::Admin, b"POST") if admin::sessions::is_meant(&exchange) => {
            admin::sessions::posted(exchange)
        }
        (Endpoint::Admin, b"POST" | b"PUT" | b"DELETE") => admin::change(exchange),
        (Endpoint::Jwks, b"GET" | b"HEAD") => Ruling::LocalReply(published::jwks(&exchange)),
        (Endpoint::Ready, _) => published::ready(&exchange.filter_state, &exchange.head),
        (
            Endpoint::SamlMetadata
            | Endpoint::Session
            | Endpoint::LogoutComplete
            | Endpoint::Admin
            | Endpoint::Jwks,
            _,
        ) => not_allowed(&exchange, "GET, HEAD"),
        (Endpoint::SamlCallback | Endpoint::BackchannelLogout, _) => not_allowed(&exchange, "POST"),
        (
            Endpoint::Login
            | Endpoint::OidcCallback
            | Endpoint::Logout
            | Endpoint::SamlLogout
            | Endpoint::FrontchannelLogout
            | Endpoint::Invitation,
            _,
        ) => not_allowed(&exchange, "GET, POST"),
    }
}

/// True for a request that no user made, at an endpoint that would end, use up or read something. Only a navigation or a
/// form's POST signs out: menus with a prefetched "Sign out" have ended sessions in many products.
fn is_ignored(head: &Head, endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Logout | Endpoint::FrontchannelLogout | Endpoint::SamlLogout => head.is_unasked(),
        // The user's own navigation comes with the same `state`, which counts once.
        Endpoint::OidcCallback | Endpoint::SamlCallback | Endpoint::Admin => head.is_speculative(),
        Endpoint::Invitation => head.method() == b"POST" && head.is_speculative(),
        _ => false,
    }
}

pub fn not_allowed(exchange: &Exchange, allow: &str) -> Ruling {
    let fault = Fault::new(Code::MethodNotAllowed, format!("only {allow}"));
    Ruling::LocalReply(exchange.refuse(&fault).set_header("allow", allow))
}

/// The longest query of an endpoint, in bytes, that holds no message of a provider.
const MAX_QUERY: usize = 8 << 10;
/// The longest query with a SAML message: deflated, in base64 and escaped, beside its signature.
const MAX_SAML_QUERY: usize = 48 << 10;

/// The longest query with a ticket: a session, as long as in its cookies.
const MAX_TICKET_QUERY: usize = 17 << 10;

fn takes_tickets(exchange: &Exchange) -> bool {
    exchange.account_state.as_ref().is_some_and(|own| own.account.login_origin.is_some())
}

/// Refuses a query that is longer than the endpoint's parameters can be, before it is read.
fn query_fits(exchange: &Exchange, endpoint: Endpoint) -> Result<(), Fault> {
    let max = match endpoint {
        // It says itself how long an authorization response may be.
        Endpoint::OidcCallback => return Ok(()),
        Endpoint::SamlLogout => MAX_SAML_QUERY,
        Endpoint::Login | Endpoint::Logout if takes_tickets(exchange) => MAX_TICKET_QUERY,
        _ => MAX_QUERY,
    };
    let length = exchange.head.query().unwrap_or_default().len();
    match length <= max {
        true => Ok(()),
        false => {
            let why = format!("the query has {length} bytes, at most {max} are read");
            // Nothing else at the sign-in page can be so long.
            let is_return = endpoint == Endpoint::Login;
            Err(Fault::new(if is_return { Code::ReturnToRefused } else { Code::RequestInvalid }, why))
        }
    }
}

/// Reads a form's body, then goes on.
fn form(
    exchange: Rc<Exchange>,
    limit: usize,
    then: impl FnOnce(Rc<Exchange>, Vec<u8>) -> Ruling + 'static,
) -> Ruling {
    if !is_form(&exchange.head) {
        let fault = Fault::new(Code::ContentTypeUnsupported, "expected application/x-www-form-urlencoded");
        return Ruling::LocalReply(exchange.refuse(&fault));
    }
    Ruling::Body(
        limit,
        Box::new(move |body| match body {
            Body::Whole(bytes) => then(exchange, bytes),
            Body::TooLarge => {
                let fault = Fault::new(Code::BodyTooLarge, format!("the body is larger than {limit} bytes"));
                Ruling::LocalReply(exchange.refuse(&fault))
            }
        }),
    )
}

fn is_form(head: &Head) -> bool {
    let plain = head.all("content-encoding").next().is_none();
    let kind = head.one("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
    plain && kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Who is signed in: asked again where that is due, as on every path of the application.
fn session(exchange: Rc<Exchange>) -> Ruling {
    match exchange.session_state().live() {
        Ok(live) => recheck::answer(exchange, live, |_, _, live| async move { Ok(who(&live)) }),
        Err(why) => Ruling::LocalReply(exchange.refuse_without(why)),
    }
}

fn who(live: &LiveSession) -> Response {
    let session = &live.session;
    let user = &session.user;
    Response::json(
        200,
        &json!({
            "user": user.username, "email": user.email, "name": user.name, "roles": user.roles,
            "account": live.account.code, "method": session.method.as_str(),
            "idp": Some(&session.origin.provider).filter(|idp| !idp.is_empty()),
            "signed_in_at": session.started_at / 1000, "expires_at": live.expires / 1000,
        }),
    )
}
