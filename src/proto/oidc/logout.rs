//! The way out at the provider: OpenID Connect RP-Initiated Logout 1.0, or the provider's own sign-out URL.

use url::Url;

use super::discovery::Metadata;
use crate::config::LogoutUrl;
use crate::values::secret::Secret;

/// What a logout may tell the provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logout<'a> {
    /// Our client identifier.
    pub client_id: &'a str,
    /// Where the browser comes back to; registered at the provider.
    pub post_logout_redirect_uri: Option<&'a str>,
    /// The ID token of the session; some providers ask the person without it.
    pub id_token_hint: Option<&'a Secret>,
    /// Comes back with the browser.
    pub state: Option<&'a str>,
}

/// A longer URL is refused by servers on the way, and the browser would stay on their error page.
const MAX_URL: usize = 4096;

/// The URL that ends the session at the provider: the configured `logout_url` first, else
/// `end_session_endpoint`, else there is none. An ID token that does not fit is left out: the provider then asks the user.
pub fn url(configured: Option<&LogoutUrl>, metadata: Option<&Metadata>, logout: &Logout<'_>) -> Option<Url> {
    let whole = of(configured, metadata, logout)?;
    if whole.as_str().len() <= MAX_URL {
        return Some(whole);
    }
    of(configured, metadata, &Logout { id_token_hint: None, ..*logout })
}

fn of(configured: Option<&LogoutUrl>, metadata: Option<&Metadata>, logout: &Logout<'_>) -> Option<Url> {
    if let Some(configured) = configured {
        return Some(template(configured, logout));
    }
    let mut url = metadata?.end_session_endpoint.clone()?;
    {
        let mut pairs = url.query_pairs_mut();
        if let Some(hint) = logout.id_token_hint {
            pairs.append_pair("id_token_hint", hint.expose());
        }
        pairs.append_pair("client_id", logout.client_id);
        if let Some(uri) = logout.post_logout_redirect_uri {
            pairs.append_pair("post_logout_redirect_uri", uri);
            // Section 2: `state` comes back only with a redirect.
            if let Some(state) = logout.state {
                pairs.append_pair("state", state);
            }
        }
    }
    Some(url)
}

/// `logout_url` with `logout_params`; a parameter whose placeholder has no value is left out.
fn template(configured: &LogoutUrl, logout: &Logout<'_>) -> Url {
    let mut url = configured.url.clone();
    let values = [
        ("{client_id}", Some(logout.client_id)),
        ("{post_logout_redirect_uri}", logout.post_logout_redirect_uri),
        ("{id_token_hint}", logout.id_token_hint.map(Secret::expose)),
        ("{state}", logout.state),
    ];
    for (name, text) in &configured.params {
        if let Some(value) = fill(text, &values) {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    url
}

/// One pass over the text, so that a value cannot bring placeholders of its own.
fn fill(text: &str, values: &[(&str, Option<&str>)]) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match values.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, value)) => {
                out.push_str((*value)?);
                rest = from.get(name.len()..).unwrap_or_default();
            }
            None => {
                out.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    Some(out)
}
