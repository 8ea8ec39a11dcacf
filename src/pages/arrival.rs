//! The page before the administrators' pages for a browser that another site sent there: reading the whole directory must
//! not be a matter of a link elsewhere.

use super::escape::Html;
use super::layout::Page;
use super::Context;
use crate::http::response::Response;

/// Asks before it goes on to `target`, a path on this origin.
pub fn confirm_arrival(context: &Context<'_>, target: &str) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.element("<p>", texts.get("arrival.what"), "</p>");
    if let Some(target) = super::escape::safe_url(target) {
        body.link("go", &target, texts.get("action.continue"));
    }
    body.link("alt", "/", texts.get("action.home"));
    let (code, title) = ("arrival_confirm", texts.get("arrival.title"));
    Page::of(code, title, body).answer(context)
}
