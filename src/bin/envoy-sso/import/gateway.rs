//! Envoy Gateway's `SecurityPolicy` with `oidc`.

use serde_json::{json, Value};

use super::draft::Draft;
use super::duration;
use super::provider::{self, Given};

/// Reads the policy, and the host of an `HTTPRoute` beside it.
pub fn convert(documents: &[Value]) -> Result<Draft, String> {
    let of_kind = |kind: &'static str| {
        documents.iter().filter(move |one| one.get("kind").is_some_and(|own| own == kind))
    };
    let mut policies = of_kind("SecurityPolicy").filter(|one| one.pointer("/spec/oidc").is_some());
    let policy = policies.next().ok_or("the SecurityPolicy has no oidc")?;
    let mut draft = Draft::default();
    if policies.next().is_some() {
        draft.note("the file has several policies: import each from a file of its own");
    }
    let spec = policy.get("spec").unwrap_or(&Value::Null);
    let oidc = spec.get("oidc").unwrap_or(&Value::Null);
    let text = |pointer: &str| oidc.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    draft.origin = of_kind("HTTPRoute")
        .find_map(|route| Some(format!("https://{}", route.pointer("/spec/hostnames/0")?.as_str()?)));
    let mut given = Given {
        id: "sso".into(),
        kind: "oidc".into(),
        issuer: text("/provider/issuer"),
        client_id: text("/clientID").unwrap_or_default(),
        has_secret: oidc.get("clientSecret").is_some(),
        variable: "OIDC_SECRET".into(),
        ..Given::default()
    };
    if given.client_id.is_empty() {
        given.client_id = "CLIENT_ID".into();
        draft.note("clientIDRef: write the client ID into client_id");
    }
    for (name, pointer) in [
        ("authorization_endpoint", "/provider/authorizationEndpoint"),
        ("token_endpoint", "/provider/tokenEndpoint"),
        ("end_session_endpoint", "/provider/endSessionEndpoint"),
    ] {
        given.endpoints.extend(text(pointer).map(|url| (name.to_owned(), json!(url))));
    }
    let list = |name: &str| oidc.get(name).and_then(Value::as_array).cloned();
    given.scope =
        list("scopes").map(|scopes| scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    given.params.extend(list("resources").map(|resources| ("resource".to_owned(), json!(resources))));
    match text("/redirectURL") {
        // "%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/callback"
        Some(url) if url.contains('%') => draft.redirect_uri(
            url.rsplit_once('%')
                .and_then(|(_, path)| path.find('/').and_then(|at| path.get(at..)))
                .unwrap_or("/oauth2/callback"),
        ),
        Some(url) => draft.redirect_uri(&url),
        None => draft.redirect_uri("/oauth2/callback"),
    }
    if let Some(path) = text("/logoutPath") {
        draft.set("paths", "logout", json!(path));
    }
    if oidc.get("forwardAccessToken") == Some(&json!(true)) {
        draft.set("forward", "access_token", json!("authorization"));
    }
    draft.cookies.extend(text("/cookieDomain").map(|domain| ("domain".to_owned(), json!(domain))));
    let same_site =
        text("/cookieConfig/sameSite").map(|value| value.to_lowercase()).filter(|value| value != "disabled");
    draft.cookies.extend(same_site.map(|value| ("same_site".to_owned(), json!(value))));
    let lifetime = text("/defaultRefreshTokenTTL")
        .or_else(|| text("/defaultTokenTTL"))
        .and_then(|text| duration::of(&text));
    draft.session.extend(lifetime.map(|text| ("lifetime".to_owned(), json!(text))));
    for (name, why) in [
        ("cookieNames", "the filter names its cookies by cookies.name; the application never sees them"),
        ("passThroughAuthHeader", "bearer verifies tokens of programs itself"),
        ("denyRedirect", "scripts get 401 with a member login by themselves"),
        ("disableTokenEncryption", "cookies are always sealed"),
        ("csrfTokenTTL", "a login is good for ten minutes"),
    ] {
        if oidc.get(name).is_some() {
            draft.left_out(&format!("oidc.{name}"), why);
        }
    }
    if oidc.pointer("/provider/backendRefs").or(oidc.pointer("/provider/backendRef")).is_some() {
        draft
            .left_out("oidc.provider.backendRefs", "clusters names the Envoy cluster of the provider's host");
    }
    for name in spec.as_object().into_iter().flat_map(|map| map.keys()) {
        match name.as_str() {
            "oidc" => {}
            "targetRef" | "targetRefs" | "targetSelectors" => {
                draft.note(format!("{name}: write it into the EnvoyExtensionPolicy (envoy/gateway)"))
            }
            "jwt" => {
                draft.left_out(name, "write issuer and audiences under bearer; remove it from the policy")
            }
            "authorization" => draft.lost_limit(
                name,
                "write the rules under access (roles, when); this filter runs in its place",
            ),
            _ => draft.left_out(name, "leave it in the SecurityPolicy; it goes on beside this filter"),
        }
    }
    if draft.origin.is_none() {
        draft.note("origins: set the URL at which browsers see the application");
    }
    provider::add(&mut draft, given)?;
    Ok(draft)
}
