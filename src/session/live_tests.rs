//! Sessions that a worker remembers: how much memory each is counted with, whose they are, and what they may still learn.

use std::rc::Rc;

use serde_json::{json, Value};

use super::cache::{LiveSession, LiveSessions};
use super::{Authentication, ForwardedClaim, Method, Session, Tokens};
use crate::directory::{User, UserSource};
use crate::testing::browser::{filter_state, with_account, Browser, Seen};
use crate::testing::{changed, TestHost};

/// What becomes of a request with such a session.
fn asked(members: Value, method: Method, roles: &[&str], headers: Vec<ForwardedClaim>) -> Seen {
    let host = TestHost::new();
    let users = json!([{"username": "ada", "email": "ada@acme.com", "roles": roles}]);
    let members = changed(members, &json!({"directory": {"static": {"users": users}}}));
    let filter_state = filter_state(&host, &with_account(members));
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    let user = User::without_record("ada".into(), UserSource::Directory, roles, Default::default());
    let from = match method {
        Method::Sso => Authentication {
            provider: "corp".into(),
            issuer: "https://idp.example".into(),
            ..Authentication::default()
        },
        _ => Authentication::default(),
    };
    let mut session = Session::open(&*host, user, method, from, Tokens::default()).unwrap();
    session.headers = headers;
    let browser = Browser::new(&filter_state, "app.example").with("accept", "*/*");
    let no_call = &mut |call: &_| panic!("no call is expected: {call:?}");
    browser.with_session("default", session).get("/reports", no_call)
}

fn live(members: Value, roles: &[&str], headers: Vec<ForwardedClaim>) -> Rc<LiveSession> {
    asked(members, Method::Sso, roles, headers).pass.unwrap().live.unwrap()
}

/// How many bytes a cache counts it with.
fn counted(live: &Rc<LiveSession>) -> usize {
    let (sessions, _) = LiveSessions::pair(100);
    sessions.put(live.clone(), 0);
    sessions.bytes()
}

#[test]
fn each_text_of_a_session_counts() {
    let forward = |headers: Value| json!({"forward": {"identity": ["user"], "headers": headers}});
    let plain = live(forward(json!({})), &[], Vec::new());
    // A fixed part, the envelope, and the header x-sso-user with ada.
    assert_eq!(counted(&plain), 1024 + plain.sealed.len() + (10 + 3 + 64));
    let roles = live(forward(json!({})), &["editor", "reader-of-all"], Vec::new());
    assert_eq!(counted(&roles), 1024 + roles.sealed.len() + (10 + 3 + 64) + (6 + 32) + (13 + 32));
    let claim = ForwardedClaim { header: "x-department".into(), value: "sales".into(), claim: "dept".into() };
    let claims = live(forward(json!({"x-department": "dept"})), &[], vec![claim]);
    let header = (10 + 3 + 64) + (12 + 5 + 64);
    assert_eq!(counted(&claims), 1024 + claims.sealed.len() + header + (12 + 5 + 4 + 88));
}

#[test]
fn what_is_kept_for_browsers_is_nothing_to_programs() {
    let live = live(json!({}), &[], Vec::new());
    let (sessions, bearers) = LiveSessions::pair(100);
    sessions.put(live.clone(), 0);
    assert!(sessions.get(&live.sealed).is_some());
    assert!(bearers.get(&live.sealed).is_none());
}

#[test]
fn a_session_of_the_provider_may_learn_what_a_password_never_tells() {
    let rule = || {
        json!({
            "password": {"mode": "enabled"},
            "access": [{"path": "/reports", "allow": "users", "when": [{"claim": "department", "in": ["sales"]}]}],
        })
    };
    let code = |method| asked(rule(), method, &[], Vec::new()).code().to_owned();
    assert_eq!(code(Method::Sso), "login_required", "the next login brings the claim");
    assert_eq!(code(Method::Password), "access_denied");
}
