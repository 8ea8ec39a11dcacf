use std::cell::RefCell;
use std::rc::Rc;

use prost::Message;
use serde_json::json;

use crate::host::task::{Call, Failure, Reply, Via};
use crate::host::Host;
use crate::replicas::messages as pb;
use crate::state::{sharing, FilterState};
use crate::testing::browser::{filter_state, run_errands, with_account, Browser};
use crate::testing::engine::Engine;
use crate::testing::TestHost;

const LIMIT: usize = 5;
const STALE: u64 = 5_000;

/// Two Envoys and the engine between them.
struct World {
    hosts: [Rc<TestHost>; 2],
    states: [Rc<FilterState>; 2],
    engine: RefCell<Engine>,
    /// What a call to the engine fails with; it was done all the same where the second says so.
    fault: RefCell<Option<(Failure, bool)>>,
}

impl World {
    fn new(on_outage: &str) -> Self {
        let mut configuration = with_account(json!({
            "directory": { "static": { "users": [{ "username": "ada" }] } },
            "password": { "mode": "enabled", "attempts": { "limit": LIMIT, "window": "1m" }, "logins": [
                { "path": "/login", "username": { "form": "username" }, "success": { "status": [303] } } ] },
        }));
        configuration["shared"] =
            json!({ "engine": "etcd", "cluster": "etcd", "on_outage": on_outage, "stale": "5s" });
        let hosts = [TestHost::new(), TestHost::new().worker()];
        let states = [filter_state(&hosts[0], &configuration), filter_state(&hosts[1], &configuration)];
        let world = Self { hosts, states, engine: RefCell::default(), fault: RefCell::new(None) };
        world.in_step();
        world
    }

    /// Both have just read the head.
    fn in_step(&self) {
        for (host, state) in self.hosts.iter().zip(&self.states) {
            let replicas = state.replicas.as_ref().unwrap();
            let mut status = replicas.status(&**host);
            (status.proof, status.first_read) = (host.now(), host.now());
            status.write(&**host, replicas.tag());
        }
    }

    fn advance(&self, milliseconds: u64) {
        self.hosts.iter().for_each(|host| host.advance(milliseconds));
    }

    fn respond(&self, call: &Call) -> Reply {
        assert!(matches!(call.via, Via::Grpc { .. }), "nothing else is asked: {call:?}");
        match &*self.fault.borrow() {
            Some((failure, is_done)) => {
                // What is deleted is lost: the count comes late, after it.
                if *is_done && !deletes(call) {
                    self.engine.borrow_mut().answer(call);
                }
                Reply::Failed(failure.clone())
            }
            None => self.engine.borrow_mut().answer(call),
        }
    }

    /// A guess; empty where it reaches the application.
    fn guess(&self, at: usize) -> String {
        let mut browser = Browser::new(&self.states[at], "app.example").with("origin", "https://app.example");
        let form = [("username", "ada"), ("password", "x")];
        let seen = browser.post("/login", &form, &mut |call| self.respond(call));
        assert_eq!(seen.pass.is_some(), seen.code().is_empty(), "{}", seen.text());
        seen.code().to_owned()
    }

    /// A sign-in whose password the application accepts, or on which it fails.
    fn answered(&self, at: usize, status: &str) {
        let mut browser = Browser::new(&self.states[at], "app.example").with("origin", "https://app.example");
        let form = [("username", "ada"), ("password", "x")];
        let mut seen = browser.post("/login", &form, &mut |call| self.respond(call));
        let on_response = seen.pass.as_mut().and_then(|pass| pass.on_response.take());
        let headers = vec![(":status".to_owned(), status.as_bytes().to_vec())];
        on_response.expect("it reached the application")(&headers, true);
        run_errands(&self.states[at], &mut |call| self.respond(call), &mut Vec::new());
    }

    /// What a tick of a worker sends to the engine.
    fn tick(&self, at: usize) -> usize {
        let mut calls = Vec::new();
        sharing::delete_attempts(&self.states[at]);
        run_errands(&self.states[at], &mut |call| self.respond(call), &mut calls);
        calls.len()
    }

    fn count(&self) -> usize {
        self.engine.borrow().values.len()
    }

    fn reached(&self, guesses: usize) -> usize {
        (0..guesses).filter(|n| self.guess(n % 2).is_empty()).count()
    }
}

fn deletes(call: &Call) -> bool {
    let message = pb::TxnRequest::decode(call.body.as_deref().unwrap_or_default()).unwrap_or_default();
    message.success.iter().any(|operation| matches!(operation.request, Some(pb::Request::Delete(_))))
}

#[test]
fn guesses_are_counted_over_both() {
    let world = World::new("open");
    assert_eq!(world.reached(40), LIMIT);
    assert_eq!(world.guess(0), "too_many_attempts");
    assert_eq!(world.engine.borrow().values.len(), LIMIT, "what was refused does not count");
}

#[test]
fn a_guess_whose_count_is_late_reaches_no_application() {
    for failure in [Failure::Grpc(4), Failure::Grpc(14), Failure::Timeout] {
        for is_done in [false, true] {
            let world = World::new("open");
            *world.fault.borrow_mut() = Some((failure.clone(), is_done));
            for at in [0, 1, 0, 1] {
                assert_eq!(world.guess(at), "not_ready", "{failure:?}");
            }
            // Some of them may count, but no more reach the application than the limit says.
            *world.fault.borrow_mut() = None;
            let reached = world.reached(40);
            assert!(is_done || reached == LIMIT, "{reached}");
            assert!(reached <= LIMIT, "{reached}");
        }
    }
}

#[test]
fn an_engine_that_stays_away_is_done_without() {
    let world = World::new("open");
    *world.fault.borrow_mut() = Some((Failure::Grpc(14), false));
    assert_eq!(world.guess(0), "not_ready");
    world.advance(STALE - 1);
    assert_eq!(world.guess(0), "not_ready");
    world.advance(1);
    assert_eq!(world.reached(40), 2 * LIMIT, "each counts alone");
    // An engine that answers reads and no writes is no better.
    let world = World::new("open");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), false));
    assert_eq!(world.guess(0), "not_ready");
    world.advance(STALE);
    world.in_step();
    assert_eq!((world.guess(0).as_str(), world.guess(1).as_str()), ("", "not_ready"));
    // An answer begins the time anew.
    *world.fault.borrow_mut() = None;
    assert_eq!(world.guess(0), "");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), false));
    assert_eq!(world.guess(0), "not_ready");
}

#[test]
fn an_engine_that_refuses_is_done_without_at_once_but_not_under_closed() {
    const NO_SPACE: u32 = 8;
    for (on_outage, code) in [("open", ""), ("closed", "not_ready")] {
        let world = World::new(on_outage);
        *world.fault.borrow_mut() = Some((Failure::Grpc(NO_SPACE), false));
        assert_eq!(world.guess(0), code, "{on_outage}");
    }
    let world = World::new("closed");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), false));
    assert_eq!(world.guess(0), "not_ready");
    world.advance(STALE);
    world.in_step();
    assert_eq!(world.guess(0), "not_ready", "closed stays closed");
    *world.fault.borrow_mut() = None;
    assert_eq!(world.guess(0), "");
}

/// An engine that hung counts late: what was not a failure would lock out an administrator once it is back.
#[test]
fn what_was_no_failure_is_deleted_once_the_engine_answers() {
    for status in ["303", "503"] {
        let world = World::new("open");
        *world.fault.borrow_mut() = Some((Failure::Grpc(4), true));
        assert_eq!(world.guess(0), "not_ready");
        world.advance(STALE);
        for _ in 0..LIMIT - 1 {
            world.answered(0, status);
        }
        assert_eq!(world.count(), LIMIT, "{status}");
        *world.fault.borrow_mut() = Some((Failure::Grpc(14), false));
        world.advance(1_000);
        assert_eq!(
            (world.tick(0), world.tick(0)),
            (2, 0),
            "one try, and one more at another member; then a pause"
        );
        world.advance(999);
        assert_eq!(world.tick(0), 0);
        *world.fault.borrow_mut() = None;
        world.advance(1);
        world.in_step();
        assert_eq!((world.tick(0), world.count()), (1, 0), "{status}");
        world.advance(1_000);
        assert_eq!(world.tick(0), 0, "once it is confirmed no more is sent");
        assert_eq!(world.reached(40), LIMIT);
    }
}

#[test]
fn failures_of_an_outage_are_not_deleted() {
    let world = World::new("open");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), true));
    assert_eq!(world.guess(0), "not_ready");
    world.advance(STALE);
    for _ in 0..LIMIT {
        assert_eq!(world.guess(0), "");
    }
    *world.fault.borrow_mut() = None;
    world.advance(1_000);
    world.in_step();
    world.tick(0);
    // The one that did not reach the application is not among them.
    assert_eq!(world.count(), LIMIT);
    assert_eq!(world.guess(1), "too_many_attempts");
}

#[test]
fn deletions_that_wait_are_bounded_and_end_with_the_window() {
    let world = World::new("open");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), false));
    for _ in 0..1_200 {
        assert_eq!(world.guess(0), "not_ready");
    }
    *world.fault.borrow_mut() = None;
    world.advance(1_000);
    assert_eq!(world.tick(0), 10, "1,000 in transactions of 100");
    *world.fault.borrow_mut() = Some((Failure::Grpc(4), false));
    assert_eq!(world.guess(0), "not_ready");
    world.advance(60_000 + 120_000);
    *world.fault.borrow_mut() = None;
    assert_eq!(world.tick(0), 0, "the engine has forgotten it by itself");
}
