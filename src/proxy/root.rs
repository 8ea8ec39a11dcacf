//! The root context: loads the configuration, keeps discovery documents and keys fresh, and ends the
//! wait of requests whose body never comes.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use super::calls;
use super::engine::{self, Engine};
use super::filter::{self, Filter};
use super::host::EnvoyHost;
use super::stage::Stage;
use super::streams::{self, Streams};
use super::waiting::Waiting;
use crate::config::{Loaded, ProcessEnvironment};
use crate::fault::Fault;
use crate::host::events;
use crate::host::task::{BackgroundTask, Lane, Ready, Reply, Start, Step};
use crate::host::Host;
use crate::state::background::{self, Turns};
use crate::state::FilterState;

thread_local! {
    /// What this worker has loaded before: a live update comes to a new root context of the same VM.
    static LOADED: Loaded = Loaded::default();
}

/// How often background work is looked for.
const TICK: Duration = Duration::from_millis(500);

/// Refreshes of documents under way at once in one worker: a thousand accounts take turns.
const MAX_REFRESHES: usize = 8;

/// A refresh that has been under way for so long, in milliseconds, does not count: a provider that hangs holds up no
/// other's documents.
const SLOW: u64 = 1_000;

/// One worker's root context.
#[derive(Default)]
pub struct Root {
    id: u32,
    filter_state: Option<Rc<FilterState>>,
    host: Rc<EnvoyHost>,
    waiting: Rc<Waiting>,
    streams: Rc<Streams>,
    /// By the call that they wait for, with the largest answer.
    calling: HashMap<u32, (BackgroundTask, usize)>,
    /// Those that wait for something else.
    sleeping: Vec<(BackgroundTask, Ready)>,
    /// Refreshes under way: account, provider, and since when.
    refreshing: Vec<(Lane, u64)>,
    /// The engine that several Envoys share.
    engine: Option<Engine>,
    turns: Turns,
    /// How often the tick comes, but for hurry.
    period: Duration,
    /// When documents were last looked at.
    looked: u64,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        self.answered(token, |max| calls::reply(headers, body, max));
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        let follows = match (&mut self.engine, &self.filter_state) {
            (Some(engine), Some(filter_state)) => engine.answered(&filter_state.clone(), token, status, size),
            _ => false,
        };
        if !follows {
            self.answered(token, |max| engine::reply(status, size, max));
        }
    }

    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        if let (Some(engine), Some(filter_state)) = (&mut self.engine, &self.filter_state) {
            if engine.has_stream(token) {
                engine.message(&filter_state.clone(), size);
            }
        }
    }

    fn on_grpc_stream_close(&mut self, token: u32, _status: u32) {
        if let (Some(engine), Some(filter_state)) = (&mut self.engine, &self.filter_state) {
            if engine.has_stream(token) {
                engine.closed(&filter_state.clone());
            }
        }
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        true
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let bytes = match size {
            0 => Vec::new(),
            size => hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
                .ok()
                .flatten()
                .unwrap_or_default(),
        };
        match LOADED.with(|loaded| loaded.load(bytes, &ProcessEnvironment)) {
            Ok(config) => {
                let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
                events::configuration(&*self.host, config.accounts.len(), &[], &warnings);
                let filter_state = Rc::new(FilterState::new(self.host.clone(), config));
                self.engine = Engine::new(&filter_state, &self.host);
                self.filter_state = Some(filter_state);
                self.resettle();
                self.set_period(TICK);
                if self.engine.is_some() {
                    // The engine is read before the first request comes.
                    self.waiting.hurry();
                }
                true
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                events::configuration(&*self.host, 0, &problems, &[]);
                // Envoy refuses the configuration; where it went on with this context nevertheless,
                // every request would get 503 `not_ready`: there is no world to rule in.
                self.filter_state = None;
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let now = self.host.now();
        for (id, head) in self.waiting.overdue(now) {
            filter::give_up(id, &head);
        }
        let Some(filter_state) = self.filter_state.clone() else { return };
        if let Some(engine) = &mut self.engine {
            engine.tick(&filter_state);
        }
        self.wake_sleepers();
        self.begin_waiting(&filter_state);
        self.bring_news();
        // What was woken may have left something new.
        self.begin_waiting(&filter_state);
        self.set_pace(&filter_state);
        self.resettle();
        self.streams.sweep(&*self.host, &filter_state.config.session);
        if now.saturating_sub(self.looked) >= TICK.as_millis() as u64 {
            self.looked = now;
            self.refresh_documents(&filter_state, now);
        }
    }

    #[inline]
    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(self.filter(id)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    /// Takes on what administrators have set since, for the next request of every connection.
    fn resettle(&mut self) {
        let next = self.filter_state.as_ref().and_then(|filter_state| filter_state.resettled());
        if let Some(next) = next {
            self.filter_state = Some(Rc::new(next));
            self.turns.restart();
        }
    }

    /// The one of this id.
    pub fn new(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    /// The reply to a call of a request that was woken here, or of background work.
    fn answered(&mut self, token: u32, read: impl FnOnce(usize) -> Reply) {
        if let Some((id, mut filter)) = self.waiting.called(token).and_then(|id| Some((id, self.woken(id)?)))
        {
            // The reply belongs to the stream's context, as the call did.
            if hostcalls::set_effective_context(id).is_ok() {
                filter.answered(token, read);
                self.waiting.keep(id, &mut filter.stage);
            }
            return;
        }
        let Some((mut background_task, max)) = self.calling.remove(&token) else { return };
        let step = background_task.resume(read(max));
        self.go_on(background_task, step);
    }

    /// Begins what waits for its turn in the background.
    fn begin_waiting(&mut self, filter_state: &FilterState) {
        loop {
            let next = filter_state.outside.background().borrow_mut().next(self.host.now());
            let Some((mut background_task, start)) = next else { return };
            let step = background_task.begin(start);
            self.go_on(background_task, step);
        }
    }

    /// Goes on with background work that has waited long enough.
    fn wake_sleepers(&mut self) {
        for (mut background_task, mut ready) in std::mem::take(&mut self.sleeping) {
            if ready() {
                let step = background_task.wake();
                self.go_on(background_task, step);
            } else {
                self.sleeping.push((background_task, ready));
            }
        }
    }

    /// Keeps discovery documents, keys and metadata fresh, account by account.
    fn refresh_documents(&mut self, filter_state: &Rc<FilterState>, now: u64) {
        let accounts = &filter_state.account_states;
        let quick = |refreshing: &[(Lane, u64)]| {
            refreshing.iter().filter(|(_, since)| now.saturating_sub(*since) < SLOW).count()
        };
        for _ in 0..self.turns.share(accounts.len()) {
            if quick(&self.refreshing) >= MAX_REFRESHES {
                return;
            }
            let Some(account_state) = accounts.get(self.turns.next(accounts.len())).cloned() else {
                continue;
            };
            for mut background_task in background::due(filter_state, &account_state, now) {
                if self.refreshing.iter().any(|(lane, _)| *lane == background_task.lane) {
                    continue;
                }
                self.refreshing.push((background_task.lane.clone(), now));
                let step = background_task.begin(Start::Go);
                self.go_on(background_task, step);
            }
        }
    }

    /// Wakes the requests that waited for what is known by now.
    fn bring_news(&mut self) {
        for (id, ruling) in self.waiting.news() {
            let mut filter = self.filter(id);
            if hostcalls::set_effective_context(id).is_ok() {
                filter.news(ruling);
                self.waiting.keep(id, &mut filter.stage);
            }
        }
    }

    fn set_period(&mut self, period: Duration) {
        self.period = period;
        let _ = hostcalls::set_tick_period(period);
    }

    /// While requests wait, the tick comes often.
    fn set_pace(&mut self, filter_state: &FilterState) {
        let is_busy = self.waiting.has_parked()
            || !self.sleeping.is_empty()
            || self.engine.as_ref().is_some_and(Engine::is_starting)
            || !filter_state.outside.background().borrow().is_empty();
        if is_busy {
            return self.waiting.hurry();
        }
        let is_watched = !self.streams.is_empty();
        let period = if is_watched { streams::PERIOD } else { TICK };
        if self.streams.watch(is_watched) || self.waiting.is_hurried() || self.period != period {
            self.waiting.calm_down();
            self.set_period(period);
        }
    }

    #[inline]
    fn filter(&self, id: u32) -> Filter {
        Filter {
            id,
            root: self.id,
            filter_state: self.filter_state.clone(),
            host: self.host.clone(),
            waiting: self.waiting.clone(),
            streams: self.streams.clone(),
            stage: Stage::Start,
        }
    }

    /// A request that was woken and makes calls of its own.
    fn woken(&self, id: u32) -> Option<Filter> {
        let mut filter = self.filter(id);
        filter.stage = self.waiting.woken_flow(id)?;
        Some(filter)
    }

    fn go_on(&mut self, mut background_task: BackgroundTask, mut step: Step<Result<(), Fault>>) {
        loop {
            step = match step {
                Step::Done(result) => return self.done(background_task, result),
                Step::Wait(ready) => return self.sleeping.push((background_task, ready)),
                Step::Call(call) => match calls::dispatch(&call) {
                    Ok(token) => {
                        self.calling.insert(token, (background_task, call.max_answer));
                        return;
                    }
                    Err(reply) => background_task.resume(reply),
                },
            }
        }
    }

    fn done(&mut self, background_task: BackgroundTask, result: Result<(), Fault>) {
        let BackgroundTask { lane, provider, start, hung, .. } = background_task;
        match provider {
            Some(provider) => {
                self.refreshing.retain(|(own, _)| *own != lane);
                events::refreshed(&*self.host, &provider, result.err().as_ref());
            }
            None => {
                if let Some(filter_state) = &self.filter_state {
                    let mut lanes = filter_state.outside.background().borrow_mut();
                    lanes.done(&lane, start, hung, self.host.now());
                }
            }
        }
    }
}
