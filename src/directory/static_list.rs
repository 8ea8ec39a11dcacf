//! The list of users in the configuration: one index, so that a lookup costs the same in a list of ten
//! and of a hundred thousand.

use std::collections::HashMap;

use super::Record;
use crate::config::{Attribute, Mapping, StaticUser};
use crate::identity::mapping;
use crate::values::names::careless as folded;

/// Positions in the list by what they are looked up by.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_value: HashMap<String, Vec<usize>>,
    by_username: HashMap<String, Vec<usize>>,
    by_link: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn new(mapping: &Mapping, users: &[StaticUser]) -> Self {
        let mut index = Self::default();
        for (at, user) in users.iter().enumerate() {
            index.by_username.entry(folded(&user.username)).or_default().push(at);
            if let Some(link) = user.external_id.as_ref().filter(|link| !link.is_empty()) {
                index.by_link.entry(link.clone()).or_default().push(at);
            }
            let value = match mapping.attribute {
                Attribute::Email => user.email.as_deref(),
                Attribute::Phone => user.phone.as_deref(),
                Attribute::Username => Some(user.username.as_str()).filter(|name| !name.is_empty()),
            };
            if let Some(value) = value.and_then(|value| mapping::normalise(mapping, value)) {
                index.by_value.entry(value).or_default().push(at);
            }
        }
        index
    }

    /// All users whom the mapped value leads to.
    pub(super) fn by_value(&self, users: &[StaticUser], value: &str) -> Vec<Record> {
        records(self.by_value.get(value), users)
    }

    /// All users who are linked to this issuer and subject.
    pub(super) fn by_link(&self, users: &[StaticUser], link: &str) -> Vec<Record> {
        records(self.by_link.get(link), users)
    }

    /// All users of that name, in any case.
    pub(super) fn by_username(&self, users: &[StaticUser], username: &str) -> Vec<Record> {
        records(self.by_username.get(&folded(username)), users)
    }
}

fn records(positions: Option<&Vec<usize>>, users: &[StaticUser]) -> Vec<Record> {
    positions.into_iter().flatten().filter_map(|at| users.get(*at)).map(Record::from).collect()
}
