//! The one frame around every page: head, style, Content-Security-Policy, the operator's name and logo.

use base64::Engine;
use sha2::{Digest, Sha256};

use super::escape::{safe_url, source, Html};
use super::look::Look;
use super::texts::Texts;
use super::Context;
use crate::http::response::Response;

/// The style without the operator's colour.
const STYLE: &str = include_str!("style.css");

/// Submits the page's form. Through the prototype: a field named `submit` would hide the method.
pub(super) const SUBMIT: &str = "HTMLFormElement.prototype.submit.call(document.forms[0])";

/// The colour where the operator chose none.
const ACCENT: &str = "#2456c9";

/// A page before its frame.
pub(super) struct Page<'a> {
    pub status: u16,
    /// `x-sso-code`.
    pub code: &'a str,
    pub title: &'a str,
    /// What stands in `<main>` after the `h1`.
    pub body: Html,
    /// Wide enough for tables.
    pub wide: bool,
    pub forms: Forms<'a>,
    /// The page submits its own form, also in a frame of a page of these origins.
    pub submits: Option<&'a [String]>,
    /// URLs of pictures beside the logo.
    pub pictures: &'a [&'a str],
}

/// Where the forms of a page may lead, redirects included: Chromium holds `form-action` against every
/// hop, and an IdP may send a person on to further hosts.
pub(super) enum Forms<'a> {
    /// There are none.
    None,
    /// This origin alone.
    Own,
    /// This origin, any host over HTTPS, and the origins of these URLs (plain HTTP in development).
    Idp(&'a [String]),
}

impl<'a> Page<'a> {
    /// A narrow page without forms and pictures.
    pub fn of(code: &'a str, title: &'a str, body: Html) -> Self {
        Self { status: 200, code, title, body, wide: false, forms: Forms::None, submits: None, pictures: &[] }
    }

    /// The answer.
    pub fn answer(self, context: &Context<'_>) -> Response {
        let texts = context.texts();
        let style = style(context.pages);
        let policy = self.policy(context.pages, &style);
        let mut html = Html::new();
        let language = context.language();
        html.raw("<!doctype html>\n<html").attr("lang", language);
        if matches!(language.split('-').next(), Some("ar" | "he" | "fa" | "ur")) {
            html.raw(" dir=\"rtl\"");
        }
        html.raw("><head><meta charset=\"utf-8\">")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
            // Browsers ask for /favicon.ico otherwise, which is the application's and needs a session.
            .raw("<link rel=\"icon\"")
            .attr("href", &favicon(context.pages))
            .raw(">")
            .raw("<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">")
            .raw("<title>")
            .text(self.title);
        let name = context.pages.name.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = name.filter(|name| !self.title.contains(*name)) {
            html.raw(" · ").text(name);
        }
        html.raw("</title><style>");
        let mut out = html.into_string();
        out.push_str(&style); // our own constant and two checked colours
        let mut html = Html::new();
        html.raw("</style></head><body>");
        brand(&mut html, context.pages, name, self.title);
        html.raw(if self.wide { "<main class=\"wide\">" } else { "<main>" })
            .element("<h1>", self.title, "</h1>")
            .html(&self.body)
            .raw("</main>");
        contact(&mut html, context.pages, texts);
        if self.submits.is_some() {
            html.raw("<script>").raw(SUBMIT).raw("</script>");
        }
        html.raw("</body></html>\n");
        out.push_str(&html.into_string());
        // `no-referrer` would make browsers send `Origin: null` with a form (Fetch, "append a request
        // `Origin` header"), which looks like a cross-site post.
        let referrer = match self.forms {
            Forms::None => "no-referrer",
            Forms::Own => "same-origin",
            Forms::Idp(_) => "strict-origin",
        };
        Response::html(self.status, self.code, &policy, out).set_header("referrer-policy", referrer)
    }

    /// Content Security Policy Level 3: nothing but our own style, the logo, and the forms that are
    /// there. Stops injected markup that slipped through, and clickjacking.
    fn policy(&self, pages: &Look, style: &str) -> String {
        let mut policy = format!(
            "default-src 'none'; base-uri 'none'; frame-ancestors {}; style-src 'sha256-{}'",
            framed_by(self.submits.unwrap_or_default()),
            digest(style)
        );
        // The icon of the page is a `data:` URL.
        policy.push_str("; img-src");
        let mut named = Vec::new();
        for source in pages.logo.as_deref().iter().chain(self.pictures).filter_map(|url| source(url)) {
            if !named.contains(&source) {
                policy.push(' ');
                policy.push_str(&source);
                named.push(source);
            }
        }
        policy.push_str(" data:");
        if self.submits.is_some() {
            policy.push_str(&format!("; script-src 'sha256-{}'", digest(SUBMIT)));
        }
        match self.forms {
            Forms::None => policy.push_str("; form-action 'none'"),
            Forms::Own => policy.push_str("; form-action 'self'"),
            Forms::Idp(urls) => {
                policy.push_str("; form-action 'self' https:");
                for origin in urls.iter().filter_map(|url| source(url)).filter(|s| s.starts_with("http:")) {
                    policy.push(' ');
                    policy.push_str(&origin);
                }
            }
        }
        policy
    }
}

/// Who may frame a page: the origins of these URLs.
pub(super) fn framed_by(urls: &[String]) -> String {
    let origins: Vec<String> = urls.iter().filter_map(|url| source(url)).collect();
    if origins.is_empty() {
        "'none'".to_owned()
    } else {
        origins.join(" ")
    }
}

fn digest(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// The product's name once: as the logo, as a word, or in the title alone.
fn brand(html: &mut Html, pages: &Look, name: Option<&str>, title: &str) {
    let name = name.filter(|name| !title.contains(*name));
    match (pages.logo.as_deref().and_then(safe_url), name) {
        // Where the title has the name, the picture says nothing more (WCAG 1.1.1).
        (Some(logo), name) => {
            html.raw("<header><img")
                .attr("src", &logo)
                .attr("alt", name.unwrap_or_default())
                .raw("></header>");
        }
        (None, Some(name)) => {
            html.element("<header>", name, "</header>");
        }
        (None, None) => {}
    }
}

/// A keyhole in the operator's colour.
fn favicon(pages: &Look) -> String {
    let (accent, luminance) = accent(pages);
    let on = if luminance > DARK { "000" } else { "fff" };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' \
         height='16' rx='4' fill='%23{}'/%3E%3Cpath d='M8 3a2.7 2.7 0 0 0-1.3 5L6 13h4l-.7-5A2.7 2.7 0 0 0 8 3' \
         fill='%23{on}'/%3E%3C/svg%3E",
        accent.trim_start_matches('#')
    )
}

fn contact(html: &mut Html, pages: &Look, texts: Texts<'_>) {
    let Some(contact) = pages.contact.as_deref().filter(|contact| !contact.is_empty()) else { return };
    html.raw("<footer>").text(texts.get("contact")).raw(" ");
    if let Some(address) = contact.strip_prefix("mailto:").filter(|a| plain_address(a)) {
        html.raw("<a").attr("href", contact).raw(">").text(address).raw("</a>");
    } else if let Some(url) = Some(contact).filter(|c| !c.starts_with('/')).and_then(safe_url) {
        html.raw("<a").attr("href", &url).raw(">").text(contact).raw("</a>");
    } else {
        html.text(contact);
    }
    html.raw("</footer>");
}

fn plain_address(address: &str) -> bool {
    address.contains('@') && address.chars().all(|c| c.is_ascii_alphanumeric() || "@.+-_".contains(c))
}

/// The style with the operator's colour, and black or white on it, whichever contrasts more: one of
/// them always has at least 4.5 to 1 (WCAG 1.4.3).
pub(super) fn style(pages: &Look) -> String {
    let (accent, luminance) = accent(pages);
    let on = if luminance > DARK { "#000" } else { "#fff" };
    format!("{STYLE}:root{{--accent:{accent};--on:{on}}}")
}

/// Above it black contrasts more, below it white.
const DARK: f64 = 0.179;

/// The colour and its luminance.
fn accent(pages: &Look) -> (&str, f64) {
    let own = pages.accent.as_deref().and_then(|accent| Some((accent, luminance(accent)?)));
    own.unwrap_or((ACCENT, 0.1))
}

/// Relative luminance of `#rrggbb` (WCAG 2.2); nothing for any other text, which then cannot get into
/// the style.
fn luminance(colour: &str) -> Option<f64> {
    let digits =
        colour.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    let channel = |shift: u32| {
        let c = f64::from(value >> shift & 0xff) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    Some(0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0))
}
