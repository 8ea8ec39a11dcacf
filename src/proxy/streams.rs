//! Requests that the application is still answering, with the session they came with: WebSockets, event streams, gRPC
//! streams, long answers. Once the session has ended they are closed, by the root context in the place of the stream's
//! own: between two messages nothing of a stream reaches the filter.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;

use crate::config::SessionSettings;
use crate::host::Host;
use crate::session::{ended, LiveSession};

/// How often they are looked at: a stream whose session ends is to be closed soon.
pub const PERIOD: Duration = Duration::from_millis(100);

/// By the id of the stream's context.
#[derive(Default)]
pub struct Streams {
    open: RefCell<HashMap<u32, Rc<LiveSession>, BuildHasherDefault<Id>>>,
    /// What had ended when they were last looked at.
    seen: RefCell<Option<Vec<u8>>>,
    /// The tick comes after [`PERIOD`].
    is_watched: Cell<bool>,
}

impl Streams {
    /// The application has the request. The first one does not wait for the tick of an idle worker to be looked at; a tick
    /// that is hurried comes sooner anyway.
    #[inline]
    pub fn enter(&self, id: u32, live: Rc<LiveSession>, is_hurried: bool) {
        self.open.borrow_mut().insert(id, live);
        if !is_hurried && !self.is_watched.replace(true) {
            // Of all contexts only the root one has a tick: this sets its period.
            let _ = hostcalls::set_tick_period(PERIOD);
        }
    }

    /// True where the tick has to come at another pace from now on: after [`PERIOD`], or no longer.
    pub fn watch(&self, is_watched: bool) -> bool {
        self.is_watched.replace(is_watched) != is_watched
    }

    /// It is over.
    #[inline]
    pub fn leave(&self, id: u32) {
        self.open.borrow_mut().remove(&id);
    }

    /// True where the application has answered all of them.
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Closes those whose session has ended. Looked for at every tick: once for each stream if something has ended
    /// since, else only at the clock.
    pub fn sweep(&self, host: &dyn Host, settings: &SessionSettings) {
        if self.is_empty() {
            return;
        }
        let now = host.now();
        let seen = ended::changes(host);
        let has_changed = *self.seen.borrow() != seen;
        *self.seen.borrow_mut() = seen;
        let is_over = |live: &Rc<LiveSession>| {
            let live = live.clone().latest();
            now >= live.session.ends(settings)
                || live.over.get()
                || has_changed && live.mark.has_ended(host, now)
        };
        let over: Vec<u32> =
            self.open.borrow().iter().filter(|(_, live)| is_over(live)).map(|(id, _)| *id).collect();
        for id in over {
            self.leave(id);
            if hostcalls::set_effective_context(id).is_ok() {
                let _ = hostcalls::reset_http_request();
                host.count("sso_streams_closed");
            }
        }
    }
}

/// Ids of contexts are small numbers; only their bits have to be spread.
#[derive(Default)]
pub struct Id(u64);

impl Hasher for Id {
    #[inline]
    fn write_u32(&mut self, id: u32) {
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}
