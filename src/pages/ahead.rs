//! The page for a browser that looks ahead: nothing has been done for it yet.

use super::escape::Html;
use super::layout::Page;
use super::Context;
use crate::http::response::Response;

/// Leads to the address that it stands at, by the user's own click. The empty reference does (RFC 3986 section 4.4): nothing
/// of the request gets into the page.
pub fn looked_ahead(context: &Context<'_>) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.element("<p>", texts.get("ahead.what"), "</p>");
    body.element("<a class=\"go\" href=\"\">", texts.get("action.continue"), "</a>");
    Page::of("ignored", texts.get("ahead.title"), body).answer(context)
}
