//! A provider's metadata: of the issuer that was asked, endpoints that can be called.

use envoy_sso::proto::oidc::Metadata;
use serde_json::Value;

use super::provider::discovered;

pub fn run(data: &[u8]) {
    plain(data);
    template(data);
}

fn plain(data: &[u8]) {
    let exchange = "https://idp.example.com/.well-known/openid-configuration";
    let Ok(metadata) = Metadata::read_apart_from(data, &discovered(exchange), &[]) else { return };
    let document: Value = serde_json::from_slice(data).expect("what was read strictly is JSON");
    assert_eq!(document["issuer"], *metadata.issuer);
    let issuer = url::Url::parse(metadata.issuer.trim_end_matches('/')).expect("the issuer is a URL");
    assert_eq!(issuer.as_str(), "https://idp.example.com/", "{:?}", metadata.issuer);
    assert!(metadata.is_issuer(&metadata.issuer));
    for other in ["https://evil.com", "https://idp.example.com.evil.com", "http://idp.example.com", ""] {
        assert!(!metadata.is_issuer(other), "{:?} speaks for {other:?}", metadata.issuer);
    }
    endpoints(&metadata);
}

fn template(data: &[u8]) {
    let exchange = "https://login.example.com/common/v2.0/.well-known/openid-configuration";
    let Ok(metadata) = Metadata::read_apart_from(data, &discovered(exchange), &[]) else { return };
    endpoints(&metadata);
    if metadata.issuer.contains("{tenantid}") {
        assert!(!metadata.is_issuer("https://login.example.com/common/v2.0"), "a tenant is a GUID");
        assert!(!metadata.is_issuer("https://login.example.com/a/b/v2.0"));
        assert!(!metadata.is_issuer("https://evil.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
    }
}

fn endpoints(metadata: &Metadata) {
    let all = [
        Some(&metadata.authorization_endpoint),
        Some(&metadata.token_endpoint),
        metadata.userinfo_endpoint.as_ref(),
        metadata.jwks_uri.as_ref(),
        metadata.end_session_endpoint.as_ref(),
        metadata.pushed_authorization_request_endpoint.as_ref(),
    ];
    for url in all.into_iter().flatten() {
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
        assert!(url.host_str().is_some_and(|host| !host.is_empty()), "{url}");
        assert!(url.username().is_empty() && url.password().is_none(), "credentials in {url}");
        assert!(url.fragment().is_none(), "{url}");
    }
}
