//! The page on which an invited person accepts or declines.

use super::escape::{safe_url, Html};
use super::layout::{Forms, Page};
use super::Context;
use crate::http::response::Response;

/// An invitation to show.
#[derive(Clone, Debug, Default)]
pub struct Invitation {
    /// The invitation path. The form posts `csrf` and `decision`, which is `accept` or `decline`.
    pub action: String,
    /// The proof that the answer comes from this page (CWE-352).
    pub csrf: String,
    /// More hidden fields.
    pub fields: Vec<(String, String)>,
    /// Who is invited: the email address.
    pub user: String,
    /// To which account.
    pub organization: Option<String>,
    /// With which roles.
    pub roles: Vec<String>,
    /// Where the answer leads besides this origin, redirects included.
    pub form_targets: Vec<String>,
}

/// Who is invited to what, with which roles: accept or decline.
pub fn invitation(context: &Context<'_>, invitation: &Invitation) -> Response {
    let texts = context.texts();
    let name = context.pages.name.as_deref().unwrap_or_else(|| texts.get("invitation.this"));
    let what = texts.fill("invitation.what", &[("user", &invitation.user), ("name", name)]);
    let roles = match invitation.roles.as_slice() {
        [] => texts.get("invitation.no_roles").to_owned(),
        roles => roles.join(", "),
    };
    let mut body = Html::new();
    body.element("<p>", &what, "</p>");
    body.raw("<dl>").element("<dt>", texts.get("invitation.user"), "</dt>").element(
        "<dd>",
        &invitation.user,
        "</dd>",
    );
    if let Some(organization) = &invitation.organization {
        body.element("<dt>", texts.get("invitation.organization"), "</dt>").element(
            "<dd>",
            organization,
            "</dd>",
        );
    }
    body.element("<dt>", texts.get("invitation.roles"), "</dt>").element("<dd>", &roles, "</dd></dl>");
    if let Some(action) = safe_url(&invitation.action) {
        body.raw("<form method=\"post\"").attr("action", &action).raw(">");
        body.element("<p class=\"ask\">", texts.get("invitation.do"), "</p>")
            .hidden("csrf", &invitation.csrf);
        for (name, value) in &invitation.fields {
            body.hidden(name, value);
        }
        body.raw("<button class=\"go\" name=\"decision\" value=\"accept\">")
            .text(texts.get("invitation.accept"))
            .raw("</button><button class=\"alt\" name=\"decision\" value=\"decline\">")
            .text(texts.get("invitation.decline"))
            .raw("</button></form>");
    }
    Page {
        forms: match invitation.form_targets.is_empty() {
            true => Forms::Own,
            false => Forms::Idp(&invitation.form_targets),
        },
        ..Page::of("invitation", texts.get("invitation.title"), body)
    }
    .answer(context)
}
