//! JSON from outside, read strictly: no duplicate keys, bounded in size and depth.
//!
//! Parsers differ on which of two equal keys counts, so an answer that holds both can say one thing to us
//! and another to the next reader (RFC 8259 section 4; RFC 7519 section 4 lets a JWT be refused for it).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Arrays and objects may nest this deep.
pub const MAX_DEPTH: usize = 32;

/// Reads one JSON value of at most `max` bytes: UTF-8, nothing behind it, no key twice in any object.
/// The error names what is wrong, never the content around it.
pub fn parse_strict(bytes: &[u8], max: usize) -> Result<Value, String> {
    if bytes.len() > max {
        return Err(format!("{} bytes are more than the {max} that are read", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|e| describe(&e))?;
    reader.end().map_err(|e| describe(&e))?;
    Ok(value)
}

/// The same for an object.
pub fn parse_object(bytes: &[u8], max: usize) -> Result<Map<String, Value>, String> {
    match parse_strict(bytes, max)? {
        Value::Object(map) => Ok(map),
        other => Err(format!("expected a JSON object, found {}", kind(&other))),
    }
}

/// A member by its name, taken literally first (`https://app/roles` is one name); a name that starts with
/// `/` and is not a member is read as a JSON Pointer (RFC 6901).
pub fn pointer<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = map.get(name) {
        return Some(value);
    }
    let mut tokens = name.strip_prefix('/')?.split('/');
    let mut value = map.get(&unescape(tokens.next()?)?)?;
    for token in tokens {
        value = match value {
            Value::Object(map) => map.get(&unescape(token)?)?,
            // RFC 6901 section 4: digits without a leading zero.
            Value::Array(items)
                if token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit())) =>
            {
                items.get(token.parse::<usize>().ok()?)?
            }
            _ => return None,
        };
    }
    Some(value)
}

/// True if [`pointer()`] may read the claim of this name in the member.
pub fn reads(name: &str, member: &str) -> bool {
    let first = || unescape(name.strip_prefix('/')?.split('/').next()?);
    name == member || first().is_some_and(|first| first == member)
}

/// A value as JSON text. `Value`'s own `to_string` goes through the machinery of `format!`, at twice the cost.
pub fn text(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Sets a member of an object. A value of another kind stays as it is, for the check that follows to refuse.
pub fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// What a value is, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

fn describe(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Eof => "truncated JSON".to_owned(),
        // Our own messages; they name at most a key.
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("not JSON (line {}, column {})", error.line(), error.column()),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            // One search for each key: an object of thousands costs what its comparisons cost.
            match map.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                }
                Entry::Occupied(known) => {
                    let short: String = known.key().chars().take(40).collect();
                    return Err(serde::de::Error::custom(format!("the key {short:?} is there twice")));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn good_json_is_read_as_it_stands() {
        let text = r#" {"a":[1,-2,1.5,"x",null,true],"b":{"c":{}},"d":18446744073709551615} "#;
        assert_eq!(parse_strict(text.as_bytes(), 100).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_read_two_ways_is_refused() {
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n)).into_bytes();
        assert!(parse_strict(&deep(MAX_DEPTH), 1000).is_ok());
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (br#"{"a":1,"a":1}"#.to_vec(), "\"a\" is there twice"),
            (br#"{"b":[{"a":1,"\u0061":2}]}"#.to_vec(), "\"a\" is there twice"),
            (deep(MAX_DEPTH + 1), "nested deeper"),
            (deep(10_000), "nested deeper"),
            (br#"{"a":1"#.to_vec(), "truncated"),
            (br#"{"a":1} x"#.to_vec(), "not JSON"),
            (b"<html>".to_vec(), "not JSON"),
            (b"".to_vec(), "truncated"),
            (b"{\"a\":\"\xff\"}".to_vec(), "not UTF-8"),
            (vec![b' '; 40_000], "more than"),
        ];
        for (bytes, why) in cases {
            let error = parse_strict(&bytes, 30_000).unwrap_err();
            assert!(error.contains(why), "{error} does not say {why}");
        }
        assert!(parse_object(b"[]", 10).unwrap_err().contains("an array"));
    }

    #[test]
    fn claims_are_found_by_name_before_pointer() {
        let Value::Object(map) = json!({
            "email": "a", "https://app/roles": "b", "/literal/x": "c", "literal": {"x": "d"},
            "realm_access": {"roles": ["r0", "r1"]}, "a/b": {"m~n": 1}, "n": null,
        }) else {
            panic!()
        };
        for (name, expected) in [
            ("email", Some(json!("a"))),
            ("https://app/roles", Some(json!("b"))),
            ("/literal/x", Some(json!("c"))),
            ("/email", Some(json!("a"))),
            ("/realm_access/roles/1", Some(json!("r1"))),
            ("/realm_access/roles/01", None),
            ("/realm_access/roles/+1", None),
            ("/realm_access/roles/2", None),
            ("/a~1b/m~0n", Some(json!(1))),
            ("/a~1b/m~2n", None),
            ("/email/x", None),
            ("realm_access.roles", None),
            ("/", None),
            ("", None),
            ("/n", Some(Value::Null)),
        ] {
            assert_eq!(pointer(&map, name), expected.as_ref(), "{name}");
        }
    }
}
