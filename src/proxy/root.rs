//! The root context: loads the configuration, keeps discovery documents and keys fresh, and ends the
//! wait of requests whose body never comes.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use super::filter::{self, Filter};
use super::host::EnvoyHost;
use super::stage::Stage;
use super::waiting::Waiting;
use crate::config::{self, ProcessEnvironment};
use crate::host::events;
use crate::host::task::BackgroundTask;
use crate::host::task::Step;
use crate::host::Host;
use crate::state::background;
use crate::state::FilterState;

/// How often background work is looked for.
const TICK: Duration = Duration::from_millis(500);

/// Background fetches under way at once in one worker: a thousand accounts take turns.
const MAX_CHORES: usize = 8;

/// Renewals of sessions under way at once in one worker, for requests that may be waiting for them.
const MAX_ERRANDS: usize = 64;

/// One worker's root context.
#[derive(Default)]
pub struct Root {
    id: u32,
    filter_state: Option<Rc<FilterState>>,
    host: Rc<EnvoyHost>,
    waiting: Rc<Waiting>,
    background_tasks: HashMap<u32, (BackgroundTask, u64, &'static str)>,
    next: usize,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Some((id, mut filter)) = self.waiting.called(token).and_then(|id| Some((id, self.woken(id)?)))
        {
            // The reply belongs to the stream's context, as the call did.
            if hostcalls::set_effective_context(id).is_ok() {
                filter.answered(token, headers, body);
                self.waiting.keep(id, &mut filter.stage);
            }
            return;
        }
        let Some((mut background_task, sent, what)) = self.background_tasks.remove(&token) else { return };
        let (reply, status) = filter::reply(headers, body, background_task.max_answer);
        events::call(&*self.host, what, status, self.host.now().saturating_sub(sent));
        let step = background_task.task.resume(reply);
        self.go_on(background_task, step);
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
        match config::load(&bytes, &ProcessEnvironment) {
            Ok(config) => {
                let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
                events::configuration(&*self.host, config.accounts.len(), &[], &warnings);
                self.filter_state = Some(Rc::new(FilterState::new(self.host.clone(), config)));
                let _ = hostcalls::set_tick_period(TICK);
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
        self.run_errands(&filter_state);
        self.bring_news();
        self.set_pace(&filter_state);
        let mut looked = 0;
        while self.background_tasks.len() < MAX_CHORES && looked < filter_state.account_states.len() {
            let account_state =
                filter_state.account_states.get(self.next % filter_state.account_states.len()).cloned();
            self.next = self.next.wrapping_add(1);
            looked += 1;
            let Some(account_state) = account_state else { continue };
            for mut background_task in background::due(&filter_state, &account_state, now) {
                let step = background_task.task.start();
                self.go_on(background_task, step);
            }
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
    /// The one of this id.
    pub fn new(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    /// Does what requests have left to the background.
    fn run_errands(&mut self, filter_state: &FilterState) {
        while self.background_tasks.len() < MAX_ERRANDS {
            let Some(mut background_task) = filter_state.background_tasks.borrow_mut().pop() else { break };
            let step = background_task.task.start();
            self.go_on(background_task, step);
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

    /// While requests wait, the tick comes often.
    fn set_pace(&self, filter_state: &FilterState) {
        if self.waiting.is_hurried()
            && !self.waiting.has_parked()
            && filter_state.background_tasks.borrow().is_empty()
        {
            self.waiting.calm_down();
            let _ = hostcalls::set_tick_period(TICK);
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
            stage: Stage::Start,
        }
    }

    /// A request that was woken and makes calls of its own.
    fn woken(&self, id: u32) -> Option<Filter> {
        let mut filter = self.filter(id);
        filter.stage = self.waiting.woken_flow(id)?;
        Some(filter)
    }

    fn go_on(&mut self, mut background_task: BackgroundTask, step: Step<Result<(), crate::fault::Fault>>) {
        match step {
            Step::Done(_) if background_task.is_errand => {}
            Step::Done(result) => {
                events::refreshed(&*self.host, &background_task.provider, result.err().as_ref())
            }
            Step::Call(call) => match filter::dispatch(&call) {
                Ok(token) => {
                    background_task.max_answer = call.max_answer;
                    self.background_tasks.insert(token, (background_task, self.host.now(), call.what));
                }
                Err(reply) => {
                    let step = background_task.task.resume(reply);
                    self.go_on(background_task, step);
                }
            },
        }
    }
}
