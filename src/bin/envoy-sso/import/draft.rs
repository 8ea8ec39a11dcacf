//! The configuration that is being written.

use serde_json::{json, Map, Value};
use url::Url;

/// What has been carried over so far, and what could not be.
#[derive(Default)]
pub struct Draft {
    /// Scheme and authority of the application.
    pub origin: Option<String>,
    /// `session` beside its keys.
    pub session: Map<String, Value>,
    /// `cookies`.
    pub cookies: Map<String, Value>,
    /// The account beside origins, providers and access.
    pub account: Map<String, Value>,
    /// Its providers.
    pub providers: Vec<Value>,
    /// Its access rules.
    pub access: Vec<Value>,
    /// What an operator has to know or to do.
    pub notes: Vec<String>,
    /// A limit was lost: no user gets in until an operator has written it anew.
    unfinished: bool,
}

/// A role that no user has.
const UNFINISHED: &str = "import-unfinished";

impl Draft {
    /// Something that was not carried over, and why.
    pub fn left_out(&mut self, what: &str, why: &str) {
        self.notes.push(format!("{what}: not carried over: {why}"));
    }

    /// A limit that was not carried over. Without it more users would get in than before, so that none does.
    pub fn lost_limit(&mut self, what: &str, why: &str) {
        self.unfinished = true;
        self.notes.push(format!("{what}: not carried over: {why}; until then each path that is not open needs the role {UNFINISHED}, which no user has"));
    }

    /// Something to do or to know.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A member of an object of the account, such as `mapping.claim`.
    pub fn set(&mut self, object: &str, name: &str, value: Value) {
        let object = self.account.entry(object).or_insert_with(|| json!({}));
        if let Some(map) = object.as_object_mut() {
            map.insert(name.into(), value);
        }
    }

    /// Origin and callback from a redirect URI that is registered already, so that it stays.
    pub fn redirect_uri(&mut self, uri: &str) {
        let path = match Url::parse(uri) {
            Ok(url) => {
                self.origin = Some(url.origin().ascii_serialization());
                url.path().to_owned()
            }
            Err(_) => uri.to_owned(),
        };
        if path.starts_with('/') && path.len() > 1 {
            self.set("paths", "oidc_callback", json!(path));
        } else {
            self.left_out(
                &format!("the redirect URI {uri}"),
                "it is not a URL with a path; register what envoy-sso uris prints",
            );
        }
    }

    /// The whole configuration.
    pub fn finish(mut self) -> Value {
        let origin = self.origin.unwrap_or_else(|| "https://app.example.com".into());
        self.session.insert("keys".into(), json!([{ "id": "k1", "env": "SSO_SESSION_KEY" }]));
        if origin.starts_with("http://") && !self.cookies.contains_key("secure") {
            self.cookies.insert("secure".into(), json!(false));
        }
        let mut clusters = Map::new();
        self.providers.iter().for_each(|provider| hosts(provider, &mut clusters));
        let mut account = Map::new();
        account.insert("origins".into(), json!([origin]));
        account.insert("sso".into(), json!("enabled"));
        account.insert("identity_providers".into(), Value::Array(self.providers));
        account.append(&mut self.account);
        if self.unfinished {
            close(&mut self.access);
        }
        if !self.access.is_empty() {
            account.insert("access".into(), Value::Array(self.access));
        }
        let mut whole = Map::new();
        whole.insert("session".into(), Value::Object(self.session));
        if !self.cookies.is_empty() {
            whole.insert("cookies".into(), Value::Object(self.cookies));
        }
        whole.insert("clusters".into(), Value::Object(clusters));
        whole.insert("accounts".into(), json!([account]));
        Value::Object(whole)
    }
}

/// Puts the role into every rule that lets users in, and behind them for all other paths.
fn close(access: &mut Vec<Value>) {
    for rule in access
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .filter(|rule| rule.get("allow") != Some(&json!("anyone")))
    {
        rule.insert("allow".into(), json!("users"));
        rule.insert("roles".into(), json!([UNFINISHED]));
    }
    if !access.iter().any(|rule| rule.get("prefix") == Some(&json!("/")) && rule.get("methods").is_none()) {
        access.push(json!({ "prefix": "/", "allow": "users", "roles": [UNFINISHED] }));
    }
}

/// A cluster for each host that the filter asks, by the host's name.
fn hosts(value: &Value, clusters: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| hosts(value, clusters)),
        Value::String(text) => {
            if let Some(host) = Url::parse(text).ok().and_then(|url| Some(url.host_str()?.to_owned())) {
                let cluster = host.replace('.', "_");
                clusters.insert(host, json!(cluster));
            }
        }
        _ => {}
    }
}
