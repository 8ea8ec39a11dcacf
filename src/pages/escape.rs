//! Text and URLs from outside on their way into HTML (OWASP: output encoding; CWE-79).

use url::Url;

/// HTML under construction. What is not a literal of this program enters through [`Html::text`],
/// [`Html::attr`] or [`Html::link`], which escape: forgetting to does not compile.
#[derive(Clone, Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Markup that stands in the source.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, escaped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape_into(&mut self.0, text);
        self
    }

    /// ` name="value"`, escaped.
    pub fn attr(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// `open`, the text, `close`.
    pub fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// A link of that class, or nothing where the URL is not one to follow.
    pub fn link(&mut self, class: &'static str, url: &str, text: &str) -> &mut Self {
        if let Some(url) = safe_url(url) {
            self.raw("<a class=\"").raw(class).raw("\"").attr("href", &url).raw(">").text(text).raw("</a>");
        }
        self
    }

    /// A hidden field.
    pub fn hidden(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw("<input type=\"hidden\"").attr("name", name).raw(" value=\"").exactly(value).raw("\">")
    }

    /// Text that must come back byte for byte (hidden fields): controls are kept.
    pub fn exactly(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                '\0' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        self
    }

    /// More of it.
    pub fn html(&mut self, other: &Html) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// The markup.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            // Bidirectional overrides make a name read as another (CVE-2021-42574), other controls have
            // no business in a sentence.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// The URL if a page may send a user there: `http`, `https`, or a path of this origin. `javascript:`
/// and `data:` run script, `//host` and `/\host` leave the origin, userinfo disguises the host.
pub fn safe_url(url: &str) -> Option<String> {
    if url.chars().any(|c| c.is_control() || c == '\\' || c == ' ') {
        return None;
    }
    if url.starts_with('/') {
        return (!url.starts_with("//")).then(|| url.to_owned());
    }
    let parsed = Url::parse(url).ok()?;
    let plain = parsed.username().is_empty() && parsed.password().is_none();
    (matches!(parsed.scheme(), "http" | "https") && parsed.has_host() && plain).then(|| parsed.to_string())
}

/// What a Content-Security-Policy names a URL by: `'self'` or its origin.
pub(super) fn source(url: &str) -> Option<String> {
    let url = safe_url(url)?;
    if url.starts_with('/') {
        return Some("'self'".into());
    }
    Some(Url::parse(&url).ok()?.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let table = [
            ("Ada & Bob", "Ada &amp; Bob"),
            ("<b>\"'", "&lt;b&gt;&quot;&#39;"),
            ("a\0b\u{1b}c\u{202e}d\u{85}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
            ("a\nb\tc", "a b c"),
            ("Zoë 張", "Zoë 張"),
        ];
        for (text, expected) in table {
            let mut html = Html::new();
            html.text(text);
            assert_eq!(html.into_string(), expected);
        }
    }

    #[test]
    fn a_hidden_field_brings_back_what_was_put_in() {
        // RelayState has to be returned exactly (SAML bindings section 3.5.3).
        let mut html = Html::new();
        html.hidden("n", "a\tb\r\nc\u{202e}\u{85}d\"><script>'&");
        assert_eq!(
            html.into_string(),
            "<input type=\"hidden\" name=\"n\" value=\"a\tb&#13;&#10;c\u{202e}\u{85}d&quot;&gt;&lt;script&gt;&#39;&amp;\">"
        );
    }

    #[test]
    fn only_urls_to_follow_pass() {
        for good in ["/", "/a?b=c#d", "https://a.example/", "http://127.0.0.1:9/x", "/a//b", "/@x"] {
            assert_eq!(safe_url(good).as_deref(), Some(good));
        }
        let bad = [
            "",
            "a",
            "//b.example",
            "/\\b.example",
            "/\t/b.example",
            "\t//b",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "https://a@b.example/",
            "https://a:b@c.example/",
            "mailto:a@b.example",
            "ftp://a/",
            "https:",
            "blob:https://a.example/x",
            "https://a.example\\@b.example/",
        ];
        for bad in bad {
            assert_eq!(safe_url(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_source_is_an_origin() {
        assert_eq!(source("/logo.svg").as_deref(), Some("'self'"));
        assert_eq!(source("https://a.example:8443/x;y?z").as_deref(), Some("https://a.example:8443"));
        assert_eq!(source("javascript:x"), None);
    }
}
