//! A provider that asks for a new authorization request.
use super::*;

/// Keycloak's answer to a tab whose login it forgot, once another tab has signed in.
const EXPIRED: &str = "error=temporarily_unavailable&error_description=authentication_expired";

#[test]
fn a_login_that_the_provider_forgot_begins_again_once() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for forgotten_again in [false, true] {
        let mut ada = Browser::new(&filter_state, "one.app");
        let first = ada.get("/reports?q=1", &mut idp("", json!({})));
        let answer = |state: &str, outcome: &str| format!("/sso/oidc/consume?u=one&{outcome}&state={state}");
        let second = ada.get(&answer(&parameter(&first, "state"), EXPIRED), &mut idp("", json!({})));
        assert_eq!((second.status(), second.code()), (302, "login_required"));
        let (state, nonce) = (parameter(&second, "state"), parameter(&second, "nonce"));
        assert_ne!(state, parameter(&first, "state"));
        // The first login is used up.
        let replayed = ada.get(&answer(&parameter(&first, "state"), EXPIRED), &mut idp("", json!({})));
        assert_eq!(replayed.code(), "state_unknown");
        if forgotten_again {
            let refused = ada.get(&answer(&state, EXPIRED), &mut idp("", json!({})));
            assert_eq!((refused.status(), refused.code()), (503, "idp_unavailable"));
        } else {
            let seen = ada.get(&answer(&state, "code=c"), &mut idp(&nonce, json!({})));
            assert_eq!((seen.code(), seen.location()), ("redirect", "/reports?q=1"));
        }
    }
}

#[test]
fn other_errors_and_other_issuers_begin_nothing() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for (error, code) in [
        ("error=temporarily_unavailable", "idp_unavailable"),
        ("error=temporarily_unavailable&error_description=overloaded", "idp_unavailable"),
        ("error=access_denied&error_description=authentication_expired", "idp_denied"),
        (&format!("{EXPIRED}&iss=https://evil.test"), "callback_invalid"),
    ] {
        let mut ada = Browser::new(&filter_state, "one.app");
        let start = ada.get("/reports", &mut idp("", json!({})));
        let callback = format!("/sso/oidc/consume?u=one&{error}&state={}", parameter(&start, "state"));
        assert_eq!(ada.get(&callback, &mut idp("", json!({}))).code(), code, "{error}");
    }
}
