//! What becomes of a request.

use std::future::Future;
use std::rc::Rc;

use super::{Exchange, Pass};
use crate::fault::Fault;
use crate::host::task::{Io, Task};
use crate::http::response::Response;
use crate::http::Head;

/// What becomes of a request.
pub enum Ruling {
    /// It goes to the application, changed like this.
    Pass(Pass),
    /// The filter answers.
    LocalReply(Response),
    /// A flow decides.
    Flow(Task<Result<Outcome, Fault>>, Rc<Exchange>),
    /// The rules are asked anew about this request, with the session as it is by now.
    Again(Rc<Head>),
    /// It waits: asked every now and then, this says what becomes of it as soon as that is known.
    Wait(Box<dyn FnMut() -> Option<Ruling>>),
    /// The body decides: at most so many bytes of it are read.
    Body(usize, Box<dyn FnOnce(Body) -> Ruling>),
}

impl Ruling {
    /// A flow decides about this request, which it shares.
    pub fn flow<F>(exchange: Rc<Exchange>, flow: impl FnOnce(Io, Rc<Exchange>) -> F) -> Self
    where
        F: Future<Output = Result<Outcome, Fault>> + 'static,
    {
        let io = exchange.io();
        let future = flow(io.clone(), exchange.clone());
        Ruling::Flow(Task::new(io, future), exchange)
    }
}

/// How a flow ends.
pub enum Outcome {
    /// The request goes to the application.
    Pass(Pass),
    /// The filter answers.
    LocalReply(Response),
    /// The rules are asked anew about this request, with the session as it is by now.
    Again(Rc<Head>),
}

/// A request's body.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is larger than was asked for.
    TooLarge,
}
