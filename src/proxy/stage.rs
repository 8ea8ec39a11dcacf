//! How far a request is.

use std::rc::Rc;

use crate::exchange::{Body, Exchange, OnBody, OnResponse, Outcome, Ruling};
use crate::fault::Fault;
use crate::host::task::Task;

/// How far it is.
#[derive(Default)]
pub enum Stage {
    /// Nothing was decided.
    #[default]
    Start,
    /// Its body is read.
    Body(usize, Box<dyn FnOnce(Body) -> Ruling>),
    /// It waits for news, and the root context wakes it.
    Parked,
    /// A flow waits for a call.
    Flow { task: Task<Result<Outcome, Fault>>, exchange: Rc<Exchange>, token: u32, max: usize },
    /// The application answers, and the body decides, of which at most so many bytes are read.
    Judging(usize, OnBody),
    /// The application has it; this is for its answer.
    Passed { set_cookies: Vec<String>, on_response: Option<OnResponse> },
    /// It was answered.
    Answered,
}
