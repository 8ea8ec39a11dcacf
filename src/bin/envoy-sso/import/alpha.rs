//! oauth2-proxy's alpha configuration (YAML).

use serde_json::{json, Value};

use super::draft::Draft;
use super::oauth2_proxy::require_roles;
use super::provider::{self, Given};

/// Reads the document.
pub fn convert(document: &Value) -> Result<Draft, String> {
    let mut draft = Draft::default();
    let mut roles: Vec<String> = Vec::new();
    let mut claim = "groups".to_owned();
    let list = document.get("providers").and_then(Value::as_array).cloned().unwrap_or_default();
    for (i, theirs) in list.iter().enumerate() {
        let text = |pointer: &str| theirs.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let mut given = Given {
            id: text("/id").map(|id| id.replace([' ', '=', '/'], "-")).unwrap_or_else(|| format!("sso-{i}")),
            kind: text("/provider").unwrap_or_default(),
            title: text("/name"),
            issuer: text("/oidcConfig/issuerURL"),
            tenant: text("/azureConfig/tenant").or_else(|| text("/microsoftEntraIDConfig/tenant")),
            client_id: text("/clientID").unwrap_or_default(),
            has_secret: theirs.get("clientSecret").or(theirs.get("clientSecretFile")).is_some(),
            variable: if list.len() == 1 { "OIDC_SECRET".into() } else { format!("OIDC_SECRET_{}", i + 1) },
            scope: text("/scope").map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
            ..Given::default()
        };
        for (name, pointer) in [
            ("authorization_endpoint", "/loginURL"),
            ("token_endpoint", "/redeemURL"),
            ("userinfo_endpoint", "/profileURL"),
            ("jwks_uri", "/oidcConfig/jwksURL"),
        ] {
            given.endpoints.extend(text(pointer).map(|url| (name.to_owned(), json!(url))));
        }
        for parameter in theirs.get("loginURLParameters").and_then(Value::as_array).into_iter().flatten() {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            match parameter.pointer("/default/0") {
                Some(value) if !["acr_values", "max_age"].contains(&name) => {
                    drop(given.params.insert(name.to_owned(), value.clone()))
                }
                _ => draft.left_out(
                    &format!("loginURLParameters {name}"),
                    "only parameters with a default; acr_values and max_age are set under access",
                ),
            }
        }
        draft.account.extend(
            text("/oidcConfig/emailClaim").map(|name| ("mapping".to_owned(), json!({ "claim": name }))),
        );
        claim = text("/oidcConfig/groupsClaim").unwrap_or(claim);
        let groups = theirs.get("allowedGroups").and_then(Value::as_array).into_iter().flatten();
        roles.extend(groups.filter_map(Value::as_str).map(str::to_owned));
        const READ: [&str; 13] = [
            "id",
            "provider",
            "name",
            "oidcConfig",
            "azureConfig",
            "microsoftEntraIDConfig",
            "clientID",
            "clientSecret",
            "clientSecretFile",
            "scope",
            "loginURL",
            "redeemURL",
            "profileURL",
        ];
        for name in theirs.as_object().into_iter().flat_map(|map| map.keys()) {
            if !READ.contains(&name.as_str())
                && !["loginURLParameters", "allowedGroups", "code_challenge_method"].contains(&name.as_str())
            {
                let what = format!("providers[{i}].{name}");
                // githubConfig, googleConfig and others name the users who get in.
                match name.ends_with("Config") && !name.starts_with("keycloak") && !name.starts_with("adfs") {
                    true => draft.lost_limit(
                        &what,
                        "write it as mapping.roles_claim or groups, with roles under access",
                    ),
                    false => draft.left_out(&what, "it has no counterpart"),
                }
            }
        }
        provider::add(&mut draft, given)?;
    }
    if draft.providers.is_empty() {
        return Err("has no providers".into());
    }
    require_roles(&mut draft, &claim, &roles);
    for name in document.as_object().into_iter().flat_map(|map| map.keys()) {
        match name.as_str() {
            "providers" | "server" | "metricsServer" => {}
            "upstreamConfig" | "upstreams" => {
                draft.left_out(name, "Envoy's routes and clusters lead to the application")
            }
            "injectRequestHeaders" | "injectResponseHeaders" => {
                draft.left_out(
                    name,
                    "the application reads x-sso-user, x-sso-email and others; forward has their names",
                );
            }
            _ => draft.left_out(name, "it has no counterpart"),
        }
    }
    draft.redirect_uri("/oauth2/callback");
    draft.note("origins: set the URL at which browsers see the application; cookie settings and email domains stand in the other file: set email_domains with confined: true if it has some");
    Ok(draft)
}
