//! Identity providers, checked: each protocol in a file of its own.

mod client;
mod groups;
mod oauth2;
mod oidc;
mod parameters;
mod saml;

pub use client::{ClientCredentials, ClientKey};
pub use groups::{Groups, Next};
pub use oauth2::OAuth2;
pub use oidc::{Endpoints, Introspection, Oidc};
pub use parameters::Parameters;
pub use saml::{Saml, SamlKey};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};

use super::duration;
use super::env::Environment;
use super::names;
use super::problems::At;
use super::raw;

/// An identity provider of one account.
#[derive(Debug)]
pub struct Provider {
    /// Its name in URLs, logs and headers.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// The URL of its picture.
    pub icon: Option<String>,
    /// Email domains whose people come from here, lower case.
    pub email_domains: Vec<String>,
    /// No user of another email domain comes in by it.
    pub confined: bool,
    /// A hash of the protocol and of our name there: what begins with one client never goes on with another.
    pub client: String,
    /// How it speaks.
    pub protocol: Protocol,
}

impl Provider {
    /// How long an answer of it may take, in milliseconds.
    pub fn timeout(&self) -> u64 {
        match &self.protocol {
            Protocol::Oidc(oidc) => oidc.timeout,
            Protocol::OAuth2(oauth2) => oauth2.timeout,
            Protocol::Saml(saml) => saml.timeout,
        }
    }

    /// Groups that are read by URL.
    pub fn groups(&self) -> Option<&Groups> {
        match &self.protocol {
            Protocol::Oidc(oidc) => oidc.groups.as_ref(),
            Protocol::OAuth2(oauth2) => oauth2.groups.as_ref(),
            Protocol::Saml(_) => None,
        }
    }
}

/// How a provider speaks.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Protocol {
    Oidc(Box<Oidc>),
    OAuth2(Box<OAuth2>),
    Saml(Box<Saml>),
}

/// Checks one provider; `None` after a problem that leaves nothing to work with.
pub(super) fn check(at: &At<'_>, raw: &raw::IdentityProvider, env: &dyn Environment) -> Option<Provider> {
    if !names::is_id(&raw.id) {
        at.field("id").problem("expected a name of letters, digits, '-', '_' and '.'");
    }
    let email_domains = names::domains(&at.field("email_domains"), &raw.email_domains);
    let protocol = match (&raw.oidc, &raw.oauth2, &raw.saml) {
        (Some(raw), None, None) => Protocol::Oidc(Box::new(oidc::check(&at.field("oidc"), raw, env)?)),
        (None, Some(raw), None) => Protocol::OAuth2(Box::new(oauth2::check(&at.field("oauth2"), raw, env)?)),
        (None, None, Some(raw)) => Protocol::Saml(Box::new(saml::check(&at.field("saml"), raw, env))),
        _ => {
            at.problem("expected exactly one of oidc, oauth2 and saml");
            return None;
        }
    };
    let confined = raw.confined == Some(true);
    if confined && raw.email_domains.is_empty() {
        at.field("confined").problem("needs email_domains: without them no user could sign in here");
    }
    let icon = raw.icon.clone();
    if icon.as_deref().is_some_and(|icon| !is_picture(icon)) {
        at.field("icon").problem("expected a path such as /static/acme.svg or an https URL");
    }
    let title = raw.title.clone().unwrap_or_else(|| raw.id.clone());
    let client = client_of(&protocol);
    Some(Provider { id: raw.id.clone(), title, icon, email_domains, confined, client, protocol })
}

fn is_picture(url: &str) -> bool {
    (url.starts_with('/') || url.starts_with("https://")) && crate::pages::safe_url(url).is_some()
}

/// The hash, in twelve characters: it travels in every session.
fn client_of(protocol: &Protocol) -> String {
    let (kind, name) = match protocol {
        Protocol::Oidc(oidc) => ("oidc", oidc.client.client_id.as_str()),
        Protocol::OAuth2(oauth2) => ("oauth2", oauth2.client.client_id.as_str()),
        // Without an entity ID of its own it is that of the origin: then the issuer alone tells.
        Protocol::Saml(saml) => ("saml", saml.entity_id.as_deref().unwrap_or_default()),
    };
    let digest = Sha256::digest([kind.as_bytes(), &[0], name.as_bytes()].concat());
    URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default())
}

fn timeout(at: &At<'_>, value: &Option<String>) -> u64 {
    duration::field(at, "timeout", value, 5_000, (50, 60_000))
}
