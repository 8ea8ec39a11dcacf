//! What becomes known of how a sign-in ended: to the log, and to the administrators' check.

use serde_json::json;

use crate::config::Account;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::response::Response;
use crate::proto::saml::verified::Verified;
use crate::state::AccountState;
use crate::values::json;

/// What works but should not stay so, in the log; and when a sign-in worked last, for the administrators' check.
pub(super) fn note(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    provider: &str,
    verified: &Verified,
) {
    let place = Place { provider: Some(provider), ..exchange.place() };
    for warning in &verified.warnings {
        events::notice(io.host(), place, Level::Warn, warning);
    }
    remember(io, account_state, provider, None);
}

/// The refusal of a sign-in with this provider; trying again leads to `return_to` too.
pub(super) fn refused(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    provider: &str,
    fault: &Fault,
    return_to: &str,
) -> Response {
    let place = Place { provider: Some(provider), ..exchange.place() };
    events::login_outcome(io.host(), place, fault.code.as_str());
    remember(io, account_state, provider, Some(fault));
    exchange.refuse_login(place, fault, return_to)
}

fn last_key(account: &Account, provider: &str) -> String {
    // Neither holds a slash; both may hold dots.
    format!("sso.saml.last.{}/{provider}", account.code)
}

/// How the last sign-in with this provider ended: one value for all workers.
fn remember(io: &Io, account_state: &AccountState, provider: &str, fault: Option<&Fault>) {
    let code = fault.map_or("ok", |fault| fault.code.as_str());
    let detail: String = fault.map(|fault| fault.detail.chars().take(500).collect()).unwrap_or_default();
    let line = json::text(&json!([io.now(), code, detail]));
    io.host().shared_set(&last_key(&account_state.account, provider), line.as_bytes(), None);
}

/// How the last sign-in with a provider ended. For administrators alone.
pub struct LastLogin {
    /// When, in milliseconds.
    pub at: u64,
    /// The code of the refusal, or `ok`.
    pub code: String,
    /// Why it was refused.
    pub detail: String,
}

/// How the last sign-in with this provider ended.
pub fn last(io: &Io, account: &Account, provider: &str) -> Option<LastLogin> {
    let bytes = io.host().shared_get(&last_key(account, provider)).0?;
    let (at, code, detail) = serde_json::from_slice(&bytes).ok()?;
    Some(LastLogin { at, code, detail })
}
