//! Metadata (SAML metadata section 2): ours, for the IdP's operator; theirs, read where it is configured.

use std::borrow::Cow;

use super::certificate::Certificate;
pub use super::limits::MAX_METADATA;
use super::name_id::format_uri;
use super::names::{DSIG, MD, POST, REDIRECT, SAMLP, XENC, XENC11};
use super::{time, xml};
use crate::config::{Address, Bounds, NameIdFormat};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use roxmltree::Node;
use url::Url;

/// What we publish.
#[derive(Clone, Copy)]
pub struct Ours<'a> {
    /// Our entity ID.
    pub entity_id: &'a str,
    /// Our callback in full, with its `?u=`.
    pub acs_url: &'a str,
    /// Our single logout endpoint, where it is in use.
    pub slo_url: Option<&'a str>,
    /// Shown for the key that signs our requests; present exactly if they are signed.
    pub signing: Option<&'a Certificate>,
    /// Whether requests are signed.
    pub signs_requests: bool,
    /// Shown for the key that opens assertions.
    pub encryption: Option<&'a Certificate>,
    /// The format that is asked for.
    pub name_id_format: NameIdFormat,
}

impl Ours<'_> {
    /// The `EntityDescriptor`.
    pub fn document(&self) -> String {
        let mut roles = String::new();
        if let Some(certificate) = self.signing {
            roles.push_str(&key_descriptor("signing", certificate, ""));
        }
        if let Some(certificate) = self.encryption {
            // In the order of preference: authenticated encryption first.
            let methods = ["aes256-gcm", "aes128-gcm"]
                .map(|name| format!("<md:EncryptionMethod Algorithm=\"{XENC11}{name}\"/>"))
                .concat();
            let transport = format!("<md:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\"/>");
            roles.push_str(&key_descriptor("encryption", certificate, &(methods + &transport)));
        }
        if let Some(url) = self.slo_url {
            for binding in [REDIRECT, POST] {
                let url = xml::escape(url);
                roles
                    .push_str(&format!("<md:SingleLogoutService Binding=\"{binding}\" Location=\"{url}\"/>"));
            }
        }
        if let Some(format) = format_uri(self.name_id_format) {
            roles.push_str(&format!("<md:NameIDFormat>{format}</md:NameIDFormat>"));
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntityDescriptor xmlns:md=\"{MD}\" cacheDuration=\"P1D\" entityID=\"{}\">\
             <md:SPSSODescriptor AuthnRequestsSigned=\"{}\" WantAssertionsSigned=\"true\" \
             protocolSupportEnumeration=\"{SAMLP}\">{roles}<md:AssertionConsumerService Binding=\"{POST}\" \
             Location=\"{}\" index=\"0\" isDefault=\"true\"/></md:SPSSODescriptor></md:EntityDescriptor>\n",
            xml::escape(self.entity_id),
            self.signs_requests,
            xml::escape(self.acs_url),
        )
    }
}

fn key_descriptor(purpose: &str, certificate: &Certificate, methods: &str) -> String {
    let der = STANDARD.encode(&certificate.der);
    format!(
        "<md:KeyDescriptor use=\"{purpose}\"><ds:KeyInfo xmlns:ds=\"{DSIG}\"><ds:X509Data><ds:X509Certificate>{der}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>"
    )
}

/// The text of metadata: UTF-8, or Latin-1 (ISO-8859-1) where its declaration says so, without that declaration.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let head = bytes.get(..bytes.len().min(100)).unwrap_or_default().to_ascii_lowercase();
    let declares = head.starts_with(b"<?xml") && memchr::memmem::find(&head, b"iso-8859-1").is_some();
    let end = declares.then(|| memchr::memmem::find(&head, b"?>")).flatten();
    match end.and_then(|at| bytes.get(at + 2..)) {
        Some(rest) => Ok(rest.iter().map(|byte| char::from(*byte)).collect()),
        None => {
            let text = std::str::from_utf8(bytes).map_err(|_| "the metadata is not UTF-8")?;
            Ok(Cow::Borrowed(text))
        }
    }
}

/// What their metadata says.
#[derive(Clone, Debug, Default)]
pub struct Theirs {
    /// Their entity ID.
    pub entity_id: String,
    /// Where an AuthnRequest goes by HTTP-Redirect.
    pub sso_redirect: Option<Address>,
    /// Where an AuthnRequest goes by HTTP-POST.
    pub sso_post: Option<Address>,
    /// Single logout by HTTP-Redirect.
    pub slo_redirect: Option<Logout>,
    /// Single logout by HTTP-POST.
    pub slo_post: Option<Logout>,
    /// Their signing certificates.
    pub certificates: Vec<Certificate>,
    /// Whether they want our requests signed.
    pub wants_signed_requests: bool,
    /// When it must not be used any more, in milliseconds.
    pub valid_until: Option<u64>,
    /// What was left out, for the log.
    pub warnings: Vec<String>,
}

/// A single logout endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// Where requests go.
    pub requests: Address,
    /// Where responses go.
    pub responses: Address,
}

impl Theirs {
    /// Reads an `EntityDescriptor`, or the one in an `EntitiesDescriptor` that is called `entity_id` or is alone in
    /// being an IdP. Roles of other protocols (the WS-Federation ones of ADFS and Entra) are left out. Its own
    /// signature is not used: it comes from the configured URL.
    pub fn read(text: &str, entity_id: Option<&str>, now: u64) -> Result<Self, String> {
        let document = xml::parse(text, &mut xml::Work::metadata())?;
        let mut entities = Vec::new();
        collect(document.root_element(), &mut entities);
        if entities.is_empty() {
            let root = xml::clip(document.root_element().tag_name().name());
            return Err(format!("not SAML metadata: its root is {root}, expected EntityDescriptor"));
        }
        let (entity, role, expiries) = match entity_id {
            Some(wanted) => {
                let names: Vec<String> = entities
                    .iter()
                    .filter_map(|(e, _)| e.attribute("entityID"))
                    .take(5)
                    .map(xml::clip)
                    .collect();
                let found = entities.into_iter().find(|(e, _)| e.attribute("entityID") == Some(wanted));
                let (entity, expiries) =
                    found.ok_or_else(|| format!("no entity {wanted:?} in the metadata, it has {names:?}"))?;
                let role = idp_role(entity)
                    .ok_or_else(|| format!("{wanted:?} has no IDPSSODescriptor of SAML 2.0"))?;
                (entity, role, expiries)
            }
            None => {
                let mut idps = entities
                    .into_iter()
                    .filter_map(|(entity, expiries)| Some((entity, idp_role(entity)?, expiries)));
                match (idps.next(), idps.next()) {
                    (Some(one), None) => one,
                    (None, _) => return Err("the metadata has no IDPSSODescriptor of SAML 2.0".into()),
                    _ => return Err("the metadata has several identity providers: set saml.issuer".into()),
                }
            }
        };
        let mut theirs =
            Self { entity_id: xml::attribute(entity, "entityID")?.to_owned(), ..Self::default() };
        theirs.wants_signed_requests =
            matches!(role.attribute("WantAuthnRequestsSigned"), Some("true" | "1"));
        for until in expiries.into_iter().chain(role.attribute("validUntil")) {
            let until = time::parse(until)
                .ok_or_else(|| format!("validUntil {:?} is not a time", xml::clip(until)))?;
            if now >= until {
                return Err(format!("the metadata expired on {} (validUntil)", time::instant(until)));
            }
            theirs.valid_until = Some(theirs.valid_until.map_or(until, |earlier| earlier.min(until)));
        }
        theirs.keys(role)?;
        theirs.endpoints(role);
        if theirs.sso_redirect.is_none() && theirs.sso_post.is_none() {
            return Err("the metadata has no SingleSignOnService by HTTP-Redirect or HTTP-POST".into());
        }
        Ok(theirs)
    }

    /// The metadata, if it names nothing that its administrator could not name.
    pub fn within(self, bounds: Option<&Bounds>) -> Result<Self, String> {
        let outside = self.urls().into_iter().find_map(|url| bounds?.refuses(url));
        match outside {
            Some(why) => Err(format!("the metadata leads elsewhere: {why}")),
            None => Ok(self),
        }
    }

    /// Everything that a browser is sent to.
    fn urls(&self) -> Vec<&Url> {
        let logout = [&self.slo_redirect, &self.slo_post].into_iter().flatten();
        let logout = logout.flat_map(|logout| [&logout.requests, &logout.responses]);
        self.sso_redirect.iter().chain(&self.sso_post).chain(logout).map(|address| &address.url).collect()
    }

    fn keys(&mut self, role: Node<'_, '_>) -> Result<(), String> {
        for descriptor in xml::children(role, MD, "KeyDescriptor") {
            // SAML metadata section 2.4.1.1: without a use it is for both.
            if !matches!(descriptor.attribute("use"), None | Some("signing")) {
                continue;
            }
            let mut own: Vec<Certificate> = Vec::new();
            for data in xml::children(descriptor, DSIG, "KeyInfo")
                .flat_map(|info| xml::children(info, DSIG, "X509Data"))
            {
                for node in xml::children(data, DSIG, "X509Certificate") {
                    match xml::text(node).and_then(Certificate::parse) {
                        Ok(new) => own.push(new),
                        Err(why) => self.warnings.push(format!("a signing certificate is left out: {why}")),
                    }
                }
            }
            // XML Signature section 4.5.4: they belong to one key. An authority beside the certificate that it issued shows
            // the chain; its own key signs no messages.
            for new in &own {
                if own.iter().any(|other| new.issued(other)) {
                    self.warnings
                        .push(format!("the authority {} of a signing certificate is left out", new.name()));
                } else if self.certificates.iter().all(|known| known.der != new.der) {
                    self.certificates.push(new.clone());
                }
            }
        }
        match self.certificates.len() {
            0 => Err(format!("the metadata has no usable signing certificate {:?}", self.warnings)),
            1..=10 => Ok(()),
            _ => Err("the metadata has more than ten signing certificates".into()),
        }
    }

    fn endpoints(&mut self, role: Node<'_, '_>) {
        for node in role.children().filter(Node::is_element) {
            let address = |name: &str| Address::read(node.attribute(name)?);
            let Some(requests) = address("Location") else { continue };
            let binding = node.attribute("Binding");
            if xml::is(node, MD, "SingleSignOnService") {
                match binding {
                    Some(REDIRECT) => drop(self.sso_redirect.get_or_insert(requests)),
                    Some(POST) => drop(self.sso_post.get_or_insert(requests)),
                    _ => {}
                }
            } else if xml::is(node, MD, "SingleLogoutService") {
                let responses = address("ResponseLocation").unwrap_or_else(|| requests.clone());
                match binding {
                    Some(REDIRECT) => drop(self.slo_redirect.get_or_insert(Logout { requests, responses })),
                    Some(POST) => drop(self.slo_post.get_or_insert(Logout { requests, responses })),
                    _ => {}
                }
            }
        }
    }
}

/// An entity, and every `validUntil` from it up to the root.
type Entity<'a, 'i> = (Node<'a, 'i>, Vec<&'a str>);

fn collect<'a, 'i: 'a>(node: Node<'a, 'i>, into: &mut Vec<Entity<'a, 'i>>) {
    if xml::is(node, MD, "EntityDescriptor") {
        into.push((node, node.ancestors().filter_map(|n| n.attribute("validUntil")).collect()));
    } else if xml::is(node, MD, "EntitiesDescriptor") {
        for child in node.children() {
            collect(child, into);
        }
    }
}

fn idp_role<'a, 'i: 'a>(entity: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    entity.children().find(|node| {
        let protocols = node.attribute("protocolSupportEnumeration").unwrap_or_default();
        xml::is(*node, MD, "IDPSSODescriptor") && protocols.split_ascii_whitespace().any(|p| p == SAMLP)
    })
}
