//! When a session is checked again, and a check under way that its requests wait for.

use std::cell::{Cell, RefCell};

use crate::fault::Fault;

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
