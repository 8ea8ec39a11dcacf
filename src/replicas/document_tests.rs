use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::replicas::outbox;
use crate::testing::engine::Engine;
use crate::testing::{drive_with, TestHost};

const NAME: &str = "acme/settings";

/// The one document, as the watch brings it.
fn document(engine: &Engine) -> Option<Value> {
    let kv = engine.values.iter().find(|kv| kv.key.ends_with(NAME.as_bytes()))?;
    Some(Value { key: kv.key.clone(), value: kv.value.clone(), revision: kv.mod_revision as u64 })
}

/// A replica, and the engine that all share.
struct Replica {
    host: Rc<TestHost>,
    replicas: Rc<Replicas>,
    engine: Rc<RefCell<Engine>>,
}

impl Replica {
    fn of(engine: &Rc<RefCell<Engine>>) -> Self {
        let config = json!({
            "session": { "keys": [{ "id": "k", "value": crate::testing::browser::KEY }] },
            "shared": { "engine": "etcd", "cluster": "etcd" },
            "accounts": [{ "origins": ["https://app.example"] }],
        });
        let config =
            crate::config::load(config.to_string().as_bytes(), &crate::config::Placeholders).unwrap();
        let host = TestHost::new();
        let replicas = Replicas::new(&config, host.now()).unwrap();
        Self { host, replicas, engine: engine.clone() }
    }

    fn run<T: 'static>(
        &self,
        flow: impl AsyncFnOnce(&Replicas, &Io) -> Result<T, Away> + 'static,
    ) -> Result<T, Away> {
        let (io, replicas) = (self.host.io(), self.replicas.clone());
        let inner = io.clone();
        let future = async move { Ok(flow(&replicas, &inner).await) };
        let (result, _) = drive_with(&io, future, |call| self.engine.borrow_mut().answer(call));
        result.unwrap()
    }

    fn write(&self, expected: Option<u64>, body: &'static str) -> Result<Written, Away> {
        self.run(async move |replicas, io| replicas.write_document(io, NAME, expected, body.as_bytes()).await)
    }

    /// What the watch brings.
    fn follow(&self) {
        let value = document(&self.engine.borrow());
        assert!(self.replicas.apply(&*self.host, value.into_iter().collect()).is_empty());
    }

    fn body(&self) -> Option<String> {
        let document = self.replicas.document(&*self.host, NAME);
        document.map(|document| String::from_utf8(document.body).unwrap())
    }
}

fn done(written: Result<Written, Away>) -> Document {
    match written.unwrap() {
        Written::Done(document) => document,
        Written::Changed(now) => panic!("it had changed to {now:?}"),
    }
}

#[test]
fn one_of_two_writers_wins_and_the_other_learns_of_it() {
    let engine = Rc::default();
    let (a, b) = (Replica::of(&engine), Replica::of(&engine));
    let before = a.replicas.documents_changed(&*a.host);
    let first = done(a.write(None, "one"));
    assert_eq!((first.version, a.body().as_deref()), (1, Some("one")));
    assert_ne!(a.replicas.documents_changed(&*a.host.worker()), before);
    // The other has not heard of it yet.
    let Ok(Written::Changed(Some(now))) = b.write(None, "other") else { panic!("it wrote over it") };
    assert_eq!(now, first);
    let second = done(b.write(Some(now.revision), "two"));
    assert_eq!(second.version, 2);
    a.follow();
    assert_eq!(a.body().as_deref(), Some("two"));
    assert!(matches!(a.write(Some(first.revision), "late"), Ok(Written::Changed(Some(_)))));
    assert_eq!(a.replicas.documents(&*a.host, "acme/").len(), 1);
    assert!(a.replicas.documents(&*a.host, "other/").is_empty());
}

#[test]
fn a_deleted_document_stays_deleted() {
    let engine = Rc::default();
    let (a, b) = (Replica::of(&engine), Replica::of(&engine));
    let document = done(a.write(None, "one"));
    b.follow();
    a.run(async move |replicas, io| replicas.delete_document(io, NAME, document.revision).await).unwrap();
    b.follow();
    assert_eq!((a.body(), b.body()), (None, None));
    let again = done(b.write(None, "anew"));
    assert_eq!(again.version, 3);
}

#[test]
fn with_the_engine_away_nothing_is_written_and_what_is_known_stays() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let a = Replica::of(&engine);
    let document = done(a.write(None, "one"));
    engine.borrow_mut().is_away = true;
    let away = a.write(Some(document.revision), "two").unwrap_err();
    assert_eq!(away.status, 14);
    assert_eq!(crate::fault::Fault::from(away).code.as_str(), "not_ready");
    assert_eq!(a.body().as_deref(), Some("one"));
}

#[test]
fn what_the_engine_lost_or_has_older_is_put_back() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let (a, b) = (Replica::of(&engine), Replica::of(&engine));
    let one = done(a.write(None, "one"));
    let old = engine.borrow().values.clone();
    let two = done(a.write(Some(one.revision), "two"));
    b.follow();
    for values in [Vec::new(), old] {
        *engine.borrow_mut() = Engine { revision: 50, values, is_away: false };
        a.follow();
        assert_eq!(a.body().as_deref(), Some("two"), "an older version does not count");
        a.run(async |replicas, io| replicas.restore_documents(io).await).unwrap();
        b.follow();
        assert_eq!(b.body().as_deref(), Some("two"));
        assert_eq!(b.replicas.document(&*b.host, NAME).unwrap().version, two.version);
        let late = Replica::of(&engine);
        late.follow();
        assert_eq!(late.body().as_deref(), Some("two"));
    }
    assert!(outbox::is_restore_asked(&*a.host));
}

#[test]
fn what_was_not_sealed_under_its_name_does_not_count() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let a = Replica::of(&engine);
    done(a.write(None, "one"));
    let value = document(&engine.borrow()).unwrap();
    let b = Replica::of(&engine);
    let mut elsewhere = value.clone();
    elsewhere.key = b"sso/1/k/other/settings".to_vec();
    let mut changed = value.clone();
    *changed.value.last_mut().unwrap() ^= 1;
    b.replicas.apply(&*b.host, vec![elsewhere, changed, Value { value: b"{}".to_vec(), ..value }]);
    assert!(b.replicas.documents(&*b.host, "").is_empty());
}

#[test]
fn what_was_written_over_without_a_key_is_put_back() {
    let engine: Rc<RefCell<Engine>> = Rc::default();
    let a = Replica::of(&engine);
    done(a.write(None, "one"));
    let value = document(&engine.borrow()).unwrap();
    // A newer filter's, or one with a key that is not here yet: it may be right.
    for newer in [&b"\x02\x01k..."[..], b"\x01\x02k2........................"] {
        a.replicas.apply(&*a.host, vec![Value { value: newer.to_vec(), ..value.clone() }]);
        assert!(!outbox::is_restore_asked(&*a.host));
    }
    for forged in [&b"{}"[..], b"", b"\x01\x01k........................"] {
        engine.borrow_mut().revision += 1;
        let revision = engine.borrow().revision;
        for own in engine.borrow_mut().values.iter_mut().filter(|own| own.key == value.key) {
            (own.value, own.mod_revision) = (forged.to_vec(), revision);
        }
        a.follow();
        assert_eq!(a.body().as_deref(), Some("one"));
        assert!(outbox::is_restore_asked(&*a.host));
        a.run(async |replicas, io| replicas.restore_documents(io).await).unwrap();
        let late = Replica::of(&engine);
        late.follow();
        assert_eq!(late.body().as_deref(), Some("one"));
    }
}

#[test]
fn a_document_that_is_not_known_is_not_there_after_the_first_read_and_settle() {
    let a = Replica::of(&Rc::default());
    let host = &*a.host;
    assert!(!a.replicas.documents_are_known(host, host.now()));
    let mut status = a.replicas.status(host);
    status.proven(host.now(), host.now(), 5_000, 2_000);
    status.write(host, a.replicas.tag());
    assert!(!a.replicas.documents_are_known(host, host.now() + 1_999));
    assert!(a.replicas.documents_are_known(host, host.now() + 2_000));
}
