//! How URLs are reached: host to Envoy cluster.

use std::collections::{HashMap, HashSet};

use url::Url;

/// The table, with its fallback.
#[derive(Debug, Default)]
pub struct Clusters {
    hosts: HashMap<String, String>,
    apart: HashSet<String>,
    fallback: Option<String>,
}

impl Clusters {
    /// The table of one fallback, for tests.
    pub fn to(cluster: &str) -> Self {
        Self { fallback: Some(cluster.to_owned()), ..Self::default() }
    }

    /// Adds an entry: a host, `host:port`, or `*` for all others.
    pub fn add(&mut self, host: &str, cluster: &str) {
        if host == "*" {
            self.fallback = Some(cluster.to_owned());
        } else {
            self.hosts.insert(host.to_ascii_lowercase(), cluster.to_owned());
        }
    }

    /// Keeps a directory's host apart: no provider may lead there.
    pub fn keep_apart(&mut self, url: &Url) {
        self.apart.extend(url.host_str().map(str::to_owned));
    }

    /// True if a provider may lead to this host: the table has it by name, and it is not kept apart.
    pub fn names(&self, url: &Url) -> bool {
        self.entry(url).is_some() && !url.host_str().is_some_and(|host| self.apart.contains(host))
    }

    /// The cluster for a URL: `host:port` first, then `host`, then the fallback.
    pub fn resolve(&self, url: &Url) -> Option<String> {
        let template = self.entry(url).or(self.fallback.as_ref())?;
        let (host, port) = (url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?);
        Some(template.replace("{host}", &host).replace("{port}", &port.to_string()))
    }

    fn entry(&self, url: &Url) -> Option<&String> {
        let host = url.host_str()?.to_ascii_lowercase();
        let port = url.port_or_known_default()?;
        self.hosts.get(&format!("{host}:{port}")).or_else(|| self.hosts.get(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_entry_wins() {
        let mut clusters = Clusters::default();
        for (host, cluster) in
            [("idp.example.com", "idp"), ("idp.example.com:8443", "other"), ("*", "outbound|{port}||{host}")]
        {
            clusters.add(host, cluster);
        }
        let cluster = |url: &str| clusters.resolve(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(cluster("https://idp.example.com/a"), "idp");
        assert_eq!(cluster("https://IDP.example.com:443/a"), "idp");
        assert_eq!(cluster("https://idp.example.com:8443/a"), "other");
        assert_eq!(cluster("http://elsewhere/a"), "outbound|80||elsewhere");
        assert!(Clusters::default().resolve(&Url::parse("https://a").unwrap()).is_none());
    }

    #[test]
    fn the_fallback_and_a_directory_are_not_named() {
        let mut clusters = Clusters::default();
        for host in ["idp.example.com", "directory.internal", "*"] {
            clusters.add(host, "cluster");
        }
        clusters.keep_apart(&Url::parse("http://directory.internal/scim/v2").unwrap());
        let names = |url: &str| clusters.names(&Url::parse(url).unwrap());
        assert!(names("https://idp.example.com/a") && names("https://IDP.example.com:8443/a"));
        assert!(!names("https://elsewhere.example/a") && !names("https://directory.internal/a"));
    }
}
