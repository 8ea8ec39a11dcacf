//! OpenID Connect Front-Channel Logout 1.0.

use super::*;

/// The provider's page loads the frame: with these parameters, in this browser or in one without cookies.
fn frame(browser: &mut Browser, query: &str) -> Seen {
    let mut framed = browser.clone_headers(&[
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("referer", "https://idp.example/"),
    ]);
    framed.cookies = browser.cookies.clone();
    let seen = framed.get(&format!("/sso/frontchannel-logout?u=acme{query}"), &mut documents());
    browser.cookies = framed.cookies;
    seen
}

const GOOD: &str = "&iss=https%3A%2F%2Fidp.example&sid=sid-1";

#[test]
fn the_frame_ends_the_session_on_every_worker_though_no_cookie_comes() {
    let host = TestHost::new();
    let TwoWorkers { there, mut ada, mut bob, mut elsewhere, .. } = TwoWorkers::of(&host);
    let seen = frame(&mut Browser::new(&there, "acme.example"), GOOD);
    assert_eq!((seen.status(), seen.code()), (200, "front_channel_logout"));
    let answer = seen.answer.unwrap();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.ends_with("frame-ancestors https://idp.example"), "{policy}");
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    assert!(answer.header("x-frame-options").is_none());
    assert!(!is_in(&mut ada) && !is_in(&mut elsewhere) && is_in(&mut bob));
}

#[test]
fn with_the_cookie_it_is_deleted_too() {
    for query in [GOOD, ""] {
        let filter_state = filter_state(&TestHost::new(), &configuration());
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        let copy = ada.cookies.clone();
        assert_eq!(frame(&mut ada, query).status(), 200, "{query}");
        assert!(ada.cookies.is_empty(), "{query}");
        ada.cookies = copy;
        assert!(!is_in(&mut ada), "{query}");
    }
}

#[test]
fn wrong_and_missing_parameters_end_nothing() {
    for (query, expected) in [
        ("&iss=https%3A%2F%2Fidp.example&sid=wrong", (200, "front_channel_logout")),
        ("&iss=https%3A%2F%2Fevil.example&sid=sid-1", (400, "request_invalid")),
        ("&iss=https%3A%2F%2Fidp.example%2F&sid=sid-1", (400, "request_invalid")),
        ("&iss=&sid=sid-1", (400, "request_invalid")),
        ("&iss=https%3A%2F%2Fidp.example&sid=", (400, "request_invalid")),
        ("&iss=https%3A%2F%2Fidp.example", (400, "request_invalid")),
        ("&sid=", (400, "request_invalid")),
        ("&sid=wrong", (200, "front_channel_logout")),
        ("&sid=sid-1", (200, "front_channel_logout")),
        ("&iss=https%3A%2F%2Fidp.example&sid=sid-1&sid=sid-2", (400, "request_invalid")),
        ("&iss=https%3A%2F%2Fevil.example&iss=https%3A%2F%2Fidp.example&sid=sid-1", (400, "request_invalid")),
        (GOOD, (200, "front_channel_logout")),
    ] {
        let filter_state = filter_state(&TestHost::new(), &configuration());
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        for with_cookie in [false, true] {
            let mut other = Browser::new(&filter_state, "acme.example");
            let browser = if with_cookie { &mut ada } else { &mut other };
            let seen = frame(browser, query);
            assert_eq!((seen.status(), seen.code()), expected, "{query}");
            assert_eq!(
                is_in(&mut ada),
                query != GOOD && query != "&sid=sid-1",
                "{query}, cookie: {with_cookie}"
            );
        }
    }
}

#[test]
fn another_site_cannot_use_it_to_sign_people_out() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let cookies = ada.cookies.clone();
    for (headers, expected) in [
        // A link: asked about first, as every sign-out.
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")][..], (200, "logout_confirm")),
        (&[("sec-fetch-site", "same-site"), ("sec-fetch-dest", "document")], (200, "logout_confirm")),
        (&[("origin", "https://evil.example")], (200, "logout_confirm")),
        // A frame of another site, where the cookie comes (SameSite=None, or the same site).
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")], (400, "request_invalid")),
        (
            &[("sec-fetch-dest", "iframe"), ("referer", "https://evil.example/?https://idp.example")],
            (400, "request_invalid"),
        ),
        (
            &[("sec-fetch-dest", "iframe"), ("referer", "https://idp.example.evil.example/")],
            (400, "request_invalid"),
        ),
    ] {
        let mut other = ada.clone_headers(headers);
        other.cookies = cookies.clone();
        let seen = other.get("/sso/frontchannel-logout?u=acme", &mut documents());
        assert_eq!((seen.status(), seen.code()), expected, "{headers:?}");
        assert!(is_in(&mut ada), "{headers:?}");
    }
    assert_eq!(frame(&mut ada, "").status(), 200);
    ada.cookies = cookies;
    assert!(!is_in(&mut ada), "the provider's own page can");
}

#[test]
fn made_up_sessions_leave_no_trace() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let before = host.shared_keys();
    for i in 0..50 {
        let query = format!("&iss=https%3A%2F%2Fidp.example&sid=guess-{i}");
        assert_eq!(frame(&mut Browser::new(&filter_state, "acme.example"), &query).status(), 200);
    }
    assert_eq!(host.shared_keys(), before, "a flood of guesses pushes nothing out");
    assert_eq!(host.counted("sso_sessions_ended.reason.frontchannel_logout"), 0);
    assert!(is_in(&mut ada));
}

#[test]
fn other_methods_and_other_accounts() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut browser = Browser::new(&filter_state, "acme.example");
    let seen = browser.send("PUT", "/sso/frontchannel-logout?u=acme", None, &mut nobody);
    assert_eq!((seen.status(), seen.code()), (405, "method_not_allowed"));
    let mut other = signed_in(&filter_state, "other", "corp", ADA);
    assert_eq!(frame(&mut browser, GOOD).status(), 200);
    assert!(is_in(&mut other), "the same person and session of the provider, at another account");
}

#[test]
fn a_provider_that_is_down_is_said_to_be() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut browser = Browser::new(&filter_state, "acme.example");
    let seen = browser
        .get(&format!("/sso/frontchannel-logout?u=acme{GOOD}"), &mut |_| Reply::Failed(Failure::Timeout));
    assert_eq!((seen.status(), seen.code()), (504, "idp_timeout"));
}

#[test]
fn okta_posts_a_form() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let mut frame = Browser::new(&filter_state, "acme.example").with("sec-fetch-site", "cross-site");
    let mut post = |form: &[(&str, &str)]| {
        let seen = frame.post("/sso/frontchannel-logout?u=acme", form, &mut documents());
        (seen.status(), seen.code().to_owned())
    };
    assert_eq!(post(&[("iss", "https://evil.example"), ("sid", "sid-1")]).0, 400);
    assert_eq!(post(&[("iss", ISSUER)]).0, 400);
    assert!(is_in(&mut ada));
    assert_eq!(post(&[("iss", ISSUER), ("sid", "sid-1")]), (200, "front_channel_logout".to_owned()));
    assert!(!is_in(&mut ada));
}
