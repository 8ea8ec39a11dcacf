//! Sessions that a worker remembers: how much memory each is counted with, whose they are, and what they may still learn.

use std::rc::Rc;

use serde_json::{json, Value};

use super::cache::{LiveSession, LiveSessions};
use super::{Authentication, ForwardedClaim, Method, Session, Tokens};
use crate::directory::{User, UserSource};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, with_account, Browser, Seen};
use crate::testing::{changed, TestHost};
use crate::values::secret::Secret;

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
    let claims = live(forward(json!({"x-department": "dept"})), &[], vec![department()]);
    assert_eq!(counted(&claims), 1024 + claims.sealed.len() + (10 + 3 + 64) + (12 + 5 + 64));
}

fn department() -> ForwardedClaim {
    ForwardedClaim { header: "x-department".into(), value: "sales".into(), claim: "dept".into() }
}

/// A session with all that requests do not need, and what a worker remembers of it.
fn admitted(method: Method) -> (Rc<FilterState>, Session, Rc<LiveSession>) {
    let host = TestHost::new();
    let oidc =
        json!({"discovery": "https://idp.example/.well-known/openid-configuration", "client_id": "app"});
    let members = json!({
        "identity_providers": [{"id": "corp", "oidc": oidc}], "mapping": {"claim": "email"}, "bearer": {"audiences": ["api"]},
    });
    let filter_state = filter_state(&host, &with_account(members));
    let user = User::without_record("ada".into(), UserSource::Identity, Vec::new(), Default::default());
    let account = filter_state.account_states[0].account.clone();
    let from = Authentication {
        provider: "corp".into(),
        issuer: "https://idp.example".into(),
        nonce: Some("n-0S6_".into()),
        ..Authentication::default()
    };
    let token = || Some(Secret::new("token".into()));
    let tokens =
        Tokens { id_token: token(), refresh_token: token(), access_expires: Some(1), ..Tokens::default() };
    let mut session = Session::open(&*host, user, method, from, tokens).unwrap();
    session.headers = vec![department()];
    session.conditions = vec!["met".into()];
    let sealed = session.clone().seal(&*host, &filter_state.config, &account).unwrap().text;
    let live = filter_state.admit(&account, session.clone(), sealed.as_bytes().into()).unwrap();
    (filter_state, session, Rc::new(live))
}

#[test]
fn what_requests_do_not_need_of_a_session_stands_in_its_envelope_alone() {
    let (filter_state, session, live) = admitted(Method::Sso);
    assert!(live.session.headers.is_empty() && live.session.conditions.is_empty());
    assert!(live.session.origin.nonce.is_none() && live.session.tokens.id_token.is_none());
    assert!(live.session.is_renewable() && live.session.tokens.access_expires == Some(1));
    assert_eq!(filter_state.whole(&live), Some(session));
}

#[test]
fn a_bearer_token_is_remembered_whole() {
    let (filter_state, session, live) = admitted(Method::Bearer);
    assert_eq!((&live.session, filter_state.whole(&live)), (&session, Some(session.clone())));
    let headers: usize = live.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    let own = (5 + 5) + (12 + 5 + 4 + 88) + (3 + 32);
    assert_eq!(
        counted(&live),
        1024 + live.sealed.len() + headers + own,
        "two tokens, a claim and a condition"
    );
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
