//! Secrets in settings: they go in as a value and never come out. An administrator who changes something else sends
//! `{"set": true}`, and the secret stays, unless it would go to another server or for another client than it was made for.

use serde_json::{json, Map, Value};

use crate::config::Problem;
use crate::values::order;

pub use crate::config::SECRETS as FIELDS;

/// The longest private key, in bytes of PEM: RSA of 4096 bits has 3.3 KB. Each bit more costs every account of a worker:
/// one signature with 32,768 bits takes minutes.
const MAX_PRIVATE_KEY: usize = 3_600;

/// The settings as they are shown: `{"set": true}` in the place of every secret.
pub fn hidden(settings: &Value) -> Value {
    match settings {
        Value::Object(map) => {
            let shown = |(name, value): (&String, &Value)| match FIELDS.contains(&name.as_str())
                && value.is_object()
            {
                true => (name.clone(), json!({ "set": true })),
                false => (name.clone(), hidden(value)),
            };
            Value::Object(order::gathered(map.iter().map(shown)))
        }
        Value::Array(list) => list.iter().map(hidden).collect(),
        other => other.clone(),
    }
}

/// Puts the secrets that stay in the place of `{"set": true}`: those of the provider with the same id in one of the
/// settings before, the first that has it. Everything else than a value or `{"set": true}` is a problem.
pub fn keep(settings: &mut Value, before: &[&Value], problems: &mut Vec<Problem>) {
    let Some(providers) = settings.get_mut("identity_providers").and_then(Value::as_array_mut) else {
        return;
    };
    for (i, provider) in providers.iter_mut().enumerate() {
        let id = provider.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let same: Vec<Value> = before.iter().filter_map(|settings| by_id(settings, &id)).cloned().collect();
        let is_for_others = |old: &Value| audience(old) != audience(provider);
        let usable: Vec<Value> = same.iter().filter(|old| !is_for_others(old)).cloned().collect();
        let moved = !same.is_empty() && usable.is_empty();
        walk(provider, &usable, moved, &format!("identity_providers[{i}]"), problems);
    }
}

fn by_id<'v>(settings: &'v Value, id: &str) -> Option<&'v Value> {
    let providers = settings.get("identity_providers")?.as_array()?;
    providers.iter().find(|provider| provider.get("id").and_then(Value::as_str) == Some(id))
}

/// Whom a provider's secrets are for: its client, and every host that it names.
fn audience(provider: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(provider, "", &mut found);
    order::sort(&mut found);
    found.dedup();
    found
}

fn collect(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            if !FIELDS.contains(&name.as_str()) {
                collect(value, name, found);
            }
        }),
        Value::Array(list) => list.iter().for_each(|value| collect(value, name, found)),
        Value::String(text) if name == "client_id" => found.push(format!("client {text}")),
        Value::String(text) => {
            let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if let Some(url) = url {
                found.push(format!("host {}", crate::http::authority(&url)));
            }
        }
        _ => {}
    }
}

fn walk(value: &mut Value, before: &[Value], moved: bool, path: &str, problems: &mut Vec<Problem>) {
    let Some(map) = value.as_object_mut() else { return };
    for (name, value) in map {
        let path = format!("{path}.{name}");
        let inner: Vec<Value> = before.iter().filter_map(|old| old.get(name)).cloned().collect();
        if !FIELDS.contains(&name.as_str()) || value.is_null() {
            walk(value, &inner, moved, &path, problems);
            continue;
        }
        let problem = match value.as_object() {
            Some(secret) if secret.get("set") == Some(&Value::Bool(true)) && secret.len() == 1 => {
                match inner.into_iter().next() {
                    Some(old) => {
                        *value = old;
                        None
                    }
                    None if moved => Some("must be entered again: the provider's host or client has changed"),
                    None => Some("is not set yet: enter it"),
                }
            }
            Some(secret) if secret.len() == 1 && secret.get("value").is_some_and(is_text) => {
                match name.as_str() {
                    "client_assertion" => Some("is the operator's: only the file can set it"),
                    "private_key" if is_too_long(secret) => Some("has more than 4096 bits"),
                    _ => None,
                }
            }
            _ => Some("expected {\"value\": \"…\"}, or {\"set\": true} to keep it"),
        };
        if let Some(problem) = problem {
            problems.push(Problem { path, message: problem.into() });
        }
    }
}

fn is_too_long(secret: &Map<String, Value>) -> bool {
    secret.get("value").and_then(Value::as_str).is_some_and(|text| text.len() > MAX_PRIVATE_KEY)
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(client: &str, host: &str, secret: Value) -> Value {
        json!({ "identity_providers": [{ "id": "corp", "oidc": {
            "discovery": format!("https://{host}/.well-known/openid-configuration"),
            "client_id": client, "client_secret": secret } }] })
    }

    fn kept(new: Value, before: &[&Value]) -> Result<Value, String> {
        let mut new = new;
        let mut problems = Vec::new();
        keep(&mut new, before, &mut problems);
        match problems.first() {
            None => Ok(new["identity_providers"][0]["oidc"]["client_secret"].clone()),
            Some(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn a_secret_never_comes_out() {
        let shown = hidden(&settings("app", "a.example.com", json!({ "value": "hunter2" })));
        assert_eq!(shown["identity_providers"][0]["oidc"]["client_secret"], json!({ "set": true }));
        let shown = hidden(
            &json!({ "saml": { "signing": { "private_key": { "env": "KEY" }, "certificate": "c" } } }),
        );
        assert_eq!(
            shown,
            json!({ "saml": { "signing": { "private_key": { "set": true }, "certificate": "c" } } })
        );
    }

    #[test]
    fn a_secret_stays_for_the_server_and_client_that_it_was_made_for() {
        let set = json!({ "set": true });
        let old = settings("app", "a.example.com", json!({ "env": "OIDC_SECRET" }));
        assert_eq!(
            kept(settings("app", "a.example.com", set.clone()), &[&old]),
            Ok(json!({ "env": "OIDC_SECRET" }))
        );
        for (client, host) in
            [("other", "a.example.com"), ("app", "b.example.com"), ("app", "a.example.com:8443")]
        {
            let refused = kept(settings(client, host, set.clone()), &[&old]).unwrap_err();
            assert!(refused.contains("host or client has changed"), "{refused}");
        }
        // One more endpoint on another host counts: the secret would be sent there.
        let mut more = settings("app", "a.example.com", set.clone());
        more["identity_providers"][0]["oidc"]["token_endpoint"] = json!("https://evil.example.com/token");
        assert!(kept(more, &[&old]).is_err());
        let mut other = settings("app", "a.example.com", set.clone());
        other["identity_providers"][0]["id"] = json!("new");
        assert!(kept(other, &[&old]).unwrap_err().contains("not set yet"));
        // The draft before the active settings.
        let draft = settings("app", "b.example.com", json!({ "value": "2" }));
        assert_eq!(
            kept(settings("app", "b.example.com", set.clone()), &[&draft, &old]),
            Ok(json!({ "value": "2" }))
        );
        assert_eq!(
            kept(settings("app", "a.example.com", set), &[&draft, &old]),
            Ok(json!({ "env": "OIDC_SECRET" }))
        );
    }

    #[test]
    fn a_private_key_is_no_larger_than_usual_ones() {
        let problems = |bytes: usize| {
            let mut settings = json!({ "identity_providers": [{ "id": "saml", "saml": { "signing": {
                "private_key": { "value": "x".repeat(bytes) } } } }] });
            let mut problems = Vec::new();
            keep(&mut settings, &[], &mut problems);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(problems(MAX_PRIVATE_KEY), [""; 0]);
        let refused = problems(MAX_PRIVATE_KEY + 1);
        assert!(
            refused[0].starts_with("identity_providers[0].saml.signing.private_key: has more than 4096 bits")
        );
    }

    #[test]
    fn nothing_of_the_files_own_can_be_named() {
        for secret in [
            json!({ "env": "SSO_SESSION_KEY" }),
            json!({ "url": "http://files.internal/x" }),
            json!({ "value": "x", "env": "Y" }),
            json!({ "set": false }),
            json!({ "set": true, "value": "x" }),
            json!({ "value": "" }),
            json!({ "value": 1 }),
            json!("text"),
            json!([]),
        ] {
            let refused = kept(settings("app", "a.example.com", secret.clone()), &[]).unwrap_err();
            assert!(refused.starts_with("identity_providers[0].oidc.client_secret"), "{secret}: {refused}");
        }
        assert_eq!(
            kept(settings("app", "a.example.com", json!({ "value": "x" })), &[]),
            Ok(json!({ "value": "x" }))
        );
    }
}
