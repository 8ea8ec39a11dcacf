//! The configuration: the same as JSON and as a Struct, and no secret in what is said about it.

use envoy_sso::config::{load, Placeholders};
use envoy_sso::values::json::parse_strict;
use serde_json::{Map, Value};

/// What a secret's `value` holds in the seeds.
const CANARY: &str = "S3CRET-canary";

pub fn run(data: &[u8]) {
    let loaded = said(data);
    let Ok(Value::Object(document)) = serde_json::from_slice::<Value>(data) else { return };
    if only_as_secret(&Value::Object(document.clone()), false) {
        assert!(!loaded.1.contains(CANARY), "a secret is shown: {}", loaded.1);
    }
    // A Struct has each key once, and JSON must.
    if parse_strict(data, usize::MAX).is_err_and(|why| why.contains("is there twice")) {
        assert!(!loaded.0, "a key is there twice");
        return;
    }
    // A Struct without fields is no bytes at all.
    if !document.is_empty() && same_in_both(&Value::Object(document.clone()), 0) {
        assert_eq!(said(&fields(&document)), loaded, "JSON and Struct are not the same");
    }
}

/// Whether it was loaded, and all that was said about it.
fn said(bytes: &[u8]) -> (bool, String) {
    match load(bytes, &Placeholders) {
        Ok(config) => {
            assert!(!config.accounts.is_empty());
            assert!(config.accounts.iter().all(|account| !account.origins.is_empty()));
            // Debug of a map has no order.
            (true, format!("{:?} {:?} {:?}", config.accounts, config.session, config.warnings))
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            (false, format!("{problems:?}"))
        }
    }
}

fn only_as_secret(value: &Value, secret: bool) -> bool {
    match value {
        Value::String(text) => secret && text == CANARY || !text.contains(CANARY),
        Value::Array(list) => list.iter().all(|v| only_as_secret(v, false)),
        Value::Object(map) => map.iter().all(|(k, v)| !k.contains(CANARY) && only_as_secret(v, k == "value")),
        _ => true,
    }
}

/// Protobuf knows doubles alone, and the reader's depth is that of a Struct.
fn same_in_both(value: &Value, depth: usize) -> bool {
    match value {
        Value::Number(n) => n.as_i64().is_some_and(|n| n.unsigned_abs() < 1 << 53),
        Value::Array(list) => depth < 12 && list.iter().all(|v| same_in_both(v, depth + 1)),
        Value::Object(map) => depth < 12 && map.values().all(|v| same_in_both(v, depth + 1)),
        _ => true,
    }
}

fn fields(map: &Map<String, Value>) -> Vec<u8> {
    let entry = |(k, v): (&String, &Value)| [field(1, k.as_bytes()), field(2, &value(v))].concat();
    map.iter().flat_map(|pair| field(1, &entry(pair))).collect()
}

fn value(v: &Value) -> Vec<u8> {
    match v {
        Value::Null => vec![1 << 3, 0],
        Value::Bool(b) => vec![4 << 3, u8::from(*b)],
        Value::Number(n) => [vec![2 << 3 | 1], n.as_f64().unwrap().to_le_bytes().to_vec()].concat(),
        Value::String(s) => field(3, s.as_bytes()),
        Value::Object(map) => field(5, &fields(map)),
        Value::Array(list) => field(6, &list.iter().flat_map(|v| field(1, &value(v))).collect::<Vec<_>>()),
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}
