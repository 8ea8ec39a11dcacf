//! Whom an identity may sign in as, beside the tables of identity_tests.rs, and what the operator is told.

use super::*;

#[test]
fn a_link_that_wins_over_another_address_is_told_with_whom_it_is_about() {
    let record =
        |email: &str| json!({"id": "1", "userName": "ada", "emails": [email], "externalId": ada().link()});
    let told = |email: &str| {
        let (result, _, host) = resolved(account(scim()), ada(), |_| list(&[record(email)]));
        assert_eq!(name(result), Ok("ada".into()));
        let lines: Vec<Value> =
            host.logs().iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
        lines
    };
    assert_eq!(told("ada@acme.com"), Vec::<Value>::new());
    let lines = told("old@acme.com");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let place = ["account", "idp", "user"].map(|member| lines[0][member].as_str().unwrap_or_default());
    assert_eq!(place, ["acme", "corp", "ada"], "{lines:?}");
}

#[test]
fn a_name_of_the_provider_is_trimmed_and_has_a_limit() {
    let named = |name: &str| {
        let directory = Directory::Static(vec![user("ada", Some("ada@acme.com"), true)]);
        let identity = example(json!({"email": "ada@acme.com", "name": name}));
        match resolved(account(directory), identity, |_| panic!("no call")).0 {
            Ok(Resolution::User(user)) => user.name,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named(" Ada L "), Some("Ada L".to_owned()));
    assert_eq!(named(" "), None);
    assert_eq!(
        named(&"x".repeat(1_024)).map(|name| name.len()),
        Some(128),
        "as it goes into cookie and header"
    );
    assert_eq!(named(&"x".repeat(1_025)), None, "longer than any name");
}
