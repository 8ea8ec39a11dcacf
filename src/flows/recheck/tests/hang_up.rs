//! Requests that hang up while the directory is asked: they put nothing off, and nobody passes beside them.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{json, Value};

use super::{RECHECK, START};
use crate::exchange::{Outcome, Ruling};
use crate::gate;
use crate::host::task::{Call, Failure, Reply, Step};
use crate::http::Head;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, run_errands, Browser, KEY};
use crate::testing::{decided, json as answer, TestHost};

/// A directory that can be told things, and counts lookups.
struct Directory {
    active: Cell<bool>,
    role: Cell<&'static str>,
    is_down: Cell<bool>,
    asked: Cell<usize>,
}

impl Directory {
    fn new() -> Self {
        Self {
            active: Cell::new(true),
            role: Cell::new("boss"),
            is_down: Cell::new(false),
            asked: Cell::new(0),
        }
    }

    fn reply(&self, _: &Call) -> Reply {
        self.asked.set(self.asked.get() + 1);
        if self.is_down.get() {
            return Reply::Failed(Failure::Timeout);
        }
        answer(&json!({ "totalResults": 1, "Resources": [{
            "id": "1", "userName": "ada", "active": self.active.get(), "roles": [{ "value": self.role.get() }],
        }] }))
    }
}

fn configuration() -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }], "recheck": "5m", "recheck_grace": "1h", "idle": "8h" },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oauth2": {
                "authorization_endpoint": "https://idp.example/authorize", "token_endpoint": "https://idp.example/token",
                "userinfo_endpoint": "https://idp.example/me", "client_id": "app"
            } }],
            "mapping": { "claim": "email" },
            "directory": { "scim": { "url": "http://directory.example/scim/v2", "timeout": "2s", "cache": "0s" } },
            "password": { "mode": "admins", "admin_roles": ["boss"], "logins": [{
                "path": "/login", "username": { "form": "username" }, "success": { "status": [200] }
            }] },
            "access": [{ "prefix": "/admin/", "allow": "users", "roles": ["boss"] }]
        }]
    })
}

/// Ada, signed in with a password.
fn ada(filter_state: &Rc<FilterState>, directory: &Directory) -> String {
    let mut ada = Browser::new(filter_state, "app.example");
    let form = [("username", "ada"), ("password", "right")];
    let mut seen = ada.post("/login", &form, &mut |call| directory.reply(call));
    let pass = seen.pass.take().expect("it passes to the application");
    let judge = pass.on_response.expect("it is watched");
    let cookies = decided(judge(&vec![(":status".to_owned(), b"200".to_vec())], true));
    let session = cookies.iter().find_map(|cookie| cookie.strip_prefix("__Host-sso=")).expect("a session");
    format!("__Host-sso={}", session.split(';').next().unwrap_or_default())
}

fn head(path: &str, cookie: &str) -> Rc<Head> {
    let headers = [
        (":method", "GET"),
        (":path", path),
        (":authority", "app.example"),
        ("accept", "*/*"),
        ("cookie", cookie),
    ];
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    Rc::new(Head::new(headers.collect(), true))
}

/// Sends a request and resets its stream: true if it had passed by then.
fn hangs_up(filter_state: &Rc<FilterState>, path: &str, cookie: &str) -> bool {
    match gate::rule(filter_state, head(path, cookie)) {
        Ruling::Flow(mut task, _) => matches!(task.start(), Step::Done(Ok(Outcome::Pass(_)))),
        Ruling::Pass(_) => true,
        _ => false,
    }
}

fn browser(filter_state: &Rc<FilterState>, cookie: &str) -> Browser {
    let (name, value) = cookie.split_once('=').unwrap_or_default();
    let mut browser = Browser::new(filter_state, "app.example").with("accept", "*/*");
    browser.cookies.push((name.to_owned(), value.to_owned()));
    browser
}

#[test]
fn who_was_deactivated_is_out_from_recheck_on_whatever_is_reset() {
    for path in ["/admin/x", "/reports", "/sso/session", "/sso/admin"] {
        let (host, directory) = (TestHost::new(), Directory::new());
        let other = host.worker();
        let (one, two) = (filter_state(&host, &configuration()), filter_state(&other, &configuration()));
        let cookie = ada(&one, &directory);
        assert!(
            browser(&two, &cookie).get("/admin/x", &mut |_| unreachable!()).pass.is_some(),
            "not due yet"
        );
        directory.active.set(false);
        let asked = directory.asked.get();
        for clock in [&host, &other] {
            clock.set_now(START + RECHECK);
        }
        for _ in 0..1_000 {
            assert!(!hangs_up(&one, path, &cookie) && !hangs_up(&two, path, &cookie), "{path}");
        }
        // A worker's background does its check, and with that everybody is out.
        run_errands(&one, &mut |call| directory.reply(call), &mut Vec::new());
        assert_eq!(directory.asked.get(), asked + 1, "one lookup for a thousand requests");
        for worker in [&one, &two] {
            let seen = browser(worker, &cookie).get(path, &mut |call| directory.reply(call));
            assert!(seen.pass.is_none() && [401, 403].contains(&seen.status()), "{path}: {}", seen.code());
        }
    }
}

#[test]
fn a_role_that_was_taken_is_gone_from_recheck_on() {
    let (host, directory) = (TestHost::new(), Directory::new());
    let mut config = configuration();
    config["accounts"][0]["password"]["mode"] = json!("enabled");
    let filter_state = filter_state(&host, &config);
    let cookie = ada(&filter_state, &directory);
    directory.role.set("member");
    host.set_now(START + RECHECK - 1);
    assert!(hangs_up(&filter_state, "/admin/x", &cookie), "not due yet");
    host.set_now(START + RECHECK);
    assert!(!hangs_up(&filter_state, "/admin/x", &cookie));
    let seen = browser(&filter_state, &cookie).get("/admin/x", &mut |call| directory.reply(call));
    assert_eq!((seen.status(), seen.code()), (403, "role_missing"));
}

#[test]
fn all_who_wait_go_on_with_one_lookup_and_the_first_ones_cookie_is_everybodys() {
    let (host, directory) = (TestHost::new(), Directory::new());
    let filter_state = filter_state(&host, &configuration());
    let cookie = ada(&filter_state, &directory);
    let asked = directory.asked.get();
    host.set_now(START + RECHECK);
    let mut waiting: Vec<_> = (0..30)
        .map(|_| match gate::rule(&filter_state, head("/admin/x", &cookie)) {
            Ruling::Flow(mut task, _) => match task.start() {
                Step::Wait(ready) => (task, ready),
                _ => panic!("it waits"),
            },
            _ => panic!("a flow"),
        })
        .collect();
    // The first one hangs up; the others do not ask for it again.
    drop(waiting.remove(0));
    assert!(waiting.iter_mut().all(|(_, ready)| !ready()));
    run_errands(&filter_state, &mut |call| directory.reply(call), &mut Vec::new());
    assert_eq!(directory.asked.get(), asked + 1);
    for (mut task, mut ready) in waiting {
        assert!(ready());
        let Step::Done(Ok(Outcome::Pass(pass))) = task.start() else { panic!("it passes") };
        assert_eq!(pass.set_cookies.len(), 1);
    }
    assert!(hangs_up(&filter_state, "/admin/x", &cookie), "checked");
    assert_eq!(directory.asked.get(), asked + 1);
}

#[test]
fn within_the_grace_a_directory_that_is_down_is_asked_now_and_then_and_past_it_nobody_passes() {
    let (host, directory) = (TestHost::new(), Directory::new());
    let filter_state = filter_state(&host, &configuration());
    let cookie = ada(&filter_state, &directory);
    directory.is_down.set(true);
    host.set_now(START + RECHECK);
    let mut ada = browser(&filter_state, &cookie);
    let mut get = |host_after: u64| {
        host.advance(host_after);
        let before = directory.asked.get();
        let seen = ada.get("/admin/x", &mut |call| directory.reply(call));
        (seen.pass.is_some(), directory.asked.get() - before)
    };
    assert_eq!(get(0), (true, 1));
    assert_eq!(get(1_999), (true, 0));
    assert_eq!(get(1), (true, 1));
    assert_eq!(get(3_600_000 - 2_001), (true, 1));
    assert_eq!(get(1), (false, 1), "the grace is over");
    directory.is_down.set(false);
    assert_eq!(get(0), (true, 1));
}
