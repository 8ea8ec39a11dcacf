//! The AuthnRequest (SAML core section 3.4, SAML profiles section 4.1.4.1).

use super::bindings::{self, Kind};
use super::name_id::format_uri;
use super::names::{POST, SAML, SAMLP};
use super::sign::Signer;
use super::{fresh_id, time, xml};
use crate::config::{Address, NameIdFormat};
use crate::fault::Fault;
use crate::host::Host;

/// What we ask for.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Where it goes.
    pub sso_url: &'a Address,
    /// Our callback in full, with its `?u=`.
    pub acs_url: &'a str,
    /// Our entity ID.
    pub entity_id: &'a str,
    /// The format of the name asked for.
    pub name_id_format: NameIdFormat,
    /// Ask the person to sign in anew.
    pub force_authn: bool,
    /// Ask for one of these ways to sign in (SAML core section 3.3.2.2.1); empty: any.
    pub authn_contexts: &'a [String],
    /// Signs it, where configured.
    pub signer: Option<Signer<'a>>,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthnRequest {
    /// What the answer must name in `InResponseTo`.
    pub id: String,
    message: String,
}

impl AuthnRequest {
    /// A new one.
    pub fn new(host: &dyn Host, settings: &Settings<'_>) -> Result<Self, Fault> {
        let id = fresh_id(host)?;
        let issued = time::instant(host.now());
        let force = if settings.force_authn { " ForceAuthn=\"true\"" } else { "" };
        // Without a policy the IdP is free: ADFS and Entra fail on formats that they have no rule for.
        let policy = match (format_uri(settings.name_id_format), settings.name_id_format) {
            (None, _) => String::new(),
            // SAML core section 3.4.1.1: AllowCreate has no meaning for transient names.
            (Some(uri), NameIdFormat::Transient) => format!("<samlp:NameIDPolicy Format=\"{uri}\"/>"),
            (Some(uri), _) => format!("<samlp:NameIDPolicy AllowCreate=\"true\" Format=\"{uri}\"/>"),
        };
        let contexts: String = settings
            .authn_contexts
            .iter()
            .map(|uri| format!("<saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef>", xml::escape(uri)))
            .collect();
        let contexts = match contexts.is_empty() {
            true => contexts,
            false => format!(
                "<samlp:RequestedAuthnContext Comparison=\"exact\">{contexts}</samlp:RequestedAuthnContext>"
            ),
        };
        let message = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{issued}\" Destination=\"{}\"{force} AssertionConsumerServiceURL=\"{}\" \
             ProtocolBinding=\"{POST}\"><saml:Issuer>{}</saml:Issuer>{policy}{contexts}</samlp:AuthnRequest>",
            xml::escape(&settings.sso_url.text),
            xml::escape(settings.acs_url),
            xml::escape(settings.entity_id),
        );
        Ok(Self { id, message })
    }

    /// The URL to send the browser to (HTTP-Redirect).
    pub fn redirect(&self, settings: &Settings<'_>, relay_state: &str) -> Result<String, Fault> {
        let to = &settings.sso_url.url;
        bindings::redirect(to, Kind::Request, &self.message, Some(relay_state), settings.signer)
    }

    /// The fields of the form to post to `sso_url` (HTTP-POST).
    pub fn post(&self, settings: &Settings<'_>, relay_state: &str) -> Result<Vec<(String, String)>, Fault> {
        bindings::form(Kind::Request, &self.message, Some(relay_state), settings.signer)
    }
}
