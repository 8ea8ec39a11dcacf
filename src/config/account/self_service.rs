//! `self_service`: what an account's administrators may set themselves, and where the providers they name may be.

use std::rc::Rc;

use url::{Host, Url};

use crate::config::names;
use crate::config::problems::At;
use crate::config::raw::{self, SettingsPart};
use crate::host::clusters::Clusters;

/// What administrators may set.
#[derive(Clone, Debug)]
pub struct SelfService {
    /// The parts of the account that are theirs; all others stay the file's.
    pub settings: Vec<SettingsPart>,
    /// Where the providers that they name may be.
    pub hosts: Fence,
    /// Roles that an administrator may grant, beside those that they have.
    pub roles: Vec<String>,
}

impl SelfService {
    /// True if administrators may set this part.
    pub fn allows(&self, part: SettingsPart) -> bool {
        self.settings.contains(&part)
    }
}

/// Hosts by pattern: the fence against server-side request forgery. Whatever an administrator names, and whatever a
/// document found there names, must stay within it.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    patterns: Vec<Pattern>,
}

/// The fence with the clusters that reach what is inside: what a provider of an administrator's is held to, and every
/// document that it publishes.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Where the provider may be.
    pub hosts: Fence,
    /// How URLs are reached.
    pub clusters: Rc<Clusters>,
}

impl Bounds {
    /// Why a URL is outside, if it is.
    pub fn refuses(&self, url: &Url) -> Option<String> {
        match self.hosts.refuses(url) {
            None if self.clusters.resolve(url).is_none() => {
                Some("no cluster reaches this host: ask the operator".into())
            }
            refused => refused,
        }
    }
}

#[derive(Clone, Debug)]
struct Pattern {
    /// In lower case, without `*.`.
    name: String,
    /// `*.`: one label or more before the name.
    below: bool,
    port: u16,
}

impl Fence {
    /// Why a URL is outside, if it is.
    pub fn refuses(&self, url: &Url) -> Option<String> {
        if url.scheme() != "https" {
            return Some("expected an https URL".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("expected no user and password in the URL".into());
        }
        let Some(Host::Domain(host)) = url.host() else {
            return Some("expected a host name: addresses are not allowed".into());
        };
        let host = host.to_ascii_lowercase();
        if !is_public_name(&host) {
            return Some(format!("{host} is not the name of a public host"));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let inside = self.patterns.iter().any(|pattern| pattern.matches(&host, port));
        (!inside).then(|| format!("{host}:{port} is not one of self_service.hosts"))
    }
}

impl Pattern {
    fn matches(&self, host: &str, port: u16) -> bool {
        let named = match self.below {
            true => host
                .strip_suffix(self.name.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        named && port == self.port
    }
}

/// Names that can lead inside whatever resolves them: a single label, loopback, and what is private by RFC 6762, RFC
/// 8375 and habit. A name that ends in a dot or in a number is another spelling of something.
fn is_public_name(host: &str) -> bool {
    const PRIVATE: [&str; 8] =
        ["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"];
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    host.contains('.')
        && !last.is_empty()
        && !is_number
        && !PRIVATE.contains(&last)
        && !host.ends_with(".home.arpa")
        && !host.ends_with(".cluster.local")
}

pub(super) fn check(at: &At<'_>, raw: &raw::SelfService) -> SelfService {
    if raw.settings.is_empty() {
        at.field("settings").problem(
            "is empty: list what administrators may set: sso, identity_providers, mapping, password, invitations",
        );
    }
    if raw.settings.contains(&SettingsPart::IdentityProviders) && raw.hosts.is_empty() {
        at.field("hosts").problem(
            "is empty: administrators who set identity_providers need the hosts that these may have, such as *.okta.com",
        );
    }
    let patterns =
        raw.hosts.iter().enumerate().filter_map(|(i, text)| pattern(&at.field("hosts").index(i), text));
    SelfService {
        settings: raw.settings.clone(),
        hosts: Fence { patterns: patterns.collect() },
        roles: raw.roles.clone(),
    }
}

fn pattern(at: &At<'_>, text: &str) -> Option<Pattern> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
        None => (text, Some(443)),
    };
    let (below, name) = match host.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, host),
    };
    let name = name.to_ascii_lowercase();
    let Some(port) = port.filter(|_| names::is_domain(&name) && name.is_ascii()) else {
        at.problem(format!("expected a host such as login.example.com or *.okta.com, with a port if it is not 443, found {text:?}"));
        return None;
    };
    if !is_public_name(&name) {
        at.warning("never matches: addresses, loopback names and names of private networks are not allowed");
    }
    Some(Pattern { name, below, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::Problems;

    fn fence(hosts: &[&str]) -> Fence {
        let problems = Problems::default();
        let raw = raw::SelfService {
            settings: vec![SettingsPart::IdentityProviders],
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
            roles: Vec::new(),
        };
        let checked = check(&problems.root(), &raw);
        assert!(problems.problems.borrow().is_empty(), "{problems:?}");
        checked.hosts
    }

    #[test]
    fn only_names_that_are_listed_are_inside() {
        let fence = fence(&["*.okta.com", "login.example.com", "sso.example.org:8443"]);
        let refused = |url: &str| fence.refuses(&Url::parse(url).unwrap());
        for inside in [
            "https://acme.okta.com/a",
            "https://a.b.okta.com",
            "https://ACME.OKTA.COM:443/",
            "https://login.example.com/x?y",
            "https://sso.example.org:8443/",
        ] {
            assert_eq!(refused(inside), None, "{inside}");
        }
        for (outside, why) in [
            ("http://acme.okta.com/", "https"),
            ("https://okta.com/", "not one of"),
            ("https://xokta.com/", "not one of"),
            ("https://acme.okta.com.evil.example/", "not one of"),
            ("https://acme.okta.com:8443/", "not one of"),
            ("https://sso.example.org/", "not one of"),
            ("https://user@acme.okta.com/", "user and password"),
            ("https://acme.okta.com./", "public"),
        ] {
            assert!(
                refused(outside).is_some_and(|found| found.contains(why)),
                "{outside} {:?}",
                refused(outside)
            );
        }
    }

    #[test]
    fn nothing_inside_is_reached_even_where_it_is_listed() {
        let fence = fence(&["*.localhost", "*.internal", "localhost", "directory", "*.local", "*.home.arpa"]);
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://localhost/",
            "https://a.localhost/",
            "https://LOCALHOST/",
            "https://directory/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://router.home.arpa/",
            "https://1.2.3.4.5/",
        ] {
            // Some spellings are no URL at all: as good.
            if let Ok(url) = Url::parse(url) {
                assert!(fence.refuses(&url).is_some(), "{url}");
            }
        }
    }
}
