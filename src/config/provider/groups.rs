//! Groups that are read by URL.

use url::Url;

use crate::config::problems::At;
use crate::config::raw::{self, GroupsWhen};
use crate::config::urls::required_url;

/// A list of groups at a URL.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The first page.
    pub url: Url,
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
    let next = match raw.next.as_deref() {
        None => Next::None,
        Some("link") => Next::Link,
        Some(text) if text.starts_with('/') => Next::Pointer(text.to_owned()),
        Some(text) => {
            at.field("next").problem(format!("expected link or a JSON Pointer, found {text:?}"));
            Next::None
        }
    };
    let (list, name) = (pointer("list", &raw.list), pointer("name", &raw.name));
    let always = raw.when == Some(GroupsWhen::Always);
    Some(Groups { url: required_url(&at, "url", &raw.url)?, list, name, next, always })
}
