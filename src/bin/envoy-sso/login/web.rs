//! HTTP for the command line.

use std::time::Duration;

use serde_json::{Map, Value};
use ureq::http::Response;
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};
use url::{Host, Url};

/// A longer answer is not read.
const MAX_ANSWER: u64 = 1 << 20;

/// An agent that follows no redirect: a token request must not be sent elsewhere. It trusts the certificates that this
/// machine trusts, a company's own among them.
fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(crate::trust::authorities()).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls)
        .timeout_global(Some(Duration::from_secs(30)))
        .user_agent(concat!("envoy-sso/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// A URL that may be asked: https, or this machine.
pub fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| format!("{text:?} is not a URL"))?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local => Ok(url),
        _ => Err(format!("{text:?}: expected an https URL")),
    }
}

/// A GET that accepts JSON.
pub fn get(url: &Url) -> Result<Response<Body>, String> {
    let request = agent().get(url.as_str()).header("accept", "application/json");
    request.call().map_err(|error| format!("{url}: {error}"))
}

/// The status of a form's POST and the JSON object in the answer.
pub fn post(url: &Url, pairs: &[(&str, String)]) -> Result<(u16, Map<String, Value>), String> {
    let request = agent().post(url.as_str()).header("accept", "application/json");
    let answer = request
        .send_form(pairs.iter().map(|(name, value)| (*name, value.as_str())))
        .map_err(|error| format!("{url}: {error}"))?;
    let status = answer.status().as_u16();
    object(url, answer).map(|body| (status, body))
}

/// The JSON object in a successful answer.
pub fn document(url: &Url) -> Result<Map<String, Value>, String> {
    let answer = get(url)?;
    match answer.status().as_u16() {
        200 => object(url, answer),
        status => Err(format!("{url} answered {status}")),
    }
}

fn object(url: &Url, answer: Response<Body>) -> Result<Map<String, Value>, String> {
    let mut body = answer.into_body();
    let text = body.with_config().limit(MAX_ANSWER).read_to_string();
    let text = text.map_err(|error| format!("{url}: {error}"))?;
    serde_json::from_str(&text).map_err(|_| format!("{url} did not answer a JSON object"))
}

/// A text member.
pub fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list of texts; what is not text is left out.
pub fn list(object: &Map<String, Value>, name: &str) -> Vec<String> {
    let values = object.get(name).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What an OAuth error answer says.
pub fn error(url: &Url, status: u16, body: &Map<String, Value>) -> String {
    let why = text(body, "error_description").or_else(|| text(body, "error")).unwrap_or("no reason given");
    format!("{url} answered {status}: {why}")
}
