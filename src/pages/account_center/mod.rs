//! The Account Center as one page of forms, without JavaScript.
//!
//! Every field stands in [`FIELDS`]: the page renders it from there, and the form is read by it. Its label and help are
//! the texts `field.NAME` and `field.NAME.help`.

use std::collections::BTreeMap;

mod fields;
mod form;
mod lists;

pub use fields::{Field, Kind, FIELDS, PROTOCOLS};

use super::escape::Html;
use super::layout::{Forms, Page};
use super::texts::Texts;
use super::Context;
use crate::http::response::Response;

/// A version of the history, or the draft.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Its number; the draft has none.
    pub number: u64,
    /// Who made it; empty: the file.
    pub by: String,
    /// When.
    pub at: String,
    /// What changed, or which providers were tested.
    pub what: Vec<String>,
}

/// An invitation that stands.
#[derive(Clone, Debug, Default)]
pub struct Invited {
    /// Its id.
    pub id: String,
    /// Whom.
    pub email: String,
    /// With which roles.
    pub roles: Vec<String>,
}

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct AccountCenter {
    /// Where its forms are sent: the page itself.
    pub action: String,
    /// The proof that a form comes from this page.
    pub csrf: String,
    /// What a change compares.
    pub revision: String,
    /// 200, or that of a refusal.
    pub status: u16,
    /// What was done, by the name of its text.
    pub done: Option<&'static str>,
    /// Why something was not done: code and, for administrators, the reason.
    pub refused: Option<(&'static str, String)>,
    /// Path and sentence of each problem; the path is a field's name where the page has it.
    pub problems: Vec<(String, String)>,
    /// What "all the same" sends again.
    pub again: Vec<(String, String)>,
    /// The parts that administrators may set.
    pub parts: Vec<String>,
    /// What stands in the fields, by their names.
    pub values: BTreeMap<String, String>,
    /// Secrets that are set, by their names.
    pub set: Vec<String>,
    /// Addresses to register at the provider, by protocol.
    pub register: Vec<(&'static str, &'static str, String)>,
    /// Providers that there are, and which one the form is about (empty: a new one).
    pub providers: Vec<(String, String)>,
    /// The provider that the form is about.
    pub provider: String,
    /// What holds.
    pub active: Version,
    /// What is being prepared.
    pub draft: Option<Version>,
    /// The draft's providers: name and the URL of a test sign-in.
    pub tests: Vec<(String, String)>,
    /// Completeness of the draft.
    pub completeness: String,
    /// Versions, the newest first.
    pub history: Vec<Version>,
    /// Invitations.
    pub invitations: Vec<Invited>,
    /// Roles that this administrator may give.
    pub roles: Vec<String>,
}

/// The page.
pub fn account_center(context: &Context<'_>, page: &AccountCenter) -> Response {
    let texts = context.texts();
    let mut view = View { html: Html::new(), texts, page };
    view.notices();
    view.now();
    view.settings();
    if page.parts.iter().any(|part| part == "invitations") {
        view.invitations();
    }
    view.history();
    Page {
        status: page.status,
        wide: true,
        forms: Forms::Own,
        ..Page::of(
            page.refused.as_ref().map_or("settings", |(code, _)| code),
            texts.get("center.title"),
            view.html,
        )
    }
    .answer(context)
}

struct View<'a> {
    html: Html,
    texts: Texts<'a>,
    page: &'a AccountCenter,
}

impl View<'_> {
    fn heading(&mut self, key: &str) {
        self.html.element("<h2>", self.texts.get(key), "</h2>");
    }

    fn paragraph(&mut self, key: &str) {
        self.html.element("<p class=\"soft\">", self.texts.get(key), "</p>");
    }

    /// The beginning of a form.
    fn form(&mut self) {
        self.html.raw("<form method=\"post\"").attr("action", &self.page.action).raw(">");
        self.html.hidden("csrf", &self.page.csrf).hidden("revision", &self.page.revision);
    }

    fn button(&mut self, class: &'static str, order: &str) {
        let text = self.texts.get(&format!("center.do.{order}"));
        self.html.raw("<button name=\"do\"").attr("value", order).attr("class", class).raw(">");
        self.html.text(text).raw("</button>");
    }

    /// A form that is one button.
    fn order(&mut self, class: &'static str, order: &str, hidden: &[(&str, &str)]) {
        self.form();
        for (name, value) in hidden {
            self.html.hidden(name, value);
        }
        self.button(class, order);
        self.html.raw("</form>");
    }

    /// What came of the last order: an error summary leads to each field.
    fn notices(&mut self) {
        let page = self.page;
        if let Some(done) = page.done {
            let text = self.texts.get(&format!("center.done.{done}"));
            self.html.element("<p class=\"yes\" role=\"status\">", text, "</p>");
        }
        let Some((code, reason)) = &page.refused else { return };
        self.html.raw("<div class=\"bad\" role=\"alert\">");
        self.html.element("<p><strong>", self.texts.get(&format!("{code}.title")), "</strong> ");
        self.html.text(self.texts.get(&format!("{code}.what"))).raw("</p>");
        if !reason.is_empty() {
            self.html.element("<p>", reason, "</p>");
        }
        if !page.problems.is_empty() {
            self.html.raw("<ul>");
            for (path, message) in &page.problems {
                let known = FIELDS.iter().any(|field| field.name == path);
                self.html.raw("<li>");
                if known {
                    let label = self.label(path);
                    self.html.raw("<a").attr("href", &format!("#{path}")).raw(">").text(&label).raw("</a>: ");
                } else if !path.is_empty() {
                    self.html.element("<code>", path, "</code>: ");
                }
                self.html.text(message).raw("</li>");
            }
            self.html.raw("</ul>");
        }
        self.html.raw("</div>");
        if let Some(("do", order)) = page.again.first().map(|(name, value)| (name.as_str(), value.as_str())) {
            let rest: Vec<(&str, &str)> =
                page.again.iter().skip(1).map(|(name, value)| (name.as_str(), value.as_str())).collect();
            self.form();
            for (name, value) in [("confirm", "true"), ("do", order)].iter().chain(&rest) {
                self.html.hidden(name, value);
            }
            let text = self.texts.get("center.all_the_same");
            self.html.element("<button class=\"alt\">", text, "</button></form>");
        }
    }

    /// What holds, and the draft.
    fn now(&mut self) {
        self.heading("center.now");
        let page = self.page;
        let line = self.about(&page.active);
        self.html.element("<p>", &line, "</p>");
        let Some(draft) = &page.draft else { return };
        self.html.raw("<section>");
        self.heading("center.draft");
        let line = self.about(draft);
        self.html.element("<p>", &line, "</p>");
        self.paragraph("center.draft.what");
        for (name, url) in &page.tests {
            let text = self.texts.fill("center.test", &[("provider", name)]);
            self.html.link("alt", url, &text);
            if draft.what.contains(name) {
                self.html.element("<p class=\"yes\">", self.texts.get("center.tested"), "</p>");
            }
        }
        self.html.link("alt", &page.completeness, self.texts.get("center.completeness"));
        self.order("go", "enable", &[]);
        self.order("alt", "discard", &[]);
        self.html.raw("</section>");
    }

    fn label(&self, name: &str) -> String {
        let member = name.rsplit('.').next().unwrap_or_default();
        self.texts.get(&format!("field.{member}")).to_owned()
    }

    fn about(&self, version: &Version) -> String {
        let number = version.number.to_string();
        let key = match (version.number, version.by.is_empty()) {
            (_, true) => "center.of_the_file",
            (0, _) => "center.saved",
            _ => "center.version",
        };
        self.texts.fill(key, &[("version", &number), ("by", &version.by), ("at", &version.at)])
    }
}
