//! Attempts at passwords, counted over all replicas: every attempt under way or failed is a key under its name's.

use super::client::Away;
use super::etcd;
use super::keys::hex;
use super::Replicas;
use crate::host::random;
use crate::host::task::Io;

/// An attempt that the engine counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    all: Vec<u8>,
    own: Vec<u8>,
}

impl Replicas {
    /// Counts an attempt at a name and says how many there are within the window, this one included. Writing and
    /// counting are one transaction: of many at once each gets another number.
    pub async fn count_attempt(&self, io: &Io, name: &[&[u8]], window: u64) -> Result<(Counted, u64), Away> {
        let id = random::<16>(io.host()).map_err(Away::from)?;
        let mut all = self.keys.of('a', &self.ring.name(name));
        all.push(b'/');
        let own = [all.clone(), hex(&id).into_bytes()].concat();
        let lease = self.lease(io.now(), window);
        let operations = vec![etcd::put(own.clone(), Vec::new(), lease.id), etcd::count(all.clone())];
        let message = etcd::transaction(Vec::new(), operations, Vec::new());
        let done = self.transaction(io, &[lease], message).await?;
        let count = done.pages.iter().map(|page| page.count).max().unwrap_or(u64::MAX);
        Ok((Counted { all, own }, count))
    }

    /// The password was right: the name starts anew.
    pub async fn forget_attempts(&self, io: &Io, counted: &Counted) -> Result<(), Away> {
        let message = etcd::transaction(Vec::new(), vec![etcd::delete_all(counted.all.clone())], Vec::new());
        self.transaction(io, &[], message).await.map(|_| ())
    }

    /// It was no guess.
    pub async fn withdraw_attempt(&self, io: &Io, counted: &Counted) -> Result<(), Away> {
        let message = etcd::transaction(Vec::new(), vec![etcd::delete(counted.own.clone())], Vec::new());
        self.transaction(io, &[], message).await.map(|_| ())
    }
}
