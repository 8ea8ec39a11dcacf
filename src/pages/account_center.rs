//! The Account Center as one page of forms, without JavaScript.
//!
//! Every field stands in [`FIELDS`]: the page renders it from there, and the form is read by it. Its label and help are
//! the texts `field.NAME` and `field.NAME.help`.

use std::collections::BTreeMap;

use super::escape::Html;
use super::layout::{Forms, Page};
use super::texts::Texts;
use super::Context;
use crate::http::response::Response;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line of text.
    Line,
    /// Words, with spaces or commas between them.
    Words,
    /// `name=value`, one on a line.
    Pairs,
    /// Certificates as PEM.
    Certificates,
    /// It is never shown. Left empty, what is set stays.
    Secret,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// One setting of the page.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The part and the setting's name, as in a file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// Every setting of the page, in its order.
pub const FIELDS: &[Field] = &[
    field("sso", Kind::Choice(&["enabled", "disabled"])),
    field("provider.id", Kind::Line),
    field("provider.title", Kind::Line),
    field("oidc.discovery", Kind::Line),
    field("oidc.issuer", Kind::Line),
    field("oidc.authorization_endpoint", Kind::Line),
    field("oidc.token_endpoint", Kind::Line),
    field("oidc.userinfo_endpoint", Kind::Line),
    field("oidc.jwks_uri", Kind::Line),
    field("oidc.client_id", Kind::Line),
    field("oidc.client_secret", Kind::Secret),
    field("oidc.scope", Kind::Words),
    field("oidc.authorization_params", Kind::Pairs),
    field("oauth2.authorization_endpoint", Kind::Line),
    field("oauth2.token_endpoint", Kind::Line),
    field("oauth2.userinfo_endpoint", Kind::Line),
    field("oauth2.client_id", Kind::Line),
    field("oauth2.client_secret", Kind::Secret),
    field("oauth2.scope", Kind::Words),
    field("oauth2.authorization_params", Kind::Pairs),
    field("saml.metadata_url", Kind::Line),
    field("saml.sso_url", Kind::Line),
    field("saml.issuer", Kind::Line),
    field("saml.certificates", Kind::Certificates),
    field("mapping.from", Kind::Choice(&["", "id_token", "userinfo", "saml"])),
    field("mapping.claim", Kind::Line),
    field("mapping.attribute", Kind::Choice(&["", "email", "phone", "username"])),
    field("mapping.default_country_code", Kind::Line),
    field("mapping.roles_claim", Kind::Words),
    field("mapping.role_map", Kind::Pairs),
    field("password.mode", Kind::Choice(&["enabled", "admins", "disabled"])),
];

/// The protocols, each a part of [`FIELDS`].
pub const PROTOCOLS: [&str; 3] = ["oidc", "oauth2", "saml"];

impl Field {
    /// `oidc` of `oidc.client_id`.
    pub fn part(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// `client_id` of `oidc.client_id`.
    pub fn member(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

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
        code: page.refused.as_ref().map_or("settings", |(code, _)| code),
        title: texts.get("center.title"),
        body: view.html,
        wide: true,
        forms: Forms::Own,
        submits: None,
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

    fn about(&self, version: &Version) -> String {
        let number = version.number.to_string();
        let key = match (version.number, version.by.is_empty()) {
            (_, true) => "center.of_the_file",
            (0, _) => "center.saved",
            _ => "center.version",
        };
        self.texts.fill(key, &[("version", &number), ("by", &version.by), ("at", &version.at)])
    }

    /// The form of the draft.
    fn settings(&mut self) {
        let page = self.page;
        self.html.raw("<section>");
        self.heading("center.settings");
        self.paragraph("center.settings.what");
        let has = |part: &str| page.parts.iter().any(|own| own == part);
        if has("identity_providers") {
            self.providers();
        }
        self.form();
        self.html.hidden("idp", &page.provider);
        if has("sso") {
            self.group("sso", &["sso"]);
        }
        if has("identity_providers") {
            self.connection();
        }
        for part in ["mapping", "password"] {
            if has(part) {
                self.group(part, &[part]);
            }
        }
        self.button("go", "save");
        if has("identity_providers") && !page.provider.is_empty() {
            self.button("alt", "remove");
        }
        self.html.raw("</form></section>");
    }

    /// Which provider the form is about.
    fn providers(&mut self) {
        let page = self.page;
        self.html.raw("<nav").attr("aria-label", self.texts.get("center.providers")).raw("><ul>");
        for (id, title) in &page.providers {
            let url = with_parameter(&page.action, "idp", id);
            self.html.raw("<li><a").attr("href", &url);
            if *id == page.provider {
                self.html.raw(" aria-current=\"page\"");
            }
            self.html.raw(">").text(title).raw("</a></li>");
        }
        let url = with_parameter(&page.action, "idp", "");
        self.html.raw("<li><a").attr("href", &url).raw(">").text(self.texts.get("center.another"));
        self.html.raw("</a></li></ul></nav>");
    }

    /// The protocol, what to register there, and its fields.
    fn connection(&mut self) {
        let page = self.page;
        self.html.element("<fieldset><legend>", self.texts.get("center.connection"), "</legend>");
        self.fields("provider");
        let chosen = page.values.get("protocol").map_or("oidc", String::as_str);
        for protocol in PROTOCOLS {
            self.html.raw("<div class=\"field\"><label><input type=\"radio\" name=\"protocol\"");
            self.html.attr("value", protocol);
            if protocol == chosen {
                self.html.raw(" checked");
            }
            self.html.raw("> ").text(self.texts.get(&format!("center.{protocol}"))).raw("</label>");
            self.html.raw(if protocol == chosen { "<details open>" } else { "<details>" });
            self.html.element("<summary>", self.texts.get("center.fields"), "</summary>");
            self.html.element("<p>", self.texts.get("center.register"), "</p><dl>");
            for (_, name, url) in page.register.iter().filter(|(own, ..)| *own == protocol) {
                self.html.element("<dt>", name, "</dt>").element("<dd><code>", url, "</code></dd>");
            }
            self.html.raw("</dl>");
            self.fields(protocol);
            self.html.raw("</details></div>");
        }
        self.html.raw("</fieldset>");
    }

    fn group(&mut self, key: &str, parts: &[&str]) {
        let legend = self.texts.get(&format!("center.{key}"));
        self.html.element("<fieldset><legend>", legend, "</legend>");
        for part in parts {
            self.fields(part);
        }
        self.html.raw("</fieldset>");
    }

    fn fields(&mut self, part: &str) {
        for field in FIELDS.iter().filter(|field| field.part() == part) {
            self.field(field);
        }
    }

    fn label(&self, name: &str) -> String {
        let member = name.rsplit('.').next().unwrap_or_default();
        self.texts.get(&format!("field.{member}")).to_owned()
    }

    /// Label, help, the errors beside it, and the control.
    fn field(&mut self, field: &Field) {
        let (page, name) = (self.page, field.name);
        let value = page.values.get(name).map_or("", String::as_str);
        let (label, help) = (self.label(name), format!("{name}-help"));
        self.html.raw("<div class=\"field\"><label").attr("for", name).raw(">").text(&label).raw("</label>");
        self.html.raw("<p class=\"soft\"").attr("id", &help).raw(">");
        self.html.text(self.texts.get(&format!("field.{}.help", field.member())));
        if page.set.iter().any(|own| own == name) {
            self.html.raw(" ").text(self.texts.get("center.secret_is_set"));
        }
        self.html.raw("</p>");
        let errors: Vec<&String> =
            page.problems.iter().filter(|(path, _)| path == name).map(|(_, why)| why).collect();
        let bad = format!("{name}-bad");
        if !errors.is_empty() {
            self.html.raw("<p class=\"bad\"").attr("id", &bad).raw(">");
            for error in &errors {
                self.html.text(error).raw(" ");
            }
            self.html.raw("</p>");
        }
        self.html.raw(match field.kind {
            Kind::Pairs | Kind::Certificates => "<textarea rows=\"4\" spellcheck=\"false\"",
            Kind::Choice(_) => "<select",
            Kind::Secret => "<input type=\"password\" autocomplete=\"new-password\"",
            Kind::Line | Kind::Words => {
                "<input type=\"text\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\""
            }
        });
        self.html.attr("id", name).attr("name", name);
        let described = if errors.is_empty() { help } else { format!("{help} {bad}") };
        self.html.attr("aria-describedby", &described);
        if !errors.is_empty() {
            self.html.raw(" aria-invalid=\"true\"");
        }
        self.control(field, value);
        self.html.raw("</div>");
    }

    /// The rest of the control: what stands in it.
    fn control(&mut self, field: &Field, value: &str) {
        match field.kind {
            Kind::Pairs | Kind::Certificates => {
                self.html.raw(">").exactly(value).raw("</textarea>");
            }
            Kind::Choice(choices) => {
                self.html.raw(">");
                for choice in choices {
                    self.html.raw("<option").attr("value", choice);
                    if *choice == value {
                        self.html.raw(" selected");
                    }
                    let text = self.texts.get(&format!("choice.{}.{choice}", field.member()));
                    self.html.raw(">").text(text).raw("</option>");
                }
                self.html.raw("</select>");
            }
            Kind::Secret => {
                self.html.raw(">");
                let kept = format!("kept.{}", field.name);
                if let Some(sealed) = self.page.values.get(&kept) {
                    self.html.hidden(&kept, sealed);
                }
            }
            Kind::Line | Kind::Words => {
                self.html.attr("value", value).raw(">");
            }
        }
    }

    fn invitations(&mut self) {
        let page = self.page;
        self.html.raw("<section>");
        self.heading("center.invitations");
        self.paragraph("center.invitations.what");
        self.form();
        let value = page.values.get("email").map_or("", String::as_str);
        self.html.raw("<div class=\"field\"><label for=\"email\">").text(self.texts.get("sign_in.email"));
        self.html.raw("</label>");
        for (_, message) in page.problems.iter().filter(|(path, _)| path == "email") {
            self.html.element("<p class=\"bad\" id=\"email-bad\">", message, "</p>");
        }
        self.html.raw("<input type=\"email\" id=\"email\" name=\"email\" autocomplete=\"off\"");
        self.html.attr("value", value).raw("></div>");
        if !page.roles.is_empty() {
            self.html.element("<fieldset><legend>", self.texts.get("invitation.roles"), "</legend>");
            for role in &page.roles {
                self.html.raw("<label><input type=\"checkbox\" name=\"roles\"").attr("value", role);
                self.html.raw("> ").text(role).raw("</label>");
            }
            self.html.raw("</fieldset>");
        }
        self.button("go", "invite");
        self.html.raw("</form><ul>");
        for one in &page.invitations {
            self.html.raw("<li>").text(&one.email).raw(" ");
            self.html.element("<span class=\"soft\">", &one.roles.join(", "), "</span>");
            self.order("alt", "withdraw", &[("id", &one.id)]);
            self.html.raw("</li>");
        }
        self.html.raw("</ul></section>");
    }

    /// Every version with a way back to it.
    fn history(&mut self) {
        let page = self.page;
        self.html.raw("<section>");
        self.heading("center.history");
        self.paragraph("center.history.what");
        self.html.raw("<ul>");
        for version in &page.history {
            let line = self.about(version);
            self.html.element("<li><p>", &line, "</p>");
            if !version.what.is_empty() {
                self.html.element("<p class=\"soft\">", &version.what.join(", "), "</p>");
            }
            if version.number != page.active.number {
                self.order("alt", "rollback", &[("version", &version.number.to_string())]);
            }
            self.html.raw("</li>");
        }
        self.html.raw("</ul></section>");
    }
}

/// A path with one more parameter.
fn with_parameter(path: &str, name: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value);
    format!("{path}{}{}", if path.contains('?') { "&" } else { "?" }, query.finish())
}
