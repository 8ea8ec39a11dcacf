//! `clusters`: the table of hosts as operators write it.

use std::collections::BTreeMap;

use super::names;
use super::problems::At;
use crate::host::clusters::Clusters;

/// Checks the table.
pub(super) fn check(at: &At<'_>, raw: &BTreeMap<String, String>) -> Clusters {
    let mut clusters = Clusters::default();
    for (host, cluster) in raw {
        if cluster.is_empty() {
            at.field(host).problem("expected the name of an Envoy cluster, found an empty string");
        }
        if let Some(word) = names::unknown_placeholder(cluster, &["host", "port"]) {
            at.field(host).problem(format!("unknown placeholder {{{word}}}; expected {{host}} or {{port}}"));
        }
        if host.contains('/') || host.is_empty() {
            at.field(host).problem("expected a host or host:port as the key, without scheme or path");
        } else {
            clusters.add(host, cluster);
        }
    }
    clusters
}
