//! OpenID Connect Front-Channel Logout 1.0: the provider's sign-out page loads this endpoint in a frame.
//!
//! A frame of another site carries no `Lax` cookie, so what ends the session is `sid`, which is long and
//! random, and known only to who has the person's ID tokens. Without `iss` and `sid` there is only the
//! cookie, where it comes: then the frame must be the provider's own, and what is not a frame is a request to
//! sign out like any other, which is asked about first where it comes from another site.

use std::rc::Rc;

use url::Url;

use crate::config::Protocol;
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::pages;
use crate::proto::oidc::Metadata;
use crate::session::ended::{self, Party};
use crate::state::SessionState;
use crate::values::order;

/// The largest form.
pub const MAX_FORM: usize = 16 << 10;

/// The frame was asked for, with GET, or by Okta with a form.
pub fn asked_for(exchange: Rc<Exchange>, body: Option<Vec<u8>>) -> Ruling {
    let parameter = |name: &str| parameter(&exchange, body.as_deref().unwrap_or_default(), name);
    let (iss, sid) = match (parameter("iss"), parameter("sid")) {
        // Section 2: if either is there, both are. ADFS sends `sid` alone, which says as much.
        (Ok(iss), Ok(Some(sid))) => (iss, Some(sid)),
        (Ok(None), Ok(None)) if is_framed(&exchange) => (None, None),
        (Ok(None), Ok(None)) => return super::asked_for(exchange, body),
        _ => {
            let why = "front-channel logout: iss and sid must both be there, once, or neither";
            return Ruling::LocalReply(exchange.refuse(&Fault::new(Code::RequestInvalid, why)));
        }
    };
    Ruling::flow(exchange, move |io, exchange| async move {
        end(&io, &exchange, iss.as_deref(), sid.as_deref()).await.map(Outcome::LocalReply)
    })
}

/// True where a browser says that this is for a frame: no link can do that.
fn is_framed(exchange: &Exchange) -> bool {
    matches!(exchange.head.one("sec-fetch-dest"), Some("iframe" | "frame"))
}

async fn end(io: &Io, exchange: &Exchange, iss: Option<&str>, sid: Option<&str>) -> Result<Response, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let (host, settings) = (io.host(), &exchange.filter_state.config.session);
    let session_state = exchange.session_state();
    let (mut ancestors, mut known, mut down) = (Vec::new(), false, None);
    let mut here = false;
    for provider in &account_state.account.providers {
        let Protocol::Oidc(oidc) = &provider.protocol else { continue };
        let metadata = match account_state.client(&provider.id)?.metadata(io).await {
            Ok(metadata) => metadata,
            Err(fault) => {
                down = Some(fault);
                continue;
            }
        };
        let own = match &session_state {
            SessionState::Valid(live) if live.session.origin.provider == provider.id => Some(live),
            _ => None,
        };
        let origins = origins(&metadata, oidc.logout.as_ref().map(|logout| &logout.url));
        let issuer = match iss {
            Some(iss) => metadata.known_issuer(iss),
            None => Some(metadata.issuer.clone()),
        };
        let Some(issuer) = issuer else { continue };
        let ends_own = match sid {
            None if own.is_some() && !is_from(exchange, &origins) => {
                // Logout CSRF: any page can frame this one.
                let why = "front-channel logout without iss and sid: its Referer is not the provider";
                return Err(Fault::new(Code::RequestInvalid, why));
            }
            None => own.is_some(),
            Some(sid) => {
                let party =
                    Party { account: &account_state.account.code, provider: &provider.id, issuer: &issuer };
                if ended::is_known_sid(host, party, sid) {
                    if !ended::by_sid(host, settings, party, sid) {
                        return Err(Fault::new(Code::NotReady, "front-channel logout could not be noted"));
                    }
                    let place = Place { provider: Some(&provider.id), ..exchange.place() };
                    events::provider_logout(host, place, "frontchannel_logout", events::Ends::Session);
                }
                own.is_some_and(|own| {
                    own.session.origin.issuer == issuer && own.session.origin.sid.as_deref() == Some(sid)
                })
            }
        };
        known = true;
        ancestors.extend(origins);
        if let (true, Some(own)) = (ends_own, own) {
            here = true;
            if sid.is_none() {
                let user = Some(own.session.user.username.as_str());
                own.mark.end(host, own.session.ends(settings));
                let place = Place { provider: Some(&provider.id), user, ..exchange.place() };
                events::session_ended(host, place, "frontchannel_logout");
            }
        }
    }
    if !known {
        return Err(down.unwrap_or_else(|| {
            let iss: String = iss.unwrap_or_default().chars().take(200).collect();
            let why = format!(
                "front-channel logout: iss {iss:?} is not an OpenID Connect provider of this account"
            );
            Fault::new(Code::RequestInvalid, why)
        }));
    }
    exchange.filter_state.tell(io, exchange.place()).await;
    let answer = pages::front_channel_done(&ancestors);
    Ok(if here { exchange.signed_out(answer) } else { answer })
}

/// True where a page of these origins made the request; browsers do not let a page say otherwise.
fn is_from(exchange: &Exchange, origins: &[String]) -> bool {
    let referer = exchange.head.one("referer").and_then(|referer| Url::parse(referer).ok());
    referer.is_some_and(|url| origins.contains(&url.origin().ascii_serialization()))
}

/// A parameter of query or form: absent, or there once and not empty.
fn parameter(exchange: &Exchange, body: &[u8], name: &str) -> Result<Option<String>, ()> {
    let query = exchange.head.query().unwrap_or_default();
    let all = url::form_urlencoded::parse(query).chain(url::form_urlencoded::parse(body));
    let mut values = all.filter(|(own, _)| own == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if !value.is_empty() => Ok(Some(value.into_owned())),
        _ => Err(()),
    }
}

/// Where the provider's sign-out page may be: its own origins, as its metadata names them.
fn origins(metadata: &Metadata, logout: Option<&Url>) -> Vec<String> {
    let issuer = Url::parse(&metadata.issuer).ok();
    let urls = [Some(&metadata.authorization_endpoint), metadata.end_session_endpoint.as_ref(), logout];
    let urls: Vec<Url> = urls.into_iter().flatten().cloned().chain(issuer).collect();
    let mut origins: Vec<String> = urls.iter().map(|url| url.origin().ascii_serialization()).collect();
    order::sort(&mut origins);
    origins.dedup();
    origins
}
