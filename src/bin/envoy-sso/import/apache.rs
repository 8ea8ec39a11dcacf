//! mod_auth_openidc's directives in Apache's configuration.

use serde_json::{json, Value};
use url::form_urlencoded;

use super::draft::Draft;
use super::duration;
use super::provider::{self, Given};

/// What stands in a `<Location>` that is being read.
#[derive(Default)]
struct Location {
    path: String,
    is_granted: bool,
    /// The claim and its values.
    required: Option<(String, Vec<String>)>,
    passes: bool,
}

/// Reads the file.
pub fn convert(text: &str) -> Result<Draft, String> {
    let mut draft = Draft::default();
    let mut given =
        Given { id: "sso".into(), kind: "oidc".into(), variable: "OIDC_SECRET".into(), ..Given::default() };
    let mut discovery = None;
    let mut location: Option<Location> = None;
    let mut method = None;
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words = words(line);
        let Some(name) = words.first().map(String::as_str) else { continue };
        let value = words.get(1).cloned().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "<location" | "<locationmatch" | "<directory" => {
                let path = value.trim_end_matches('>').to_owned();
                if name.eq_ignore_ascii_case("<location") && path.starts_with('/') {
                    location = Some(Location { path, ..Location::default() });
                } else {
                    draft.left_out(line, "only <Location> with a fixed path is read; the whole site needs a session");
                }
            }
            "</location>" => location.take().into_iter().for_each(|location| close(&mut draft, location)),
            "require" => require(&mut draft, location.as_mut(), &words),
            "servername" => draft.origin = Some(format!("https://{}", value.trim_end_matches(":443"))),
            "oidcprovidermetadataurl" => discovery = Some(value),
            "oidcproviderissuer" => given.issuer = Some(value),
            "oidcproviderauthorizationendpoint" => endpoint(&mut given, "authorization_endpoint", value),
            "oidcprovidertokenendpoint" => endpoint(&mut given, "token_endpoint", value),
            "oidcprovideruserinfoendpoint" => endpoint(&mut given, "userinfo_endpoint", value),
            "oidcproviderjwksuri" => endpoint(&mut given, "jwks_uri", value),
            "oidcproviderendsessionendpoint" => endpoint(&mut given, "end_session_endpoint", value),
            "oidcclientid" => given.client_id = value,
            "oidcclientsecret" => given.has_secret = true,
            "oidcscope" => given.scope = Some(value.split_whitespace().map(str::to_owned).collect()),
            "oidcredirecturi" => draft.redirect_uri(&value),
            "oidccryptopassphrase" => draft.note(format!(
                "{name}: sessions are not carried over; make a key with envoy-sso keygen and give it to Envoy as SSO_SESSION_KEY"
            )),
            "oidcsessioninactivitytimeout" => draft.session.extend(duration::of(&value).map(|text| ("idle".to_owned(), json!(text)))),
            "oidcsessionmaxduration" => draft.session.extend(duration::of(&value).map(|text| ("lifetime".to_owned(), json!(text)))),
            "oidcuserinforefreshinterval" => draft.session.extend(duration::of(&value).map(|text| ("recheck".to_owned(), json!(text)))),
            "oidccookie" => drop(draft.cookies.insert("name".into(), json!(value))),
            "oidccookiedomain" => drop(draft.cookies.insert("domain".into(), json!(value))),
            "oidccookiesamesite" => {
                let same_site = match value.to_ascii_lowercase().as_str() {
                    "strict" => "strict",
                    "off" | "none" | "disabled" => "none",
                    _ => "lax",
                };
                drop(draft.cookies.insert("same_site".into(), json!(same_site)));
            }
            "oidcauthrequestparams" => {
                let pairs = form_urlencoded::parse(value.as_bytes()).into_owned();
                given.params.extend(pairs.map(|(name, value)| (name, json!(value))));
            }
            "oidcprovidertokenendpointauth" => method = Some(value),
            "oidcresponsemode" if value == "form_post" => endpoint(&mut given, "response_mode", value),
            "oidcresponsetype" if value == "code" => {}
            "oidcresponsetype" => draft.left_out(line, "the filter uses the code flow; allow response type code at the provider"),
            "oidcdefaultloggedouturl" => draft.set("logout", "landing", json!(path_of(&value))),
            "oidcremoteuserclaim" if ["email", "sub"].contains(&value.as_str()) => {}
            "oidcremoteuserclaim" => draft.set("forward", "headers", json!({ "x-remote-user": value })),
            "oidcpassaccesstoken" if value.eq_ignore_ascii_case("on") => draft.set("forward", "access_token", json!("x-access-token")),
            "oidcunauthaction" if value == "pass" => location.iter_mut().for_each(|location| location.passes = true),
            "oidcpkcemethod" | "oidcunauthaction" | "oidcsessiontype" | "oidccachetype" | "oidccacheshmmax" | "oidccookiehttponly"
            | "oidcsslvalidateserver" | "oidcstatetimeout" | "oidcstatemaxnumberofcookies" | "oidcpassidtokenas" => {}
            "oidcclaimprefix" | "oidcclaimdelimiter" | "oidcpassclaimsas" | "oidcpassuserinfoas" | "oidcauthnheader" => {
                draft.left_out(name, "claims reach the application by forward.headers");
            }
            other if other.starts_with("oidcoauth") => draft.left_out(name, "bearer verifies tokens of programs"),
            other if other.starts_with("oidc") => draft.left_out(name, "it has no counterpart"),
            _ => {}
        }
    }
    if let Some(url) = discovery {
        match url.strip_suffix("/.well-known/openid-configuration") {
            Some(issuer) => given.issuer = Some(issuer.to_owned()),
            None => {
                given.issuer.get_or_insert_with(|| url.clone());
                endpoint(&mut given, "discovery", url);
            }
        }
    }
    let auth = match method.as_deref() {
        Some("client_secret_post") => Some("post"),
        Some("client_secret_basic") => Some("basic"),
        Some("none") => Some("none"),
        Some(other) => {
            draft.left_out(
                &format!("OIDCProviderTokenEndpointAuth {other}"),
                "set client_auth and client_key",
            );
            None
        }
        None => None,
    };
    auth.into_iter().for_each(|auth| endpoint(&mut given, "client_auth", auth.into()));
    if auth == Some("none") {
        given.has_secret = false;
    }
    if draft.origin.is_none() {
        draft.note("origins: set the URL at which browsers see the application");
    }
    provider::add(&mut draft, given)?;
    Ok(draft)
}

fn endpoint(given: &mut Given, name: &str, value: String) {
    given.endpoints.insert(name.into(), Value::String(value));
}

fn require(draft: &mut Draft, location: Option<&mut Location>, words: &[String]) {
    let rest: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    match (rest.as_slice(), location) {
        (["all", "granted"], Some(location)) => location.is_granted = true,
        (["valid-user"], _) => {}
        (["claim", pairs @ ..], Some(location)) => {
            for (claim, value) in pairs.iter().filter_map(|pair| pair.split_once(':')) {
                let required = location.required.get_or_insert_with(|| (claim.to_owned(), Vec::new()));
                match required.0 == claim {
                    true => required.1.push(value.to_owned()),
                    false => draft.left_out(
                        &format!("Require claim {claim}:{value}"),
                        "a rule here has one claim with its values; write another under access",
                    ),
                }
            }
        }
        _ => draft.lost_limit(&words.join(" "), "write it under access"),
    }
}

/// Later sections of Apache win; here the first match does, so that the longest path comes first.
fn close(draft: &mut Draft, location: Location) {
    let rule = match (location.required, location.is_granted, location.passes) {
        (Some((claim, values)), _, _) => {
            json!({ "prefix": location.path, "allow": "users", "when": [{ "claim": claim, "in": values }] })
        }
        (None, true, _) => json!({ "prefix": location.path, "allow": "anyone" }),
        (None, _, true) => json!({ "prefix": location.path, "allow": "optional" }),
        _ => return,
    };
    let length = |rule: &Value| rule.get("prefix").and_then(Value::as_str).map_or(0, str::len);
    let at =
        draft.access.iter().position(|other| length(other) < length(&rule)).unwrap_or(draft.access.len());
    draft.access.insert(at, rule);
}

fn path_of(url: &str) -> String {
    url::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_else(|_| url.to_owned())
}

/// The words of a directive; quotes hold spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)))
            }
            _ => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
