//! The URLs of a provider that an administrator named, each held to the fence.

use serde_json::{Map, Value};
use url::Url;

use super::{Bounds, Problem};

/// The fields that hold a secret.
pub const SECRETS: [&str; 3] = ["client_secret", "private_key", "client_assertion"];

/// `issuer` and `entity_id` are names that are compared, scopes and parameters are text for the provider.
const NO_URLS: [&str; 13] = [
    "issuer",
    "entity_id",
    "scope",
    "authorization_params",
    "token_params",
    "userinfo_params",
    "logout_params",
    "jwks",
    "title",
    "email_domains",
    "certificates",
    "certificate",
    "client_id",
];

/// What is outside the fence: every URL must be https, its host listed, and reached by a cluster.
pub(super) fn outside(provider: &Value, path: &str, bounds: &Bounds) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(provider, path, bounds, &mut problems);
    problems
}

fn walk(value: &Value, path: &str, bounds: &Bounds, problems: &mut Vec<Problem>) {
    match value {
        Value::Object(map) => inner(map, path, bounds, problems),
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                walk(value, &format!("{path}[{i}]"), bounds, problems);
            }
        }
        Value::String(text) => {
            let Ok(url) = Url::parse(text) else { return };
            let refused = bounds.refuses(&url);
            problems.extend(refused.map(|message| Problem { path: path.to_owned(), message }));
        }
        _ => {}
    }
}

fn inner(map: &Map<String, Value>, path: &str, bounds: &Bounds, problems: &mut Vec<Problem>) {
    for (name, value) in map {
        if !NO_URLS.contains(&name.as_str()) && !SECRETS.contains(&name.as_str()) {
            walk(value, &format!("{path}.{name}"), bounds, problems);
        }
    }
}
