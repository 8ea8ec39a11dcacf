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

/// Nothing was done: 204, or for the navigation of a document the page that leads to its own address.
fn ignored(seen: &Seen, is_document: bool, what: &str) {
    let answer = seen.answer.as_ref().unwrap();
    assert_eq!((seen.status(), seen.code()), (if is_document { 200 } else { 204 }, "ignored"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    for name in ["set-cookie", "location", "refresh"] {
        assert_eq!(answer.header(name), None, "{what}");
    }
    assert!(seen.calls.is_empty(), "{what}");
    let body = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(body.contains("<a class=\"go\" href=\"\">Continue</a>"), is_document, "{what}: {body}");
    assert!(!body.contains("ada") && !body.contains("<script"), "{what}: {body}");
}

/// Nothing was done: the page asks whether to sign out, and names no user.
fn asks(seen: &Seen, what: &str) {
    let answer = seen.answer.as_ref().unwrap();
    assert_eq!((seen.status(), seen.code()), (200, "logout_confirm"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None), "{what}");
    assert!(seen.calls.is_empty(), "{what}");
    let body = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        !body.contains("ada@") && !body.contains("Another site") && !body.contains("<script"),
        "{what}: {body}"
    );
}

/// True for the navigation of a document: the browser may show its answer to the user.
fn is_document(method: &str, headers: &[(&str, &str)]) -> bool {
    let dest = headers.iter().find(|(name, _)| *name == "sec-fetch-dest");
    let is_speculative = headers.iter().any(|(name, _)| !name.starts_with("sec-fetch-"));
    method == "GET" && is_speculative && dest.is_some_and(|(_, dest)| *dest == "document")
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
            match is_document(method, &headers) {
                true if target == "/sso/logout" => asks(&seen, &format!("{headers:?}")),
                is_document => ignored(&seen, is_document, &format!("{target} {headers:?}")),
            }
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
    let document = ("sec-fetch-dest", "document");
    for target in ["/reports", "/sso/login", "/sso/login?idp=corp&return_to=/reports", "/sso/admin"] {
        ignored(&send(&ada, "GET", target, &prefetch), false, target);
        ignored(&send(&ada, "GET", target, &[prefetch[0], document]), true, target);
        let script = [prefetch[0], ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
        ignored(&send(&ada, "GET", target, &script), false, target);
        ignored(&send(&ada, "GET", target, &[prefetch[0], ("sec-fetch-dest", "iframe")]), false, target);
    }
    let start = ada.get("/sso/login?idp=corp", &mut documents());
    let (state, nonce) =
        (parameter(start.location(), "state").unwrap(), parameter(start.location(), "nonce").unwrap());
    let callback = format!("/sso/oidc/consume?u=acme&code=c&state={state}");
    for headers in
        [&[("purpose", "prefetch")], &[("sec-purpose", "prefetch;prerender")], &[("x-moz", "prefetch")]]
    {
        ignored(&send(&ada, "GET", &callback, &[headers[0], document]), true, "the callback");
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
    for (target, status) in [("/reports", 200), ("/sso/session", 401), ("/sso/login", 200)] {
        let seen = send(&ada, "GET", target, &[("sec-purpose", "prefetch"), ("sec-fetch-dest", "document")]);
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
            ignored(&seen, is_document(method, &headers), &format!("{target} {headers:?}"));
        }
        // A provider's frame signs in silently; programs and old browsers say nothing.
        for headers in [&[][..], &[("sec-fetch-dest", "document")], &[("sec-fetch-dest", "iframe")]] {
            let seen = send(&browser, "GET", target, headers);
            assert!(seen.location().starts_with("https://idp.example/"), "{target} {headers:?}");
            assert!(seen.answer.unwrap().header("set-cookie").is_some());
        }
    }
}

#[test]
fn a_sign_out_that_is_looked_ahead_at_asks_when_the_user_comes_to_it() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let prefetch = ("sec-purpose", "prefetch;prerender");
    let document = ("sec-fetch-dest", "document");
    for from in [
        ("sec-fetch-site", "none"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "same-site"),
        ("referer", "https://a.example/"),
    ] {
        let stranger = Browser::new(&filter_state, "acme.example");
        ignored(&send(&stranger, "GET", "/sso/logout", &[prefetch, from, document]), true, "nobody is in");
        let script = [prefetch, from, ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
        ignored(&send(&ada, "GET", "/sso/logout", &script), false, "a script");
        ignored(&send(&ada, "GET", "/sso/logout", &[prefetch, from]), false, "no document");
        let seen = send(&ada, "GET", "/sso/logout", &[prefetch, from, document]);
        asks(&seen, &format!("{from:?}"));
        assert!(is_in(&mut ada), "{from:?}");
        let page = String::from_utf8(seen.answer.unwrap().body).unwrap();
        let csrf =
            page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let own = [("sec-fetch-site", "same-origin"), ("origin", "https://acme.example")];
        let mut here = ada.clone_headers(&own);
        here.cookies.clone_from(&ada.cookies);
        let seen = here.post("/sso/logout", &[("csrf", csrf)], &mut documents());
        assert!(seen.location().starts_with("https://idp.example/end?"), "{from:?}");
        assert!(!is_in(&mut ada), "{from:?}");
        ada = signed_in(&filter_state, "acme", "corp", ADA);
    }
}
