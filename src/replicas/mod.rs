//! Several Envoys that behave as one, by way of an engine (etcd) that holds what must be known everywhere.
//!
//! ```text
//!  a request reads            local shared data          what ended, documents, how far in step
//!                                   ▲
//!  follow (one worker)  ── Watch, Range, head ── etcd ── Txn ──  outbox, claims, counts (flows)
//! ```
//!
//! - [`follow`] is what one elected worker does: a state machine without I/O.
//! - [`outbox`] holds what the engine does not have yet.
//! - [`claims`] let one replica renew a session; [`once`] is what may happen once; [`attempts`] counts over all.
//! - [`sightings`] say who has signed in anywhere, for reports.
//! - [`documents`] are sealed values that all replicas know: settings, invitations.
//! - [`etcd`] and [`messages`] make and read etcd's messages; [`client`] calls it from a flow.
//!
//! No request with a session waits for the engine or asks it: the local shared data stay the only thing it reads.

pub mod attempts;
pub mod claims;
pub mod client;
pub mod documents;
pub mod etcd;
pub mod follow;
pub mod keys;
pub mod marks;
#[allow(missing_docs)]
pub mod messages;
pub mod once;
pub mod outbox;
pub mod sightings;
pub mod status;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use crate::config::{Config, OnOutage, Shared};
use crate::crypto::seal::KeyRing;
use crate::host::shared_set::id_of;
use crate::host::task::Io;
use crate::host::{random, Host};
use client::Away;
use etcd::Value;
use keys::{hex, Keys};
use marks::{Kind, Mark};
use status::{Seen, Status};

/// The engine as one worker knows it.
#[derive(Debug)]
pub struct Replicas {
    /// How it is reached, and what holds while it is away.
    pub settings: Shared,
    /// The names of what stands in it.
    pub keys: Keys,
    /// Seals what stands in it.
    ring: Rc<KeyRing>,
    /// How long marks have to be known, in milliseconds.
    lifetime: u64,
    /// Tells engines and prefixes apart in the data that all workers share.
    tag: String,
    seen: Seen,
    /// When this worker began.
    since: u64,
    /// Marks that this worker is sending.
    under_way: RefCell<HashSet<Mark>>,
    turn: Cell<usize>,
    busy: Cell<bool>,
    gave_up: Cell<bool>,
    resealed: Cell<bool>,
    /// Since when attempts at passwords were not answered; 0: the last one was.
    unanswered_since: Cell<u64>,
    deletions: attempts::Deletions,
}

impl Replicas {
    /// The engine of a configuration, where it has one.
    pub fn new(config: &Config, now: u64) -> Option<Rc<Self>> {
        let settings = config.shared.clone()?;
        let tag = id_of(&format!("{}\0{}", settings.cluster, settings.prefix));
        Some(Rc::new(Self {
            keys: Keys::new(&settings.prefix),
            ring: config.session.keys.clone(),
            lifetime: config.session.lifetime,
            tag: hex(tag.first_chunk::<6>().map_or(&[][..], |part| part)),
            seen: Seen::default(),
            since: now,
            under_way: RefCell::default(),
            turn: Cell::new(0),
            busy: Cell::new(false),
            gave_up: Cell::new(false),
            resealed: Cell::new(false),
            unanswered_since: Cell::new(0),
            deletions: attempts::Deletions::default(),
            settings,
        }))
    }

    /// Tells engines and prefixes apart in the data that all workers share.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// How far this Envoy is in step.
    pub fn status(&self, host: &dyn Host) -> Status {
        Status::read(host, &self.tag)
    }

    /// True where this Envoy knows what the others know: as of at most `stale` ago, and `settle` after an outage.
    #[inline]
    pub fn is_in_step(&self, host: &dyn Host, now: u64) -> bool {
        self.seen.is_in_step(host, &self.tag, now, self.settings.stale)
    }

    /// True where sessions, logins and tokens have to be refused: `on_outage: closed`, and not in step.
    #[inline]
    pub fn is_closed(&self, host: &dyn Host, now: u64) -> bool {
        self.settings.on_outage == OnOutage::Closed && !self.is_in_step(host, now)
    }

    /// True where an end counts only once the other Envoys know it.
    pub fn must_be_told(&self) -> bool {
        self.settings.on_outage == OnOutage::Closed
    }

    /// True where a request with a session has to wait: nothing was read yet since this Envoy started, and `timeout` is
    /// not over.
    #[inline]
    pub fn is_starting(&self, host: &dyn Host, now: u64) -> bool {
        if self.gave_up.get() || self.seen.has_read(host, &self.tag) {
            return false;
        }
        let is_over = now >= self.since.saturating_add(self.settings.timeout);
        !(is_over && self.status(host).failed != 0)
    }

    /// A request has waited for its `timeout`: no other waits for the first read.
    pub fn give_up_waiting(&self) {
        self.gave_up.set(true);
    }

    /// The milliseconds since this Envoy was last proven to be in step; since the start where it never was.
    pub fn lag(&self, host: &dyn Host, now: u64) -> u64 {
        match self.status(host).proof {
            0 => now.saturating_sub(self.since),
            proof => now.saturating_sub(proof),
        }
    }

    /// True while the background delivers or restores.
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// True once after each start and new configuration, when everything was read: documents are to be sealed anew.
    pub fn is_to_reseal(&self, host: &dyn Host) -> bool {
        !self.resealed.get() && self.status(host).first_read != 0 && !self.resealed.replace(true)
    }

    /// It could not be done: it is due again.
    pub fn reseal_again(&self) {
        self.resealed.set(false);
    }

    /// The background delivers or restores, until this is dropped.
    pub fn busy(self: Rc<Self>) -> Busy {
        self.busy.set(true);
        Busy(self)
    }

    /// Takes in values that the engine has: documents are kept here, marks are handed back.
    pub fn apply(&self, host: &dyn Host, values: Vec<Value>) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut documents = Vec::new();
        for value in values {
            match self.keys.is_mark(&value.key) {
                true => marks.extend(Mark::open(&self.ring, &value.key, &value.value)),
                false => documents.push(value),
            }
        }
        if !documents.is_empty() {
            self.keep_documents(host, documents);
        }
        marks
    }

    /// Sends what the outbox holds, but for what this worker is sending already. Waits for the engine at most
    /// `timeout` for each batch.
    pub async fn deliver(&self, io: &Io) -> Result<(), Away> {
        let begin = self.turn.get();
        let random = random::<2>(io.host()).map_or(0, |bytes| usize::from(u16::from_le_bytes(bytes)));
        self.turn.set(begin.wrapping_add(1));
        let mut marks = outbox::all(io.host(), begin.wrapping_add(random));
        marks.retain(|mark| !self.under_way.borrow().contains(mark));
        for batch in marks.chunks(etcd::BATCH) {
            let _sending = Sending::begin(&self.under_way, batch);
            self.put_marks(io, batch).await?;
            batch.iter().for_each(|mark| outbox::sent(io.host(), mark));
        }
        Ok(())
    }

    /// Writes marks, and with those that are followed the head, in one transaction. A sign-in that is not later than the one
    /// the engine has is left out: it was held up on its way.
    pub async fn put_marks(&self, io: &Io, marks: &[Mark]) -> Result<(), Away> {
        let lease = self.lease(io.now(), self.lifetime);
        let known = self.known_sightings(io, marks).await?;
        let mut operations = Vec::new();
        if marks.iter().any(|mark| mark.kind != Kind::Seen) {
            operations.push(etcd::put(self.keys.head(), Vec::new(), 0));
        }
        for mark in marks {
            if known.iter().any(|known| known.id == mark.id && known.time >= mark.time) {
                continue;
            }
            let lease = if mark.kind == Kind::Seen { 0 } else { lease.id };
            let key = mark.key(&self.keys, &self.ring);
            let sealed = mark.seal(io.host(), &self.ring, &key).map_err(Away::from)?;
            operations.push(etcd::put(key, sealed, lease));
        }
        if operations.is_empty() {
            return Ok(());
        }
        let message = etcd::transaction(Vec::new(), operations, Vec::new());
        self.transaction(io, &[lease], message).await.map(|_| ())
    }
}

/// The background works for the engine while this lives.
pub struct Busy(Rc<Replicas>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}

/// Marks that are being sent; no longer once this is dropped, whatever came of it.
struct Sending<'a> {
    all: &'a RefCell<HashSet<Mark>>,
    own: Vec<Mark>,
}

impl<'a> Sending<'a> {
    fn begin(all: &'a RefCell<HashSet<Mark>>, own: &[Mark]) -> Self {
        all.borrow_mut().extend(own);
        Self { all, own: own.to_vec() }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut all = self.all.borrow_mut();
        for mark in &self.own {
            all.remove(mark);
        }
    }
}
