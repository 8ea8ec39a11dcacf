use serde_json::json;

use super::*;
use crate::testing::{TestHost, START};

const LIFETIME: u64 = 3_600_000;

fn settings() -> SessionSettings {
    let config = json!({
        "session": { "keys": [{ "id": "k", "value": crate::testing::browser::KEY }], "lifetime": "1h" },
        "accounts": [{ "origins": ["https://app.example"] }],
    });
    let config = crate::config::load(config.to_string().as_bytes(), &crate::config::Placeholders);
    config.unwrap().session
}

/// A session of `subject` in the provider's session `sid`.
fn session(id: &str, subject: &str, sid: Option<&str>, started_at: u64) -> Session {
    let origin = json!({ "p": "corp", "i": "https://idp.example", "s": subject, "d": sid });
    let user = json!({ "u": subject, "o": "i" });
    let session = json!({ "s": id, "u": user, "m": "sso", "o": origin, "b": started_at, "l": started_at, "c": started_at });
    serde_json::from_value(session).unwrap()
}

const PARTY: Party<'_> = Party { account: "acme", provider: "corp", issuer: "https://idp.example" };

/// Which of these have ended, asked twice as requests do, on another worker.
fn ended(host: &TestHost, marks: &[Mark]) -> Vec<bool> {
    let other = host.worker();
    let look = || marks.iter().map(|mark| mark.has_ended(&*other, other.now())).collect::<Vec<_>>();
    let first = look();
    assert_eq!(first, look(), "the answer does not change by asking");
    first
}

#[test]
fn a_session_ends_by_its_id_on_every_worker() {
    let host = TestHost::new();
    let marks = ["a", "b"].map(|id| Mark::of("acme", &session(id, "ada", None, START)));
    assert_eq!(ended(&host, &marks), [false, false]);
    marks[0].end(&*host, START + 1000);
    assert_eq!(ended(&host, &marks), [true, false]);
    // And another after it, which the first look must not hide.
    marks[1].end(&*host, START + 1000);
    assert_eq!(ended(&host, &marks), [true, true]);
}

#[test]
fn a_subject_ends_what_was_opened_before_and_nothing_later() {
    let host = TestHost::new();
    let marks = [
        session("1", "ada", Some("s1"), START - 1),
        session("2", "ada", None, START),
        session("3", "ada", Some("s1"), START + 1),
        session("4", "bob", Some("s1"), START - 1),
    ]
    .map(|session| Mark::of("acme", &session));
    assert_eq!(ended(&host, &marks), [false; 4]);
    assert!(by_subject(&*host, &settings(), PARTY, "ada", START));
    assert_eq!(ended(&host, &marks), [true, true, false, false]);
    // An older order does not open what a newer one ended.
    host.advance(10);
    assert!(by_subject(&*host, &settings(), PARTY, "ada", START + 1));
    assert!(by_subject(&*host, &settings(), PARTY, "ada", START - 500));
    assert_eq!(ended(&host, &marks), [true, true, true, false]);
}

#[test]
fn a_sid_ends_that_session_of_the_provider_only() {
    let host = TestHost::new();
    let marks = [
        session("1", "ada", Some("s1"), START - 1),
        session("2", "ada", Some("s1"), START + 30_000),
        session("3", "ada", Some("s1"), START + 60_001),
        session("4", "ada", Some("s2"), START - 1),
        session("5", "ada", None, START - 1),
        session("6", "s1", None, START - 1),
    ]
    .map(|session| Mark::of("acme", &session));
    assert!(by_sid(&*host, &settings(), PARTY, "s1"));
    // Also one whose login was under way; a number used again later is another session.
    assert_eq!(ended(&host, &marks), [true, true, false, false, false, false]);
}

#[test]
fn a_session_index_counts_together_with_its_subject() {
    let host = TestHost::new();
    let marks = [("ada", "1"), ("bob", "1"), ("ada", "2")]
        .map(|(subject, sid)| Mark::of("acme", &session("x", subject, Some(sid), START)));
    assert!(by_subject_and_sid(&*host, &settings(), PARTY, "ada", "1", host.now()));
    assert_eq!(ended(&host, &marks), [true, false, false]);
}

#[test]
fn an_administrator_ends_those_of_a_user_or_of_the_account_that_are_open() {
    let host = TestHost::new();
    let marks = || {
        [("1", "ada", START - 1), ("2", "bob", START - 1), ("3", "ada", START + 1)]
            .map(|(id, user, started)| Mark::of("acme", &session(id, user, None, started)))
    };
    assert!(by_user(&*host, &settings(), "other", "ada"));
    assert_eq!(ended(&host, &marks()), [false; 3]);
    assert!(by_user(&*host, &settings(), "acme", "ada"));
    assert_eq!(ended(&host, &marks()), [true, false, false]);
    assert!(by_account(&*host, &settings(), "acme"));
    assert_eq!(ended(&host, &marks()), [true, true, false]);
}

#[test]
fn what_ends_is_told_to_other_envoys_and_comes_from_them() {
    let (here, there) = (TestHost::new(), TestHost::new());
    let shared = SessionSettings { shared: true, ..settings() };
    let of = || session("1", "ada", Some("s1"), START - 1);
    for end in [
        |host: &TestHost, shared: &SessionSettings| by_subject(host, shared, PARTY, "ada", START),
        |host: &TestHost, shared: &SessionSettings| by_sid(host, shared, PARTY, "s1"),
        |host: &TestHost, shared: &SessionSettings| by_user(host, shared, "acme", "ada"),
        |host: &TestHost, shared: &SessionSettings| by_account(host, shared, "acme"),
        |host: &TestHost, shared: &SessionSettings| {
            by_id(host, shared, "1");
            true
        },
    ] {
        let (here, there) = (TestHost::new(), TestHost::new());
        assert!(end(&here, &shared));
        let told = outbox::all(&*here, 0);
        assert_eq!(told.len(), 1);
        apply(&*there, &shared, &told);
        assert_eq!(ended(&there, &[Mark::of("acme", &of())]), [true]);
        // What came from others is not told again, and all of it is known.
        assert!(outbox::all(&*there, 0).is_empty());
        let known: Vec<Shared> = (0..PARTS).flat_map(|part| known(&*there, LIFETIME, part)).collect();
        assert_eq!(known, told);
    }
    // Without `shared` nothing is told.
    assert!(by_sid(&*here, &settings(), PARTY, "s1"));
    assert!(outbox::all(&*here, 0).is_empty());
    let late = Shared { kind: Kind::Session, id: [1; 16], time: START };
    apply(&*there, &shared, &[late]);
    assert!((0..PARTS).all(|part| known(&*there, LIFETIME, part).is_empty()), "it has expired");
}

#[test]
fn no_other_account_provider_or_issuer_ends_it() {
    let mark = || Mark::of("acme", &session("1", "ada", Some("s1"), START));
    for (party, ends) in [
        (PARTY, true),
        (Party { account: "other", ..PARTY }, false),
        (Party { provider: "other", ..PARTY }, false),
        (Party { issuer: "https://idp.example/", ..PARTY }, false),
        // The same characters, cut elsewhere.
        (Party { account: "acmec", provider: "orp", ..PARTY }, false),
    ] {
        let host = TestHost::new();
        assert!(by_subject(&*host, &settings(), party, "ada", START));
        assert_eq!(ended(&host, &[mark()]), [ends], "{party:?}");
        let host = TestHost::new();
        assert!(by_sid(&*host, &settings(), party, "s1"));
        assert_eq!(ended(&host, &[mark()]), [ends], "{party:?}");
    }
}

#[test]
fn orders_are_kept_for_a_lifetime_and_then_make_room() {
    let host = TestHost::new();
    assert_eq!(settings().lifetime, LIFETIME);
    let mark = Mark::of("acme", &session("1", "ada", None, START));
    assert!(by_subject(&*host, &settings(), PARTY, "ada", START));
    host.advance(LIFETIME - 1);
    assert!(by_subject(&*host, &settings(), PARTY, "bob", START));
    assert_eq!(ended(&host, &[mark]), [true]);
}

#[test]
fn until_something_ends_a_request_looks_at_one_value() {
    let host = TestHost::new();
    let mark = Mark::of("acme", &session("1", "ada", Some("s1"), START));
    let other = Mark::of("acme", &session("2", "bob", None, START));
    let looks = || {
        let before = host.shared_gets();
        assert!(!mark.has_ended(&*host, START));
        host.shared_gets() - before
    };
    assert_eq!(looks(), 1, "nothing has ever ended here");
    other.end(&*host, START + 1);
    assert_eq!(
        looks(),
        7,
        "the value, its id, its user, its account, and three names its provider has for it"
    );
    assert_eq!(looks(), 1);
}

#[test]
fn what_others_ended_makes_requests_look_once_and_what_is_over_does_not() {
    let host = TestHost::new();
    let mark = |kind, n: u8, time| Shared { kind, id: [n; 16], time };
    apply(&*host, &settings(), &[mark(Kind::Session, 1, START), mark(Kind::Seen, 2, START + 1)]);
    assert_eq!(changes(&*host), None, "over already, and nothing of ours");
    apply(&*host, &settings(), &[mark(Kind::Session, 1, START + 1)]);
    let first = changes(&*host);
    assert!(first.is_some());
    apply(&*host, &settings(), &[mark(Kind::Session, 1, START + 1)]);
    assert_eq!(changes(&*host), first, "known");
    apply(&*host, &settings(), &[mark(Kind::Party, 3, START)]);
    assert_ne!(changes(&*host), first);
}

#[test]
fn what_is_known_counts_to_its_last_millisecond() {
    let host = TestHost::new();
    apply(
        &*host,
        &settings(),
        &[
            Shared { kind: Kind::Session, id: [1; 16], time: START + 10 },
            Shared { kind: Kind::Party, id: [2; 16], time: START },
        ],
    );
    let kinds = || -> Vec<Kind> {
        (0..PARTS).flat_map(|part| known(&*host, LIFETIME, part)).map(|mark| mark.kind).collect()
    };
    host.set_now(START + 9);
    assert_eq!(kinds().len(), 2);
    host.set_now(START + 10);
    assert_eq!(kinds(), [Kind::Party]);
    host.set_now(START + LIFETIME - 1);
    assert_eq!(kinds(), [Kind::Party]);
    host.set_now(START + LIFETIME);
    assert_eq!(kinds(), []);
}
