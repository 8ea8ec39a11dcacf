//! The filter's own endpoints: which method, which flow.

use std::rc::Rc;

use serde_json::json;

use crate::config::Endpoint;
use crate::exchange::{Asked, Body, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::recheck;
use crate::flows::{admin, login, logout};
use crate::http::response::Answer;
use crate::http::Head;
use crate::proto::{oidc, saml};
use crate::session::Opened;
use crate::state::Visitor;

/// Answers a request to one of them.
pub fn answer(asked: Rc<Asked>, endpoint: Endpoint) -> Ruling {
    let method = asked.head.method().to_owned();
    match (endpoint, method.as_slice()) {
        (Endpoint::Login, b"GET" | b"HEAD") => login::page::show(asked),
        (Endpoint::Login, b"POST") => form(asked, 16 << 10, login::page::initiated),
        (Endpoint::OidcCallback, b"GET") => {
            let query = asked.head.query().unwrap_or_default().to_vec();
            login::finish(asked, query)
        }
        (Endpoint::OidcCallback, b"POST") => form(asked, oidc::callback::MAX_CALLBACK, login::form_post),
        (Endpoint::SamlCallback, b"POST") => form(asked, saml::bindings::MAX_FORM, login::saml::posted),
        (Endpoint::SamlMetadata, b"GET" | b"HEAD") => Ruling::Answer(login::saml::metadata::show(&asked)),
        (Endpoint::Session, b"GET" | b"HEAD") => session(asked),
        (Endpoint::SamlLogout, b"GET") => logout::saml::redirected(asked),
        (Endpoint::SamlLogout, b"POST") => form(asked, saml::bindings::MAX_FORM, logout::saml::posted),
        (Endpoint::Logout, b"GET" | b"HEAD") => logout::asked_for(asked, None),
        // A program's POST without anything in it.
        (Endpoint::Logout, b"POST") if asked.head.ends => logout::asked_for(asked, Some(Vec::new())),
        (Endpoint::Logout, b"POST") => form(asked, 4096, |asked, body| logout::asked_for(asked, Some(body))),
        (Endpoint::LogoutComplete, b"GET" | b"HEAD") => Ruling::Answer(logout::complete(&asked)),
        (Endpoint::BackchannelLogout, b"POST") => {
            form(asked, logout::back_channel::MAX_FORM, logout::back_channel::received)
        }
        (Endpoint::FrontchannelLogout, b"GET") => logout::front_channel::asked_for(asked, None),
        (Endpoint::FrontchannelLogout, b"POST") => {
            form(asked, logout::front_channel::MAX_FORM, |asked, body| {
                logout::front_channel::asked_for(asked, Some(body))
            })
        }
        (Endpoint::Invitation, b"GET" | b"HEAD") => Ruling::Answer(login::invitation::show(&asked)),
        (Endpoint::Invitation, b"POST") => form(asked, 4096, login::invitation::decide),
        (Endpoint::Admin, b"GET" | b"HEAD") => admin::show(asked),
        (Endpoint::SamlMetadata | Endpoint::Session | Endpoint::LogoutComplete | Endpoint::Admin, _) => {
            not_allowed(&asked, "GET, HEAD")
        }
        (Endpoint::SamlCallback | Endpoint::BackchannelLogout, _) => not_allowed(&asked, "POST"),
        (
            Endpoint::Login
            | Endpoint::OidcCallback
            | Endpoint::Logout
            | Endpoint::SamlLogout
            | Endpoint::FrontchannelLogout
            | Endpoint::Invitation,
            _,
        ) => not_allowed(&asked, "GET, POST"),
    }
}

fn not_allowed(asked: &Asked, allow: &str) -> Ruling {
    let fault = Fault::new(Code::MethodNotAllowed, format!("only {allow}"));
    Ruling::Answer(asked.refuse(&fault).set_header("allow", allow))
}

/// Reads a form's body, then goes on.
fn form(asked: Rc<Asked>, limit: usize, then: impl FnOnce(Rc<Asked>, Vec<u8>) -> Ruling + 'static) -> Ruling {
    if !is_form(&asked.head) {
        let fault = Fault::new(Code::ContentTypeUnsupported, "expected application/x-www-form-urlencoded");
        return Ruling::Answer(asked.refuse(&fault));
    }
    Ruling::Body(
        limit,
        Box::new(move |body| match body {
            Body::Whole(bytes) => then(asked, bytes),
            Body::TooLarge => {
                let fault = Fault::new(Code::BodyTooLarge, format!("the body is larger than {limit} bytes"));
                Ruling::Answer(asked.refuse(&fault))
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
fn session(asked: Rc<Asked>) -> Ruling {
    let opened = match asked.visitor() {
        Visitor::Known(opened) => opened,
        Visitor::Stale => {
            let fault = Fault::new(Code::SessionExpired, "the session cookie holds no valid session");
            return Ruling::Answer(asked.refuse_stale(&fault));
        }
        Visitor::Nobody => {
            return Ruling::Answer(asked.refuse(&Fault::new(Code::LoginRequired, "no session")))
        }
    };
    recheck::answer(asked, opened, |_, _, opened| async move { Ok(who(&opened)) })
}

fn who(opened: &Opened) -> Answer {
    let session = &opened.session;
    let user = &session.user;
    Answer::json(
        200,
        &json!({
            "user": user.username, "email": user.email, "name": user.name, "roles": user.roles,
            "account": opened.account.code, "method": session.method.as_str(),
            "idp": Some(&session.origin.provider).filter(|idp| !idp.is_empty()),
            "signed_in_at": session.opened / 1000, "expires_at": opened.expires / 1000,
        }),
    )
}
