//! What works but surprises: warnings that need more than one field, or what the operator wrote.

use envoy_sso::config::Environment;
use envoy_sso::config::{Config, Placeholders, Problem, Protocol};
use envoy_sso::crypto::USUAL_KEY_BITS;
use envoy_sso::proto::fetch::answer::shown;
use envoy_sso::proto::oidc::discovery;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::Value;
use url::Url;

/// Every such warning of a configuration that loads.
pub fn of(config: &Config, written: &Value) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (i, account) in config.accounts.iter().enumerate() {
        for (j, provider) in account.providers.iter().enumerate() {
            let path = format!("accounts[{i}].identity_providers[{j}]");
            if written.pointer(&format!("/accounts/{i}/identity_providers/{j}/title")).is_none() {
                let message = format!("is missing: the page's button says {:?}", provider.id);
                warnings.push(Problem { path: format!("{path}.title"), message });
            }
            if let Protocol::Oidc(oidc) = &provider.protocol {
                warnings.extend(discovery_advice(format!("{path}.oidc.discovery"), oidc.discovery.as_ref()));
                let issuer =
                    oidc.issuer.as_deref().and_then(|issuer| issuer_advice(issuer, oidc.discovery.as_ref()));
                warnings
                    .extend(issuer.map(|message| Problem { path: format!("{path}.oidc.issuer"), message }));
            }
        }
        for (j, machine) in account.bearer.iter().flat_map(|bearer| &bearer.machines).enumerate() {
            let path = format!("accounts[{i}].bearer.machines[{j}].discovery");
            warnings.extend(discovery_advice(path, machine.discovery.as_ref()));
        }
    }
    keys(written, String::new(), &mut warnings);
    warnings
}

fn discovery_advice(path: String, url: Option<&Url>) -> Option<Problem> {
    let url = url.filter(|url| !discovery::is_usual(url))?;
    let shown = shown(url);
    let (base, what) = match shown.split_once("/.well-known") {
        Some((base, _)) => (base, "is not where providers have the document"),
        None => (shown.trim_end_matches('/'), "looks like an issuer"),
    };
    let message = format!("{shown} {what}; expected {base}{}", discovery::WELL_KNOWN);
    Some(Problem { path, message })
}

/// What is wrong with an issuer, which is compared with `iss` byte for byte.
///
/// OpenID Connect Core 1.0 section 2: a URL with https and without query or fragment. A trailing slash is part of it: Auth0's
/// issuers have one, most others have none.
fn issuer_advice(issuer: &str, discovery: Option<&Url>) -> Option<String> {
    let compared = "it is compared with the provider's `iss` byte for byte";
    if issuer == "accounts.google.com" {
        return None; // Google's older form
    }
    if issuer.starts_with("http://") {
        return Some(format!("is plain http: providers name an https issuer, and {compared}"));
    }
    if !issuer.starts_with("https://") {
        return Some(format!("does not begin with https://: {compared}"));
    }
    if let Some(odd) = issuer.chars().find(|odd| odd.is_whitespace() || matches!(odd, '?' | '#')) {
        return Some(format!("holds {odd:?}, which no issuer has: {compared}"));
    }
    let address = discovery?.as_str().strip_suffix("/.well-known/openid-configuration")?;
    let is_other_slash = issuer != address && issuer.trim_end_matches('/') == address;
    is_other_slash.then(|| {
        format!("ends in a slash that {address} lacks: {compared}; leave it out, and the discovery document's counts")
    })
}

/// Warns of our own RSA keys that are larger than usual, as far as they can be read here: each signature costs several
/// times as much, in a filter that all requests wait for. Of SAML's keys the configuration warns itself.
fn keys(value: &Value, path: String, warnings: &mut Vec<Problem>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| *name != "saml") {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if name == "private_key" {
                    let bits = pem(value).and_then(|pem| {
                        Some(rsa::RsaPrivateKey::from_pkcs8_pem(pem.trim()).ok()?.size() * 8)
                    });
                    if let Some(bits) = bits.filter(|bits| *bits > USUAL_KEY_BITS) {
                        let message = format!("is an RSA key of {bits} bits: each signature takes several times as long as with {USUAL_KEY_BITS}");
                        warnings.push(Problem { path, message });
                    }
                } else {
                    keys(value, path, warnings);
                }
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| keys(value, format!("{path}[{i}]"), warnings));
        }
        _ => {}
    }
}

/// The key as written, or from this machine's environment.
fn pem(secret: &Value) -> Option<String> {
    let text = |name| secret.get(name).and_then(Value::as_str);
    text("value").map(str::to_owned).or_else(|| Placeholders.get(text("env")?))
}
