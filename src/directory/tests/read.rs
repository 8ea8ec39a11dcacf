//! What is read of a SCIM server's answer, and what is written to it.

use super::provisioning::provisioned;
use super::*;
use crate::directory::scim::read;
use crate::host::task::Answer;

fn page(body: Value) -> Result<read::Page, Fault> {
    read::page(&Answer { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() })
}

/// The only user of a page.
fn one(user: Value) -> Result<Record, Fault> {
    page(json!({"totalResults": 1, "Resources": [user]})).map(|mut page| page.records.remove(0))
}

#[test]
fn a_list_without_resources_needs_a_total() {
    assert!(
        page(json!({"totalResults": 0})).is_ok_and(|page| page.records.is_empty() && page.total == Some(0))
    );
    assert!(page(json!({"totalResults": 2, "Resources": null})).is_ok());
    assert!(page(json!({})).is_err_and(|fault| fault.detail.contains("Resources is not a list")));
    assert!(page(json!({"totalResults": 1, "Resources": "x"})).is_err());
}

#[test]
fn a_text_has_a_limit() {
    let named =
        |length: usize| one(json!({"userName": "u".repeat(length)})).map(|record| record.username.len());
    assert_eq!(named(4_096).ok(), Some(4_096));
    assert!(
        named(4_097).is_err_and(|fault| fault.detail.contains("userName of a user is not text, or too long"))
    );
}

#[test]
fn a_name_is_what_is_shown_or_is_put_together() {
    let name = |members: Value| one(testing::changed(json!({"userName": "ada"}), &members)).unwrap().name;
    let parts = || json!({"givenName": "Ada", "familyName": "Lovelace"});
    assert_eq!(name(json!({})), None);
    assert_eq!(name(json!({"displayName": "Ada L"})).as_deref(), Some("Ada L"));
    assert_eq!(name(json!({"displayName": "Ada L", "name": parts()})).as_deref(), Some("Ada L"));
    assert_eq!(name(json!({"displayName": " ", "name": parts()})).as_deref(), Some("Ada Lovelace"));
    assert_eq!(name(json!({"displayName": " "})), None);
    assert_eq!(
        name(json!({"name": {"formatted": " Ada of L ", "givenName": "Ada"}})).as_deref(),
        Some("Ada of L")
    );
    assert_eq!(name(json!({"name": {"formatted": " ", "givenName": " Ada "}})).as_deref(), Some("Ada"));
    assert_eq!(name(json!({"name": {"familyName": "Lovelace"}})).as_deref(), Some("Lovelace"));
    assert_eq!(name(json!({"name": {}})), None);
    assert_eq!(name(json!({"name": "Ada"})), None);
}

#[test]
fn the_primary_value_is_the_first() {
    let emails =
        |values: Value| one(json!({"userName": "ada", "emails": values})).map(|record| record.emails);
    let both = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    assert_eq!(
        emails(json!([{"value": "a@x.com"}, {"value": "b@x.com", "primary": true}])).ok(),
        Some(both("b@x.com", "a@x.com"))
    );
    assert_eq!(
        emails(json!([{"value": "a@x.com", "primary": false}, null, "b@x.com"])).ok(),
        Some(both("a@x.com", "b@x.com"))
    );
    assert_eq!(emails(json!([{"value": null}])).ok(), Some(vec![]));
    assert!(emails(json!([7])).is_err() && emails(json!([{"value": 7}])).is_err());
}

#[test]
fn a_new_user_has_a_phone_number_only_where_it_is_what_signs_in() {
    let posted = |attribute: Attribute, claim: &str| {
        let mut account = provisioned(ProvisioningMode::Automatic, scim());
        account.mapping.attribute = attribute;
        account.mapping.claim = claim.into();
        let identity = example(json!({"phone_number": "+8613800000000", "email": "ada@acme.com"}));
        let (_, calls, _) = resolved(account, identity, |call| match path(call).0.as_str() {
            "POST" => testing::status(409, "application/json", "{}"),
            _ => list(&[]),
        });
        let post = calls.iter().find(|call| path(call).0 == "POST").unwrap();
        serde_json::from_slice::<Value>(post.body.as_ref().unwrap()).unwrap()
    };
    assert_eq!(posted(Attribute::Email, "email")["phoneNumbers"], Value::Null);
    let by_phone = posted(Attribute::Phone, "phone_number");
    assert_eq!(by_phone["phoneNumbers"], json!([{"value": "+8613800000000"}]));
    assert_eq!(by_phone["emails"], json!([{"value": "ada@acme.com"}]));
}
