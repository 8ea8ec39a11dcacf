//! One request and what becomes of it: the words that the gate and every flow share.
//!
//! - [`Exchange`]: the request with its account and time. It builds refusals, and the way back to this very URL.
//! - [`Ruling`], [`Outcome`]: pass it on, answer it, read its body, start a flow, wait.
//! - [`Pass`]: how a request that passes is changed.
//! - [`Unmet`], [`refuse`]: what of a path's demands a session lacks, and what its client is told.
//! - [`return_to`]: where a login may lead. Only paths of the own origin, rebuilt and not echoed.
//!
//! Invariant: URLs are made of configured origins, never of what a client sent. A refusal is logged once, where it is made.

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
