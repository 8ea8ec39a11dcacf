//! The engine that several Envoys share, from Envoy's side: gRPC calls and the one stream, nothing else. What is said
//! and what follows from it is decided in `replicas::follow`.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, Status};

use super::host::EnvoyHost;
use crate::host::events;
use crate::host::task::{Answer, Call, Failure, Reply, Via};
use crate::host::{random, Host, Level};
use crate::replicas::etcd::{self, WATCH};
use crate::replicas::follow::{Action, Follower, Known, Question};
use crate::replicas::status::Status as InStep;
use crate::replicas::{outbox, Replicas};
use crate::state::{sharing, FilterState};
use crate::values::json;

/// A worker that follows the engine says so this often at least, else another one does it.
const ROLE: u64 = 3_000;
/// How often the numbers of `/stats` are set, in milliseconds.
const COUNTED: u64 = 1_000;

/// What one worker has to do with the engine.
pub struct Engine {
    replicas: Rc<Replicas>,
    host: Rc<EnvoyHost>,
    /// Who this worker is among those that would follow.
    name: [u8; 8],
    /// While this worker follows.
    follower: Option<Follower>,
    stream: Option<u32>,
    asked: HashMap<u32, (Question, &'static str)>,
    counted: u64,
}

impl Engine {
    /// For this configuration, if it has one.
    pub fn new(filter_state: &FilterState, host: &Rc<EnvoyHost>) -> Option<Self> {
        let replicas = filter_state.replicas.clone()?;
        let name = random::<8>(&**host).unwrap_or_default();
        Some(Self {
            replicas,
            host: host.clone(),
            name,
            follower: None,
            stream: None,
            asked: HashMap::new(),
            counted: 0,
        })
    }

    /// True until everything was read once: then time is precious.
    pub fn is_starting(&self) -> bool {
        self.replicas.is_starting(&*self.host, self.host.now())
    }

    /// Time passes.
    pub fn tick(&mut self, filter_state: &Rc<FilterState>) {
        let now = self.host.now();
        if let Some(replicas) = &filter_state.replicas {
            // New settings of an account make a new state.
            self.replicas = replicas.clone();
        }
        self.count(now);
        sharing::delete_attempts(filter_state);
        if !self.take_role(now) {
            if self.follower.take().is_some() {
                self.cancel();
            }
            return;
        }
        if self.follower.is_none() {
            let (known, _) = self.host.shared_get(&self.key("known"));
            let known = Known::read(&known.unwrap_or_default());
            let settings = &self.replicas.settings;
            self.follower = Some(Follower::new(self.replicas.keys.clone(), settings.timeout, known));
        }
        self.run(filter_state, |follower| follower.tick(now));
        if self.follower.as_ref().is_some_and(Follower::is_open) && !self.replicas.is_busy() {
            match outbox::is_restore_asked(&*self.host) {
                true => sharing::restore(filter_state),
                false if self.replicas.is_to_reseal(&*self.host) => sharing::reseal(filter_state),
                false if outbox::all(&*self.host, 0).is_empty() => {}
                false => sharing::deliver(filter_state),
            }
        }
    }

    /// True where the token is the stream's.
    pub fn has_stream(&self, token: u32) -> bool {
        self.stream == Some(token)
    }

    /// A message came on the stream.
    pub fn message(&mut self, filter_state: &Rc<FilterState>, size: usize) {
        let now = self.host.now();
        let Some(bytes) = buffer(size, etcd::MAX_ANSWER) else {
            self.cancel();
            return self.run(filter_state, |follower| follower.closed(now));
        };
        self.run(filter_state, |follower| follower.told(now, &bytes));
    }

    /// The stream ended.
    pub fn closed(&mut self, filter_state: &Rc<FilterState>) {
        self.stream = None;
        let now = self.host.now();
        self.run(filter_state, |follower| follower.closed(now));
    }

    /// A call was answered; false where it is none of the follower's.
    pub fn answered(&mut self, filter_state: &Rc<FilterState>, token: u32, status: u32, size: usize) -> bool {
        let Some((question, what)) = self.asked.remove(&token) else { return false };
        let now = self.host.now();
        events::shared_call(&*self.host, what, status);
        let bytes = if status == 0 { buffer(size, etcd::MAX_ANSWER) } else { None };
        let fresh = random::<16>(&*self.host).unwrap_or_default();
        self.run(filter_state, |follower| follower.answered(now, question, bytes.as_deref(), &fresh));
        true
    }

    fn run(&mut self, filter_state: &Rc<FilterState>, step: impl FnOnce(&mut Follower) -> Vec<Action>) {
        let Some(follower) = &mut self.follower else { return };
        let mut actions: std::collections::VecDeque<Action> = step(follower).into();
        while let Some(action) = actions.pop_front() {
            let more = self.act(filter_state, action);
            // What follows from an action comes before the actions after it.
            more.into_iter().rev().for_each(|action| actions.push_front(action));
        }
    }

    fn act(&mut self, filter_state: &Rc<FilterState>, action: Action) -> Vec<Action> {
        let now = self.host.now();
        match action {
            Action::Open => {
                let (service, method) = WATCH;
                let upstream = upstream(&self.replicas.settings.cluster);
                self.cancel();
                self.stream = hostcalls::open_grpc_stream(&upstream, service, method, Vec::new()).ok();
                let is_open = self.stream.is_some();
                return self
                    .follower
                    .as_mut()
                    .map_or_else(Vec::new, |follower| follower.opened(now, is_open));
            }
            Action::Send(message) => {
                let sent = self
                    .stream
                    .map(|token| hostcalls::send_grpc_stream_message(token, Some(&message), false));
                if !matches!(sent, Some(Ok(()))) {
                    return self.follower.as_mut().map_or_else(Vec::new, |follower| follower.closed(now));
                }
            }
            Action::Cancel => self.cancel(),
            Action::Ask(question, method, message) => {
                let settings = &self.replicas.settings;
                let call = etcd::call(&settings.cluster, method, message, settings.timeout);
                match dispatch(&call) {
                    Ok(token) => {
                        self.asked.insert(token, (question, call.what));
                    }
                    Err(_) => {
                        let answered = |follower: &mut Follower| follower.answered(now, question, None, &[]);
                        return self.follower.as_mut().map_or_else(Vec::new, answered);
                    }
                }
            }
            Action::Lost => self.host.log(Level::Warn, &notice("the shared engine was emptied or set back")),
            Action::Apply(values) => filter_state.take_in(&self.replicas, values),
            Action::Restore => outbox::ask_to_restore(&*self.host),
            Action::InStep(asked) => self.in_step(asked, now),
            Action::Failed => {
                let mut status = self.replicas.status(&*self.host);
                status.failed = now;
                status.write(&*self.host, self.replicas.tag());
            }
        }
        Vec::new()
    }

    fn in_step(&mut self, asked: u64, now: u64) {
        let settings = &self.replicas.settings;
        let mut status: InStep = self.replicas.status(&*self.host);
        status.proven(asked, now, settings.stale, settings.settle);
        status.write(&*self.host, self.replicas.tag());
        if let Some(follower) = &self.follower {
            self.host.shared_set(&self.key("known"), &follower.known().write(), None);
        }
    }

    /// True while this worker is the one of this Envoy that follows: of all that ask, the first by compare-and-swap.
    fn take_role(&self, now: u64) -> bool {
        let key = self.key("role");
        let (value, cas) = self.host.shared_get(&key);
        if let Some((name, until)) = value.as_deref().and_then(|value| value.split_first_chunk::<8>()) {
            let until = <[u8; 8]>::try_from(until).map_or(0, u64::from_le_bytes);
            // A time far ahead is a clock that was set back.
            if *name != self.name && now < until && until.saturating_sub(now) <= ROLE {
                return false;
            }
        }
        let mut own = self.name.to_vec();
        own.extend(now.saturating_add(ROLE).to_le_bytes());
        self.host.shared_set(&key, &own, cas)
    }

    fn count(&mut self, now: u64) {
        if now.saturating_sub(self.counted) < COUNTED {
            return;
        }
        self.counted = now;
        self.host.gauge("sso_shared_lag_ms", self.replicas.lag(&*self.host, now));
        self.host.gauge("sso_shared_outbox", outbox::all(&*self.host, 0).len() as u64);
    }

    fn key(&self, what: &str) -> String {
        format!("sso.shared.{}.{what}", self.replicas.tag())
    }

    fn cancel(&mut self) {
        if let Some(token) = self.stream.take() {
            let _ = hostcalls::cancel_grpc_stream(token);
        }
    }
}

impl Drop for Engine {
    /// Another root context takes over at once, such as the one of a new configuration.
    fn drop(&mut self) {
        if self.follower.take().is_some() {
            self.cancel();
            self.host.shared_set(&self.key("role"), &[], None);
        }
    }
}

fn notice(reason: &str) -> String {
    json::text(&serde_json::json!({ "event": "notice", "reason": reason }))
}

/// Envoy reads the name of a gRPC upstream as a serialised GrpcService message first, and a short cluster name can be
/// one: of a kind that aborts the process. The message itself is never taken for anything else.
fn upstream(cluster: &str) -> String {
    let length = cluster.len().min(120) as u8;
    format!("\n{}\n{}{cluster}", char::from(length + 2), char::from(length))
}

/// Makes a gRPC call; why not, where Envoy does not take it.
pub fn dispatch(call: &Call) -> Result<u32, Reply> {
    let Via::Grpc { service, method } = call.via else { return Err(Reply::Failed(Failure::Unreachable)) };
    let timeout = Duration::from_millis(call.timeout);
    let upstream = upstream(&call.cluster);
    hostcalls::dispatch_grpc_call(&upstream, service, method, Vec::new(), call.body.as_deref(), timeout)
        .map_err(|status| match status {
            Status::ParseFailure => {
                Reply::Failed(Failure::NoCluster(format!("Envoy has no cluster named {}", call.cluster)))
            }
            _ => Reply::Failed(Failure::Unreachable),
        })
}

/// Copies the answer of a gRPC call out of its callback.
pub fn reply(status: u32, size: usize, max: usize) -> Reply {
    match (status, size > max) {
        (0, false) => match buffer(size, max) {
            Some(body) => Reply::Answer(Answer { status: 200, headers: Vec::new(), body }),
            None => Reply::Failed(Failure::Unreachable),
        },
        (0, true) => Reply::Failed(Failure::TooLarge),
        (status, _) => Reply::Failed(Failure::Grpc(status)),
    }
}

fn buffer(size: usize, max: usize) -> Option<Vec<u8>> {
    match size {
        0 => Some(Vec::new()),
        size if size > max => None,
        size => hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, size).ok().flatten(),
    }
}
