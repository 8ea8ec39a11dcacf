//! Requests that no user made: prefetches, HEAD, images. They end nothing and use nothing up.

use super::*;

/// The browser's cookies with these headers, for one request.
fn send(browser: &Browser, method: &str, target: &str, headers: &[(&str, &str)]) -> Seen {
    let mut here = browser.clone_headers(headers);
    here.cookies.clone_from(&browser.cookies);
    let body = (method == "POST").then(Vec::new);
    here.send(method, target, body, &mut documents())
}

/// Every way in which a request says that no user made it.
fn unasked() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let mut all: Vec<(&str, Vec<(&str, &str)>)> = vec![("HEAD", vec![])];
    for name in ["sec-purpose", "purpose", "x-moz", "x-purpose"] {
        for value in ["prefetch", "Prefetch;Prerender", "prefetch;anonymous-client-ip", "preview"] {
            all.push(("GET", vec![(name, value)]));
            all.push((
                "GET",
                vec![(name, value), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "document")],
            ));
        }
    }
    all.push(("GET", vec![("next-router-prefetch", "1")]));
    let dests =
        ["image", "style", "script", "font", "video", "audio", "track", "worker", "object", "embed", "empty"];
    for dest in dests {
        all.push(("GET", vec![("sec-fetch-site", "same-origin"), ("sec-fetch-dest", dest)]));
    }
    all
}

#[test]
fn a_sign_out_that_no_user_asked_for_ends_nothing() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let framed = "/sso/frontchannel-logout?u=acme&iss=https%3A%2F%2Fidp.example&sid=sid-1";
    for (method, headers) in unasked() {
        for target in [
            "/sso/logout",
            "/sso/frontchannel-logout?u=acme",
            framed,
            "/sso/saml/logout?u=acme&SAMLRequest=x",
        ] {
            let seen = send(&ada, method, target, &headers);
            let answer = seen.answer.as_ref().unwrap();
            assert_eq!((seen.status(), seen.code()), (204, "ignored"), "{target} {headers:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None));
            assert!(seen.calls.is_empty());
        }
        assert!(is_in(&mut ada), "{headers:?}");
    }
}

#[test]
fn a_click_a_form_and_a_scripts_post_sign_out() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let own = ("sec-fetch-site", "same-origin");
    for (method, headers) in [
        ("GET", vec![]),
        ("GET", vec![own, ("sec-fetch-dest", "document")]),
        ("GET", vec![("purpose", "no idea")]),
        ("POST", vec![]),
        ("POST", vec![own, ("sec-fetch-dest", "document"), ("origin", "https://acme.example")]),
        ("POST", vec![own, ("sec-fetch-dest", "empty"), ("origin", "https://acme.example")]),
    ] {
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        let seen = send(&ada, method, "/sso/logout", &headers);
        assert!(seen.location().starts_with("https://idp.example/end?"), "{method} {headers:?}");
        assert!(!is_in(&mut ada), "{method} {headers:?}");
    }
    let frame = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    send(&ada, "GET", "/sso/frontchannel-logout?u=acme&iss=https%3A%2F%2Fidp.example&sid=sid-1", &frame);
    assert!(!is_in(&mut ada), "the provider's own frame");
}

#[test]
fn looking_ahead_uses_no_login_and_no_logout_up() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = Browser::new(&filter_state, "acme.example");
    let prefetch = [("sec-purpose", "prefetch")];
    for target in ["/reports", "/sso/login", "/sso/login?idp=corp&return_to=/reports", "/sso/admin"] {
        let seen = send(&ada, "GET", target, &prefetch);
        assert_eq!((seen.status(), seen.code()), (204, "ignored"), "{target}");
        assert_eq!(seen.answer.unwrap().header("set-cookie"), None, "{target}");
    }
    let start = ada.get("/sso/login?idp=corp", &mut documents());
    let (state, nonce) =
        (parameter(start.location(), "state").unwrap(), parameter(start.location(), "nonce").unwrap());
    let callback = format!("/sso/oidc/consume?u=acme&code=c&state={state}");
    for headers in
        [&[("purpose", "prefetch")], &[("sec-purpose", "prefetch;prerender")], &[("x-moz", "prefetch")]]
    {
        let seen = send(&ada, "GET", &callback, headers);
        assert_eq!((seen.status(), seen.code(), seen.calls.len()), (204, "ignored", 0));
    }
    let seen = ada.get(&callback, &mut idp(ADA, nonce));
    assert_eq!((seen.status(), seen.location()), (302, "/"), "the user's own still counts");
    // With a session it reaches the application.
    let ahead = send(&ada, "GET", "/reports", &prefetch);
    assert!(ahead.pass.is_some_and(|pass| pass.set_cookies.is_empty()));
    // And the way back from the provider's sign-out is told once, to the user.
    let seen = send(&ada, "GET", "/sso/logout", &[("sec-fetch-site", "same-origin")]);
    let state = parameter(seen.location(), "state").unwrap();
    let leaving = seen
        .answer
        .unwrap()
        .headers
        .into_iter()
        .find(|(name, value)| name == "set-cookie" && value.contains("-logout"));
    let leaving = leaving.unwrap().1.split(';').next().unwrap().to_owned();
    let (name, value) = leaving.split_once('=').unwrap();
    ada.cookies = vec![(name.to_owned(), value.to_owned())];
    let complete = format!("/sso/logout-complete?state={state}");
    for (method, headers) in [("HEAD", &[][..]), ("GET", &prefetch)] {
        let seen = send(&ada, method, &complete, headers);
        assert_eq!((seen.status(), seen.answer.unwrap().header("set-cookie")), (200, None));
    }
    ada.get(&complete, &mut nobody);
    assert!(ada.cookies.is_empty());
}

#[test]
fn a_cookie_that_does_not_count_is_not_deleted_by_looking_ahead() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = Browser::new(&filter_state, "acme.example");
    ada.cookies.push(("__Host-sso".into(), "1.k1.1.a.b".into()));
    for (target, status) in [("/reports", 204), ("/sso/session", 401), ("/sso/login", 204)] {
        let seen = send(&ada, "GET", target, &[("sec-purpose", "prefetch")]);
        assert_eq!((seen.status(), seen.answer.unwrap().header("set-cookie")), (status, None), "{target}");
    }
    let seen = send(&ada, "GET", "/reports", &[]);
    assert!(seen.answer.unwrap().header("set-cookie").is_some());
}

#[test]
fn what_a_page_embeds_and_a_head_begin_no_login() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let browser = Browser::new(&filter_state, "acme.example");
    for target in ["/sso/login?idp=corp", "/sso/login?idp=corp&return_to=/reports&prompt=login"] {
        for (method, headers) in unasked() {
            let seen = send(&browser, method, target, &headers);
            let answer = seen.answer.as_ref().unwrap();
            assert_eq!((seen.status(), seen.code()), (204, "ignored"), "{target} {headers:?}");
            assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None));
        }
        // A provider's frame signs in silently; programs and old browsers say nothing.
        for headers in [&[][..], &[("sec-fetch-dest", "document")], &[("sec-fetch-dest", "iframe")]] {
            let seen = send(&browser, "GET", target, headers);
            assert!(seen.location().starts_with("https://idp.example/"), "{target} {headers:?}");
            assert!(seen.answer.unwrap().header("set-cookie").is_some());
        }
    }
}
