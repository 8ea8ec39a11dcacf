//! Outgoing calls: one more try where it is safe, and what goes on every call.

use std::rc::Rc;

use url::Url;

use super::task::{Broken, Call, Failure, Io, Outside, Reply, Request, USER_AGENT};
use crate::host::clusters::Clusters;
use crate::testing::{self, drive_with, header, TestHost};

const RESET: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination";

fn io(host: &Rc<TestHost>) -> Io {
    let trace = [("traceparent", "00-1-2-01"), ("x-request-id", "7")];
    let trace = trace.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Io::of(Outside::new(host.clone(), Rc::new(Clusters::to("idp"))), Rc::new(trace))
}

fn reset() -> Reply {
    testing::status(503, "text/plain", RESET)
}

fn get() -> Request {
    Request::get("keys", Url::parse("https://idp.example/keys").unwrap(), 5_000)
}

fn form() -> Request {
    Request::form("token", Url::parse("https://idp.example/token").unwrap(), String::new(), 5_000)
}

/// The replies come in order; the last one is repeated.
fn run(io: &Io, request: Request, replies: &[Reply]) -> (Reply, Vec<Call>) {
    let (inner, mut at) = (io.clone(), 0);
    let (result, calls) = drive_with(io, async move { Ok(inner.call(request).await) }, |_| {
        at += 1;
        replies[(at - 1).min(replies.len() - 1)].clone()
    });
    (result.unwrap(), calls)
}

fn is_reset(reply: &Reply) -> bool {
    *reply == Reply::Failed(Failure::Connection { cluster: "idp".into(), broken: Broken::Reset })
}

#[test]
fn a_broken_connection_is_tried_once_more_and_counted_once() {
    let host = TestHost::new();
    let good = testing::answer("application/json", "{}");
    for request in [get(), form().repeatable()] {
        let (what, io) = (request.what, io(&host));
        let (reply, calls) = run(&io, request.clone(), &[reset(), good.clone()]);
        assert_eq!((reply, calls.len()), (good.clone(), 2));
        assert_eq!(host.counted(&format!("sso_calls.what.{what}.answer.2xx")), 1);
        assert_eq!(host.counted(&format!("sso_calls_repeated.what.{what}")), 1);
        let (reply, calls) = run(&io, request, &[reset()]);
        assert!(is_reset(&reply) && calls.len() == 2, "no more than one more");
        assert_eq!(host.counted(&format!("sso_calls.what.{what}.answer.failed")), 1);
    }
}

#[test]
fn kept_connections_that_died_together_are_no_try() {
    let host = TestHost::new();
    let io = io(&host);
    let good = testing::answer("application/json", "{}");
    // Three calls at once: three connections are open from then on.
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let one = Io::of(io.outside().clone(), Rc::default());
            let inner = one.clone();
            let mut task = super::task::Task::new(one, async move { Ok(inner.call(get()).await) });
            assert!(matches!(task.start(), super::task::Step::Call(_)));
            task
        })
        .collect();
    for mut task in tasks {
        assert!(matches!(task.resume(good.clone()), super::task::Step::Done(Ok(Reply::Answer(_)))));
    }
    let (reply, calls) = run(&io, form().repeatable(), &[reset(), reset(), reset(), good.clone()]);
    assert_eq!((reply, calls.len()), (good.clone(), 4));
    // One is open now; with that gone a new one breaks, too: no more.
    assert_eq!(run(&io, get(), &[reset()]).1.len(), 2);
    assert_eq!(run(&io, get(), &[reset()]).1.len(), 2);
}

#[test]
fn what_must_not_be_sent_twice_is_not() {
    let io = io(&TestHost::new());
    let (reply, calls) = run(&io, form(), &[reset()]);
    assert!(is_reset(&reply) && calls.len() == 1);
}

#[test]
fn an_answer_is_an_answer_and_a_timeout_is_one() {
    let served = |status: u16, body: &str| match testing::status(status, "text/plain", body) {
        Reply::Answer(mut answer) => {
            answer.headers.push(("x-envoy-upstream-service-time".into(), b"3".to_vec()));
            Reply::Answer(answer)
        }
        failed => failed,
    };
    for reply in [
        served(503, RESET),
        served(503, ""),
        testing::status(503, "text/plain", "Service Unavailable"),
        testing::status(504, "text/plain", "upstream request timeout"),
        testing::status(503, "text/plain", "no healthy upstream"),
        Reply::Failed(Failure::Unreachable),
        Reply::Failed(Failure::TooLarge),
    ] {
        let (_, calls) = run(&io(&TestHost::new()), get(), std::slice::from_ref(&reply));
        assert_eq!(calls.len(), 1, "{reply:?}");
    }
    let (reply, _) = run(&io(&TestHost::new()), get(), &[served(503, RESET)]);
    assert!(matches!(reply, Reply::Answer(_)), "a server may say what it likes");
}

#[test]
fn one_more_try_is_within_the_timeout() {
    let host = TestHost::new();
    for (elapsed, tries) in [(0, 2), (4_999, 2), (5_000, 1)] {
        let (io, clock) = (io(&host), host.clone());
        let inner = io.clone();
        let (_, calls) = drive_with(&io, async move { Ok(inner.call(get()).await) }, |_| {
            clock.advance(elapsed);
            reset()
        });
        assert_eq!(calls.len(), tries);
        assert!(calls.iter().skip(1).all(|call| call.timeout == 5_000 - elapsed));
    }
}

#[test]
fn past_its_deadline_a_task_asks_nobody() {
    let host = TestHost::new();
    let io = io(&host);
    io.set_deadline(host.io().now() + 100);
    assert_eq!(run(&io, get(), &[reset()]).1[0].timeout, 100);
    host.advance(100);
    let (reply, calls) = run(&io, get(), &[reset()]);
    assert_eq!((reply, calls.len()), (Reply::Failed(Failure::Timeout), 0));
}

#[test]
fn a_server_that_is_down_is_not_asked_twice_as_often_for_ever() {
    let io = io(&TestHost::new());
    let tries: Vec<usize> = (0..6).map(|_| run(&io, get(), &[reset()]).1.len()).collect();
    assert_eq!(tries, [2, 2, 2, 1, 1, 1]);
    run(&io, get(), &[testing::answer("application/json", "{}")]);
    assert_eq!(run(&io, get(), &[reset()]).1.len(), 2, "it has answered since");
}

#[test]
fn every_call_says_who_asks_and_for_which_request() {
    let io = io(&TestHost::new());
    for request in [get(), form()] {
        let (_, calls) = run(&io, request, &[testing::answer("application/json", "{}")]);
        for (name, value) in [("user-agent", USER_AGENT), ("traceparent", "00-1-2-01"), ("x-request-id", "7")]
        {
            assert_eq!(header(&calls[0], name), Some(value));
        }
    }
    assert!(USER_AGENT.starts_with("envoy-sso/0."));
}

#[test]
fn work_that_was_left_to_the_background_is_done_whatever_becomes_of_the_flow() {
    let host = TestHost::new();
    let io = io(&host);
    let inner = io.clone();
    let mut task = super::task::Task::new(io.clone(), async move {
        inner.spawn(super::task::Lane::new("acme", "corp"), |io| async move {
            io.call(get()).await;
            Ok(())
        });
        inner.until(|| false).await;
        Ok(())
    });
    assert!(matches!(task.start(), super::task::Step::Wait(_)));
    drop(task);
    let mut calls = Vec::new();
    testing::run_background(io.outside(), &mut |_| testing::answer("application/json", "{}"), &mut calls);
    assert_eq!(calls.len(), 1);
    assert_eq!(header(&calls[0], "x-request-id"), Some("7"), "its calls belong to the request too");
}
