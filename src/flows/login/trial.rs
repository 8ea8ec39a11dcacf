//! The test sign-in: a whole login with an account's draft, which shows what came of it and opens no session, links and
//! creates no user. What an administrator may enable is what he has come in by.

use std::rc::Rc;

use serde_json::{json, Value};

use super::login_state::{self, LoginState};
use crate::config;
use crate::directory::{self, Resolution};
use crate::exchange::{AuthnParameters, Exchange, Trial};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::identity::{mapped_value, Identity};
use crate::pages;
use crate::settings::book::Test;
use crate::settings::{store, Draft};
use crate::state::AccountState;

/// Begins one at a provider of the draft; the only one if none is named.
pub async fn start(
    io: &Io,
    exchange: &Exchange,
    draft: &Draft,
    by: &str,
    provider: Option<&str>,
) -> Result<Response, Fault> {
    let exchange = with_draft(exchange, draft)?;
    let (account_state, _) = exchange.site_and_origin()?;
    let providers = &account_state.account.providers;
    let provider = match (provider, providers.as_slice()) {
        (Some(id), _) => id.to_owned(),
        (None, [only]) => only.id.clone(),
        (None, []) => return Err(Fault::new(Code::RequestInvalid, "the draft has no provider")),
        (None, _) => {
            return Err(Fault::new(Code::RequestInvalid, "idp is missing: the draft has several").about("idp"))
        }
    };
    let trial = Trial { draft: draft.id.clone(), by: by.to_owned() };
    let parameters = AuthnParameters { trial: Some(trial.clone()), ..AuthnParameters::default() };
    match super::start_login(io, &exchange, &provider, "/".into(), parameters).await {
        // A provider that cannot be asked is what the test was to find out.
        Err(fault) if !matches!(fault.code, Code::RequestInvalid | Code::NotReady) => {
            Ok(fell(io, &exchange, &trial, &fault))
        }
        begun => begun,
    }
}

/// The request with the draft's account, if it answers a test sign-in of this browser.
pub fn exchange_for(exchange: &Rc<Exchange>, handle: &str) -> Rc<Exchange> {
    // Only accounts with `self_service` have drafts: for others the login's cookie is not opened here.
    let own = exchange.account_state.as_ref().filter(|own| own.account.file.is_some());
    let trial = own.and_then(|own| {
        let config = &exchange.filter_state.config;
        login_state::trial_of(config, &exchange.head, &own.account.code, handle)
    });
    trial.and_then(|trial| with_trial(exchange, &trial)).unwrap_or_else(|| exchange.clone())
}

/// The request with the draft's account, if the draft is still there.
pub fn with_trial(exchange: &Exchange, trial: &Trial) -> Option<Rc<Exchange>> {
    let draft = draft(exchange, trial)?;
    with_draft(exchange, &draft).ok().map(Rc::new)
}

/// What came of it: the identity that was verified, and the user that it leads to.
pub async fn report(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    trial: &Trial,
    identity: &Identity,
) -> Response {
    let account = &account_state.account;
    if !account.is_draft {
        let fault =
            Fault::new(Code::StateUnknown, "the draft was changed while the test sign-in was under way");
        return fell(io, exchange, trial, &fault);
    }
    let mapped = mapped_value(&account.mapping, identity).ok().map(|mapped| mapped.value);
    let found = match directory::resolve(io, account, &account_state.directory, identity).await {
        Ok(Resolution::User(user)) => Ok(user),
        Ok(Resolution::Invitation { .. }) => {
            Err(Fault::new(Code::IdentityUnknown, "invited, and not in the directory yet"))
        }
        Err(fault) => Err(fault),
    };
    let claims = Value::Object(identity.claims.clone());
    let report = match &found {
        Ok(user) => {
            if user.username == trial.by {
                note(io, exchange, trial, &identity.provider, user.is_administrator(account)).await;
            }
            json!({ "ok": true, "code": null, "claims": claims, "mapped": mapped, "user": user.username, "roles": user.roles })
        }
        Err(fault) => json!({
            "ok": false, "code": fault.code.as_str(), "field": fault.field, "claims": claims, "mapped": mapped,
            "user": null, "roles": [],
        }),
    };
    audit(io, exchange, trial, found.err().as_ref());
    show(exchange, &report)
}

/// It failed before a user was known.
pub fn failed(io: &Io, exchange: &Exchange, login_state: &LoginState, fault: &Fault) -> Response {
    let Some(trial) = &login_state.parameters.trial else { return exchange.refuse(fault) };
    fell(io, exchange, trial, fault)
}

fn fell(io: &Io, exchange: &Exchange, trial: &Trial, fault: &Fault) -> Response {
    audit(io, exchange, trial, Some(fault));
    let report = json!({
        "ok": false, "code": fault.code.as_str(), "reason": fault.detail, "claims": {}, "mapped": null, "user": null,
        "roles": [],
    });
    show(exchange, &report)
}

/// Notes that the administrator at the keyboard has come in by this very draft.
async fn note(io: &Io, exchange: &Exchange, trial: &Trial, provider: &str, is_administrator: bool) {
    let (Some(replicas), Some(own)) = (&exchange.filter_state.replicas, &exchange.account_state) else {
        return;
    };
    let test = Test { provider: provider.to_owned(), by: trial.by.clone(), at: io.now(), is_administrator };
    let noted = store::change(replicas, io, &own.account.code, |book| {
        if let Some(draft) = book.draft.as_mut().filter(|draft| draft.id == trial.draft) {
            draft.tests.retain(|known| known.provider != test.provider || known.by != test.by);
            draft.tests.push(test.clone());
        }
        Ok(())
    });
    if let Err(fault) = noted.await {
        audit(io, exchange, trial, Some(&fault));
    }
}

fn audit(io: &Io, exchange: &Exchange, trial: &Trial, fault: Option<&Fault>) {
    let place = Place { user: Some(&trial.by), ..exchange.place() };
    let detail =
        fault.map_or_else(|| "ok".to_owned(), |fault| format!("{}: {}", fault.code.as_str(), fault.detail));
    events::settings(io.host(), place, "test sign-in", &detail);
}

/// A page, or JSON where the browser's request asks for it.
fn show(exchange: &Exchange, report: &Value) -> Response {
    match exchange.head.accepts_json() {
        true => Response::json(200, report),
        false => pages::trial(&exchange.page_context(), report),
    }
}

fn draft(exchange: &Exchange, trial: &Trial) -> Option<Draft> {
    let (replicas, own) = (exchange.filter_state.replicas.as_ref()?, exchange.account_state.as_ref()?);
    let book = store::known(replicas, &*exchange.filter_state.host, &own.account.code).ok()?.book;
    book.draft.filter(|draft| draft.id == trial.draft)
}

/// The request as if the draft held.
fn with_draft(exchange: &Exchange, draft: &Draft) -> Result<Exchange, Fault> {
    let (own, _) = exchange.site_and_origin()?;
    let none = || Fault::new(Code::RequestInvalid, "the account has no self_service").with_status(404);
    let file = own.account.file.as_ref().ok_or_else(none)?;
    let mut account = config::with_settings(file, &draft.settings).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Fault::new(Code::SettingsInvalid, format!("the draft does not go with the file any more: {first}"))
    })?;
    if let Some(account) = Rc::get_mut(&mut account) {
        account.is_draft = true;
        account.enabled = true;
    }
    Ok(exchange.with_account(exchange.filter_state.account_state_of(account)))
}
