//! How an identity becomes a user.

use std::collections::BTreeMap;

use crate::config::problems::At;
use crate::config::raw::{self, Attribute, EmailVerified, Link, MappingFrom};

/// Identity to user.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Where the claim is read.
    pub from: MappingFrom,
    /// A claim name or JSON Pointer.
    pub claim: String,
    /// The directory field.
    pub attribute: Attribute,
    /// Digits.
    pub default_country_code: Option<String>,
    /// When an email counts.
    pub email_verified: EmailVerified,
    /// The claims that hold groups or roles.
    pub roles_claim: Vec<String>,
    /// Group to role.
    pub role_map: BTreeMap<String, String>,
    /// Whether a record that is linked to one provider of the account opens for another.
    pub link: Link,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Mapping>) -> Mapping {
    let default = raw::Mapping::default();
    let raw = raw.unwrap_or(&default);
    let claim = raw.claim.clone().unwrap_or_else(|| "email".into());
    if claim.is_empty() {
        at.field("claim").problem("expected a claim, an attribute, NameID or a JSON Pointer");
    }
    let code = raw.default_country_code.as_deref().map(|code| code.trim_start_matches('+').to_owned());
    if let Some(code) = &code {
        if code.is_empty()
            || code.len() > 3
            || !code.bytes().all(|b| b.is_ascii_digit())
            || code.starts_with('0')
        {
            at.field("default_country_code").problem("expected one to three digits, such as \"86\"");
        }
    }
    let roles_claim = raw.roles_claim.clone().unwrap_or_default().0;
    if roles_claim.iter().any(String::is_empty) {
        at.field("roles_claim").problem("expected a claim, an attribute or a JSON Pointer");
    }
    Mapping {
        from: raw.from.unwrap_or_default(),
        claim,
        attribute: raw.attribute.unwrap_or_default(),
        default_country_code: code,
        email_verified: raw.email_verified.unwrap_or_default(),
        roles_claim,
        role_map: raw.role_map.clone(),
        link: raw.link.unwrap_or_default(),
    }
}
