//! `when`: is this body the login, or another request at the same path?

use serde_json::{Map, Value};

use super::{form, json};
use crate::config::When;
use crate::values::names::{careless, invisible};

/// True for a body with all of these fields. `Err`: the body cannot be told apart with certainty.
pub fn is_form_login(when: &When, fields: &[form::Field]) -> Result<bool, String> {
    let When::Form(wanted) = when else { return Ok(false) };
    let mut told = Ok(true);
    for (field, wanted) in wanted {
        told = match form::find(fields, field)? {
            None => Ok(false),
            Some(found) => and(told, text(field, found, wanted)),
        };
        if told == Ok(false) {
            return told;
        }
    }
    told
}

/// Like [`is_form_login`], for JSON.
pub fn is_json_login(when: &When, body: &Map<String, Value>) -> Result<bool, String> {
    let When::Json(wanted) = when else { return Ok(false) };
    let mut told = Ok(true);
    for (pointer, wanted) in wanted {
        let one = match (json::find(body, pointer)?, wanted) {
            (None | Some(Value::Null), _) => Ok(false),
            (Some(Value::String(found)), Value::String(wanted)) => text(pointer, found, wanted),
            (Some(Value::Number(found)), Value::Number(wanted)) => Ok(found.as_f64() == wanted.as_f64()),
            (Some(Value::Bool(found)), Value::Bool(wanted)) => Ok(found == wanted),
            (Some(_), _) => Err(format!("{pointer} is of another type than when has it")),
        };
        told = and(told, one);
        if told == Ok(false) {
            return told;
        }
    }
    told
}

/// One field that certainly differs decides; without it one that is uncertain does.
fn and(all: Result<bool, String>, one: Result<bool, String>) -> Result<bool, String> {
    match (&all, &one) {
        (_, Ok(false)) => one,
        (Ok(true), _) => one,
        _ => all,
    }
}

fn text(field: &str, found: &str, wanted: &str) -> Result<bool, String> {
    if found == wanted {
        return Ok(true);
    }
    // Some application trims, ignores case, decodes once more or stops at NUL.
    if careless(found) == careless(wanted) || found.chars().any(|c| invisible(c) || matches!(c, '%' | '\\')) {
        return Err(format!("{field} could be taken for the value in when"));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::values::json::parse_object;

    fn forms(wanted: &[(&str, &str)], body: &str) -> Option<bool> {
        let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        is_form_login(&When::Form(wanted), &form::parse(body.as_bytes()).ok()?).ok()
    }

    fn documents(wanted: &[(&str, Value)], body: &str) -> Option<bool> {
        let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        is_json_login(&When::Json(wanted), &parse_object(body.as_bytes(), 1 << 16).ok()?).ok()
    }

    #[test]
    fn a_form_is_the_login_or_certainly_another_request() {
        let grant = [("grant_type", "password")];
        for (body, told) in [
            ("grant_type=password&x=1", Some(true)),
            ("x=1&%67rant_type=pass%77ord", Some(true)),
            ("grant_type=refresh_token", Some(false)),
            ("refresh_token=x", Some(false)),
            ("grant_type=passwords", Some(false)),
            ("grant_type=", Some(false)),
            ("grant_type=password&grant_type=password", None),
            ("grant_type=x&grant_type=password", None),
            ("grant_type=Password", None),
            ("grant_type=+password", None),
            ("grant_type=password%00x", None),
            ("grant_type=%2570assword", None),
            ("grant_type", None),
            ("grant_type[]=password", None),
            ("x.grant_type=password", None),
            ("GrantType=password", None),
        ] {
            assert_eq!(forms(&grant, body), told, "{body}");
        }
        let both = [("a", "1"), ("b", "2")];
        for (body, told) in
            [("a=1&b=2", Some(true)), ("a=1&b=3", Some(false)), ("a=1", Some(false)), ("b=2&a=%001", None)]
        {
            assert_eq!(forms(&both, body), told, "{body}");
        }
        // One field that certainly differs decides, however unclear another one is.
        assert_eq!(forms(&[("a", "x"), ("b", "2")], "a=X&b=3"), Some(false));
        assert_eq!(documents(&[("/a", json!("x"))], r#"{"a":"x"}"#), Some(true));
    }

    #[test]
    fn a_document_is_the_login_or_certainly_another_request() {
        let wanted = [("/op/name", json!("login")), ("/v", json!(2)), ("/sure", json!(true))];
        for (body, told) in [
            (r#"{"op":{"name":"login"},"v":2,"sure":true,"x":1}"#, Some(true)),
            (r#"{"op":{"name":"login"},"v":2.0,"sure":true}"#, Some(true)),
            (r#"{"op":{"name":"list"},"v":2,"sure":true}"#, Some(false)),
            (r#"{"op":{"name":"login"},"v":3,"sure":true}"#, Some(false)),
            (r#"{"op":{"name":"login"},"v":2,"sure":false}"#, Some(false)),
            (r#"{"op":{"name":null},"v":2,"sure":true}"#, Some(false)),
            (r#"{"op":null,"v":2}"#, Some(false)),
            ("{}", Some(false)),
            (r#"{"op":{"name":"Login"},"v":2,"sure":true}"#, None),
            (r#"{"op":{"name":["login"]},"v":2,"sure":true}"#, None),
            (r#"{"op":{"name":"login"},"v":"2","sure":true}"#, None),
            (r#"{"op":{"name":"login"},"v":2,"sure":"true"}"#, None),
            (r#"{"op":["login"],"v":2,"sure":true}"#, None),
            (r#"{"op":{"name":"login"},"Op":1,"v":2,"sure":true}"#, None),
            (r#"{"op":{"name":"login","name":"x"},"v":2,"sure":true}"#, None),
        ] {
            assert_eq!(documents(&wanted, body), told, "{body}");
        }
    }
}
