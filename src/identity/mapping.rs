//! From an identity to the one value that leads to a user.

use serde_json::Value;

use super::{claim, Claims, Identity};
use crate::config::{Attribute, EmailVerified, Mapping, MappingFrom, Provider};
use crate::fault::{Code, Fault};
use crate::values::names::invisible;
use crate::values::{email, phone};

/// The longest username.
const MAX_USERNAME: usize = 256;

/// The value in the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The directory field it must equal.
    pub attribute: Attribute,
    /// Normalised.
    pub value: String,
}

/// Reads the mapped value: absent, empty, malformed or of the wrong type is `identity_missing`, several
/// values are `identity_ambiguous`, an email that does not count is `email_unverified`.
pub fn mapped_value(mapping: &Mapping, identity: &Identity) -> Result<Mapped, Fault> {
    let missing = |why: &str| {
        Fault::new(
            Code::IdentityMissing,
            format!(
                "{} of {:?} from provider {:?} {why}",
                mapping.claim, identity.subject, identity.provider
            ),
        )
        .about(&mapping.claim)
    };
    let found = claim(&identity.mapped, &mapping.claim).ok_or_else(|| {
        // What is there instead is what an operator needs to mend the mapping; names alone, no values.
        let names: Vec<String> =
            identity.mapped.keys().take(30).map(|name| name.chars().take(80).collect()).collect();
        let hidden = match identity.encrypted_attributes {
            0 => String::new(),
            count => format!(
                "; {count} attributes came encrypted (EncryptedAttribute), which are not read: let the IdP encrypt the \
                 whole assertion instead"
            ),
        };
        missing(&format!("is absent, what is there: {}{hidden}", names.join(", ")))
    })?;
    let text = match (found, identity.source) {
        (Value::String(text), _) => text,
        // An attribute of SAML has any number of values (saml-core 2.7.3.1).
        (Value::Array(values), MappingFrom::Saml) => match values.as_slice() {
            [] => return Err(missing("has no value")),
            [Value::String(text)] => text,
            [_] => return Err(missing("is not text")),
            _ => {
                let detail =
                    format!("{} of {:?} has {} values", mapping.claim, identity.subject, values.len());
                return Err(Fault::new(Code::IdentityAmbiguous, detail).about(&mapping.claim));
            }
        },
        _ => return Err(missing("is of the wrong type")),
    };
    if text.trim().is_empty() {
        return Err(missing("is empty"));
    }
    let value = normalise(mapping, text).ok_or_else(|| missing("is malformed"))?;
    if mapping.attribute == Attribute::Email {
        verified(mapping, identity, &mapping.claim)?;
    }
    Ok(Mapped { attribute: mapping.attribute, value })
}

/// A value of the mapping's attribute in the form in which it is compared: the same for what an identity
/// brings and for what a directory holds.
pub fn normalise(mapping: &Mapping, text: &str) -> Option<String> {
    normalise_as(mapping.attribute, mapping, text)
}

/// A value of any attribute in the form in which it is compared.
pub fn normalise_as(attribute: Attribute, mapping: &Mapping, text: &str) -> Option<String> {
    match attribute {
        Attribute::Email => email::normalise(text),
        Attribute::Phone => phone::normalise(text, mapping.default_country_code.as_deref()),
        Attribute::Username => username(text),
    }
}

/// Usernames compare exactly, so nothing is changed. What could not be told from another name is refused.
fn username(text: &str) -> Option<String> {
    let plain =
        !text.is_empty() && text.len() <= MAX_USERNAME && text.trim() == text && !text.chars().any(invisible);
    plain.then(|| text.to_owned())
}

/// The email that provisioning may go by: the mapped one, or the claim `email`, well formed and not
/// refused by the policy for `email_verified`. An email that any user may type in opens no invitation.
pub fn usable_email(mapping: &Mapping, identity: &Identity) -> Option<String> {
    let address = address(mapping, identity)?;
    verified(mapping, identity, address_claim(mapping)).ok().map(|()| address)
}

/// The address that an identity brings, normalised, whatever is said of its verification.
pub fn address(mapping: &Mapping, identity: &Identity) -> Option<String> {
    email::normalise(text(identity.source, claim(&identity.mapped, address_claim(mapping))?)?)
}

/// The domain of that address.
pub fn domain(mapping: &Mapping, identity: &Identity) -> Option<String> {
    address(mapping, identity).map(|address| email::domain(&address).to_owned())
}

fn address_claim(mapping: &Mapping) -> &str {
    match mapping.attribute {
        Attribute::Email => &mapping.claim,
        _ => "email",
    }
}

/// What a provider says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// `email_verified` is true, wherever it is said.
    Verified,
    /// It is said, and is not true.
    Refused,
    /// Nothing is said.
    Absent,
}

/// Reads `email_verified`, which some providers write as text.
pub fn verification(mapping: &Mapping, identity: &Identity) -> Verification {
    let is_true = |value: &Value| *value == Value::Bool(true) || text(identity.source, value) == Some("true");
    let mut found = Verification::Absent;
    for value in statements(&identity.mapped, address_claim(mapping)) {
        match is_true(value) {
            true => found = Verification::Verified,
            false => return Verification::Refused,
        }
    }
    found
}

/// Refuses an identity that its provider may not speak for: a `confined` one brings users of its own email domains only.
pub fn confined(mapping: &Mapping, provider: &Provider, identity: &Identity) -> Result<(), Fault> {
    if !provider.confined {
        return Ok(());
    }
    let refused = |why: &str| {
        let detail =
            format!("{:?} from provider {:?}, which is confined, {why}", identity.subject, provider.id);
        Err(Fault::new(Code::IdentityNotAllowed, detail).about("email"))
    };
    let Some(address) = address(mapping, identity) else { return refused("has no address") };
    if !provider.email_domains.iter().any(|own| own == email::domain(&address)) {
        return refused("has an address of another domain than email_domains");
    }
    match verification(mapping, identity) {
        Verification::Refused => refused("has an address that is not verified"),
        Verification::Absent if mapping.email_verified == EmailVerified::Required => {
            refused("has an address without email_verified, which is required")
        }
        _ => Ok(()),
    }
}

/// The text of a claim; of a SAML attribute where it has one value.
pub(crate) fn text(source: MappingFrom, value: &Value) -> Option<&str> {
    match (value, source) {
        (Value::String(text), _) => Some(text),
        (Value::Array(values), MappingFrom::Saml) => match values.as_slice() {
            [Value::String(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses an identity whose mapped address does not count, for a user who is found without it.
pub fn check_verified(mapping: &Mapping, identity: &Identity) -> Result<(), Fault> {
    match mapping.attribute {
        Attribute::Email => verified(mapping, identity, &mapping.claim),
        _ => Ok(()),
    }
}

/// The policy for `email_verified` (OpenID Connect Core section 5.1). It is read beside the email: at the
/// top, and beside a nested email too; where both are given, both count.
fn verified(mapping: &Mapping, identity: &Identity, email_claim: &str) -> Result<(), Fault> {
    let policy = mapping.email_verified;
    if policy == EmailVerified::Ignored {
        return Ok(());
    }
    let refused = |why: &str| {
        let detail =
            format!("email_verified of {:?} from provider {:?} {why}", identity.subject, identity.provider);
        Err(Fault::new(Code::EmailUnverified, detail).about("email_verified"))
    };
    let mut said = false;
    for value in statements(&identity.mapped, email_claim) {
        said = true;
        match (value, text(identity.source, value)) {
            (Value::Bool(true), _) | (_, Some("true")) => {}
            (Value::Bool(false), _) | (_, Some("false")) => return refused("is false"),
            _ => return refused("is neither true nor false"),
        }
    }
    match policy {
        EmailVerified::Required if !said => refused("is absent, and required"),
        _ => Ok(()),
    }
}

fn statements<'a>(claims: &'a Claims, email_claim: &str) -> impl Iterator<Item = &'a Value> {
    let beside = match email_claim.rfind('/') {
        Some(at) if at > 0 && email_claim.starts_with('/') && !claims.contains_key(email_claim) => {
            email_claim
                .get(..at)
                .and_then(|parent| claim(claims, parent))
                .and_then(|parent| parent.get("email_verified"))
        }
        _ => None,
    };
    claims.get("email_verified").into_iter().chain(beside)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identity::example;
    use serde_json::json;

    pub(crate) fn mapping() -> Mapping {
        Mapping {
            from: MappingFrom::IdToken,
            claim: "email".into(),
            attribute: Attribute::Email,
            default_country_code: Some("86".into()),
            email_verified: EmailVerified::UnlessFalse,
            roles_claim: Vec::new(),
            role_map: Default::default(),
            link: Default::default(),
        }
    }

    fn read(mapping: &Mapping, claims: Value) -> Result<String, (Code, Option<String>)> {
        mapped_value(mapping, &example(claims)).map(|m| m.value).map_err(|f| (f.code, f.field))
    }

    #[test]
    fn a_value_that_cannot_be_read_is_missing_and_named() {
        assert_eq!(read(&mapping(), json!({"email": " Ada@acme.com "})), Ok("ada@acme.com".into()));
        for claims in [
            json!({}),
            json!({"mail": "ada@acme.com"}),
            json!({"email": ""}),
            json!({"email": "  "}),
            json!({"email": null}),
            json!({"email": 1}),
            json!({"email": true}),
            json!({"email": ["ada@acme.com"]}),
            json!({"email": {"value": "ada@acme.com"}}),
            json!({"email": "ada"}),
            json!({"email": "a@b@c"}),
            json!({"email": "ada@acme.com, bob@acme.com"}),
        ] {
            let found = read(&mapping(), claims.clone());
            assert_eq!(found, Err((Code::IdentityMissing, Some("email".into()))), "{claims}");
        }
    }

    #[test]
    fn every_attribute_has_its_own_form() {
        let with = |attribute, claim: &str| Mapping { attribute, claim: claim.into(), ..mapping() };
        let claims = json!({"phone_number": "138 0000 0000", "n": {"user": "Ada"}, "sp": " ada"});
        assert_eq!(
            read(&with(Attribute::Phone, "phone_number"), claims.clone()),
            Ok("+8613800000000".into())
        );
        assert_eq!(read(&with(Attribute::Username, "/n/user"), claims.clone()), Ok("Ada".into()));
        assert_eq!(
            read(&with(Attribute::Username, "sp"), claims),
            Err((Code::IdentityMissing, Some("sp".into())))
        );
    }

    #[test]
    fn an_attribute_of_saml_has_one_value() {
        let read = |values: Value| {
            let mut identity = example(json!({ "email": values }));
            identity.source = MappingFrom::Saml;
            mapped_value(&mapping(), &identity).map(|m| m.value).map_err(|f| f.code)
        };
        assert_eq!(read(json!(["ada@acme.com"])), Ok("ada@acme.com".into()));
        assert_eq!(read(json!("ada@acme.com")), Ok("ada@acme.com".into()));
        assert_eq!(read(json!(["ada@acme.com", "bob@acme.com"])), Err(Code::IdentityAmbiguous));
        assert_eq!(read(json!([])), Err(Code::IdentityMissing));
        assert_eq!(read(json!([""])), Err(Code::IdentityMissing));
        assert_eq!(read(json!([1])), Err(Code::IdentityMissing));
    }

    #[test]
    fn email_verified_counts_as_the_policy_says() {
        use EmailVerified::*;
        for (value, required, unless_false) in [
            (Some(json!(true)), true, true),
            (Some(json!("true")), true, true),
            (None, false, true),
            (Some(json!(false)), false, false),
            (Some(json!("false")), false, false),
            (Some(json!(null)), false, false),
            (Some(json!("True")), false, false),
            (Some(json!("")), false, false),
            (Some(json!(1)), false, false),
            (Some(json!([true])), false, false),
            (Some(json!(["true"])), false, false),
        ] {
            let mut claims = json!({"email": "ada@acme.com"});
            if let Some(value) = &value {
                claims["email_verified"] = value.clone();
            }
            for (policy, passes) in [(Required, required), (UnlessFalse, unless_false), (Ignored, true)] {
                let mapping = Mapping { email_verified: policy, ..mapping() };
                let found = mapped_value(&mapping, &example(claims.clone()));
                assert_eq!(found.is_ok(), passes, "{policy:?} {value:?}");
                if let Err(fault) = found {
                    assert_eq!(fault.code, Code::EmailUnverified);
                }
                assert_eq!(
                    usable_email(&mapping, &example(claims.clone())).is_some(),
                    passes,
                    "{policy:?} {value:?}"
                );
            }
        }
    }

    #[test]
    fn email_verified_counts_only_for_emails_and_beside_a_nested_one() {
        let by_name = Mapping {
            attribute: Attribute::Username,
            claim: "name".into(),
            email_verified: Required,
            ..mapping()
        };
        use EmailVerified::Required;
        assert_eq!(read(&by_name, json!({"name": "ada", "email_verified": false})), Ok("ada".into()));
        let nested = Mapping { claim: "/user/email".into(), email_verified: Required, ..mapping() };
        let claims = |verified: bool| json!({"user": {"email": "ada@acme.com", "email_verified": verified}});
        assert!(read(&nested, claims(true)).is_ok());
        assert_eq!(read(&nested, claims(false)).map_err(|e| e.0), Err(Code::EmailUnverified));
        let mut both = claims(false);
        both["email_verified"] = json!(true);
        assert_eq!(read(&nested, both).map_err(|e| e.0), Err(Code::EmailUnverified));
    }

    #[test]
    fn a_username_is_compared_as_it_is_or_not_at_all() {
        let by_username = Mapping { attribute: Attribute::Username, ..mapping() };
        let longest = "a".repeat(MAX_USERNAME);
        for (text, wanted) in [
            ("Ada", Some("Ada")),
            (longest.as_str(), Some(longest.as_str())),
            (&format!("{longest}a"), None),
            ("", None),
            (" ada", None),
            ("a\u{200b}da", None),
        ] {
            assert_eq!(normalise(&by_username, text).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn the_address_is_the_mapped_claim_or_email() {
        let by = |attribute, claim: &str| Mapping { attribute, claim: claim.into(), ..mapping() };
        let identity = example(json!({"mail": "Ada@Acme.com", "email": "other@corp.com", "name": "ada"}));
        let told = |mapping: &Mapping| (usable_email(mapping, &identity), domain(mapping, &identity));
        let address = |address: &str, domain: &str| (Some(address.to_owned()), Some(domain.to_owned()));
        assert_eq!(told(&by(Attribute::Email, "mail")), address("ada@acme.com", "acme.com"));
        assert_eq!(told(&by(Attribute::Username, "name")), address("other@corp.com", "corp.com"));
        assert_eq!(told(&by(Attribute::Email, "name")), (None, None), "no address is none of another claim");
    }

    #[test]
    fn verification_is_read_beside_the_email_that_is_mapped() {
        let said = |claim: &str, claims: Value| {
            let mapping = Mapping { claim: claim.into(), ..mapping() };
            verification(&mapping, &example(claims))
        };
        use Verification::{Absent, Refused, Verified};
        let nested = json!({"email": "ada@acme.com", "email_verified": false});
        assert_eq!(said("/contact/email", json!({ "contact": nested })), Refused);
        assert_eq!(said("/contact/email", json!({"contact": {"email_verified": true}})), Verified);
        assert_eq!(
            said("/contact/email", json!({"contact": nested, "email_verified": true})),
            Refused,
            "both count"
        );
        // A claim of that very name is not nested.
        assert_eq!(
            said("/contact/email", json!({"contact": nested, "/contact/email": "ada@acme.com"})),
            Absent
        );
        assert_eq!(
            said("contact/email", json!({"contact": nested, "contact/email": "ada@acme.com"})),
            Absent
        );
        assert_eq!(said("/email", json!({"": {"email_verified": false}, "email": "ada@acme.com"})), Absent);
    }

    #[test]
    fn saml_says_it_in_one_text() {
        let said = |value: Value| {
            let mut identity = example(json!({"email": ["ada@acme.com"], "email_verified": value}));
            identity.source = MappingFrom::Saml;
            let why = check_verified(&mapping(), &identity).err().map(|fault| fault.detail);
            (verification(&mapping(), &identity), why)
        };
        assert_eq!(said(json!(["true"])), (Verification::Verified, None));
        for (value, reason) in [
            (json!(["false"]), "is false"),
            (json!(["true", "true"]), "is neither"),
            (json!([true]), "is neither"),
        ] {
            let (verification, why) = said(value.clone());
            assert_eq!(verification, Verification::Refused, "{value}");
            assert!(why.is_some_and(|why| why.contains(reason)), "{value}");
        }
    }

    #[test]
    fn what_is_false_is_told_apart_from_what_cannot_be_read() {
        for (value, reason) in
            [(json!(false), "is false"), (json!("false"), "is false"), (json!(0), "is neither")]
        {
            let identity = example(json!({"email": "ada@acme.com", "email_verified": value}));
            let fault = check_verified(&mapping(), &identity).unwrap_err();
            assert!(fault.detail.contains(reason), "{value}: {}", fault.detail);
        }
    }
}
