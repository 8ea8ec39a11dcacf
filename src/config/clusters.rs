//! How URLs are reached: host to Envoy cluster.

use std::collections::{BTreeMap, HashMap};

use url::Url;

use super::names;
use super::problems::At;

/// The table, with its fallback.
#[derive(Debug, Default)]
pub struct Clusters {
    hosts: HashMap<String, String>,
    fallback: Option<String>,
}

impl Clusters {
    /// Checks the table.
    pub(super) fn check(at: &At<'_>, raw: &BTreeMap<String, String>) -> Self {
        let mut clusters = Self::default();
        for (host, cluster) in raw {
            if cluster.is_empty() {
                at.field(host).problem("expected the name of an Envoy cluster, found an empty string");
            }
            if let Some(word) = names::unknown_placeholder(cluster, &["host", "port"]) {
                at.field(host)
                    .problem(format!("unknown placeholder {{{word}}}; expected {{host}} or {{port}}"));
            }
            if host == "*" {
                clusters.fallback = Some(cluster.clone());
            } else if host.contains('/') || host.is_empty() {
                at.field(host).problem("expected a host or host:port as the key, without scheme or path");
            } else {
                clusters.hosts.insert(host.to_ascii_lowercase(), cluster.clone());
            }
        }
        clusters
    }

    /// The table of one fallback, for tests.
    pub fn to(cluster: &str) -> Self {
        Self { hosts: HashMap::new(), fallback: Some(cluster.to_owned()) }
    }

    /// The cluster for a URL: `host:port` first, then `host`, then the fallback.
    pub fn resolve(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?.to_ascii_lowercase();
        let port = url.port_or_known_default()?;
        let named = self.hosts.get(&format!("{host}:{port}")).or_else(|| self.hosts.get(&host));
        let template = named.or(self.fallback.as_ref())?;
        Some(template.replace("{host}", &host).replace("{port}", &port.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::Problems;

    #[test]
    fn the_most_particular_entry_wins() {
        let raw = BTreeMap::from(
            [("idp.example.com", "idp"), ("idp.example.com:8443", "other"), ("*", "outbound|{port}||{host}")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let problems = Problems::default();
        let clusters = Clusters::check(&problems.root(), &raw);
        let cluster = |url: &str| clusters.resolve(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(cluster("https://idp.example.com/a"), "idp");
        assert_eq!(cluster("https://IDP.example.com:443/a"), "idp");
        assert_eq!(cluster("https://idp.example.com:8443/a"), "other");
        assert_eq!(cluster("http://elsewhere/a"), "outbound|80||elsewhere");
        assert!(Clusters::default().resolve(&Url::parse("https://a").unwrap()).is_none());
    }
}
