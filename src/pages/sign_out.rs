//! The ways out: the question after a cross-site request, the page afterwards, the frame of an IdP.

use super::escape::{safe_url, Html};
use super::layout::{framed_by, Forms, Page};
use super::Context;
use crate::http::response::Response;

/// A sign-out that the user has to confirm.
#[derive(Clone, Debug, Default)]
pub struct ConfirmLogout {
    /// The logout path.
    pub action: String,
    /// The proof that the answer comes from this page (CWE-352): the hidden field `csrf`.
    pub csrf: String,
    /// More hidden fields, such as `return_to`.
    pub fields: Vec<(String, String)>,
    /// Who is signed in; `None` if it is not another site that asks.
    pub user: Option<String>,
    /// URLs of IdPs on plain HTTP (development), which the page's policy must name.
    pub form_targets: Vec<String>,
}

/// Asks before a request of another site signs the user out (logout CSRF). Staying is
/// `context.continue_to`.
pub fn confirm_logout(context: &Context<'_>, logout: &ConfirmLogout) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    if let Some(user) = &logout.user {
        body.element("<p>", texts.get("sign_out.what"), "</p>");
        body.element("<p>", &texts.fill("sign_out.who", &[("user", user)]), "</p>");
    }
    if let Some(action) = safe_url(&logout.action) {
        body.raw("<form method=\"post\"").attr("action", &action).raw(">").hidden("csrf", &logout.csrf);
        for (name, value) in &logout.fields {
            body.hidden(name, value);
        }
        body.element("<button class=\"go\">", texts.get("sign_out.go"), "</button></form>");
    }
    let stay = context.continue_to.as_deref().unwrap_or("/");
    body.link("alt", stay, texts.get("sign_out.stay"));
    Page {
        forms: Forms::Idp(&logout.form_targets),
        ..Page::of("logout_confirm", texts.get("sign_out.title"), body)
    }
    .answer(context)
}

/// The page after signing out, with the way back in at `context.login`.
pub fn signed_out(context: &Context<'_>) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.element("<p role=\"status\">", texts.get("signed_out.what"), "</p>");
    if let Some(login) = &context.login {
        body.link("go", login, texts.get("signed_out.again"));
    }
    Page::of("signed_out", texts.get("signed_out.title"), body).answer(context)
}

/// The page after signing out for a user who has a session all the same. Signing out for good leads to
/// `logout`.
pub fn still_signed_in(context: &Context<'_>, logout: &str) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.element("<p role=\"status\">", texts.get("still.what"), "</p>");
    body.link("go", context.continue_to.as_deref().unwrap_or("/"), &context.go_on());
    if let Some(logout) = safe_url(logout) {
        body.link("alt", &logout, texts.get("sign_out.go"));
    }
    Page::of("still_signed_in", texts.get("still.title"), body).answer(context)
}

/// The empty page in the IdP's frame (OpenID Connect Front-Channel Logout 1.0 section 2): the only one
/// that may be framed, since it shows nothing to click, and only by these origins.
pub fn front_channel_done(ancestors: &[String]) -> Response {
    let body = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title></title></head><body></body></html>\n";
    let ancestors = framed_by(ancestors);
    let policy =
        format!("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}");
    Response::html(200, "front_channel_logout", &policy, body.into())
        .set_header("cache-control", "no-cache, no-store")
}
