//! The shape of a configuration, checked as a whole so that every mistake is reported at once: serde stops
//! at the first. `schema.json` is made from the types in `raw` (a test compares them), and this walks
//! it: only what those types use, not JSON Schema at large.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use serde_json::{Map, Value};

use super::problems::At;

thread_local! {
    /// The schema as it was parsed last, as long as it is held.
    static PARSED: RefCell<Weak<Value>> = const { RefCell::new(Weak::new()) };
}

/// The schema, parsed. Parsing takes several times as long as checking an account, so hold it while you check many; it is too
/// large to be kept for ever.
pub fn parsed() -> Result<Rc<Value>, String> {
    if let Some(parsed) = PARSED.with_borrow(Weak::upgrade) {
        return Ok(parsed);
    }
    let parsed = serde_json::from_str::<Value>(SCHEMA).map(Rc::new).map_err(|error| error.to_string())?;
    PARSED.set(Rc::downgrade(&parsed));
    Ok(parsed)
}

/// The JSON Schema of the configuration, without the descriptions that `generate` has.
pub const SCHEMA: &str = include_str!("schema.json");

/// Reports every unknown field and wrong type, and puts something neutral in its place so that the rest
/// can still be checked. An unquoted `off` arrives as `false` from YAML 1.1; where a word is expected it
/// is read as the word.
pub(super) fn check(document: &mut Value, at: &At<'_>) {
    match parsed() {
        Ok(schema) => Walk { definitions: schema.get("$defs") }.value(document, &schema, at),
        Err(error) => at.problem(format!("the built-in schema is broken: {error}")),
    }
}

/// Reports what is wrong in one account alone, whose fields are those of `at`.
pub(super) fn check_account(account: &mut Value, at: &At<'_>) {
    let Ok(schema) = parsed() else { return at.problem("the built-in schema is broken") };
    let definitions = schema.get("$defs");
    match definitions.and_then(|all| all.get("Account")) {
        Some(own) => Walk { definitions }.value(account, own, at),
        None => at.problem("the built-in schema has no account"),
    }
}

/// Values that were compared with the schema so far: a measure of the work that does not depend on the machine.
#[cfg(test)]
pub(super) mod walked {
    use std::cell::Cell;

    thread_local! {
        static VALUES: Cell<usize> = const { Cell::new(0) };
    }

    pub fn one_more() {
        VALUES.set(VALUES.get() + 1);
    }

    pub fn values() -> usize {
        VALUES.get()
    }
}

struct Walk<'s> {
    definitions: Option<&'s Value>,
}

impl<'s> Walk<'s> {
    fn value(&self, value: &mut Value, schema: &'s Value, at: &At<'_>) {
        #[cfg(test)]
        walked::one_more();
        let (schema, nullable) = self.resolve(schema);
        if value.is_null() && nullable {
            return;
        }
        let words = words(schema);
        if !words.is_empty() {
            if *value == Value::Bool(false) && words.contains(&"off") {
                *value = Value::String("off".into());
            }
            if !value.as_str().is_some_and(|word| words.contains(&word)) {
                let found = match &*value {
                    Value::String(text) if text.len() <= 24 => format!("{text:?}"),
                    other => found(other),
                };
                at.problem(format!("expected one of {}, found {found}", words.join(", ")));
                *value = if nullable { Value::Null } else { words.first().copied().into() };
            }
            return;
        }
        let types = types(schema);
        match value {
            Value::Object(map) if types.contains(&"object") => self.object(map, schema, at),
            Value::Array(list) if types.contains(&"array") => {
                let Some(items) = schema.get("items") else { return };
                for (i, item) in list.iter_mut().enumerate() {
                    self.value(item, items, &at.index(i));
                }
            }
            _ if types.is_empty() || types.contains(&kind(value)) => {}
            Value::Number(n) if types.contains(&"integer") && n.as_u64().is_some() => {}
            _ => {
                let expected = match is_secret(schema) {
                    true => "an object with env (the variable that holds it), value or url".into(),
                    false => expected(&types),
                };
                at.problem(format!("expected {expected}, found {}", found(value)));
                *value = if nullable { Value::Null } else { neutral(&types) };
            }
        }
    }

    fn object(&self, map: &mut Map<String, Value>, schema: &'s Value, own: &At<'_>) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let mut unknown = Vec::new();
        for (name, value) in map.iter_mut() {
            let at = own.field(name);
            match (properties.and_then(|p| p.get(name)), others) {
                (Some(schema), _) => self.value(value, schema, &at),
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<&str> =
                        properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
                    match closest(name, &known) {
                        Some(near) => at.problem(format!("unknown field; did you mean {near}?")),
                        // `{ hunter2 }` is a field of that name in YAML.
                        None if is_secret(schema) => {
                            own.problem(format!(
                                "holds an unknown field; expected one of {}",
                                known.join(", ")
                            ));
                        }
                        None => at.problem(format!("unknown field; expected one of {}", known.join(", "))),
                    }
                    unknown.push(name.clone());
                }
                (None, Some(schema @ Value::Object(_))) => self.value(value, schema, &at),
                (None, _) => {}
            }
        }
        for name in unknown {
            map.remove(&name);
        }
    }

    /// Follows `$ref`, and `anyOf` with null, to what the value must be.
    fn resolve(&self, schema: &'s Value) -> (&'s Value, bool) {
        let mut schema = schema;
        let mut nullable = types(schema).contains(&"null");
        for _ in 0..8 {
            if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
                nullable |= choices.iter().any(|c| types(c).contains(&"null"));
                match choices.iter().find(|c| !types(c).contains(&"null")) {
                    Some(choice) => schema = choice,
                    None => return (schema, nullable),
                }
            } else if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
                let name = name.trim_start_matches("#/$defs/");
                match self.definitions.and_then(|d| d.get(name)) {
                    Some(definition) => schema = definition,
                    None => return (schema, nullable),
                }
            } else {
                break;
            }
        }
        (schema, nullable)
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn words(schema: &Value) -> Vec<&str> {
    schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn neutral(types: &[&str]) -> Value {
    match types.first() {
        Some(&"object") => Value::Object(Map::new()),
        Some(&"array") => Value::Array(Vec::new()),
        Some(&"string") => "".into(),
        Some(&"integer") => 0.into(),
        Some(&"boolean") => false.into(),
        _ => Value::Null,
    }
}

fn expected(types: &[&str]) -> String {
    let named = types.iter().filter(|t| **t != "null").map(|t| match *t {
        "array" => "a list",
        "object" => "an object",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "string" => "a string",
        other => other,
    });
    named.collect::<Vec<_>>().join(" or ")
}

/// Where `env` names the variable that holds a secret.
fn is_secret(schema: &Value) -> bool {
    schema.get("properties").is_some_and(|properties| properties.get("env").is_some())
}

/// What stands there, without the text itself: it may be a secret.
fn found(value: &Value) -> String {
    match value {
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::Number(_) => "a number".into(),
        other => other.to_string(),
    }
}

/// The known name that differs by at most two edits.
pub(super) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|k| (distance(name, k), *k))
        .filter(|(d, k)| *d <= 2 && *d < k.len())
        .min()
        .map(|(_, k)| k)
}

/// Levenshtein distance, by rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let (Some(diagonal), Some(above)) = (pair.first(), pair.last()) else { continue };
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// The schema as the types in `raw` give it.
#[cfg(not(target_family = "wasm"))]
pub fn generate() -> String {
    let mut schema = schemars::schema_for!(super::raw::Configuration).to_value();
    tidy(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Defaults say nothing here, and formats such as `uint16` belong to no JSON Schema vocabulary.
#[cfg(not(target_family = "wasm"))]
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("type") || map.contains_key("anyOf") || map.contains_key("$ref") {
                map.remove("default");
                if map.get("format").is_some_and(|f| f.as_str().is_some_and(|f| f.starts_with("uint"))) {
                    map.remove("format");
                }
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::Problems;
    use serde_json::json;

    #[test]
    fn the_schema_is_parsed_once_while_it_is_held() {
        let held = parsed().unwrap();
        assert!(Rc::ptr_eq(&held, &parsed().unwrap()));
        drop(held);
        assert!(PARSED.with_borrow(Weak::upgrade).is_none(), "it takes no memory afterwards");
    }

    fn bare(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                // A property may be named like a keyword; keywords hold text here.
                for keyword in ["description", "title", "$schema", "minimum", "maximum"] {
                    if map.get(keyword).is_some_and(|v| !v.is_object()) {
                        map.remove(keyword);
                    }
                }
                map.values_mut().for_each(bare);
            }
            Value::Array(list) => list.iter_mut().for_each(bare),
            _ => {}
        }
    }

    fn problems(mut document: Value) -> Vec<String> {
        let problems = Problems::default();
        check(&mut document, &problems.root());
        let list = problems.problems.into_inner();
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema.json");
        let mut schema: Value = serde_json::from_str(&generate()).unwrap();
        bare(&mut schema);
        // One line a type: small in the wasm, and a change shows where it is.
        let text = schema.to_string().replace("},\"", "},\n\"") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(SCHEMA, text, "run the tests with UPDATE_SCHEMA=1 to write it anew");
    }

    #[test]
    fn every_mistake_is_reported_with_its_path() {
        let found = problems(json!({
            "sesion": {},
            "session": { "keys": {}, "idle": 60 },
            "accounts": [
                { "origins": "https://a", "password": { "mode": "none", "attempts": { "limit": -1 } } },
                { "identity_providers": [{ "id": "a", "oidc": { "scopes": [] } }], "sso": true },
            ],
        }));
        let wanted = [
            "accounts[0].origins: expected a list",
            "accounts[0].password.attempts.limit: expected a whole number",
            "accounts[0].password.mode: expected one of enabled, admins, disabled, found \"none\"",
            "accounts[1].identity_providers[0].oidc.scopes: unknown field; did you mean scope?",
            "accounts[1].sso: expected one of enabled, disabled, found true",
            "sesion: unknown field; did you mean session?",
            "session.idle: expected a string, found a number",
            "session.keys: expected a list, found an object",
        ];
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for wanted in wanted {
            assert!(found.iter().any(|f| f.starts_with(wanted)), "{wanted} in {found:#?}");
        }
    }

    #[test]
    fn null_and_an_unquoted_off_are_understood() {
        let mut document =
            json!({ "cookies": { "domain": null }, "accounts": [{ "provisioning": { "mode": false } }] });
        let problems = Problems::default();
        check(&mut document, &problems.root());
        assert!(problems.problems.into_inner().is_empty());
        assert_eq!(document["accounts"][0]["provisioning"]["mode"], "off");
    }

    #[test]
    fn a_wrong_value_that_may_be_a_secret_is_not_shown() {
        let found = problems(json!({ "accounts": [{ "sso": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0" }] }));
        assert!(!found.concat().contains("c2Vjc"), "{found:?}");
        let oidc = |secret: Value| {
            let provider = json!({ "oidc": { "client_secret": secret } });
            json!({ "accounts": [{ "identity_providers": [provider] }] })
        };
        for (document, says) in [
            (oidc(json!("hunter2")), "client_secret: expected an object with env"),
            (oidc(json!(["hunter2"])), "client_secret: expected an object with env"),
            (
                oidc(json!({ "hunter2": null })),
                "client_secret: holds an unknown field; expected one of env, url, value",
            ),
            (oidc(json!({ "vaule": "hunter2" })), "client_secret.vaule: unknown field; did you mean value?"),
            (oidc(json!({ "env": ["hunter2"] })), "client_secret.env: expected a string, found a list"),
            (json!({ "session": { "keys": ["hunter2"] } }), "session.keys[0]: expected an object with env"),
            (json!({ "session": { "keys": "hunter2" } }), "session.keys: expected a list, found a string"),
        ] {
            let found = problems(document).concat();
            assert!(found.contains(says), "{says}: {found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
}
