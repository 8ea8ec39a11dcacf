//! Sessions that have ended before their cookies expire. A session lives in a cookie, and a copy of the
//! cookie may live anywhere: logout ends all of them, on every worker of this Envoy at once. Another
//! replica, and this one after a restart, learns of it at the next `recheck` at the latest, where the IdP
//! or the directory says so.

use crate::host::Host;
use crate::shared::{id_of, SharedSet, WhenFull};

/// 4096 times 64 logouts within one lifetime, 6 MB at the most. Beyond that the session that would have
/// expired first is forgotten: a flood of logouts needs as many sessions of the flooder's own.
const ENDED: SharedSet =
    SharedSet { name: "sso.ended", buckets: 4096, capacity: 64, when_full: WhenFull::Evict };

/// A session in the set; made once when it is opened, so that a request asks without allocating.
#[derive(Debug)]
pub struct Mark {
    id: [u8; 16],
    key: String,
}

impl Mark {
    /// The mark of a session id.
    pub fn of(session_id: &str) -> Self {
        let id = id_of(session_id);
        Self { key: ENDED.key(&id), id }
    }

    /// Ends it until it would have expired.
    pub fn end(&self, host: &dyn Host, until: u64) {
        ENDED.insert(host, &self.id, until, host.now());
    }

    /// True where it has ended.
    pub fn has_ended(&self, host: &dyn Host, now: u64) -> bool {
        ENDED.holds(host, &self.key, &self.id, now)
    }
}
