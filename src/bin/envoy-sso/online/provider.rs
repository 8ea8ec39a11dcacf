//! OpenID Connect and OAuth 2.0: discovery, issuer, keys, and the client at the token endpoint.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use envoy_sso::config::{Account, ClientAuth, ClientCredentials, MappingFrom, OAuth2, Oidc, Provider};
use envoy_sso::crypto::KeySet;
use envoy_sso::proto::fetch::answer::shown;
use envoy_sso::proto::oidc::{client_auth, discovery as metadata};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;
use url::Url;

use super::http::Client;
use super::Report;

/// A made-up code: a provider that knows the client answers `invalid_grant`.
const CODE: &str = "envoy-sso-check-made-this-up";
/// RFC 7636 asks for 43 characters.
const VERIFIER: &str = "envoy-sso-check-made-this-up-envoy-sso-check";

/// Tries an OpenID provider.
pub fn openid(
    http: &Client,
    place: &str,
    account: &Account,
    provider: &Provider,
    oidc: &Oidc,
    written: Option<&Value>,
    report: &mut Report,
) {
    let document = oidc.discovery.as_ref().and_then(|url| discovery(http, place, url, oidc, report));
    if oidc.discovery.is_some() && document.is_none() {
        return;
    }
    let told =
        |name: &str| document.as_ref().and_then(|document| Url::parse(document.get(name)?.as_str()?).ok());
    let used = ["jwks_uri", "token_endpoint", "userinfo_endpoint"];
    let used = used
        .iter()
        .filter(|name| **name != "userinfo_endpoint" || account.mapping.from == MappingFrom::Userinfo);
    report.named.extend(used.filter_map(|name| Some((format!("{place}: {name} of discovery"), told(name)?))));
    match oidc.endpoints.jwks_uri.clone().or_else(|| told("jwks_uri")) {
        Some(url) => keys(http, place, &url, report),
        None if oidc.jwks.is_none() => {
            report.fails(format_args!("{place}: the discovery document has no jwks_uri"))
        }
        None => {}
    }
    let listed = document.as_ref().and_then(|document| strings(document.get("claims_supported")?));
    let claim = account.mapping.claim.as_str();
    let in_token = matches!(account.mapping.from, MappingFrom::IdToken | MappingFrom::Userinfo);
    if let Some(listed) =
        listed.filter(|listed| in_token && !claim.starts_with('/') && !listed.iter().any(|one| one == claim))
    {
        report.note(format_args!(
            "{place}: claims_supported lacks {claim:?} (mapping.claim); it has {}",
            listed.join(", ")
        ));
    }
    let methods = document
        .as_ref()
        .and_then(|document| strings(document.get("token_endpoint_auth_methods_supported")?));
    let auth = client_auth::method(&oidc.client, methods.as_deref());
    match oidc.endpoints.token.clone().or_else(|| told("token_endpoint")) {
        Some(url) => {
            let redirect = redirect_uri(account, &provider.id);
            client(
                http,
                place,
                &url,
                &oidc.client,
                auth,
                &redirect,
                written.and_then(|own| own.get("oidc")),
                report,
            );
        }
        None => report.fails(format_args!("{place}: the discovery document has no token_endpoint")),
    }
}

/// Tries a plain OAuth 2.0 provider.
pub fn oauth2(
    http: &Client,
    place: &str,
    account: &Account,
    provider: &Provider,
    oauth2: &OAuth2,
    written: Option<&Value>,
    report: &mut Report,
) {
    let auth = client_auth::method(&oauth2.client, None);
    let redirect = redirect_uri(account, &provider.id);
    client(
        http,
        place,
        &oauth2.token,
        &oauth2.client,
        auth,
        &redirect,
        written.and_then(|own| own.get("oauth2")),
        report,
    );
}

fn discovery(http: &Client, place: &str, url: &Url, oidc: &Oidc, report: &mut Report) -> Option<Value> {
    let at = shown(url);
    let answer = match http.get(url, None) {
        Ok(answer) => answer,
        Err(why) => {
            report.fails(format_args!("{place}: discovery {at}: {why}"));
            return None;
        }
    };
    if answer.status != 200 {
        let hint = match metadata::is_usual(url) {
            true => "is the issuer's path right?",
            false => "does it end in /.well-known/openid-configuration?",
        };
        report.fails(format_args!("{place}: discovery {at}: status {}; {hint}", answer.status));
        return None;
    }
    let document: Option<Value> = serde_json::from_str(&answer.body).ok().filter(Value::is_object);
    let Some(document) = document else {
        report.fails(format_args!("{place}: discovery {at}: is not a JSON object"));
        return None;
    };
    let issuer = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
    match &oidc.issuer {
        _ if issuer.is_empty() => report.fails(format_args!("{place}: discovery {at}: has no issuer")),
        Some(own) if own != issuer => {
            report.fails(format_args!(
                "{place}: issuer is {own:?} in the configuration, {issuer:?} at the provider"
            ));
        }
        _ => report.works(format_args!("{place}: discovery; the issuer is {issuer}")),
    }
    Some(document)
}

fn keys(http: &Client, place: &str, url: &Url, report: &mut Report) {
    let at = shown(url);
    match http.get(url, None) {
        Ok(answer) if answer.status == 200 => match KeySet::parse(answer.body.as_bytes()) {
            Ok(set) if set.is_empty() => report.fails(format_args!("{place}: keys {at}: no key can verify")),
            Ok(set) => report.works(format_args!(
                "{place}: keys; {} can verify ({})",
                set.len(),
                set.algs().join(", ")
            )),
            Err(why) => report.fails(format_args!("{place}: keys {at}: {why}")),
        },
        Ok(answer) => report.fails(format_args!("{place}: keys {at}: status {}", answer.status)),
        Err(why) => report.fails(format_args!("{place}: keys {at}: {why}")),
    }
}

/// Asks with a made-up code, which no provider takes: the error tells a known client from an unknown one.
#[allow(clippy::too_many_arguments)]
fn client(
    http: &Client,
    place: &str,
    url: &Url,
    client: &ClientCredentials,
    auth: ClientAuth,
    redirect: &str,
    written: Option<&Value>,
    report: &mut Report,
) {
    let at = shown(url);
    let has_secret = written.is_some_and(|own| own.get("client_secret").is_some());
    let secret =
        client.secret.as_ref().and_then(|secret| secret.get()).map(|secret| secret.expose().to_owned());
    if has_secret && secret.is_none() {
        return report.note(format_args!("{place}: the client was not tried: its secret is not set here"));
    }
    let secret = secret.unwrap_or_default();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", CODE),
        ("redirect_uri", redirect),
        ("code_verifier", VERIFIER),
    ];
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let mut authorization = None;
    match auth {
        // RFC 6749 section 2.3.1: both are form-encoded first.
        ClientAuth::Basic => {
            let pair = format!("{}:{}", encoded(&client.client_id), encoded(&secret));
            authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
        }
        ClientAuth::Post => {
            form.extend([("client_id", client.client_id.as_str()), ("client_secret", secret.as_str())])
        }
        ClientAuth::None => form.push(("client_id", client.client_id.as_str())),
        _ => {
            return report
                .note(format_args!("{place}: the client was not tried: it authenticates with a key"))
        }
    }
    let answer = match http.post(url, &form, authorization.as_deref()) {
        Ok(answer) => answer,
        Err(why) => return report.fails(format_args!("{place}: token endpoint {at}: {why}")),
    };
    let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let error = said.get("error").and_then(Value::as_str).unwrap_or_default();
    match (error, answer.status) {
        ("invalid_grant", _) => {
            report.works(format_args!("{place}: the provider knows the client {:?}", client.client_id))
        }
        // What GitHub calls it.
        ("bad_verification_code", _) => {
            report.works(format_args!("{place}: the provider knows the client {:?}", client.client_id))
        }
        ("invalid_client" | "unauthorized_client" | "incorrect_client_credentials", _) | ("", 401) => report
            .fails(format_args!(
                "{place}: {}: client_id, client_secret or client_auth ({}) is wrong",
                if error.is_empty() { "status 401" } else { error },
                name(auth)
            )),
        ("redirect_uri_mismatch", _) => {
            report.fails(format_args!("{place}: register the redirect URI {redirect}"))
        }
        ("", status) => {
            report.fails(format_args!("{place}: token endpoint {at}: status {status} without an OAuth error"))
        }
        (other, status) => report
            .note(format_args!("{place}: the token endpoint answered {other} ({status}) to a made-up code")),
    }
}

fn name(auth: ClientAuth) -> &'static str {
    match auth {
        ClientAuth::Basic => "basic",
        ClientAuth::Post => "post",
        _ => "none",
    }
}

fn redirect_uri(account: &Account, provider: &str) -> String {
    let wanted = format!("redirect_uri at {provider}");
    let all = envoy_sso::flows::admin::redirect_uris(account);
    all.into_iter().find(|(what, _)| *what == wanted).map(|(_, uri)| uri).unwrap_or_default()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
