//! One request and what becomes of it: the words that the gate and every flow share.

mod authn_parameters;
pub mod challenge;
mod context;
mod demands;
mod pass;
pub mod return_to;
mod ruling;
mod unmet;

pub use authn_parameters::{Asked, AuthnParameters, Trial};
pub use context::Exchange;
pub use demands::{refuse, step_up_target, unmet};
pub use pass::{AnswerBody, OnBody, OnResponse, Pass, Verdict};
pub use ruling::{Body, Outcome, Ruling};
pub use unmet::Unmet;
