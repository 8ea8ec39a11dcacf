//! One renewal over all replicas: who renews a session claims it in the engine first, and leaves there what became of it,
//! for the replicas that came second.

use super::client::Away;
use super::etcd;
use super::Replicas;
use crate::crypto::seal::Purpose;
use crate::host::random;
use crate::host::task::Io;

/// What the engine says about a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This replica does it.
    Ours(Held),
    /// Another replica does it, until this time at the latest; then it has died.
    Running(u64),
    /// It was done: what became of it, as the other replica wrote it.
    Settled(Vec<u8>),
    /// Its refresh token was used, and what came of it is not known any more.
    Spent,
}

/// A claim of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    key: Vec<u8>,
    token: Vec<u8>,
    revision: u64,
}

/// A claim, or what became of it.
struct Entry {
    owner: [u8; 16],
    until: u64,
    content: Vec<u8>,
}

impl Replicas {
    /// Claims the renewal of this id, which uses this token, until a time. Ids are hashes of what cannot be guessed.
    pub async fn claim(&self, io: &Io, id: &[u8; 16], token: &[u8; 16], until: u64) -> Result<Claim, Away> {
        let owner = random::<16>(io.host()).map_err(Away::from)?;
        let (key, token) = (self.keys.of('r', id), self.keys.of('t', token));
        let mut conditions = vec![etcd::is_absent(key.clone()), etcd::is_absent(token.clone())];
        loop {
            let lease = self.lease(io.now(), until.saturating_sub(io.now()));
            let entry = Entry { owner, until, content: Vec::new() };
            let put = etcd::put(key.clone(), self.seal_entry(io, &key, &entry)?, lease.id);
            let otherwise = vec![etcd::get(key.clone()), etcd::get(token.clone())];
            let message = etcd::transaction(conditions, vec![put], otherwise);
            let done = self.transaction(io, &[lease], message).await?;
            if done.succeeded {
                return Ok(Claim::Ours(Held { key, token, revision: done.revision }));
            }
            let mut values = done.pages.into_iter().flat_map(|page| page.values);
            let Some(value) = values.find(|value| value.key == key) else { return Ok(Claim::Spent) };
            let Some(theirs) = self.open_entry(&key, &value.value) else { return Ok(Claim::Spent) };
            if theirs.owner == owner {
                // A second try of ours: the first one had been done.
                return Ok(Claim::Ours(Held { key, token, revision: value.revision }));
            }
            if theirs.until > io.now() {
                return Ok(match theirs.content.is_empty() {
                    true => Claim::Running(theirs.until),
                    false => Claim::Settled(theirs.content),
                });
            }
            // Who claimed it has died, or failed and may be followed by another try.
            conditions = vec![etcd::is_at(key.clone(), value.revision), etcd::is_absent(token.clone())];
        }
    }

    /// What became of a renewal that another replica does: empty while it runs, `None` where the engine has lost it.
    pub async fn claimed(&self, io: &Io, id: &[u8; 16]) -> Result<Option<Vec<u8>>, Away> {
        let key = self.keys.of('r', id);
        let page = self.page(io, &key, &[], 1).await?;
        let entry = page.values.first().and_then(|value| self.open_entry(&key, &value.value));
        Ok(entry.map(|entry| entry.content))
    }

    /// Leaves what became of a claim of ours for so many milliseconds. `spent`: its token was used up, which is
    /// remembered until then.
    pub async fn settle(
        &self,
        io: &Io,
        held: &Held,
        content: &[u8],
        keep: u64,
        spent: Option<u64>,
    ) -> Result<(), Away> {
        let now = io.now();
        let entry = Entry { owner: [0; 16], until: now.saturating_add(keep), content: content.to_vec() };
        let lease = self.lease(now, keep);
        let mut leases = vec![lease];
        let mut puts = vec![etcd::put(held.key.clone(), self.seal_entry(io, &held.key, &entry)?, lease.id)];
        if let Some(until) = spent {
            let lease = self.lease(now, until.saturating_sub(now).min(self.lifetime));
            leases.push(lease);
            puts.push(etcd::put(held.token.clone(), Vec::new(), lease.id));
        }
        let condition = etcd::is_at(held.key.clone(), held.revision);
        let message = etcd::transaction(vec![condition], puts, Vec::new());
        self.transaction(io, &leases, message).await.map(|_| ())
    }

    fn seal_entry(&self, io: &Io, key: &[u8], entry: &Entry) -> Result<Vec<u8>, Away> {
        let mut plain = entry.owner.to_vec();
        plain.extend(entry.until.to_le_bytes());
        plain.extend(&entry.content);
        self.ring.seal_bytes(io.host(), Purpose::Shared, key, &plain).map_err(Away::from)
    }

    fn open_entry(&self, key: &[u8], value: &[u8]) -> Option<Entry> {
        let plain = self.ring.open_bytes(Purpose::Shared, key, value)?;
        let (owner, rest) = plain.split_first_chunk::<16>()?;
        let (until, content) = rest.split_first_chunk::<8>()?;
        Some(Entry { owner: *owner, until: u64::from_le_bytes(*until), content: content.to_vec() })
    }
}
