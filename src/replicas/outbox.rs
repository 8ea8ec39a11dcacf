//! Marks that the engine does not have yet, in the data all workers of this Envoy share.
//!
//! A mark is noted here before it is sent, so that a crash of a worker or an outage of the engine loses none. What does
//! not fit is not lost either: then everything that this Envoy knows is put into the engine again.

use super::marks::{Kind, Mark};
use crate::host::shared_set::{Inserted, SharedSet, WhenFull};
use crate::host::Host;

/// 32 buckets of 512: 16,384 marks of each kind, 400 KB each.
const fn set(name: &'static str) -> SharedSet {
    SharedSet { name, buckets: 32, capacity: 512, when_full: WhenFull::Refuse }
}
const SESSIONS: SharedSet = set("sso.outbox.s");
const PARTIES: SharedSet = set("sso.outbox.b");
const SEEN: SharedSet = set("sso.outbox.w");

/// Says that there is an engine.
const SHARED: &str = "sso.outbox.shared";

/// Says that everything has to be put into the engine again.
const RESTORE: &str = "sso.outbox.restore";

fn set_of(kind: Kind) -> SharedSet {
    match kind {
        Kind::Session => SESSIONS,
        Kind::Party => PARTIES,
        Kind::Seen => SEEN,
    }
}

/// There is an engine, to which sign-ins are told.
pub fn begin(host: &dyn Host) {
    host.shared_set(SHARED, &[1], None);
}

/// True where there is one.
pub fn is_shared(host: &dyn Host) -> bool {
    host.shared_get(SHARED).0.is_some()
}

/// Notes one to be sent.
pub fn add(host: &dyn Host, mark: Mark) {
    if set_of(mark.kind).raise(host, &mark.id, mark.time, 0) == Inserted::Full {
        ask_to_restore(host);
    }
}

/// What is to be sent, in an order that begins elsewhere at every try: one that the engine does not take holds up no
/// other for ever.
pub fn all(host: &dyn Host, begin: usize) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for kind in Kind::ALL {
        marks.extend(set_of(kind).all(host).into_iter().map(|(id, time)| Mark { kind, id, time }));
    }
    let most = marks.len().max(1);
    marks.rotate_left(begin % most);
    marks
}

/// The engine has it.
pub fn sent(host: &dyn Host, mark: &Mark) {
    set_of(mark.kind).remove(host, &mark.id, mark.time);
}

/// Everything has to be put into the engine again.
pub fn ask_to_restore(host: &dyn Host) {
    host.shared_set(RESTORE, &[1], None);
}

/// True where that was asked for.
pub fn is_restore_asked(host: &dyn Host) -> bool {
    host.shared_get(RESTORE).0.is_some_and(|value| value == [1])
}

/// It was done.
pub fn restored(host: &dyn Host) {
    host.shared_set(RESTORE, &[0], None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    fn mark(n: u32) -> Mark {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        Mark { kind: Kind::ALL[n as usize % 3], id, time: START + u64::from(n) }
    }

    #[test]
    fn what_is_added_stays_until_it_was_sent() {
        let host = TestHost::new();
        assert!(all(&*host, 0).is_empty());
        for n in 0..10 {
            add(&*host, mark(n));
        }
        let other = host.worker();
        assert_eq!(all(&*other, 0).len(), 10);
        assert_ne!(all(&*other, 0), all(&*other, 1), "the order changes");
        sent(&*other, &mark(3));
        assert!(!all(&*host, 0).contains(&mark(3)));
        // A later time came while the earlier one was under way.
        add(&*host, Mark { time: START + 90, ..mark(4) });
        sent(&*other, &mark(4));
        assert!(all(&*host, 0).contains(&Mark { time: START + 90, ..mark(4) }));
    }

    #[test]
    fn what_does_not_fit_makes_everything_be_put_again() {
        let host = TestHost::new();
        // All of one kind (every third) and one bucket (every 32nd), which holds 512.
        for n in 0..512 {
            add(&*host, mark(n * 96));
        }
        assert!(!is_restore_asked(&*host));
        add(&*host, mark(512 * 96 + 1));
        assert!(!is_restore_asked(&*host), "another bucket");
        add(&*host, mark(512 * 96));
        assert!(is_restore_asked(&*host));
        restored(&*host);
        assert!(!is_restore_asked(&*host));
    }
}
