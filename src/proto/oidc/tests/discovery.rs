use super::*;
use crate::crypto::KeySet;
use crate::proto::oidc::discovery::is_guid;
use crate::proto::oidc::Metadata;

/// Captured documents, the discovery URL each was found at, and whether its key set can be used.
const SAMPLES: [(&str, &str, &str); 12] = [
    ("adfs", include_str!("../../../../tests/samples/adfs-discovery.json"), ""),
    ("auth0-2026", include_str!("../../../../tests/samples/auth0-discovery-2026.json"), ""),
    (
        "auth0",
        include_str!("../../../../tests/samples/auth0-discovery.json"),
        include_str!("../../../../tests/samples/auth0-jwks.json"),
    ),
    ("authentik", include_str!("../../../../tests/samples/authentik-discovery.json"), ""),
    ("dex", include_str!("../../../../tests/samples/dex-discovery.json"), ""),
    (
        "entra",
        include_str!("../../../../tests/samples/entra-common-discovery.json"),
        include_str!("../../../../tests/samples/entra-common-jwks.json"),
    ),
    (
        "google",
        include_str!("../../../../tests/samples/google-discovery.json"),
        include_str!("../../../../tests/samples/google-jwks.json"),
    ),
    (
        "keycloak",
        include_str!("../../../../tests/samples/keycloak-discovery.json"),
        include_str!("../../../../tests/samples/keycloak-jwks.json"),
    ),
    (
        "okta",
        include_str!("../../../../tests/samples/okta-discovery.json"),
        include_str!("../../../../tests/samples/okta-jwks.json"),
    ),
    (
        "onelogin",
        include_str!("../../../../tests/samples/onelogin-discovery.json"),
        include_str!("../../../../tests/samples/onelogin-jwks.json"),
    ),
    ("pingfederate", include_str!("../../../../tests/samples/pingfederate-discovery.json"), ""),
    ("pingone", include_str!("../../../../tests/samples/pingone-discovery.json"), ""),
];

#[test]
fn real_providers_are_read() {
    for (name, document, keys) in SAMPLES {
        let issuer = serde_json::from_str::<Value>(document).unwrap()["issuer"].as_str().unwrap().to_owned();
        let at = issuer.replace("{tenantid}", "common");
        let mut oidc = oidc();
        oidc.discovery =
            Some(url(&format!("{}/.well-known/openid-configuration?appid=1", at.trim_end_matches('/'))));
        let metadata =
            Metadata::read(document.as_bytes(), &oidc).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(metadata.issuer, issuer);
        assert!(metadata.jwks_uri.is_some(), "{name}");
        if !keys.is_empty() {
            let set = KeySet::parse(keys.as_bytes()).unwrap();
            assert!(!set.is_empty(), "{name}: {:?}", set.skipped);
            let all = serde_json::from_str::<Value>(keys).unwrap()["keys"].as_array().unwrap().len();
            let encryption = keys.matches("\"enc\"").count();
            assert_eq!(set.len(), all - encryption, "{name}: {:?}", set.skipped);
        }
    }
}

#[test]
fn a_document_speaks_for_the_issuer_that_was_asked() {
    let entra = "https://login.microsoftonline.com/{tenantid}/v2.0";
    for (issuer, discovery, configured, good) in [
        (ISSUER, "https://idp.example.com/.well-known/openid-configuration", None, true),
        ("https://idp.example.com/", "https://idp.example.com/.well-known/openid-configuration", None, true),
        (ISSUER, "https://idp.example.com:443/.well-known/openid-configuration?appid=x", None, true),
        (ISSUER, "https://elsewhere/document", Some(ISSUER), true),
        (
            ISSUER,
            "https://idp.example.com/.well-known/openid-configuration",
            Some("https://idp.example.com/"),
            false,
        ),
        (ISSUER, "https://elsewhere/.well-known/openid-configuration", None, false),
        (
            "https://idp.example.com/a",
            "https://idp.example.com/.well-known/openid-configuration",
            None,
            false,
        ),
        ("http://idp.example.com", "https://idp.example.com/.well-known/openid-configuration", None, false),
        (entra, "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration", None, true),
        (entra, "https://login.microsoftonline.com/a/b/v2.0/.well-known/openid-configuration", None, false),
        (entra, "https://login.evil.com/common/v2.0/.well-known/openid-configuration", None, false),
        ("https://{tenantid}", "https://evil.example/.well-known/openid-configuration", Some(ISSUER), false),
    ] {
        let mut oidc = oidc();
        oidc.discovery = Some(url(discovery));
        oidc.issuer = configured.map(str::to_owned);
        let mut document = metadata();
        document["issuer"] = json!(issuer);
        let read = Metadata::read(document.to_string().as_bytes(), &oidc);
        assert_eq!(read.is_ok(), good, "{issuer} at {discovery}: {read:?}");
    }
}

#[test]
fn odd_members_are_tolerated_and_bad_ones_named() {
    let read = |name: &str, value: Value| {
        let mut document = metadata();
        match value {
            Value::String(s) if s == "absent" => drop(document.as_object_mut().unwrap().remove(name)),
            value => document[name] = value,
        }
        Metadata::read(document.to_string().as_bytes(), &oidc())
    };
    for (name, value) in [
        ("userinfo_endpoint", json!(null)),
        ("end_session_endpoint", json!("")),
        ("id_token_signing_alg_values_supported", json!("absent")),
        ("id_token_signing_alg_values_supported", json!([1, "RS256"])),
        ("scope_to_claims_mapping", json!([{"openid": []}])),
        ("require_pushed_authorization_requests", json!("true")),
    ] {
        let metadata = read(name, value.clone()).unwrap_or_else(|why| panic!("{name} {value}: {why}"));
        assert!(!metadata.require_pushed_authorization_requests, "only true is true");
    }
    for (name, value) in [
        ("issuer", json!("absent")),
        ("issuer", json!(7)),
        ("authorization_endpoint", json!("absent")),
        ("jwks_uri", json!("absent")),
        ("token_endpoint", json!(null)),
        ("token_endpoint", json!("/token")),
        ("token_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", json!("https://ada@idp.example.com/token")),
        ("token_endpoint", json!("https://:password@idp.example.com/token")),
        ("userinfo_endpoint", json!(["https://idp.example.com"])),
    ] {
        assert!(read(name, value.clone()).unwrap_err().contains(name), "{name} {value}");
    }
    for bytes in [&b"<html>"[..], b"[]", b"{\"issuer\":", b"\xff", br#"{"issuer":"a","issuer":"b"}"#] {
        assert!(Metadata::read(bytes, &oidc()).is_err());
    }
}

#[test]
fn endpoints_by_hand_win() {
    let mut oidc = oidc();
    oidc.endpoints.token = Some(url("https://inside/token"));
    let read = Metadata::read(metadata().to_string().as_bytes(), &oidc).unwrap();
    assert_eq!(read.token_endpoint.as_str(), "https://inside/token");
    assert_eq!(read.authorization_endpoint.as_str(), "https://idp.example.com/authorize");
}

#[test]
fn guids_are_guids() {
    assert!(is_guid("9188040d-6c67-4c5b-b112-36a304b66dad"));
    for bad in [
        "",
        "common",
        "9188040d-6c67-4c5b-b112-36a304b66da",
        "9188040d-6c67-4c5b-b112-36a304b66daD",
        "9188040d/6c67-4c5b-b112-36a304b66dad",
    ] {
        assert!(!is_guid(bad), "{bad}");
    }
}

#[test]
fn a_document_leads_nowhere_that_its_administrator_could_not_name() {
    let document = json!({
        "issuer": "https://idp.example.com", "authorization_endpoint": "https://idp.example.com/a",
        "token_endpoint": "https://idp.example.com/t", "jwks_uri": "https://idp.example.com/k",
    });
    let mut oidc = oidc();
    oidc.discovery = Url::parse("https://idp.example.com/.well-known/openid-configuration").ok();
    (oidc.issuer, oidc.endpoints) = (None, Default::default());
    Metadata::read(document.to_string().as_bytes(), &oidc).unwrap();
    oidc.bounds = Some(crate::config::Bounds::default());
    let refused = Metadata::read(document.to_string().as_bytes(), &oidc).unwrap_err();
    assert!(refused.starts_with("authorization_endpoint: "), "{refused}");
}

#[test]
fn a_document_leads_neither_to_a_directory_nor_off_tls_nor_back_here() {
    let forbidden = ["directory.internal".to_owned()];
    let mut oidc = oidc();
    oidc.discovery = Some(url("https://idp.example.com/.well-known/openid-configuration"));
    oidc.issuer = Some(ISSUER.into());
    for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
        for (to, good) in [
            ("https://api.example.net/x", true),
            ("https://directory.internal/scim/v2/Users", false),
            ("https://DIRECTORY.internal.:8443/x", false),
            ("http://api.example.net/x", false),
            ("http://idp.example.com/x", false),
            ("https://127.0.0.1/x", false),
            ("https://localhost/x", false),
            ("https://169.254.169.254/latest", false),
            ("https://[::1]/x", false),
            ("https://[fe80::1]/x", false),
        ] {
            let mut document = metadata();
            document[name] = json!(to);
            let read = Metadata::read_apart_from(document.to_string().as_bytes(), &oidc, &forbidden);
            assert_eq!(read.is_ok(), good, "{name}: {to}: {read:?}");
        }
    }
}
