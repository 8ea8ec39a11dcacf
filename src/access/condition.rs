//! Conditions of a rule (`when`): what a session must be beyond its roles.
//!
//! A session is judged when it is opened, when it is renewed and when another configuration is loaded; a request
//! looks up the verdict. Claims are judged at login and renewal, and the session keeps the verdicts alone: no claim
//! travels in the cookie.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{AccessRule, Admission};
use crate::values::{email, json, order};

/// The conditions of one rule, which must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// The place of this rule among those with conditions: where a session keeps the verdict.
    pub slot: usize,
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// One condition: one match in its list is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A claim of the identity, judged while the claims are at hand.
    Claim(ClaimCondition),
    /// The domain of the user's email address, lower case.
    EmailDomain(Vec<String>),
    /// The username.
    User(Vec<String>),
    /// The provider's id.
    Idp(Vec<String>),
    /// How the provider authenticated the user (`amr`, RFC 8176).
    Amr(Vec<String>),
    /// How the session was opened: `sso`, `password` or `bearer`.
    Method(Vec<String>),
}

/// A claim that must hold one of these values, or a list with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimCondition {
    /// The name of claim and values in a session: with other values it is another condition.
    id: String,
    /// A claim's name or a JSON Pointer.
    pub claim: String,
    /// Values as text.
    pub values: Vec<String>,
}

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It holds.
    Met,
    /// The session was opened before the condition was configured.
    Unknown,
    /// It does not hold.
    Unmet,
}

/// What a session says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The username.
    pub user: &'a str,
    /// The email address.
    pub email: Option<&'a str>,
    /// The provider's id; empty without one.
    pub idp: &'a str,
    /// How it was opened.
    pub method: &'a str,
    /// `amr`, if the session knows it.
    pub amr: Option<&'a [String]>,
    /// Verdicts on claims, as [`noted`] wrote them.
    pub claims: &'a [String],
    /// True if signing in again would tell what the session does not know.
    pub can_learn: bool,
}

impl ClaimCondition {
    /// Of this claim and these values.
    pub fn new(claim: String, values: Vec<String>) -> Self {
        let mut hash = Sha256::new_with_prefix(&claim);
        values.iter().for_each(|value| hash.update([&[0][..], value.as_bytes()].concat()));
        let id = URL_SAFE_NO_PAD.encode(hash.finalize().get(..6).unwrap_or_default());
        Self { id, claim, values }
    }

    /// True if a session keeps that this condition holds.
    pub fn is_noted_as_met(&self, noted: &[String]) -> bool {
        noted.iter().any(|noted| noted.strip_prefix('+') == Some(&self.id))
    }

    fn holds(&self, claims: &Map<String, Value>) -> bool {
        let one = |value: &Value| match value {
            Value::String(text) => self.values.contains(text),
            Value::Bool(_) | Value::Number(_) => self.values.contains(&json::text(value)),
            _ => false,
        };
        match json::pointer(claims, &self.claim) {
            Some(Value::Array(list)) => list.iter().any(one),
            Some(value) => one(value),
            None => false,
        }
    }

    fn verdict(&self, facts: &Facts<'_>) -> Verdict {
        let noted = facts.claims.iter().find_map(|noted| {
            let met = noted.starts_with('+');
            (noted.get(1..)? == self.id).then_some(met)
        });
        noted.map_or(missing(facts), verdict)
    }
}

impl Condition {
    fn verdict(&self, facts: &Facts<'_>) -> Verdict {
        let among = |list: &[String], own: &str| verdict(list.iter().any(|one| one == own));
        match self {
            Condition::Claim(claim) => claim.verdict(facts),
            Condition::User(list) => among(list, facts.user),
            Condition::Idp(list) => among(list, facts.idp),
            Condition::Method(list) => among(list, facts.method),
            Condition::EmailDomain(list) => {
                let address = facts.email.and_then(email::normalise).unwrap_or_default();
                among(list, email::domain(&address))
            }
            Condition::Amr(list) => match facts.amr {
                Some(own) => verdict(own.iter().any(|one| list.contains(one))),
                None => missing(facts),
            },
        }
    }
}

fn verdict(holds: bool) -> Verdict {
    match holds {
        true => Verdict::Met,
        false => Verdict::Unmet,
    }
}

fn missing(facts: &Facts<'_>) -> Verdict {
    match facts.can_learn {
        true => Verdict::Unknown,
        false => Verdict::Unmet,
    }
}

/// The conditions of each rule that has some, by slot.
fn of_rules(rules: &[AccessRule]) -> impl Iterator<Item = &When> {
    rules.iter().filter_map(|rule| match &rule.admission {
        Admission::Users { when, .. } => when.as_ref(),
        _ => None,
    })
}

/// The conditions on claims.
pub fn on_claims(rules: &[AccessRule]) -> impl Iterator<Item = &ClaimCondition> {
    of_rules(rules).flat_map(|when| &when.conditions).filter_map(|condition| match condition {
        Condition::Claim(claim) => Some(claim),
        _ => None,
    })
}

/// What a session keeps of these claims: the verdict on each condition, `+` or `-` before its id.
pub fn noted(rules: &[AccessRule], claims: &Map<String, Value>) -> Vec<String> {
    let mut list: Vec<String> = on_claims(rules)
        .map(|condition| format!("{}{}", if condition.holds(claims) { '+' } else { '-' }, condition.id))
        .collect();
    order::sort(&mut list);
    list.dedup();
    list
}

/// The verdict on each rule's conditions, by slot. One that does not hold outweighs one that is not known: signing in
/// again would not help.
pub fn verdicts(rules: &[AccessRule], facts: &Facts<'_>) -> Vec<Verdict> {
    let worst = |when: &When| when.conditions.iter().map(|condition| condition.verdict(facts)).max();
    of_rules(rules).map(|when| worst(when).unwrap_or(Verdict::Unmet)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Match;
    use serde_json::json;

    const FACTS: Facts<'_> = Facts {
        user: "ada",
        email: Some("Ada@Acme.com"),
        idp: "corp",
        method: "sso",
        amr: None,
        claims: &[],
        can_learn: true,
    };

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn claim(name: &str, values: &[&str]) -> Condition {
        Condition::Claim(ClaimCondition::new(name.into(), list(values)))
    }

    fn rules(conditions: &[Condition]) -> Vec<AccessRule> {
        vec![AccessRule {
            matches: Match::Prefix("/hr/".into()),
            methods: Vec::new(),
            admission: Admission::Users {
                roles: Vec::new(),
                acr_values: Vec::new(),
                max_age: None,
                resource: None,
                when: Some(When { slot: 0, conditions: conditions.to_vec() }),
            },
        }]
    }

    fn judged(conditions: &[Condition], facts: &Facts<'_>) -> Verdict {
        verdicts(&rules(conditions), facts)[0]
    }

    #[test]
    fn a_claim_is_judged_by_its_value_or_one_of_its_list() {
        let claims = json!({"department": "hr", "level": 3, "staff": true, "groups": ["a", 7], "o": {"unit": "x"}, "n": null});
        let claims = claims.as_object().unwrap();
        for (name, values, met) in [
            ("department", &["hr"][..], true),
            ("department", &["it", "hr"], true),
            ("department", &["HR"], false),
            ("department", &["h"], false),
            ("/department", &["hr"], true),
            ("level", &["3"], true),
            ("staff", &["true"], true),
            ("groups", &["b", "7"], true),
            ("groups", &["b"], false),
            ("/o/unit", &["x"], true),
            ("o", &["{\"unit\":\"x\"}"], false),
            ("n", &["null"], false),
            ("absent", &[""], false),
        ] {
            let noted = noted(&rules(&[claim(name, values)]), claims);
            let facts = Facts { claims: &noted, ..FACTS };
            let wanted = if met { Verdict::Met } else { Verdict::Unmet };
            assert_eq!(judged(&[claim(name, values)], &facts), wanted, "{name} {values:?}");
        }
    }

    #[test]
    fn a_condition_that_was_never_judged_is_not_known() {
        let claims = json!({"department": "hr"});
        let noted = noted(&rules(&[claim("department", &["hr"])]), claims.as_object().unwrap());
        let facts = Facts { claims: &noted, ..FACTS };
        for other in
            [claim("department", &["hr", "it"]), claim("department", &["it"]), claim("unit", &["hr"])]
        {
            assert_eq!(judged(std::slice::from_ref(&other), &facts), Verdict::Unknown, "{other:?}");
            let password = Facts { can_learn: false, ..facts };
            assert_eq!(judged(&[other], &password), Verdict::Unmet, "a password session learns nothing");
        }
        // Two conditions whose texts run together alike are two.
        assert_ne!(claim("a", &["b", "c"]), claim("a", &["bc"]));
        assert_ne!(
            ClaimCondition::new("a".into(), list(&["b", "c"])).id,
            ClaimCondition::new("a".into(), list(&["bc"])).id
        );
    }

    #[test]
    fn what_the_session_is_decides_the_other_conditions() {
        let amr = list(&["pwd", "otp"]);
        let facts = Facts { amr: Some(&amr), ..FACTS };
        for (condition, met) in [
            (Condition::User(list(&["bob", "ada"])), true),
            (Condition::User(list(&["Ada"])), false),
            (Condition::EmailDomain(list(&["acme.com"])), true),
            (Condition::EmailDomain(list(&["me.com", "x.acme.com"])), false),
            (Condition::Idp(list(&["corp"])), true),
            (Condition::Idp(list(&["partners"])), false),
            (Condition::Method(list(&["password", "sso"])), true),
            (Condition::Method(list(&["bearer"])), false),
            (Condition::Amr(list(&["otp", "hwk"])), true),
            (Condition::Amr(list(&["hwk"])), false),
        ] {
            let wanted = if met { Verdict::Met } else { Verdict::Unmet };
            assert_eq!(judged(std::slice::from_ref(&condition), &facts), wanted, "{condition:?}");
        }
        assert_eq!(judged(&[Condition::Amr(list(&["otp"]))], &FACTS), Verdict::Unknown);
        assert_eq!(
            judged(&[Condition::EmailDomain(list(&["acme.com"]))], &Facts { email: None, ..FACTS }),
            Verdict::Unmet
        );
    }

    #[test]
    fn all_must_hold_and_what_fails_outweighs_what_is_not_known() {
        let (met, unmet) = (Condition::User(list(&["ada"])), Condition::User(list(&["bob"])));
        let unknown = claim("department", &["hr"]);
        for (conditions, wanted) in [
            (vec![met.clone(), unknown.clone()], Verdict::Unknown),
            (vec![unknown.clone(), unmet.clone()], Verdict::Unmet),
            (vec![met.clone(), unmet], Verdict::Unmet),
            (vec![met], Verdict::Met),
        ] {
            assert_eq!(judged(&conditions, &FACTS), wanted);
        }
    }

    #[test]
    fn a_condition_is_met_by_its_own_note_alone() {
        let own = ClaimCondition::new("department".into(), vec!["sales".into()]);
        let other = ClaimCondition::new("department".into(), vec!["legal".into()]);
        let noted = [format!("+{}", own.id), format!("-{}", other.id), own.id.clone()];
        assert!(own.is_noted_as_met(&noted));
        assert!(!other.is_noted_as_met(&noted));
        assert!(!own.is_noted_as_met(&noted[1..]));
        assert!(!own.is_noted_as_met(&[]));
    }
}
