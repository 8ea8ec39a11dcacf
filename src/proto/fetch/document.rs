//! A document of a provider, kept, refreshed and shared by all workers of the process.
//!
//! The last good one is kept for ever: refreshing happens beside it, never instead of it. A worker looks
//! at what the others fetched before it fetches itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use url::Url;

use super::answer;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Request};
use crate::host::Host;

/// While a first fetch fails, requests fail with it for so long, instead of each asking again.
const FAIL_FAST: u64 = 2_000;
/// After a refresh that failed, the next comes so much later.
const BACK_OFF: u64 = 10_000;
/// A fetch outside the schedule (an unknown `kid`) happens at most so often in the whole process.
pub const FORCED: u64 = 60_000;
/// Larger documents are not shared, each worker fetches its own.
const MAX_SHARED: usize = 256 << 10;

/// One document.
#[derive(Debug)]
pub struct Document<T> {
    what: &'static str,
    max: usize,
    lifetime: u64,
    current: RefCell<Option<(Rc<T>, u64)>>,
    failed: RefCell<Option<(Fault, u64)>>,
    forced: Cell<Option<u64>>,
}

/// Where it is and how it is read.
pub struct Source<'a, T> {
    /// Its URL.
    pub url: &'a Url,
    /// Milliseconds.
    pub timeout: u64,
    /// Reads it.
    pub read: &'a dyn Fn(&[u8]) -> Result<T, String>,
}

impl<T> Document<T> {
    /// Nothing yet.
    pub fn new(what: &'static str, max: usize, lifetime: u64) -> Self {
        Self {
            what,
            max,
            lifetime,
            current: RefCell::default(),
            failed: RefCell::default(),
            forced: Cell::new(None),
        }
    }

    /// The last good one.
    pub fn current(&self) -> Option<Rc<T>> {
        self.current.borrow().as_ref().map(|(document, _)| document.clone())
    }

    /// Whether the background should call [`Document::refresh`].
    pub fn due(&self, now: u64) -> bool {
        self.due_before(now, &|_| None)
    }

    /// The same for a document that says itself when it expires: half of its time is left for the next fetch.
    pub fn due_before(&self, now: u64, expires: &dyn Fn(&T) -> Option<u64>) -> bool {
        let old = self.current.borrow().as_ref().is_none_or(|(document, at)| {
            let own = expires(document).map(|until| (until.saturating_sub(*at) / 2).max(BACK_OFF));
            now.saturating_sub(*at) >= own.map_or(self.lifetime, |own| own.min(self.lifetime))
        });
        old && self.failed.borrow().as_ref().is_none_or(|(_, at)| now.saturating_sub(*at) >= BACK_OFF)
    }

    /// The last good one, else a fetch; a fetch that has just failed is not repeated.
    pub async fn get(&self, io: &Io, source: Source<'_, T>) -> Result<Rc<T>, Fault> {
        if let Some(document) = self.current() {
            return Ok(document);
        }
        let recent = self.failed.borrow().clone();
        if let Some((fault, at)) = recent {
            if io.now().saturating_sub(at) < FAIL_FAST {
                return Err(fault);
            }
        }
        match self.adopt(io.host(), &source) {
            Some(document) => Ok(document),
            None => self.fetch(io, &source).await,
        }
    }

    /// The background's turn: another worker's document if it is fresh, else a fetch.
    pub async fn refresh(&self, io: &Io, source: Source<'_, T>) -> Result<Rc<T>, Fault> {
        match self.adopt(io.host(), &source) {
            Some(document) => Ok(document),
            None => self.fetch(io, &source).await,
        }
    }

    /// A newer one than ours because ours lacks something: another worker's if that has it, else a fetch,
    /// at most once a minute in the whole process; `None` while that minute lasts. A flood of forged
    /// tokens must not become a flood at the provider.
    pub async fn newer(
        &self,
        io: &Io,
        source: Source<'_, T>,
        has: &dyn Fn(&T) -> bool,
    ) -> Result<Option<Rc<T>>, Fault> {
        if let Some(document) = self.adopt(io.host(), &source).filter(|document| has(document)) {
            return Ok(Some(document));
        }
        let (now, key) = (io.now(), format!("{}.forced", self.key(source.url)));
        let (shared, cas) = io.host().shared_get(&key);
        let last = self.forced.get().max(shared.as_deref().and_then(time_of));
        if last.is_some_and(|at| now.saturating_sub(at) < FORCED) {
            return Ok(None);
        }
        self.forced.set(Some(now));
        if !io.host().shared_set(&key, &now.to_le_bytes(), cas) {
            return Ok(None); // another worker is on its way
        }
        self.fetch(io, &source).await.map(Some)
    }

    fn fetched(&self) -> Option<u64> {
        self.current.borrow().as_ref().map(|(_, at)| *at)
    }

    fn key(&self, url: &Url) -> String {
        format!("sso.doc.{}.{url}", self.what)
    }

    /// What another worker fetched, if it is fresh, newer than ours and good.
    fn adopt(&self, host: &dyn Host, source: &Source<'_, T>) -> Option<Rc<T>> {
        let value = host.shared_get(&self.key(source.url)).0?;
        let at = time_of(&value)?;
        let now = host.now();
        if self.fetched().is_some_and(|ours| at <= ours) || now.saturating_sub(at) >= self.lifetime {
            return None;
        }
        let document = Rc::new((source.read)(value.get(8..)?).ok()?);
        self.keep(document.clone(), at);
        Some(document)
    }

    async fn fetch(&self, io: &Io, source: &Source<'_, T>) -> Result<Rc<T>, Fault> {
        let mut request = Request::get(self.what, source.url.clone(), source.timeout);
        request.max_answer = self.max;
        let reply = io.call(request).await;
        let what = format!("{} {}", self.what, source.url);
        let read = answer::body(&what, reply).map_err(Fault::from).and_then(|bytes| {
            let document = (source.read)(&bytes)
                .map_err(|why| Fault::new(Code::IdpInvalidAnswer, format!("{what}: {why}")))?;
            Ok((Rc::new(document), bytes))
        });
        let now = io.now();
        match read {
            Ok((document, bytes)) => {
                self.keep(document.clone(), now);
                if bytes.len() <= MAX_SHARED {
                    let value = [&now.to_le_bytes()[..], &bytes].concat();
                    // Whoever writes last wins; both are good.
                    io.host().shared_set(&self.key(source.url), &value, None);
                }
                Ok(document)
            }
            Err(fault) => {
                *self.failed.borrow_mut() = Some((fault.clone(), now));
                Err(fault)
            }
        }
    }

    fn keep(&self, document: Rc<T>, at: u64) {
        *self.current.borrow_mut() = Some((document, at));
        *self.failed.borrow_mut() = None;
    }
}

fn time_of(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.get(..8)?.try_into().ok()?))
}
