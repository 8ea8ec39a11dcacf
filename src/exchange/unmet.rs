//! What of a path's demands a session lacks.

use super::AuthnParameters;
use crate::fault::{Code, Fault};

/// A demand that a session does not meet.
pub enum Unmet {
    /// A role is missing.
    Role(Fault),
    /// A bearer token lacks a scope.
    Scope(Fault),
    /// The IdP has to authenticate the person again, or better.
    Authentication(AuthnParameters),
}

impl Unmet {
    /// It as a refusal, where nobody can be sent to the IdP.
    pub fn fault(&self) -> Fault {
        let weak = "the session was authenticated too long ago or too weakly for this path";
        match self {
            Unmet::Role(fault) | Unmet::Scope(fault) => fault.clone(),
            Unmet::Authentication(_) => Fault::new(Code::LoginRequired, weak),
        }
    }
}
