//! Why a message is refused.

use super::signature::Problem;
use crate::fault::{Code, Fault};

/// A refusal, and whether new metadata could change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For the person, and in `detail` for the operator.
    pub fault: Fault,
    /// Well signed by a key that is not configured: the IdP may have rolled over.
    pub unknown_key: bool,
}

impl Refused {
    /// With another code than `assertion_invalid`.
    pub fn with(code: Code, detail: impl Into<String>) -> Self {
        Self { fault: Fault::new(code, detail), unknown_key: false }
    }
}

impl From<String> for Refused {
    fn from(detail: String) -> Self {
        Self::with(Code::AssertionInvalid, detail)
    }
}

impl From<&str> for Refused {
    fn from(detail: &str) -> Self {
        Self::with(Code::AssertionInvalid, detail)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused(why) => why.into(),
            Problem::UnknownKey(why) => Self { unknown_key: true, ..why.into() },
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, unknown_key: false }
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        refused.fault
    }
}
