//! Whole requests that end sessions, after the logout plans of the OpenID conformance suite.

mod back_channel;
mod front_channel;
mod not_before;
mod rp_initiated;
mod unasked;

use std::rc::Rc;

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS};
use crate::host::task::{Call, Failure, Reply};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{self, header, TestHost, START};

const ISSUER: &str = "https://idp.example";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const NOW: u64 = START / 1000;

fn provider(id: &str, issuer: &str, client_id: &str) -> Value {
    json!({ "id": id, "oidc": {
        "discovery": format!("{issuer}/.well-known/openid-configuration"),
        "client_id": client_id, "client_secret": { "value": "s" },
    } })
}

fn configuration() -> Value {
    let account = |code: &str, providers: Value| {
        json!({
            "code": code, "origins": [format!("https://{code}.example")], "sso": "enabled",
            "identity_providers": providers,
        })
    };
    let plain = json!([{ "id": "plain", "oauth2": {
        "issuer": "https://plain.example", "authorization_endpoint": "https://plain.example/authorize",
        "token_endpoint": "https://plain.example/token", "userinfo_endpoint": "https://plain.example/userinfo",
        "client_id": "app", "client_secret": { "value": "s" },
        "logout_url": "https://plain.example/out",
        "logout_params": { "client": "{client_id}", "next": "{post_logout_redirect_uri}", "state": "{state}", "hint": "{id_token_hint}" },
    } }]);
    let several = json!([
        provider("one", "https://one.example", "app-1"),
        provider("two", "https://two.example", "app-2"),
        provider("same", "https://one.example", "app-3"),
    ]);
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
        "accounts": [
            account("acme", json!([provider("corp", ISSUER, "app")])),
            account("other", json!([provider("corp", ISSUER, "app")])),
            account("several", several),
            account("plain", plain),
        ]
    })
}

/// A person as the provider knows her, and what her ID token says besides.
#[derive(Clone, Copy)]
struct Who<'a> {
    issuer: &'a str,
    client_id: &'a str,
    subject: &'a str,
    sid: Option<&'a str>,
}

const ADA: Who<'static> = Who { issuer: ISSUER, client_id: "app", subject: "ada", sid: Some("sid-1") };

fn sign(header: Value, claims: &Value) -> String {
    token_of(&header, &claims.to_string())
}

/// The provider: documents, keys, and tokens of this person for this nonce.
fn idp(who: Who<'_>, nonce: String) -> impl FnMut(&Call) -> Reply + '_ {
    move |call| {
        let issuer = format!("https://{}", header(call, ":authority").unwrap_or_default());
        let mut id_token = json!({
            "iss": who.issuer, "aud": who.client_id, "sub": who.subject, "iat": NOW, "exp": NOW + 300,
            "nonce": nonce, "email": format!("{}@acme.com", who.subject),
        });
        if let Some(sid) = who.sid {
            id_token["sid"] = sid.into();
        }
        if who.subject == "big" {
            id_token["groups"] = "x".repeat(9_000).into();
        }
        match header(call, ":path").unwrap_or_default() {
            "/.well-known/openid-configuration" => testing::json(&json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "end_session_endpoint": format!("{issuer}/end"),
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            })),
            "/keys" => testing::answer("application/json", JWKS),
            "/token" => testing::json(&json!({
                "access_token": "at", "token_type": "Bearer",
                "id_token": sign(json!({ "alg": "ES256", "kid": "p256" }), &id_token),
            })),
            "/userinfo" => {
                testing::json(&json!({ "sub": who.subject, "email": format!("{}@acme.com", who.subject) }))
            }
            other => panic!("nobody asks for {other:?}"),
        }
    }
}

fn documents() -> impl FnMut(&Call) -> Reply {
    idp(ADA, String::new())
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).expect("an absolute URL");
    let found = url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
    found
}

/// Ada and Bob signed in on one worker, and Ada's cookies on another.
struct TwoWorkers {
    here: Rc<FilterState>,
    there: Rc<FilterState>,
    ada: Browser,
    bob: Browser,
    elsewhere: Browser,
}

impl TwoWorkers {
    fn of(host: &Rc<TestHost>) -> Self {
        let (here, there) =
            (filter_state(host, &configuration()), filter_state(&host.worker(), &configuration()));
        let ada = signed_in(&here, "acme", "corp", ADA);
        let bob = signed_in(&here, "acme", "corp", Who { subject: "bob", sid: Some("sid-2"), ..ADA });
        let mut elsewhere = Browser::new(&there, "acme.example");
        elsewhere.cookies = ada.cookies.clone();
        Self { here, there, ada, bob, elsewhere }
    }
}

/// A browser in which this person signed in, through that provider of the account.
fn signed_in(filter_state: &Rc<FilterState>, code: &str, provider: &str, who: Who<'_>) -> Browser {
    let mut browser = Browser::new(filter_state, &format!("{code}.example"));
    let start = browser.get(&format!("/sso/login?idp={provider}"), &mut idp(who, String::new()));
    let state = parameter(start.location(), "state").expect("a state");
    let nonce = parameter(start.location(), "nonce").unwrap_or_default();
    let back = browser.get(&format!("/sso/oidc/consume?u={code}&code=c&state={state}"), &mut idp(who, nonce));
    assert_eq!((back.status(), back.location()), (302, "/"), "{}", back.text());
    assert!(is_in(&mut browser));
    browser
}

fn is_in(browser: &mut Browser) -> bool {
    browser.get("/reports", &mut documents()).pass.is_some()
}

/// The good logout token with changed members; null takes one away.
fn claims(change: Value) -> Value {
    let good = json!({
        "iss": ISSUER, "aud": "app", "sub": "ada", "sid": "sid-1", "jti": "jti-1",
        "iat": NOW, "exp": NOW + 120, "events": { EVENT: {} },
    });
    testing::changed(good, &change)
}

fn logout_token(change: Value) -> String {
    sign(json!({ "alg": "ES256", "kid": "p256", "typ": "logout+jwt" }), &claims(change))
}

/// The provider posts a logout token.
fn post(filter_state: &Rc<FilterState>, code: &str, token: &str) -> Seen {
    let mut provider = Browser::new(filter_state, &format!("{code}.example")).with("accept", "*/*");
    provider.post(&format!("/sso/backchannel-logout?u={code}"), &[("logout_token", token)], &mut documents())
}
