//! What a verified response says.

use super::name_id::NameId;

/// Held by what came out of a verification.
#[derive(Clone, Debug)]
pub(super) struct Proof;

/// The facts of a response that passed every check. Only `response::verify` makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Code outside this house cannot make one: leaving out the verification does not compile.
    pub(super) _proof: Proof,
    /// The IdP's entity ID.
    pub issuer: String,
    /// Who it is about; absent where the IdP sends attributes alone (ADFS without a NameID rule).
    pub name_id: Option<NameId>,
    /// The session at the IdP, for single logout.
    pub session_index: Option<String>,
    /// The attributes, in the order sent; one that came in several pieces is one here.
    pub attributes: Vec<Attribute>,
    /// When the person signed in at the IdP, in milliseconds.
    pub authn_instant: u64,
    /// When the session must end, in milliseconds; without skew.
    pub session_not_on_or_after: Option<u64>,
    /// How the person signed in.
    pub authn_context: Option<String>,
    /// For the replay record, together with the issuer.
    pub assertion_id: String,
    /// When a replay would be refused anyway, in milliseconds: how long the record must last.
    pub valid_until: u64,
    /// How many attributes came encrypted, which are not read.
    pub encrypted_attributes: usize,
    /// What works but should not stay so, for the log.
    pub warnings: Vec<String>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its `Name`.
    pub name: String,
    /// Its `FriendlyName`.
    pub friendly_name: Option<String>,
    /// Its values; an empty element is an empty value.
    pub values: Vec<String>,
    /// Whether there were values beside these that are XML.
    pub holds_xml: bool,
}

impl Verified {
    /// The values of an attribute by `Name`, else by `FriendlyName`, or of `NameID`.
    pub fn values(&self, claim: &str) -> Vec<&str> {
        if claim == "NameID" {
            return self.name_id.iter().map(|id| id.value.as_str()).collect();
        }
        self.named(claim).into_iter().flat_map(|a| a.values.iter().map(String::as_str)).collect()
    }

    /// Whether that attribute has values that are XML, which are none of [`Verified::values`].
    pub fn holds_xml(&self, claim: &str) -> bool {
        claim != "NameID" && self.named(claim).iter().any(|a| a.holds_xml)
    }

    fn named(&self, claim: &str) -> Vec<&Attribute> {
        let by_name = self.attributes.iter().any(|a| a.name == claim);
        let is = |a: &&Attribute| match by_name {
            true => a.name == claim,
            false => a.friendly_name.as_deref() == Some(claim),
        };
        self.attributes.iter().filter(is).collect()
    }
}
