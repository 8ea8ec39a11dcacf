//! A document of a provider, kept, refreshed and shared by all workers of the process.
//!
//! The last good one is kept for ever: refreshing happens beside it, never instead of it. A worker looks
//! at what the others fetched before it fetches itself. No request fetches: the background does, once for all that
//! wait, and a client that hangs up takes nothing along (docs/decisions/011-nothing-dies-with-a-client.md).

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use url::Url;

use super::answer;
use super::redirects;
use super::turn::{Sender, Turn};
use crate::config::Bounds;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Lane, Request};
use crate::host::Host;

/// While a first fetch fails, requests fail with it for so long, instead of each asking again.
const FAIL_FAST: u64 = 2_000;
/// After a refresh that failed, the next comes so much later.
const BACK_OFF: u64 = 10_000;
/// Larger documents are not shared, each worker fetches its own.
const MAX_SHARED: usize = 256 << 10;

/// One document. Clones are the same document.
#[derive(Debug)]
pub struct Document<T>(Untyped, PhantomData<T>);

impl<T> Clone for Document<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

/// A document whatever its type, so that the wasm has its fetches once.
#[derive(Clone, Debug)]
struct Untyped(Rc<Kept>);

#[derive(Debug)]
struct Kept {
    what: &'static str,
    max: usize,
    lifetime: u64,
    pause: u64,
    current: RefCell<Option<(Rc<dyn Any>, u64)>>,
    failed: RefCell<Option<(Fault, u64)>>,
    is_fetching: Cell<bool>,
}

/// Reads a document.
pub type Read<T> = Rc<dyn Fn(&[u8]) -> Result<T, String>>;

/// Where it is and how it is read.
pub struct Source<T> {
    /// Its URL.
    pub url: Url,
    /// Milliseconds.
    pub timeout: u64,
    /// Reads it.
    pub read: Read<T>,
    /// What to look at if the answer is not the document; empty: nothing.
    pub hint: &'static str,
    /// Where a redirect may lead, if an administrator named the document.
    pub bounds: Option<Bounds>,
}

impl<T: 'static> Source<T> {
    /// An operator's document, of which there is nothing to hint at.
    pub fn new(url: &Url, timeout: u64, read: Read<T>) -> Self {
        Self { url: url.clone(), timeout, read, hint: "", bounds: None }
    }

    fn untyped(self) -> UntypedSource {
        let read = self.read;
        UntypedSource {
            url: self.url,
            timeout: self.timeout,
            read: Rc::new(move |bytes| Ok(Rc::new(read(bytes)?))),
            hint: self.hint,
            bounds: self.bounds,
        }
    }
}

/// A [`Source`] whose document can be of any type.
#[derive(Clone)]
struct UntypedSource {
    url: Url,
    timeout: u64,
    read: Read<Rc<dyn Any>>,
    hint: &'static str,
    bounds: Option<Bounds>,
}

impl UntypedSource {
    fn with_hint(&self, mut fault: Fault) -> Fault {
        if fault.code == Code::IdpInvalidAnswer {
            fault.detail.push_str(self.hint);
        }
        fault
    }
}

impl<T: 'static> Document<T> {
    /// Nothing yet. Fetches because something is missing from it come `pause` milliseconds apart at the least.
    pub fn new(what: &'static str, max: usize, lifetime: u64, pause: u64) -> Self {
        let kept = Kept {
            what,
            max,
            lifetime,
            pause,
            current: RefCell::default(),
            failed: RefCell::default(),
            is_fetching: Cell::new(false),
        };
        Self(Untyped(Rc::new(kept)), PhantomData)
    }

    /// The last good one.
    pub fn current(&self) -> Option<Rc<T>> {
        self.0.current()?.downcast().ok()
    }

    /// Whether the background should call [`Document::refresh`].
    pub fn due(&self, now: u64) -> bool {
        self.due_before(now, &|_| None)
    }

    /// [`Document::due`] for a document that says itself when it expires: half of its time is left for the next fetch.
    pub fn due_before(&self, now: u64, expires: &dyn Fn(&T) -> Option<u64>) -> bool {
        self.0.due_before(now, &|document| document.downcast_ref().and_then(expires))
    }

    /// The last good one, else a fetch; a fetch that has just failed is not repeated.
    pub async fn get(&self, io: &Io, source: Source<T>) -> Result<Rc<T>, Fault> {
        if let Some(document) = self.current() {
            return Ok(document);
        }
        self.0.fail_fast(io)?;
        self.anew(io, source).await
    }

    /// A fetch, whatever failed a moment ago; another worker's document if it is fresh.
    pub async fn anew(&self, io: &Io, source: Source<T>) -> Result<Rc<T>, Fault> {
        let source = source.untyped();
        self.0.anew(io, &source).await?;
        self.current().ok_or_else(|| self.0.fault(&source, Code::IdpUnavailable, "is not there"))
    }

    /// The background's turn: another worker's document if it is fresh, else a fetch.
    pub async fn refresh(&self, io: &Io, source: Source<T>) -> Result<Rc<T>, Fault> {
        self.anew(io, source).await
    }

    /// A newer one than ours because ours lacks something: another worker's if that has it, else a fetch. A flood of
    /// forged tokens must not become a flood at the provider: what strangers sent is worth one fetch a minute in the whole
    /// process, `None` while that minute lasts. What the provider itself sent waits its turn and is served with a fetch
    /// that began after it came: strangers spend nothing of what logins need.
    pub async fn newer(
        &self,
        io: &Io,
        source: Source<T>,
        has: &dyn Fn(&T) -> bool,
        sender: Sender,
    ) -> Result<Option<Rc<T>>, Fault> {
        let has = |document: &dyn Any| document.downcast_ref().is_some_and(has);
        let newer = self.0.newer(io, &source.untyped(), &has, sender).await?;
        Ok(newer.and_then(|document| document.downcast().ok()))
    }
}

impl Untyped {
    fn current(&self) -> Option<Rc<dyn Any>> {
        self.0.current.borrow().as_ref().map(|(document, _)| document.clone())
    }

    fn due_before(&self, now: u64, expires: &dyn Fn(&dyn Any) -> Option<u64>) -> bool {
        let old = self.0.current.borrow().as_ref().is_none_or(|(document, at)| {
            let own = expires(document.as_ref()).map(|until| (until.saturating_sub(*at) / 2).max(BACK_OFF));
            now.saturating_sub(*at) >= own.map_or(self.0.lifetime, |own| own.min(self.0.lifetime))
        });
        old && self.0.failed.borrow().as_ref().is_none_or(|(_, at)| now.saturating_sub(*at) >= BACK_OFF)
    }

    /// The fault of a fetch that has just failed.
    fn fail_fast(&self, io: &Io) -> Result<(), Fault> {
        match &*self.0.failed.borrow() {
            Some((fault, at)) if io.now().saturating_sub(*at) < FAIL_FAST => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    async fn anew(&self, io: &Io, source: &UntypedSource) -> Result<(), Fault> {
        match self.adopt(io.host(), source, 0) {
            Some(_) => Ok(()),
            None => self.fetched(io, source, Turn::first(Sender::Provider)).await,
        }
    }

    async fn newer(
        &self,
        io: &Io,
        source: &UntypedSource,
        has: &dyn Fn(&dyn Any) -> bool,
        sender: Sender,
    ) -> Result<Option<Rc<dyn Any>>, Fault> {
        if let Some(document) = self.adopt(io.host(), source, 0).filter(|document| has(document.as_ref())) {
            return Ok(Some(document));
        }
        let turn = Turn { pause: self.0.pause, since: io.now(), ..Turn::first(sender) };
        for _ in 0..2 {
            let is_joined = self.0.is_fetching.get();
            if !is_joined && !turn.is_allowed(io, &self.key(&source.url)) {
                return Ok(None);
            }
            self.fetched(io, source, turn).await?;
            match self.current() {
                Some(document) if has(document.as_ref()) => return Ok(Some(document)),
                Some(document) if !is_joined => {
                    turn.was_vain(io, &self.key(&source.url));
                    return Ok(Some(document));
                }
                // That fetch may have begun before the key was published.
                _ if sender == Sender::Provider => {}
                document => return Ok(document),
            }
        }
        Ok(self.current())
    }

    /// Waits for the fetch that is under way in this worker, or lets the background begin one.
    async fn fetched(&self, io: &Io, source: &UntypedSource, turn: Turn) -> Result<(), Fault> {
        if !self.0.is_fetching.replace(true) {
            let (fetching, source) = (Fetching(self.clone()), source.clone());
            let lane = Lane::new("documents", &self.key(&source.url)).always_open();
            io.spawn(lane, |io| async move {
                let fetched = fetching.0.in_turn(&io, &source, turn).await;
                if let Err(fault) = fetched {
                    *fetching.0 .0.failed.borrow_mut() = Some((fault, io.now()));
                }
                Ok(())
            });
        }
        let kept = self.0.clone();
        io.until(move || !kept.is_fetching.get()).await;
        match &*self.0.failed.borrow() {
            Some((fault, _)) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// A fetch when no other worker is at it; what another one fetched meanwhile will do.
    async fn in_turn(&self, io: &Io, source: &UntypedSource, turn: Turn) -> Result<(), Fault> {
        let key = self.key(&source.url);
        loop {
            if turn.claimed(io, &key, source.timeout).await {
                let fetched = self.fetch(io, source).await;
                turn.done(io, &key, fetched.as_ref().err().map(|fault| fault.code));
                return fetched;
            }
            // Another worker had its turn.
            if self.adopt(io.host(), source, turn.since).is_some() {
                return Ok(());
            }
            if let Some(code) = turn.failed(io, &key) {
                return Err(self.fault(source, code, "another worker could not fetch it: see its line"));
            }
        }
    }

    fn at(&self) -> Option<u64> {
        self.0.current.borrow().as_ref().map(|(_, at)| *at)
    }

    fn key(&self, url: &Url) -> String {
        format!("sso.doc.{}.{url}", self.0.what)
    }

    fn fault(&self, source: &UntypedSource, code: Code, why: &str) -> Fault {
        Fault::new(code, format!("{} {}: {why}", self.0.what, source.url))
    }

    /// What another worker fetched, if it is fresh, newer than ours, good, and its fetch began no earlier than `since`.
    fn adopt(&self, host: &dyn Host, source: &UntypedSource, since: u64) -> Option<Rc<dyn Any>> {
        let value = host.shared_get(&self.key(&source.url)).0?;
        let at = u64::from_le_bytes(value.get(..8)?.try_into().ok()?);
        let is_old = at < since || host.now().saturating_sub(at) >= self.0.lifetime;
        if is_old || self.at().is_some_and(|ours| at <= ours) {
            return None;
        }
        let document = (source.read)(value.get(8..)?).ok()?;
        self.keep(document.clone(), at);
        Some(document)
    }

    async fn fetch(&self, io: &Io, source: &UntypedSource) -> Result<(), Fault> {
        let began = io.now();
        let mut request = Request::get(self.0.what, source.url.clone(), source.timeout);
        request.max_answer = self.0.max;
        let what = format!("{} {}", self.0.what, source.url);
        let reply = redirects::followed(io, &what, request, source.bounds.as_ref()).await?;
        let read = answer::body(&what, reply).map_err(Fault::from).and_then(|bytes| {
            let document =
                (source.read)(&bytes).map_err(|why| self.fault(source, Code::IdpInvalidAnswer, &why))?;
            Ok((bytes, document))
        });
        let (bytes, document) = read.map_err(|fault| source.with_hint(fault))?;
        self.keep(document, began);
        if bytes.len() <= MAX_SHARED {
            let value = [&began.to_le_bytes()[..], &bytes].concat();
            // The last write wins; all are good.
            io.host().shared_set(&self.key(&source.url), &value, None);
        }
        Ok(())
    }

    fn keep(&self, document: Rc<dyn Any>, at: u64) {
        *self.0.current.borrow_mut() = Some((document, at));
        *self.0.failed.borrow_mut() = None;
    }
}

/// A fetch under way in this worker, also one that is dropped: who waits for it must not wait for ever.
struct Fetching(Untyped);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0 .0.is_fetching.set(false);
    }
}
