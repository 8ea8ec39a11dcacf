use serde_json::json;

use super::*;
use crate::gate;
use crate::host::Host;
use crate::testing::browser::{filter_state, with_account};
use crate::testing::TestHost;

fn state(host: &Rc<TestHost>) -> Rc<FilterState> {
    let mut configuration = with_account(json!({
        "code": "acme",
        "directory": { "static": { "users": [{ "username": "ada" }] } },
        "password": { "mode": "enabled", "logins": [
            { "path": "/login", "username": { "form": "username" }, "success": { "status": [303] } } ] },
    }));
    configuration["shared"] = json!({ "engine": "etcd", "cluster": "etcd", "timeout": "1s" });
    filter_state(host, &configuration)
}

fn ask(state: &Rc<FilterState>, method: &str, target: &str, ends: bool) -> Ruling {
    let headers = [
        (":method", method),
        (":path", target),
        (":authority", "app.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    gate::rule(state, Rc::new(Head::new(headers, ends)))
}

fn read(host: &TestHost, state: &FilterState) {
    let replicas = state.replicas.as_ref().unwrap();
    let mut status = replicas.status(host);
    (status.proof, status.first_read) = (host.now(), host.now());
    status.write(host, replicas.tag());
}

#[test]
fn a_body_is_read_before_its_request_waits() {
    let login: &[u8] = b"username=ada&password=x";
    for (target, body) in [("/login", login), ("/sso/oidc/consume?u=acme", b"code=1&state=2")] {
        let host = TestHost::new();
        let state = state(&host);
        let Ruling::Body(_, then) = ask(&state, "POST", target, false) else {
            panic!("{target}: its body is left")
        };
        let Ruling::Wait(mut news) = then(Body::Whole(body.to_vec())) else {
            panic!("{target}: it does not wait")
        };
        assert!(news().is_none(), "{target}");
        read(&host, &state);
        let ruling = news().unwrap();
        assert!(
            matches!(ruling, Ruling::Flow(..) | Ruling::LocalReply(_)),
            "{target}: it is ruled on with its body"
        );
    }
}

#[test]
fn a_body_that_comes_after_the_first_read_waits_no_longer() {
    let host = TestHost::new();
    let state = state(&host);
    let Ruling::Body(_, then) = ask(&state, "POST", "/login", false) else { panic!("its body is left") };
    read(&host, &state);
    assert!(matches!(then(Body::Whole(b"username=ada&password=x".to_vec())), Ruling::Flow(..)));
}

#[test]
fn a_body_that_is_too_large_for_what_asks_for_it_is_refused_after_the_wait() {
    for body in [Body::TooLarge, Body::Whole(vec![b'a'; MAX_BODY])] {
        let host = TestHost::new();
        let state = state(&host);
        let Ruling::Body(_, then) = ask(&state, "POST", "/login", false) else { panic!("its body is left") };
        let Ruling::Wait(mut news) = then(body) else { panic!("it does not wait") };
        // The engine does not come: after `timeout` it is ruled on without.
        host.advance(1_000);
        let Some(Ruling::LocalReply(reply)) = news() else { panic!("it is not answered") };
        assert_eq!(reply.status, 413);
    }
}

#[test]
fn a_request_without_a_body_waits_at_once() {
    let host = TestHost::new();
    let state = state(&host);
    assert!(matches!(ask(&state, "GET", "/sso/oidc/consume?u=acme&code=1&state=2", true), Ruling::Wait(_)));
    read(&host, &state);
    assert!(!matches!(ask(&state, "GET", "/sso/oidc/consume?u=acme&code=1&state=2", true), Ruling::Wait(_)));
}
