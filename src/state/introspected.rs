//! What providers said about opaque tokens, by the tokens' hash, and how often they may be asked.
//!
//! Any client can send random tokens. A worker asks once for a token whatever arrives beside it, remembers refusals, and
//! asks a provider only as often as its budget allows, which all workers of the process share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::host::Host;
use crate::proto::oidc::access_token::AccessToken;

/// A hash of account and token.
pub type TokenHash = [u8; 32];

/// The hash under which a token is known.
pub fn hash(account: &str, token: &str) -> TokenHash {
    Sha256::new().chain_update(account).chain_update([0]).chain_update(token).finalize().into()
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub enum Known {
    /// The background is asking.
    Asking,
    /// It counts: the id of its provider, and what the provider said.
    Active(String, Rc<AccessToken>),
    /// It does not count, or the provider could not say.
    Refused(Fault),
}

/// `active: false` is remembered so long, in milliseconds.
const REFUSED: u64 = 30_000;
/// A provider that cannot say is asked again after so long.
const FAILED: u64 = 2_000;
/// A good answer is for the requests that wait for it. What follows is remembered as a session.
const ACTIVE: u64 = 2_000;
/// More answers are not kept.
const PLACES: usize = 8_192;
/// So often answers that are over go, in milliseconds: a good one may be as large as all its claims.
const SWEEP: u64 = 1_000;

/// One worker's memory of opaque tokens.
#[derive(Debug, Default)]
pub struct Introspected {
    known: RefCell<HashMap<TokenHash, (Known, u64)>>,
    swept: Cell<u64>,
}

impl Introspected {
    /// What is known now.
    pub fn get(&self, token: &TokenHash, now: u64) -> Option<Known> {
        let known = self.known.borrow();
        known.get(token).filter(|(_, until)| now < *until).map(|(known, _)| known.clone())
    }

    /// Notes that the background asks, at most until then.
    pub fn begin(&self, token: TokenHash, now: u64, until: u64) {
        self.put(token, Known::Asking, now, until);
    }

    /// Notes the answer.
    pub fn end(&self, token: TokenHash, answer: Result<(String, AccessToken), Fault>, now: u64) {
        let (known, lifetime) = match answer {
            Ok((provider, token)) => (Known::Active(provider, Rc::new(token)), ACTIVE),
            Err(fault) if fault.status() >= 500 => (Known::Refused(fault), FAILED),
            Err(fault) => (Known::Refused(fault), REFUSED),
        };
        self.put(token, known, now, now.saturating_add(lifetime));
    }

    fn put(&self, token: TokenHash, known: Known, now: u64, until: u64) {
        let mut all = self.known.borrow_mut();
        if all.len() >= PLACES || now.saturating_sub(self.swept.get()) >= SWEEP {
            self.swept.set(now);
            all.retain(|_, (_, until)| now < *until);
        }
        if all.len() >= PLACES {
            all.retain(|_, (known, _)| matches!(known, Known::Asking));
        }
        all.insert(token, (known, until));
    }
}

/// Calls in flight to one provider, over all workers.
pub const IN_FLIGHT: usize = 64;
/// Calls to one provider in a second, over all workers.
const PER_SECOND: u64 = 100;
/// Attempts to write beside other workers.
const TRIES: usize = 8;

/// What a provider may still be asked: the second, the calls in it, and when each call in flight ends at the latest.
struct Budget(Vec<u64>);

impl Budget {
    fn read(bytes: Option<Vec<u8>>, now: u64) -> Self {
        let bytes = bytes.unwrap_or_default();
        let numbers =
            bytes.chunks_exact(8).filter_map(|chunk| Some(u64::from_le_bytes(chunk.try_into().ok()?)));
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.resize(numbers.len().max(2), 0);
        let mut flying = numbers.split_off(2);
        flying.retain(|until| now < *until);
        if numbers.first() != Some(&(now / 1000)) {
            numbers = vec![now / 1000, 0];
        }
        numbers.extend(flying);
        Self(numbers)
    }

    fn write(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// The right to make one call.
#[derive(Debug)]
pub struct Permit {
    key: String,
    until: u64,
}

impl Permit {
    /// `None` if the provider has been asked too often. A permit that is not given back ends by itself at `until`.
    pub fn take(host: &dyn Host, account: &str, provider: &str, until: u64) -> Option<Self> {
        let key = format!("sso.introspection.{account}.{provider}");
        for _ in 0..TRIES {
            let (bytes, cas) = host.shared_get(&key);
            let mut budget = Budget::read(bytes, host.now());
            let calls = budget.0.get_mut(1)?;
            if *calls >= PER_SECOND {
                return None;
            }
            *calls += 1;
            if budget.0.len() >= IN_FLIGHT + 2 {
                return None;
            }
            budget.0.push(until);
            if host.shared_set(&key, &budget.write(), cas) {
                return Some(Self { key, until });
            }
        }
        None
    }

    /// The call has ended.
    pub fn give_back(self, host: &dyn Host) {
        for _ in 0..TRIES {
            let (bytes, cas) = host.shared_get(&self.key);
            let mut budget = Budget::read(bytes, host.now());
            let Some(at) = budget.0.iter().skip(2).position(|until| *until == self.until) else { return };
            budget.0.remove(at + 2);
            if host.shared_set(&self.key, &budget.write(), cas) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestHost, START};

    #[test]
    fn all_workers_together_keep_within_the_budget() {
        let (host, later) = (TestHost::new(), START + 5_000);
        let other = host.worker();
        let take = |host: &TestHost| Permit::take(host, "acme", "corp", later);
        let mut held: Vec<Permit> = (0..32).flat_map(|_| [take(&host), take(&other)]).flatten().collect();
        assert_eq!(held.len(), 64);
        assert!(take(&host).is_none() && take(&other).is_none(), "64 in flight");
        assert!(Permit::take(&*host, "acme", "other", later).is_some(), "another provider has its own");
        assert!(Permit::take(&*host, "beta", "corp", later).is_some(), "another account has its own");
        held.pop().unwrap().give_back(&*other);
        held.push(take(&other).unwrap());
        assert!(take(&host).is_none());
        held.drain(..).for_each(|permit| permit.give_back(&*host));
        let quick = (0..200).filter_map(|_| take(&host)).map(|permit| permit.give_back(&*host)).count();
        assert_eq!(quick, 35, "100 in a second");
        host.advance(1_000);
        assert!(take(&host).is_some());
    }

    #[test]
    fn a_permit_of_a_worker_that_died_ends_by_itself() {
        let host = TestHost::new();
        let held: Vec<Permit> =
            (0..70).filter_map(|_| Permit::take(&*host, "acme", "corp", START + 5_000)).collect();
        assert_eq!(held.len(), 64);
        host.advance(4_999);
        assert!(Permit::take(&*host, "acme", "corp", START + 20_000).is_none());
        host.advance(1);
        assert!(Permit::take(&*host, "acme", "corp", START + 20_000).is_some());
    }

    #[test]
    fn refusals_are_remembered_for_a_while_and_never_too_many() {
        let known = Introspected::default();
        let fault = |code| Err(Fault::new(code, "x"));
        let (wrong, down) = (hash("acme", "wrong"), hash("acme", "down"));
        known.end(wrong, fault(crate::fault::Code::TokenInvalid), 0);
        known.end(down, fault(crate::fault::Code::IdpTimeout), 0);
        assert!(known.get(&down, 1_999).is_some() && known.get(&down, 2_000).is_none());
        assert!(known.get(&wrong, 29_999).is_some() && known.get(&wrong, 30_000).is_none());
        let asking = hash("acme", "asking");
        known.begin(asking, 0, 5_000);
        for n in 0..20_000 {
            known.end(hash("acme", &n.to_string()), fault(crate::fault::Code::TokenInvalid), 1);
            assert!(known.known.borrow().len() <= PLACES);
        }
        assert!(matches!(known.get(&asking, 1), Some(Known::Asking)));
        assert_ne!(hash("a", "b"), hash("ab", ""));
    }

    #[test]
    fn answers_that_are_over_take_no_memory() {
        let known = Introspected::default();
        for n in 0..100 {
            known.end(hash("acme", &n.to_string()), Err(Fault::new(crate::fault::Code::IdpTimeout, "x")), 10);
        }
        let asking = hash("acme", "asking");
        known.begin(asking, 1_500, 9_000);
        assert_eq!(known.known.borrow().len(), 101, "they count for two seconds");
        known.begin(asking, 2_500, 9_000);
        assert_eq!(known.known.borrow().len(), 1);
    }
}
