//! Ways out: by the person here, and by the provider.
//!
//! Here: `/sso/logout` and the way back (`leaving`). By the provider: `back_channel` and `front_channel` (OpenID Connect),
//! `saml` (single logout, both directions).
//!
//! Invariants: only a navigation or a form's POST ends a session; what is looked at ahead ends nothing. The session is over
//! before the browser leaves, whatever the provider does. What has ended is noted in `session::ended`, for all workers, and
//! told to the other Envoys.

pub mod back_channel;
pub mod front_channel;
mod leaving;
#[cfg(test)]
mod tests;

pub mod saml;
#[cfg(test)]
mod saml_tests;

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::config::{Endpoint, Protocol};
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::Fault;
use crate::flows::login::ticket;
use crate::host::events;
use crate::host::random_token;
use crate::host::task::Io;
use crate::http::response::Response;
use crate::http::Head;
use crate::pages;
use crate::proto::oidc;
use crate::proto::saml::idp::single_logout;
use crate::session::{Authentication, LiveSession, Purpose, Tokens};
use crate::state::{AccountState, FilterState, SessionState};

/// Sign out, here and at the IdP. Another site must not do that to people: a request that comes from
/// one gets a page that asks (`body`: that page's form).
pub fn asked_for(exchange: Rc<Exchange>, body: Option<Vec<u8>>) -> Ruling {
    // What the ticket is for has been asked for and confirmed where it comes from.
    let has_login_origin =
        exchange.account_state.as_ref().is_some_and(|own| own.account.login_origin.is_some());
    if let Some(text) = ticket::in_query(&exchange).filter(|_| has_login_origin) {
        return Ruling::flow(exchange, move |io, exchange| async move {
            go_on(&io, &exchange, &text).await.map(Outcome::LocalReply)
        });
    }
    let live = match exchange.session_state() {
        SessionState::Valid(live) => live,
        // Nothing to end; whatever cookies there are go.
        _ => return Ruling::LocalReply(exchange.signed_out(Response::redirect(&landing(&exchange)))),
    };
    let confirmed = body.as_deref().is_some_and(|body| is_confirmed(&exchange, &live, body));
    let origins = exchange.own_origins();
    if !confirmed && exchange.head.is_sent_from_elsewhere(&origins) {
        let user = live.session.user.username.clone();
        return Ruling::LocalReply(confirm(&exchange, &live, Some(user)));
    }
    Ruling::flow(exchange, move |io, exchange| async move {
        log_out(&io, &exchange, &live).await.map(Outcome::LocalReply)
    })
}

/// The answer to a request for the sign-out that no user made. A page that the user may come to asks, as another site's
/// request does: Chromium's look ahead does not say which site it is for (`Sec-Fetch-Site: none`). It names no user.
pub fn looked_ahead(exchange: &Exchange) -> Response {
    let with_ticket = ticket::in_query(exchange).is_some();
    match exchange.session_state() {
        SessionState::Valid(live) if exchange.head.is_document_ahead() && !with_ticket => {
            confirm(exchange, &live, None)
        }
        _ => exchange.ignored(),
    }
}

/// What the provider has to hear of a session that has ended here.
#[derive(Serialize, Deserialize)]
struct Left {
    #[serde(rename = "a")]
    from: Authentication,
    /// The ID token alone.
    #[serde(rename = "i")]
    tokens: Tokens,
}

async fn log_out(io: &Io, exchange: &Exchange, live: &LiveSession) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let session = &live.session;
    let until = session.ends(&exchange.filter_state.config.session);
    live.mark.end(io.host(), until);
    events::session_ended(io.host(), session.place(exchange.place()), "logout");
    exchange.filter_state.tell(io, exchange.place()).await;
    let id_token = exchange.filter_state.whole(live).and_then(|whole| whole.tokens.id_token);
    let tokens = Tokens { id_token, ..Tokens::default() };
    let left = Left { from: session.origin.clone(), tokens };
    let is_elsewhere = account_state.account.login_elsewhere(&origin).is_some();
    let answer = match is_elsewhere && has_logout(&account_state, &left.from.provider) {
        // The provider knows the login origin alone.
        true => Some(Response::redirect(&ticket::logout_url(exchange, left)?)),
        false if is_elsewhere => None,
        false => at_provider(io, exchange, &account_state, &left, None).await?,
    };
    Ok(exchange.signed_out(answer.unwrap_or_else(|| Response::redirect(&landing(exchange)))))
}

/// True if a provider may have a sign-out of its own.
fn has_logout(account_state: &AccountState, provider: &str) -> bool {
    match account_state.provider(provider).map(|provider| &provider.protocol) {
        Some(Protocol::Oidc(_)) => true,
        Some(Protocol::OAuth2(oauth2)) => oauth2.logout.is_some(),
        Some(Protocol::Saml(own)) => single_logout(own),
        None => false,
    }
}

/// A sign-out that began at another origin of the account, and goes on at its provider.
async fn go_on(io: &Io, exchange: &Exchange, text: &str) -> Result<Response, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let ticket = ticket::logout::<Left>(io, exchange, text).await?;
    let answer = at_provider(io, exchange, &account_state, &ticket.what, Some(&ticket.origin)).await?;
    Ok(answer.unwrap_or_else(|| Response::redirect(&format!("{}{}", ticket.origin, landing(exchange)))))
}

/// Sends the browser to sign out at the provider, if it has a way. `back`: the origin that it comes back to in the end.
async fn at_provider(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    left: &Left,
    back: Option<&str>,
) -> Result<Option<Response>, Fault> {
    let (_, origin) = exchange.site_and_origin()?;
    let complete = format!("{origin}{}", account_state.account.paths.registered(Endpoint::LogoutComplete));
    if let Some(answer) = saml::request(io, exchange, account_state, &origin, &left.from, back).await? {
        return Ok(Some(answer));
    }
    let state = random_token::<16>(io.host())?;
    let at_idp = match account_state.provider(&left.from.provider).map(|provider| &provider.protocol) {
        Some(Protocol::Oidc(oidc)) => {
            // An IdP that is down does not keep a user from signing out here.
            let metadata = account_state.client(&left.from.provider)?.metadata(io).await.ok();
            let logout = oidc::logout::Logout {
                client_id: &oidc.client.client_id,
                post_logout_redirect_uri: Some(&complete),
                id_token_hint: left.tokens.id_token.as_ref(),
                state: Some(&state),
            };
            oidc::logout::url(oidc.logout.as_ref(), metadata.as_deref(), &logout)
        }
        Some(Protocol::OAuth2(oauth2)) => {
            let logout = oidc::logout::Logout {
                client_id: &oauth2.client.client_id,
                post_logout_redirect_uri: Some(&complete),
                state: Some(&state),
                ..oidc::logout::Logout::default()
            };
            oidc::logout::url(oauth2.logout.as_ref(), None, &logout)
        }
        _ => None,
    };
    let Some(url) = at_idp else { return Ok(None) };
    let (config, code) = (&exchange.filter_state.config, &account_state.account.code);
    let leaving = leaving::begin(io.host(), config, code, &state, back)?;
    Ok(Some(Response::redirect(url.as_str()).with_cookie(&leaving)))
}

/// Where the IdP sends the browser afterwards. A browser that comes from elsewhere, or with another `state`, learns
/// nothing and changes nothing: the page says what is the case in this browser.
pub fn complete(exchange: &Exchange) -> Response {
    let Some(account_state) = &exchange.account_state else {
        return pages::signed_out(&exchange.page_context());
    };
    let (host, account) = (&*exchange.filter_state.host, &account_state.account);
    let head = &exchange.head;
    let returned = !head.is_unasked();
    let known = head.param("state").filter(|_| returned).map(|state| {
        let known = leaving::take(host, &exchange.filter_state.config, &account.code, &exchange.head, &state);
        events::logout_returned(host, if known.is_some() { "ok" } else { "unknown" });
        known
    });
    let answer = match exchange.session_state() {
        SessionState::Valid(live) => {
            let mut context = exchange.page_context();
            context.continue_as = Some(live.session.user.username.clone());
            pages::still_signed_in(&context, account.paths.path(Endpoint::Logout))
        }
        _ => pages::signed_out(&exchange.page_context()),
    };
    let Some(left) = known.flatten() else { return answer };
    // Where the sign-out began there may be a page of the operator's, and the way back in.
    let back = left.back.and_then(|text| exchange.filter_state.application_origin(account, &text));
    let answer = match back {
        Some(origin) => {
            Response::redirect(&format!("{origin}{}", account.paths.registered(Endpoint::LogoutComplete)))
        }
        None => answer,
    };
    answer.with_cookie(&left.forget)
}

/// The account that this browser has left from, with the state it comes back with.
pub fn left_from(filter_state: &FilterState, head: &Head) -> Option<String> {
    leaving::account(&*filter_state.host, &filter_state.config, head, &head.param("state")?)
}

/// Where a browser goes that no provider takes over.
fn landing(exchange: &Exchange) -> String {
    exchange.account_state.as_ref().map_or_else(
        || "/".into(),
        |account_state| {
            let account = &account_state.account;
            let complete = || account.paths.registered(Endpoint::LogoutComplete);
            account.logout.landing.clone().unwrap_or_else(complete)
        },
    )
}

/// The page that asks; its form carries the session's id, sealed, so that no other site can send it. `user`: whom another
/// site's request would sign out.
fn confirm(exchange: &Exchange, live: &LiveSession, user: Option<String>) -> Response {
    confirm_page(exchange, live, user).unwrap_or_else(|fault| exchange.refuse(&fault))
}

fn confirm_page(exchange: &Exchange, live: &LiveSession, user: Option<String>) -> Result<Response, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let keys = &exchange.filter_state.config.session.keys;
    let csrf = keys.seal(
        &*exchange.filter_state.host,
        Purpose::Form,
        &account_state.account.code,
        live.session.id.as_bytes(),
    )?;
    let action = account_state.account.paths.path(Endpoint::Logout);
    let page =
        pages::ConfirmLogout { action: action.to_owned(), csrf, user, ..pages::ConfirmLogout::default() };
    Ok(pages::confirm_logout(&exchange.page_context(), &page))
}

fn is_confirmed(exchange: &Exchange, live: &LiveSession, body: &[u8]) -> bool {
    let mut values = url::form_urlencoded::parse(body).filter(|(name, _)| name == "csrf");
    let (Some((_, value)), None) = (values.next(), values.next()) else { return false };
    let keys = &exchange.filter_state.config.session.keys;
    keys.open(Purpose::Form, &value)
        .is_some_and(|(account, id)| account == live.account.code && id == live.session.id.as_bytes())
}
