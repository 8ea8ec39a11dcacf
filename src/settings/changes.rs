//! Which fields differ between two versions, as paths such as `identity_providers[0].oidc.client_id`.

use serde_json::Value;

use crate::values::order;

/// Paths that one version lists at the most.
const MOST: usize = 50;

/// The paths at which two settings differ, in order. A secret is one path, and its value is in none.
pub fn between(old: &Value, new: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    walk(old, new, "", &mut paths);
    paths.truncate(MOST);
    paths
}

fn walk(old: &Value, new: &Value, path: &str, paths: &mut Vec<String>) {
    if old == new || paths.len() >= MOST {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) if !is_secret(path) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            order::sort(&mut names);
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                walk(&of(old), &of(new), &path, paths);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for i in 0..old.len().max(new.len()) {
                let of = |list: &[Value]| list.get(i).cloned().unwrap_or(Value::Null);
                walk(&of(old), &of(new), &format!("{path}[{i}]"), paths);
            }
        }
        _ => paths.push(path.to_owned()),
    }
}

fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    super::secrets::FIELDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_differs_is_named_once() {
        let old = json!({ "sso": "disabled", "identity_providers": [{ "id": "a", "oidc": { "client_id": "x",
            "client_secret": { "value": "1" } } }], "mapping": { "claim": "email" } });
        let mut new = old.clone();
        assert!(between(&old, &new).is_empty());
        new["sso"] = json!("enabled");
        new["identity_providers"][0]["oidc"]["client_secret"] = json!({ "value": "2", "env": "B" });
        new["mapping"] = json!({ "claim": "phone", "attribute": "phone" });
        assert_eq!(
            between(&old, &new),
            ["identity_providers[0].oidc.client_secret", "mapping.attribute", "mapping.claim", "sso"]
        );
        new["identity_providers"] = json!([]);
        assert_eq!(between(&old, &new)[0], "identity_providers[0]");
    }
}
