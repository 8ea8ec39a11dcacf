//! What a document may cost: every shape of dear XML against the budgets, and what providers really send beside it.

use super::idp::{accepted, Answer};
use crate::proto::saml::xml::{self, Work};
use crate::testing::dear::{largest, SHAPES};

/// The steps that a document takes of a budget; `None` where it is refused.
fn steps(text: &str, budget: &Work) -> Option<usize> {
    let mut work = budget.clone();
    xml::parse(text, &mut work).ok().map(|_| budget.steps - work.steps)
}

#[test]
fn no_shape_of_a_document_costs_more_than_its_budget() {
    for budget in [Work::logout(), Work::response()] {
        for (name, shape) in SHAPES {
            let mut refused = 0;
            for (long, beside) in [1, 60, 250, 130_000]
                .into_iter()
                .flat_map(|long| [1, 23, 44, 63].into_iter().map(move |beside| (long, beside)))
            {
                let Some(text) = largest(shape, budget.bytes, long, beside) else { continue };
                match steps(&text, &budget) {
                    Some(steps) => assert!(steps <= budget.steps, "{name}: {steps} steps"),
                    None => refused += 1,
                }
            }
            // These cost their length, and a real message may have one of them.
            let harmless = ["comments", "CDATA sections", "references", "line ends and tabs in attributes"]
                .contains(&name);
            assert!(refused > 0 || harmless, "{name}: the largest document is not refused");
        }
    }
}

/// A value as SimpleSAMLphp, Keycloak, ADFS and pysaml2 write them.
const VALUES: [&str; 4] = [
    "<saml:AttributeValue xsi:type=\"xs:string\">group-NNNN</saml:AttributeValue>",
    "<saml:AttributeValue xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">g-NNNN</saml:AttributeValue>",
    "<AttributeValue xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\">CN=group-NNNN,OU=Groups,DC=acme,DC=com</AttributeValue>",
    "\n        <saml:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">group-NNNN\
     </saml:AttributeValue>",
];

#[test]
fn a_response_with_1500_groups_signs_in() {
    for value in VALUES {
        let values: String = (0..1500).map(|n| value.replace("NNNN", &n.to_string())).collect();
        let attributes = format!(
            "<saml:AttributeStatement><saml:Attribute xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" Name=\"groups\">{values}</saml:Attribute></saml:AttributeStatement>"
        );
        let mut answer = Answer::default();
        answer.attributes.push_str(&attributes);
        let text = answer.write();
        let verified = accepted(&text);
        assert_eq!(verified.values("groups").len(), 1500);
        let budget = Work::response();
        let spent = steps(&text, &budget).unwrap();
        assert!(spent < budget.steps / 2, "{spent} of {} steps", budget.steps);
    }
}
