//! XML Signature for the SAML profile (SAML core section 5.4) and nothing beyond it.
//!
//! A signature is a direct child of what it signs. It has one `SignedInfo` with one `Reference`, to its parent's
//! own `ID`, through exactly the enveloped-signature transform and exclusive canonicalisation. So there is no
//! choosing of what is signed: the verified node is the parent, in the tree that was read, and a signature that is
//! valid somewhere else says nothing here (XML signature wrapping, XSW 1 to 9). Keys come from the configuration;
//! `KeyInfo` is read only to tell the operator whose certificate it shows.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use roxmltree::Node;

use super::algorithm::{self, Signing};
use super::c14n;
use super::certificate::{fingerprint, Certificate};
use super::names::{DSIG, ENVELOPED, EXC_C14N};
use super::xml;
use crate::crypto::MAX_CERTIFICATES;
use crate::host::Host;

/// At the end of the URI of exclusive canonicalisation.
const WITH_COMMENTS: &str = "WithComments";

/// Whose signatures count.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    /// For the proxy's own verification.
    pub host: &'a dyn Host,
    /// The IdP's certificates, one or several while they roll over.
    pub certificates: &'a [Certificate],
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Another shape, algorithm or digest than is accepted.
    Refused(String),
    /// Well made, by none of the keys: the IdP may have a new certificate.
    UnknownKey(String),
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

impl From<&str> for Problem {
    fn from(why: &str) -> Self {
        Self::Refused(why.into())
    }
}

impl Trust<'_> {
    /// The certificate whose key signed these bytes.
    pub fn signer(&self, by: Signing, signature: &[u8], message: &[u8]) -> Option<&Certificate> {
        let mut tried = self.certificates.iter().take(MAX_CERTIFICATES);
        tried.find(|c| by.verifies(self.host, c, signature, message))
    }

    /// The names of the certificates, for the operator.
    pub fn names(&self) -> String {
        self.certificates.iter().map(Certificate::name).collect::<Vec<_>>().join(", ")
    }

    /// Verifies the signature of this element, which must be a root or a direct child as its message prescribes.
    /// `None`: it has none. `Some`: the element's whole subtree is as the holder of this certificate signed it.
    pub fn verify(&self, signed: Node<'_, '_>) -> Result<Option<&Certificate>, Problem> {
        let name = signed.tag_name().name();
        let Some(signature) = xml::at_most_one(signed, DSIG, "Signature")? else { return Ok(None) };
        let shape =
            Shape::read(signature, signed).map_err(|why| format!("the signature of {name}: {why}"))?;

        // The signature first: only what a known key signed is worth canonicalising.
        let message = c14n::canonical(shape.signed_info, None, &shape.signed_info_prefixes)?;
        let Some(signer) = self.signer(shape.algorithm, &shape.value, &message) else {
            return Err(Problem::UnknownKey(format!(
                "the signature of {name} is not by a certificate in use here: {}; configured: {}",
                shown(shape.key_info),
                self.names()
            )));
        };
        let content = c14n::canonical(signed, Some(signature.id()), &shape.prefixes)?;
        if algorithm::hash(shape.digest, &content) != shape.digest_value {
            return Err(format!("the digest of {name} differs: it was changed after it was signed").into());
        }
        Ok(Some(signer))
    }
}

/// A signature taken apart.
struct Shape<'a, 'i> {
    signed_info: Node<'a, 'i>,
    signed_info_prefixes: Vec<&'a str>,
    algorithm: Signing,
    prefixes: Vec<&'a str>,
    digest: crate::host::Hash,
    digest_value: Vec<u8>,
    value: Vec<u8>,
    key_info: Option<Node<'a, 'i>>,
}

impl<'a, 'i: 'a> Shape<'a, 'i> {
    fn read(signature: Node<'a, 'i>, signed: Node<'a, 'i>) -> Result<Self, String> {
        let (signed_info, value, key_info) = match elements(signature).len() {
            3 => {
                let [info, value, key] = exactly(signature, ["SignedInfo", "SignatureValue", "KeyInfo"])?;
                (info, value, Some(key))
            }
            _ => {
                let [info, value] = exactly(signature, ["SignedInfo", "SignatureValue"])?;
                (info, value, None)
            }
        };
        let [canonicalization, method, reference] =
            exactly(signed_info, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
        let [transforms, digest, digest_value] =
            exactly(reference, ["Transforms", "DigestMethod", "DigestValue"])?;
        let [enveloped, exclusive] = exactly(transforms, ["Transform", "Transform"])?;

        // The one thing it may sign is its parent.
        let id = xml::attribute(signed, "ID")?;
        if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
            let uri = xml::clip(reference.attribute("URI").unwrap_or_default());
            return Err(format!("it refers to {uri:?}, not to the element that it stands in"));
        }
        if enveloped.attribute("Algorithm") != Some(ENVELOPED) || !elements(enveloped).is_empty() {
            return Err("its first transform must be enveloped-signature".into());
        }
        // Comments in what is signed are never written, whatever the transform: a reference to `#id` selects none (XML
        // Signature section 4.4.3.3). `SignedInfo` itself is canonicalised as it stands.
        let with_comments =
            canonicalization.attribute("Algorithm").is_some_and(|uri| uri.ends_with(WITH_COMMENTS));
        if with_comments && signed_info.descendants().any(|node| node.is_comment()) {
            return Err("its SignedInfo holds a comment".into());
        }
        // A parameter such as HMACOutputLength has shortened signatures to one bit (CVE-2009-0217).
        let bare = |node: Node<'a, 'i>| -> Result<&'a str, String> {
            match elements(node).is_empty() {
                true => xml::attribute(node, "Algorithm"),
                false => Err(format!("{} has parameters", node.tag_name().name())),
            }
        };
        Ok(Self {
            signed_info,
            signed_info_prefixes: exclusive_c14n(canonicalization)?,
            algorithm: Signing::from_uri(bare(method)?)?,
            prefixes: exclusive_c14n(exclusive)?,
            digest: algorithm::digest(bare(digest)?)?,
            digest_value: base64(digest_value)?,
            value: base64(value)?,
            key_info,
        })
    }
}

/// A canonicalisation that must be exclusive; its `PrefixList`. That with comments (SAML core section 5.4.3, FusionAuth's
/// default) is the same where there are none to write: [`Shape::read`] sees to that.
fn exclusive_c14n<'a, 'i: 'a>(node: Node<'a, 'i>) -> Result<Vec<&'a str>, String> {
    let algorithm = xml::attribute(node, "Algorithm")?;
    if !matches!(algorithm.strip_prefix(EXC_C14N), Some("" | WITH_COMMENTS)) {
        let algorithm = xml::clip(algorithm);
        return Err(format!(
            "{algorithm:?} is not exclusive canonicalisation: set the IdP's canonicalization method to {EXC_C14N}"
        ));
    }
    let inside = elements(node);
    let list = match inside.as_slice() {
        [] => return Ok(Vec::new()),
        [one] if xml::is(*one, EXC_C14N, "InclusiveNamespaces") && elements(*one).is_empty() => *one,
        _ => return Err("a canonicalisation with unknown parameters".into()),
    };
    let prefixes: Vec<&str> =
        list.attribute("PrefixList").unwrap_or_default().split_ascii_whitespace().collect();
    if prefixes.len() > 64 {
        return Err("a PrefixList of more than 64 prefixes".into());
    }
    Ok(prefixes.into_iter().map(|p| if p == "#default" { "" } else { p }).collect())
}

/// The child elements; no reader here wants more than four.
fn elements<'a, 'i: 'a>(node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    node.children().filter(Node::is_element).take(5).collect()
}

/// The child elements, which must be exactly these of XML Signature, in this order.
fn exactly<'a, 'i: 'a, const N: usize>(
    node: Node<'a, 'i>,
    names: [&str; N],
) -> Result<[Node<'a, 'i>; N], String> {
    let found = elements(node);
    let right = found.len() == N && found.iter().zip(names).all(|(child, name)| xml::is(*child, DSIG, name));
    match <[Node<'a, 'i>; N]>::try_from(found) {
        Ok(found) if right => Ok(found),
        _ => Err(format!("{} must hold exactly {}", node.tag_name().name(), names.join(", "))),
    }
}

/// Base64 with white space in it, as signatures wrap it.
pub(super) fn base64(node: Node<'_, '_>) -> Result<Vec<u8>, String> {
    let compact: String = xml::text(node)?.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| format!("{} is not base64", node.tag_name().name()))
}

/// A longer text is not looked at: a certificate with an RSA key of 4096 bits has 2 KB.
const MAX_SHOWN: usize = 16 << 10;

/// Whose certificate the message shows, for the operator alone: by its fingerprint, never parsed, since an attacker can
/// write one that takes seconds to read.
fn shown(key_info: Option<Node<'_, '_>>) -> String {
    let text = key_info
        .and_then(|node| xml::children(node, DSIG, "X509Data").next())
        .and_then(|node| xml::children(node, DSIG, "X509Certificate").next())
        .and_then(|node| xml::text(node).ok());
    let Some(text) = text else { return "it shows no certificate".into() };
    let compact = || -> String { text.split_ascii_whitespace().collect() };
    match Some(text).filter(|text| text.len() <= MAX_SHOWN).and_then(|_| STANDARD.decode(compact()).ok()) {
        Some(der) => format!("it shows the certificate with the SHA-256 {}", fingerprint(&der)),
        None => "it shows a certificate that cannot be read".into(),
    }
}
