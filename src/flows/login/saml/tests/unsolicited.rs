//! Responses that no request of ours asked for.
use super::*;

#[test]
fn unsolicited_is_off_restarted_or_accepted() {
    for (mode, code) in [("off", "assertion_invalid"), ("restart", "login_required"), ("accept", "redirect")]
    {
        let (_, _, mut browser) = filter(json!({ "idp_initiated": mode }));
        // Only what may sign somebody in needs to know who is signed in.
        let seen = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "/reports?q=2");
        let seen = if mode == "accept" { bounced(&mut browser, &seen) } else { seen };
        assert_eq!(seen.code(), code, "{mode}");
        match mode {
            "restart" => {
                let login = begun(&seen);
                let seen = post(&mut browser, &answer(&login.id).write(), &login.relay_state);
                assert_eq!(seen.location(), "/reports?q=2");
            }
            "accept" => assert_eq!(seen.location(), "/reports?q=2"),
            _ => assert_eq!(user(&mut browser), None),
        }
    }
}

#[test]
fn relay_state_leads_nowhere_else() {
    for target in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/sso/logout"]
    {
        let (_, _, mut browser) = filter(json!({ "idp_initiated": "accept" }));
        let page = post(&mut browser, &Answer::unsolicited(Style::Both).write(), target);
        assert_eq!(bounced(&mut browser, &page).location(), "/", "{target}");
    }
}

#[test]
fn what_is_accepted_unsolicited_is_fresh_used_once_and_replaces_nobody() {
    let (host, filter_state, mut browser) = filter(json!({ "idp_initiated": "accept" }));
    let good = Answer::unsolicited(Style::Both);
    let page = post(&mut browser, &good.write(), "");
    assert_eq!(bounced(&mut browser, &page).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));

    let worker = crate::testing::browser::filter_state(
        &host.worker(),
        &configuration(json!({ "idp_initiated": "accept" })),
    );
    for filter_state in [&filter_state, &worker] {
        let mut thief = Browser::new(filter_state, HOST);
        let page = post(&mut thief, &good.write(), "");
        assert_eq!(bounced(&mut thief, &page).code(), "assertion_invalid", "a replay");
    }

    // Somebody else's assertion, in a browser where Ada is signed in.
    let mut bob = good.clone();
    bob.assertion = bob.assertion.replace("_assertion", "_another");
    bob.attributes = bob.attributes.replace("ada@", "bob@");
    let page = post(&mut browser, &bob.write(), "");
    assert_eq!(bounced(&mut browser, &page).code(), "identity_conflict");
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    bob.assertion = bob.assertion.replace("_another", "_third");
    let mut fresh = Browser::new(&filter_state, HOST);
    let page = post(&mut fresh, &bob.write(), "");
    assert_eq!(bounced(&mut fresh, &page).status(), 302);
    assert_eq!(user(&mut fresh).as_deref(), Some("bob"));

    // A foreign page that posts the bounce's form itself would hide who is signed in.
    bob.assertion = bob.assertion.replace("_third", "_fourth");
    let encoded = encode_post(&bob.write());
    let mut lured = Browser::new(&filter_state, HOST).with("sec-fetch-site", "cross-site");
    let form = [("SAMLResponse", encoded.as_str()), ("RelayState", ""), ("sso_bounced", "1")];
    assert_eq!(lured.post(ACS, &form, &mut nobody).code(), "request_invalid");
}
