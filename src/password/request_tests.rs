//! Password logins by whole requests, up to what the application answers.

use serde_json::{json, Value};

use crate::host::task::{Call, Reply};
use crate::testing::browser::{filter_state, Browser, KEY};
use crate::testing::{decided, TestHost};

fn configuration() -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oidc": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "jwks": { "keys": [] }, "client_id": "app"
            } }],
            "password": {
                "mode": "enabled", "attempts": { "limit": 3 },
                "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }]
            },
            "access": [{ "prefix": "/", "allow": "anyone" }]
        }]
    })
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// The answers a name gets that the application answers so: 0 where the login passed.
fn tried(answers: &[(&str, u16)]) -> Vec<u16> {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut browser = Browser::new(&filter_state, "app.example");
    let mut try_one = |(name, status): &(&str, u16)| {
        let mut seen = browser.post("/login", &[("username", name), ("password", "x")], &mut nobody);
        if let Some(watch) = seen.pass.as_mut().and_then(|pass| pass.on_response.take()) {
            let status = status.to_string().into_bytes();
            assert!(decided(watch(&vec![(":status".to_owned(), status)], true)).is_empty(), "no session");
        }
        seen.status()
    };
    answers.iter().map(&mut try_one).collect()
}

#[test]
fn an_outage_of_the_application_locks_nobody_out_and_a_wrong_password_does() {
    for status in [500, 501, 502, 503, 504, 505, 507, 521, 599] {
        assert_eq!(tried(&[("ada", status); 5]), [0; 5], "{status}");
    }
    for status in [301, 302, 400, 401, 403, 404, 429] {
        assert_eq!(tried(&[("ada", status); 5]), [0, 0, 0, 429, 429], "{status}");
    }
    // What failed before and after an outage counts together.
    let mixed = [("ada", 401), ("ada", 401), ("ada", 503), ("ada", 401), ("ada", 503), ("bob", 503)];
    assert_eq!(tried(&mixed), [0, 0, 0, 0, 429, 0]);
}

#[test]
fn guesses_at_one_name_in_several_spellings_are_guesses_at_one_name() {
    let spelled = [("root", 401), ("ROOT", 401), ("Root", 401), ("rOOT", 401), ("root", 401), ("ruth", 401)];
    assert_eq!(tried(&spelled), [0, 0, 0, 429, 429, 0]);
}

/// Applications that take a login by GET may take it by another spelling too, and the path that reaches them is the
/// plain one.
#[test]
fn credentials_in_a_query_are_refused_however_the_path_is_written() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    for path in ["/login", "//login", "/LOGIN", "/login/", "/x/../login", "/%6cogin", "/login;x", "/login%2f"]
    {
        for method in ["GET", "HEAD"] {
            let io = |query: &str, body: Option<Vec<u8>>| {
                let mut browser = Browser::new(&filter_state, "app.example");
                let seen = browser.send(method, &format!("{path}{query}"), body, &mut nobody);
                (seen.status(), seen.pass.is_some())
            };
            assert_eq!(io("?username=boss&password=x", None), (400, false), "{method} {path}");
            assert_eq!(io("", Some(b"username=boss".to_vec())), (400, false), "{method} {path}");
            let opens = !path.contains("%2f");
            for query in ["", "?next=/reports"] {
                assert_eq!(io(query, None).1, opens, "{method} {path}{query}");
            }
        }
    }
    let mut browser = Browser::new(&filter_state, "app.example");
    assert!(browser.get("/logins?username=boss", &mut nobody).pass.is_some());
}
