//! The form of the draft: provider, protocol, mapping, passwords.

use super::{Field, Kind, View, FIELDS, PROTOCOLS};

impl View<'_> {
    /// The form of the draft.
    pub(super) fn settings(&mut self) {
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
}

/// A path with one more parameter.
fn with_parameter(path: &str, name: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value);
    format!("{path}{}{}", if path.contains('?') { "&" } else { "?" }, query.finish())
}
