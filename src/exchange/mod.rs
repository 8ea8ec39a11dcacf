//! One request and what becomes of it: the words that the gate and every flow share.

mod asked;
pub mod challenge;
mod demands;
mod extras;
mod pass;
pub mod return_to;
mod ruling;

pub use asked::Asked;
pub use demands::{refuse, step_up_target, unmet, Unmet};
pub use extras::Extras;
pub use pass::{OnResponse, Pass};
pub use ruling::{Body, Outcome, Ruling};
