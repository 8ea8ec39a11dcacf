//! `NameID` (SAML core section 2.2.3), plain or encrypted.

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::encryption::{self, Opener};
use super::names::SAML;
use super::private_key::PrivateKey;
use super::refused::Refused;
use super::xml;
use crate::config::NameIdFormat;
use crate::host::Host;

/// Who the assertion is about, as the IdP names them. All four parts say which session a logout means.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NameId {
    /// The name.
    #[serde(rename = "v")]
    pub value: String,
    /// The URI of its format.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// `NameQualifier`.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub name_qualifier: Option<String>,
    /// `SPNameQualifier`.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sp_name_qualifier: Option<String>,
}

impl NameId {
    /// The one in an element that a verified signature covers; `EncryptedID` (SAML core section 2.2.4) is opened with
    /// our key.
    pub(super) fn of(
        host: &dyn Host,
        decryption_key: Option<&PrivateKey>,
        recipient: &str,
        parent: Node<'_, '_>,
    ) -> Result<Option<Self>, Refused> {
        let plain = xml::at_most_one(parent, SAML, "NameID")?;
        let Some(encrypted) = xml::at_most_one(parent, SAML, "EncryptedID")? else {
            return Ok(plain.map(Self::read).transpose()?);
        };
        if plain.is_some() {
            return Err("there are both a NameID and an EncryptedID".into());
        }
        let key = decryption_key.ok_or("the NameID is encrypted and saml.decryption is not set")?;
        let live = encryption::open(Opener { host, key, signed: true, recipient }, encrypted)?;
        let inner =
            xml::parse(&live, &mut xml::Work::logout()).map_err(|_| "the decrypted NameID is not XML")?;
        Ok(Some(Self::read(xml::one(inner.root_element(), SAML, "NameID")?)?))
    }

    fn read(node: Node<'_, '_>) -> Result<Self, String> {
        let value = xml::value(node)?;
        if value.trim().is_empty() || value.len() > 1024 {
            return Err("NameID is empty or longer than 1024 bytes".into());
        }
        let attribute = |name: &str| node.attribute(name).filter(|v| !v.is_empty()).map(str::to_owned);
        Ok(Self {
            value: value.into(),
            format: attribute("Format"),
            name_qualifier: attribute("NameQualifier"),
            sp_name_qualifier: attribute("SPNameQualifier"),
        })
    }

    /// True where the name lasts: a transient one is another at every sign-in (SAML core section 8.3.8).
    pub fn lasts(&self) -> bool {
        self.format.as_deref() != format_uri(NameIdFormat::Transient)
    }

    pub(super) fn write(&self) -> String {
        let mut attributes = String::new();
        for (name, value) in [
            ("NameQualifier", &self.name_qualifier),
            ("SPNameQualifier", &self.sp_name_qualifier),
            ("Format", &self.format),
        ] {
            if let Some(value) = value {
                attributes.push_str(&format!(" {name}=\"{}\"", xml::escape(value)));
            }
        }
        format!("<saml:NameID xmlns:saml=\"{SAML}\"{attributes}>{}</saml:NameID>", xml::escape(&self.value))
    }
}

/// The URI of a format; `None`: the IdP may choose.
pub fn format_uri(format: NameIdFormat) -> Option<&'static str> {
    match format {
        NameIdFormat::Email => Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
        NameIdFormat::Persistent => Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
        NameIdFormat::Transient => Some("urn:oasis:names:tc:SAML:2.0:nameid-format:transient"),
        NameIdFormat::Unspecified => None,
    }
}
