//! What stands around a configuration in its file: the VM's variables, its flags, and Envoy's static clusters.

use envoy_sso::config::{Carrier, Config, Kind, PasswordMode, Problem, StaticClusters};
use serde_json::Value;

/// Warns of clusters that are not among the static ones of the file.
pub fn clusters(written: &Value, known: Option<&StaticClusters>) -> Vec<Problem> {
    let Some(known) = known else { return Vec::new() };
    let mut named: Vec<(String, &str)> = Vec::new();
    for (host, cluster) in written.get("clusters").and_then(Value::as_object).into_iter().flatten() {
        named.extend(cluster.as_str().map(|cluster| (format!("clusters.{host}"), cluster)));
    }
    let engine = written.pointer("/shared/cluster").and_then(Value::as_str);
    named.extend(engine.map(|cluster| ("shared.cluster".to_owned(), cluster)));
    named
        .into_iter()
        .filter(|(_, cluster)| !cluster.contains('{') && !known.contains_key(*cluster))
        .map(|(path, cluster)| Problem {
            path,
            message: format!(
                "{cluster:?} is not among the static clusters of this file ({}): correct the name, add it, or Envoy must get it by CDS",
                names(known)
            ),
        })
        .collect()
}

/// The first of their names.
fn names(known: &StaticClusters) -> String {
    const MAX: usize = 8;
    let mut names: Vec<String> = known.keys().take(MAX).map(|name| name.escape_debug().to_string()).collect();
    names.extend((known.len() > MAX).then(|| "…".to_owned()));
    match names.is_empty() {
        true => "it has none".into(),
        false => names.join(", "),
    }
}

/// What the carrier lacks: problems, if it can hold it, else warnings.
pub fn carrier(config: &Config, written: &Value, carrier: &Carrier) -> (Vec<Problem>, Vec<Problem>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let mut used = Vec::new();
    variables(written, String::new(), &mut used);
    for (path, name) in used.into_iter().filter(|(_, name)| !carrier.variables.contains(name)) {
        let message = format!(
            "{name} is not in {}.{}: the VM does not get it",
            carrier.place,
            carrier.kind.variables()
        );
        problems.push(Problem { path, message });
    }
    let takes = |mode| matches!(mode, PasswordMode::Enabled | PasswordMode::Admins);
    let logins = config.accounts.iter().position(|account| {
        account.enabled && !account.password.logins.is_empty() && takes(account.password.mode)
    });
    if let Some(i) = logins.filter(|_| !carrier.stops_headers) {
        let path = format!("accounts[{i}].password.logins");
        match carrier.kind {
            Kind::Envoy => problems.push(Problem {
                path,
                message: format!("need allow_on_headers_stop_iteration: true in {}: password logins get 503", carrier.place),
            }),
            Kind::WasmPlugin => warnings.push(Problem {
                path,
                message: "get 503: a WasmPlugin cannot set allow_on_headers_stop_iteration; use an EnvoyFilter".into(),
            }),
            Kind::EnvoyGateway => warnings.push(Problem {
                path,
                message: "get 503 without an EnvoyPatchPolicy that sets allow_on_headers_stop_iteration: envoy/gateway".into(),
            }),
        }
    }
    (problems, warnings)
}

/// Members whose values are free text: an `env` in them is not a variable.
const FREE: [&str; 9] = [
    "authorization_params",
    "token_params",
    "userinfo_params",
    "logout_params",
    "headers",
    "texts",
    "translations",
    "role_map",
    "users",
];

/// Every variable that the configuration reads a secret from, with its path.
fn variables(value: &Value, path: String, used: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match value {
                    Value::String(variable) if name == "env" => used.push((path, variable.clone())),
                    _ => variables(value, path, used),
                }
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| variables(value, format!("{path}[{i}]"), used));
        }
        _ => {}
    }
}
