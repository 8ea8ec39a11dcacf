//! Whether the filter reaches what this machine reaches: `clusters` names a cluster for each host, and Envoy's file has it.

use std::collections::HashSet;

use envoy_sso::config::{Config, Contents};
use url::Url;

use super::Report;

/// Judges every URL of a configuration, and those that discovery documents named.
pub fn check(config: &Config, contents: &Contents, report: &mut Report) {
    let mut seen = HashSet::new();
    let mut all: Vec<(String, Url)> = Vec::new();
    for account in &config.accounts {
        let place = |field: String| match field.is_empty() {
            true => account.code.clone(),
            false => format!("{}: {field}", account.code),
        };
        all.extend(account.asked_urls().into_iter().map(|(field, url)| (place(field), url.clone())));
    }
    all.append(&mut report.named);
    for (place, url) in all {
        let host = url.host_str().unwrap_or_default().to_owned();
        if !seen.insert((host.clone(), url.port_or_known_default())) {
            continue;
        }
        match config.clusters.resolve(&url) {
            None => report.fails(format_args!(
                "{place}: no entry of clusters is for {host}, so that the filter cannot reach it: add one, and that cluster \
                 to Envoy"
            )),
            Some(cluster) => is_there(&format!("{place}: cluster {cluster:?} for {host}"), &cluster, contents, report),
        }
    }
    if let Some(shared) = &config.shared {
        is_there(&format!("shared.cluster: {:?}", shared.cluster), &shared.cluster, contents, report);
    }
}

fn is_there(what: &str, cluster: &str, contents: &Contents, report: &mut Report) {
    let Some(known) = &contents.clusters else { return };
    match contents.has_dynamic_clusters {
        _ if known.contains_key(cluster) => {}
        true => report.note(format_args!("{what} is not among the static clusters: it must come by CDS")),
        false => report.fails(format_args!(
            "{what} is not among the static clusters of this file, and it has no cds_config: correct the name, or add it"
        )),
    }
}
