//! The sign-in page: providers to choose from, a way in by email address, the password page.

use super::escape::{safe_url, Html};
use super::layout::{Forms, Page};
use super::texts::Texts;
use super::Context;
use crate::http::response::Response;

/// An identity provider to choose.
#[derive(Clone, Debug, Default)]
pub struct Button {
    /// Its name.
    pub title: String,
    /// Where it is chosen.
    pub url: String,
    /// The URL of its picture.
    pub icon: Option<String>,
}

/// What the sign-in page offers.
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    /// The identity providers.
    pub providers: Vec<Button>,
    /// The application's own password page.
    pub password_page: Option<String>,
    /// Only administrators may use it.
    pub for_admins: bool,
    /// Ask for an email address, whose domain names the provider: GET `action?email=…`.
    pub email_form: bool,
    /// Ask for the account's code: GET `action?u=…`.
    pub account_form: bool,
    /// The login path, where the forms lead.
    pub action: String,
    /// Hidden fields of the forms: `return_to`, `u`, …
    pub fields: Vec<(String, String)>,
    /// The email address as typed before, or the `login_hint`.
    pub email: Option<String>,
    /// What went wrong with the last attempt, in words for people.
    pub message: Option<String>,
    /// URLs of IdPs on plain HTTP (development), which the page's policy must name.
    pub form_targets: Vec<String>,
}

/// The sign-in page.
pub fn sign_in(context: &Context<'_>, offer: &SignIn) -> Response {
    let texts = context.texts();
    let title = match context.pages.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => texts.fill("sign_in.title_to", &[("name", name)]),
        None => texts.get("sign_in.title").to_owned(),
    };
    let mut body = Html::new();
    if let Some(message) = &offer.message {
        body.element("<p class=\"bad\" role=\"alert\">", message, "</p>");
    }
    let sections =
        [account(texts, offer), email(texts, offer), providers(texts, offer), password(texts, offer)];
    let mut first = true;
    for section in sections.iter().flatten() {
        if !first {
            body.element("<p class=\"or\">", texts.get("sign_in.or"), "</p>");
        }
        first = false;
        body.html(section);
    }
    let pictures: Vec<&str> = offer.providers.iter().filter_map(|button| button.icon.as_deref()).collect();
    if first {
        body.element("<p>", texts.get("sign_in.none"), "</p>");
    }
    Page { forms: Forms::Idp(&offer.form_targets), pictures: &pictures, ..Page::of("sign_in", &title, body) }
        .answer(context)
}

fn providers(texts: Texts<'_>, offer: &SignIn) -> Option<Html> {
    let usable: Vec<_> =
        offer.providers.iter().filter_map(|button| Some((button, safe_url(&button.url)?))).collect();
    if usable.is_empty() {
        return None;
    }
    let mut html = Html::new();
    if usable.len() > 1 && !offer.email_form {
        html.element("<p>", texts.get("sign_in.choose"), "</p>");
    }
    // One button that stands out on a page: the email form's, else a single provider's.
    let class = if usable.len() == 1 && !offer.email_form && !offer.account_form { "go" } else { "alt" };
    html.raw("<nav").attr("aria-label", texts.get("sign_in.choose")).raw(">");
    for (button, url) in usable {
        html.raw("<a class=\"").raw(class).raw("\"").attr("href", &url).raw(">");
        // The title stands beside it (WCAG 1.1.1).
        if let Some(icon) = button.icon.as_deref().and_then(safe_url) {
            html.raw("<img").attr("src", &icon).raw(" alt=\"\">");
        }
        html.element("<span>", &texts.fill("sign_in.provider", &[("title", &button.title)]), "</span></a>");
    }
    html.raw("</nav>");
    Some(html)
}

fn email(texts: Texts<'_>, offer: &SignIn) -> Option<Html> {
    let mut html = form(offer.email_form, offer, &[])?;
    html.element("<label for=\"email\">", texts.get("sign_in.email"), "</label>")
        .raw("<input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username\" required maxlength=\"254\"")
        .attr("value", offer.email.as_deref().unwrap_or_default())
        .element("><button class=\"go\">", texts.get("sign_in.email_go"), "</button></form>");
    Some(html)
}

fn account(texts: Texts<'_>, offer: &SignIn) -> Option<Html> {
    let mut html = form(offer.account_form, offer, &["u"])?;
    html.element("<label for=\"account\">", texts.get("sign_in.account"), "</label>")
        .element("<p class=\"soft\" id=\"hint\">", texts.get("sign_in.account_hint"), "</p>")
        .raw("<input id=\"account\" name=\"u\" aria-describedby=\"hint\" autocomplete=\"organization\"")
        .raw(" autocapitalize=\"none\" spellcheck=\"false\" required maxlength=\"128\">")
        .element("<button class=\"go\">", texts.get("sign_in.account_go"), "</button></form>");
    Some(html)
}

/// The beginning of a GET form to the login path, without the hidden fields it asks for itself.
fn form(wanted: bool, offer: &SignIn, own: &[&str]) -> Option<Html> {
    let action = safe_url(&offer.action).filter(|_| wanted)?;
    let mut html = Html::new();
    html.raw("<form method=\"get\"").attr("action", &action).raw(">");
    for (name, value) in
        offer.fields.iter().filter(|(name, _)| !own.contains(&name.as_str()) && name != "email")
    {
        html.hidden(name, value);
    }
    Some(html)
}

fn password(texts: Texts<'_>, offer: &SignIn) -> Option<Html> {
    let url = safe_url(offer.password_page.as_deref()?)?;
    let mut html = Html::new();
    if offer.for_admins {
        html.element("<p class=\"soft\">", texts.get("sign_in.admins"), "</p>");
    }
    html.link("alt", &url, texts.get("action.password"));
    Some(html)
}
