//! An attempt at a password: counted here and, with `shared`, over all Envoys.

use std::rc::Rc;

use crate::config::AttemptLimit;
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::host::events;
use crate::host::task::Io;
use crate::host::Level;
use crate::password::attempts::{self, CountedBy};
use crate::replicas::attempts::Counted;
use crate::replicas::Replicas;
use crate::state::sharing;

/// An attempt under way.
pub(super) struct Attempt {
    here: attempts::Attempt,
    everywhere: Option<(Rc<Replicas>, Counted)>,
}

impl Attempt {
    /// Counts it, or refuses it with `too_many_attempts`. With the engine away this Envoy counts alone; an answer that is
    /// only late refuses it with `not_ready`.
    pub(super) async fn begin(
        io: &Io,
        exchange: &Exchange,
        account: &str,
        by: &CountedBy,
        limit: AttemptLimit,
    ) -> Result<Self, Fault> {
        let here = attempts::begin(io.host(), account, by, limit)?;
        let Some(replicas) = exchange.filter_state.replicas.clone() else {
            return Ok(Self { here, everywhere: None });
        };
        let (kind, content) = by.parts();
        let parts = [account.as_bytes(), kind.as_bytes(), &content];
        let counted = replicas.attempt(io.host(), &parts, limit.window)?;
        let answer = replicas.count_attempt(io, &counted).await;
        let attempt = Self { here, everywhere: Some((replicas.clone(), counted)) };
        let fault = match answer {
            Ok(count) if count <= u64::from(limit.limit.max(1)) => return Ok(attempt),
            Ok(_) => {
                let detail = format!("too many failed password logins {by}, over all Envoys");
                Fault::new(Code::TooManyAttempts, detail)
            }
            Err(away) if replicas.must_be_counted(io.host(), io.now(), &away) => Fault::from(away),
            Err(away) => {
                let reason = format!("a password login is counted on this Envoy alone: {}", away.detail);
                events::notice(io.host(), exchange.place(), Level::Warn, &reason);
                return Ok(attempt);
            }
        };
        // It does not reach the application, and so is not a failure.
        attempt.withdrawn(exchange);
        Err(fault)
    }

    /// The application accepted the password: the name starts anew.
    pub(super) fn succeeded(self, exchange: &Exchange) {
        self.here.succeeded(&*exchange.filter_state.host);
        delete(exchange, self.everywhere, Replicas::forget_attempts);
    }

    /// The application judged no password: it was not a guess.
    pub(super) fn withdrawn(self, exchange: &Exchange) {
        self.here.withdrawn(&*exchange.filter_state.host);
        delete(exchange, self.everywhere, Replicas::withdraw_attempt);
    }
}

fn delete(exchange: &Exchange, counted: Option<(Rc<Replicas>, Counted)>, how: fn(&Replicas, u64, Counted)) {
    let Some((replicas, counted)) = counted else { return };
    how(&replicas, exchange.filter_state.host.now(), counted);
    sharing::delete_attempts(&exchange.filter_state);
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
