//! Documents are kept, shared, and not asked for too often.

use super::*;
use crate::fault::Code;
use crate::host::task::Failure;
use crate::proto::fetch::turn::Sender;
use crate::testing::{drive, header, status, TestHost};

macro_rules! run {
    ($host:expr, $provider:expr, $method:ident ( $($arg:expr),* ), $replies:expr) => {{
        let (io, provider) = ($host.io(), $provider.clone());
        let inner = io.clone();
        drive(&io, async move { provider.$method(&inner $(, $arg)*).await }, $replies)
    }};
}

#[test]
fn each_document_is_fetched_once_by_one_worker() {
    let (host, one) = (TestHost::new(), provider(|_| ()));
    let (keys_found, calls) = run!(host, one, keys(), [discovered(), keys()]);
    assert_eq!(keys_found.unwrap().len(), 6);
    assert_eq!(header(&calls[0], ":path"), Some("/.well-known/openid-configuration"));
    assert_eq!(header(&calls[1], ":path"), Some("/keys"));
    assert!(run!(host, one, keys(), []).0.is_ok());
    // Another worker asks nobody.
    assert!(run!(host.worker(), provider(|_| ()), keys(), []).0.is_ok());
}

#[test]
fn what_fails_is_not_kept_and_not_hammered() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    for (reply, code) in [
        (Reply::Failed(Failure::NoCluster("idp.example.com".into())), Code::IdpUnavailable),
        (Reply::Failed(Failure::Unreachable), Code::IdpUnavailable),
        (Reply::Failed(Failure::Timeout), Code::IdpTimeout),
        (Reply::Failed(Failure::TooLarge), Code::IdpInvalidAnswer),
        (status(500, "text/html", ""), Code::IdpUnavailable),
        (status(502, "text/html", ""), Code::IdpUnavailable),
        (status(503, "text/html", ""), Code::IdpUnavailable),
        (status(504, "text/html", ""), Code::IdpTimeout),
        (status(404, "application/json", "{}"), Code::IdpInvalidAnswer),
        (status(302, "text/html", ""), Code::IdpInvalidAnswer),
        (testing::answer("text/html", metadata().to_string()), Code::IdpInvalidAnswer),
        (testing::answer("application/json", "{\"issuer\":"), Code::IdpInvalidAnswer),
        (testing::answer("application/json", b"\xff".to_vec()), Code::IdpInvalidAnswer),
        (testing::json(&json!({"issuer": "https://evil"})), Code::IdpInvalidAnswer),
    ] {
        let (result, _) = run!(host, provider, metadata(), [reply.clone()]);
        assert_eq!(result.unwrap_err().code, code, "{reply:?}");
        // At once: the same fault without a call. Two seconds later: asked again.
        host.advance(1_999);
        assert_eq!(run!(host, provider, metadata(), []).0.unwrap_err().code, code);
        host.advance(1);
    }
    assert!(host.shared_keys().iter().all(|key| key.ends_with(".fetch")), "no document");
    assert!(run!(host, provider, metadata(), [discovered()]).0.is_ok());
}

#[test]
fn the_log_names_a_host_without_cluster() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    let reply = Reply::Failed(Failure::NoCluster("idp.example.com".into()));
    let fault = run!(host, provider, metadata(), [reply]).0.unwrap_err();
    assert!(fault.detail.contains("no cluster for host idp.example.com"), "{}", fault.detail);
}

#[test]
fn a_failed_refresh_keeps_the_last_good_one() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    assert!(provider.due(host.io().now()), "at start everything is due");
    assert!(run!(host, provider, refresh(), [discovered(), keys()]).0.is_ok());
    assert!(!provider.due(host.io().now()));
    host.advance(15 * 60_000);
    assert!(provider.due(host.io().now()), "keys, after a quarter of an hour");
    assert!(run!(host, provider, refresh(), [status(503, "text/html", "")]).0.is_err());
    assert!(!provider.due(host.io().now()), "backs off");
    assert_eq!(run!(host, provider, keys(), []).0.unwrap().len(), 6);
    host.advance(10_000);
    assert!(provider.due(host.io().now()));
    assert!(run!(host, provider, refresh(), [keys()]).0.is_ok());
    // After an hour metadata too; both broken, and both still there.
    host.advance(60 * 60_000);
    let down = || Reply::Failed(Failure::Unreachable);
    assert!(run!(host, provider, refresh(), [down(), down()]).0.is_err());
    assert!(run!(host, provider, keys(), []).0.is_ok());
    assert!(run!(host, provider, metadata(), []).0.is_ok());
}

#[test]
fn an_envoy_without_its_idp_recovers_by_itself() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    assert!(run!(host, provider, refresh(), [Reply::Failed(Failure::Unreachable)]).0.is_err());
    assert!(!provider.due(host.io().now()));
    host.advance(10_000);
    assert!(provider.due(host.io().now()));
    assert!(run!(host, provider, refresh(), [discovered(), keys()]).0.is_ok());
    assert!(!provider.due(host.io().now()));
}

#[test]
fn an_unknown_kid_asks_once_a_minute_over_all_workers() {
    let (host, one) = (TestHost::new(), provider(|_| ()));
    run!(host, one, keys(), [discovered(), keys()]).0.unwrap();
    let two = provider(|_| ());
    let second = host.worker();
    run!(second, two, keys(), []).0.unwrap();
    // Right after the first fetch a new key may already be there.
    host.advance(1);
    second.advance(1);
    assert!(run!(host, one, newer_keys(&|keys| keys.has("new"), Sender::Stranger), [keys()])
        .0
        .unwrap()
        .is_some());
    assert!(run!(host, one, newer_keys(&|keys| keys.has("new"), Sender::Stranger), []).0.unwrap().is_none());
    assert!(run!(second, two, newer_keys(&|keys| keys.has("new"), Sender::Stranger), [])
        .0
        .unwrap()
        .is_none());
    // What the other worker fetched is used without a call.
    assert!(
        run!(second, two, newer_keys(&|keys| keys.has("p256"), Sender::Stranger), []).0.unwrap().is_none(),
        "already adopted"
    );
    host.advance(60_000);
    let failed = run!(
        host,
        one,
        newer_keys(&|keys| keys.has("new"), Sender::Stranger),
        [status(503, "text/html", "")]
    );
    assert_eq!(failed.0.unwrap_err().code, Code::IdpUnavailable);
    assert!(run!(host, one, newer_keys(&|keys| keys.has("new"), Sender::Stranger), []).0.unwrap().is_none());
    assert_eq!(run!(host, one, keys(), []).0.unwrap().len(), 6, "the last good ones stay");
}

#[test]
fn by_hand_nobody_is_asked() {
    let (host, provider) = (
        TestHost::new(),
        provider(|oidc| {
            oidc.discovery = None;
            oidc.issuer = Some(ISSUER.into());
            oidc.endpoints.authorization = Some(url("https://idp.example.com/authorize"));
            oidc.endpoints.token = Some(url("https://idp.example.com/token"));
            oidc.jwks = Some(JWKS.into());
        }),
    );
    assert!(!provider.due(host.io().now()));
    assert_eq!(run!(host, provider, metadata(), []).0.unwrap().issuer, ISSUER);
    assert_eq!(run!(host, provider, keys(), []).0.unwrap().len(), 6);
    assert!(run!(host, provider, newer_keys(&|keys| keys.has("x"), Sender::Stranger), [])
        .0
        .unwrap()
        .is_none());
}

/// A token of somebody whose stream is reset while its keys are fetched.
fn stranger(host: &std::rc::Rc<TestHost>, provider: &std::rc::Rc<Provider>) -> crate::host::task::Io {
    let (io, provider) = (host.io(), provider.clone());
    let inner = io.clone();
    let flow = async move { provider.newer_keys(&inner, &|keys| keys.has("new"), Sender::Stranger).await };
    let _ = crate::host::task::Task::new(io.clone(), flow).start();
    io
}

fn finish(io: &crate::host::task::Io, reply: &Reply) -> usize {
    let mut calls = Vec::new();
    testing::run_background(io.outside(), &mut |_| reply.clone(), &mut calls);
    calls.len()
}

#[test]
fn what_a_stranger_began_is_finished_and_a_flood_is_one_fetch() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    run!(host, provider, keys(), [discovered(), keys()]).0.unwrap();
    host.advance(1);
    let io = stranger(&host, &provider);
    // While it runs, a thousand more wait for it, and hang up.
    for _ in 0..1_000 {
        assert_eq!(finish(&stranger(&host, &provider), &keys()), 0);
    }
    assert_eq!(finish(&io, &keys()), 1);
    assert_eq!(finish(&stranger(&host, &provider), &keys()), 0, "the minute begins with the answer");
    host.advance(59_999);
    assert_eq!(finish(&stranger(&host, &provider), &keys()), 0);
    host.advance(1);
    assert_eq!(finish(&stranger(&host, &provider), &keys()), 1);
}

#[test]
fn strangers_spend_nothing_of_what_logins_need() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    run!(host, provider, keys(), [discovered(), keys()]).0.unwrap();
    for second in 0..2 {
        host.advance(1_000);
        finish(&stranger(&host, &provider), &keys());
        // The provider has a new key now, and a login comes with it: at its first try.
        host.advance(5_000);
        let found = run!(host, provider, newer_keys(&|keys| keys.has("new"), Sender::Provider), [keys()]).0;
        assert!(found.unwrap().is_some(), "{second}");
    }
    for sender in [Sender::Stranger, Sender::Provider] {
        let found = run!(host, provider, newer_keys(&|keys| keys.has("new"), sender), []).0;
        assert!(found.unwrap().is_none(), "it signs with a key that it does not publish: {sender:?}");
    }
    host.advance(60_000);
    let found = run!(host, provider, newer_keys(&|keys| keys.has("new"), Sender::Provider), [keys()]).0;
    assert!(found.unwrap().is_some());
}

#[test]
fn a_login_is_not_content_with_a_fetch_that_began_before_its_token() {
    let (host, provider) = (TestHost::new(), provider(|_| ()));
    run!(host, provider, keys(), [discovered(), keys()]).0.unwrap();
    host.advance(1);
    let io = stranger(&host, &provider);
    let inner = (io.clone(), provider.clone());
    let mut login = crate::host::task::Task::new(io.clone(), async move {
        inner.1.newer_keys(&inner.0, &|keys| keys.has("new"), Sender::Provider).await
    });
    let crate::host::task::Step::Wait(mut ready) = login.start() else { panic!("it waits") };
    assert_eq!(finish(&io, &keys()), 1);
    assert!(ready());
    let crate::host::task::Step::Wait(mut ready) = login.start() else { panic!("it waits once more") };
    host.advance(1_000);
    assert_eq!(finish(&io, &keys()), 1);
    assert!(ready());
    assert!(matches!(login.start(), crate::host::task::Step::Done(Ok(Some(_)))));
}

#[test]
fn one_worker_fetches_and_the_others_wait_for_it() {
    let (host, one, two) = (TestHost::new(), provider(|_| ()), provider(|_| ()));
    let other = host.worker();
    run!(host, one, keys(), [discovered(), keys()]).0.unwrap();
    run!(other, two, keys(), []).0.unwrap();
    for clock in [&host, &other] {
        clock.advance(1);
    }
    let first = stranger(&host, &one);
    let work = first.outside().background().borrow_mut().drain();
    let mut task = work.into_iter().next().expect("a fetch");
    let crate::host::task::Step::Call(_) = task.task.start() else { panic!("it asks") };
    // The other worker's waits for the lease, and for nothing else.
    let second = stranger(&other, &two);
    let work = second.outside().background().borrow_mut().drain();
    let mut waiting = work.into_iter().next().expect("a fetch");
    let crate::host::task::Step::Wait(mut ready) = waiting.task.start() else { panic!("it waits") };
    assert!(!ready());
    assert!(matches!(task.resume(keys()), crate::host::task::Step::Done(Ok(()))));
    assert!(ready());
    assert!(matches!(waiting.task.start(), crate::host::task::Step::Done(Ok(()))), "no call");
}
