//! Programs with an access token of the provider, on `users` paths: the same user, headers and roles as a
//! browser session, without a cookie.
//!
//! A token that was sent is the one thing that counts: it is never beside a cookie, and a wrong one is
//! refused, whatever cookies came with it. A token that held is remembered until it expires, so that it costs
//! no more than a session, and is asked about in the directory again after `recheck`.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::config::{Account, Bearer, MappingFrom};
use crate::directory::{self, Resolution};
use crate::exchange::challenge::refusal;
use crate::exchange::{Asked, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login::wants_userinfo;
use crate::flows::recheck;
use crate::host::events;
use crate::host::task::Ask;
use crate::host::Level;
use crate::http::response::Answer;
use crate::http::Head;
use crate::identity::{Identity, Linking};
use crate::proto::oidc::access_token::{self, AccessToken};
use crate::proto::oidc::{self, userinfo};
use crate::session::headers;
use crate::session::{Method, Opened, Origin, Session, Tokens};
use crate::state::{Site, World};
use crate::values::secret::Secret;

/// What the `authorization` header says about a bearer token.
pub enum Sent<'a> {
    /// There is none, or another scheme's.
    Nothing,
    /// A token.
    Token(&'a str),
    /// Something that is no token: never passed over for a cookie.
    Wrong(Fault),
}

/// RFC 6750 section 2.1. Tokens in a query or a form do not count (section 2.2 and 2.3): they end in logs.
#[inline]
pub fn sent(head: &Head) -> Sent<'_> {
    let mut values = head.all("authorization");
    let Some(first) = values.next() else { return Sent::Nothing };
    let doubled = values.next().is_some();
    let is_bearer = |value: &[u8]| {
        value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
            && value.get(6).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b','))
    };
    if doubled && head.all("authorization").any(|value| is_bearer(value.trim_ascii_start())) {
        // Filter and application could each believe another one.
        let fault =
            Fault::new(Code::RequestInvalid, "several authorization headers, one with a bearer token");
        return Sent::Wrong(fault);
    }
    let first = first.trim_ascii();
    if !is_bearer(first) {
        return Sent::Nothing;
    }
    let token = first.get(6..).unwrap_or_default().trim_ascii_start();
    // b64token of RFC 6750 section 2.1, as far as a JWT needs it.
    let fine = !token.is_empty() && token.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b));
    match std::str::from_utf8(token) {
        Ok(token) if fine => Sent::Token(token),
        _ => Sent::Wrong(Fault::new(Code::TokenInvalid, "what follows Bearer is no token")),
    }
}

/// Who a request's token says is there.
pub enum Bearing {
    /// No token was sent, or tokens do not count here.
    Nothing,
    /// A token that is remembered.
    Known(Rc<Opened>),
    /// One to be verified, or to be asked about again.
    Unknown(Secret, Option<Rc<Opened>>),
    /// It is refused.
    Wrong(Fault),
}

/// Looks a request's token up; decides without asking anybody.
#[inline]
pub fn look(world: &World, site: &Site, head: &Head, now: u64) -> Bearing {
    if site.account.bearer.is_none() {
        return Bearing::Nothing;
    }
    let token = match sent(head) {
        Sent::Nothing => return Bearing::Nothing,
        Sent::Wrong(fault) => return Bearing::Wrong(fault),
        Sent::Token(token) => token,
    };
    let known = world.bearers.get(token.as_bytes());
    let known = known.filter(|opened| Rc::ptr_eq(&opened.account, &site.account) && now < opened.expires);
    match known {
        Some(opened) if opened.over.get() => Bearing::Unknown(Secret::new(token.to_owned()), None),
        Some(opened) if now < opened.recheck.get() => Bearing::Known(opened),
        known => Bearing::Unknown(Secret::new(token.to_owned()), known),
    }
}

/// Where several accounts share an origin, the one that a token is for: the only one with its audience and a
/// provider that could have issued it. What an unverified token says opens nothing: it is verified for that
/// account afterwards.
pub fn site_of<'a>(sites: &'a [Rc<Site>], head: &Head) -> Option<Option<&'a Rc<Site>>> {
    if sites.iter().all(|site| site.account.bearer.is_none()) {
        return None;
    }
    let token = match sent(head) {
        Sent::Nothing => return None,
        Sent::Wrong(_) => return Some(None),
        Sent::Token(token) => token,
    };
    let claims = access_token::unverified(token).unwrap_or_default();
    let iss = claims.get("iss").and_then(|iss| iss.as_str()).unwrap_or_default();
    let audiences = oidc::signed::audiences(&claims).unwrap_or_default();
    let mut fitting = sites.iter().filter(|site| {
        site.account.bearer.as_ref().is_some_and(|bearer| {
            site.account.enabled
                && bearer.audiences.iter().any(|own| audiences.contains(&own.as_str()))
                && bearer.providers.iter().any(|id| could_issue(site, bearer, id, iss))
        })
    });
    let first = fitting.next();
    Some(first.filter(|_| fitting.next().is_none()))
}

fn could_issue(site: &Site, bearer: &Bearer, id: &str, iss: &str) -> bool {
    let metadata = site.client(id).ok().and_then(|client| client.known_metadata());
    bearer.issuers.get(id).is_some_and(|other| other == iss)
        || metadata.is_some_and(|m| m.is_issuer(iss) || m.access_token_issuer.as_deref() == Some(iss))
}

/// Verifies a token, or asks the directory about its user again, then lets the request pass.
pub fn verify(asked: Rc<Asked>, token: Secret, known: Option<Rc<Opened>>, pass: Pass) -> Ruling {
    if let Some(opened) = &known {
        recheck::one_asks(&asked, opened);
    }
    Ruling::flow(asked, move |ask, asked| async move {
        match identify(&ask, &asked, &token, known.as_ref()).await {
            Ok(opened) => recheck::go_on(&ask, &asked, opened, Vec::new(), pass).await,
            Err(fault) => {
                if let Some(opened) = known {
                    opened.over.set(true);
                }
                Ok(Outcome::Answer(refuse(&asked, &fault)))
            }
        }
    })
}

/// The refusal of a token.
pub fn refuse(asked: &Asked, fault: &Fault) -> Answer {
    events::bearer(&*asked.world.host, asked.place(), fault.code.as_str());
    refusal(asked, fault)
}

/// The session that a token stands for.
async fn identify(
    ask: &Ask,
    asked: &Asked,
    token: &Secret,
    known: Option<&Rc<Opened>>,
) -> Result<Rc<Opened>, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let account = &site.account;
    let world = &asked.world;
    let read = async {
        let (provider, verified) = verified(ask, &site, token).await?;
        let identity = identity(ask, &site, &provider, &verified, token).await?;
        let user = match directory::resolve(ask, account, &site.directory, &identity).await? {
            Resolution::User(user) => user,
            Resolution::Invitation { .. } => {
                let detail = "the person is invited and has to accept in a browser first";
                return Err(Fault::new(Code::IdentityUnknown, detail));
            }
        };
        Ok((verified, identity, user))
    };
    let (verified, identity, user) = match read.await {
        Ok(found) => found,
        Err(fault) => match known {
            // A token that held goes on while nobody can be asked about it, as a session does.
            Some(opened) if fault.status() >= 500 && ask.now() < graced_until(world, opened) => {
                let reason = format!("a bearer token goes on unchecked: {}", fault.detail);
                events::notice(ask.host(), asked.place(), Level::Warn, &reason);
                return Ok(opened.clone());
            }
            _ => return Err(fault),
        },
    };
    let origin = Origin {
        provider: identity.provider.clone(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        auth_time: verified.auth_time,
        acr: verified.acr.clone(),
        ..Origin::default()
    };
    let forwarded = account.forward.access_token.is_some();
    let tokens = Tokens {
        access_token: forwarded.then(|| token.clone()),
        access_expires: forwarded.then_some(verified.expires),
        ..Tokens::default()
    };
    let session = Session::open(ask.host(), user, Method::Bearer, origin, tokens)?;
    let session = Session {
        headers: headers::from_claims(ask.host(), asked.place(), account, &identity.claims),
        // `not_before` ends tokens that were issued earlier, too.
        opened: verified.issued,
        ..session
    };
    let refused = || Fault::new(Code::TokenInvalid, "not_before ends tokens issued as long ago as this one");
    let opened = world.admit(account, session, token.expose().as_bytes().into()).ok_or_else(refused)?;
    let opened = Rc::new(Opened { expires: verified.expires, reseal: u64::MAX, ..opened });
    headers::note_left_out(ask.host(), asked.place(), account, &opened.session);
    world.bearers.put(opened.clone());
    events::bearer(ask.host(), asked.place(), "ok");
    Ok(opened)
}

fn graced_until(world: &World, opened: &Opened) -> u64 {
    opened.session.graced_until(&world.config.session, &opened.account)
}

/// The provider whose token it is, and what it says.
async fn verified(ask: &Ask, site: &Site, token: &Secret) -> Result<(String, AccessToken), Fault> {
    let refused = |why: String| Fault::new(Code::TokenInvalid, format!("access token: {why}"));
    let Some(bearer) = &site.account.bearer else { return Err(refused("none counts here".into())) };
    let token = token.expose();
    let claims = access_token::unverified(token).ok_or_else(|| refused("it is no JWT".into()))?;
    let iss = oidc::signed::string(&claims, "iss").map_err(refused)?;
    let iss = iss.ok_or_else(|| refused("iss is missing".into()))?;
    let mut down = None;
    for id in &bearer.providers {
        let client = site.client(id)?;
        let other = bearer.issuers.get(id).map(String::as_str);
        match access_token::is_issuer(ask, client, iss, other).await {
            Ok(true) => {
                let verified = access_token::verify(ask, client, token, &bearer.audiences, other).await?;
                return Ok((id.clone(), verified));
            }
            Ok(false) => {}
            Err(fault) => down = Some(fault),
        }
    }
    let iss: String = iss.chars().take(200).collect();
    Err(down.unwrap_or_else(|| refused(format!("iss is {iss:?}, none of the providers whose tokens count"))))
}

/// The person: what the token says, and what UserInfo adds where the mapping or a configured claim is not in
/// it. A provider that does not take the token there adds nothing.
async fn identity(
    ask: &Ask,
    site: &Site,
    provider: &str,
    verified: &AccessToken,
    token: &Secret,
) -> Result<Identity, Fault> {
    let account: &Account = &site.account;
    let client = site.client(provider)?;
    let has_endpoint = client.metadata(ask).await?.userinfo_endpoint.is_some();
    let mut known = verified.all.clone();
    let mut mapped = verified.all.clone();
    let needed = account.mapping.from == MappingFrom::Userinfo;
    if needed && verified.subject.is_none() {
        let why = "access token: sub is missing, so that UserInfo could be another person's";
        return Err(Fault::new(Code::TokenInvalid, why));
    }
    let unmapped = crate::values::json::pointer(&known, &account.mapping.claim).is_none();
    let wanted = needed || has_endpoint && (unmapped || wants_userinfo(account, &known, has_endpoint));
    if let Some(subject) = verified.subject.as_ref().filter(|_| wanted) {
        match userinfo::fetch(ask, client, subject, Some(token)).await {
            Ok(userinfo) => {
                if needed || unmapped {
                    mapped.clone_from(&userinfo);
                }
                userinfo::add(&mut known, userinfo);
            }
            Err(refusal) => match refusal.fault.code {
                Code::IdTokenInvalid => return Err(Fault { code: Code::TokenInvalid, ..refusal.fault }),
                Code::IdpInvalidAnswer if !needed => {}
                _ => return Err(refusal.fault),
            },
        }
    }
    let source = match account.mapping.from {
        MappingFrom::Userinfo => MappingFrom::Userinfo,
        _ => MappingFrom::IdToken,
    };
    let subject = verified.subject.clone().unwrap_or_default();
    let mut identity = Identity::verified(source, provider, verified.issuer.as_str(), subject, known, mapped);
    identity.linking = if verified.is_login_subject { Linking::Compared } else { Linking::Unknown };
    Ok(identity)
}
