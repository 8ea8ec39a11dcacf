//! Members beside the username in JSON: none that a parser could take for it, and not too many.

use serde_json::{json, Map, Value};

use super::*;
use crate::password::json::find;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!() };
    object
}

fn read(pointer: &str, body: &Value) -> Result<String, String> {
    let login = login(UsernameField::Json(pointer.into()));
    username(&login, body.to_string().as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|fault| fault.detail)
}

#[test]
fn an_object_on_the_way_has_a_thousand_members_at_most() {
    let mut body = object(json!({ "username": "ada" }));
    for n in 0..999 {
        body.insert(format!("note{n}"), json!(1));
    }
    assert_eq!(find(&body, "/username"), Ok(Some(&json!("ada"))));
    body.insert("note".into(), json!(1));
    assert_eq!(find(&body, "/username"), Err("more than 1000 members".into()));
}

#[test]
fn a_number_beside_a_number_could_be_an_index() {
    let refused = "a member that could be taken for another: \"1\"";
    assert_eq!(find(&object(json!({ "0": "ada", "1": "bob" })), "/0"), Err(refused.into()));
    for body in [json!({ "0": "ada", "name": "x" }), json!({ "0": "ada" })] {
        assert_eq!(find(&object(body.clone()), "/0"), Ok(Some(&json!("ada"))), "{body}");
    }
    assert_eq!(find(&object(json!({ "username": "ada", "1": "x" })), "/username"), Ok(Some(&json!("ada"))));
}

#[test]
fn only_the_way_to_the_username_may_have_its_names() {
    for (pointer, body) in [
        ("/user/email", json!({ "user": { "email": "ada" } })),
        ("/user/email", json!({ "user": { "email": "ada", "remember": true }, "lang": "de" })),
        ("/user/name", json!({ "user": { "name": "ada", "settings": { "theme": "dark" } } })),
    ] {
        assert_eq!(read(pointer, &body), Ok("ada".into()), "{body}");
    }
    for (pointer, body) in [
        ("/user/name", json!({ "user": { "name": "ada", "tenant": "x" } })),
        ("/user/name", json!({ "user": { "name": "ada", "deep": { "tenant": "x" } } })),
        ("/user/name", json!({ "user": { "name": "ada" }, "deep": [{ "email": "x" }] })),
    ] {
        let refused = read(pointer, &body).unwrap_err();
        assert!(refused.contains("choose the account"), "{body}: {refused}");
    }
}

#[test]
fn the_reason_says_what_is_wrong_with_the_member() {
    for (body, reason) in [
        (json!({ "user": { "name": 1 } }), "the username is not text"),
        (json!({ "user": "ada" }), "/user/name is not in an object"),
        (json!({ "user": { "id": "ada" } }), "nothing at /user/name"),
        (json!({ "user": { "name": "ada", "Name": "bob" } }), "could be taken for the wanted one: \"Name\""),
    ] {
        let refused = read("/user/name", &body).unwrap_err();
        assert!(refused.contains(reason), "{body}: {refused}");
    }
}
