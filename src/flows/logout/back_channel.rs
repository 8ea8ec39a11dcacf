//! OpenID Connect Back-Channel Logout 1.0: the provider says that a session, or a person, is out.

use std::rc::Rc;

use serde_json::json;

use crate::config::{Protocol, Provider};
use crate::crypto::Jws;
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::proto::oidc::{self, logout_token, signed};
use crate::session::ended::{self, Party};
use crate::state::AccountState;

/// The largest form.
pub const MAX_FORM: usize = 64 << 10;

/// Tokens that were used, each until it has expired. Only verified ones are noted.
const USED: SharedSet =
    SharedSet { name: "sso.logout-tokens", buckets: 1024, capacity: 64, when_full: WhenFull::Evict };

/// A logout token was posted.
pub fn received(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    Ruling::flow(exchange, move |io, exchange| async move {
        Ok(Outcome::LocalReply(match end(&io, &exchange, &body).await {
            Ok(()) => Response::new(200, "back_channel_logout"),
            Err(fault) => refused(&exchange, fault),
        }))
    })
}

async fn end(io: &Io, exchange: &Exchange, body: &[u8]) -> Result<(), Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let invalid = |why: &str| Fault::new(Code::RequestInvalid, format!("logout token: {why}"));
    let mut tokens = url::form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (Some((_, text)), None) = (tokens.next(), tokens.next()) else {
        return Err(invalid("the form does not have exactly one logout_token"));
    };
    let addressees = addressees(io, &account_state, &text).await?;
    let Some((_, client)) = addressees.first() else {
        return Err(invalid("iss and aud name no OpenID Connect provider of this account"));
    };
    let token = logout_token::verify(io, client, &text).await?;
    let (host, settings) = (io.host(), &exchange.filter_state.config.session);
    let used = id_of(
        &json!([account_state.account.code, token.issuer, client.config().client.client_id, token.jti])
            .to_string(),
    );
    // Section 2.6 item 7.
    if USED.contains(host, &used, host.now()) {
        return Err(invalid("its jti was used already"));
    }
    // Sessions opened that long after `iat` are none that the token is about, however late it comes or is sent
    // again; before that, it may be the clocks.
    let opened_until = host.now().min(token.issued.saturating_add(signed::SKEW_MILLISECONDS));
    for (provider, _) in &addressees {
        let party =
            Party { account: &account_state.account.code, provider: &provider.id, issuer: &token.issuer };
        let noted = match (&token.sid, &token.subject) {
            // Section 2.7: with a sid it is that session, whatever `sub` stands beside it.
            (Some(sid), subject) => {
                let unknown =
                    |subject| ended::by_subject_without_sid(host, settings, party, subject, opened_until);
                ended::by_sid(host, settings, party, sid) && subject.as_deref().is_none_or(unknown)
            }
            (None, Some(subject)) => ended::by_subject(host, settings, party, subject, opened_until),
            (None, None) => false,
        };
        if !noted {
            return Err(Fault::new(Code::NotReady, "logout token: the end could not be noted"));
        }
        let place = Place { provider: Some(&provider.id), ..exchange.place() };
        let ends = token.sid.as_ref().map_or(events::Ends::User, |_| events::Ends::Session);
        events::provider_logout(host, place, "backchannel_logout", ends);
    }
    let is_told = exchange.filter_state.tell(io, exchange.place()).await;
    if !is_told && exchange.filter_state.replicas.as_ref().is_some_and(|replicas| replicas.must_be_told()) {
        let detail = "logout token: the other Envoys could not be told, under on_outage: closed";
        return Err(Fault::new(Code::NotReady, detail).with_status(503));
    }
    // Noted last, so that what could not be ended can be sent again.
    if USED.insert(host, &used, token.expires, host.now()) == Inserted::Known {
        return Err(invalid("its jti was used already"));
    }
    let is_first = exchange.filter_state.use_once_if_known(io, exchange.place(), &used, token.expires).await;
    is_first.then_some(()).ok_or_else(|| invalid("its jti was used already, at another Envoy"))
}

/// The providers of this account that the token claims to be from and for: several where one is
/// configured twice. With a single one there is nothing to choose, and verification says what is wrong.
async fn addressees<'a>(
    io: &Io,
    account_state: &'a AccountState,
    token: &str,
) -> Result<Vec<(&'a Rc<Provider>, &'a Rc<oidc::Provider>)>, Fault> {
    let mut all = Vec::new();
    for provider in &account_state.account.providers {
        if let Protocol::Oidc(_) = provider.protocol {
            all.push((provider, account_state.client(&provider.id)?));
        }
    }
    if all.len() < 2 {
        return Ok(all);
    }
    let refused = |why: String| Fault::new(Code::RequestInvalid, format!("logout token: {why}"));
    let claims = Jws::parse(token).map_err(refused)?.unverified();
    let claims = claims.ok_or_else(|| refused("its payload is not a JSON object".into()))?;
    let audiences = signed::audiences(&claims).map_err(refused)?;
    let iss = signed::string(&claims, "iss").map_err(refused)?.unwrap_or_default();
    let (mut found, mut down) = (Vec::new(), None);
    for (provider, client) in all {
        if !audiences.contains(&client.config().client.client_id.as_str()) {
            continue;
        }
        match client.metadata(io).await {
            Ok(metadata) if metadata.is_issuer(iss) => found.push((provider, client)),
            Ok(_) => {}
            Err(fault) => down = Some(fault),
        }
    }
    match (found.is_empty(), down) {
        (true, Some(fault)) => Err(fault),
        _ => Ok(found),
    }
}

/// Section 2.8: whatever the reason, 400, with the `error` of RFC 6749 section 5.2.
fn refused(exchange: &Exchange, fault: Fault) -> Response {
    let error = match fault.code {
        Code::RequestInvalid => "invalid_request",
        _ => "temporarily_unavailable",
    };
    let fault =
        if fault.status() == 503 && fault.code == Code::NotReady { fault } else { fault.with_status(400) };
    events::refusal(&*exchange.filter_state.host, exchange.place(), &fault);
    let body = json!({
        "error": error,
        "error_description": "no session was ended; the log says why, under this request_id",
        "code": fault.code.as_str(),
        "request_id": exchange.head.request_id(),
    });
    Response::json(400, &body).with_code(fault.code.as_str())
}
