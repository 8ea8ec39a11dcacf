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
