//! The plugin configuration's bytes as JSON: Envoy hands a StringValue over as its text and, since 1.40
//! seen, a Struct as protobuf bytes (google/protobuf/struct.proto).

use serde::de::DeserializeSeed;
use serde_json::{Map, Number, Value};

use super::problems::At;
use super::unique::Unique;

/// The largest configuration that is read: a thousand accounts take about two megabytes.
pub(super) const MAX: usize = 64 << 20;

/// How deeply a Struct may nest.
const DEPTH: usize = 32;

/// Reads JSON text, or a protobuf Struct. A key that stands twice is a problem at its path.
pub(super) fn read(bytes: &[u8], at: &At<'_>) -> Result<Value, String> {
    if bytes.is_empty() {
        return Err("no configuration: expected a JSON object, or a Struct".into());
    }
    if bytes.len() > MAX {
        return Err(format!("the configuration is larger than {MAX} bytes"));
    }
    let value = match json(bytes, at) {
        Ok(value) => value,
        Err(error) if starts_like_json(bytes) => return Err(format!("is not JSON: {error}")),
        Err(_) => match fields(bytes, DEPTH) {
            Some(map) => Value::Object(map),
            None => return Err("is neither JSON nor a google.protobuf.Struct".into()),
        },
    };
    match value {
        Value::Object(_) => Ok(value),
        _ => Err("expected a JSON object".into()),
    }
}

/// JSON text.
pub(super) fn json(bytes: &[u8], at: &At<'_>) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unique(at).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn starts_like_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'['))
        // A Struct's first byte is a newline too, and the length after it may be that of '{' or '['.
        && fields(bytes, DEPTH).is_none()
}

/// `message Struct { map<string, Value> fields = 1; }`
fn fields(bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    for field in Message(bytes) {
        let (1, Wire::Bytes(entry)) = field? else { return None };
        let (mut key, mut value) = (String::new(), Value::Null);
        for part in Message(entry) {
            match part? {
                (1, Wire::Bytes(text)) => key = String::from_utf8(text.to_vec()).ok()?,
                (2, Wire::Bytes(bytes)) => value = one(bytes, depth.checked_sub(1)?)?,
                _ => return None,
            }
        }
        map.insert(key, value);
    }
    Some(map)
}

/// `message Value { oneof kind { null 1, number 2, string 3, bool 4, struct 5, list 6 } }`
fn one(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut value = Value::Null;
    for field in Message(bytes) {
        value = match field? {
            (1, Wire::Varint(_)) => Value::Null,
            (2, Wire::Fixed64(bits)) => number(f64::from_bits(bits))?,
            (3, Wire::Bytes(text)) => Value::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Wire::Varint(bit)) => Value::Bool(bit != 0),
            (5, Wire::Bytes(bytes)) => Value::Object(fields(bytes, depth)?),
            (6, Wire::Bytes(bytes)) => {
                let mut list = Vec::new();
                for field in Message(bytes) {
                    let (1, Wire::Bytes(item)) = field? else { return None };
                    list.push(one(item, depth.checked_sub(1)?)?);
                }
                Value::Array(list)
            }
            _ => return None,
        };
    }
    Some(value)
}

/// A Struct knows doubles only; whole ones are integers to every reader.
fn number(value: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Some(Value::Number(Number::from(value as i64)));
    }
    Number::from_f64(value).map(Value::Number)
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message; `None` once for bytes that are none.
struct Message<'a>(&'a [u8]);

impl<'a> Iterator for Message<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let (bits, rest) = self.0.split_first_chunk::<8>()?;
                self.0 = rest;
                Wire::Fixed64(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, wire))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::Problems;
    use serde_json::json;

    fn read(bytes: &[u8]) -> Result<Value, String> {
        super::read(bytes, &Problems::default().root())
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length as u8) | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(bytes);
        out
    }

    fn encode(value: &Value) -> Vec<u8> {
        match value {
            Value::Null => vec![1 << 3, 0],
            Value::Bool(b) => vec![4 << 3, u8::from(*b)],
            Value::Number(n) => [vec![2 << 3 | 1], n.as_f64().unwrap().to_le_bytes().to_vec()].concat(),
            Value::String(s) => field(3, s.as_bytes()),
            Value::Array(list) => {
                field(6, &list.iter().flat_map(|v| field(1, &encode(v))).collect::<Vec<_>>())
            }
            Value::Object(map) => field(5, &encode_map(map)),
        }
    }

    fn encode_map(map: &Map<String, Value>) -> Vec<u8> {
        map.iter()
            .flat_map(|(k, v)| field(1, &[field(1, k.as_bytes()), field(2, &encode(v))].concat()))
            .collect()
    }

    #[test]
    fn a_struct_and_its_json_are_the_same_document() {
        let document = json!({
            "accounts": [{"origins": ["https://a"], "limit": 10, "half": 0.5, "on": true, "none": null}],
            "long": "x".repeat(300), "empty": {}, "list": [],
        });
        assert_eq!(read(&encode_map(document.as_object().unwrap())).unwrap(), document);
        assert_eq!(read(document.to_string().as_bytes()).unwrap(), document);
        assert_eq!(read(format!("\n{document}").as_bytes()).unwrap(), document);
    }

    #[test]
    fn what_is_neither_is_refused() {
        let cut = encode_map(json!({"session": {"idle": "1h"}}).as_object().unwrap());
        for bytes in [&b""[..], b"[]", b"{", b"\n{", b"\xff\xff", b"true", &cut[..cut.len() - 1]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut value = json!(1);
        for _ in 0..200 {
            value = json!({ "a": value });
        }
        assert!(read(&encode_map(value.as_object().unwrap())).is_err());
    }
}
