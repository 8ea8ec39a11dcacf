//! Values that operators may write in two ways.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// A text, or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(vec![text])),
            Value::Array(list) => {
                let texts = list.into_iter().map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(D::Error::custom("expected a list of strings")),
                });
                Ok(Self(texts.collect::<Result<_, _>>()?))
            }
            _ => Err(D::Error::custom("expected a string or a list of strings")),
        }
    }
}

/// Whether tokens are introspected, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// At the endpoint that discovery names, or not at all.
    Discovered(bool),
    /// At this URL.
    Url(String),
}

impl<'de> Deserialize<'de> for Introspection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(on) => Ok(Self::Discovered(on)),
            Value::String(url) => Ok(Self::Url(url)),
            _ => Err(D::Error::custom("expected true, false or a URL")),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};

    use super::{Introspection, OneOrMany};

    impl JsonSchema for OneOrMany {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "OneOrMany".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
        }
    }

    impl JsonSchema for Introspection {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Introspection".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": ["boolean", "string"] })
        }
    }
}
