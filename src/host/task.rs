//! A flow that waits for answers, as one `async fn` that never touches Envoy.
//!
//! `ask.call(request).await` leaves an outgoing [`Call`] in a slot and waits; whoever drives the [`Task`]
//! takes it out, makes the call, and resumes the task with the [`Reply`]. No wakers, no queue, one call
//! in flight, and the task dies with the stream that owns it. Natively the same flow runs against a
//! scripted list of replies.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use url::Url;

use super::clusters::Clusters;
use crate::fault::{Code, Fault};
use crate::host::Host;
use crate::http::authority;

/// The largest answer that is read unless a request says otherwise.
pub const MAX_ANSWER: usize = 1 << 20;

/// A request to an IdP or a directory, before it is routed to a cluster.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// How long to wait, in milliseconds.
    pub timeout: u64,
    /// The largest body that is read, in bytes.
    pub max_answer: usize,
    /// What the call is, for metrics and the log: `token`, `keys`, `scim`, …
    pub what: &'static str,
}

impl Request {
    /// A GET that accepts JSON.
    pub fn get(what: &'static str, url: Url, timeout: u64) -> Self {
        Self {
            method: "GET",
            url,
            headers: vec![("accept".into(), "application/json".into())],
            body: None,
            timeout,
            max_answer: MAX_ANSWER,
            what,
        }
    }

    /// A form POST that accepts JSON (RFC 6749 section 4.1.3).
    pub fn form(what: &'static str, url: Url, form: String, timeout: u64) -> Self {
        Self {
            method: "POST",
            headers: vec![
                ("accept".into(), "application/json".into()),
                ("content-type".into(), "application/x-www-form-urlencoded".into()),
            ],
            body: Some(form.into_bytes()),
            ..Self::get(what, url, timeout)
        }
    }

    /// The same with one more header; `name` in lower case.
    pub fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.into(), value));
        self
    }
}

/// An outgoing call, ready for a cluster.
#[derive(Clone, Debug)]
pub struct Call {
    /// The Envoy cluster.
    pub cluster: String,
    /// `:authority`, `:path`, … and the rest, in that order.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// Milliseconds.
    pub timeout: u64,
    /// The largest body that is read.
    pub max_answer: usize,
    /// What the call is, for metrics.
    pub what: &'static str,
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No cluster for this host is configured, or Envoy has none of that name.
    NoCluster(String),
    /// Connection refused, reset, or no healthy host.
    Unreachable,
    /// Nothing came in time.
    Timeout,
    /// The answer is larger than the request allows.
    TooLarge,
}

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A whole answer.
    Answer(Answer),
    /// None.
    Failed(Failure),
}

/// A whole answer of an IdP or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, at most `max_answer` bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).and_then(|(_, v)| std::str::from_utf8(v).ok())
    }

    /// The media type of `content-type`, in lower case, without parameters.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }
}

struct Slot {
    host: Rc<dyn Host>,
    clusters: Rc<Clusters>,
    call: RefCell<Option<Call>>,
    reply: RefCell<Option<Reply>>,
}

/// What a flow holds to ask the outside: outgoing calls, time, randomness, shared data.
#[derive(Clone)]
pub struct Io(Rc<Slot>);

impl Io {
    /// For one task. Clones share the slot, so only one call can wait at a time.
    pub fn new(host: Rc<dyn Host>, clusters: Rc<Clusters>) -> Self {
        Self(Rc::new(Slot { host, clusters, call: RefCell::new(None), reply: RefCell::new(None) }))
    }

    /// The surroundings.
    pub fn host(&self) -> &dyn Host {
        &*self.0.host
    }

    /// Milliseconds since 1970 UTC, now.
    pub fn now(&self) -> u64 {
        self.0.host.now()
    }

    /// Sends the request through its cluster and waits for the reply.
    pub async fn call(&self, request: Request) -> Reply {
        let authority = authority(&request.url);
        let Some(cluster) = self.0.clusters.resolve(&request.url) else {
            return Reply::Failed(Failure::NoCluster(authority));
        };
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
        ];
        headers.extend(request.headers);
        *self.0.call.borrow_mut() = Some(Call {
            cluster,
            headers,
            body: request.body,
            timeout: request.timeout,
            max_answer: request.max_answer,
            what: request.what,
        });
        let slot = self.0.clone();
        std::future::poll_fn(move |_| match slot.reply.borrow_mut().take() {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        })
        .await
    }
}

/// What a task does next.
pub enum Step<T> {
    /// It waits for this call.
    Call(Call),
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

    /// Runs it until it waits for its first call or is done.
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
            Poll::Pending => match self.io.0.call.borrow_mut().take() {
                Some(call) => Step::Call(call),
                // Only `Io::call` waits, so a flow that waits for nothing is a defect: refuse it.
                None => Step::Done(Err(Fault::new(Code::NotReady, "a flow waits for nothing"))),
            },
        }
    }
}

/// One piece of work.
pub struct BackgroundTask {
    /// The flow.
    pub task: Task<Result<(), Fault>>,
    /// The provider it is for.
    pub provider: String,
    /// The largest answer its present call may bring.
    pub max_answer: usize,
    /// A request left it here: it speaks for itself when it is done.
    pub is_errand: bool,
}

impl BackgroundTask {
    /// Work that a request leaves here and waits for.
    pub fn errand(task: Task<Result<(), Fault>>, provider: String) -> Self {
        Self { task, provider, max_answer: 0, is_errand: true }
    }
}
