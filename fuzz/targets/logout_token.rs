//! Logout tokens: nothing ends a session that the provider's key has not signed, and of what it has signed nothing
//! that is not a logout token for this client (OpenID Connect Back-Channel Logout 1.0 section 2.6).
//!
//! Input with a line end is header and claims, and is signed here; any other is a token.

use std::rc::Rc;

use envoy_sso::host::clusters::Clusters;
use envoy_sso::host::task::{Io, Step, Task};
use envoy_sso::proto::oidc::logout_token::{verify, LogoutToken};
use envoy_sso::proto::oidc::Provider;
use serde_json::Value;

use super::host::{Still, NOW};
use super::id_token::signed;
use super::provider::{by_hand, CLIENT, ISSUER};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((header, claims)) = text.split_once('\n') else {
        assert!(received(text).is_err(), "no logout token was ever signed: {text}");
        return;
    };
    let Ok(accepted) = received(&signed(header, claims)) else { return };

    let header: Value = serde_json::from_str(header).expect("the header is JSON");
    assert_eq!(header["alg"], "ES256");
    assert!(header.get("crit").is_none() && header.get("b64").is_none(), "{header}");
    let kind = header["typ"].as_str().unwrap_or("jwt").to_ascii_lowercase();
    assert!(matches!(kind.trim_start_matches("application/"), "jwt" | "logout+jwt"), "{header}");

    let claims: Value = serde_json::from_str(claims).expect("the claims are JSON");
    assert_eq!((&claims["iss"], accepted.issuer.as_str()), (&Value::from(ISSUER), ISSUER));
    assert!(
        claims["aud"] == CLIENT || claims["aud"].as_array().is_some_and(|aud| aud.contains(&CLIENT.into()))
    );
    assert!(claims["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object(), "{claims}");
    assert!(claims.get("nonce").is_none(), "an ID token: {claims}");
    assert!(accepted.subject.is_some() || accepted.sid.is_some(), "whose?");
    assert_eq!(claims.get("sub"), accepted.subject.clone().map(Value::from).as_ref());
    assert_eq!(claims["sid"].as_str().filter(|sid| !sid.is_empty()), accepted.sid.as_deref());
    assert_eq!(claims["jti"], accepted.jti);
    assert!(!accepted.jti.is_empty());
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().expect("a number"));
    let iat = time("iat").expect("iat");
    assert!(iat <= NOW as f64 + 60.0, "of the future");
    assert!(time("exp").unwrap_or(iat + 300.0) > NOW as f64 - 60.0, "expired");
    assert!(accepted.expires > NOW * 1000);
}

fn received(token: &str) -> Result<LogoutToken, ()> {
    let io = Io::new(Rc::new(Still::default()), Rc::new(Clusters::to("test")));
    let (inner, token) = (io.clone(), token.to_owned());
    let flow = async move { verify(&inner, &Provider::new(&by_hand()), &token).await };
    match Task::new(io, flow).start() {
        Step::Done(done) => done.map_err(|_| ()),
        Step::Call(call) => panic!("a call although all is configured: {call:?}"),
        Step::Wait(_) => panic!("a wait although all is configured"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_provider_sends_is_accepted() {
        for seed in [
            include_str!("../seeds/logout_token/good"),
            include_str!("../seeds/logout_token/jwt"),
            include_str!("../seeds/logout_token/no_sub"),
            include_str!("../seeds/logout_token/no_exp"),
            include_str!("../seeds/logout_token/audiences"),
        ] {
            let (header, claims) = seed.split_once('\n').unwrap();
            assert!(super::received(&super::signed(header, claims)).is_ok(), "{seed}");
        }
    }
}
