//! URLs of providers.

use std::collections::BTreeMap;

use url::Url;

use crate::config::names::unknown_placeholder;
use crate::config::problems::At;

/// A provider's own sign-out URL, with placeholders in its parameters.
#[derive(Clone, Debug)]
pub struct LogoutUrl {
    /// The URL.
    pub url: Url,
    /// Its parameters: `{client_id}`, `{post_logout_redirect_uri}`, `{id_token_hint}`, `{state}`.
    pub params: BTreeMap<String, String>,
}

/// Checks the provider's own sign-out URL.
pub(super) fn logout(
    at: &At<'_>,
    url_text: &Option<String>,
    params: &BTreeMap<String, String>,
) -> Option<LogoutUrl> {
    if url_text.is_none() && !params.is_empty() {
        at.field("logout_params").problem("has no effect without logout_url");
    }
    let known = ["client_id", "post_logout_redirect_uri", "id_token_hint", "state"];
    for (name, value) in params {
        if let Some(word) = unknown_placeholder(value, &known) {
            at.field("logout_params")
                .field(name)
                .problem(format!("unknown placeholder {{{word}}}; expected one of {}", known.join(", ")));
        }
    }
    Some(LogoutUrl { url: url(at, "logout_url", url_text)?, params: params.clone() })
}

/// An address of a provider, as it wrote it.
///
/// Reading a URL changes its text: default ports, an empty path, upper case. SAML compares addresses as text
/// (bindings sections 3.4.5.2 and 3.5.5.2), so that a `Destination` must be the text that the provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where the browser is sent.
    pub url: Url,
    /// The text, without white space around it.
    pub text: String,
}

impl Address {
    /// Reads an absolute http or https URL.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "https" | "http");
        is_web.then(|| Self { url, text: text.to_owned() })
    }
}

/// [`url()`] that keeps its text.
pub fn address(at: &At<'_>, name: &str, text: &Option<String>) -> Option<Address> {
    let url = url(at, name, text)?;
    Some(Address { url, text: text.as_deref()?.trim().to_owned() })
}

/// A URL that must be there.
pub fn required_url(at: &At<'_>, name: &str, text: &str) -> Option<Url> {
    if text.is_empty() {
        at.field(name).problem("is missing: an absolute http or https URL");
        return None;
    }
    url(at, name, &Some(text.to_owned()))
}

/// An absolute http or https URL without userinfo and fragment.
pub fn url(at: &At<'_>, name: &str, text: &Option<String>) -> Option<Url> {
    let text = text.as_ref()?;
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none() =>
        {
            Some(url)
        }
        _ => {
            at.field(name).problem(not_a("an absolute http or https URL without fragment", text));
            None
        }
    }
}

/// What is wrong with a URL, without the password that may stand in it.
pub fn not_a(expected: &str, text: &str) -> String {
    match text.contains('@') {
        true => format!("expected {expected}, and no user and password in it"),
        false => format!("expected {expected}, found {text:?}"),
    }
}
