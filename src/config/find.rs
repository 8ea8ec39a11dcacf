//! For the command line: the configurations in a YAML or JSON file, which may also be an Envoy configuration, a
//! Kubernetes `ConfigMap` of one, an Istio `WasmPlugin` or `EnvoyFilter` that holds them.

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::carrier::{self, Carrier, Found, StaticClusters};
use super::problems::{At, Problem, Problems};
use super::unique::Unique;
use super::{document, schema};

/// What a text holds for this filter.
#[derive(Debug, Default)]
pub struct Contents {
    /// Every configuration, in the order of the text.
    pub found: Vec<Found>,
    /// What is wrong with the text around them.
    pub problems: Vec<Problem>,
    /// The static clusters with their addresses, if the text is an Envoy configuration with static resources.
    pub clusters: Option<StaticClusters>,
    /// The Envoy configuration gets clusters from elsewhere too (`cds_config`).
    pub has_dynamic_clusters: bool,
}

impl Contents {
    /// The addresses of a static cluster.
    pub fn addresses(&self, cluster: &str) -> Vec<(String, u16)> {
        self.clusters.as_ref().and_then(|clusters| clusters.get(cluster)).cloned().unwrap_or_default()
    }
}

/// Every configuration in the text: the document itself, or what it holds for this filter.
pub fn find_in_text(text: &str) -> Contents {
    let problems = Problems::default();
    let at = problems.root();
    let mut documents = Vec::new();
    read(text, &at, &mut documents);
    for (name, text) in documents.iter().flat_map(files).collect::<Vec<_>>() {
        read(&text, &at.field("data").field(&name), &mut documents);
    }
    let mut found: Vec<Found> = Vec::new();
    for document in &documents {
        match document {
            Value::Object(map) if has_one(map) => found.push(document.clone().into()),
            _ => search(document, &at, None, &mut found),
        }
    }
    if found.is_empty() && problems.problems.borrow().is_empty() {
        match documents.len() {
            0 => at.problem("is empty"),
            1 => found.extend(documents.pop().map(Found::from)),
            _ => at.problem("holds no configuration of this filter"),
        }
    }
    let clusters = carrier::static_clusters(&documents);
    let has_dynamic_clusters =
        documents.iter().any(|document| document.pointer("/dynamic_resources/cds_config").is_some());
    Contents { found, clusters, has_dynamic_clusters, problems: problems.problems.into_inner() }
}

/// Adds the documents of a text.
fn read(text: &str, at: &At<'_>, documents: &mut Vec<Value>) {
    for document in serde_norway::Deserializer::from_str(text.trim_start_matches('\u{feff}')) {
        match Unique(at).deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => {
                at.problem(format!("is neither YAML nor JSON: {error}"));
                break;
            }
        }
    }
}

/// The YAML and JSON files of a Kubernetes `ConfigMap`, by name.
fn files(document: &Value) -> Vec<(String, String)> {
    let data = document.get("data").and_then(Value::as_object);
    let is_map = document.get("kind").and_then(Value::as_str) == Some("ConfigMap");
    let is_read = |name: &str| [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
    let files = data.filter(|_| is_map).into_iter().flatten().filter(|(name, _)| is_read(name));
    files.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

/// What stands in a Wasm filter's or plugin's configuration is one, whatever it holds; elsewhere what has the
/// names of one.
fn search(value: &Value, at: &At<'_>, carrier: Option<&Carrier>, found: &mut Vec<Found>) {
    match value {
        Value::Object(map) => {
            if let Some((plugin, name, at)) = plugin(map, at) {
                if let Some(configuration) = plugin.get(name).filter(|_| is_ours(plugin, name)) {
                    let carrier = carrier::of_plugin(plugin, name, &at);
                    take(configuration, &at.field(name), carrier, found);
                }
            } else if let Some(list) = carrier::extension_policy(map) {
                let at = at.field("spec").field("wasm");
                for (i, plugin) in list.iter().enumerate().filter(|(_, plugin)| is_ours(plugin, "config")) {
                    let at = at.index(i);
                    let carrier = carrier::of_policy(plugin, &at);
                    plugin
                        .get("config")
                        .into_iter()
                        .for_each(|own| take(own, &at.field("config"), carrier.clone(), found));
                }
            } else if resembles(map) {
                found.push(Found { configuration: value.clone(), carrier: carrier.cloned() });
            } else if let Some(text) = string_value(map).filter(|text| text.trim_start().starts_with('{')) {
                if let Some(inner) = json(text, &at.field("value")) {
                    search(&inner, &at.field("value"), carrier, found);
                }
            } else {
                map.iter().for_each(|(name, value)| search(value, &at.field(name), carrier, found));
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| search(value, &at.index(i), carrier, found));
        }
        _ => {}
    }
}

/// What runs a wasm here, the field of its configuration, and where: Envoy's filter, as itself or in a TypedStruct,
/// or Istio's `WasmPlugin`.
fn plugin<'v, 'p>(map: &'v Map<String, Value>, at: &At<'p>) -> Option<(&'v Value, &'static str, At<'p>)> {
    let is_filter = |name: &str| {
        map.get(name).and_then(Value::as_str).is_some_and(|kind| kind.ends_with("filters.http.wasm.v3.Wasm"))
    };
    if is_filter("@type") {
        return Some((map.get("config")?, "configuration", at.field("config")));
    }
    if is_filter("type_url") {
        let at = at.field("value").field("config");
        return Some((map.get("value")?.get("config")?, "configuration", at));
    }
    let is_istio = map.get("kind").and_then(Value::as_str) == Some("WasmPlugin");
    is_istio.then(|| Some((map.get("spec")?, "pluginConfig", at.field("spec"))))?
}

/// A wasm whose name says that it is another's and whose configuration has none of our names is another's.
fn is_ours(plugin: &Value, name: &str) -> bool {
    let from = ["/vm_config/code/local/filename", "/vm_config/code/remote/http_uri/uri", "/url"];
    let from = from.iter().find_map(|place| plugin.pointer(place)?.as_str());
    let text = plugin.get(name).map(Value::to_string).unwrap_or_default();
    from.is_none_or(|from| from.to_ascii_lowercase().contains("sso"))
        || text.contains("accounts")
        || text.contains("session")
}

fn take(configuration: &Value, at: &At<'_>, carrier: Carrier, found: &mut Vec<Found>) {
    let mut push = |configuration: Value| found.push(Found { configuration, carrier: Some(carrier.clone()) });
    let map = configuration.as_object();
    let kind = map.and_then(|map| map.get("@type")).and_then(Value::as_str);
    match (map.and_then(string_value), map.and_then(|map| map.get("value"))) {
        (Some(text), _) => json(text, &at.field("value")).into_iter().for_each(&mut push),
        (None, Some(inner)) if kind.is_some() => push(inner.clone()),
        _ => push(configuration.clone()),
    }
}

fn json(text: &str, at: &At<'_>) -> Option<Value> {
    document::json(text.as_bytes(), at).map_err(|error| at.problem(format!("is not JSON: {error}"))).ok()
}

/// The text of a `google.protobuf.StringValue`.
fn string_value(map: &Map<String, Value>) -> Option<&str> {
    let is_text = map.get("@type")?.as_str()?.ends_with("google.protobuf.StringValue");
    map.get("value")?.as_str().filter(|_| is_text)
}

fn has_one(map: &Map<String, Value>) -> bool {
    map.contains_key("accounts") || map.contains_key("session")
}

/// One of the names, and another that may be misspelt.
fn resembles(map: &Map<String, Value>) -> bool {
    let names = ["accounts", "clusters", "cookies", "pages", "session"];
    has_one(map) && map.keys().filter(|key| schema::closest(key, &names).is_some()).count() > 1
}

#[cfg(test)]
mod tests {
    use super::super::carrier::Kind;
    use super::*;
    use serde_json::json;

    const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
    const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

    fn found(text: &str) -> Vec<Value> {
        let contents = find_in_text(text);
        assert_eq!(contents.problems, Vec::new(), "{text}");
        contents.found.into_iter().map(|found| found.configuration).collect()
    }

    fn problems(text: &str) -> Vec<String> {
        find_in_text(text).problems.iter().map(ToString::to_string).collect()
    }

    fn filter(file: &str, configuration: &Value) -> Value {
        let code = json!({ "local": { "filename": file } });
        json!({ "@type": WASM, "config": { "vm_config": { "code": code }, "configuration": configuration } })
    }

    #[test]
    fn a_config_map_of_kubernetes_holds_files() {
        let envoy = json!({ "static_resources": {
            "clusters": [{ "name": "idp" }],
            "listeners": [{ "typed_config": { "@type": WASM, "config": { "configuration": { "accounts": [] } } } }],
        } });
        let map = |name: &str, text: &str| {
            let map =
                json!({ "kind": "ConfigMap", "apiVersion": "v1", "data": { name: text, "notes.txt": "[" } });
            format!("{map}\n---\nkind: Deployment\n")
        };
        let text = map("envoy.yaml", &envoy.to_string());
        assert_eq!(found(&text), [json!({ "accounts": [] })]);
        assert!(find_in_text(&text).clusters.is_some_and(|clusters| clusters.contains_key("idp")));
        assert_eq!(found(&map("sso.json", r#"{"session":{},"accounts":[]}"#)).len(), 1);
        let problem = problems(&map("envoy.yaml", "a: ["));
        assert!(problem[0].starts_with("data.envoy.yaml: is neither YAML nor JSON"), "{problem:?}");
        assert_eq!(
            problems(&map("envoy.txt", &envoy.to_string())),
            ["holds no configuration of this filter"]
        );
    }

    #[test]
    fn configurations_are_found_wherever_they_stand() {
        let own = json!({ "session": {}, "accounts": [] });
        let text = json!({ "@type": STRING, "value": own.to_string() });
        let typed = json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": own });
        for document in [
            own.clone(),
            json!({ "a": [{ "configuration": text }] }),
            json!({ "filters": [filter("envoy_sso.wasm", &text)] }),
            json!({ "filters": [filter("envoy_sso.wasm", &typed)] }),
            json!({ "a": { "type_url": WASM, "value": { "config": { "configuration": typed } } } }),
            json!({ "kind": "WasmPlugin", "spec": { "url": "oci://x/envoy-sso", "pluginConfig": own } }),
            json!({ "sso": own }),
        ] {
            assert_eq!(found(&document.to_string()), vec![own.clone()], "{document}");
            assert_eq!(found(&format!("\u{feff}{document}")), vec![own.clone()]);
        }
        assert_eq!(found("session: {}\naccounts: []\n---\nkind: Service\nports: { 80: 81 }\n"), [own]);
        assert_eq!(found("sesion: {}"), [json!({ "sesion": {} })], "judged as a configuration");
        for nothing in ["", "a: [", "kind: Service\n---\nkind: Secret\n"] {
            assert_eq!(problems(nothing).len(), 1, "{nothing}");
        }
    }

    #[test]
    fn a_misspelt_configuration_beside_a_good_one_is_judged_too() {
        let own = json!({ "session": {}, "accounts": [] });
        let misspelt = json!({ "sesion": {}, "accounts": [] });
        let wrong = json!({ "sesion": {}, "acounts": [] });
        let text = |inner: &Value| json!({ "@type": STRING, "value": inner.to_string() });
        let filters = json!([filter("envoy_sso.wasm", &text(&own)), filter("envoy_sso.wasm", &text(&wrong))]);
        assert_eq!(found(&filters.to_string()), [own.clone(), wrong.clone()]);
        assert_eq!(found(&format!("{own}\n---\n{misspelt}")), [own.clone(), misspelt.clone()]);
        assert_eq!(
            found(&json!([{ "a": own }, { "b": misspelt }]).to_string()),
            [own.clone(), misspelt.clone()]
        );
        let plugin = json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": wrong } });
        assert_eq!(found(&format!("{own}\n---\n{plugin}")), [own.clone(), wrong]);
        // Another's plugin, or a service of that name.
        let others =
            json!([filter("envoy_sso.wasm", &text(&own)), filter("waf.wasm", &json!({ "rules": [] }))]);
        assert_eq!(found(&others.to_string()), vec![own.clone()]);
        assert_eq!(found(&filter("waf.wasm", &text(&misspelt)).to_string()), [misspelt]);
        assert_eq!(found(&json!({ "services": { "session": {} }, "a": own }).to_string()), [own]);
    }

    #[test]
    fn a_configuration_that_is_no_json_says_so() {
        let own = json!({ "session": {}, "accounts": [] });
        let broken = json!({ "@type": STRING, "value": "{\"session\": {},}" });
        for document in
            [json!([own, filter("envoy_sso.wasm", &broken)]), json!([own, { "configuration": broken }])]
        {
            let problems = problems(&document.to_string());
            assert!(problems.len() == 1 && problems[0].contains("value: is not JSON: "), "{problems:?}");
            let others = find_in_text(&document.to_string()).found;
            assert!(others.len() == 1 && others[0].configuration == own, "and the other is judged");
        }
        let other = json!([own, { "@type": STRING, "value": "no configuration" }]);
        assert_eq!(found(&other.to_string()), [own]);
    }

    #[test]
    fn a_key_that_is_there_twice_is_a_problem_at_its_path() {
        let yaml = "session: {}\naccounts:\n- password:\n    mode: admins\n    mode: enabled\n";
        assert_eq!(problems(yaml), ["accounts[0].password.mode: is there twice"]);
        let text = "{\"session\": {}, \"accounts\": [], \"session\": {}}";
        assert_eq!(problems(text), ["session: is there twice"]);
        let inside = filter("envoy_sso.wasm", &json!({ "@type": STRING, "value": text }));
        assert_eq!(problems(&inside.to_string()), ["config.configuration.value.session: is there twice"]);
    }

    #[test]
    fn what_carries_a_configuration_is_known() {
        let own = json!({ "session": {}, "accounts": [] });
        let mut envoy = filter("envoy_sso.wasm", &json!({ "@type": STRING, "value": own.to_string() }));
        envoy["config"]["allow_on_headers_stop_iteration"] = json!(true);
        envoy["config"]["vm_config"]["environment_variables"] =
            json!({ "host_env_keys": ["A"], "key_values": { "B": "x" } });
        let wasm = json!({ "name": "sso", "config": own, "env": { "hostKeys": ["A"] } });
        let policy = json!({ "kind": "EnvoyExtensionPolicy", "spec": { "wasm": [wasm] } });
        let istio = json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": own,
            "vmConfig": { "env": [{ "name": "A", "valueFrom": "HOST" }] } } });
        for (document, kind, variables, stops) in [
            (envoy, Kind::Envoy, vec!["A", "B"], true),
            (policy, Kind::EnvoyGateway, vec!["A"], false),
            (istio, Kind::WasmPlugin, vec!["A"], false),
        ] {
            let contents = find_in_text(&document.to_string());
            let carrier = contents.found[0].carrier.as_ref().unwrap();
            assert_eq!((carrier.kind, carrier.stops_headers), (kind, stops), "{document}");
            assert_eq!(carrier.variables, variables, "{document}");
        }
        let clusters = |text: &str| find_in_text(text).clusters;
        assert_eq!(clusters(&own.to_string()), None);
        let envoy = json!({ "static_resources": { "clusters": [{ "name": "idp" }] }, "a": own });
        assert_eq!(clusters(&envoy.to_string()), Some([("idp".to_owned(), Vec::new())].into()));
    }
}
