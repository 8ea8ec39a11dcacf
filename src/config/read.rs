//! From a document that `schema` has checked to the types in `raw`. serde's derive would read structs from lists
//! too, and leave each halfway for every mistake: 120 KB of wasm.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A type of the configuration.
pub trait Read {
    /// Reads the value. What it cannot be is noted in `wrong`, and something neutral returned.
    fn read(value: Value, wrong: &mut Vec<String>) -> Self;
}

/// Reads a member of an object; absent, it is the default. The name is the field's in Rust: `r#in` is `in`.
pub fn member<T: Read + Default>(object: &mut Map<String, Value>, name: &str, wrong: &mut Vec<String>) -> T {
    object.remove(name.trim_start_matches("r#")).map(|value| T::read(value, wrong)).unwrap_or_default()
}

/// Reads an object.
pub fn object(value: Value, wrong: &mut Vec<String>) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => unexpected(&other, "an object", wrong),
    }
}

/// Notes what was expected instead of the value.
pub fn unexpected<T: Default>(value: &Value, expected: &str, wrong: &mut Vec<String>) -> T {
    wrong.push(format!("expected {expected}, found {}", crate::values::json::kind(value)));
    T::default()
}

impl Read for Value {
    fn read(value: Value, _: &mut Vec<String>) -> Self {
        value
    }
}

impl Read for String {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        match value {
            Value::String(text) => text,
            other => unexpected(&other, "a text", wrong),
        }
    }
}

impl Read for bool {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        value.as_bool().unwrap_or_else(|| unexpected(&value, "true or false", wrong))
    }
}

impl Read for u32 {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        let number = value.as_u64().and_then(|number| number.try_into().ok());
        number.unwrap_or_else(|| unexpected(&value, "a number from 0 to 4294967295", wrong))
    }
}

impl Read for u16 {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        let number = value.as_u64().and_then(|number| number.try_into().ok());
        number.unwrap_or_else(|| unexpected(&value, "a number from 0 to 65535", wrong))
    }
}

impl<T: Read> Read for Option<T> {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        (!value.is_null()).then(|| T::read(value, wrong))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        match value {
            Value::Array(list) => list.into_iter().map(|item| T::read(item, wrong)).collect(),
            other => unexpected(&other, "a list", wrong),
        }
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        let mut map = Self::new();
        for (name, value) in object(value, wrong) {
            map.insert(name, T::read(value, wrong));
        }
        map
    }
}
