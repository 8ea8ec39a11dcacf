//! Who has signed in, as it stands in the engine: a mark for each user, without an end. Nothing follows it; reports read it.

use super::client::Away;
use super::etcd;
use super::marks::{Kind, Mark};
use super::Replicas;
use crate::host::task::Io;

/// Marks of one page. More at once would hold up a worker.
const PAGE: i64 = 500;

impl Replicas {
    /// What the engine has of those among the marks that are sign-ins.
    pub(super) async fn known_sightings(&self, io: &Io, marks: &[Mark]) -> Result<Vec<Mark>, Away> {
        let sightings = marks.iter().filter(|mark| mark.kind == Kind::Seen);
        let gets: Vec<_> = sightings.map(|mark| etcd::get(mark.key(&self.keys, &self.ring))).collect();
        if gets.is_empty() {
            return Ok(Vec::new());
        }
        let message = etcd::transaction(Vec::new(), gets, Vec::new());
        let pages = self.transaction(io, &[], message).await?.pages;
        let values = pages.iter().flat_map(|page| &page.values);
        Ok(values.filter_map(|value| Mark::open(&self.ring, &value.key, &value.value)).collect())
    }

    /// Reads all of them.
    pub async fn each_sighting(&self, io: &Io, take: &mut dyn FnMut(Mark)) -> Result<(), Away> {
        let mut from = self.keys.all('s');
        let end = etcd::after(&from);
        loop {
            let page = self.page(io, &from, &end, PAGE).await?;
            for value in &page.values {
                if let Some(mark) = Mark::open(&self.ring, &value.key, &value.value) {
                    take(mark);
                }
            }
            match page.values.last() {
                Some(last) if page.more => from = [&last.key, &[0][..]].concat(),
                _ => return Ok(()),
            }
        }
    }
}
