//! Sessions that a worker remembers: how much memory each is counted with, whose they are, and what they may still learn.

use std::rc::Rc;

use serde_json::{json, Value};

use super::cache::{LiveSession, LiveSessions};
use super::{set_cookies, Authentication, ForwardedClaim, Method, Session, Tokens};
use crate::directory::{User, UserSource};
use crate::testing::browser::{filter_state, with_account, Browser, Seen};
use crate::testing::{changed, TestHost};

/// What becomes of a request with such a session.
fn asked(members: Value, method: Method, roles: &[&str], headers: Vec<ForwardedClaim>) -> (Seen, String) {
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
    let sealed =
        session.seal(&*host, &filter_state.config, &filter_state.account_states[0].account).unwrap().text;
    let mut browser = Browser::new(&filter_state, "app.example").with("accept", "*/*");
    for cookie in set_cookies(&filter_state.config.cookies, &sealed, 0) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        browser.cookies.push((name.to_owned(), value.to_owned()));
    }
    (browser.get("/reports", &mut |call: &_| panic!("nobody is asked: {call:?}")), sealed)
}

fn live(members: Value, roles: &[&str], headers: Vec<ForwardedClaim>) -> (Rc<LiveSession>, String) {
    let (seen, sealed) = asked(members, Method::Sso, roles, headers);
    (seen.pass.unwrap().live.unwrap(), sealed)
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
    let (plain, sealed) = live(forward(json!({})), &[], Vec::new());
    // A fixed part, the envelope, and the header x-sso-user with ada.
    assert_eq!(counted(&plain), 1024 + sealed.len() + (10 + 3 + 64));
    let (roles, sealed) = live(forward(json!({})), &["editor", "reader-of-all"], Vec::new());
    assert_eq!(counted(&roles), 1024 + sealed.len() + (10 + 3 + 64) + (6 + 32) + (13 + 32));
    let claim = ForwardedClaim { header: "x-department".into(), value: "sales".into(), claim: "dept".into() };
    let (claims, sealed) = live(forward(json!({"x-department": "dept"})), &[], vec![claim]);
    let header = (10 + 3 + 64) + (12 + 5 + 64);
    assert_eq!(counted(&claims), 1024 + sealed.len() + header + (12 + 5 + 4 + 88));
}

#[test]
fn what_is_kept_for_browsers_is_nothing_to_programs() {
    let (live, sealed) = live(json!({}), &[], Vec::new());
    let (sessions, bearers) = LiveSessions::pair(100);
    sessions.put(live, 0);
    assert!(sessions.get(sealed.as_bytes()).is_some());
    assert!(bearers.get(sealed.as_bytes()).is_none());
}

#[test]
fn a_session_of_the_provider_may_learn_what_a_password_never_tells() {
    let rule = || {
        json!({
            "password": {"mode": "enabled"},
            "access": [{"path": "/reports", "allow": "users", "when": [{"claim": "department", "in": ["sales"]}]}],
        })
    };
    let code = |method| asked(rule(), method, &[], Vec::new()).0.code().to_owned();
    assert_eq!(code(Method::Sso), "login_required", "the next login brings the claim");
    assert_eq!(code(Method::Password), "access_denied");
}
