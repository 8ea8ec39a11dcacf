//! Providers of OpenID Connect and OAuth 2.0, and what programs need of them.

use serde_json::{json, Value};

use crate::{good, judge, problems, warn, warnings, with};

fn by_hand(more: Value) -> Value {
    let mut oidc = json!({
        "issuer": "https://idp.example.com", "authorization_endpoint": "https://idp.example.com/authorize",
        "token_endpoint": "https://idp.example.com/token", "jwks_uri": "https://idp.example.com/keys", "client_id": "app",
    });
    oidc.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with(&[("/accounts/0/identity_providers/0/oidc", oidc)])
}

#[test]
fn secrets_for_headers_and_forms_are_printable_ascii() {
    for (secret, is_good) in [
        ("hunter2 ~!", true),
        ("one\ntwo", false),
        ("a\u{7f}", false),
        ("a\u{0}b", false),
        ("p\u{e4}ss", false),
    ] {
        let mut document = good();
        document["accounts"][0]["directory"] =
            json!({ "scim": { "url": "http://directory.internal/scim", "token": { "value": secret } } });
        document["accounts"][0]["identity_providers"][0]["oidc"]["client_secret"] =
            json!({ "value": secret });
        let found = problems(&document);
        for path in ["directory.scim.token", "oidc.client_secret"] {
            let is_refused =
                found.iter().any(|problem| problem.contains(path) && problem.contains("printable ASCII"));
            assert_eq!(is_refused, !is_good, "{secret:?}: {found:?}");
        }
        assert!(found.iter().all(|problem| !problem.contains(secret)), "{found:?}");
    }
}

#[test]
fn a_claim_from_userinfo_needs_userinfo() {
    for (from, more, problem) in [
        ("id_token", json!({}), None),
        ("userinfo", json!({ "userinfo_endpoint": "https://idp.example.com/me" }), None),
        (
            "userinfo",
            json!({ "discovery": "https://idp.example.com/.well-known/openid-configuration" }),
            None,
        ),
        ("userinfo", json!({}), Some("accounts[0].identity_providers[0].oidc.userinfo_endpoint: ")),
    ] {
        let mut document = by_hand(more);
        document["accounts"][0]["mapping"] = json!({ "from": from });
        judge(&document, problem);
    }
}

#[test]
fn calls_that_cannot_be_made_or_trusted_are_a_warning() {
    let oidc = |field: &str| format!("accounts[0].identity_providers[0].oidc.{field}: ");
    warn(&by_hand(json!({})), None);
    for (field, url) in [
        ("token_endpoint", "http://idp.example.com/token"),
        ("jwks_uri", "http://idp.example.com/keys"),
        ("userinfo_endpoint", "http://idp.example.com/me"),
        ("discovery", "http://idp.example.com/.well-known/openid-configuration"),
    ] {
        warn(&by_hand(json!({ field: url })), Some(&format!("{}is plain http", oidc(field))));
        let mut plain = by_hand(json!({ field: url }));
        plain["accounts"][0]["origins"] = json!(["http://localhost:8080"]);
        warn(&plain, None);
        for local in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
            warn(&by_hand(json!({ field: url.replace("idp.example.com", local) })), None);
        }
    }
    let mut elsewhere = by_hand(json!({}));
    elsewhere["clusters"] = json!({ "idp.example.com": "idp", "users.example.com": "users" });
    warn(&elsewhere, None);
    let scim = |host: &str| json!({ "scim": { "url": format!("http://{host}/scim/v2") } });
    elsewhere["accounts"][0]["directory"] = scim("users.example.com");
    warn(&elsewhere, None);
    elsewhere["accounts"][0]["directory"] = scim("people.example.com");
    warn(&elsewhere, Some("accounts[0].directory.scim.url: no entry of clusters is for people.example.com"));
    elsewhere["clusters"] = json!({ "people.example.com": "people" });
    // Once a host.
    warn(&elsewhere, Some(&format!("{}no entry of clusters is for idp.example.com", oidc("token_endpoint"))));
}

#[test]
fn a_secret_that_two_providers_know_is_a_warning() {
    let provider = |id: &str, change: Value| {
        let mut oidc = json!({ "discovery": format!("https://{id}.example/.well-known/openid-configuration"), "client_id": "app" });
        for (name, value) in change.as_object().unwrap() {
            oidc[name] = value.clone();
        }
        json!({ "id": id, "title": id, "oidc": oidc })
    };
    let with = |one: Value, two: Value| {
        let providers = json!([provider("one", one), provider("two", two)]);
        let mut found = warnings(&with(&[
            ("/accounts/0/identity_providers", providers),
            ("/clusters", json!({ "*": "idp" })),
        ]));
        found.retain(|warning| !warning.contains("].confined: "));
        found
    };
    let secret = |text: &str| json!({ "client_secret": { "value": text } });
    let found = with(secret("the same"), secret("the same"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("accounts[0].identity_providers[1].oidc.client_secret: is that of \"one\" too")
    );
    assert!(!found[0].contains("the same"));
    assert!(with(secret("one"), secret("two")).is_empty());
    assert!(with(json!({}), json!({})).is_empty(), "public clients");
}

#[test]
fn what_programs_need_is_checked() {
    let provider = "/accounts/0/identity_providers/0/oidc";
    let access = json!([{ "prefix": "/mcp/", "allow": "users", "resource": { "scopes": ["reports.read"] } }]);
    let bearer = |more: Value| ("/accounts/0/bearer", more);
    let machine = |more: Value| {
        let mut machine = json!({ "id": "ci", "issuer": "https://ci.example.com", "audiences": ["a"], "users": { "x": "y" } });
        machine.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bearer(json!({ "audiences": ["api"], "machines": [machine] }))
    };
    let groups = json!({ "url": "https://idp.example.com/groups", "list": "/value", "name": "/id" });
    let both = json!({ "url": "http://files.internal/s", "env": "SECRET" });
    let file = json!({ "url": "http://files.internal/s" });
    let at = |name: &str| format!("{provider}/{name}");
    let own = "accounts[0].identity_providers[0].oidc";
    for (pointer, value, path) in [
        ("/accounts/0/access".to_owned(), access.clone(), "accounts[0].access[0].resource: needs bearer"),
        (at("groups"), groups.clone(), "accounts[0].mapping.roles_claim"),
        (
            at("client_secret"),
            both,
            &format!("{own}.client_secret: expected exactly one of env, value and url"),
        ),
        (at("client_secret"), json!({ "url": "files.internal/s" }), &format!("{own}.client_secret.url")),
        (
            at("client_auth"),
            json!("assertion"),
            &format!("{own}.client_auth: assertion needs a client_assertion"),
        ),
        ("/accounts/0/identity_providers/0/oidc/client_key".to_owned(), json!({ "private_key": file }), own),
    ] {
        judge(&with(&[(&pointer, value)]), Some(path));
    }
    for (more, path) in [
        (json!({ "id": "corp" }), "accounts[0].bearer.machines[0].id"),
        (json!({ "id": "a b" }), "accounts[0].bearer.machines[0].id"),
        (json!({ "users": {} }), "accounts[0].bearer.machines[0].users"),
        (json!({ "issuer": "ci" }), "accounts[0].bearer.machines[0].issuer"),
    ] {
        let (pointer, value) = machine(more);
        judge(&with(&[(pointer, value)]), Some(path));
    }
    // Each with what it needs.
    let (pointer, value) = machine(json!({}));
    judge(&with(&[(pointer, value), ("/accounts/0/access", access)]), None);
    judge(
        &with(&[(&at("groups"), groups), ("/accounts/0/mapping", json!({ "roles_claim": "groups" }))]),
        None,
    );
    judge(&with(&[(&at("client_secret"), json!({ "url": "http://files.internal/s" }))]), None);
}

#[test]
fn groups_by_url_may_hold_claims_of_the_user_in_path_and_query() {
    let groups = |more: Value| {
        let mut groups =
            json!({ "url": "https://api.example.com/groups", "list": "/groups", "name": "/email" });
        groups.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mapping = json!({ "roles_claim": "groups" });
        with(&[("/accounts/0/identity_providers/0/oidc/groups", groups), ("/accounts/0/mapping", mapping)])
    };
    let own = |field: &str| format!("accounts[0].identity_providers[0].oidc.groups.{field}: ");
    for url in [
        "https://admin.googleapis.com/admin/directory/v1/groups?userKey={email}",
        "https://cloudidentity.googleapis.com/v1/groups/-/memberships:searchDirectGroups?query=member_key_id=='{email}'",
        "https://api.example.com/users/{sub}/groups?as={preferred_username}",
    ] {
        judge(&groups(json!({ "url": url, "next": "/nextPageToken", "next_param": "pageToken" })), None);
    }
    for url in [
        "https://{email}/groups",
        "https://{email}.example.com/groups",
        "https://api.example.com/{/groups",
        "https://api.example.com/{}/groups",
        "https://api.example.com/{a b}/groups",
        "https://api.example.com/{a{b}}/groups",
    ] {
        judge(&groups(json!({ "url": url })), Some(&own("url")));
    }
    for more in [
        json!({ "next_param": "pageToken" }),
        json!({ "next": "link", "next_param": "pageToken" }),
        json!({ "next": "/nextPageToken", "next_param": "" }),
    ] {
        judge(&groups(more), Some(&own("next_param")));
    }
}

#[test]
fn keys_of_a_provider_are_public() {
    let public = || {
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" })
    };
    let with_keys = |keys: Value| {
        let mut document = by_hand(json!({ "jwks": { "keys": keys } }));
        document["accounts"][0]["identity_providers"][0]["oidc"].as_object_mut().unwrap().remove("jwks_uri");
        document
    };
    judge(&with_keys(json!([public()])), None);
    for (name, value) in [("d", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), ("k", "AAAA"), ("p", "AAAA")]
    {
        let mut key = public();
        key[name] = json!(value);
        let document = with_keys(json!([public(), key]));
        judge(
            &document,
            Some("accounts[0].identity_providers[0].oidc.jwks: holds a private or symmetric key"),
        );
        assert!(problems(&document).iter().all(|problem| !problem.contains(value)), "{name}");
    }
    let symmetric = json!({ "kty": "oct", "k": "AAAA" });
    judge(
        &with_keys(json!([public(), symmetric])),
        Some("accounts[0].identity_providers[0].oidc.jwks: holds"),
    );
}
