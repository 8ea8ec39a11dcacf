//! The Web Browser SSO response (SAML profiles section 4.1.4): [`verify`] reads as the checklist it is.

use std::cell::OnceCell;
use std::collections::HashSet;

use roxmltree::{Document, Node};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::encryption::{self, Opener};
pub use super::expected::{Expected, MAX_AGE};
use super::limits;
use super::name_id::NameId;
use super::names::{DSIG, SAML, SAMLP, STATUS};
use super::refused::Refused;
use super::signature::Trust;
use super::verified::{Attribute, Proof, Verified};
use super::xml::{self, attribute, clip, Work};
use crate::fault::Code;

/// What a response says before anything is verified: only to choose what it is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Who it says it is from.
    pub issuer: Option<String>,
    /// The request it says it answers; anywhere in it. An empty one names none (pysaml2 writes it so).
    pub in_response_to: Option<String>,
}

/// The longest claim that is read.
const MAX_CLAIM: usize = 1024;

/// Reads the claims of a response from its text, without a tree: a stranger may send it to every deployment. A response
/// that names a request anywhere, if only in a comment, is not unsolicited.
pub fn claimed(text: &str) -> Result<Claimed, Refused> {
    let beginning = limits::beginning(text)?;
    if local(beginning.root) != "Response" {
        return Err(not_a_response(beginning.root));
    }
    let is_issuer = local(beginning.first) == "Issuer" && beginning.inside.len() <= MAX_CLAIM;
    let inside = is_issuer.then(|| beginning.inside.trim_matches(limits::WHITE));
    let issuer = inside.and_then(xml::unescape);
    Ok(Claimed { issuer, in_response_to: attribute_anywhere(text, "InResponseTo") })
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// True where a private key may be needed to read it.
pub fn is_encrypted(text: &str) -> bool {
    ["EncryptedAssertion", "EncryptedID"]
        .iter()
        .any(|name| memchr::memmem::find(text.as_bytes(), name.as_bytes()).is_some())
}

/// The first value of an attribute that is not empty, wherever its name stands in the text.
fn attribute_anywhere(text: &str, name: &str) -> Option<String> {
    memchr::memmem::find_iter(text.as_bytes(), name).find_map(|at| {
        let after = text.get(at + name.len()..)?.trim_start_matches(limits::WHITE).strip_prefix('=')?;
        let after = after.trim_start_matches(limits::WHITE);
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let value = after.get(1..)?.split(quote).next().filter(|value| !value.is_empty())?;
        Some(clip(value))
    })
}

/// A response as it was received, read once whatever it is verified against.
#[derive(Debug)]
pub struct Message<'t> {
    document: Document<'t>,
    work: Work,
    /// The assertion that was encrypted in it, once it is open.
    opened: OnceCell<Zeroizing<String>>,
}

impl<'t> Message<'t> {
    /// Reads a response with nothing in it that is not read.
    pub fn read(text: &'t str) -> Result<Self, Refused> {
        let mut work = Work::response();
        let document = xml::parse(text, &mut work)?;
        let response = root(&document)?;
        let mut allowed = signatures(response);
        allowed.push(response);
        for assertion in assertions(response) {
            allowed.push(assertion);
            allowed.extend(signatures(assertion));
        }
        xml::nothing_hidden(&document, &allowed)?;
        Ok(Self { document, work, opened: OnceCell::new() })
    }

    /// Opens the encrypted assertion, once.
    fn open(&self, opener: Opener<'_>, envelope: Node<'_, '_>) -> Result<&str, Refused> {
        if let Some(live) = self.opened.get() {
            return Ok(live);
        }
        let live = encryption::open(opener, envelope)?;
        Ok(self.opened.get_or_init(|| live))
    }
}

/// Every check of the profile, in order; what is returned comes from the verified assertion.
pub fn verify(expected: &Expected<'_>, message: &Message<'_>) -> Result<Verified, Refused> {
    let document = &message.document;
    let response = root(document)?;
    let envelope = assertions(response);

    // Who sent it, for which request, and whether it is a yes.
    let trust = Trust { host: expected.host, certificates: expected.certificates };
    let response_signer = trust.verify(response)?;
    expected.issuer_of(response, xml::at_most_one(response, SAML, "Issuer")?)?;
    status(response, expected)?;
    expected.answers(response.attribute("InResponseTo"), "Response")?;
    expected.destination(response)?;
    expected.not_from_the_future(response)?;

    // The one assertion, opened if it is encrypted.
    let [envelope] = envelope.as_slice() else {
        return Err(format!("the Response holds {} assertions, expected one", envelope.len()).into());
    };
    let inner;
    let assertion = if xml::is(*envelope, SAML, "Assertion") {
        *envelope
    } else {
        let key =
            expected.decryption_key.ok_or("the assertion is encrypted and saml.decryption is not set")?;
        let signed = response_signer.is_some();
        let live = message
            .open(Opener { host: expected.host, key, signed, recipient: expected.entity_id }, *envelope)?;
        let mut work = message.work.clone();
        inner = xml::parse(live, &mut work).map_err(|why| format!("the decrypted assertion: {why}"))?;
        decrypted(document, &inner)?
    };

    // Signed: by itself, or by the Response around it. Every signature there is has to verify.
    let assertion_signer = trust.verify(assertion)?;
    let signers: Vec<&Certificate> = response_signer.into_iter().chain(assertion_signer).collect();
    if signers.is_empty() {
        return Err("neither the Response nor the Assertion is signed: let the IdP sign at least one".into());
    }

    // The assertion: from the IdP, about a person that is here now, for us, at this time.
    if attribute(assertion, "Version")? != "2.0" {
        return Err("the Assertion is not of SAML 2.0".into());
    }
    expected.issuer_of(assertion, Some(xml::one(assertion, SAML, "Issuer")?))?;
    let issued = expected.not_from_the_future(assertion)?;
    let subject = xml::one(assertion, SAML, "Subject")?;
    let confirmed_until = expected.subject_confirmation(subject)?;
    expected.conditions(xml::one(assertion, SAML, "Conditions")?)?;
    let session = expected.authentication(assertion)?;
    if expected.in_response_to.is_none() {
        expected.recent(response)?;
        expected.recent(assertion)?;
    }

    // Who.
    let name_id = NameId::of(expected.host, expected.decryption_key, expected.entity_id, subject)?;
    let mut warnings: Vec<String> = signers.iter().filter_map(|c| c.date_warning(expected.now)).collect();
    warnings.dedup();
    let valid_until = match expected.in_response_to {
        Some(_) => confirmed_until,
        None => confirmed_until.min(issued.saturating_add(MAX_AGE)),
    };
    Ok(Verified {
        _proof: Proof,
        issuer: expected.issuer.to_owned(),
        name_id,
        session_index: session.index,
        attributes: attributes(assertion)?,
        encrypted_attributes: encrypted_attributes(assertion),
        authn_instant: session.instant,
        session_not_on_or_after: session.not_on_or_after,
        authn_context: session.context,
        assertion_id: attribute(assertion, "ID")?.to_owned(),
        valid_until: valid_until.saturating_add(expected.clock_skew),
        warnings,
    })
}

/// The root: `samlp:Response` of SAML 2.0 with an identifier.
fn root<'a, 'i>(document: &'a Document<'i>) -> Result<Node<'a, 'i>, Refused> {
    let root = document.root_element();
    if !xml::is(root, SAMLP, "Response") {
        return Err(not_a_response(root.tag_name().name()));
    }
    if attribute(root, "Version")? != "2.0" {
        return Err("the Response is not of SAML 2.0".into());
    }
    attribute(root, "ID")?;
    Ok(root)
}

fn not_a_response(name: &str) -> Refused {
    format!("the message is a {}, expected a samlp:Response", clip(name)).into()
}

/// The assertions of a response, one more than it may hold at the most.
fn assertions<'a, 'i>(response: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    response.children().filter(|n| encryption::is_assertion(*n)).take(3).collect()
}

fn signatures<'a, 'i: 'a>(node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    xml::children(node, DSIG, "Signature").take(2).collect()
}

/// The assertion in what `encryption::open` returned: it alone, with no identifier that the Response has too.
fn decrypted<'a, 'i>(outer: &Document<'_>, inner: &'a Document<'i>) -> Result<Node<'a, 'i>, Refused> {
    let mut children =
        inner.root_element().children().filter(|n| !n.is_text() || !n.text().unwrap_or("").trim().is_empty());
    let (Some(assertion), None) = (children.next(), children.next()) else {
        return Err("the decrypted content is not one assertion".into());
    };
    if !xml::is(assertion, SAML, "Assertion") {
        return Err("the decrypted content is not an assertion".into());
    }
    let mut allowed = signatures(assertion);
    allowed.push(assertion);
    xml::nothing_hidden(inner, &allowed)?;
    let mut seen = HashSet::new();
    xml::unique_ids(outer, &mut seen)?;
    xml::unique_ids(inner, &mut seen)?;
    Ok(assertion)
}

/// SAML core section 3.2.2: the status, before anything else is asked of an answer that is a no.
fn status(response: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), Refused> {
    let Err(no) = said(response) else { return Ok(()) };
    if response.attribute("InResponseTo").is_some() {
        expected.answers(response.attribute("InResponseTo"), "Response")?;
    }
    Err(no)
}

/// The IdP's refusal in a response that was not verified, if its status is not a success.
pub fn claimed_refusal(text: &str) -> Result<(), Refused> {
    // Any stranger may send one: a success is told from the text alone, a refusal has a few hundred bytes.
    let code = memchr::memmem::find(text.as_bytes(), b"StatusCode").and_then(|at| text.get(at..));
    let value = code.and_then(|code| attribute_anywhere(code, "Value"));
    if value.as_deref().and_then(|value| value.strip_prefix(STATUS)) == Some("Success") {
        return Ok(());
    }
    said(root(&xml::parse(text, &mut Work::logout())?)?)
}

/// The status of a response; a refusal names it.
fn said(response: Node<'_, '_>) -> Result<(), Refused> {
    let status = xml::one(response, SAMLP, "Status")?;
    let mut codes = Vec::new();
    let mut node = xml::one(status, SAMLP, "StatusCode")?;
    loop {
        codes.push(attribute(node, "Value")?);
        match xml::at_most_one(node, SAMLP, "StatusCode")? {
            Some(inner) if codes.len() < 5 => node = inner,
            Some(_) => return Err("the status nests too deep".into()),
            None => break,
        }
    }
    let is = |name: &str| codes.iter().any(|code| code.strip_prefix(STATUS) == Some(name));
    if codes.first().and_then(|code| code.strip_prefix(STATUS)) == Some("Success") {
        return Ok(());
    }
    let message =
        xml::at_most_one(status, SAMLP, "StatusMessage")?.map(xml::text).transpose()?.unwrap_or_default();
    let codes: Vec<String> =
        codes.iter().map(|code| clip(code.strip_prefix(STATUS).unwrap_or(code))).collect();
    let why = format!("the IdP answers {}: {:?}", codes.join(" / "), clip(message));
    let denied = is("AuthnFailed") || is("RequestDenied");
    Err(Refused::with(if denied { Code::IdpDenied } else { Code::AssertionInvalid }, why))
}

/// SAML core section 2.7.3.2: attributes whose name and values are hidden.
fn encrypted_attributes(assertion: Node<'_, '_>) -> usize {
    let statements = xml::children(assertion, SAML, "AttributeStatement");
    statements.map(|statement| xml::children(statement, SAML, "EncryptedAttribute").count()).sum()
}

/// SAML core section 2.7.3: the attributes of all statements, whatever their order and place (Google puts them before
/// the AuthnStatement), those of one name together (Keycloak sends one element a role). A value that is XML and nothing
/// else is left out and noted: Shibboleth's `eduPersonTargetedID` holds a NameID, and is released beside what the person
/// is found by. Text beside an element or a comment is a refusal: what is its value would be a matter of opinion.
fn attributes(assertion: Node<'_, '_>) -> Result<Vec<Attribute>, Refused> {
    let mut found: Vec<Attribute> = Vec::new();
    let mut count = 0;
    for statement in xml::children(assertion, SAML, "AttributeStatement") {
        for node in xml::children(statement, SAML, "Attribute") {
            let name = attribute(node, "Name")?;
            let (inner, texts): (Vec<_>, Vec<_>) =
                xml::children(node, SAML, "AttributeValue").partition(|value| xml::is_xml(*value));
            let values: Vec<String> = texts
                .into_iter()
                .map(|value| xml::value(value).map(str::to_owned))
                .collect::<Result<_, _>>()
                .map_err(|why| format!("attribute {:?}: {why}", clip(name)))?;
            let holds_xml = !inner.is_empty();
            count += values.len() + inner.len() + 1;
            if count > 5_000 {
                return Err("the assertion has more than 5000 attribute values".into());
            }
            match found.iter_mut().find(|a| a.name == name) {
                Some(earlier) => {
                    earlier.values.extend(values);
                    earlier.holds_xml |= holds_xml;
                }
                None => found.push(Attribute {
                    name: name.into(),
                    friendly_name: node.attribute("FriendlyName").map(str::to_owned),
                    values,
                    holds_xml,
                }),
            }
        }
    }
    Ok(found)
}
