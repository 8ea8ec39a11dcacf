//! OpenID Connect RP-Initiated Logout 1.0.

use super::*;

fn leave(browser: &mut Browser) -> Seen {
    let mut here = browser.clone_headers(&[("sec-fetch-site", "same-origin")]);
    here.cookies = browser.cookies.clone();
    let seen = here.get("/sso/logout", &mut documents());
    browser.cookies = here.cookies;
    seen
}

#[test]
fn out_here_then_at_the_provider_and_back_with_the_state() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let copy = ada.cookies.clone();
    let seen = leave(&mut ada);
    let to = seen.location();
    assert!(to.starts_with("https://idp.example/end?"), "{to}");
    assert_eq!(parameter(to, "client_id").as_deref(), Some("app"));
    let back = "https://acme.example/sso/logout-complete";
    assert_eq!(parameter(to, "post_logout_redirect_uri").as_deref(), Some(back));
    assert_eq!(parameter(to, "id_token_hint").unwrap().split('.').count(), 3);
    let state = parameter(to, "state").unwrap();
    assert_eq!(ada.cookies.len(), 1, "the session is gone, the state is kept: {:?}", ada.cookies);
    let seen = ada.get(&format!("/sso/logout-complete?state={state}"), &mut nobody);
    assert_eq!((seen.status(), seen.code()), (200, "signed_out"));
    assert!(ada.cookies.is_empty());
    assert_eq!(host.counted("sso_logouts_returned.outcome.ok"), 1);
    ada.cookies = copy;
    assert!(!is_in(&mut ada), "nor does a captured copy of the session live on");
}

#[test]
fn a_wrong_or_missing_state_does_no_harm() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let state = parameter(leave(&mut ada).location(), "state").unwrap();
    let other = {
        let mut bob = signed_in(&filter_state, "acme", "corp", Who { subject: "bob", ..ADA });
        parameter(leave(&mut bob).location(), "state").unwrap()
    };
    let long = "x".repeat(3000);
    for query in [
        "",
        "?state=",
        "?state=wrong",
        &format!("?state={other}"),
        &format!("?state={state}&state=x"),
        &format!("?state={long}"),
    ] {
        let before = ada.cookies.clone();
        let seen = ada.get(&format!("/sso/logout-complete{query}"), &mut nobody);
        assert_eq!((seen.status(), seen.code()), (200, "signed_out"), "{query}");
        assert_eq!(ada.cookies, before, "{query}: the logout under way is untouched");
        assert!(!seen.text().contains("wrong"));
    }
    assert_eq!(host.counted("sso_logouts_returned.outcome.ok"), 0);
    ada.get(&format!("/sso/logout-complete?state={state}"), &mut nobody);
    assert_eq!(host.counted("sso_logouts_returned.outcome.ok"), 1);
    // Whoever is signed in is not told otherwise, whoever sent them here, and stays signed in.
    let mut eve = signed_in(&filter_state, "acme", "corp", Who { subject: "eve", ..ADA });
    for query in ["", "?state=wrong", &format!("?state={state}")] {
        let seen = eve.get(&format!("/sso/logout-complete{query}"), &mut nobody);
        assert_eq!((seen.status(), seen.code()), (200, "still_signed_in"), "{query}");
        assert!(seen.text().contains("href=\"/sso/logout\""));
        assert!(is_in(&mut eve));
    }
}

#[test]
fn a_state_is_of_one_account_and_ten_minutes() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let state = parameter(leave(&mut ada).location(), "state").unwrap();
    let complete = format!("/sso/logout-complete?state={state}");
    let mut other = Browser::new(&filter_state, "other.example");
    other.cookies = ada.cookies.clone();
    other.get(&complete, &mut nobody);
    host.advance(600_000);
    ada.get(&complete, &mut nobody);
    assert_eq!(host.counted("sso_logouts_returned.outcome.ok"), 0);
    assert_eq!(host.counted("sso_logouts_returned.outcome.unknown"), 2);
}

#[test]
fn without_an_id_token_there_is_no_hint() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    // An ID token that the session has no room for.
    let mut big = signed_in(&filter_state, "acme", "corp", Who { subject: "big", ..ADA });
    let to = leave(&mut big).location().to_owned();
    assert!(to.starts_with("https://idp.example/end?client_id=app&"), "{to}");
    assert_eq!(parameter(&to, "id_token_hint"), None);
    let mut plain = signed_in(&filter_state, "plain", "plain", ADA);
    let to = leave(&mut plain).location().to_owned();
    assert!(to.starts_with("https://plain.example/out?"), "{to}");
    assert_eq!(parameter(&to, "hint"), None, "a parameter without a value is left out");
    assert_eq!(parameter(&to, "client").as_deref(), Some("app"));
    assert_eq!(parameter(&to, "next").as_deref(), Some("https://plain.example/sso/logout-complete"));
    let state = parameter(&to, "state").unwrap();
    let seen = plain.get(&format!("/sso/logout-complete?state={state}"), &mut nobody);
    assert_eq!((seen.code(), plain.cookies.len()), ("signed_out", 0));
}

#[test]
fn a_provider_that_is_down_keeps_nobody_in() {
    let ada = signed_in(&filter_state(&TestHost::new(), &configuration()), "acme", "corp", ADA);
    // An Envoy that has just started, and has never heard from the provider.
    let fresh = filter_state(&TestHost::new(), &configuration());
    let mut here = Browser::new(&fresh, "acme.example").with("sec-fetch-site", "same-origin");
    here.cookies = ada.cookies.clone();
    assert!(here.get("/reports", &mut nobody).pass.is_some());
    let seen = here.get("/sso/logout", &mut |_| Reply::Failed(Failure::Unreachable));
    assert_eq!((seen.status(), seen.location()), (302, "/sso/logout-complete"));
    assert!(here.cookies.is_empty());
    here.cookies = ada.cookies;
    assert!(here.get("/reports", &mut |_| Reply::Failed(Failure::Unreachable)).pass.is_none());
}

#[test]
fn a_post_without_a_body_signs_out_too() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for account_state in ["same-origin", "cross-site"] {
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        let mut program = ada.clone_headers(&[("sec-fetch-site", account_state), ("accept", "*/*")]);
        program.cookies = ada.cookies.clone();
        let seen = program.send("POST", "/sso/logout", None, &mut documents());
        assert_eq!(seen.status() == 302, account_state == "same-origin");
        assert_eq!(is_in(&mut ada), account_state == "cross-site");
    }
}

#[test]
fn another_site_is_asked_about_first() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let mut link = ada.clone_headers(&[("sec-fetch-site", "cross-site")]);
    link.cookies = ada.cookies.clone();
    let page = link.get("/sso/logout", &mut nobody);
    assert_eq!((page.status(), page.code()), (200, "logout_confirm"));
    let csrf = page.field("csrf");
    for wrong in ["", "x", &csrf[1..]] {
        assert_eq!(link.post("/sso/logout", &[("csrf", wrong)], &mut nobody).code(), "logout_confirm");
        assert!(is_in(&mut ada));
    }
    assert_eq!(link.post("/sso/logout", &[("csrf", &csrf)], &mut documents()).status(), 302);
    assert!(!is_in(&mut ada));
}

#[test]
fn a_browser_that_does_not_say_whose_page_asked_is_believed_its_referer() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for (referer, code) in [
        ("https://evil.example/", "logout_confirm"),
        ("https://acme.example.evil.example/", "logout_confirm"),
        ("https://acme.example/reports", "redirect"),
    ] {
        let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
        // As an older browser sends it: no `Sec-Fetch-Site`, and no `Origin` with a GET.
        let mut link = Browser::new(&filter_state, "acme.example").with("referer", referer);
        link.cookies = ada.cookies.clone();
        assert_eq!(link.get("/sso/logout", &mut documents()).code(), code, "{referer}");
        assert_eq!(is_in(&mut ada), code == "logout_confirm", "{referer}");
    }
}

#[test]
fn on_an_origin_that_accounts_share_the_way_back_asks_for_no_account() {
    let mut configuration = configuration();
    for account in configuration["accounts"].as_array_mut().unwrap() {
        account["origins"] = json!(["https://shared.example"]);
    }
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration);
    let mut ada = Browser::new(&filter_state, "shared.example").with("sec-fetch-site", "same-origin");
    let start = ada.get("/sso/login?u=acme&idp=corp", &mut documents());
    let [state, nonce] = ["state", "nonce"].map(|name| parameter(start.location(), name).unwrap());
    ada.get(&format!("/sso/oidc/consume?u=acme&code=c&state={state}"), &mut idp(ADA, nonce));
    assert!(is_in(&mut ada));
    let state = parameter(ada.get("/sso/logout", &mut documents()).location(), "state").unwrap();
    let seen = ada.get(&format!("/sso/logout-complete?state={state}"), &mut nobody);
    assert_eq!((seen.status(), seen.code()), (200, "signed_out"));
    assert!(ada.cookies.is_empty(), "the state of one of them is known: {:?}", ada.cookies);
    assert_eq!(host.counted("sso_logouts_returned.outcome.ok"), 1);
    let seen = ada.get("/sso/logout-complete?state=wrong", &mut nobody);
    assert_eq!(seen.code(), "signed_out");
    assert!(ada.get("/reports", &mut nobody).text().contains("name=\"u\""), "elsewhere it is asked for");
}

#[test]
fn a_sign_out_lands_where_the_operator_says_and_clears_what_he_names() {
    let mut config = configuration();
    config["accounts"][3]["identity_providers"][0]["oauth2"].as_object_mut().unwrap().remove("logout_url");
    config["accounts"][3]["identity_providers"][0]["oauth2"].as_object_mut().unwrap().remove("logout_params");
    for account in [0, 3] {
        config["accounts"][account]["logout"] =
            json!({ "landing": "/bye?x=1", "clear_site_data": ["cache", "storage"] });
    }
    let filter_state = filter_state(&TestHost::new(), &config);
    let cleared = |seen: &Seen| {
        seen.answer.as_ref().and_then(|answer| answer.header("clear-site-data").map(str::to_owned))
    };
    let wanted = Some("\"cache\", \"storage\"".to_owned());
    // The provider has no sign-out.
    let mut ada = signed_in(&filter_state, "plain", "plain", ADA);
    let seen = leave(&mut ada);
    assert_eq!((seen.location(), cleared(&seen)), ("/bye?x=1", wanted.clone()));
    assert!(!is_in(&mut ada));
    assert_eq!(leave(&mut ada).location(), "/bye?x=1", "nobody was in");
    // It has one: the browser goes there, and its cookies here are never in the header.
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let seen = leave(&mut ada);
    assert!(seen.location().starts_with("https://idp.example/end?"));
    assert_eq!(cleared(&seen), wanted);
    // A question ends nothing yet.
    let mut ada = signed_in(&filter_state, "acme", "corp", ADA);
    let mut foreign = ada.clone_headers(&[("sec-fetch-site", "cross-site")]);
    foreign.cookies.clone_from(&ada.cookies);
    let seen = foreign.get("/sso/logout", &mut documents());
    assert_eq!((seen.code(), cleared(&seen)), ("logout_confirm", None));
    assert!(is_in(&mut ada));
    // Without the setting there is no such header.
    let mut bob = signed_in(&filter_state, "other", "corp", ADA);
    assert_eq!(cleared(&leave(&mut bob)), None);
}

#[test]
fn a_persistent_cookie_lasts_as_long_as_its_session() {
    for (persistent, wanted) in
        [(json!(null), None), (json!(false), None), (json!(true), Some("Max-Age=3600"))]
    {
        let mut config = configuration();
        config["cookies"] = json!({ "persistent": persistent });
        let filter_state = filter_state(&TestHost::new(), &config);
        let mut browser = Browser::new(&filter_state, "acme.example");
        let start = browser.get("/sso/login?idp=corp", &mut idp(ADA, String::new()));
        let (state, nonce) =
            (parameter(start.location(), "state").unwrap(), parameter(start.location(), "nonce").unwrap());
        let back =
            browser.get(&format!("/sso/oidc/consume?u=acme&code=c&state={state}"), &mut idp(ADA, nonce));
        let cookies = back.answer.unwrap().headers;
        let session =
            cookies.iter().find(|(name, value)| name == "set-cookie" && value.starts_with("__Host-sso="));
        let line = &session.unwrap().1;
        assert_eq!(line.split("; ").find(|attribute| attribute.starts_with("Max-Age")), wanted, "{line}");
    }
}
