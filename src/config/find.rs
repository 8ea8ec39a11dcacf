//! For the command line: the configurations in a YAML or JSON file, which may also be an Envoy
//! configuration, an Istio `WasmPlugin` or `EnvoyFilter` that holds them.

use serde::Deserialize;
use serde_json::Value;

/// Every configuration in the text: the document itself, or what it holds for this filter.
pub fn find_in_text(text: &str) -> Result<Vec<Value>, String> {
    let mut documents = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let value =
            Value::deserialize(document).map_err(|error| format!("is neither YAML nor JSON: {error}"))?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    let mut found = Vec::new();
    documents.iter().for_each(|document| search(document, &mut found));
    match (found.is_empty(), documents) {
        (false, _) => Ok(found),
        (true, mut documents) if documents.len() == 1 => Ok(vec![documents.remove(0)]),
        (true, documents) if documents.is_empty() => Err("is empty".into()),
        (true, _) => Err("holds no configuration of this filter".into()),
    }
}

/// A configuration is what has `accounts` and `session`; elsewhere it stands in `configuration`
/// (PluginConfig, as a StringValue or a Struct) or `pluginConfig` (WasmPlugin).
fn search(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(map) => {
            if map.contains_key("accounts") && map.contains_key("session") {
                found.push(value.clone());
                return;
            }
            if let (Some(kind), Some(inner)) = (map.get("@type").and_then(Value::as_str), map.get("value")) {
                if kind.ends_with("google.protobuf.StringValue") {
                    let text = inner.as_str().unwrap_or_default();
                    if let Ok(inner) = serde_json::from_str::<Value>(text) {
                        search(&inner, found);
                    }
                    return;
                }
            }
            map.values().for_each(|value| search(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| search(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn configurations_are_found_wherever_they_stand() {
        let own = json!({ "session": {}, "accounts": [] });
        let string = json!({ "a": [{ "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": own.to_string() } }] });
        let istio = json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": own } });
        for document in [&own, &string, &istio] {
            assert_eq!(find_in_text(&document.to_string()), Ok(vec![own.clone()]), "{document}");
        }
        assert_eq!(find_in_text("session: {}\naccounts: []\n---\nkind: Service\n"), Ok(vec![own]));
        assert_eq!(
            find_in_text("sesion: {}"),
            Ok(vec![json!({ "sesion": {} })]),
            "judged as a configuration"
        );
        assert!(find_in_text("").is_err());
        assert!(find_in_text("a: [").is_err());
    }
}
