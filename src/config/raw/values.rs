//! Values that operators may write in two ways.

use serde_json::Value;

use crate::config::read::Read;

/// A text, or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl Read for OneOrMany {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        match value {
            Value::String(text) => Self(vec![text]),
            list => Self(Read::read(list, wrong)),
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

impl Read for Introspection {
    fn read(value: Value, wrong: &mut Vec<String>) -> Self {
        match value {
            Value::String(url) => Self::Url(url),
            other => Self::Discovered(Read::read(other, wrong)),
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
