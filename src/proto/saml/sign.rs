//! Our own enveloped signatures, for messages sent by POST: RSA-SHA256 over exclusive canonical form.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::certificate::Certificate;
use super::names::{DIGEST_SHA256, DSIG, ENVELOPED, EXC_C14N, RSA_SHA256, SAML};
use super::private_key::PrivateKey;
use super::{algorithm, c14n, xml};
use crate::fault::{Code, Fault};
use crate::host::{Hash, Host};

/// What signs our messages.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// For the proxy's own signing.
    pub host: &'a dyn Host,
    /// The key.
    pub key: &'a PrivateKey,
    /// Shown in `KeyInfo`, if there is one.
    pub certificate: Option<&'a Certificate>,
}

impl Signer<'_> {
    /// The message with a signature behind its `Issuer` (where the schema of SAML core section 3.2 wants it).
    pub fn envelop(&self, message: &str) -> Result<String, Fault> {
        let broken =
            |why: String| Fault::new(Code::NotReady, format!("our own SAML message cannot be signed: {why}"));
        let document = xml::parse(message, &mut xml::Work::response()).map_err(broken)?;
        let root = document.root_element();
        let id = xml::attribute(root, "ID").map_err(broken)?;
        let issuer = xml::one(root, SAML, "Issuer").map_err(broken)?;
        let content = c14n::canonical(root, None, &[]).map_err(broken)?;
        let digest = STANDARD.encode(algorithm::hash(Hash::Sha256, &content));

        // Written in canonical form, so that it can be signed as it stands.
        let inside = format!(
            "<ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
             <ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{DIGEST_SHA256}\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let canonical = format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">{inside}");
        let value = STANDARD.encode(self.key.sign(self.host, canonical.as_bytes())?);
        let key_info = self.certificate.map_or(String::new(), |certificate| {
            let der = STANDARD.encode(&certificate.der);
            format!("<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>")
        });
        let (before, after) = message
            .split_at_checked(issuer.range().end)
            .ok_or_else(|| broken("its Issuer is not where it was read".into()))?;
        Ok(format!(
            "{before}<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>{inside}\
             <ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>{after}"
        ))
    }
}
