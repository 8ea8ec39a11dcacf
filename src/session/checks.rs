//! When a session is checked again with directory and provider, and a check under way that its requests wait for.
//!
//! How often is `session.recheck`; src/flows/recheck asks.

use std::cell::{Cell, RefCell};

use super::{Session, SessionSettings};
use crate::config::{Account, Directory};
use crate::fault::Fault;

/// One session is renewed at the IdP no more often than this, in milliseconds.
const LEAST: u64 = 1_000;
/// An access token is renewed so long before it expires, or for the last quarter of a shorter life.
const EARLY: u64 = 30_000;

impl Session {
    /// When the IdP is to be asked again: after `recheck`, and before the access token for the application
    /// expires, so that no request finds it expired.
    pub fn renewal_due(&self, settings: &SessionSettings, account: &Account) -> u64 {
        let aged = self.renewed().saturating_add(settings.recheck);
        let forwarded = account.forward.access_token.is_some() && self.tokens.access_token.is_some();
        let Some(expires) = self.tokens.access_expires.filter(|_| forwarded) else { return aged };
        let lifetime = expires.saturating_sub(self.renewed());
        aged.min(expires.saturating_sub((lifetime / 4).min(EARLY)))
    }

    /// When the directory is to be asked again.
    pub fn directory_due(&self, settings: &SessionSettings) -> u64 {
        self.checked.saturating_add(settings.recheck)
    }

    /// When its next request asks the directory. With `recheck: 0s` every request does; that of a session with a
    /// refresh token is ruled on anew afterwards, and would ask again for ever.
    pub fn directory_check(&self, settings: &SessionSettings, account: &Account) -> u64 {
        let due = self.directory_due(settings);
        match (self.is_renewable(), &account.directory) {
            (false, _) => due,
            (true, Directory::None) => u64::MAX,
            (true, _) => due.max(self.checked.saturating_add(LEAST)),
        }
    }

    /// When its next request asks the IdP. With `recheck: 0s`, or tokens that live for no time, a renewal would be due
    /// again before the request that waits for it has gone on.
    pub fn provider_check(&self, settings: &SessionSettings, account: &Account) -> u64 {
        match self.is_renewable() {
            true => self.renewal_due(settings, account).max(self.renewed().saturating_add(LEAST)),
            false => u64::MAX,
        }
    }

    /// Until when it goes on while directory or IdP cannot be asked.
    pub fn graced_until(&self, settings: &SessionSettings, account: &Account) -> u64 {
        let exchange = match (self.is_renewable(), &account.directory) {
            (true, Directory::None) => self.renewed(),
            (true, _) => self.renewed().min(self.checked),
            (false, _) => self.checked,
        };
        exchange.saturating_add(settings.recheck).saturating_add(settings.recheck_grace)
    }
}

/// When a session is checked again.
#[derive(Debug)]
pub struct Checks {
    next: Cell<u64>,
    directory: Cell<u64>,
    provider: Cell<u64>,
}

impl Checks {
    /// At these times; `u64::MAX` is never.
    pub fn at(directory: u64, provider: u64) -> Self {
        Self {
            next: Cell::new(directory.min(provider)),
            directory: Cell::new(directory),
            provider: Cell::new(provider),
        }
    }

    /// When the first of them is due: the one time that every request looks at.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next.get()
    }

    /// When the directory is asked.
    pub fn directory(&self) -> u64 {
        self.directory.get()
    }

    /// Asks the directory no earlier than then.
    pub fn put_off_directory(&self, until: u64) {
        self.directory.set(until);
        self.next.set(until.min(self.provider.get()));
    }

    /// Asks the provider no earlier than then.
    pub fn put_off_provider(&self, until: u64) {
        self.provider.set(until);
        self.next.set(until.min(self.directory.get()));
    }
}

/// A check under way. Requests come and go; the background gives the verdict, to all who wait then.
#[derive(Debug)]
pub struct Asking<T>(RefCell<Option<Result<T, Fault>>>);

impl<T> Default for Asking<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone> Asking<T> {
    /// Says what came of it; the first word stands.
    pub fn answer(&self, verdict: Result<T, Fault>) {
        self.0.borrow_mut().get_or_insert(verdict);
    }

    /// What came of it, if it is known.
    pub fn verdict(&self) -> Option<Result<T, Fault>> {
        self.0.borrow().clone()
    }

    /// True once it is known.
    pub fn is_done(&self) -> bool {
        self.0.borrow().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn the_first_check_that_is_due_comes_next() {
        let checks = Checks::at(10, 20);
        assert_eq!((checks.next(), checks.directory()), (10, 10));
        checks.put_off_directory(30);
        assert_eq!((checks.next(), checks.directory()), (20, 30));
        checks.put_off_provider(40);
        assert_eq!((checks.next(), checks.directory()), (30, 30));
        checks.put_off_directory(50);
        assert_eq!((checks.next(), checks.directory()), (40, 50));
        assert_eq!(Checks::at(u64::MAX, 7).next(), 7);
    }

    #[test]
    fn the_first_verdict_stands_for_all_who_wait() {
        let asking = Asking::<u8>::default();
        assert!(!asking.is_done() && asking.verdict().is_none());
        asking.answer(Ok(1));
        asking.answer(Err(Fault::new(Code::NotReady, "late")));
        assert!(asking.is_done());
        assert_eq!(asking.verdict().and_then(Result::ok), Some(1));
    }
}
