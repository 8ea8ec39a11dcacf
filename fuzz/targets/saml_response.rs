//! SAML responses: whatever becomes of a document, it signs nobody in but whom the provider's key signed in.
//!
//! The seeds `signed_…` and `encrypted` are all that this key ever signed.

use envoy_sso::proto::saml::private_key::PrivateKey;
use envoy_sso::proto::saml::response::{claimed, verify, Expected, Message};
use envoy_sso::proto::saml::verified::Verified;
use envoy_sso::values::secret::Secret;

use super::host::{Still, NOW};
use super::saml::{certificates, compact, ACS, ENTITY, IDP, REQUEST, SP_KEY};

const SIGNED: [&str; 4] = [
    include_str!("../seeds/saml_response/signed_response"),
    include_str!("../seeds/saml_response/signed_assertion"),
    include_str!("../seeds/saml_response/signed_both"),
    include_str!("../seeds/saml_response/encrypted"),
];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let claims = claimed(text);
    let Some(verified) = read(text) else { return };

    assert_eq!(verified.values("email"), ["ada@acme.com"], "{text}");
    assert_eq!(verified.values("NameID"), ["ada@acme.com"], "{text}");
    assert_eq!(verified.issuer, IDP);
    let claims = claims.expect("what is verified can be read before");
    assert_eq!(claims.in_response_to.as_deref(), Some(REQUEST), "not of this login: {text}");
    assert!(claims.issuer.is_none_or(|issuer| issuer == IDP));
    // Each fact is one that was signed; and a signature of the provider's is there, unless it is encrypted.
    let facts = facts(&verified);
    assert!(SIGNED.iter().filter_map(|seed| read(seed)).any(|seed| self::facts(&seed) == facts), "{facts}");
    let signature = |seed: &&str| {
        let (_, rest) = seed.split_once("<ds:SignatureValue>").unwrap();
        compact(text).contains(&compact(rest.split_once("</ds:SignatureValue>").unwrap().0))
    };
    assert!(SIGNED.iter().any(signature) || text.contains("CipherValue"), "unsigned: {text}");
}

fn read(text: &str) -> Option<Verified> {
    let key = PrivateKey::parse(&Secret::new(SP_KEY.into())).unwrap();
    let expected = Expected {
        host: &Still::default(),
        issuer: IDP,
        certificates: &certificates(),
        decryption_key: Some(&key),
        acs_url: ACS,
        entity_id: ENTITY,
        in_response_to: Some(REQUEST),
        authenticated_since: None,
        now: NOW * 1000,
        clock_skew: 60_000,
    };
    verify(&expected, &Message::read(text).ok()?).ok()
}

/// All but the identifier of the Response, which an Assertion's signature does not cover.
fn facts(verified: &Verified) -> String {
    let Verified { name_id, session_index, attributes, authn_instant, session_not_on_or_after, .. } =
        verified;
    format!(
        "{name_id:?} {session_index:?} {attributes:?} {authn_instant} {session_not_on_or_after:?} {:?} {}",
        verified.authn_context, verified.assertion_id
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_provider_signed_signs_in() {
        for seed in super::SIGNED {
            assert!(super::read(seed).is_some(), "{seed}");
        }
    }
}
