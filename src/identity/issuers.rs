//! Whose identities are a provider's: what a link and a session name as their issuer.

use std::collections::HashMap;
use std::rc::Rc;

use url::Url;

use crate::config::{Protocol, Provider};
use crate::proto::oidc::discovery::{is_google, is_guid, TENANT, WELL_KNOWN};
use crate::proto::{oidc, saml};

/// What is known of the issuers of an account's providers.
#[derive(Debug, Default)]
pub struct Issuers {
    clients: HashMap<String, Rc<oidc::Provider>>,
    idps: HashMap<String, Rc<saml::Idp>>,
}

impl Issuers {
    /// Of these providers, by their ids.
    pub fn new(clients: HashMap<String, Rc<oidc::Provider>>, idps: HashMap<String, Rc<saml::Idp>>) -> Self {
        Self { clients, idps }
    }

    /// Returns whether the provider issues identities of this issuer.
    ///
    /// `None`: its metadata is not there yet, and the configuration does not say.
    pub fn is_of(&self, provider: &Provider, issuer: &str) -> Option<bool> {
        match &provider.protocol {
            Protocol::OAuth2(oauth2) => Some(oauth2.issuer == issuer),
            Protocol::Saml(saml) => {
                let known = self.idps.get(&provider.id).and_then(|idp| idp.known_issuer());
                known.or_else(|| saml.issuer.clone()).map(|known| known == issuer)
            }
            Protocol::Oidc(oidc) => {
                let metadata = self.clients.get(&provider.id).and_then(|client| client.known_metadata());
                match (metadata, &oidc.issuer, &oidc.discovery) {
                    (Some(metadata), ..) => Some(metadata.is_issuer(issuer)),
                    (None, Some(own), _) if !own.contains(TENANT) => {
                        Some(own == issuer || is_google(own, issuer))
                    }
                    (None, None, Some(discovery)) => may_be_of(discovery, issuer),
                    _ => None,
                }
            }
        }
    }
}

/// The issuer of a discovery document stands in its URL (OpenID Connect Discovery 1.0 section 4.1), but for the tenants of
/// Entra.
fn may_be_of(discovery: &Url, issuer: &str) -> Option<bool> {
    let base = discovery.as_str().strip_suffix(WELL_KNOWN)?;
    let issuer = issuer.trim_end_matches('/');
    if base == issuer || is_google(base, issuer) {
        return Some(true);
    }
    let tenants = discovery.path_segments().is_some_and(|mut own| own.any(is_guid));
    let names_tenant = issuer.split('/').any(is_guid);
    if names_tenant && !tenants {
        return None;
    }
    Some(false)
}
