//! Renewals under way and just done, in the data all workers of one Envoy share: a refresh token is used
//! once, by one request, whatever arrives beside it.
//!
//! Two things are kept. A bounded table says what became of the renewal of a state of a session: it runs,
//! it failed and may be tried again, or this is the newer state, sealed as in its cookie, for requests that still
//! send the older one. And a set of refresh tokens that the provider replaced or refused: one of them is
//! never sent again, also when the table has long forgotten the rest (a second use is taken for theft, RFC
//! 9700 section 4.14.2).

use super::Session;
use crate::fault::Code;
use crate::host::shared_set::{id_of, SharedSet, WhenFull};
use crate::host::Host;
use crate::values::order;
use crate::values::secret::Secret;

/// Refresh tokens that were replaced or refused, until their session would have ended.
const SPENT: SharedSet =
    SharedSet { name: "sso.spent", buckets: 4096, capacity: 64, when_full: WhenFull::Evict };

/// 512 buckets of 64 KB: 32 MB at the most. Beyond that the entry that ends first makes room.
const BUCKETS: u32 = 512;
const BUCKET: usize = 64 << 10;

/// Content of anything but a newer state is no longer than that.
const SMALL: usize = 64;

/// id, until, kind, length of what follows.
const HEAD: usize = 16 + 8 + 1 + 4;

/// A state of a session that is to be renewed: a renewal changes at least one of what it is made of, a mere
/// reseal of the cookie none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id([u8; 16]);

impl Id {
    /// Of this state.
    pub fn of(session: &Session) -> Self {
        let token = session.tokens.refresh_token.as_ref().map(Secret::expose).unwrap_or_default();
        Self(id_of(&format!("{}\0{}\0{token}", session.id, session.renewed())))
    }

    /// As bytes, for the shared engine.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn key(self) -> String {
        let [a, b, c, d, ..] = self.0;
        format!("sso.renew.{:x}", u32::from_le_bytes([a, b, c, d]) % BUCKETS)
    }
}

/// What is known of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: the request that claims it has it done.
    Nothing,
    /// It is under way.
    Running,
    /// It failed with this code and is not tried again before this time.
    Failed(Option<Code>, u64),
    /// The provider refused the token (`invalid_grant`): this state of the session goes on until then, since
    /// another replica may just have renewed it.
    Refused(u64),
    /// The session ended meanwhile, for this reason.
    Ended(Option<Code>),
    /// The newer state, sealed.
    Done(Vec<u8>),
}

impl State {
    fn kind(&self) -> u8 {
        match self {
            State::Nothing => 0,
            State::Running => 1,
            State::Failed(..) => 2,
            State::Refused(_) => 3,
            State::Ended(_) => 4,
            State::Done(_) => 5,
        }
    }

    fn content(&self) -> &[u8] {
        match self {
            State::Failed(Some(code), _) | State::Ended(Some(code)) => code.as_str().as_bytes(),
            State::Done(sealed) => sealed,
            _ => &[],
        }
    }
}

/// What is known of it now.
pub fn look(host: &dyn Host, id: Id, now: u64) -> State {
    let (Some(bytes), _) = host.shared_get(&id.key()) else { return State::Nothing };
    let state =
        entries(&bytes).find(|entry| entry.id == id.0 && entry.until > now).map(|entry| entry.state());
    state.unwrap_or(State::Nothing)
}

/// What is known of it now as bytes, for other replicas, and until when it counts. Nothing while it runs.
pub fn written(host: &dyn Host, id: Id, now: u64) -> Option<(Vec<u8>, u64)> {
    let (bytes, _) = host.shared_get(&id.key());
    let bytes = bytes?;
    let entry = entries(&bytes).find(|entry| entry.id == id.0 && entry.until > now)?;
    if entry.kind == State::Running.kind() {
        return None;
    }
    let mut out = Vec::new();
    entry.write(&mut out);
    Some((out, entry.until))
}

/// What another replica wrote, and until when it counts.
pub fn read(bytes: &[u8]) -> Option<(State, u64)> {
    entries(bytes).next().map(|entry| (entry.state(), entry.until))
}

/// True for the one that is to do it, until then at the latest.
pub fn claim(host: &dyn Host, id: Id, now: u64, until: u64) -> bool {
    write(host, id, &State::Running, now, until, true)
}

/// Says what became of it, until then.
pub fn settle(host: &dyn Host, id: Id, state: &State, now: u64, until: u64) {
    write(host, id, state, now, until, false);
}

/// The token must not be sent again before its session would have ended.
pub fn spend(host: &dyn Host, token: &Secret, until: u64) {
    SPENT.insert(host, &id_of(token.expose()), until, host.now());
}

/// True where the token must not be sent again.
pub fn is_spent(host: &dyn Host, token: &Secret, now: u64) -> bool {
    SPENT.contains(host, &id_of(token.expose()), now)
}

fn write(host: &dyn Host, id: Id, state: &State, now: u64, until: u64, only_new: bool) -> bool {
    let key = id.key();
    for _ in 0..32 {
        let (bytes, cas) = host.shared_get(&key);
        let bytes = bytes.unwrap_or_default();
        let mut kept: Vec<Entry<'_>> = entries(&bytes).filter(|entry| entry.until > now).collect();
        if only_new && kept.iter().any(|entry| entry.id == id.0) {
            return false;
        }
        kept.retain(|entry| entry.id != id.0);
        // What keeps a token from being used twice is small and stays; of the rest what ends first goes.
        // Mutant `replace > with >=`: no newer state is as short as that, and no code as long.
        order::sort_by_key(&mut kept, |entry| (entry.content.len() > SMALL, std::cmp::Reverse(entry.until)));
        let mut written = Vec::new();
        let own = Entry { id: &id.0, until, kind: state.kind(), content: state.content() };
        for entry in std::iter::once(&own).chain(&kept) {
            if written.len() + HEAD + entry.content.len() <= BUCKET {
                entry.write(&mut written);
            }
        }
        if host.shared_set(&key, &written, cas) {
            return true;
        }
    }
    false
}

struct Entry<'a> {
    id: &'a [u8],
    until: u64,
    kind: u8,
    content: &'a [u8],
}

impl Entry<'_> {
    fn state(&self) -> State {
        let code = || {
            let text = std::str::from_utf8(self.content).unwrap_or_default();
            Code::ALL.into_iter().find(|code| code.as_str() == text)
        };
        match self.kind {
            1 => State::Running,
            2 => State::Failed(code(), self.until),
            3 => State::Refused(self.until),
            4 => State::Ended(code()),
            5 => State::Done(self.content.to_vec()),
            _ => State::Nothing,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id);
        out.extend_from_slice(&self.until.to_le_bytes());
        out.push(self.kind);
        out.extend_from_slice(&(self.content.len() as u32).to_le_bytes());
        out.extend_from_slice(self.content);
    }
}

fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (id, head) = head.split_at_checked(16)?;
        let (until, head) = head.split_at_checked(8)?;
        let (kind, length) = head.split_first()?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (content, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        Some(Entry { id, until: u64::from_le_bytes(until.try_into().ok()?), kind: *kind, content })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    fn id(n: u8) -> Id {
        Id([n; 16])
    }

    #[test]
    fn the_engine_knows_a_renewal_by_the_very_bytes() {
        assert_eq!(id(7).bytes(), &[7; 16]);
    }

    #[test]
    fn one_of_all_workers_claims_a_renewal_and_all_learn_what_became_of_it() {
        let host = TestHost::new();
        let other = host.worker();
        let later = START + 1000;
        assert_eq!(look(&*host, id(1), START), State::Nothing);
        assert!(claim(&*host, id(1), START, later));
        assert!(!claim(&*other, id(1), START, later));
        assert!(claim(&*other, id(2), START, later), "another session's");
        assert_eq!(look(&*other, id(1), START), State::Running);
        assert!(claim(&*other, id(1), later, later + 1), "whoever claimed it died");
        for state in [
            State::Done(b"sealed".to_vec()),
            State::Failed(Some(Code::IdpTimeout), later),
            State::Refused(later),
            State::Ended(Some(Code::UserInactive)),
        ] {
            settle(&*other, id(1), &state, START, later);
            assert_eq!(look(&*host, id(1), START), state);
            assert_eq!(look(&*host, id(1), later), State::Nothing);
            assert_eq!(look(&*host, id(2), START), State::Running);
        }
    }

    #[test]
    fn memory_is_bounded_and_what_ends_first_makes_room() {
        let host = TestHost::new();
        // All in one bucket.
        let id = |n: u16| Id([0, 0, 0, 0, n as u8, (n >> 8) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // Sixteen of them fill it to the last byte.
        let sealed = State::Done(vec![7; 4096 - HEAD]);
        assert!(claim(&*host, id(500), START, START + 10));
        settle(&*host, id(501), &State::Refused(0), START, START + 10);
        for n in 0..100u16 {
            settle(&*host, id(n), &sealed, START, START + 1000 + u64::from(n));
        }
        let (bytes, _) = host.shared_get(&id(0).key());
        assert!(bytes.unwrap().len() <= BUCKET);
        assert_eq!(look(&*host, id(99), START), sealed);
        assert_eq!(look(&*host, id(0), START), State::Nothing);
        assert_eq!(look(&*host, id(500), START), State::Running, "a claim is never pushed out");
        assert_eq!(look(&*host, id(501), START), State::Refused(START + 10));
        assert!((85..100).all(|n| look(&*host, id(n), START) == sealed));
    }

    #[test]
    fn other_replicas_get_what_is_known_of_this_renewal_while_it_counts() {
        let host = TestHost::new();
        let id = |n: u8| Id([0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let told = |n: u8, now: u64| written(&*host, id(n), now).and_then(|(bytes, _)| read(&bytes));
        let (one, two) = (State::Done(vec![1]), State::Done(vec![2]));
        settle(&*host, id(1), &one, START, START + 10);
        settle(&*host, id(2), &two, START, START + 20);
        assert!(claim(&*host, id(3), START, START + 30));
        assert_eq!(
            (told(1, START), told(2, START)),
            (Some((one, START + 10)), Some((two.clone(), START + 20)))
        );
        assert_eq!((told(3, START), told(4, START)), (None, None), "it runs; there is none");
        assert_eq!((told(1, START + 10), told(2, START + 19)), (None, Some((two, START + 20))));
    }

    #[test]
    fn a_spent_token_stays_spent_until_its_session_ends() {
        let host = TestHost::new();
        let token = Secret::new("rt".to_owned());
        assert!(!is_spent(&*host, &token, START));
        spend(&*host, &token, START + 5);
        assert!(is_spent(&*host.worker(), &token, START));
        assert!(!is_spent(&*host, &Secret::new("other".to_owned()), START));
        assert!(!is_spent(&*host, &token, START + 5));
    }
}
