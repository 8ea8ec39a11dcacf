//! A flow that waits for answers, as one `async fn` that never touches Envoy.
//!
//! `io.call(request).await` leaves an outgoing [`Call`] in a slot and waits; the driver of the [`Task`]
//! takes it out, makes the call, and resumes the task with the [`Reply`]. `io.until(ready).await` leaves a question
//! there instead, which the driver asks at every tick. No wakers, one call in flight, and the task dies with the
//! stream that owns it: work that must survive the stream goes to the background with `io.spawn`. Natively a flow
//! runs against a scripted list of replies.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub use super::call::{Answer, Call, Reply, Request, Via, MAX_ANSWER, USER_AGENT};
use super::clusters::Clusters;
use super::events;
pub use super::failure::{Broken, Failure};
pub use super::lanes::{Lane, Lanes, Start};
use crate::fault::{Code, Fault};
use crate::host::Host;
use crate::http::authority;

/// A server whose calls failed so often in a row, each after one more try, gets no second try until it has answered.
const GIVEN_UP: u32 = 3;
/// One more try is one on a new connection. Envoy takes the connections that it has kept first, and where one was given
/// up by the server the others were too: at most so many tries in all follow the first.
const TRIES: u32 = 4;
/// The most servers about which that is remembered.
const MAX_FAILING: usize = 1_024;

/// Headers of a request that go on the calls made for it.
pub type Trace = Rc<[(String, String)]>;

/// What all flows of one worker share.
pub struct Outside {
    host: Rc<dyn Host>,
    clusters: Rc<Clusters>,
    background: RefCell<Lanes<BackgroundTask>>,
    failing: RefCell<HashMap<String, u32>>,
    pools: RefCell<HashMap<String, Pool>>,
}

/// The connections of a cluster, as far as this worker's calls tell: at the most so many are open.
#[derive(Clone, Copy, Default)]
struct Pool {
    in_use: u32,
    open: u32,
}

/// A connection that a call uses; given back where the call ends, or is dropped.
struct Connection {
    outside: Rc<Outside>,
    cluster: String,
    is_open: bool,
}

impl Connection {
    /// Takes one, and says whether it may be one that was kept.
    fn taken(outside: &Rc<Outside>, cluster: &str) -> (Self, bool) {
        let mut pools = outside.pools.borrow_mut();
        let pool = pools.entry(cluster.to_owned()).or_default();
        let was_kept = pool.open > pool.in_use;
        pool.in_use = pool.in_use.saturating_add(1);
        pool.open = pool.open.max(pool.in_use);
        (Self { outside: outside.clone(), cluster: cluster.to_owned(), is_open: false }, was_kept)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(pool) = self.outside.pools.borrow_mut().get_mut(&self.cluster) {
            pool.in_use = pool.in_use.saturating_sub(1);
            pool.open = pool.open.saturating_sub(u32::from(!self.is_open));
        }
    }
}

impl Outside {
    /// With nothing to do yet.
    pub fn new(host: Rc<dyn Host>, clusters: Rc<Clusters>) -> Rc<Self> {
        Rc::new(Self {
            host,
            clusters,
            background: RefCell::default(),
            failing: RefCell::default(),
            pools: RefCell::default(),
        })
    }

    /// Work that flows have left to the background.
    pub fn background(&self) -> &RefCell<Lanes<BackgroundTask>> {
        &self.background
    }

    /// How hosts are reached.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    fn is_given_up(&self, authority: &str) -> bool {
        self.failing.borrow().get(authority).is_some_and(|failed| *failed >= GIVEN_UP)
    }

    fn note(&self, authority: &str, reply: &Reply) {
        let mut failing = self.failing.borrow_mut();
        match reply.is_worth_a_try() {
            false => {
                failing.remove(authority);
            }
            true => {
                if failing.len() >= MAX_FAILING {
                    failing.clear();
                }
                let failed = failing.entry(authority.to_owned()).or_default();
                *failed = failed.saturating_add(1);
            }
        }
    }
}

/// Asked at every tick; true once the flow goes on.
pub type Ready = Box<dyn FnMut() -> bool>;

struct Slot {
    outside: Rc<Outside>,
    trace: Trace,
    deadline: Cell<u64>,
    call: RefCell<Option<Call>>,
    reply: RefCell<Option<Reply>>,
    wait: RefCell<Option<Ready>>,
}

/// What a flow holds to ask the outside: outgoing calls, time, randomness, shared data.
#[derive(Clone)]
pub struct Io(Rc<Slot>);

impl Io {
    /// For one task of tests, alone.
    pub fn new(host: Rc<dyn Host>, clusters: Rc<Clusters>) -> Self {
        Self::of(Outside::new(host, clusters), Rc::default())
    }

    /// For one task. Clones share the slot, so only one call can wait at a time. `trace` goes on every call.
    pub fn of(outside: Rc<Outside>, trace: Trace) -> Self {
        Self(Rc::new(Slot {
            outside,
            trace,
            deadline: Cell::new(u64::MAX),
            call: RefCell::new(None),
            reply: RefCell::new(None),
            wait: RefCell::new(None),
        }))
    }

    /// The surroundings.
    pub fn host(&self) -> &dyn Host {
        &*self.0.outside.host
    }

    /// What all flows of this worker share.
    pub fn outside(&self) -> &Rc<Outside> {
        &self.0.outside
    }

    /// The surroundings, for what outlives a call: a question of [`Self::until`].
    pub fn shared_host(&self) -> Rc<dyn Host> {
        self.0.outside.host.clone()
    }

    /// Milliseconds since 1970 UTC, now.
    pub fn now(&self) -> u64 {
        self.host().now()
    }

    /// From then on every call of this task has failed already.
    pub fn set_deadline(&self, until: u64) {
        self.0.deadline.set(until);
    }

    /// Leaves work to the background, which does it whatever becomes of this task.
    pub fn spawn<F>(&self, lane: Lane, flow: impl FnOnce(Io) -> F)
    where
        F: Future<Output = Result<(), Fault>> + 'static,
    {
        let io = Self::of(self.0.outside.clone(), self.0.trace.clone());
        let task = Task::new(io.clone(), flow(io));
        self.0.outside.background.borrow_mut().push(&lane, BackgroundTask::new(task, lane.clone(), None));
    }

    /// Waits until `ready` says so; it is asked now and at every tick.
    pub async fn until(&self, mut ready: impl FnMut() -> bool + 'static) {
        if ready() {
            return;
        }
        *self.0.wait.borrow_mut() = Some(Box::new(ready));
        let mut has_waited = false;
        std::future::poll_fn(move |_| match std::mem::replace(&mut has_waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await
    }

    /// Sends the request through its cluster and waits for the reply. A repeatable request whose connection breaks
    /// before an answer began is sent once more, within its timeout, and counted once. Tries that may have gone out on a
    /// kept connection do not count as that one.
    pub async fn call(&self, request: Request) -> Reply {
        let authority = authority(&request.url);
        let outside = &self.0.outside;
        let Some(cluster) = outside.clusters.resolve(&request.url) else {
            return Reply::Failed(Failure::NoCluster(authority));
        };
        let (what, begun) = (request.what, self.now());
        let until = begun.saturating_add(request.timeout).min(self.0.deadline.get());
        let is_repeatable = request.is_repeatable && !outside.is_given_up(&authority);
        let mut call = self.dialled(cluster, authority.clone(), request);
        call.timeout = until.saturating_sub(begun);
        let again = is_repeatable.then(|| call.clone());
        let (mut reply, _) = self.send(call).await;
        let mut left = TRIES;
        while let Some(call) = again.as_ref().filter(|_| left > 0 && reply.is_worth_a_try()) {
            let timeout = until.saturating_sub(self.now());
            if timeout == 0 {
                break;
            }
            self.host().count(&format!("sso_calls_repeated.what.{what}"));
            let was_kept;
            (reply, was_kept) = self.send(Call { timeout, ..call.clone() }).await;
            left = if was_kept { left - 1 } else { 0 };
        }
        outside.note(&authority, &reply);
        events::call(self.host(), what, reply.status(), self.now().saturating_sub(begun));
        reply
    }

    fn dialled(&self, cluster: String, authority: String, request: Request) -> Call {
        let mut path = request.url.path().to_owned();
        if let Some(query) = request.url.query() {
            path.push('?');
            path.push_str(query);
        }
        let mut headers = vec![
            (":method".to_owned(), request.method.to_owned()),
            (":scheme".to_owned(), request.url.scheme().to_owned()),
            (":authority".to_owned(), authority),
            (":path".to_owned(), path),
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
        ];
        headers.extend(request.headers);
        headers.extend(self.0.trace.iter().cloned());
        Call {
            via: Via::Http,
            cluster,
            headers,
            body: request.body,
            timeout: request.timeout,
            max_answer: request.max_answer,
            what: request.what,
        }
    }

    /// Makes a gRPC call to the shared engine and waits for the reply.
    pub async fn call_engine(&self, call: Call) -> Reply {
        let what = call.what;
        let (reply, _) = self.send(call).await;
        let status = match &reply {
            Reply::Answer(_) => 0,
            Reply::Failed(Failure::Grpc(status)) => *status,
            Reply::Failed(_) => 14,
        };
        events::shared_call(self.host(), what, status);
        reply
    }

    /// The reply, and whether the call may have gone out on a connection that was kept.
    async fn send(&self, call: Call) -> (Reply, bool) {
        if call.timeout == 0 {
            return (Reply::Failed(Failure::Timeout), false);
        }
        let cluster = call.cluster.clone();
        let (mut connection, was_kept) = Connection::taken(&self.0.outside, &cluster);
        *self.0.call.borrow_mut() = Some(call);
        let slot = self.0.clone();
        let reply = std::future::poll_fn(move |_| match slot.reply.borrow_mut().take() {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        })
        .await
        .judged(&cluster);
        connection.is_open = matches!(reply, Reply::Answer(_));
        (reply, was_kept)
    }
}

/// What a task does next.
pub enum Step<T> {
    /// It waits for this call.
    Call(Call),
    /// It waits until this is true.
    Wait(Ready),
    /// It is done.
    Done(T),
}

/// A flow under way.
pub struct Task<T> {
    io: Io,
    future: Pin<Box<dyn Future<Output = T>>>,
}

impl<T> Task<Result<T, Fault>> {
    /// Makes the flow, which has not run yet.
    pub fn new<F>(io: Io, future: F) -> Self
    where
        F: Future<Output = Result<T, Fault>> + 'static,
    {
        Self { io, future: Box::pin(future) }
    }

    /// Runs it until it waits or is done: at its beginning, and once what it waited for is true.
    pub fn start(&mut self) -> Step<Result<T, Fault>> {
        self.poll()
    }

    /// Hands it the reply it waits for.
    pub fn resume(&mut self, reply: Reply) -> Step<Result<T, Fault>> {
        *self.io.0.reply.borrow_mut() = Some(reply);
        self.poll()
    }

    fn poll(&mut self) -> Step<Result<T, Fault>> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Step::Done(result),
            Poll::Pending => {
                let (call, wait) = (self.io.0.call.borrow_mut().take(), self.io.0.wait.borrow_mut().take());
                match (call, wait) {
                    (Some(call), _) => Step::Call(call),
                    (None, Some(ready)) => Step::Wait(ready),
                    // Only `Io::call` and `Io::until` wait, so a flow that waits for nothing is a defect: refuse it.
                    (None, None) => Step::Done(Err(Fault::new(Code::NotReady, "a flow waits for nothing"))),
                }
            }
        }
    }
}

/// One piece of work.
pub struct BackgroundTask {
    /// The flow.
    pub task: Task<Result<(), Fault>>,
    /// Where it waits its turn.
    pub lane: Lane,
    /// The provider whose documents it fetches: its outcome is counted and logged. `None` for what a flow left here,
    /// which speaks for itself.
    pub provider: Option<String>,
    /// How it begins.
    pub start: Start,
    /// If its first call to its server was answered: whether it timed out.
    pub hung: Option<bool>,
    /// It asks the shared engine, which is not its server.
    at_engine: bool,
}

impl BackgroundTask {
    /// Work that a flow leaves here, or what fetches the documents of this provider.
    pub fn new(task: Task<Result<(), Fault>>, lane: Lane, provider: Option<String>) -> Self {
        Self { task, lane, provider, start: Start::Go, hung: None, at_engine: false }
    }

    /// Begins.
    pub fn begin(&mut self, start: Start) -> Step<Result<(), Fault>> {
        self.start = start;
        self.wake()
    }

    /// Goes on: what it waited for is there.
    pub fn wake(&mut self) -> Step<Result<(), Fault>> {
        let step = self.task.start();
        self.asks(step)
    }

    /// Hands it a reply, and notes if its first call to its server timed out.
    pub fn resume(&mut self, reply: Reply) -> Step<Result<(), Fault>> {
        if !self.at_engine {
            self.hung.get_or_insert_with(|| reply.is_hanging());
        }
        let step = self.task.resume(reply);
        self.asks(step)
    }

    /// Where its server hangs, its first call to it fails at once.
    fn asks(&mut self, step: Step<Result<(), Fault>>) -> Step<Result<(), Fault>> {
        let Step::Call(call) = &step else { return step };
        self.at_engine = matches!(call.via, Via::Grpc { .. });
        if self.at_engine || self.hung.is_some() || self.start == Start::Go {
            return step;
        }
        self.resume(Reply::Failed(Failure::Timeout))
    }
}
