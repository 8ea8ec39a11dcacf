//! Requests whose ruling needs what the other Envoys know, while this one does not know it: they wait for the first read
//! of the shared engine, and under `on_outage: closed` they are refused while it is away.

use std::rc::Rc;

use crate::config::Endpoint;
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login::ticket;
use crate::state::{FilterState, SessionState};

/// True where such a request has to be held: [`hold`]. Without `shared` it costs nothing, with it a comparison.
#[inline]
pub fn is_unsure(filter_state: &FilterState, now: u64) -> bool {
    let unsure = |replicas: &Rc<crate::replicas::Replicas>| {
        let host = &*filter_state.host;
        replicas.is_starting(host, now) || replicas.is_closed(host, now)
    };
    filter_state.replicas.as_ref().is_some_and(unsure)
}

/// True where the endpoint opens a session or answers to one.
pub fn concerns(exchange: &Exchange, endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::OidcCallback | Endpoint::SamlCallback => true,
        Endpoint::Login => ticket::in_query(exchange).is_some(),
        Endpoint::Session | Endpoint::Admin | Endpoint::Invitation => {
            matches!(exchange.session_state(), SessionState::Valid(_))
        }
        _ => false,
    }
}

/// The request waits for the first read, or is refused.
#[cold]
pub fn hold(exchange: Rc<Exchange>) -> Ruling {
    let filter_state = exchange.filter_state.clone();
    let now = exchange.now;
    let Some(replicas) =
        filter_state.replicas.clone().filter(|replicas| replicas.is_starting(&*filter_state.host, now))
    else {
        let detail = "this Envoy does not know what the others know: the shared engine is away, or was until a moment \
                      ago (on_outage: closed)";
        return Ruling::LocalReply(exchange.refuse(&Fault::new(Code::NotReady, detail)));
    };
    let until = now.saturating_add(replicas.settings.timeout);
    Ruling::Wait(Box::new(move || {
        let now = filter_state.host.now();
        if replicas.is_starting(&*filter_state.host, now) {
            if now < until {
                return None;
            }
            replicas.give_up_waiting();
        }
        Some(Ruling::Again(exchange.head.clone()))
    }))
}
