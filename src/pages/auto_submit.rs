//! Pages that lead on by themselves: a form that submits itself, which is SAML HTTP-POST to the IdP (SAML Bindings
//! section 3.5) and the bounce of a cross-site post through this origin, which brings the `SameSite=Lax` cookies along;
//! and a page that goes on to a path.

use super::escape::{safe_url, Html};
use super::layout::{Forms, Page};
use super::Context;
use crate::fault::{Code, Fault};
use crate::http::response::Response;

/// A form without anything to fill in.
#[derive(Clone, Debug, Default)]
pub struct AutoSubmit {
    /// Where it goes: the IdP, or a path of this origin.
    pub action: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
    /// Where its answer may send the browser on to, beside this origin and hosts over HTTPS.
    pub onward: Vec<String>,
    /// Whose pages may frame it, by URL: an IdP's sign-out page, which loads every application in a frame.
    pub framed_by: Vec<String>,
}

/// A page that goes on to a path of this origin by itself.
pub fn go_on(context: &Context<'_>, target: &str) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.element("<p>", texts.get("forward.what"), "</p>");
    body.link("go", target, texts.get("action.continue"));
    let page = Page::of("continue", texts.get("forward.title"), body);
    page.answer(context).with_header("refresh", &format!("0; url={target}"))
}

/// The page with the form. Without JavaScript its button does the same.
pub fn auto_submit(context: &Context<'_>, form: &AutoSubmit) -> Result<Response, Fault> {
    let texts = context.texts();
    let action = safe_url(&form.action).ok_or_else(|| {
        Fault::new(Code::IdpUnavailable, "a form would go to something else than a web address")
    })?;
    let mut body = Html::new();
    body.element("<p>", texts.get("forward.what"), "</p>");
    body.raw("<form method=\"post\"").attr("action", &action).raw(">");
    for (name, value) in &form.fields {
        body.hidden(name, value);
    }
    body.element("<button class=\"go\">", texts.get("action.continue"), "</button></form>");
    let targets: Vec<String> = form.onward.iter().cloned().chain([action]).collect();
    let page = Page {
        forms: Forms::Idp(&targets),
        submits: Some(&form.framed_by),
        ..Page::of("continue", texts.get("forward.title"), body)
    };
    Ok(page.answer(context))
}
