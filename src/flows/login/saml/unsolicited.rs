//! An unsolicited response (SAML profiles section 4.1.5).

use std::rc::Rc;

use super::outcome::{note, refused};
use super::{by_issuer, identity, idp, verify, Form, Own, Request};
use crate::config::{IdpInitiated, Origin};
use crate::directory::{self, Resolution};
use crate::exchange::return_to;
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::flows::login::login_state::{self, AuthnParameters, LoginState};
use crate::flows::login::{arrived, page, start_login, ticket};
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::proto::saml::response;
use crate::session::{LiveSession, Tokens};
use crate::state::{AccountState, SessionState};

/// So many unsolicited responses within a minute begin a login in one browser. An IdP that answers these logins with
/// unsolicited responses again would send people in circles, without anything to see.
const MAX_RESTARTS: usize = 3;

/// Unsolicited assertions that were used. With no room for one more it is refused: forgetting one would open
/// it to a replay.
const USED: SharedSet =
    SharedSet { name: "sso.saml.used", buckets: 1024, capacity: 64, when_full: WhenFull::Refuse };

/// A response that answers no request (SAML profiles section 4.1.5): an attacker could have had it made for
/// themselves and sent it with a victim's browser, so what becomes of it is configured.
pub(super) async fn answer(io: &Io, exchange: &Exchange, form: &Form) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let unknown = || {
        let issuer = form.claimed.issuer.as_deref().unwrap_or_default();
        Fault::new(Code::AssertionInvalid, format!("no provider of this account has the issuer {issuer:?}"))
    };
    let issuer = form.claimed.issuer.as_deref().ok_or_else(unknown)?;
    let (id, idp) = by_issuer(io, &account_state, issuer).await.ok_or_else(unknown)?;
    let target = page::own_endpoints_lead_home(
        &account_state.account,
        return_to::check(form.relay_state(), &origin).unwrap_or_else(|_| "/".into()),
    );
    // A no begins nothing: the IdP would say it again.
    if let Err(no) = response::claimed_refusal(&form.message) {
        return Ok(refused(io, exchange, &account_state, id, &no.into(), &target));
    }
    // A login origin has no session to compare with, and what is for another origin begins there.
    let is_off = idp.config().idp_initiated == IdpInitiated::Off;
    if let Some(answer) = onward(exchange, form, id, &target).filter(|_| !is_off) {
        return match in_circles(io, exchange, &account_state, id) {
            Some(fault) => Ok(refused(io, exchange, &account_state, id, &fault, &target)),
            None => Ok(answer),
        };
    }
    match idp.config().idp_initiated {
        IdpInitiated::Off => {
            let detail = "an unsolicited response, and saml.idp_initiated is off";
            let fault = Fault::new(Code::AssertionInvalid, detail);
            Ok(refused(io, exchange, &account_state, id, &fault, &target))
        }
        // The assertion is dropped; the person's session at the IdP makes a login of our own silent.
        IdpInitiated::Restart => {
            if let Some(fault) = in_circles(io, exchange, &account_state, id) {
                return Ok(refused(io, exchange, &account_state, id, &fault, &target));
            }
            start_login(
                io,
                exchange,
                id,
                target,
                AuthnParameters { restarted: true, ..AuthnParameters::default() },
            )
            .await
        }
        IdpInitiated::Accept => {
            match accept(io, exchange, &account_state, &origin, id, target.clone(), form).await {
                Ok(answer) => Ok(answer),
                Err(fault) => Ok(refused(io, exchange, &account_state, id, &fault, &target)),
            }
        }
    }
}

/// Leads to the origin of the application that RelayState names, or the first; from there a login of our own begins.
fn onward(exchange: &Exchange, form: &Form, provider: &str, target: &str) -> Option<Response> {
    let named = Some(form.relay_state()).filter(|text| text.starts_with("http"));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("idp", provider).append_pair("return_to", target);
    let here = ticket::onward(exchange, None, query.finish().as_bytes());
    let Some(named) = named else { return here };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("idp", provider).append_pair("return_to", named);
    let is_known = ticket::origin_of(exchange, named).is_some();
    if is_known {
        ticket::onward(exchange, Some(named), query.finish().as_bytes())
    } else {
        here
    }
}

/// The refusal if this provider's unsolicited responses have begun several logins in this browser just now.
fn in_circles(io: &Io, exchange: &Exchange, account_state: &AccountState, id: &str) -> Option<Fault> {
    let since = io.now().saturating_sub(60_000);
    let (config, code) = (&exchange.filter_state.config, &account_state.account.code);
    let detail = "the IdP answers requests of ours with unsolicited responses, without InResponseTo and RelayState: let \
                  it answer requests, or set saml.idp_initiated to accept";
    (login_state::restarts(config, &exchange.head, code, id, since) >= MAX_RESTARTS)
        .then(|| Fault::new(Code::AssertionInvalid, detail))
}

/// `idp_initiated: accept`: fresh, once, and never in the place of another user's session.
async fn accept(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    origin: &Origin,
    id: &str,
    target: String,
    form: &Form,
) -> Result<Response, Fault> {
    // A cross-site POST does not say who is signed in here: the bounce must have made it a same-site one.
    if exchange.head.is_cross_site(&exchange.own_origins()) {
        return Err(Fault::new(Code::RequestInvalid, "an unsolicited response from another site"));
    }
    let idp = idp(account_state, id)?;
    let own = Own::at(origin, &account_state.account, idp);
    // No request asked for a fresh sign-in; with force_authn it must be as fresh as the response itself.
    let since = idp.config().force_authn.then(|| io.now().saturating_sub(response::MAX_AGE));
    let request = Request { in_response_to: None, authenticated_since: since };
    let verified = verify(io, idp, &own, &request, &form.message).await?;
    let replay = id_of(&format!("{} {}", verified.issuer, verified.assertion_id));
    match USED.insert(io.host(), &replay, verified.valid_until, io.now()) {
        Inserted::New => {}
        Inserted::Known => return Err(Fault::new(Code::AssertionInvalid, "the assertion was used already")),
        Inserted::Full => {
            let detail = "the record of used assertions is full: another one might be a replay";
            return Err(Fault::new(Code::AssertionInvalid, detail));
        }
    }
    let replay = id_of(&format!("assertion {} {}", verified.issuer, verified.assertion_id));
    if !exchange.filter_state.use_once(io, &replay, verified.valid_until).await? {
        let detail = "the assertion was used already, at another Envoy";
        return Err(Fault::new(Code::AssertionInvalid, detail));
    }
    let identity = identity(account_state, id, &verified)?;
    let resolution =
        directory::resolve(io, &account_state.account, &account_state.directory, &identity).await?;
    if let Some(other) = signed_in(exchange) {
        let same = match &resolution {
            Resolution::User(user) => {
                Rc::ptr_eq(&other.account, &account_state.account)
                    && user.username == other.session.user.username
            }
            Resolution::Invitation { .. } => false,
        };
        if !same {
            let detail = format!(
                "an unsolicited response does not replace the session of {:?}",
                other.session.user.username
            );
            return Err(Fault::new(Code::IdentityConflict, detail));
        }
    }
    note(io, exchange, account_state, id, &verified);
    let login_state = LoginState {
        provider: id.to_owned(),
        client: String::new(),
        issuer: String::new(),
        state: String::new(),
        nonce: String::new(),
        verifier: String::new(),
        dpop: None,
        return_to: target,
        started: io.now(),
        parameters: AuthnParameters::default(),
        replaces: None,
    };
    arrived(io, exchange, account_state, &login_state, &identity, Tokens::default(), resolution).await
}

/// The user who is signed in with this browser, in any account: with `cookies.domain` their origins share one session.
fn signed_in(exchange: &Exchange) -> Option<Rc<LiveSession>> {
    let filter_state = &exchange.filter_state;
    match filter_state.session(&filter_state.account_states, &exchange.jar(), exchange.now) {
        SessionState::Valid(live) => Some(live),
        _ => None,
    }
}
