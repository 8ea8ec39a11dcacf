//! How URLs are reached: host to Envoy cluster.

use std::collections::HashMap;

use url::Url;

/// The table, with its fallback.
#[derive(Debug, Default)]
pub struct Clusters {
    hosts: HashMap<String, String>,
    fallback: Option<String>,
}

impl Clusters {
    /// The table of one fallback, for tests.
    pub fn to(cluster: &str) -> Self {
        Self { hosts: HashMap::new(), fallback: Some(cluster.to_owned()) }
    }

    /// Adds an entry: a host, `host:port`, or `*` for all others.
    pub fn add(&mut self, host: &str, cluster: &str) {
        if host == "*" {
            self.fallback = Some(cluster.to_owned());
        } else {
            self.hosts.insert(host.to_ascii_lowercase(), cluster.to_owned());
        }
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
}
