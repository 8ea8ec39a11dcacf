//! The access token that the application gets: never one that has expired, never more than a header holds.
use super::*;

#[test]
fn the_application_never_gets_an_access_token_that_has_expired() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &forwarding());
    let mut idp = Idp::new(&host);
    idp.change = json!({ "expires_in": 100 });
    let mut ada = sign_in(&filter_state, &mut idp);
    let token = |host: &TestHost, idp: &mut Idp, ada: &mut Browser, advance: u64| {
        host.advance(advance);
        told(&get(ada, idp), "authorization")
    };
    assert_eq!(token(&host, &mut idp, &mut ada, 74_999).as_deref(), Some("Bearer at-1"));
    // The last quarter of its life is the time to renew it; requests go on with it meanwhile.
    token(&host, &mut idp, &mut ada, 1);
    assert_eq!(token(&host, &mut idp, &mut ada, 5_000).as_deref(), Some("Bearer at-2"));
    // Nobody was there when it expired: the first request waits for the next.
    assert_eq!(token(&host, &mut idp, &mut ada, 200_000).as_deref(), Some("Bearer at-3"));
    assert_eq!(idp.refreshes, 2);
    // The provider is down: the person is still in, the application gets no token.
    idp.fault = Some(Reply::Failed(Failure::Unreachable));
    assert_eq!(token(&host, &mut idp, &mut ada, 76_000).as_deref(), Some("Bearer at-3"));
    assert_eq!(token(&host, &mut idp, &mut ada, 20_000).as_deref(), Some("Bearer at-3"));
    assert_eq!(token(&host, &mut idp, &mut ada, 20_000), None);
    assert!(told(&get(&mut ada, &mut idp), "x-sso-user").is_some());
    idp.fault = None;
    assert_eq!(token(&host, &mut idp, &mut ada, 10_000).as_deref(), Some("Bearer at-4"));
}

#[test]
fn without_a_refresh_token_an_access_token_goes_when_it_expires() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &forwarding());
    let mut idp = Idp::new(&host);
    idp.change = json!({ "expires_in": 100, "refresh_token": null });
    let mut ada = sign_in(&filter_state, &mut idp);
    host.advance(99_999);
    assert_eq!(told(&get(&mut ada, &mut idp), "authorization").as_deref(), Some("Bearer at-1"));
    host.advance(1);
    let seen = get(&mut ada, &mut idp);
    assert_eq!((told(&seen, "authorization"), idp.refreshes), (None, 0));
    assert!(told(&seen, "x-sso-user").is_some());
    let mut own = copy(&ada, &filter_state).with("authorization", "Bearer of-my-own");
    let removed = get(&mut own, &mut idp).pass.expect("it passes").remove;
    assert!(removed.contains(&"authorization".to_owned()), "nobody's own stands in its place");
}

#[test]
fn what_does_not_fit_is_left_out_in_order_and_what_was_promised_is_not() {
    // No base64, which would be sealed as what it encodes.
    let text = |bytes: usize| "~".repeat(bytes);
    for (access, refresh, id, left_out, passes) in [
        (4000, 2000, 3000, "", true),
        (6000, 2000, 5000, "the ID token", true),
        (8000, 4000, 3000, "the ID token and the refresh token", true),
        (12_000, 2000, 3000, "", false),
    ] {
        let host = TestHost::new();
        let mut config = forwarding();
        config["accounts"][0]["forward"]["access_token"] = json!("x-token");
        let filter_state = filter_state(&host, &config);
        let mut idp = Idp::new(&host);
        idp.claims["filler"] = json!(text(id * 3 / 4));
        idp.change = json!({ "access_token": text(access), "refresh_token": text(refresh) });
        let mut ada = Browser::new(&filter_state, "app.example");
        let start = get(&mut ada, &mut idp);
        let url = url::Url::parse(start.location()).unwrap();
        let param = |name: &str| url.query_pairs().find(|(n, _)| n == name).expect(name).1.into_owned();
        idp.nonce = param("nonce");
        let target = format!("/sso/oidc/consume?u=acme&code=c&state={}", param("state"));
        let seen = ada.get(&target, &mut |call| idp.respond(call));
        let logged: String = host.logs().into_iter().map(|(_, line)| line).collect();
        if !passes {
            assert_eq!((seen.status(), seen.code()), (503, "not_ready"), "an answer, and no loop");
            assert!(logged.contains("too large") && logged.contains("12000 bytes"), "{logged}");
            assert!(!logged.contains("~~~~"));
            continue;
        }
        assert_eq!(seen.status(), 302, "{access} {refresh} {id}: {logged}");
        assert_eq!(logged.contains("does not fit"), !left_out.is_empty(), "{logged}");
        assert!(logged.contains(left_out));
        assert!(ada.cookies.iter().all(|(name, value)| name.len() + value.len() < 4096 - 100));
        let seen = get(&mut ada, &mut idp);
        assert_eq!(told(&seen, "x-sso-user").as_deref(), Some("ada@acme.com"));
    }
}
