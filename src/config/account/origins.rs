//! Where an account is served: exact origins, patterns with one wildcard label, and the one origin of its logins.

use std::borrow::Cow;

use url::{Host, Url};

use super::Account;
use crate::config::problems::At;
use crate::config::urls;
use crate::http::bare_authority;

/// Stands for the one label of a pattern while its URL is read.
const LABEL: &str = "label";

/// Scheme and authority, as browsers write them: no default port, lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// `host` or `host:port`.
    pub authority: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// `https://*.preview.example.com`: every host with exactly one label in front of the suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// `http` or `https`.
    pub scheme: String,
    /// `.preview.example.com`, with the port where it is not the default.
    pub suffix: String,
}

impl std::fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://*{}", self.scheme, self.suffix)
    }
}

impl OriginPattern {
    /// An origin of the pattern, to judge all of them by.
    pub fn example(&self) -> Origin {
        Origin { scheme: self.scheme.clone(), authority: format!("{LABEL}{}", self.suffix) }
    }

    /// The origin that a lower-case authority names, if it is one of the pattern's.
    fn origin(&self, authority: &str) -> Option<Origin> {
        let is_own = suffix(authority.as_bytes()) == Some(self.suffix.as_bytes());
        is_own.then(|| Origin { scheme: self.scheme.clone(), authority: authority.to_owned() })
    }
}

/// What follows the first label of a lower-case authority, dot included. `None`: what stands there is not a label of a
/// host name (RFC 1123 section 2.1), such as the beginning of an IPv6 address or a name with user information.
pub fn suffix(authority: &[u8]) -> Option<&[u8]> {
    let (label, suffix) = authority.split_at_checked(memchr::memchr(b'.', authority)?)?;
    let is_label = (1..=63).contains(&label.len())
        && label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !label.starts_with(b"-")
        && !label.ends_with(b"-");
    is_label.then_some(suffix)
}

/// The origin at which an account's logins run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginOrigin {
    /// It.
    pub origin: Origin,
    /// The application is served there too.
    pub is_application: bool,
}

impl LoginOrigin {
    /// True if an authority is this origin's, in any case and with a default port written out.
    fn is_at(&self, authority: &[u8]) -> bool {
        let own = self.origin.authority.as_bytes();
        let bare = || authority.strip_suffix(b":443").or_else(|| authority.strip_suffix(b":80"));
        authority.eq_ignore_ascii_case(own) || bare().is_some_and(|bare| bare.eq_ignore_ascii_case(own))
    }
}

impl Account {
    /// The origin of this account that an authority names: a configured one, or one of a pattern's, whose host has been
    /// checked label by label. Only these are ever used in URLs and tokens.
    pub fn origin_at(&self, authority: &[u8]) -> Option<Origin> {
        let authority = std::str::from_utf8(authority).ok()?.to_ascii_lowercase();
        let bare = bare_authority(&authority);
        let login = self.login_origin.iter().map(|login| &login.origin);
        let mut exact = self.origins.iter().chain(login);
        let exact = exact.find(|origin| origin.authority == authority || origin.authority == bare);
        let of_pattern = || {
            let mut patterns = self.patterns.iter();
            patterns.find_map(|pattern| pattern.origin(&authority).or_else(|| pattern.origin(bare)))
        };
        exact.cloned().or_else(of_pattern)
    }

    /// True if only logins are served there: it is the login origin, and none of the account's origins.
    #[inline]
    pub fn is_login_only(&self, authority: &[u8]) -> bool {
        self.login_origin.as_ref().is_some_and(|login| !login.is_application && login.is_at(authority))
    }

    /// The origin at which a login that begins at this one runs, if it is another.
    pub fn login_elsewhere(&self, origin: &Origin) -> Option<&Origin> {
        let login = self.login_origin.as_ref().map(|login| &login.origin);
        login.filter(|login| *login != origin)
    }

    /// The origin whose callbacks are registered at the providers, for a request at this origin.
    pub fn callback_origin(&self, asked: &Origin) -> Origin {
        self.login_elsewhere(asked).unwrap_or(asked).clone()
    }

    /// The origins whose pages are the account's own for a request at this authority. Other origins of a pattern are not:
    /// each may be another's preview.
    pub fn own_origins(&self, authority: &[u8]) -> Cow<'_, [Origin]> {
        if self.patterns.is_empty() && self.login_origin.is_none() {
            return Cow::Borrowed(&self.origins);
        }
        let mut own = self.origins.clone();
        own.extend(self.origin_at(authority).filter(|asked| !self.origins.contains(asked)));
        Cow::Owned(own)
    }

    /// The same as browsers send them in `Origin`.
    pub fn origin_texts(&self, authority: &[u8]) -> Vec<String> {
        self.own_origins(authority).iter().map(ToString::to_string).collect()
    }

    /// All of them as they were written, patterns too.
    pub fn origins_as_written(&self) -> impl Iterator<Item = String> + '_ {
        self.origins.iter().map(ToString::to_string).chain(self.patterns.iter().map(ToString::to_string))
    }
}

/// Checks `origins`.
pub(super) fn check(at: &At<'_>, list: &[String]) -> (Vec<Origin>, Vec<OriginPattern>) {
    if list.is_empty() {
        at.problem("is missing: where the account is served, such as https://app.example.com");
    }
    let (mut origins, mut patterns) = (Vec::new(), Vec::new());
    for (i, text) in list.iter().enumerate() {
        let at = at.index(i);
        match text.contains('*') {
            true => patterns.extend(pattern(&at, text)),
            false => origins.extend(origin(&at, text)),
        }
    }
    (origins, patterns)
}

/// Checks `login_origin`.
pub(super) fn login(
    at: &At<'_>,
    text: &str,
    origins: &[Origin],
    patterns: &[OriginPattern],
) -> Option<LoginOrigin> {
    if text.contains('*') {
        at.problem(
            "expected one origin, without a wildcard: its redirect URIs are registered at the providers",
        );
        return None;
    }
    let origin = origin(at, text)?;
    let is_application = origins.contains(&origin)
        || patterns.iter().any(|own| own.origin(&origin.authority).as_ref() == Some(&origin));
    Some(LoginOrigin { origin, is_application })
}

fn origin(at: &At<'_>, text: &str) -> Option<Origin> {
    let Some(url) = plain(text) else {
        at.problem(urls::not_a("an origin such as https://app.example.com", text));
        return None;
    };
    Some(Origin { scheme: url.scheme().to_owned(), authority: crate::http::authority(&url) })
}

/// One wildcard, as the whole first label, of a name that is not a top-level domain.
fn pattern(at: &At<'_>, text: &str) -> Option<OriginPattern> {
    let named = text.split_once("://*.").filter(|(_, rest)| !rest.contains('*'));
    let url = named.and_then(|(scheme, rest)| plain(&format!("{scheme}://{LABEL}.{rest}")));
    let authority = url.as_ref().map(crate::http::authority).unwrap_or_default();
    let is_name = url.as_ref().is_some_and(|url| {
        let host = match url.host() {
            Some(Host::Domain(host)) => host.strip_prefix(LABEL).unwrap_or_default(),
            _ => "",
        };
        let labels = host.split('.').skip(1);
        host == ".localhost" || labels.clone().count() > 1 && labels.clone().all(|label| !label.is_empty())
    });
    let (Some(url), Some(suffix), true) = (url, authority.strip_prefix(LABEL), is_name) else {
        let expected =
            "a pattern such as https://*.preview.example.com: one wildcard, as the whole first label of a domain";
        at.problem(urls::not_a(expected, text));
        return None;
    };
    Some(OriginPattern { scheme: url.scheme().to_owned(), suffix: suffix.to_owned() })
}

fn plain(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.contains('*'))
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_of_a_pattern_is_one_label() {
        let pattern = OriginPattern { scheme: "https".into(), suffix: ".preview.example.com".into() };
        let origin = pattern.origin("pr-12.preview.example.com").map(|origin| origin.to_string());
        assert_eq!(origin.as_deref(), Some("https://pr-12.preview.example.com"));
        for authority in [
            "preview.example.com",
            ".preview.example.com",
            "a.b.preview.example.com",
            "xpreview.example.com",
            "a.xpreview.example.com",
            "a.preview.example.com.",
            "a.preview.example.com:8443",
            "a.preview.example.com.evil.com",
            "evil.com#.preview.example.com",
            "evil#.preview.example.com",
            "evil/.preview.example.com",
            "user@a.preview.example.com",
            "a:80.preview.example.com",
            "[::1].preview.example.com",
            "-a.preview.example.com",
            "a-.preview.example.com",
            "a_b.preview.example.com",
            "A.preview.example.com",
            "*.preview.example.com",
            "a%2e.preview.example.com",
            "\u{e9}.preview.example.com",
            &format!("{}.preview.example.com", "a".repeat(64)),
        ] {
            assert_eq!(pattern.origin(authority), None, "{authority}");
        }
    }
}
