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

#[cfg(test)]
mod tests {
    use super::*;

    fn got(kept: &Assertions, authority: &str, now: u64) -> Option<String> {
        kept.get(authority.as_bytes(), now).map(|token| token.to_string())
    }

    #[test]
    fn one_is_kept_for_each_origin_until_it_is_no_longer_good() {
        let kept = Assertions::default();
        kept.keep(b"a.example", 100, "first".into(), 0);
        kept.keep(b"b.example", 200, "other".into(), 0);
        assert_eq!(got(&kept, "a.example", 99), Some("first".into()));
        assert_eq!(got(&kept, "a.example", 100), None);
        assert_eq!(got(&kept, "b.example", 100), Some("other".into()));
        assert_eq!(got(&kept, "c.example", 0), None);
        // A newer one takes the place of the older, however good that is.
        kept.keep(b"a.example", 50, "second".into(), 0);
        assert_eq!(got(&kept, "a.example", 49), Some("second".into()));
        assert_eq!(got(&kept, "a.example", 50), None);
    }

    #[test]
    fn the_four_newest_are_kept_and_none_that_is_too_old() {
        let kept = Assertions::default();
        for (n, authority) in [b"a", b"b", b"c", b"d", b"e"].into_iter().enumerate() {
            kept.keep(authority, 100 + n as u64, "token".into(), 0);
        }
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|own| got(&kept, own, 0).is_some()),
            [false, true, true, true, true]
        );
        // At 103 those until 101, 102 and 103 are over, the one until 104 is not.
        kept.keep(b"f", 200, "token".into(), 103);
        assert_eq!(kept.0.borrow().len(), 2);
        assert_eq!(["d", "e", "f"].map(|own| got(&kept, own, 103).is_some()), [false, true, true]);
    }
}
