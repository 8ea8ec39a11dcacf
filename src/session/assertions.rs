//! The signed identities that a worker keeps beside a session: one for each origin, for as long as it is good.

use std::cell::RefCell;
use std::rc::Rc;

/// How many origins one session's assertions are kept for: `iss` is the origin that was asked.
const ORIGINS: usize = 4;

/// What a worker keeps for one session.
#[derive(Debug, Default)]
pub struct Assertions(RefCell<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    /// As the request had it: any spelling of a host.
    authority: Box<[u8]>,
    until: u64,
    token: Rc<str>,
}

impl Assertions {
    /// The one that is good now for this authority.
    #[inline]
    pub fn get(&self, authority: &[u8], now: u64) -> Option<Rc<str>> {
        let kept = self.0.borrow();
        let found = kept.iter().find(|kept| now < kept.until && *kept.authority == *authority)?;
        Some(found.token.clone())
    }

    /// Keeps one until then.
    pub fn keep(&self, authority: &[u8], until: u64, token: Rc<str>, now: u64) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|kept| now < kept.until && *kept.authority != *authority);
        kept.truncate(ORIGINS - 1);
        kept.insert(0, Kept { authority: authority.into(), until, token });
    }
}
