//! What an identity provider said about a person, and the one value that leads to a user.
//!
//! - [`Identity`]: issuer, subject, claims. Only a verifier in `proto` makes one.
//! - [`mapping`]: from claims to the value that the directory is asked for (`claim`, `email_verified`, `confined`).
//! - [`roles`]: from `roles_claim` to roles, by `role_map` alone.
//!
//! Invariants: a group that `role_map` does not name grants nothing. A text is one group and is never split. How values
//! compare: `values::email`, `values::phone`.

pub mod issuers;
pub mod mapping;
pub mod roles;

use serde::Deserialize;
use serde_json::{json, Value};

use crate::config::{Mapping, MappingFrom};
use crate::proto::saml::name_id::NameId;

pub use issuers::Issuers;
pub use mapping::{mapped_value, usable_email, Mapped};

/// Claims, UserInfo members or SAML attributes by name.
pub type Claims = serde_json::Map<String, Value>;

/// What issuer and subject have to do with the link that a directory keeps in `externalId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// They are those of a login: written where there is no link, and compared with one.
    Written,
    /// They are the same as a login's would be: compared, and never written.
    Compared,
    /// The provider has no lasting name for the person, and the subject is the mapped value: written, since it tells that
    /// the user has signed in, and never looked up, since the value may be another user's by now.
    Derived,
    /// The provider names the person otherwise here than at a login.
    Unknown,
}

/// A verified person. Only a verifier makes one: leaving out the verification does not compile.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What `mapped` was read from. SAML attributes are lists of strings; a list in a token is of the
    /// wrong type.
    pub source: MappingFrom,
    /// The id of the provider in the configuration.
    pub provider: String,
    /// `iss`, or the SAML issuer.
    pub issuer: String,
    /// `sub`, or the SAML NameID; where the IdP sends none that lasts, the mapped value.
    pub subject: String,
    /// Everything known: for headers and roles.
    pub claims: Claims,
    /// The one source that the mapping and `email_verified` are read from: mixing sources would let a
    /// value from one be vouched for by another.
    pub mapped: Claims,
    /// When the person authenticated, in seconds since 1970.
    pub auth_time: Option<u64>,
    /// How.
    pub acr: Option<String>,
    /// By which methods (`amr`, RFC 8176).
    pub amr: Vec<String>,
    /// The session at the provider.
    pub sid: Option<String>,
    /// SAML `SessionNotOnOrAfter`, in milliseconds since 1970.
    pub not_after: Option<u64>,
    /// The SAML NameID as it came, for single logout.
    pub name_id: Option<NameId>,
    /// How many attributes came encrypted one by one, which are not read: for the log.
    pub encrypted_attributes: usize,
    /// What `issuer` and `subject` have to do with the directory's link.
    pub linking: Linking,
    #[allow(dead_code)] // its type is what matters
    proof: Proof,
}

/// Cannot be named outside of this house, so that no `Identity` is written down by hand.
#[derive(Clone, Copy, Debug)]
struct Proof;

impl Identity {
    /// For verifiers alone: everything given was verified. The optional members are set afterwards.
    pub(crate) fn verified(
        source: MappingFrom,
        provider: impl Into<String>,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        claims: Claims,
        mapped: Claims,
    ) -> Self {
        Self {
            source,
            provider: provider.into(),
            issuer: issuer.into(),
            subject: subject.into(),
            claims,
            mapped,
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            sid: None,
            not_after: None,
            name_id: None,
            encrypted_attributes: 0,
            linking: Linking::Written,
            proof: Proof,
        }
    }

    /// A verified person as an envelope of ours keeps one, with only those claims that lead to a user: for
    /// the invitation room alone, which asks before it goes on.
    pub(crate) fn sealed(&self, mapping: &Mapping) -> Value {
        let source = match self.source {
            MappingFrom::IdToken => 0,
            MappingFrom::Userinfo => 1,
            MappingFrom::Saml => 2,
        };
        json!([
            source,
            self.provider,
            self.issuer,
            self.subject,
            needed(&self.claims, mapping),
            needed(&self.mapped, mapping),
            self.auth_time,
            self.acr,
            self.sid,
            self.not_after,
            self.name_id,
            self.amr,
            self.linking == Linking::Derived
        ])
    }

    /// The person of an envelope that opened: it was sealed here, from one who was verified.
    pub(crate) fn unsealed(kept: &Value) -> Option<Self> {
        let text = |i: usize| Some(kept.get(i)?.as_str()?.to_owned());
        let claims = |i: usize| Some(kept.get(i)?.as_object()?.clone());
        let number = |i: usize| kept.get(i).and_then(Value::as_u64);
        let source = match number(0)? {
            0 => MappingFrom::IdToken,
            1 => MappingFrom::Userinfo,
            2 => MappingFrom::Saml,
            _ => return None,
        };
        let identity = Self::verified(source, text(1)?, text(2)?, text(3)?, claims(4)?, claims(5)?);
        let name_id = kept.get(10).and_then(|kept| NameId::deserialize(kept).ok());
        let linking = match kept.get(12) {
            Some(Value::Bool(true)) => Linking::Derived,
            _ => Linking::Written,
        };
        Some(Self {
            linking,
            auth_time: number(6),
            acr: text(7),
            sid: text(8),
            not_after: number(9),
            name_id,
            amr: amr(kept.get(11)),
            ..identity
        })
    }

    /// `issuer|subject`, to be written into a directory's `externalId`.
    pub fn link(&self) -> Option<String> {
        matches!(self.linking, Linking::Written | Linking::Derived)
            .then(|| format!("{}|{}", self.issuer, self.subject))
    }

    /// `issuer|subject`, to look a record up by: the one lasting name of a person (OpenID Connect Core section 5.7).
    pub fn lasting_link(&self) -> Option<String> {
        let lasts = matches!(self.linking, Linking::Written | Linking::Compared) && !self.subject.is_empty();
        lasts.then(|| format!("{}|{}", self.issuer, self.subject))
    }
}

/// The values of an `amr` claim; some providers send a text in place of a list. What no provider needs is left out: it
/// would travel in the cookie.
pub fn amr(claim: Option<&Value>) -> Vec<String> {
    let values = match claim {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let short = |text: &&str| text.len() <= 64;
    values.iter().filter_map(Value::as_str).filter(short).take(10).map(str::to_owned).collect()
}

/// The claims that mapping, email policy, roles and name are read from. Of a list of groups only those that
/// grant something: lists of hundreds do not fit into a cookie.
fn needed(claims: &Claims, mapping: &Mapping) -> Claims {
    let roles = mapping.roles_claim.iter().map(String::as_str);
    let names = [mapping.claim.as_str(), "email", "email_verified", "name"];
    let mut kept = Claims::new();
    for name in names.into_iter().chain(roles.clone()) {
        let first = || Some(name.strip_prefix('/')?.split('/').next()?.replace("~1", "/").replace("~0", "~"));
        let name = if claims.contains_key(name) { Some(name.to_owned()) } else { first() };
        if let Some((name, value)) = name.and_then(|name| claims.get_key_value(&name)) {
            kept.insert(name.clone(), value.clone());
        }
    }
    for name in roles {
        if let Some(groups) = kept.get_mut(name) {
            roles::prune(mapping, groups);
        }
    }
    kept
}

/// The member of that name, else, where `claim` begins with `/`, what the JSON Pointer (RFC 6901) leads
/// to. Names first: claims such as `https://app.example.com/email` hold slashes themselves.
pub fn claim<'a>(claims: &'a Claims, claim: &str) -> Option<&'a Value> {
    crate::values::json::pointer(claims, claim)
}

#[cfg(test)]
pub(crate) fn example(claims: Value) -> Identity {
    let claims = claims.as_object().cloned().unwrap_or_default();
    Identity::verified(
        MappingFrom::IdToken,
        "corp",
        "https://idp.example.com",
        "sub-1",
        claims.clone(),
        claims,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_found_by_its_name_and_then_by_its_pointer() {
        let claims = json!({
            "email": "a", "/odd": "b", "https://app/roles": "c", "a": {"b": {"c": "d"}}, "x/y": {"~z": "e"}, "list": ["f"]
        });
        let claims = claims.as_object().unwrap();
        for (name, found) in [
            ("email", "a"),
            ("/email", "a"),
            ("/odd", "b"),
            ("https://app/roles", "c"),
            ("/a/b/c", "d"),
            ("/x~1y/~0z", "e"),
            ("/list/0", "f"),
        ] {
            assert_eq!(claim(claims, name), Some(&json!(found)), "{name}");
        }
        for name in ["", "/", "mail", "/a/c", "a/b/c", "/list/1", "/email/x"] {
            assert_eq!(claim(claims, name), None, "{name}");
        }
    }

    #[test]
    fn a_person_who_waits_in_an_envelope_comes_back_whole() {
        let mut mapping = crate::directory::tests::account(crate::config::Directory::None).mapping;
        mapping.claim = "email".into();
        let claims = json!({ "email": "ada@acme.com", "email_verified": true }).as_object().unwrap().clone();
        for (source, linking) in [
            (MappingFrom::IdToken, Linking::Written),
            (MappingFrom::Userinfo, Linking::Derived),
            (MappingFrom::Saml, Linking::Written),
        ] {
            let person = Identity {
                auth_time: Some(5),
                acr: Some("gold".into()),
                amr: vec!["hwk".into()],
                sid: Some("s".into()),
                not_after: Some(7),
                name_id: Some(NameId { value: "n".into(), ..NameId::default() }),
                linking,
                ..Identity::verified(source, "corp", "https://idp", "sub", claims.clone(), claims.clone())
            };
            let back = Identity::unsealed(&person.sealed(&mapping)).unwrap();
            assert_eq!(format!("{back:?}"), format!("{person:?}"));
        }
        assert!(
            Identity::unsealed(&json!([3, "corp", "i", "s", {}, {}])).is_none(),
            "a source of a newer filter"
        );
        assert!(Identity::unsealed(&json!([0, "corp", "i", "s", {}])).is_none());
    }
}
