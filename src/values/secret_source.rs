//! Where a secret is kept: in the configuration, or in a file behind a URL that is read again and again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use url::Url;

use super::secret::Secret;

/// A secret that may change while the filter runs.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// One that stays as long as the configuration.
    Fixed(Secret),
    /// The content of a file.
    File(Rc<SecretFile>),
}

impl SecretSource {
    /// The secret; `None` until its file has been read.
    pub fn get(&self) -> Option<Secret> {
        match self {
            SecretSource::Fixed(secret) => Some(secret.clone()),
            SecretSource::File(file) => file.current(),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Rc<SecretFile>> {
        match self {
            SecretSource::Fixed(_) => None,
            SecretSource::File(file) => Some(file),
        }
    }
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        SecretSource::Fixed(secret)
    }
}

/// A file is read again after a minute.
const LIFETIME: u64 = 60_000;
/// After a read that failed, the next comes so much later.
const BACK_OFF: u64 = 2_000;

/// A file that holds a secret, and what was last read from it.
#[derive(Debug)]
pub struct SecretFile {
    /// Its URL.
    pub url: Url,
    current: RefCell<Option<Secret>>,
    next: Cell<u64>,
}

impl SecretFile {
    /// A file that has not been read yet.
    pub fn new(url: Url) -> Self {
        Self { url, current: RefCell::default(), next: Cell::new(0) }
    }

    /// What was last read.
    pub fn current(&self) -> Option<Secret> {
        self.current.borrow().clone()
    }

    /// True if the background should read it.
    pub fn due(&self, now: u64) -> bool {
        now >= self.next.get()
    }

    /// Takes the outcome of a read. The last good secret outlives failures.
    pub fn keep(&self, read: Option<Secret>, now: u64) {
        self.next.set(now.saturating_add(if read.is_some() { LIFETIME } else { BACK_OFF }));
        if let Some(secret) = read {
            *self.current.borrow_mut() = Some(secret);
        }
    }
}
