//! Ways out: by the person here, and by the provider.

pub mod back_channel;
pub mod front_channel;
mod leaving;
#[cfg(test)]
mod tests;

pub mod saml;
#[cfg(test)]
mod saml_tests;

use std::rc::Rc;

use crate::config::{Endpoint, Protocol};
use crate::exchange::{Asked, Outcome, Ruling};
use crate::fault::Fault;
use crate::host::events;
use crate::host::random_token;
use crate::host::task::Ask;
use crate::http::response::Answer;
use crate::http::Head;
use crate::pages;
use crate::proto::oidc;
use crate::session::{Opened, Purpose};
use crate::state::{Visitor, World};

/// Sign out, here and at the IdP. Another site must not do that to people: a request that comes from
/// one gets a page that asks (`body`: that page's form).
pub fn asked_for(asked: Rc<Asked>, body: Option<Vec<u8>>) -> Ruling {
    let opened = match asked.visitor() {
        Visitor::Known(opened) => opened,
        // Nothing to end; whatever cookies there are go.
        _ => return Ruling::Answer(asked.without_session(Answer::redirect(&complete_path(&asked)))),
    };
    let confirmed = body.as_deref().is_some_and(|body| is_confirmed(&asked, &opened, body));
    let origins = asked.site.as_ref().map(|site| site.account.origin_texts()).unwrap_or_default();
    if !confirmed && asked.head.is_sent_from_elsewhere(&origins) {
        return Ruling::Answer(confirm(&asked, &opened).unwrap_or_else(|fault| asked.refuse(&fault)));
    }
    Ruling::flow(
        asked,
        move |ask, asked| async move { log_out(&ask, &asked, &opened).await.map(Outcome::Answer) },
    )
}

async fn log_out(ask: &Ask, asked: &Asked, opened: &Opened) -> Result<Answer, Fault> {
    let (site, origin) = asked.site_and_origin()?;
    let session = &opened.session;
    let until = session.ends(&asked.world.config.session);
    opened.mark.end(ask.host(), until);
    events::session_ended(ask.host(), session.place(asked.place()), "logout");
    let complete = format!("{origin}{}", site.account.paths.registered(Endpoint::LogoutComplete));
    if let Some(answer) = saml::request(ask, asked, &site, &origin, session).await? {
        return Ok(asked.without_session(answer));
    }
    let state = random_token::<16>(ask.host())?;
    let at_idp = match site.provider(&session.origin.provider).map(|provider| &provider.protocol) {
        Some(Protocol::Oidc(oidc)) => {
            // An IdP that is down does not keep anybody from signing out here.
            let metadata = site.client(&session.origin.provider)?.metadata(ask).await.ok();
            let logout = oidc::logout::Logout {
                client_id: &oidc.client.client_id,
                post_logout_redirect_uri: Some(&complete),
                id_token_hint: session.tokens.id_token.as_ref(),
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
    let answer = match at_idp {
        Some(url) => {
            let leaving = leaving::begin(ask.host(), &asked.world.config, &site.account.code, &state)?;
            Answer::redirect(url.as_str()).with_cookie(&leaving)
        }
        None => Answer::redirect(&complete_path(asked)),
    };
    Ok(asked.without_session(answer))
}

/// Where the IdP sends the browser afterwards. Whoever else sends one here, or with another `state`, learns
/// nothing and changes nothing: the page says what is the case in this browser.
pub fn complete(asked: &Asked) -> Answer {
    let Some(site) = &asked.site else { return pages::signed_out(&asked.page_context()) };
    let (host, account) = (&*asked.world.host, &site.account);
    let known = asked.head.param("state").map(|state| {
        let known = leaving::take(host, &asked.world.config, &account.code, &asked.head, &state);
        events::logout_returned(host, if known.is_some() { "ok" } else { "unknown" });
        known
    });
    let answer = match asked.visitor() {
        Visitor::Known(_) => {
            pages::still_signed_in(&asked.page_context(), account.paths.path(Endpoint::Logout))
        }
        _ => pages::signed_out(&asked.page_context()),
    };
    match known.flatten() {
        Some(forget) => answer.with_cookie(&forget),
        None => answer,
    }
}

/// The account that this browser has left from, with the state it comes back with.
pub fn left_from(world: &World, head: &Head) -> Option<String> {
    leaving::account(&*world.host, &world.config, head, &head.param("state")?)
}

fn complete_path(asked: &Asked) -> String {
    asked
        .site
        .as_ref()
        .map_or_else(|| "/".into(), |site| site.account.paths.registered(Endpoint::LogoutComplete))
}

/// The page that asks; its form carries the session's id, sealed, so that no other site can send it.
fn confirm(asked: &Asked, opened: &Opened) -> Result<Answer, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let keys = &asked.world.config.session.keys;
    let csrf =
        keys.seal(&*asked.world.host, Purpose::Form, &site.account.code, opened.session.id.as_bytes())?;
    let action = site.account.paths.path(Endpoint::Logout);
    let page = pages::ConfirmLogout {
        action: action.to_owned(),
        csrf,
        user: Some(opened.session.user.username.clone()),
        ..pages::ConfirmLogout::default()
    };
    Ok(pages::confirm_logout(&asked.page_context(), &page))
}

fn is_confirmed(asked: &Asked, opened: &Opened, body: &[u8]) -> bool {
    let mut values = url::form_urlencoded::parse(body).filter(|(name, _)| name == "csrf");
    let (Some((_, value)), None) = (values.next(), values.next()) else { return false };
    let keys = &asked.world.config.session.keys;
    keys.open(Purpose::Form, &value)
        .is_some_and(|(account, id)| account == opened.account.code && id == opened.session.id.as_bytes())
}
