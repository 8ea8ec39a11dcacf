//! The administrators' page that ends sessions.

use super::escape::{safe_url, Html};
use super::layout::{Forms, Page};
use super::Context;
use crate::http::response::Response;

/// What the page says.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Where its forms are sent.
    pub action: String,
    /// The proof that a form comes from this page: the hidden field `csrf`.
    pub csrf: String,
    /// Other Envoys learn of it.
    pub is_shared: bool,
}

/// Two forms: one ends the sessions of a user, one those of all users.
pub fn sessions(context: &Context<'_>, page: &Sessions) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    let scope = if page.is_shared { "sessions.everywhere" } else { "sessions.here" };
    body.element("<p>", texts.get(scope), "</p>");
    if let Some(action) = safe_url(&page.action) {
        body.raw("<form method=\"post\"").attr("action", &action).raw(">").hidden("csrf", &page.csrf);
        body.element("<label>", texts.get("sessions.user"), " ");
        body.raw("<input name=\"user\" required autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></label>");
        body.element("<button class=\"go\">", texts.get("sessions.end"), "</button></form>");
        body.raw("<form method=\"post\"").attr("action", &action).raw(">").hidden("csrf", &page.csrf);
        body.hidden("all", "true");
        body.element("<button class=\"alt\">", texts.get("sessions.end_all"), "</button></form>");
    }
    Page { forms: Forms::Own, ..Page::of("admin_sessions", texts.get("sessions.title"), body) }
        .answer(context)
}
