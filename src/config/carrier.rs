//! What carries a configuration into Envoy, as far as the file says: Envoy's filter, Istio's `WasmPlugin` or Envoy
//! Gateway's `EnvoyExtensionPolicy`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problems::At;

/// A configuration, and what carries it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The configuration of the filter.
    pub configuration: Value,
    /// What stands around it; absent for a file that is a configuration and nothing else.
    pub carrier: Option<Carrier>,
}

impl From<Value> for Found {
    fn from(configuration: Value) -> Self {
        Self { configuration, carrier: None }
    }
}

/// How the filter's VM is set up.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Which of the three.
    pub kind: Kind,
    /// Its path in the file.
    pub place: String,
    /// The environment variables that the VM gets.
    pub variables: Vec<String>,
    /// `allow_on_headers_stop_iteration`, which password logins need.
    pub stops_headers: bool,
}

/// Where a wasm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Envoy's own filter, also in an `EnvoyFilter` of Istio.
    Envoy,
    /// Istio's `WasmPlugin`.
    WasmPlugin,
    /// An `EnvoyExtensionPolicy` of Envoy Gateway.
    EnvoyGateway,
}

impl Kind {
    /// The field that lists the VM's environment variables.
    pub fn variables(self) -> &'static str {
        match self {
            Kind::Envoy => "vm_config.environment_variables.host_env_keys",
            Kind::WasmPlugin => "vmConfig.env",
            Kind::EnvoyGateway => "env.hostKeys",
        }
    }
}

/// Envoy's filter (`configuration`) or Istio's plugin (`pluginConfig`).
pub(super) fn of_plugin(plugin: &Value, configuration: &str, at: &At<'_>) -> Carrier {
    let kind = if configuration == "pluginConfig" { Kind::WasmPlugin } else { Kind::Envoy };
    let strings = |place| {
        plugin.pointer(place).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    };
    let mut variables: Vec<String> =
        strings("/vm_config/environment_variables/host_env_keys").map(str::to_owned).collect();
    let values = plugin.pointer("/vm_config/environment_variables/key_values").and_then(Value::as_object);
    variables.extend(values.into_iter().flat_map(|values| values.keys().cloned()));
    let named = plugin.pointer("/vmConfig/env").and_then(Value::as_array).into_iter().flatten();
    variables.extend(named.filter_map(|one| Some(one.get("name")?.as_str()?.to_owned())));
    let stops_headers = plugin.get("allow_on_headers_stop_iteration") == Some(&Value::Bool(true));
    Carrier { kind, place: at.to_string(), variables, stops_headers }
}

/// The wasm list of an `EnvoyExtensionPolicy`.
pub(super) fn extension_policy(map: &Map<String, Value>) -> Option<&Vec<Value>> {
    let is_policy = map.get("kind").and_then(Value::as_str) == Some("EnvoyExtensionPolicy");
    map.get("spec").filter(|_| is_policy)?.get("wasm")?.as_array()
}

/// One wasm of an `EnvoyExtensionPolicy`.
pub(super) fn of_policy(plugin: &Value, at: &At<'_>) -> Carrier {
    let keys = plugin.pointer("/env/hostKeys").and_then(Value::as_array).into_iter().flatten();
    let variables = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    Carrier { kind: Kind::EnvoyGateway, place: at.to_string(), variables, stops_headers: false }
}

/// The static clusters of an Envoy configuration: their names, and the addresses of their endpoints.
pub type StaticClusters = BTreeMap<String, Vec<(String, u16)>>;

/// The static clusters; `None` if no document has static resources.
pub(super) fn static_clusters(documents: &[Value]) -> Option<StaticClusters> {
    let resources: Vec<&Value> =
        documents.iter().filter_map(|document| document.get("static_resources")).collect();
    let clusters = resources.iter().filter_map(|resources| resources.get("clusters")?.as_array()).flatten();
    let named =
        clusters.filter_map(|cluster| Some((cluster.get("name")?.as_str()?.to_owned(), addresses(cluster))));
    (!resources.is_empty()).then(|| named.collect())
}

fn addresses(cluster: &Value) -> Vec<(String, u16)> {
    let list = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let groups = list(cluster, "/load_assignment/endpoints");
    let endpoints = groups.iter().flat_map(|group| list(group, "/lb_endpoints"));
    let address = |endpoint: Value| {
        let socket = endpoint.pointer("/endpoint/address/socket_address")?;
        Some((
            socket.get("address")?.as_str()?.to_owned(),
            socket.get("port_value")?.as_u64()?.try_into().ok()?,
        ))
    };
    endpoints.filter_map(address).collect()
}
