//! What of an account is served at which of its origins, where its logins run at one of them.

use std::rc::Rc;

use super::account::unknown;
use crate::config::{Account, Endpoint};
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::http::{Head, Path};
use crate::state::{AccountState, FilterState};

/// The refusal of what is not served at the login origin: the application, and what needs a session of it.
pub fn not_at_login_origin(
    filter_state: &Rc<FilterState>,
    account: &Account,
    head: &Rc<Head>,
    path: &Path<'_>,
    now: u64,
) -> Option<Ruling> {
    if !account.is_login_only(head.authority()) {
        return None;
    }
    let own = path.plain().and_then(|path| account.paths.endpoint(path));
    match own {
        None | Some(Endpoint::Session | Endpoint::Admin) => {
            let detail = format!("only sign-in and sign-out of account {:?} are served here", account.code);
            Some(unknown(filter_state, head, now, detail))
        }
        Some(_) => None,
    }
}

/// True if none of these accounts serves anything but its own endpoints at the origin that was asked.
pub fn serve_logins_alone(account_states: &[Rc<AccountState>], head: &Head, path: &Path<'_>) -> bool {
    let has_endpoint =
        |own: &Rc<AccountState>| path.plain().is_some_and(|path| own.account.paths.endpoint(path).is_some());
    let is_login_only = |own: &Rc<AccountState>| own.account.is_login_only(head.authority());
    account_states.iter().all(is_login_only) && !account_states.iter().any(has_endpoint)
}

/// Refuses an answer of a provider at another origin than the one that providers know.
pub fn expects_callback(exchange: &Exchange, endpoint: Endpoint) -> Result<(), Fault> {
    if !matches!(endpoint, Endpoint::OidcCallback | Endpoint::SamlCallback | Endpoint::SamlLogout) {
        return Ok(());
    }
    let Ok((account_state, origin)) = exchange.site_and_origin() else { return Ok(()) };
    match account_state.account.login_elsewhere(&origin) {
        Some(login) => {
            let why = format!("callback: the callbacks of this account are at {login}");
            Err(Fault::new(Code::CallbackInvalid, why))
        }
        None => Ok(()),
    }
}
