//! What of a path's demands a session lacks.

use super::AuthnParameters;
use crate::fault::{Code, Fault};

/// A demand that a session does not meet.
pub enum Unmet {
    /// A role is missing.
    Role(Fault),
    /// A bearer token lacks a scope.
    Scope(Fault),
    /// A condition does not hold.
    Condition(Fault),
    /// The session was opened before a condition was configured: signing in again tells whether it holds.
    Unknown,
    /// The IdP has to authenticate the person again, or better.
    Authentication(AuthnParameters),
}

impl Unmet {
    /// It as a refusal, if the request cannot be sent to the IdP.
    pub fn fault(&self) -> Fault {
        let weak = "the session was authenticated too long ago or too weakly for this path";
        match self {
            Unmet::Role(fault) | Unmet::Scope(fault) | Unmet::Condition(fault) => fault.clone(),
            Unmet::Unknown => Fault::new(
                Code::LoginRequired,
                "the session was opened before a condition of this path was configured",
            ),
            Unmet::Authentication(_) => Fault::new(Code::LoginRequired, weak),
        }
    }

    /// What to ask the provider for, if a login can help.
    pub fn parameters(&self) -> Option<AuthnParameters> {
        match self {
            Unmet::Role(_) | Unmet::Scope(_) | Unmet::Condition(_) => None,
            Unmet::Unknown => Some(AuthnParameters::default()),
            Unmet::Authentication(parameters) => Some(parameters.clone()),
        }
    }
}
