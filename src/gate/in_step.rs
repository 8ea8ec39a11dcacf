//! Requests whose ruling needs what the other Envoys know, while this one does not know it: they wait for the first read
//! of the shared engine, and under `on_outage: closed` they are refused while it is away.

use std::rc::Rc;

use crate::config::Endpoint;
use crate::exchange::{Body, Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login::ticket;
use crate::http::Head;
use crate::proto::saml;
use crate::replicas::Replicas;
use crate::state::{FilterState, SessionState};

/// True where such a request has to be held: [`hold`]. Without `shared` it costs nothing, with it a comparison.
#[inline]
pub fn is_unsure(filter_state: &FilterState, now: u64) -> bool {
    let unsure = |replicas: &Rc<Replicas>| {
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

/// The largest body that anything asks for that is held.
const MAX_BODY: usize = saml::bindings::MAX_FORM;

/// The request waits for the first read, or is refused.
#[cold]
pub fn hold(exchange: Rc<Exchange>) -> Ruling {
    match starting(&exchange) {
        Some(replicas) => wait(exchange, replicas, None),
        None => away(&exchange),
    }
}

/// As [`hold`], for a request whose ruling may ask for its body. A request that waits leaves its body in the connection, and
/// none comes from there any more: so it is read first.
#[cold]
pub fn hold_with_body(exchange: Rc<Exchange>) -> Ruling {
    match starting(&exchange) {
        Some(_) if !exchange.head.ends => Ruling::Body(
            MAX_BODY,
            Box::new(move |body| match starting(&exchange) {
                Some(replicas) => wait(exchange, replicas, Some(body)),
                None => with_body(&exchange.filter_state, &exchange.head, body),
            }),
        ),
        _ => hold(exchange),
    }
}

fn starting(exchange: &Exchange) -> Option<Rc<Replicas>> {
    let filter_state = &exchange.filter_state;
    let now = filter_state.host.now();
    filter_state.replicas.clone().filter(|replicas| replicas.is_starting(&*filter_state.host, now))
}

fn away(exchange: &Exchange) -> Ruling {
    let detail =
        "this Envoy does not know what the others know: the shared engine is away, or was until a moment \
                  ago (on_outage: closed)";
    Ruling::LocalReply(exchange.refuse(&Fault::new(Code::NotReady, detail)))
}

fn wait(exchange: Rc<Exchange>, replicas: Rc<Replicas>, mut body: Option<Body>) -> Ruling {
    let filter_state = exchange.filter_state.clone();
    let until = exchange.now.saturating_add(replicas.settings.timeout);
    Ruling::Wait(Box::new(move || {
        let now = filter_state.host.now();
        if replicas.is_starting(&*filter_state.host, now) {
            if now < until {
                return None;
            }
            replicas.give_up_waiting();
        }
        Some(match body.take() {
            Some(body) => with_body(&filter_state, &exchange.head, body),
            None => Ruling::Again(exchange.head.clone()),
        })
    }))
}

/// Rules anew on a request whose body was read.
fn with_body(filter_state: &Rc<FilterState>, head: &Rc<Head>, body: Body) -> Ruling {
    match (super::rule(filter_state, head.clone()), body) {
        (Ruling::Body(limit, then), Body::Whole(bytes)) if bytes.len() <= limit => then(Body::Whole(bytes)),
        (Ruling::Body(_, then), _) => then(Body::TooLarge),
        (ruling, _) => ruling,
    }
}

#[cfg(test)]
#[path = "in_step_tests.rs"]
mod tests;
