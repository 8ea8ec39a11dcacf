//! What may happen once over all replicas: an assertion, a logout token, a login in progress.

use super::client::Away;
use super::etcd;
use super::Replicas;
use crate::host::random;
use crate::host::task::Io;

impl Replicas {
    /// True for the first replica that uses this id, which is forgotten after a time in milliseconds since 1970. Ids
    /// are hashes of what cannot be guessed.
    pub async fn use_once(&self, io: &Io, id: &[u8; 16], until: u64) -> Result<bool, Away> {
        let owner = random::<16>(io.host()).map_err(Away::from)?;
        let key = self.keys.of('u', id);
        let lease = self.lease(io.now(), until.saturating_sub(io.now()));
        let put = etcd::put(key.clone(), owner.to_vec(), lease.id);
        let condition = etcd::is_absent(key.clone());
        let message = etcd::transaction(vec![condition], vec![put], vec![etcd::get(key)]);
        let done = self.transaction(io, &[lease], message).await?;
        // A second try of ours finds what the first one wrote.
        let mut values = done.pages.into_iter().flat_map(|page| page.values);
        Ok(done.succeeded || values.any(|value| value.value == owner))
    }
}
