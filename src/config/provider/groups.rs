//! Groups that are read by URL.

use url::Url;

use crate::config::problems::At;
use crate::config::raw::{self, GroupsWhen};
use crate::config::urls::required_url;

/// A list of groups at a URL.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The first page, as it is written.
    pub url: Url,
    /// The text of `url`, for the values of `claims`.
    pub text: String,
    /// The claims of the user whose values stand in `url`, as `{name}`.
    pub claims: Vec<String>,
    /// JSON Pointer to the list; empty: the answer is the list.
    pub list: String,
    /// JSON Pointer to the name in an entry; empty: the entry is the name.
    pub name: String,
    /// Where the next page is.
    pub next: Next,
    /// Whether they are read at every login.
    pub always: bool,
}

/// Where the URL of the next page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is one page.
    None,
    /// At this JSON Pointer in the answer.
    Pointer(String),
    /// The answer has a token at this JSON Pointer. The next page is `url` with the token in this parameter.
    Token(String, String),
    /// In the Link header (RFC 8288).
    Link,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Groups>) -> Option<Groups> {
    let raw = raw?;
    let at = at.field("groups");
    let pointer = |name: &str, text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        if !text.is_empty() && !text.starts_with('/') {
            at.field(name).problem(format!("expected a JSON Pointer such as /value, found {text:?}"));
        }
        text
    };
    let next = match (raw.next.as_deref(), &raw.next_param) {
        (Some(text), None) if text.starts_with('/') => Next::Pointer(text.to_owned()),
        (Some(text), Some(name)) if text.starts_with('/') && !name.is_empty() => {
            Next::Token(text.to_owned(), name.clone())
        }
        (_, Some(_)) => {
            at.field("next_param").problem("expected a parameter's name, with a JSON Pointer in next");
            Next::None
        }
        (None, None) => Next::None,
        (Some("link"), None) => Next::Link,
        (Some(text), None) => {
            at.field("next").problem(format!("expected link or a JSON Pointer, found {text:?}"));
            Next::None
        }
    };
    let (list, name) = (pointer("list", &raw.list), pointer("name", &raw.name));
    let always = raw.when == Some(GroupsWhen::Always);
    let url = required_url(&at, "url", &raw.url)?;
    let claims = placeholders(&at.field("url"), &url, &raw.url);
    Some(Groups { url, text: raw.url.clone(), claims, list, name, next, always })
}

/// The names in braces. They stand in path and query alone: a user's claim never chooses the server.
fn placeholders(at: &At<'_>, url: &Url, text: &str) -> Vec<String> {
    let is_name = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let mut names = Vec::new();
    let mut is_good = url.host_str().is_some_and(|host| !host.contains('{'));
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let (word, more) = after.split_once('}').unwrap_or_default();
        is_good &= is_name(word);
        names.push(word.to_owned());
        rest = more;
    }
    if !is_good {
        at.problem("expected the name of a claim in braces, in the path or query: {email}, {sub}");
    }
    names
}
