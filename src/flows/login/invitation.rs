//! An invited person's way in: they accept or decline before a user is made of them.
//!
//! Between the question and the answer the verified person waits in one sealed cookie of ten minutes.
//! The form carries a random value from inside it, so that no other site can answer in a person's name
//! (CWE-352). Accepting twice is harmless: the second time the user is there already.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::login_state::{LoginState, INVITATION_COOKIE, LIFETIME};
use super::{forwarded, issue_session, origin};
use crate::access::condition::noted;
use crate::config::{self, Endpoint, Protocol, SameSite};
use crate::directory;
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::{random_token, Level};
use crate::http::response::Response;
use crate::identity::Identity;
use crate::pages;
use crate::session::{cookie, ForwardedClaim, Method, Purpose, Session, Tokens, CHUNK};
use crate::settings::{self, store};
use crate::state::AccountState;
use crate::values::email;

/// What waits for the person's answer.
#[derive(Serialize, Deserialize)]
struct Waiting {
    /// The login that led here. It is used up: `state` is the value that the form carries, `started` is
    /// when the question was asked.
    #[serde(rename = "f")]
    login_state: LoginState,
    #[serde(rename = "i")]
    identity: Value,
    #[serde(rename = "t")]
    tokens: Tokens,
    #[serde(rename = "h")]
    headers: Vec<ForwardedClaim>,
    #[serde(rename = "w", default)]
    conditions: Vec<String>,
    /// For the page: who is invited, as what. Accepting looks it up again.
    #[serde(rename = "e")]
    email: String,
    #[serde(rename = "r")]
    roles: Vec<String>,
}

/// Asks the person, and keeps what is needed to go on.
#[allow(clippy::too_many_arguments)]
pub fn offer(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    login_state: &LoginState,
    identity: &Identity,
    tokens: Tokens,
    email: &str,
    roles: &[String],
) -> Result<Response, Fault> {
    let login_state = LoginState {
        state: random_token::<16>(io.host())?,
        started: io.now(),
        verifier: String::new(),
        dpop: None,
        ..login_state.clone()
    };
    let waiting = Waiting {
        login_state,
        identity: identity.sealed(&account_state.account.mapping),
        tokens,
        headers: forwarded(io, exchange, account_state, identity),
        conditions: noted(&account_state.account.access, &identity.claims),
        email: email.to_owned(),
        roles: roles.to_vec(),
    };
    let page = page(exchange, account_state, &waiting);
    let sealed = seal(io, exchange, account_state, waiting)?;
    let place = Place { provider: Some(&identity.provider), ..exchange.place() };
    events::login_outcome(io.host(), place, "invited");
    let cookies = &exchange.filter_state.config.cookies;
    let attributes = cookie::Attributes { cookies, same_site: SameSite::Lax, max_age: Some(LIFETIME / 1000) };
    Ok(page.with_cookie(&cookie::set(&name(exchange), &sealed, attributes)))
}

/// One cookie. The ID token is but a hint at logout, and the access token comes again with the next
/// sign-in: both give way where there is no room.
fn seal(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    mut waiting: Waiting,
) -> Result<String, Fault> {
    let keys = &exchange.filter_state.config.session.keys;
    for attempt in 0..3 {
        match attempt {
            1 => waiting.tokens.id_token = None,
            2 => {
                waiting.tokens = Tokens::default();
                events::notice(
                    io.host(),
                    exchange.place(),
                    Level::Warn,
                    "an invitation has no room for the access token",
                );
            }
            _ => {}
        }
        let plain = serde_json::to_vec(&waiting).unwrap_or_default();
        match keys.seal(io.host(), Purpose::Invitation, &account_state.account.code, &plain) {
            Ok(sealed) if sealed.len() <= CHUNK => return Ok(sealed),
            _ => {}
        }
    }
    Err(Fault::new(Code::NotReady, "what is known of the invited person does not fit into a cookie"))
}

/// GET: the question again.
pub fn show(exchange: &Exchange) -> Response {
    match take(exchange) {
        Ok((account_state, waiting)) => page(exchange, &account_state, &waiting),
        Err(fault) => exchange.refuse(&fault),
    }
}

/// POST: the answer.
pub fn decide(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    match read(&exchange, &body) {
        Ok(None) => Ruling::LocalReply(declined(&exchange)),
        Ok(Some((account_state, waiting))) => Ruling::flow(exchange, move |io, exchange| async move {
            Ok(Outcome::LocalReply(accept(&io, &exchange, &account_state, waiting).await))
        }),
        Err(fault) => Ruling::LocalReply(exchange.refuse(&fault)),
    }
}

/// What is accepted; `None`: it is declined.
fn read(exchange: &Exchange, body: &[u8]) -> Result<Option<(Rc<AccountState>, Waiting)>, Fault> {
    let (account_state, waiting) = take(exchange)?;
    if exchange.head.is_cross_site(&exchange.own_origins()) {
        return Err(Fault::new(Code::RequestInvalid, "an invitation is answered on its own page only")
            .with_status(403));
    }
    let field = |name: &str| {
        let mut values = url::form_urlencoded::parse(body).filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        value.filter(|_| values.next().is_none()).unwrap_or_default()
    };
    if field("csrf") != waiting.login_state.state {
        return Err(Fault::new(Code::RequestInvalid, "csrf is not that of the invitation").with_status(403));
    }
    match field("decision").as_str() {
        "accept" => Ok(Some((account_state, waiting))),
        "decline" => Ok(None),
        _ => {
            Err(Fault::new(Code::RequestInvalid, "decision is neither accept nor decline").about("decision"))
        }
    }
}

async fn accept(io: &Io, exchange: &Exchange, account_state: &AccountState, waiting: Waiting) -> Response {
    let place = Place { provider: Some(&waiting.login_state.provider), ..exchange.place() };
    let return_to = waiting.login_state.return_to.clone();
    match enter(io, exchange, account_state, &waiting).await {
        Ok(answer) => {
            answer.with_cookie(&cookie::delete(&name(exchange), &exchange.filter_state.config.cookies))
        }
        Err(fault) => {
            events::login_outcome(io.host(), place, fault.code.as_str());
            // The invitation stays until it expires: a directory that was down may be back in a moment.
            exchange.refuse_login(place, &fault, &return_to)
        }
    }
}

async fn enter(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    waiting: &Waiting,
) -> Result<Response, Fault> {
    let login_state = &waiting.login_state;
    let provider =
        account_state.provider(&login_state.provider).ok_or_else(|| unknown("its provider is gone"))?;
    let identity =
        Identity::unsealed(&waiting.identity).ok_or_else(|| unknown("it is of another version"))?;
    // No user is created for what another provider has said.
    if let (Protocol::Oidc(_), Ok(client)) = (&provider.protocol, account_state.client(&provider.id)) {
        client.metadata(io).await?;
    }
    let is_other_client = !login_state.client.is_empty() && login_state.client != provider.client;
    if is_other_client || account_state.issuers.is_of(provider, &identity.issuer) == Some(false) {
        return Err(unknown("its provider is another one now"));
    }
    let taken = taken_up(io, exchange, account_state, &waiting.email).await?;
    let accepted =
        directory::accept_invitation(io, &account_state.account, &account_state.directory, &identity).await;
    let user = match (accepted, taken) {
        (Ok(user), _) => user,
        (Err(fault), Some(invitation)) => {
            put_back(io, exchange, account_state, invitation).await;
            return Err(fault);
        }
        (Err(fault), None) => return Err(fault),
    };
    let session = Session::open(
        io.host(),
        user,
        Method::Sso,
        origin(account_state, &identity, login_state),
        waiting.tokens.clone(),
    )?;
    let (headers, conditions) = (waiting.headers.clone(), waiting.conditions.clone());
    let session = Session { headers, conditions, not_after: identity.not_after, ..session };
    issue_session(exchange, account_state, session, login_state)
}

/// Takes up the invitation that an administrator made: once over all replicas, before anything is created by it. `None`:
/// it is one of the file.
async fn taken_up(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    address: &str,
) -> Result<Option<settings::Invitation>, Fault> {
    let account = &account_state.account;
    let is_its = |one: &&config::Invitation| email::normalise(&one.email).as_deref() == Some(address);
    let found = account.provisioning.invitations.iter().find(is_its);
    let id = found.and_then(|one| one.id.as_ref());
    let (Some(id), Some(replicas)) = (id, &exchange.filter_state.replicas) else { return Ok(None) };
    let gone = || Fault::new(Code::IdentityUnknown, "the invitation was withdrawn, or taken up already");
    let (taken, _) = store::change(replicas, io, &account.code, |book| {
        let at = book.invitations.iter().position(|one| one.id == *id && one.stands(io.now()));
        Ok(book.invitations.remove(at.ok_or_else(gone)?))
    })
    .await?;
    Ok(Some(taken))
}

/// The user could not be created: the invitation stands again.
async fn put_back(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    invitation: settings::Invitation,
) {
    let Some(replicas) = &exchange.filter_state.replicas else { return };
    let done = store::change(replicas, io, &account_state.account.code, |book| {
        if !book.invitations.iter().any(|one| one.email == invitation.email) {
            book.invitations.push(invitation.clone());
        }
        Ok(())
    });
    if let Err(fault) = done.await {
        let reason = format!("an invitation could not be put back: {}", fault.detail);
        events::notice(io.host(), exchange.place(), Level::Error, &reason);
    }
}

/// Uses up the invitation of a user who is in the directory by now.
pub(super) async fn use_up(io: &Io, exchange: &Exchange, account_state: &AccountState, identity: &Identity) {
    let account = &account_state.account;
    let address = crate::identity::usable_email(&account.mapping, identity);
    if let Some(address) = address {
        // One that is gone already is as good.
        let _ = taken_up(io, exchange, account_state, &address).await;
    }
}

fn declined(exchange: &Exchange) -> Response {
    let host = &*exchange.filter_state.host;
    events::notice(host, exchange.place(), Level::Info, "an invitation was declined");
    events::login_outcome(host, exchange.place(), "declined");
    let out = exchange
        .account_state
        .as_ref()
        .map(|account_state| account_state.account.paths.registered(Endpoint::LogoutComplete));
    Response::redirect(out.as_deref().unwrap_or("/"))
        .with_code("declined")
        .with_cookie(&cookie::delete(&name(exchange), &exchange.filter_state.config.cookies))
}

/// The invitation that waits in this browser for this account.
fn take(exchange: &Exchange) -> Result<(Rc<AccountState>, Waiting), Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let (name, jar) = (name(exchange), exchange.jar());
    let mut values = jar.named(name.as_bytes());
    let sealed = values.next().ok_or_else(|| unknown("none waits in this browser"))?;
    if values.any(|other| other != sealed) {
        return Err(unknown("two cookies of one name"));
    }
    let keys = &exchange.filter_state.config.session.keys;
    let (code, plain) = std::str::from_utf8(sealed)
        .ok()
        .and_then(|text| keys.open(Purpose::Invitation, text))
        .ok_or_else(|| unknown("its cookie does not open"))?;
    if code != account_state.account.code {
        return Err(unknown("it belongs to another account"));
    }
    let waiting: Waiting = serde_json::from_slice(&plain).map_err(|_| unknown("it is of another version"))?;
    let started = waiting.login_state.started;
    if exchange.now.saturating_sub(started) >= LIFETIME || started > exchange.now.saturating_add(60_000) {
        return Err(unknown("it was not answered within ten minutes"));
    }
    Ok((account_state, waiting))
}

fn unknown(why: &str) -> Fault {
    Fault::new(Code::StateUnknown, format!("invitation: {why}"))
}

fn name(exchange: &Exchange) -> String {
    format!("{}{INVITATION_COOKIE}", exchange.filter_state.config.cookies.name)
}

fn page(exchange: &Exchange, account_state: &AccountState, waiting: &Waiting) -> Response {
    let mut action = account_state.account.paths.path(Endpoint::Invitation).to_owned();
    let several = exchange.filter_state.accounts_at(exchange.head.authority()).len() > 1;
    if several {
        action.push_str("?u=");
        action.push_str(&account_state.account.code);
    }
    let page = pages::Invitation {
        action,
        csrf: waiting.login_state.state.clone(),
        fields: Vec::new(),
        user: waiting.email.clone(),
        organization: several.then(|| account_state.account.code.clone()),
        roles: waiting.roles.clone(),
        form_targets: waiting.login_state.parameters.asked.iter().map(|own| own.origin.clone()).collect(),
    };
    pages::invitation(&exchange.page_context(), &page)
}
