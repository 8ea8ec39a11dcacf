//! Requests that wait: for their body, or for news of work that the background does.
//!
//! A parked request is nothing but a question that is asked at every tick. What becomes of it is done by the
//! root context in the place of the stream's own, and handed over to the stream when Envoy calls it next.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;

use super::stage::Stage;
use crate::exchange::Ruling;
use crate::http::Head;

/// How often the root context ticks while requests wait.
const HURRY: Duration = Duration::from_millis(10);

/// What a parked request asks.
pub type News = Box<dyn FnMut() -> Option<Ruling>>;

/// All requests that wait, by context id.
#[derive(Default)]
pub struct Waiting {
    bodies: RefCell<HashMap<u32, (u64, Rc<Head>)>>,
    /// In the order of their coming: who came first is woken first.
    parked: RefCell<BTreeMap<u32, News>>,
    woken: RefCell<HashMap<u32, Stage>>,
    hurried: Cell<bool>,
}

impl Waiting {
    /// Waits for its body until then.
    pub fn enter(&self, id: u32, until: u64, head: Rc<Head>) {
        self.bodies.borrow_mut().insert(id, (until, head));
    }

    /// No longer.
    pub fn leave(&self, id: u32) {
        self.bodies.borrow_mut().remove(&id);
    }

    /// Whose body is overdue; they wait no longer.
    pub fn overdue(&self, now: u64) -> Vec<(u32, Rc<Head>)> {
        let mut list = Vec::new();
        self.bodies.borrow_mut().retain(|id, (until, head)| {
            let late = *until <= now;
            if late {
                list.push((*id, head.clone()));
            }
            !late
        });
        list
    }

    /// Waits for news.
    pub fn park(&self, id: u32, news: News) {
        self.parked.borrow_mut().insert(id, news);
        self.hurry();
    }

    /// The tick comes often from now on.
    pub fn hurry(&self) {
        if !self.hurried.replace(true) {
            // The period is the root context's, whichever context sets it.
            let _ = hostcalls::set_tick_period(HURRY);
        }
    }

    /// The stream is gone.
    pub fn forget(&self, id: u32) {
        self.parked.borrow_mut().remove(&id);
        self.woken.borrow_mut().remove(&id);
    }

    /// Those for whom there is news.
    pub fn news(&self) -> Vec<(u32, Ruling)> {
        let mut parked = std::mem::take(&mut *self.parked.borrow_mut());
        let mut list = Vec::new();
        parked.retain(|id, news| match news() {
            Some(ruling) => {
                list.push((*id, ruling));
                false
            }
            None => true,
        });
        self.parked.borrow_mut().extend(parked);
        list
    }

    /// True while requests wait for news.
    pub fn has_parked(&self) -> bool {
        !self.parked.borrow().is_empty()
    }

    /// True where the tick comes often.
    pub fn is_hurried(&self) -> bool {
        self.hurried.get()
    }

    /// It need not any more.
    pub fn calm_down(&self) {
        self.hurried.set(false);
    }

    /// Keeps what became of a request until its own context asks.
    pub fn keep(&self, id: u32, stage: &mut Stage) {
        match std::mem::take(stage) {
            Stage::Parked => {} // parked again
            stage => {
                self.woken.borrow_mut().insert(id, stage);
            }
        }
    }

    /// What became of a request; one whose flow waits for a call stays here, where the reply will come.
    pub fn woken(&self, id: u32) -> Option<Stage> {
        match self.woken.borrow().get(&id) {
            None | Some(Stage::Flow { .. }) => return None,
            Some(_) => {}
        }
        self.woken.borrow_mut().remove(&id)
    }

    /// The flow of a request that was woken.
    pub fn woken_flow(&self, id: u32) -> Option<Stage> {
        self.woken.borrow_mut().remove(&id)
    }

    /// Whose call this is, among those that were woken.
    pub fn called(&self, call: u32) -> Option<u32> {
        let is_its = |stage: &Stage| matches!(stage, Stage::Flow { token, .. } if *token == call);
        self.woken.borrow().iter().find(|(_, stage)| is_its(stage)).map(|(id, _)| *id)
    }
}
