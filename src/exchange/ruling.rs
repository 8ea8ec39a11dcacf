//! What becomes of a request.

use std::future::Future;
use std::rc::Rc;

use super::{Asked, Pass};
use crate::fault::Fault;
use crate::host::task::{Ask, Task};
use crate::http::response::Answer;
use crate::http::Head;

/// What becomes of a request.
pub enum Ruling {
    /// It goes to the application, changed like this.
    Pass(Pass),
    /// The filter answers.
    Answer(Answer),
    /// A flow decides.
    Flow(Task<Result<Outcome, Fault>>, Rc<Asked>),
    /// The rules are asked anew about this request, with the session as it is by now.
    Again(Rc<Head>),
    /// It waits: asked every now and then, this says what becomes of it as soon as that is known.
    Wait(Box<dyn FnMut() -> Option<Ruling>>),
    /// The body decides: at most so many bytes of it are read.
    Body(usize, Box<dyn FnOnce(Body) -> Ruling>),
}

impl Ruling {
    /// A flow decides about this request, which it shares.
    pub fn flow<F>(asked: Rc<Asked>, flow: impl FnOnce(Ask, Rc<Asked>) -> F) -> Self
    where
        F: Future<Output = Result<Outcome, Fault>> + 'static,
    {
        let ask = asked.world.ask();
        let future = flow(ask.clone(), asked.clone());
        Ruling::Flow(Task::new(ask, future), asked)
    }
}

/// How a flow ends.
pub enum Outcome {
    /// The request goes to the application.
    Pass(Pass),
    /// The filter answers.
    Answer(Answer),
}

/// A request's body.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is larger than was asked for.
    TooLarge,
}
