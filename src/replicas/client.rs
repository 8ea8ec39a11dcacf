//! Calls to the engine from a flow: one try, and one more where nothing answered at all.

use super::etcd::{self, status, Done, Method, Page};
use super::Replicas;
use crate::fault::{Code, Fault};
use crate::host::shared_set::id_of;
use crate::host::task::{Failure, Io, Reply};

/// The engine did not do it, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// The gRPC status.
    pub status: u32,
    /// For the log.
    pub detail: String,
}

impl Away {
    fn new(status: u32, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<Fault> for Away {
    fn from(fault: Fault) -> Self {
        Self::new(status::FAILED_PRECONDITION, fault.detail)
    }
}

impl From<Away> for Fault {
    fn from(away: Away) -> Self {
        Fault::new(Code::NotReady, format!("the shared engine: {}", away.detail))
    }
}

/// A lease that all replicas know by its id, so that none has to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: i64,
    /// How long it lasts.
    seconds: u64,
}

const MINUTE: u64 = 60_000;
/// What a lease may last longer than what it is granted for, at most: it is rounded up, and a minute more.
pub(super) const LEASE_MORE: u64 = 2 * MINUTE;

impl Replicas {
    /// The lease of everything that is written within this minute for at least so many milliseconds.
    pub(super) fn lease(&self, now: u64, milliseconds: u64) -> Lease {
        let seconds = milliseconds.div_ceil(1_000).div_ceil(60) * 60 + 60;
        let id = id_of(&format!("{} {seconds} {}", self.settings.prefix, now / MINUTE));
        let id = id.iter().take(8).fold(0i64, |id, byte| (id << 8) | i64::from(*byte)) & i64::MAX;
        Lease { id: id.max(1), seconds }
    }

    /// Makes a transaction; leases that the engine does not have yet are granted first.
    pub(super) async fn transaction(
        &self,
        io: &Io,
        leases: &[Lease],
        message: Vec<u8>,
    ) -> Result<Done, Away> {
        let until = io.now().saturating_add(self.settings.timeout);
        let mut granted = false;
        loop {
            match self.ask(io, Method::Transaction, message.clone(), until).await {
                Ok(bytes) => {
                    let unread = || Away::new(0, "an answer that cannot be read");
                    return etcd::read_transaction(&bytes).ok_or_else(unread);
                }
                Err(away) if away.status == status::NOT_FOUND && !granted => {
                    granted = true;
                    for lease in leases {
                        let message = etcd::grant(lease.id, lease.seconds);
                        match self.ask(io, Method::Grant, message, until).await {
                            Ok(_) => {}
                            // Another replica did.
                            Err(away) if away.status == status::FAILED_PRECONDITION => {}
                            Err(away) => return Err(away),
                        }
                    }
                }
                Err(away) => return Err(away),
            }
        }
    }

    /// Reads a page of keys from `key` to before `end`.
    pub(super) async fn page(&self, io: &Io, key: &[u8], end: &[u8], limit: i64) -> Result<Page, Away> {
        let until = io.now().saturating_add(self.settings.timeout);
        let bytes = self.ask(io, Method::Range, etcd::page(key, end, limit, 0, 0), until).await?;
        etcd::read_page(&bytes).ok_or_else(|| Away::new(0, "an answer that cannot be read"))
    }

    /// The engine's revision, read with the agreement of its members.
    pub async fn reach(&self, io: &Io) -> Result<u64, Away> {
        Ok(self.page(io, &self.keys.head(), &[], 1).await?.revision)
    }

    async fn ask(&self, io: &Io, method: Method, message: Vec<u8>, until: u64) -> Result<Vec<u8>, Away> {
        let mut tried = false;
        loop {
            let left = until.saturating_sub(io.now());
            if left == 0 {
                return Err(Away::new(status::DEADLINE_EXCEEDED, "no answer in time"));
            }
            let call = etcd::call(&self.settings.cluster, method, message.clone(), left);
            let failure = match io.call_engine(call).await {
                Reply::Answer(answer) => return Ok(answer.body),
                Reply::Failed(failure) => failure,
            };
            // Envoy's round robin may have hit a member that is down. Every write here may come twice.
            if failure == Failure::Grpc(status::UNAVAILABLE) && !tried {
                tried = true;
                continue;
            }
            let status = match failure {
                Failure::Grpc(status) => status,
                Failure::Timeout => status::DEADLINE_EXCEEDED,
                Failure::TooLarge => 0,
                _ => status::UNAVAILABLE,
            };
            return Err(Away::new(status, failure.to_string()));
        }
    }
}
