//! Providers by the names that oauth2-proxy gives them.

use serde_json::{json, Map, Value};

use super::draft::Draft;

/// What a product says of its provider.
#[derive(Default)]
pub struct Given {
    pub id: String,
    pub kind: String,
    pub title: Option<String>,
    pub issuer: Option<String>,
    pub tenant: Option<String>,
    pub client_id: String,
    pub has_secret: bool,
    /// The variable that holds the secret from now on.
    pub variable: String,
    pub scope: Option<Vec<String>>,
    pub email_domains: Vec<String>,
    /// Endpoints by hand, by our names.
    pub endpoints: Map<String, Value>,
    /// `authorization_params`.
    pub params: Map<String, Value>,
}

/// Adds it to the draft.
pub fn add(draft: &mut Draft, given: Given) -> Result<(), String> {
    let issuer = given.issuer.clone().map(|issuer| issuer.trim_end_matches('/').to_owned());
    let issuer = match (issuer, given.kind.as_str()) {
        (Some(issuer), _) => Some(issuer),
        (None, "google" | "") => Some("https://accounts.google.com".into()),
        (None, "gitlab") => Some("https://gitlab.com".into()),
        (None, "azure" | "entra-id") => {
            let tenant = given.tenant.clone().unwrap_or_else(|| "common".into());
            Some(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
        }
        (None, _) => None,
    };
    let mut client = Map::new();
    let protocol = match issuer {
        _ if given.kind == "github" => {
            for (name, url) in [
                ("authorization_endpoint", "https://github.com/login/oauth/authorize"),
                ("token_endpoint", "https://github.com/login/oauth/access_token"),
                ("userinfo_endpoint", "https://api.github.com/user"),
                ("emails_endpoint", "https://api.github.com/user/emails"),
            ] {
                client.insert(name.into(), json!(url));
            }
            draft.set("mapping", "from", json!("userinfo"));
            "oauth2"
        }
        Some(issuer) => {
            let by_hand = ["authorization_endpoint", "token_endpoint", "jwks_uri"].iter().all(|name| given.endpoints.contains_key(*name));
            match by_hand {
                true => client.insert("issuer".into(), json!(issuer)),
                false => client.insert("discovery".into(), json!(format!("{issuer}/.well-known/openid-configuration"))),
            };
            client.extend(given.endpoints.clone());
            "oidc"
        }
        None => return Err(format!("the provider {:?} needs an issuer URL: only OpenID providers, Google, Entra, GitLab and GitHub can be imported without one", given.kind)),
    };
    client.insert("client_id".into(), json!(given.client_id));
    if given.has_secret {
        client.insert("client_secret".into(), json!({ "env": given.variable }));
        draft.note(format!("give the client secret to Envoy as the environment variable {}", given.variable));
    }
    let mut scope = given.scope;
    if protocol == "oidc" {
        if let Some(list) = scope.as_mut().filter(|list| !list.iter().any(|one| one == "openid")) {
            list.insert(0, "openid".into());
        }
    } else if scope.is_none() {
        scope = Some(vec!["user:email".into()]);
    }
    client.extend(scope.map(|scope| ("scope".to_owned(), json!(scope))));
    if !given.params.is_empty() {
        client.insert("authorization_params".into(), Value::Object(given.params));
    }
    let mut provider = Map::new();
    provider.insert("id".into(), json!(given.id));
    provider.insert("title".into(), json!(given.title.unwrap_or_else(|| title(&given.kind).to_owned())));
    let domains: Vec<&str> =
        given.email_domains.iter().map(|one| one.trim_start_matches('.')).filter(|one| *one != "*").collect();
    if !domains.is_empty() {
        provider.insert("email_domains".into(), json!(domains));
        provider.insert("confined".into(), json!(true));
    }
    provider.insert(protocol.into(), Value::Object(client));
    draft.providers.push(Value::Object(provider));
    Ok(())
}

fn title(kind: &str) -> &'static str {
    match kind {
        "google" | "" => "Google",
        "azure" | "entra-id" => "Microsoft",
        "github" => "GitHub",
        "gitlab" => "GitLab",
        _ => "Single sign-on",
    }
}
