//! SAML providers.

use envoy_sso::config::{load, Problem};
use serde_json::{json, Value};

use crate::{good, problems, Secrets};

fn with_saml(more: Value) -> Value {
    let mut saml = json!({
        "sso_url": "https://idp.example.com/sso", "issuer": "https://idp.example.com",
        "certificates": [include_str!("../fixtures/saml/idp.pem")],
    });
    saml.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    saml.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let mut document = good();
    document["accounts"][0]["identity_providers"] = json!([{ "id": "partners", "saml": saml }]);
    document
}

fn large_key() -> Value {
    json!({ "private_key": { "value": include_str!("../fixtures/saml/large.key") } })
}

fn saml_key(certificate: Option<&str>) -> Value {
    let mut key = json!({ "private_key": { "value": include_str!("../fixtures/saml/sp.key") } });
    if let Some(certificate) = certificate {
        key["certificate"] = json!(certificate);
    }
    key
}

#[test]
fn what_cannot_work_with_a_saml_provider_is_refused_at_load() {
    const SP: &str = include_str!("../fixtures/saml/sp.pem");
    const STRANGER: &str = include_str!("../fixtures/saml/stranger.pem");
    for (more, path) in [
        (json!({}), None),
        (json!({ "signing": saml_key(Some(SP)), "decryption": saml_key(Some(SP)) }), None),
        (json!({ "signing": saml_key(Some(STRANGER)) }), Some("saml.signing.certificate: ")),
        (json!({ "decryption": saml_key(Some(STRANGER)) }), Some("saml.decryption.certificate: ")),
        (json!({ "entity_id": "https://app.example.com" }), None),
        (json!({ "entity_id": "https://idp.example.com" }), Some("saml.entity_id: ")),
        (json!({ "issuer": "urn:idp:corp" }), None),
        (json!({ "issuer": "https://idp.example.com|x" }), Some("saml.issuer: ")),
        (json!({ "issuer": "https://idp.example.com " }), Some("saml.issuer: ")),
        (json!({ "issuer": "" }), Some("saml.issuer: ")),
        (json!({ "certificates": vec![STRANGER; 16] }), None),
        (json!({ "certificates": vec![STRANGER; 17] }), Some("saml.certificates: are more than 16")),
    ] {
        let found = problems(&with_saml(more.clone()));
        match path {
            None => assert_eq!(found, Vec::<String>::new(), "{more}"),
            Some(path) => assert!(found.iter().any(|problem| problem.contains(path)), "{path}: {found:?}"),
        }
        assert!(!found.concat().contains("PRIVATE"), "{found:?}");
    }
}

#[test]
fn what_should_not_stay_so_with_a_saml_provider_is_a_warning_at_load() {
    let by_url = |url: &str| json!({ "metadata_url": url, "certificates": null });
    let certificate = Some(include_str!("../fixtures/saml/sp.pem"));
    let slo = "https://idp.example.com/slo";
    for (more, path) in [
        (json!({}), None),
        (by_url("https://idp.example.com/metadata"), None),
        (by_url("http://localhost:8080/metadata"), None),
        (by_url("http://idp.example.com/metadata"), Some("saml.metadata_url: ")),
        (json!({ "metadata_url": "http://idp.example.com/metadata" }), None),
        (json!({ "slo_url": slo }), Some("saml.slo_url: ")),
        (json!({ "slo_url": slo, "signing": saml_key(certificate) }), None),
        (json!({ "signing": saml_key(None) }), Some("saml.signing.certificate: ")),
        (json!({ "decryption": saml_key(certificate) }), None),
        (json!({ "decryption": large_key() }), Some("saml.decryption.private_key: RSA of 3072 bits")),
        (json!({ "signing": large_key() }), Some("saml.signing.private_key: RSA of 3072 bits")),
    ] {
        let config = load(with_saml(more.clone()).to_string().as_bytes(), &Secrets).unwrap();
        let found: Vec<String> = config.warnings.iter().map(Problem::to_string).collect();
        match path {
            None => assert_eq!(found, Vec::<String>::new(), "{more}"),
            Some(path) => assert!(found.iter().any(|warning| warning.contains(path)), "{path}: {found:?}"),
        }
    }
    let mut twice = with_saml(json!({}));
    let mut second = twice["accounts"][0]["identity_providers"][0].clone();
    second["id"] = json!("again");
    twice["accounts"][0]["identity_providers"].as_array_mut().unwrap().push(second);
    let config = load(twice.to_string().as_bytes(), &Secrets).unwrap();
    assert!(config.warnings.iter().any(|w| w.path.ends_with("identity_providers[1].saml.issuer")));
}
