//! The URLs that the filter itself asks: whether they can be reached, and by whom they can be read.

use std::collections::HashSet;

use url::Url;

use super::names::is_local;
use super::problems::At;
use super::{Account, Directory, Introspection, Protocol, Provider};
use crate::host::clusters::Clusters;

/// What can be done by one who reads and changes what is sent over plain http.
#[derive(Clone, Copy)]
enum Risk {
    SignIn,
    Tokens,
    /// Nothing, or what depends on more than the URL.
    Other,
}

/// Warns of a host that no entry of `clusters` is for, once, and of plain http under an https origin.
pub(super) fn check<'a>(
    at: &At<'_>,
    account: &'a Account,
    clusters: &Clusters,
    known: &mut HashSet<&'a str>,
) {
    let https = account.origins_as_written().any(|origin| origin.starts_with("https:"));
    for (field, url, risk) in asked(account) {
        let at = if field.is_empty() { at.clone() } else { at.field(&field) };
        let host = url.host_str().unwrap_or_default();
        if clusters.resolve(url).is_none() && known.insert(host) {
            at.warning(format!("no entry of clusters is for {host}: it cannot be reached"));
        }
        if !https || url.scheme() != "http" || is_local(host) {
            continue;
        }
        match risk {
            Risk::SignIn => {
                at.warning("is plain http: an attacker on the way can sign in as any user; use https")
            }
            Risk::Tokens => at.warning("is plain http: an attacker on the way can issue tokens; use https"),
            Risk::Other => {}
        }
    }
}

/// True if `check` warns of a host that this account asks, here or at an account before it.
pub(super) fn is_unreached(account: &Account, clusters: &Clusters) -> bool {
    asked(account).iter().any(|(_, url, _)| clusters.resolve(url).is_none())
}

impl Account {
    /// The URLs that the filter asks for this account, each with its field; those that documents name come beside them.
    #[cfg(not(target_family = "wasm"))]
    pub fn asked_urls(&self) -> Vec<(String, &Url)> {
        asked(self).into_iter().map(|(field, url, _)| (field, url)).collect()
    }
}

fn asked(account: &Account) -> Vec<(String, &Url, Risk)> {
    let mut all = Vec::new();
    for (i, provider) in account.providers.iter().enumerate() {
        let (protocol, urls) = exchange(provider);
        // Whether SAML metadata has to be believed depends on more than its URL.
        let risk = if protocol == "saml" { Risk::Other } else { Risk::SignIn };
        let field = |name: &str| format!("identity_providers[{i}].{protocol}.{name}");
        all.extend(urls.into_iter().map(|(name, url)| (field(name), url, risk)));
    }
    all.extend(account.secret_files().map(|file| (String::new(), &file.url, Risk::Other)));
    for (i, machine) in account.bearer.iter().flat_map(|bearer| &bearer.machines).enumerate() {
        for (name, url) in [("discovery", &machine.discovery), ("jwks_uri", &machine.jwks_uri)] {
            let field = format!("bearer.machines[{i}].{name}");
            all.extend(url.iter().map(|url| (field.clone(), url, Risk::Tokens)));
        }
    }
    if let Directory::Scim(scim) = &account.directory {
        all.push(("directory.scim.url".to_owned(), &scim.url, Risk::Other));
    }
    all
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
