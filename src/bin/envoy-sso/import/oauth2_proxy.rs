//! oauth2-proxy's configuration file.

use serde_json::{json, Map, Value};

use super::draft::Draft;
use super::provider::{self, Given};
use super::{cfg, duration, paths};

/// Settings that nothing has to take the place of: what they do Envoy does, or the filter always does.
const NEEDLESS: [&str; 32] = [
    "provider",
    "code_challenge_method",
    "http_address",
    "https_address",
    "reverse_proxy",
    "real_client_ip_header",
    "tls_cert_file",
    "tls_key_file",
    "metrics_address",
    "cookie_httponly",
    "cookie_csrf_per_request",
    "cookie_csrf_expire",
    "skip_provider_button",
    "redis_connection_url",
    "session_store_type",
    "session_cookie_minimal",
    "request_logging",
    "auth_logging",
    "standard_logging",
    "logging_filename",
    "silence_ping_logging",
    "ping_path",
    "ready_path",
    "force_https",
    "show_debug_on_error",
    "ssl_upstream_insecure_skip_verify",
    "pass_host_header",
    "flush_interval",
    "proxy_websockets",
    "skip_auth_strip_headers",
    "cookie_path",
    "ssl_insecure_skip_verify",
];

/// Settings that say which users of a provider get in.
const LIMITS: [&str; 6] =
    ["github_", "google_group", "google_admin", "gitlab_", "bitbucket_", "allowed_email"];

/// Reads the file.
pub fn convert(text: &str) -> Result<Draft, String> {
    let settings = cfg::settings(text);
    if !settings.iter().any(|(name, _)| name == "client_id") {
        return Err("is neither an oauth2-proxy, Envoy Gateway (SecurityPolicy) nor mod_auth_openidc configuration: client_id is missing".into());
    }
    let mut draft = Draft::default();
    let mut given = Given { id: "sso".into(), variable: "OIDC_SECRET".into(), ..Given::default() };
    let mut prefix = "/oauth2".to_owned();
    let mut roles = Vec::new();
    let mut claim = "groups".to_owned();
    for (name, values) in &settings {
        let value = values.first().cloned().unwrap_or_default();
        let on = value == "true";
        match name.as_str() {
            "provider" => given.kind = value,
            "provider_display_name" => given.title = Some(value),
            "oidc_issuer_url" => given.issuer = Some(value),
            "azure_tenant" | "entra_id_tenant" => given.tenant = Some(value),
            "client_id" => given.client_id = value,
            "client_secret" | "client_secret_file" => given.has_secret = true,
            "scope" => given.scope = Some(value.split_whitespace().map(str::to_owned).collect()),
            "email_domains" | "email_domain" => given.email_domains.extend(values.iter().cloned()),
            "login_url" => endpoint(&mut given, "authorization_endpoint", value),
            "redeem_url" => endpoint(&mut given, "token_endpoint", value),
            "oidc_jwks_url" => endpoint(&mut given, "jwks_uri", value),
            "profile_url" => endpoint(&mut given, "userinfo_endpoint", value),
            "prompt" => drop(given.params.insert("prompt".into(), json!(value))),
            "oidc_email_claim" => draft.set("mapping", "claim", json!(value)),
            "oidc_groups_claim" => claim = value,
            "allowed_groups" | "allowed_group" | "allowed_roles" | "allowed_role" => {
                roles.extend(values.iter().cloned())
            }
            "insecure_oidc_allow_unverified_email" if on => {
                draft.set("mapping", "email_verified", json!("ignored"))
            }
            "redirect_url" => draft.redirect_uri(&value),
            "proxy_prefix" => prefix = value,
            "cookie_name" => {
                let name = value.trim_start_matches("__Host-").trim_start_matches("__Secure-");
                drop(draft.cookies.insert("name".into(), json!(name)));
            }
            "cookie_secure" => drop(draft.cookies.insert("secure".into(), json!(on))),
            "cookie_samesite" if !value.is_empty() => {
                drop(draft.cookies.insert("same_site".into(), json!(value.to_lowercase())))
            }
            "cookie_domains" | "cookie_domain" => cookie_domain(&mut draft, values),
            "cookie_expire" => lifetime(&mut draft, &value),
            "cookie_refresh" => {
                draft.session.extend(duration::of(&value).map(|text| ("recheck".to_owned(), json!(text))))
            }
            "cookie_secret" | "cookie_secret_file" => {
                draft.note(format!("{name}: sessions are not carried over; make a key with envoy-sso keygen and give it to Envoy as SSO_SESSION_KEY"));
            }
            "skip_auth_routes" | "skip_auth_regex" => {
                values.iter().for_each(|route| open(&mut draft, name, route))
            }
            "pass_access_token" if on => {
                draft.set("forward", "access_token", json!("x-forwarded-access-token"))
            }
            "pass_user_headers"
            | "set_xauthrequest"
            | "pass_basic_auth"
            | "set_authorization_header"
            | "pass_authorization_header"
                if on =>
            {
                draft.left_out(name, "the application reads x-sso-user, x-sso-email and others; forward has their names and the ID token");
            }
            "skip_jwt_bearer_tokens" if on => {
                draft.set("bearer", "audiences", json!([given.client_id]));
                draft.set("bearer", "providers", json!([given.id]));
            }
            "upstreams" | "upstream" => {
                draft.left_out(name, "Envoy's routes and clusters lead to the application")
            }
            "htpasswd_file" => draft.left_out(
                name,
                "the filter has no passwords of its own; the application's can stay: password",
            ),
            "authenticated_emails_file" => {
                draft.lost_limit(name, "list the users under directory.static, or use SCIM")
            }
            "extra_jwt_issuers" => draft.left_out(name, "list each under bearer.machines"),
            "whitelist_domains" => draft.left_out(name, "return addresses stay on the account's origins"),
            "custom_templates_dir" | "banner" | "footer" | "custom_sign_in_logo" => {
                draft.left_out(name, "see pages")
            }
            _ if NEEDLESS.contains(&name.as_str()) || ["false", "", "-"].contains(&value.as_str()) => {}
            "skip_oidc_discovery" | "insecure_oidc_skip_issuer_verification" => {
                draft.note(format!("{name}: the filter always compares the issuer; it reads discovery unless every endpoint is given"));
            }
            limit if LIMITS.iter().any(|one| limit.starts_with(one)) => {
                draft.lost_limit(name, "write it as mapping.roles_claim or groups, with roles under access");
            }
            _ => draft.left_out(name, "it has no counterpart"),
        }
    }
    if !draft.account.contains_key("paths") {
        draft.redirect_uri(&format!("{prefix}/callback"));
    }
    if draft.origin.is_none() {
        draft.note("origins: set the URL at which browsers see the application");
    }
    require_roles(&mut draft, &claim, &roles);
    provider::add(&mut draft, given)?;
    Ok(draft)
}

fn endpoint(given: &mut Given, name: &str, value: String) {
    given.endpoints.insert(name.into(), Value::String(value));
}

/// Every path needs one of the groups, after the paths that are open. A group is a role of the same name.
pub fn require_roles(draft: &mut Draft, claim: &str, roles: &[String]) {
    if !roles.is_empty() {
        draft.set("mapping", "roles_claim", json!(claim));
        let named: Map<String, Value> = roles.iter().map(|role| (role.clone(), json!(role))).collect();
        draft.set("mapping", "role_map", Value::Object(named));
        draft.access.push(json!({ "prefix": "/", "allow": "users", "roles": roles }));
    }
}

/// A session of that product has no idle time: it lasts as long as its cookie.
fn lifetime(draft: &mut Draft, text: &str) {
    if let Some(text) = duration::of(text) {
        draft.session.insert("idle".into(), json!(text));
        draft.session.insert("lifetime".into(), json!(text));
    }
}

fn cookie_domain(draft: &mut Draft, values: &[String]) {
    draft.cookies.extend(values.first().map(|domain| ("domain".to_owned(), json!(domain))));
    if values.len() > 1 {
        draft.left_out("cookie_domains", "the first is used; one configuration has one cookie domain");
    }
}

/// `GET=^/healthz$`, `^/static/`, or `!=` for all but.
fn open(draft: &mut Draft, field: &str, route: &str) {
    match route.split_once('=') {
        Some((method, expression)) if method.chars().all(|c| c.is_ascii_uppercase()) => {
            paths::open(draft, field, expression, &[method])
        }
        Some((method, _)) if method.ends_with('!') => {
            draft.left_out(&format!("{field} {route:?}"), "a rule is for the paths it names")
        }
        _ => paths::open(draft, field, route, &[]),
    }
}
