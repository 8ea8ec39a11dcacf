//! The protocol: the good answer with one thing changed.

use super::idp::*;
use crate::fault::Code;
use crate::proto::saml::response;
use crate::testing::START;

type Change = Box<dyn Fn(&mut Answer)>;

fn change(change: impl Fn(&mut Answer) + 'static) -> Change {
    Box::new(change)
}

/// Replaces in the part; the text must be there.
fn swap(part: fn(&mut Answer) -> &mut String, from: &str, to: &str) -> Change {
    let (from, to) = (from.to_owned(), to.to_owned());
    change(move |answer| {
        let part = part(answer);
        assert!(part.contains(&from), "{from} in {part}");
        *part = part.replace(&from, &to);
    })
}

fn response_part(a: &mut Answer) -> &mut String {
    &mut a.response
}
fn assertion_part(a: &mut Answer) -> &mut String {
    &mut a.assertion
}
fn confirmation_part(a: &mut Answer) -> &mut String {
    &mut a.confirmation
}
fn authn_part(a: &mut Answer) -> &mut String {
    &mut a.authn
}

fn with_conditions(text: String) -> Change {
    change(move |a| a.conditions = text.clone())
}

#[test]
fn one_thing_changed_is_refused() {
    let other = "https://app.example.com/sso/saml/consume?u=beta";
    let foreign_host = "https://app.internal/sso/saml/consume?u=acme";
    let audience = restriction(ENTITY);
    let cases: Vec<(&str, Change, &str)> = vec![
        ("response version", swap(response_part, "2.0", "1.1"), "SAML 2.0"),
        ("assertion version", swap(assertion_part, "2.0", "1.1"), "SAML 2.0"),
        ("no response version", swap(response_part, "Version=\"2.0\"", ""), "Version"),
        // Issuer.
        (
            "response issuer",
            change(|a| a.response_issuer = issuer("https://evil.com")),
            "Issuer of the Response",
        ),
        (
            "assertion issuer",
            change(|a| a.assertion_issuer = issuer("https://evil.com")),
            "Issuer of the Assertion",
        ),
        (
            "issuer with a slash",
            change(|a| a.assertion_issuer = issuer(&format!("{IDP}/"))),
            "Issuer of the Assertion",
        ),
        (
            "issuer in another case",
            change(|a| a.response_issuer = issuer("https://IDP.partner.com")),
            "Issuer",
        ),
        ("two issuers", change(|a| a.response_issuer = issuer(IDP).repeat(2)), "several Issuer"),
        // Destination and Recipient: another account's response, another host, a trick.
        ("destination of another account", swap(response_part, ACS, other), "Destination"),
        ("destination of another host", swap(response_part, ACS, foreign_host), "must be the same"),
        ("destination without the query", swap(response_part, "?u=acme", ""), "with its query"),
        ("destination with more", swap(response_part, "?u=acme", "?u=acme&amp;u=beta"), "Destination"),
        ("no destination", swap(response_part, &format!("Destination=\"{ACS}\""), ""), "no Destination"),
        ("empty destination", swap(response_part, ACS, ""), "no Destination"),
        ("recipient of another account", swap(confirmation_part, ACS, other), "Recipient"),
        ("recipient of another host", swap(confirmation_part, ACS, foreign_host), "app.internal"),
        ("no recipient", change(|a| a.confirmation = confirmation("", REQUEST, &at(300))), "no Recipient"),
        // InResponseTo.
        (
            "foreign response InResponseTo",
            swap(response_part, REQUEST, "id-other"),
            "not this login's request",
        ),
        (
            "no response InResponseTo",
            swap(response_part, &format!(" InResponseTo=\"{REQUEST}\""), ""),
            "no InResponseTo",
        ),
        (
            "foreign subject InResponseTo",
            swap(confirmation_part, REQUEST, "id-other"),
            "not this login's request",
        ),
        (
            "no subject InResponseTo",
            change(|a| a.confirmation = confirmation(ACS, "", &at(300))),
            "no InResponseTo",
        ),
        // Subject confirmation.
        ("no confirmation", change(|a| a.confirmation.clear()), "no bearer"),
        ("holder of key", swap(confirmation_part, "cm:bearer", "cm:holder-of-key"), "no bearer"),
        (
            "no confirmation time",
            change(|a| a.confirmation = confirmation(ACS, REQUEST, "")),
            "no NotOnOrAfter",
        ),
        (
            "confirmation over",
            change(|a| a.confirmation = confirmation(ACS, REQUEST, &at(-60))),
            "compare the two clocks",
        ),
        (
            "confirmation not yet",
            swap(confirmation_part, " Recipient", &format!(" NotBefore=\"{}\" Recipient", at(61))),
            "not valid yet",
        ),
        (
            "a time that is none",
            change(|a| a.confirmation = confirmation(ACS, REQUEST, "tomorrow")),
            "not a time",
        ),
        // Conditions.
        ("no conditions", change(|a| a.conditions.clear()), "no Conditions"),
        ("not yet", with_conditions(conditions(&at(61), &at(300), &audience)), "not valid yet"),
        ("over", with_conditions(conditions("", &at(-60), &audience)), "no longer valid"),
        ("no audience", with_conditions(conditions("", "", "")), "no AudienceRestriction: set the audience"),
        (
            "another audience",
            with_conditions(conditions("", "", &restriction("https://other"))),
            "saml.entity_id to theirs",
        ),
        ("an empty audience", with_conditions(conditions("", "", &restriction(""))), "audience"),
        (
            "a longer audience",
            with_conditions(conditions("", "", &restriction(&format!("{ENTITY}2")))),
            "audience",
        ),
        (
            "a second restriction",
            with_conditions(conditions("", "", &(restriction(ENTITY) + &restriction("https://other")))),
            "audience",
        ),
        ("two conditions", with_conditions(conditions("", "", &audience).repeat(2)), "several Conditions"),
        (
            "unknown condition",
            with_conditions(conditions("", "", &format!("{audience}<saml:Condition/>"))),
            "not understood",
        ),
        // Times of issue.
        ("issued in the future", swap(assertion_part, &at(0), &at(61)), "in the future"),
        ("response issued in the future", swap(response_part, &at(0), &at(61)), "in the future"),
        ("never issued", swap(assertion_part, "IssueInstant", "Issued"), "no IssueInstant"),
        // Authentication.
        ("no authentication", change(|a| a.authn.clear()), "no AuthnStatement"),
        ("no authentication time", swap(authn_part, "AuthnInstant", "Instant"), "no AuthnInstant"),
        (
            "session over",
            swap(authn_part, "AuthnInstant", &format!("SessionNotOnOrAfter=\"{}\" AuthnInstant", at(0))),
            "SessionNotOnOrAfter",
        ),
        // Shape.
        ("empty NameID", change(|a| a.name_id = "<saml:NameID/>".into()), "NameID is empty"),
        ("two NameIDs", change(|a| a.name_id = a.name_id.repeat(2)), "several NameID"),
        (
            "attribute without a name",
            change(|a| a.attributes = a.attributes.replace("Name=\"email\"", "")),
            "no Name",
        ),
        ("two statuses", change(|a| a.status = status("Success", "").repeat(2)), "several Status"),
        ("no status", change(|a| a.status.clear()), "no Status"),
    ];
    for style in SIGNED {
        accepted(&Answer::signed(style).write());
        for (name, change, why) in &cases {
            let mut answer = Answer::signed(style);
            change(&mut answer);
            let text = answer.write();
            let refusal = Us::default().read(&text).map(|_| panic!("accepted: {name}")).unwrap_err();
            assert_eq!(refusal.fault.code, Code::AssertionInvalid, "{name}");
            assert!(refusal.fault.detail.contains(why), "{name}: {}", refusal.fault.detail);
            assert!(!refusal.unknown_key, "{name}");
        }
    }
}

#[test]
fn what_is_at_the_edge_passes() {
    let audience = restriction(ENTITY);
    let cases: Vec<(&str, Change)> = vec![
        ("not yet, within the skew", with_conditions(conditions(&at(60), &at(300), &audience))),
        ("just over, within the skew", with_conditions(conditions("", &at(-59), &audience))),
        ("no times", with_conditions(conditions("", "", &audience))),
        (
            "known conditions",
            with_conditions(conditions(
                "",
                "",
                &format!("<saml:OneTimeUse/>{audience}<saml:ProxyRestriction Count=\"0\"/>"),
            )),
        ),
        (
            "one audience of several",
            with_conditions(conditions(
                "",
                "",
                &audience.replace(
                    "<saml:Audience>",
                    "<saml:Audience>https://other</saml:Audience><saml:Audience>",
                ),
            )),
        ),
        ("confirmation just over", change(|a| a.confirmation = confirmation(ACS, REQUEST, &at(-59)))),
        (
            "one confirmation of several",
            change(|a| a.confirmation = confirmation(ACS, "id-other", &at(300)) + &a.confirmation),
        ),
        ("issued within the skew", swap(assertion_part, &at(0), &at(60))),
        (
            "session until later",
            swap(authn_part, "AuthnInstant", &format!("SessionNotOnOrAfter=\"{}\" AuthnInstant", at(1))),
        ),
        ("two authentications", change(|a| a.authn = a.authn.repeat(2))),
        ("no NameID", change(|a| a.name_id.clear())),
        (
            "a status message",
            change(|a| {
                a.status = status("Success", "").replace(
                    "</samlp:Status>",
                    "<samlp:StatusMessage>ok</samlp:StatusMessage></samlp:Status>",
                )
            }),
        ),
        ("white space around values", change(|a| a.response_issuer = issuer(&format!("\n  {IDP}\n")))),
    ];
    for (name, change) in cases {
        let mut answer = Answer::default();
        change(&mut answer);
        let text = answer.write();
        if let Err(why) = Us::default().read(&text) {
            panic!("{name}: {}", why.fault.detail);
        }
    }
}

#[test]
fn a_no_says_what_the_idp_says() {
    for (code, inner, expected) in [
        ("Responder", "AuthnFailed", Code::IdpDenied),
        ("Responder", "RequestDenied", Code::IdpDenied),
        ("Requester", "InvalidNameIDPolicy", Code::AssertionInvalid),
        ("Responder", "NoPassive", Code::AssertionInvalid),
        ("Responder", "", Code::AssertionInvalid),
        ("AuthnFailed", "", Code::IdpDenied),
        // Success inside a failure, or only beginning like it, is none.
        ("Responder", "Success", Code::AssertionInvalid),
        ("SuccessNot", "", Code::AssertionInvalid),
    ] {
        for style in [Style::Nothing, Style::Response] {
            let mut answer = Answer::signed(style);
            answer.status = status(code, inner)
                .replace(
                    "</samlp:Status>",
                    "<samlp:StatusMessage>No, Ada\u{7}&#10;</samlp:StatusMessage></samlp:Status>",
                )
                .replace('\u{7}', "");
            for text in [answer.around(""), answer.write()] {
                let refusal = Us::default().read(&text).unwrap_err().fault;
                assert_eq!(refusal.code, expected, "{}", refusal.detail);
                assert!(
                    refusal.detail.contains("No, Ada") && refusal.detail.contains(code),
                    "{}",
                    refusal.detail
                );
            }
        }
    }
    // A no to another request, or by somebody else, is not this login's.
    let denied = |change: fn(&mut Answer)| {
        let mut answer = Answer::signed(Style::Nothing);
        answer.status = status("Responder", "AuthnFailed");
        change(&mut answer);
        Us::default().read(&answer.around("")).unwrap_err().fault.code
    };
    assert_eq!(denied(|_| {}), Code::IdpDenied);
    assert_eq!(denied(|a| a.response = a.response.replace(REQUEST, "id-other")), Code::AssertionInvalid);
    assert_eq!(denied(|a| a.response_issuer = issuer("https://evil.com")), Code::AssertionInvalid);
}

#[test]
fn what_is_read() {
    let mut answer = Answer::default();
    answer.authn =
        answer.authn.replace("AuthnInstant", &format!("SessionNotOnOrAfter=\"{}\" AuthnInstant", at(3600)));
    answer.name_id = answer.name_id.replace("Format", "NameQualifier=\"q\" SPNameQualifier=\"sp\" Format");
    let verified = accepted(&answer.write());
    let name = verified.name_id.clone().unwrap();
    assert_eq!(name.value, "ada@acme.com");
    assert_eq!(name.format.as_deref(), Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"));
    assert_eq!((name.name_qualifier.as_deref(), name.sp_name_qualifier.as_deref()), (Some("q"), Some("sp")));
    assert_eq!(verified.issuer, IDP);
    assert_eq!(verified.session_index.as_deref(), Some("_session"));
    assert_eq!(verified.authn_instant, START - 60_000);
    assert_eq!(verified.session_not_on_or_after, Some(START + 3_600_000));
    assert_eq!(verified.authn_context.as_deref(), Some("urn:oasis:names:tc:SAML:2.0:ac:classes:Password"));
    assert_eq!(verified.assertion_id, "_assertion");
    assert_eq!(verified.valid_until, START + 360_000);
}

#[test]
fn of_several_statements_the_earliest_end_counts() {
    for (first, second, ends) in [
        (Some(3600), Some(1800), 1800),
        (Some(1800), Some(3600), 1800),
        (None, Some(1800), 1800),
        (Some(1800), None, 1800),
    ] {
        let mut answer = Answer::default();
        let until = |seconds: Option<i64>| match seconds {
            Some(seconds) => answer
                .authn
                .replace("AuthnInstant", &format!("SessionNotOnOrAfter=\"{}\" AuthnInstant", at(seconds))),
            None => answer.authn.clone(),
        };
        answer.authn = until(first) + &until(second);
        let verified = accepted(&answer.write());
        assert_eq!(verified.session_not_on_or_after, Some(START + ends * 1000), "{first:?} {second:?}");
    }
}

#[test]
fn values_go_by_name_friendly_name_or_nameid() {
    let of = |attributes: String, claim: &str| -> Vec<String> {
        let text = Answer { attributes, ..Answer::default() }.write();
        Us::default().read(&text).unwrap().values(claim).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(of(mail(&["a@b.c"]), "email"), ["a@b.c"]);
    assert_eq!(of(mail(&["a@b.c"]), "mail"), ["a@b.c"], "by its friendly name");
    assert_eq!(of(mail(&["a@b.c"]), "NameID"), ["ada@acme.com"]);
    assert_eq!(of(mail(&["a@b.c", "d@e.f"]), "email"), ["a@b.c", "d@e.f"]);
    assert_eq!(of(mail(&["a@b.c"]) + &mail(&["d@e.f"]), "email"), ["a@b.c", "d@e.f"]);
    assert!(of(mail(&[]), "email").is_empty());
    assert_eq!(of(mail(&[""]), "email"), [""]);
    assert!(of(mail(&["a@b.c"]), "Email").is_empty(), "names compare exactly");
}

#[test]
fn unsolicited() {
    let us = || Us { in_response_to: None, ..Us::default() };
    for style in SIGNED {
        let good = Answer::unsolicited(style);
        let verified = us().read(&good.write()).unwrap();
        assert_eq!(verified.valid_until, START + response::MAX_AGE + 60_000);
        // It is no answer to a login under way, and an answer is never unsolicited.
        assert!(Us::default().read(&good.write()).is_err());
        assert!(us().read(&Answer::signed(style).write()).is_err());
        let mut only_response = Answer::signed(style);
        only_response.confirmation = confirmation(ACS, "", &at(300));
        assert!(us().read(&only_response.write()).unwrap_err().fault.detail.contains("no login of ours"));
        let mut only_subject = good.clone();
        only_subject.confirmation = confirmation(ACS, REQUEST, &at(300));
        assert!(us().read(&only_subject.write()).unwrap_err().fault.detail.contains("no login of ours"));
        // At most five minutes old.
        for (part, age, fine) in [(0, 300, true), (0, 301, false), (1, 300, true), (1, 301, false)] {
            let mut answer = good.clone();
            let text = if part == 0 { &mut answer.response } else { &mut answer.assertion };
            *text = text.replace(&at(0), &at(-age));
            assert_eq!(us().read(&answer.write()).is_ok(), fine, "{part} {age}");
        }
    }
}

#[test]
fn force_authn_wants_a_new_sign_in() {
    let text = Answer::default().write();
    assert!(Us { since: Some(START), ..Us::default() }.read(&text).is_ok(), "within the skew");
    let us = Us { since: Some(START + 1000), ..Us::default() };
    assert!(us.read(&text).unwrap_err().fault.detail.contains("force_authn"));
}

#[test]
fn an_expired_certificate_verifies_with_a_warning() {
    let expired = certificate(super::keys::IDP).not_after + 1;
    let shift = |text: String| {
        let move_by = (expired - START) as i64 / 1000 + 1;
        [-60, -5, 0, 300].iter().fold(text, |text, t| text.replace(&at(*t), &at(t + move_by)))
    };
    let mut answer = Answer::default();
    for part in [
        &mut answer.response,
        &mut answer.assertion,
        &mut answer.confirmation,
        &mut answer.conditions,
        &mut answer.authn,
    ] {
        *part = shift(part.clone());
    }
    let us = Us { now: START + ((expired - START) / 1000 + 1) * 1000, ..Us::default() };
    let verified = us.read(&answer.write()).unwrap_or_else(|why| panic!("{}", why.fault.detail));
    assert_eq!(verified.warnings.len(), 1);
    assert!(verified.warnings[0].contains("expired"), "{:?}", verified.warnings);
}

#[test]
fn claims_choose_what_is_checked() {
    let claimed = response::claimed(&Answer::default().write()).unwrap();
    assert_eq!((claimed.issuer.as_deref(), claimed.in_response_to.as_deref()), (Some(IDP), Some(REQUEST)));
    let claimed = response::claimed(&Answer::unsolicited(Style::Both).write()).unwrap();
    assert_eq!(claimed.in_response_to, None);
    let mut hidden = Answer::unsolicited(Style::Both);
    hidden.confirmation = confirmation(ACS, "id-x", &at(300));
    assert_eq!(response::claimed(&hidden.write()).unwrap().in_response_to.as_deref(), Some("id-x"));
    assert!(response::claimed("<x/>").is_err());
}

#[test]
fn other_messages_are_no_response() {
    let good = Answer::default().write();
    refused("<x/>", "expected a samlp:Response");
    refused("", "not well-formed");
    refused(&Answer::default().assertion(), "expected a samlp:Response");
    refused(
        &good.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol"),
        "expected a samlp:Response",
    );
    let none = Answer::signed(Style::Response).around("");
    refused(&none, "holds 0 assertions");
    let mut two = Answer::signed(Style::Response);
    let one = two.assertion();
    two.assertion = two.assertion.replace("_assertion", "_second");
    let second = two.assertion();
    refused(&two.around(&(one + &second)), "holds 2 assertions");
}

#[test]
fn a_sign_in_in_the_future_is_refused() {
    let with = |offset: i64| {
        let mut answer = Answer::default();
        answer.authn = answer.authn.replace(&at(-60), &at(offset));
        answer.write()
    };
    for offset in [61, 3_600, 10 * 365 * 86_400] {
        refused(&with(offset), "AuthnInstant is in the future");
    }
    for offset in [60, 0, -3_600] {
        accepted(&with(offset));
    }
}
