//! A SAML provider's metadata: of the entity that was asked for, with keys and addresses that can be used.

use envoy_sso::proto::saml::metadata::Theirs;

use super::host::NOW;
use super::saml::IDP;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for wanted in [None, Some(IDP)] {
        let Ok(theirs) = Theirs::read(text, wanted, NOW * 1000) else { continue };
        assert!(wanted.is_none_or(|wanted| theirs.entity_id == wanted), "{}", theirs.entity_id);
        assert!((1..=10).contains(&theirs.certificates.len()));
        assert!(theirs.sso_redirect.is_some() || theirs.sso_post.is_some());
        assert!(theirs.valid_until.is_none_or(|until| until > NOW * 1000));
        let logouts = [&theirs.slo_redirect, &theirs.slo_post].into_iter().flatten();
        let logouts = logouts.flat_map(|logout| [&logout.requests, &logout.responses]);
        for address in [&theirs.sso_redirect, &theirs.sso_post].into_iter().flatten().chain(logouts) {
            let url = &address.url;
            assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
            assert_eq!(address.text, address.text.trim());
        }
        if !text.contains("<!--") && !text.contains("<![CDATA[") {
            assert!(!text.contains("<!"), "a document type");
        }
    }
}
