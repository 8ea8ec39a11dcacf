//! The URLs that the filter itself asks: whether they can be reached, and by whom they can be read.

use std::collections::HashSet;

use url::Url;

use super::names::is_local;
use super::problems::At;
use super::{Account, Directory, Introspection, Protocol, Provider};
use crate::host::clusters::Clusters;

/// Warns of a host that no entry of `clusters` is for, once, and of plain http under an https origin.
pub(super) fn check<'a>(
    at: &At<'_>,
    account: &'a Account,
    clusters: &Clusters,
    known: &mut HashSet<&'a str>,
) {
    let mut reached = |at: &At<'_>, url: &'a Url| {
        let host = url.host_str().unwrap_or_default();
        if clusters.resolve(url).is_none() && known.insert(host) {
            at.warning(format!("no entry of clusters is for {host}: it cannot be reached"));
        }
    };
    let https = account.origins_as_written().any(|origin| origin.starts_with("https:"));
    for (i, provider) in account.providers.iter().enumerate() {
        let at = at.field("identity_providers").index(i);
        let (protocol, urls) = exchange(provider);
        for (name, url) in urls {
            let at = at.field(protocol).field(name);
            reached(&at, url);
            // Whether SAML metadata has to be believed depends on more than its URL.
            if https && protocol != "saml" && url.scheme() == "http" && !url.host_str().is_some_and(is_local)
            {
                at.warning("is plain http: whoever is on the way can sign in as anybody; use https");
            }
        }
    }
    for file in account.secret_files() {
        reached(at, &file.url);
    }
    for (i, machine) in account.bearer.iter().flat_map(|bearer| &bearer.machines).enumerate() {
        let at = at.field("bearer").field("machines").index(i);
        for (name, url) in [("discovery", &machine.discovery), ("jwks_uri", &machine.jwks_uri)] {
            let Some(url) = url else { continue };
            reached(&at.field(name), url);
            if https && url.scheme() == "http" && !url.host_str().is_some_and(is_local) {
                at.field(name).warning("is plain http: whoever is on the way can issue tokens; use https");
            }
        }
    }
    if let Directory::Scim(scim) = &account.directory {
        reached(&at.field("directory").field("scim").field("url"), &scim.url);
    }
}

/// The URLs of a provider that are asked, each with its field.
fn exchange(provider: &Provider) -> (&'static str, Vec<(&'static str, &Url)>) {
    let (protocol, urls) = match &provider.protocol {
        Protocol::Oidc(oidc) => (
            "oidc",
            vec![
                ("discovery", oidc.discovery.as_ref()),
                ("token_endpoint", oidc.endpoints.token.as_ref()),
                ("userinfo_endpoint", oidc.endpoints.userinfo.as_ref()),
                ("jwks_uri", oidc.endpoints.jwks_uri.as_ref()),
                ("introspection", oidc.introspection.as_ref().and_then(Introspection::url)),
                ("groups", oidc.groups.as_ref().map(|groups| &groups.url)),
                (
                    "pushed_authorization_request_endpoint",
                    oidc.endpoints.pushed_authorization_request.as_ref(),
                ),
            ],
        ),
        Protocol::OAuth2(oauth2) => (
            "oauth2",
            vec![
                ("token_endpoint", Some(&oauth2.token)),
                ("userinfo_endpoint", Some(&oauth2.userinfo)),
                ("groups", oauth2.groups.as_ref().map(|groups| &groups.url)),
                ("emails_endpoint", oauth2.emails.as_ref()),
            ],
        ),
        Protocol::Saml(saml) => ("saml", vec![("metadata_url", saml.metadata_url.as_ref())]),
    };
    (protocol, urls.into_iter().filter_map(|(name, url)| Some((name, url?))).collect())
}
