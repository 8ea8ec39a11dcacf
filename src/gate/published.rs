//! What every client may ask: whether the filter can rule on requests, and the public keys of assertions.

use serde_json::{json, Value};

use crate::config::Endpoint;
use crate::exchange::{Exchange, Ruling};
use crate::http::response::Response;
use crate::http::Head;
use crate::state::FilterState;

/// 200 if the filter could rule on requests now, else 503. Nothing else is said, and no line is logged: probes ask every
/// few seconds, from unknown addresses.
pub fn ready(filter_state: &FilterState, head: &Head) -> Ruling {
    let answer = match (head.method(), filter_state.is_ready()) {
        (b"GET" | b"HEAD", true) => Response::new(200, "ok"),
        (b"GET" | b"HEAD", false) => Response::new(503, "not_ready"),
        _ => Response::new(405, "method_not_allowed").with_header("allow", "GET, HEAD"),
    };
    Ruling::LocalReply(answer)
}

/// The public keys of `forward.assertion`. Accounts that share an origin share an application, which verifies the
/// assertions of all of them.
pub fn jwks(exchange: &Exchange) -> Response {
    let mut keys: Vec<Value> = Vec::new();
    for account_state in exchange.filter_state.accounts_at(exchange.head.authority()) {
        let account = &account_state.account;
        let is_asked = account.enabled && account.paths.path(Endpoint::Jwks) == exchange.path;
        let assertion = account.forward.assertion.as_ref().filter(|_| is_asked);
        for key in assertion.into_iter().flat_map(|assertion| assertion.keys.iter()) {
            let public = key.public();
            if !keys.contains(&public) {
                keys.push(public);
            }
        }
    }
    let answer = Response::json(200, &json!({ "keys": keys }));
    // Public, and asked for often: a new key is published before it signs (docs/access.md).
    answer
        .set_header("cache-control", "public, max-age=300")
        .set_header("content-type", "application/jwk-set+json")
}
