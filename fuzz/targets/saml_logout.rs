//! SAML logout requests, from a query or, after a line end, from a form: they end no session that the provider's key
//! did not end.

use envoy_sso::proto::saml::bindings::{decode_logout, Redirected};
use envoy_sso::proto::saml::logout::{
    read_request, read_response, Expected, LogoutRequest, Message, Received,
};
use envoy_sso::proto::saml::signature::Trust;

use super::host::{Still, NOW};
use super::saml::{certificates, IDP, REQUEST, SLO};

const SIGNED: [&str; 2] =
    [include_str!("../seeds/saml_logout/signed_redirect"), include_str!("../seeds/saml_logout/signed_post")];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(request) = read(text) else { return };
    // The time of issue differs by nothing; who and which sessions must be what was signed.
    let seeds: Vec<LogoutRequest> = SIGNED.iter().filter_map(|seed| read(seed)).collect();
    assert!(seeds.contains(&request), "{request:?} from {text}");
    if let (true, Some(query)) = (!text.contains('\n'), SIGNED[0].lines().next()) {
        // What the signature of a query covers stands in it byte for byte.
        let message =
            |query: &str| query.split('&').find(|part| part.starts_with("SAMLRequest=")).map(str::to_owned);
        assert_eq!(message(text), message(query));
    }
}

fn read(text: &str) -> Option<LogoutRequest> {
    let host = Still::default();
    let certificates = certificates();
    let expected = Expected {
        trust: Trust { host: &host, certificates: &certificates },
        decryption_key: None,
        issuer: IDP,
        slo_url: SLO,
        entity_id: "https://app.example.com/sp",
        now: NOW * 1000,
        clock_skew: 60_000,
    };
    let (redirected, posted);
    let received = match text.split_once('\n') {
        None => {
            redirected = Redirected::parse(text).ok()?;
            Received::Redirect(&redirected)
        }
        Some((field, _)) => {
            posted = decode_logout(field).ok()?;
            Received::Post(&posted)
        }
    };
    let message = Message::read(received).ok()?;
    assert!(
        read_response(&expected, &message, Some(REQUEST)).is_err(),
        "no response was ever signed: {text}"
    );
    read_request(&expected, &message).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_provider_signed_ends_the_session() {
        for seed in super::SIGNED {
            assert_eq!(
                super::read(seed).map(|r| r.session_indexes),
                Some(vec!["_session".to_owned()]),
                "{seed}"
            );
        }
    }
}
