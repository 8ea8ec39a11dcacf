//! Whose turn it is to fetch a document, over all workers of the process: one fetch for a flood, and what strangers
//! send spends nothing of what logins need.

use crate::fault::Code;
use crate::host::task::Io;

/// What strangers sent causes a fetch at most so often in the whole process, in milliseconds.
pub const STRANGERS: u64 = 60_000;
/// After a fetch that brought a provider's own answer nothing, the next such one comes so much later.
const VAIN: u64 = 5_000;
/// A fetch that has not ended so long after its timeout died with its worker.
const LEASE: u64 = 1_000;

/// Who sent what our copy lacks something for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The provider itself, in an answer to our own call, or a browser that answers a login under way.
    Provider,
    /// A stranger: a bearer token, a logout token, a message that no login asked for.
    Stranger,
}

/// One fetch that a request waits for.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// For whom.
    pub sender: Sender,
    /// A fetch that began earlier cannot know what is looked for.
    pub since: u64,
    /// Milliseconds between the ends of such fetches and the next.
    pub pause: u64,
}

/// What all workers know of the fetches of one document.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    /// Until then a worker is at it.
    lease: u64,
    /// When the last fetch ended that something missing had caused.
    ended: u64,
    /// When the last one ended that strangers had caused.
    strangers: u64,
    /// What the last one failed with, as its place in `Code::ALL` and one; 0: it did not.
    failed: u64,
    /// When the last two ended that brought a provider's own answer nothing, the later one first.
    vain: [u64; 2],
}

impl Record {
    fn read(bytes: &[u8]) -> Self {
        let mut numbers =
            bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        let mut next = || numbers.next().unwrap_or(0);
        Self { lease: next(), ended: next(), strangers: next(), failed: next(), vain: [next(), next()] }
    }

    fn write(self) -> Vec<u8> {
        let [last, before] = self.vain;
        [self.lease, self.ended, self.strangers, self.failed, last, before].map(u64::to_le_bytes).concat()
    }
}

fn record_key(document: &str) -> String {
    format!("{document}.fetch")
}

fn look(io: &Io, document: &str) -> (Record, Option<u32>) {
    let (bytes, cas) = io.host().shared_get(&record_key(document));
    (Record::read(&bytes.unwrap_or_default()), cas)
}

impl Turn {
    /// Because there is no document at all.
    pub fn first(sender: Sender) -> Self {
        Self { sender, since: 0, pause: 0 }
    }

    /// False while strangers have had their fetch, or while a provider signs with a key that it does not publish: two
    /// fetches a minute show it.
    pub fn is_allowed(self, io: &Io, document: &str) -> bool {
        let (record, _) = look(io, document);
        let is_over = |at: u64, pause: u64| at == 0 || io.now().saturating_sub(at) >= pause;
        match self.sender {
            Sender::Provider => is_over(record.vain[0], VAIN) && is_over(record.vain[1], STRANGERS),
            Sender::Stranger => is_over(record.strangers, STRANGERS),
        }
    }

    /// The fetch has not brought what the provider's own answer needs.
    pub fn was_vain(self, io: &Io, document: &str) {
        if self.sender == Sender::Provider {
            let (record, cas) = look(io, document);
            let vain = [io.now(), record.vain[0]];
            io.host().shared_set(&record_key(document), &Record { vain, ..record }.write(), cas);
        }
    }

    /// Waits until this worker may fetch: `true`; or until another one that was at it has ended: `false`.
    pub async fn claimed(self, io: &Io, document: &str, timeout: u64) -> bool {
        loop {
            let (record, cas) = look(io, document);
            let now = io.now();
            let rested = record.ended.saturating_add(self.pause);
            if record.lease > now {
                let (inner, key) = (io.clone(), document.to_owned());
                io.until(move || inner.now() >= record.lease || look(&inner, &key).0 != record).await;
                return false;
            }
            if self.pause > 0 && now < rested {
                let inner = io.clone();
                io.until(move || inner.now() >= rested).await;
                continue;
            }
            let lease = now.saturating_add(timeout).saturating_add(LEASE);
            let claim = Record { lease, ..record };
            if io.host().shared_set(&record_key(document), &claim.write(), cas) {
                return true;
            }
        }
    }

    /// The fetch has been answered, or has failed with this.
    pub fn done(self, io: &Io, document: &str, failed: Option<Code>) {
        let (record, _) = look(io, document);
        let now = io.now();
        let place = |code: Code| Code::ALL.iter().position(|own| *own == code).map_or(0, |at| at as u64 + 1);
        let record = Record {
            lease: 0,
            ended: if self.pause > 0 { now } else { record.ended },
            strangers: if self.sender == Sender::Stranger { now } else { record.strangers },
            failed: failed.map_or(0, place),
            vain: record.vain,
        };
        io.host().shared_set(&record_key(document), &record.write(), None);
    }

    /// What another worker's fetch failed with.
    pub fn failed(self, io: &Io, document: &str) -> Option<Code> {
        let (record, _) = look(io, document);
        let place = usize::try_from(record.failed).ok()?.checked_sub(1)?;
        Code::ALL.get(place).copied().filter(|_| record.lease == 0)
    }
}
