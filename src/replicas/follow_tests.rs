use prost::Message;

use super::*;
use crate::replicas::messages as pb;

const NOW: u64 = 1_800_000_000_000;

/// An engine that holds followed keys, its head and its epoch, and answers like etcd.
struct Engine {
    cluster_id: u64,
    revision: u64,
    values: Vec<(Vec<u8>, u64)>,
    head: u64,
    epoch: Option<(Vec<u8>, u64)>,
    /// Keys that it had to read so far: with a condition all from the first one on, whatever the limit.
    read: usize,
}

impl Engine {
    fn new() -> Self {
        Self { cluster_id: 7, revision: 1, values: Vec::new(), head: 0, epoch: None, read: 0 }
    }

    /// Writes a mark together with the head, as every replica does.
    fn put(&mut self, name: &str) -> Value {
        self.revision += 1;
        let key = [keys().all('m'), name.as_bytes().to_vec()].concat();
        self.values.retain(|(known, _)| *known != key);
        self.values.push((key.clone(), self.revision));
        self.values.sort();
        self.head = self.revision;
        Value { key, value: Vec::new(), revision: self.revision }
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(pb::ResponseHeader { cluster_id: self.cluster_id, revision: self.revision as i64 })
    }

    fn created(&self) -> Vec<u8> {
        pb::WatchResponse { header: self.header(), created: true, ..Default::default() }.encode_to_vec()
    }

    fn answer(&mut self, method: Method, message: &[u8]) -> Vec<u8> {
        if method == Method::Transaction {
            let txn = pb::TxnRequest::decode(message).unwrap();
            let compare = &txn.compare[0];
            let (epoch, revision) = self.epoch.clone().unwrap_or_default();
            let succeeded = compare.create_revision == Some(0) && epoch.is_empty()
                || compare.mod_revision == Some(revision as i64);
            if let (true, Some(pb::Request::Put(put))) = (succeeded, txn.success[0].request.clone()) {
                self.revision += 1;
                self.epoch = Some((put.value, self.revision));
            }
            return pb::TxnResponse { header: self.header(), succeeded, responses: Vec::new() }
                .encode_to_vec();
        }
        let range = pb::RangeRequest::decode(message).unwrap();
        let mut all = self.values.clone();
        let mut kvs = Vec::new();
        if range.key == keys().epoch() {
            all = vec![(keys().head(), self.head)];
            if let Some((value, revision)) = &self.epoch {
                kvs.push(pb::KeyValue {
                    key: keys().epoch(),
                    value: value.clone(),
                    mod_revision: *revision as i64,
                    ..Default::default()
                });
            }
            all.retain(|(_, revision)| *revision != 0);
        }
        all.retain(|(key, revision)| {
            let inside = *key >= range.key && *key < range.range_end;
            let old = range.revision == 0 || *revision <= range.revision as u64;
            inside && old && *revision as i64 >= range.min_mod_revision
        });
        self.read += match range.min_mod_revision {
            0 => all.len().min(range.limit as usize),
            _ => self.values.iter().filter(|(key, _)| *key >= range.key && *key < range.range_end).count(),
        };
        let more = range.limit > 0 && all.len() > range.limit as usize;
        all.truncate(if range.limit > 0 { range.limit as usize } else { usize::MAX });
        kvs.extend(all.into_iter().map(|(key, revision)| pb::KeyValue {
            key,
            mod_revision: revision as i64,
            ..Default::default()
        }));
        pb::RangeResponse { header: self.header(), kvs, more, count: 0 }.encode_to_vec()
    }
}

fn keys() -> Keys {
    Keys::new("sso")
}

fn events(values: &[Value]) -> Vec<u8> {
    let event = |value: &Value| pb::Event {
        kind: 0,
        kv: Some(pb::KeyValue {
            key: value.key.clone(),
            mod_revision: value.revision as i64,
            ..Default::default()
        }),
    };
    pb::WatchResponse { events: values.iter().map(event).collect(), ..Default::default() }.encode_to_vec()
}

/// A follower whose calls the engine answers at once; what it applied, and what it said beside.
struct Run {
    follower: Follower,
    now: u64,
    applied: Vec<Vec<u8>>,
    said: Vec<Action>,
}

impl Run {
    fn new(known: Known) -> Self {
        let follower = Follower::new(keys(), 1_000, known);
        Self { follower, now: NOW, applied: Vec::new(), said: Vec::new() }
    }

    fn act(&mut self, engine: &mut Engine, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Open => {
                    let actions = self.follower.opened(self.now, true);
                    self.act(engine, actions);
                }
                Action::Send(_) => {}
                Action::Ask(question, method, message) => {
                    let answer = engine.answer(method, &message);
                    let actions = self.follower.answered(self.now, question, Some(&answer), b"fresh epoch");
                    self.act(engine, actions);
                }
                Action::Apply(values) => self.applied.extend(values.into_iter().map(|value| value.key)),
                other => self.said.push(other),
            }
        }
    }

    fn tick(&mut self, engine: &mut Engine, milliseconds: u64) {
        self.now += milliseconds;
        let actions = self.follower.tick(self.now);
        self.act(engine, actions);
    }

    fn told(&mut self, engine: &mut Engine, message: &[u8]) {
        let actions = self.follower.told(self.now, message);
        self.act(engine, actions);
    }

    /// Opens the stream and reads everything.
    fn open(&mut self, engine: &mut Engine) {
        self.tick(engine, 2_000);
        let created = engine.created();
        self.told(engine, &created);
    }

    fn said(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.said)
    }

    fn is_in_step(&mut self) -> bool {
        self.said().iter().any(|action| matches!(action, Action::InStep(_)))
    }
}

#[test]
fn everything_is_read_before_it_is_in_step() {
    let mut engine = Engine::new();
    for n in 0..1_234 {
        engine.put(&format!("{n:05}"));
    }
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    assert_eq!(run.applied.len(), 1_234, "page by page");
    assert_eq!(run.said(), [Action::InStep(run.now)]);
    assert_eq!(run.follower.known().epoch, b"fresh epoch");
    assert_eq!(run.follower.known().revision, engine.revision);
    // The head is read once a second.
    run.tick(&mut engine, 500);
    assert_eq!(run.said(), []);
    run.tick(&mut engine, 500);
    assert_eq!(run.said(), [Action::InStep(run.now)]);
}

#[test]
fn a_first_read_makes_the_engine_read_each_key_once() {
    let mut engine = Engine::new();
    for n in 0..5_000 {
        engine.put(&format!("{n:05}"));
    }
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    assert!(run.is_in_step());
    assert_eq!((run.applied.len(), engine.read), (5_000, 5_000));
    // Later only what is new comes, for which the engine looks at all of them once.
    run.follower.closed(run.now);
    let value = engine.put("new");
    run.open(&mut engine);
    assert!(run.is_in_step());
    assert_eq!((run.applied.last(), engine.read), (Some(&value.key), 10_001));
}

#[test]
fn an_event_that_the_watch_still_owes_is_no_step() {
    let mut engine = Engine::new();
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    assert!(run.is_in_step());
    let value = engine.put("late");
    run.tick(&mut engine, 1_000);
    assert!(!run.is_in_step(), "the head is ahead of what is known");
    let asked = run.now;
    run.now += 700;
    run.told(&mut engine, &events(&[value]));
    assert_eq!(run.said(), [Action::InStep(asked)], "as of the time it was asked");
    // A watch that never brings it is opened anew.
    engine.put("lost");
    run.tick(&mut engine, 1_000);
    run.tick(&mut engine, STUCK + 1);
    assert_eq!(run.said(), [Action::Cancel, Action::Failed]);
    run.open(&mut engine);
    assert!(run.is_in_step());
    assert!(run.applied.contains(&[keys().all('m'), b"lost".to_vec()].concat()));
}

#[test]
fn what_happened_while_the_stream_was_down_is_read() {
    let mut engine = Engine::new();
    engine.put("a");
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    run.said();
    let actions = run.follower.closed(run.now);
    run.act(&mut engine, actions);
    engine.put("b");
    run.tick(&mut engine, 10);
    assert_eq!(run.said(), [Action::Failed], "it pauses first");
    run.applied.clear();
    run.open(&mut engine);
    assert_eq!(run.applied, [[keys().all('m'), b"b".to_vec()].concat()], "only what is new");
    assert!(run.is_in_step());
}

#[test]
fn events_before_the_read_is_done_do_not_count_as_known() {
    let mut engine = Engine::new();
    engine.put("a");
    let mut follower = Follower::new(keys(), 1_000, Known::default());
    follower.tick(NOW);
    follower.opened(NOW, true);
    let actions = follower.told(NOW, &engine.created());
    let Some(Action::Ask(question, method, message)) = actions.into_iter().next() else {
        panic!("the head is read first");
    };
    let value = engine.put("b");
    let applied = follower.told(NOW, &events(std::slice::from_ref(&value)));
    assert_eq!(applied, [Action::Apply(vec![value])]);
    assert_eq!(follower.known().revision, 0, "a is not known yet");
    // The stream breaks: the answers of the old one are dropped.
    follower.closed(NOW);
    let answer = engine.answer(method, &message);
    assert_eq!(follower.answered(NOW, question, Some(&answer), b"x"), []);
    assert_eq!(follower.known().revision, 0);
}

#[test]
fn an_engine_that_was_emptied_gets_everything_back() {
    let mut engine = Engine::new();
    for n in 0..50 {
        engine.put(&n.to_string());
    }
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    run.said();
    let known = run.follower.known().clone();
    // Emptied, with the cluster id it had.
    for (empty, why) in [
        (Engine::new(), "its revision went back"),
        (Engine { revision: 500, ..Engine::new() }, "others have written since: its epoch is gone"),
        (
            Engine { cluster_id: 8, revision: 500, epoch: engine.epoch.clone(), ..Engine::new() },
            "another one",
        ),
        (
            Engine { revision: 500, epoch: Some((b"other".to_vec(), 9)), ..Engine::new() },
            "another replica has noticed",
        ),
    ] {
        let mut empty = empty;
        let mut run = Run::new(known.clone());
        run.open(&mut empty);
        let said = run.said();
        assert_eq!(said, [Action::Lost, Action::Restore, Action::InStep(run.now)], "{why}");
        assert_eq!(run.follower.known().revision, empty.revision);
    }
}

#[test]
fn an_engine_that_was_set_back_gets_a_new_epoch() {
    let mut engine = Engine::new();
    engine.put("a");
    let mut run = Run::new(Known::default());
    run.open(&mut engine);
    let (epoch, values, revision) = (engine.epoch.clone(), engine.values.clone(), engine.revision);
    engine.put("b");
    let told = events(&[Value { key: Vec::new(), value: Vec::new(), revision: engine.revision }]);
    run.told(&mut engine, &told);
    run.said();
    // A snapshot, under the open stream: the next head shows it.
    engine = Engine { cluster_id: 7, revision, values, head: revision, epoch: epoch.clone(), read: 0 };
    run.tick(&mut engine, 1_000);
    assert_eq!(run.said(), [Action::Lost, Action::Restore, Action::InStep(run.now)]);
    assert_ne!(
        engine.epoch.unwrap().1,
        epoch.unwrap().1,
        "so that the others notice, whatever was written since"
    );
}

#[test]
fn a_call_that_fails_leaves_the_connection() {
    let mut follower = Follower::new(keys(), 1_000, Known::default());
    let engine = Engine::new();
    follower.tick(NOW);
    follower.opened(NOW, true);
    let actions = follower.told(NOW, &engine.created());
    let Some(Action::Ask(question, ..)) = actions.into_iter().next() else { panic!("the head") };
    assert_eq!(follower.answered(NOW, question, None, b""), [Action::Cancel, Action::Failed]);
    assert_eq!(follower.tick(NOW + FIRST_PAUSE - 1), []);
    assert_eq!(follower.tick(NOW + FIRST_PAUSE), [Action::Open]);
    // A stream that never opens is given up, with longer and longer pauses.
    assert_eq!(follower.tick(NOW + FIRST_PAUSE + 1_001), [Action::Cancel, Action::Failed]);
    assert_eq!(follower.tick(NOW + FIRST_PAUSE + 1_001 + FIRST_PAUSE), []);
}

#[test]
fn every_order_of_events_keeps_what_it_says_true() {
    // In step means: every value that the engine had when it was asked was applied. Random orders of writes, events,
    // breaks, ticks and restores, from a fixed seed.
    let mut seed = 42u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..300 {
        let mut engine = Engine::new();
        let mut run = Run::new(Known::default());
        let mut owed: Vec<Value> = Vec::new();
        let mut is_open = false;
        for step in 0..120 {
            run.now += 1;
            match random(10) {
                0..=3 => {
                    let value = engine.put(&format!("{step}"));
                    if is_open {
                        owed.push(value);
                    }
                }
                4..=5 if !owed.is_empty() => {
                    let count = 1 + random(owed.len() as u64) as usize;
                    let batch: Vec<Value> = owed.drain(..count).collect();
                    run.told(&mut engine, &events(&batch));
                }
                6 => {
                    let actions = run.follower.closed(run.now);
                    run.act(&mut engine, actions);
                    (is_open, owed) = (false, Vec::new());
                }
                7 if random(8) == 0 => {
                    engine = Engine { cluster_id: 7, ..Engine::new() };
                    (is_open, owed) = (false, Vec::new());
                    let actions = run.follower.closed(run.now);
                    run.act(&mut engine, actions);
                    run.applied.clear();
                }
                _ => {
                    run.tick(&mut engine, random(1_500));
                    if matches!(run.follower.stream, Stream::Opening(_)) {
                        owed.clear();
                        let created = engine.created();
                        run.told(&mut engine, &created);
                    }
                    is_open = run.follower.is_open();
                    if !is_open {
                        owed.clear();
                    }
                }
            }
            let in_step = run.said().contains(&Action::InStep(run.now));
            if in_step {
                for (key, _) in &engine.values {
                    let is_owed = owed.iter().any(|value| value.key == *key);
                    assert!(run.applied.contains(key) || is_owed, "{key:?} was never applied");
                }
                assert!(owed.is_empty() || run.follower.known().revision >= engine.head);
            }
        }
    }
}
