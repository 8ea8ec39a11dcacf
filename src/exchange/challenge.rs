//! What a program is told whose token holds and is not enough.

use super::{Exchange, Unmet};
use crate::fault::Fault;
use crate::host::events;
use crate::http::response::Response;
use crate::pages;

/// The refusal of a request whose token does not meet what the path demands: the program learns what kind of
/// token to ask the provider for.
pub fn insufficient(exchange: &Exchange, unmet: &Unmet) -> Response {
    let mut text = challenge(unmet);
    if !matches!(unmet, Unmet::Role(_)) {
        text.push_str(&exchange.resource_challenge());
    }
    refusal(exchange, &unmet.fault()).set_header("www-authenticate", &text)
}

/// RFC 6750 section 3.1 and RFC 9470 section 3. Roles are not scopes, so that none is named.
fn challenge(unmet: &Unmet) -> String {
    let extras = match unmet {
        Unmet::Role(_) | Unmet::Scope(_) | Unmet::Condition(_) => {
            return format!("{}, error=\"insufficient_scope\"", pages::CHALLENGE);
        }
        // Its claims were judged when it came: there is no other one to ask for.
        Unmet::Unknown => return format!("{}, error=\"insufficient_user_authentication\"", pages::CHALLENGE),
        Unmet::Authentication(extras) => extras,
    };
    let mut text = format!("{}, error=\"insufficient_user_authentication\"", pages::CHALLENGE);
    if !extras.acr_values.is_empty() {
        // No quote and no space is in any of them: the configuration is refused otherwise.
        text.push_str(&format!(", acr_values=\"{}\"", extras.acr_values.join(" ")));
    }
    if let Some(seconds) = extras.max_age {
        text.push_str(&format!(", max_age=\"{seconds}\""));
    }
    text
}

/// The refusal of a request with a token: for a program, whatever it says it accepts.
pub fn refusal(exchange: &Exchange, fault: &Fault) -> Response {
    events::refusal(&*exchange.filter_state.host, exchange.place(), fault);
    let mut context = exchange.page_context();
    context.html = false;
    pages::refusal(fault, &context)
}
