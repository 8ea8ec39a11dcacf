//! What one configuration remembers of its directories: an index of each static list, and what a SCIM
//! server answered a moment ago.
//!
//! Only rechecks read remembered answers. A login and a ruling on a password always ask, because a user
//! who was deactivated a second ago must not get in by an old answer; a recheck's answer may be as old as
//! `scim.cache`, which is how long a session's end may be late. Failures are never remembered.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::static_list::Index;
use super::Record;
use crate::config::{Account, Attribute, Directory, Mapping, StaticUser};
use crate::identity::Issuers;

/// The most answers that are kept.
const MAX_ANSWERS: usize = 4_096;

/// Account and username.
type Asked = (String, String);

/// One per account and configuration: make a new one whenever a configuration is loaded, so that nothing of the old
/// lists stays.
#[derive(Debug, Default)]
pub struct Cache {
    indexes: RefCell<HashMap<String, Rc<Index>>>,
    answers: RefCell<HashMap<Asked, (u64, Vec<Record>)>>,
    plain_filters: RefCell<HashSet<String>>,
    /// Accounts whose server cannot filter by `externalId`.
    without_links: RefCell<HashSet<String>>,
    issuers: Rc<Issuers>,
}

impl Cache {
    /// An empty one, for an account without providers.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one, for an account with providers of these issuers.
    pub fn with_issuers(issuers: Rc<Issuers>) -> Self {
        Self { issuers, ..Self::default() }
    }

    /// The issuers of the account's providers.
    pub(super) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Builds what lookups in an account's list need. A list of 100,000 users takes a fifth of a second, which belongs to the
    /// load and not to the first login.
    pub fn prepare(&self, account: &Account) {
        let Directory::Static(users) = &account.directory else { return };
        self.index(account, users);
        // A username is looked up in any of them.
        let by = account.password.logins.iter().map(|login| login.attribute);
        for attribute in by.filter(|attribute| *attribute != Attribute::Username) {
            self.index_by(account, users, attribute);
        }
    }

    /// The keys of the indexes that are built.
    #[cfg(test)]
    pub(super) fn indexes_built(&self) -> Vec<String> {
        let mut built: Vec<String> = self.indexes.borrow().keys().cloned().collect();
        built.sort();
        built
    }

    /// The index of an account's list, built once.
    pub(super) fn index(&self, account: &Account, users: &[StaticUser]) -> Rc<Index> {
        if let Some(index) = self.indexes.borrow().get(&account.code) {
            return index.clone();
        }
        let index = Rc::new(Index::new(&account.mapping, users));
        self.indexes.borrow_mut().insert(account.code.clone(), index.clone());
        index
    }

    /// The index of an account's list by another field than the mapping's, built when it is first needed.
    pub(super) fn index_by(&self, account: &Account, users: &[StaticUser], by: Attribute) -> Rc<Index> {
        if by == account.mapping.attribute {
            return self.index(account, users);
        }
        let key = format!("{}\0{}", account.code, by.as_str());
        if let Some(index) = self.indexes.borrow().get(&key) {
            return index.clone();
        }
        let mapping = Mapping { attribute: by, ..account.mapping.clone() };
        let index = Rc::new(Index::new(&mapping, users));
        self.indexes.borrow_mut().insert(key, index.clone());
        index
    }

    /// What was answered about a username less than `max_age` milliseconds ago.
    pub(super) fn answer(
        &self,
        account: &Account,
        username: &str,
        now: u64,
        max_age: u64,
    ) -> Option<Vec<Record>> {
        let answers = self.answers.borrow();
        let (at, records) = answers.get(&(account.code.clone(), username.to_owned()))?;
        // A clock that went backwards makes an answer old, not young.
        (now.checked_sub(*at)? < max_age).then(|| records.clone())
    }

    /// Remembers what was found for a username.
    pub(super) fn remember(
        &self,
        account: &Account,
        username: &str,
        now: u64,
        max_age: u64,
        records: &[Record],
    ) {
        if max_age == 0 {
            return;
        }
        let mut answers = self.answers.borrow_mut();
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, (at, _)| now.saturating_sub(*at) < max_age);
        }
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert((account.code.clone(), username.to_owned()), (now, records.to_vec()));
    }

    /// Forgets a username: something was written, or a login saw something newer.
    pub(super) fn forget(&self, account: &Account, username: &str) {
        self.answers.borrow_mut().remove(&(account.code.clone(), username.to_owned()));
    }

    /// True if this account's server cannot filter by `externalId`.
    pub(super) fn cannot_filter_links(&self, account: &Account) -> bool {
        self.without_links.borrow().contains(&account.code)
    }

    /// Notes that.
    pub(super) fn ask_no_links(&self, account: &Account) {
        self.without_links.borrow_mut().insert(account.code.clone());
    }

    /// True where this account's server refused a filter with `ew`.
    pub(super) fn wants_plain_filters(&self, account: &Account) -> bool {
        self.plain_filters.borrow().contains(&account.code)
    }

    /// Notes that.
    pub(super) fn use_plain_filters(&self, account: &Account) {
        self.plain_filters.borrow_mut().insert(account.code.clone());
    }
}
