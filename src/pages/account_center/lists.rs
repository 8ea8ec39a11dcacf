//! Invitations and history.

use super::View;

impl View<'_> {
    pub(super) fn invitations(&mut self) {
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
    pub(super) fn history(&mut self) {
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
