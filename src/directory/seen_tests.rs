use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::config::{load, Config, Directory, Placeholders};
use crate::directory::tests::account;
use crate::replicas::Replicas;
use crate::testing::engine::Engine;
use crate::testing::{drive_with, TestHost, START};

fn configuration() -> Config {
    let config = json!({
        "session": { "keys": [{ "id": "k", "value": crate::testing::browser::KEY }] },
        "shared": { "engine": "etcd", "cluster": "etcd" },
        "accounts": [{ "origins": ["https://app.example"] }],
    });
    load(config.to_string().as_bytes(), &Placeholders).unwrap()
}

fn acme() -> Account {
    let mut account = account(Directory::None);
    account.mapping.role_map = [("admins".to_owned(), "account_admin".to_owned())].into();
    account
}

/// One Envoy.
struct Replica {
    host: Rc<TestHost>,
    replicas: Rc<Replicas>,
    engine: Rc<RefCell<Engine>>,
}

impl Replica {
    fn new(engine: &Rc<RefCell<Engine>>) -> Self {
        let replicas = Replicas::new(&configuration(), START).unwrap();
        let host = TestHost::new();
        outbox::begin(&*host);
        Self { host, replicas, engine: engine.clone() }
    }

    fn mark(&self, name: &str, roles: &[&str]) {
        self.host.advance(1);
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        mark(&*self.host, &acme(), name, &roles);
    }

    /// The background's turn.
    fn tick(&self) -> bool {
        let (io, replicas) = (self.host.io(), self.replicas.clone());
        let inner = io.clone();
        let flow = async move { Ok(replicas.deliver(&inner).await.is_ok()) };
        drive_with(&io, flow, |call| self.engine.borrow_mut().answer(call)).0.unwrap()
    }

    fn is_untold(&self) -> bool {
        !outbox::all(&*self.host, 0).is_empty()
    }

    /// What a report says of these: signed in, administrator.
    fn report(&self, names: &[&str]) -> Vec<(bool, bool)> {
        let (io, replicas) = (self.host.io(), self.replicas.clone());
        let inner = io.clone();
        let flow = async move {
            let learned = replicas.each_sighting(&inner, &mut |mark| learn(inner.host(), &mark)).await;
            Ok(learned.is_ok())
        };
        let learned = drive_with(&io, flow, |call| self.engine.borrow_mut().answer(call)).0.unwrap();
        assert_eq!(learned, !self.engine.borrow().is_away);
        let of = |name: &&str| (seen(&*self.host, &acme(), name), administrator(&*self.host, &acme(), name));
        names.iter().map(of).collect()
    }
}

#[test]
fn a_sign_in_is_known_everywhere_and_after_a_restart() {
    let engine = Rc::default();
    let (one, two) = (Replica::new(&engine), Replica::new(&engine));
    one.mark("ada", &["account_admin"]);
    one.mark("bob", &["member"]);
    assert_eq!(two.report(&["ada", "bob", "eve"]), [(false, false); 3], "not told yet");
    assert!(one.tick() && !one.is_untold());
    let expected = [(true, true), (true, false), (false, false)];
    assert_eq!(two.report(&["ada", "bob", "eve"]), expected);
    // A restart of all, and an engine that is away: what a report learned is kept.
    let fresh = Replica::new(&engine);
    assert_eq!(fresh.report(&["ada", "bob", "eve"]), expected);
    engine.borrow_mut().is_away = true;
    assert_eq!(fresh.report(&["ada", "bob", "eve"]), expected);
    assert_eq!(Replica::new(&engine).report(&["ada"]), [(false, false)], "on this Envoy alone");
}

#[test]
fn the_latest_sign_in_counts_in_whatever_order_it_is_told() {
    for one_first in [true, false] {
        let engine = Rc::default();
        let (one, two) = (Replica::new(&engine), Replica::new(&engine));
        one.mark("ada", &["account_admin"]);
        two.host.advance(10);
        two.mark("ada", &[]);
        let order = if one_first { [&one, &two] } else { [&two, &one] };
        assert!(order.iter().all(|replica| replica.tick()));
        for replica in [&one, &two, &Replica::new(&engine)] {
            assert_eq!(replica.report(&["ada"]), [(true, false)], "one first: {one_first}");
            // Who knows a later one than the engine says so.
            assert!(replica.tick());
        }
        // And again with the role.
        one.host.advance(20);
        one.mark("ada", &["account_admin"]);
        assert!(one.tick());
        assert_eq!(two.report(&["ada"]), [(true, true)]);
    }
}

#[test]
fn what_could_not_be_told_is_told_later() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let one = Replica::new(&engine);
    engine.borrow_mut().is_away = true;
    for n in 0..1_200 {
        one.mark(&format!("u{n}"), &[]);
    }
    assert!(!one.tick() && one.is_untold());
    engine.borrow_mut().is_away = false;
    assert!(one.tick() && !one.is_untold());
    // More than a page.
    assert_eq!(engine.borrow().values.len(), 1_200);
    let expected = [(true, false), (true, false), (false, false)];
    assert_eq!(Replica::new(&engine).report(&["u0", "u1199", "u1200"]), expected);
    // An engine that was emptied gets all that is known.
    engine.borrow_mut().values.clear();
    let all: Vec<Mark> = (0..4096).flat_map(|part| known(&*one.host, part)).collect();
    let (io, replicas) = (one.host.io(), one.replicas.clone());
    let inner = io.clone();
    let flow = async move {
        for batch in all.chunks(100) {
            replicas.put_marks(&inner, batch).await.map_err(crate::fault::Fault::from)?;
        }
        Ok(())
    };
    drive_with(&io, flow, |call| engine.borrow_mut().answer(call)).0.unwrap();
    assert_eq!(Replica::new(&engine).report(&["u0", "u1199", "u1200"]), expected);
}

#[test]
fn a_sign_in_is_nothing_that_the_others_follow() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let one = Replica::new(&engine);
    one.mark("ada", &["account_admin"]);
    assert!(one.tick());
    let keys: Vec<String> =
        engine.borrow().values.iter().map(|kv| String::from_utf8(kv.key.clone()).unwrap()).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.starts_with("sso/1/s/")), "{keys:?}");
    // Without an engine nothing waits to be told.
    let alone = TestHost::new();
    mark(&*alone, &acme(), "ada", &[]);
    assert!(seen(&*alone, &acme(), "ada") && outbox::all(&*alone, 0).is_empty());
}

#[test]
fn what_cannot_be_opened_is_nothing() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let one = Replica::new(&engine);
    one.mark("ada", &[]);
    one.mark("bob", &[]);
    assert!(one.tick());
    let values: Vec<_> = engine.borrow().values.iter().rev().map(|kv| kv.value.clone()).collect();
    engine.borrow_mut().values.iter_mut().zip(values).for_each(|(kv, other)| kv.value = other);
    assert_eq!(Replica::new(&engine).report(&["ada", "bob"]), [(false, false); 2]);
}

#[test]
fn memory_is_bounded() {
    let host = TestHost::new();
    for n in 0..200u32 {
        let mut id = [0; 16];
        id[4..8].copy_from_slice(&n.to_le_bytes());
        learn(&*host, &Mark { kind: Kind::Seen, id, time: START + u64::from(n) });
    }
    let kept: Vec<u64> = (0..4096).flat_map(|part| known(&*host, part)).map(|mark| mark.time).collect();
    assert_eq!(kept, (START + 136..START + 200).collect::<Vec<_>>(), "the latest of one bucket");
}

#[test]
fn only_a_later_sign_in_than_the_engines_is_told_again() {
    for (engines, untold) in [(START + 9, vec![START + 10]), (START + 10, vec![]), (START + 11, vec![])] {
        let host = TestHost::new();
        // Noted before there was an engine.
        host.set_now(START + 10);
        mark(&*host, &acme(), "ada", &[]);
        let known: Vec<Mark> = (0..2048).flat_map(|part| known(&*host, part)).collect();
        assert_eq!(known.len(), 1);
        learn(&*host, &Mark { time: engines, ..known[0] });
        let told: Vec<u64> = outbox::all(&*host, 0).iter().map(|mark| mark.time).collect();
        assert_eq!(told, untold, "{engines}");
        assert!(seen(&*host, &acme(), "ada"));
    }
}
