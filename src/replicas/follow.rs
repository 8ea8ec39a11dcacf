//! Following the engine: a state machine without I/O, which one worker of an Envoy runs.
//!
//! A watch tells of changes *from now on*; once it is set up, a linearizable read brings everything since what is
//! known. Both together are complete, whatever was compacted meanwhile. To resume the watch itself would not be: etcd
//! 3.4 may report progress before the events it stands for (etcd issue 15220).
//!
//! A watch that is silent proves nothing. Once a second the head is read, a key that every write touches: in step is
//! who knows a revision as late as the head's, as of the time when that was asked.

use super::etcd::{self, Method, Page, Told, Value};
use super::keys::Keys;

/// How often the head is read, in milliseconds.
const HEARTBEAT: u64 = 1_000;
/// The first pause before a stream is opened again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: u64 = 100;
const LONGEST_PAUSE: u64 = 500;
/// A change that the head promises and the watch does not bring for so long: the watch is stuck.
const STUCK: u64 = 3_000;
/// Keys of one page. More at once would hold up a worker.
const PAGE: i64 = 500;
/// Documents of one page, which may be 256 KB each.
const DOCUMENTS: i64 = 8;

/// What to do next. Actions are carried out in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open the stream, and say [`Follower::opened`].
    Open,
    /// Send this on the stream.
    Send(Vec<u8>),
    /// Cancel the stream.
    Cancel,
    /// Make this call, and say [`Follower::answered`].
    Ask(Question, Method, Vec<u8>),
    /// The engine has forgotten what it knew: what follows is all it has.
    Lost,
    /// These values stand in the engine.
    Apply(Vec<Value>),
    /// All that the engine has was applied, after [`Action::Lost`]: what is missing there has to be put back.
    Restore,
    /// In step as of this time.
    InStep(u64),
    /// The engine could not be asked.
    Failed,
}

/// What was asked, and on which stream: answers for an earlier one are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    stream: u32,
    kind: Kind,
    asked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Epoch,
    Page,
}

/// What is known of the engine, which the next worker goes on with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its `cluster_id`.
    pub cluster_id: u64,
    /// Everything up to this revision was applied.
    pub revision: u64,
    /// A random value that changes when the engine forgets.
    pub epoch: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stream {
    /// Not open, and not to be opened before this time.
    Closed(u64),
    /// Asked for at this time.
    Opening(u64),
    /// The watch is set up.
    Open,
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    /// Not begun, or to be begun anew.
    Due,
    /// The epoch is compared first.
    Epoch,
    /// Under way: the next page begins at this key, at this revision (0: the first page).
    Pages { next: Vec<u8>, at: u64 },
    /// Done.
    Done,
}

/// The state machine.
#[derive(Debug)]
pub struct Follower {
    keys: Keys,
    timeout: u64,
    known: Known,
    /// The latest revision that the watch told of.
    told: u64,
    stream: Stream,
    number: u32,
    pause: u64,
    reading: Reading,
    /// The engine has forgotten, and what it has is being read.
    lost: bool,
    /// Asked at this time.
    head_asked: Option<u64>,
    next_head: u64,
    /// The head's revision, not known yet, and when it was asked for.
    ahead: Option<(u64, u64)>,
}

impl Follower {
    /// One that goes on from what is known. `timeout` in milliseconds.
    pub fn new(keys: Keys, timeout: u64, known: Known) -> Self {
        Self {
            keys,
            timeout,
            known,
            told: 0,
            stream: Stream::Closed(0),
            number: 0,
            pause: FIRST_PAUSE,
            reading: Reading::Due,
            lost: false,
            head_asked: None,
            next_head: 0,
            ahead: None,
        }
    }

    /// What is known by now.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// True once the watch is set up: the engine is there.
    pub fn is_open(&self) -> bool {
        self.stream == Stream::Open
    }

    /// Time passes.
    pub fn tick(&mut self, now: u64) -> Vec<Action> {
        match self.stream {
            Stream::Closed(until) if now < until => Vec::new(),
            Stream::Closed(_) => {
                self.number = self.number.wrapping_add(1);
                self.stream = Stream::Opening(now);
                vec![Action::Open]
            }
            Stream::Opening(since) if now.saturating_sub(since) > self.timeout => self.reopen(now, true),
            Stream::Opening(_) => Vec::new(),
            Stream::Open => {
                let stuck = self.ahead.is_some_and(|(_, asked)| now.saturating_sub(asked) > STUCK);
                if stuck {
                    return self.reopen(now, true);
                }
                match self.reading {
                    Reading::Due => self.ask_head(now),
                    Reading::Done if self.head_asked.is_none() && now >= self.next_head => self.ask_head(now),
                    _ => Vec::new(),
                }
            }
        }
    }

    /// The stream was opened, or could not be.
    pub fn opened(&mut self, now: u64, is_open: bool) -> Vec<Action> {
        if !matches!(self.stream, Stream::Opening(_)) {
            return Vec::new();
        }
        match is_open {
            true => {
                let (from, end) = self.keys.followed();
                vec![Action::Send(etcd::watch(&from, &end))]
            }
            false => self.reopen(now, false),
        }
    }

    /// The stream ended.
    pub fn closed(&mut self, now: u64) -> Vec<Action> {
        match self.stream {
            Stream::Closed(_) => Vec::new(),
            _ => self.reopen(now, false),
        }
    }

    /// A message came on the stream.
    pub fn told(&mut self, now: u64, message: &[u8]) -> Vec<Action> {
        match (etcd::read_watch(message), &self.stream) {
            (_, Stream::Closed(_)) => Vec::new(),
            (Some(Told::Created { cluster_id, revision }), Stream::Opening(_)) => {
                self.stream = Stream::Open;
                self.reading = Reading::Due;
                let mut actions = Vec::new();
                if self.known.is_not_of(cluster_id, revision) {
                    actions.extend(self.lose());
                }
                self.known.cluster_id = cluster_id;
                actions.extend(self.ask_head(now));
                actions
            }
            (Some(Told::Created { .. }), Stream::Open) => Vec::new(),
            (Some(Told::Written(values)), _) => self.written(values),
            (Some(Told::Ended) | None, _) => self.reopen(now, true),
        }
    }

    fn written(&mut self, values: Vec<Value>) -> Vec<Action> {
        let latest = values.iter().map(|value| value.revision).max();
        let Some(latest) = latest else { return Vec::new() };
        self.told = self.told.max(latest);
        let mut actions = vec![Action::Apply(values)];
        if self.reading == Reading::Done {
            self.known.revision = self.known.revision.max(self.told);
            actions.extend(self.caught_up());
        }
        actions
    }

    /// In step, if the head is known by now.
    fn caught_up(&mut self) -> Option<Action> {
        let (_, asked) = self.ahead.filter(|(head, _)| *head <= self.known.revision)?;
        self.ahead = None;
        Some(Action::InStep(asked))
    }

    /// A call was answered; `None` where it failed. `fresh` is a random value for an engine that has no epoch.
    pub fn answered(
        &mut self,
        now: u64,
        question: Question,
        answer: Option<&[u8]>,
        fresh: &[u8],
    ) -> Vec<Action> {
        if question.stream != self.number || self.stream != Stream::Open {
            return Vec::new();
        }
        match question.kind {
            Kind::Head => {
                self.head_asked = None;
                self.next_head = question.asked.saturating_add(HEARTBEAT);
                match answer.and_then(etcd::read_page) {
                    Some(page) => self.head(now, question.asked, &page, fresh),
                    None => self.failed(now),
                }
            }
            Kind::Epoch => match answer.and_then(etcd::read_transaction) {
                // Another Envoy may have made it: read it.
                Some(_) => self.ask_head(now),
                None => self.failed(now),
            },
            Kind::Page => match answer.and_then(etcd::read_page) {
                Some(page) => self.page(now, page),
                None => self.failed(now),
            },
        }
    }

    /// A call failed: the stream may be in the same hole.
    fn failed(&mut self, now: u64) -> Vec<Action> {
        self.reopen(now, true)
    }

    fn head(&mut self, now: u64, asked: u64, page: &Page, fresh: &[u8]) -> Vec<Action> {
        let find = |key: &[u8]| page.values.iter().find(|value| value.key == key);
        let epoch = find(&self.keys.epoch()).cloned();
        let head = find(&self.keys.head()).map_or(0, |value| value.revision);
        let mut actions = Vec::new();
        let set_back = self.known.is_not_of(page.cluster_id, page.revision);
        if set_back {
            actions.extend(self.lose());
            self.known.cluster_id = page.cluster_id;
        }
        let Some(epoch) = epoch else {
            return self.renew_epoch(now, actions, vec![etcd::is_absent(self.keys.epoch())], fresh);
        };
        if epoch.value != self.known.epoch {
            if !self.known.epoch.is_empty() && !self.lost {
                actions.extend(self.lose());
            }
            self.known.epoch = epoch.value;
        } else if self.lost && self.reading != Reading::Done && !matches!(self.reading, Reading::Pages { .. })
        {
            // Set back with the epoch it had: the others must notice too, also when its revision has passed theirs.
            self.known.epoch.clear();
            let condition = vec![etcd::is_at(self.keys.epoch(), epoch.revision)];
            return self.renew_epoch(now, actions, condition, fresh);
        }
        match self.reading {
            Reading::Done => {
                self.ahead = Some((head, asked));
                actions.extend(self.caught_up());
            }
            _ => {
                let (from, _) = self.keys.followed();
                self.reading = Reading::Pages { next: from, at: 0 };
                actions.extend(self.ask_page(now));
            }
        }
        actions
    }

    fn renew_epoch(
        &mut self,
        now: u64,
        mut actions: Vec<Action>,
        condition: Vec<super::messages::Compare>,
        fresh: &[u8],
    ) -> Vec<Action> {
        if !self.known.epoch.is_empty() && !self.lost {
            actions.extend(self.lose());
        }
        self.known.epoch.clear();
        self.reading = Reading::Epoch;
        let put = etcd::put(self.keys.epoch(), fresh.to_vec(), 0);
        let message = etcd::transaction(condition, vec![put], Vec::new());
        actions.push(self.ask(now, Kind::Epoch, Method::Transaction, message));
        actions
    }

    fn page(&mut self, now: u64, page: Page) -> Vec<Action> {
        let Reading::Pages { next, at } = &mut self.reading else { return Vec::new() };
        if *at == 0 {
            *at = page.revision;
        }
        let mut actions = Vec::new();
        if let (true, Some(last)) = (page.more, page.values.last()) {
            *next = last.key.clone();
            next.push(0);
            actions.push(Action::Apply(page.values));
            actions.extend(self.ask_page(now));
            return actions;
        }
        let documents_end = etcd::after(&self.keys.documents());
        let at = *at;
        if *next < documents_end {
            // Documents come first, a few at a time; marks go on from here.
            *next = documents_end;
            actions.push(Action::Apply(page.values));
            actions.extend(self.ask_page(now));
            return actions;
        }
        self.reading = Reading::Done;
        self.pause = FIRST_PAUSE;
        self.known.revision = self.known.revision.max(at).max(self.told);
        actions.push(Action::Apply(page.values));
        if std::mem::take(&mut self.lost) {
            actions.push(Action::Restore);
        }
        actions.extend(self.ask_head(now));
        actions
    }

    fn ask_head(&mut self, now: u64) -> Vec<Action> {
        self.head_asked = Some(now);
        if self.reading == Reading::Due {
            self.reading = Reading::Epoch;
        }
        let (key, end) = self.keys.heads();
        let message = etcd::page(&key, &end, 0, 0, 0);
        vec![self.ask(now, Kind::Head, Method::Range, message)]
    }

    fn ask_page(&mut self, now: u64) -> Vec<Action> {
        let Reading::Pages { next, at } = &self.reading else { return Vec::new() };
        let documents_end = etcd::after(&self.keys.documents());
        let (end, limit) = match *next < documents_end {
            true => (documents_end, DOCUMENTS),
            false => (self.keys.followed().1, PAGE),
        };
        // With this condition etcd reads everything from here on before it takes a page of it.
        let since = match self.known.revision {
            0 => 0,
            known => known.saturating_add(1),
        };
        let message = etcd::page(next, &end, limit, since, *at);
        vec![self.ask(now, Kind::Page, Method::Range, message)]
    }

    fn ask(&self, now: u64, kind: Kind, method: Method, message: Vec<u8>) -> Action {
        Action::Ask(Question { stream: self.number, kind, asked: now }, method, message)
    }

    /// The engine has forgotten: nothing that was known counts.
    fn lose(&mut self) -> Vec<Action> {
        self.known.revision = 0;
        self.told = 0;
        self.ahead = None;
        self.reading = Reading::Due;
        if std::mem::replace(&mut self.lost, true) {
            return Vec::new();
        }
        vec![Action::Lost]
    }

    /// Begins anew after a pause.
    fn reopen(&mut self, now: u64, cancel: bool) -> Vec<Action> {
        self.stream = Stream::Closed(now.saturating_add(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.reading = Reading::Due;
        self.head_asked = None;
        self.ahead = None;
        self.told = 0;
        match cancel {
            true => vec![Action::Cancel, Action::Failed],
            false => vec![Action::Failed],
        }
    }
}

impl Known {
    /// True where the engine cannot be the one that told all this: another one, or one that was set back.
    fn is_not_of(&self, cluster_id: u64, revision: u64) -> bool {
        let another = self.cluster_id != 0 && cluster_id != self.cluster_id;
        another || revision < self.revision
    }

    /// As bytes, for the data that all workers share.
    pub fn write(&self) -> Vec<u8> {
        let mut out = self.cluster_id.to_le_bytes().to_vec();
        out.extend(self.revision.to_le_bytes());
        out.extend(&self.epoch);
        out
    }

    /// From bytes; nothing is known where they do not hold it.
    pub fn read(bytes: &[u8]) -> Self {
        let parts = bytes.split_first_chunk::<8>().and_then(|(cluster_id, rest)| {
            rest.split_first_chunk::<8>().map(|(revision, epoch)| (cluster_id, revision, epoch))
        });
        let Some((cluster_id, revision, epoch)) = parts else { return Self::default() };
        Self {
            cluster_id: u64::from_le_bytes(*cluster_id),
            revision: u64::from_le_bytes(*revision),
            epoch: epoch.to_vec(),
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
