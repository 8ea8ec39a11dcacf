//! Whose a link to an issuer is: which provider of the account issues it, by what is known of them.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{json, Value};

use super::identity_tests::{configuration, provider, who, Kind, CORP, PARTNER};
use super::*;
use crate::config::{load, Placeholders, Protocol};
use crate::identity::Issuers;
use crate::proto::oidc;
use crate::testing::{drive_with, TestHost};

#[test]
fn issuers_are_told_apart_without_their_documents() {
    let discovered = |url: &str| {
        let mut document = configuration(Kind::Static, &[], false, &json!({}));
        document["accounts"][0]["identity_providers"] = json!([{"id": "corp", "oidc": {"discovery": format!("{url}/.well-known/openid-configuration"), "client_id": "a"}}]);
        load(document.to_string().as_bytes(), &Placeholders).unwrap().accounts[0].providers[0].clone()
    };
    let tenant = "https://login.example/11111111-2222-3333-4444-555555555555/v2.0";
    for (url, issuer, wanted) in [
        (CORP, CORP, Some(true)),
        (CORP, "https://corp.example/", Some(true)),
        (CORP, PARTNER, Some(false)),
        ("https://accounts.google.com", "accounts.google.com", Some(true)),
        ("https://login.example/common/v2.0", tenant, None),
        (tenant, tenant, Some(true)),
        ("https://login.example/99999999-2222-3333-4444-555555555555/v2.0", tenant, Some(false)),
    ] {
        assert_eq!(Issuers::default().is_of(&discovered(url), issuer), wanted, "{url} {issuer}");
    }
    // A template names no tenant before its metadata is there.
    let changes = json!({"identity_providers": [issued_by(provider("corp", false), "https://login.example/{tenantid}/v2.0")]});
    let document = configuration(Kind::Static, &[], false, &changes);
    let template =
        load(document.to_string().as_bytes(), &Placeholders).unwrap().accounts[0].providers[0].clone();
    assert_eq!(Issuers::default().is_of(&template, tenant), None);
}

fn issued_by(mut provider: Value, issuer: &str) -> Value {
    provider["oidc"]["issuer"] = json!(issuer);
    provider
}

/// A login by `corp` with these providers, over a list whose ada is linked so; the account lets only the first provider in.
fn first_alone(providers: Vec<Value>, issuer: &str, link: &str, known: bool) -> Result<String, &'static str> {
    let changes = json!({"identity_providers": providers, "mapping": {"link": "first"}});
    let linked = [("ada", "ada@corp.com", true, "")];
    let mut document = configuration(Kind::Static, &linked, true, &changes);
    document["accounts"][0]["directory"]["static"]["users"][0]["external_id"] = json!(link);
    let account = load(document.to_string().as_bytes(), &Placeholders).unwrap().accounts[0].clone();
    let clients = account.providers.iter().filter_map(|provider| match &provider.protocol {
        Protocol::Oidc(oidc) => Some((provider.id.clone(), Rc::new(oidc::Provider::new(oidc)))),
        _ => None,
    });
    let issuers = if known { Issuers::new(clients.collect(), HashMap::new()) } else { Issuers::default() };
    let mut identity = who("corp", json!({"email": "ada@corp.com"}));
    identity.issuer = issuer.to_owned();
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let cache = Cache::with_issuers(Rc::new(issuers));
        resolve(&inner, &account, &cache, &identity).await
    };
    match drive_with(&io, flow, |_| panic!("no call")).0 {
        Ok(Resolution::User(user)) => Ok(user.username),
        Ok(Resolution::Invitation { .. }) => Err("invited"),
        Err(fault) => Err(fault.code.as_str()),
    }
}

#[test]
fn a_link_to_an_issuer_that_two_providers_share_is_the_own() {
    let at = |id: &str, issuer: &str| issued_by(provider(id, false), issuer);
    let google = "https://accounts.google.com";
    let both = || vec![at("corp", google), at("partner", google)];
    // Google writes its issuer in two ways: to the account it is one.
    assert_eq!(first_alone(both(), google, "accounts.google.com|s-1", true), Ok("ada".to_owned()));
    let apart = vec![at("corp", google), at("partner", PARTNER)];
    assert_eq!(first_alone(apart, google, "https://partner.example|s-1", true), Err("identity_conflict"));
}

#[test]
fn what_is_known_of_a_provider_says_whose_a_link_is() {
    let template = "https://login.example/{tenantid}/v2.0";
    let tenant = "https://login.example/11111111-2222-3333-4444-555555555555/v2.0";
    let entra = issued_by(provider("partner", false), template);
    let providers = || vec![provider("corp", false), entra.clone()];
    let link = format!("{tenant}|s-9");
    assert_eq!(first_alone(providers(), CORP, &link, true), Err("identity_conflict"));
    // Without metadata the template does not tell its tenants: the link counts as foreign, and the login goes on.
    assert_eq!(first_alone(providers(), CORP, &link, false), Ok("ada".to_owned()));
}
