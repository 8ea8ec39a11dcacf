//! Programs with an access token of the provider, on `users` paths: the same user, headers and roles as a
//! browser session, without a cookie.
//!
//! A token that was sent is the one thing that counts: it is never beside a cookie, and a wrong one is
//! refused, whatever cookies came with it. A token that held is remembered until it expires, so that it costs
//! no more than a session, and is asked about in the directory again after `recheck`.

#[cfg(test)]
mod machine_tests;
mod machines;
pub mod metadata;
mod opaque;
#[cfg(test)]
mod opaque_tests;
#[cfg(test)]
mod resource_tests;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::access::condition::noted;
use crate::config::{Account, Bearer, MappingFrom};
use crate::directory::{self, Resolution, User};
use crate::exchange::challenge::refusal;
use crate::exchange::{Exchange, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::login::wants_userinfo;
use crate::flows::recheck;
use crate::host::events;
use crate::host::task::{Io, Lane};
use crate::host::Level;
use crate::http::response::Response;
use crate::http::Head;
use crate::identity::{mapping, Claims, Identity, Linking};
use crate::proto::oidc::access_token::{self, AccessToken};
use crate::proto::oidc::{self, userinfo};
use crate::session::headers;
use crate::session::{Authentication, LiveSession, Method, Session, Tokens};
use crate::state::{AccountState, FilterState};
use crate::values::secret::Secret;

/// What the `authorization` header says about a bearer token.
pub enum Sent<'a> {
    /// There is none, or another scheme's.
    Nothing,
    /// A token.
    Token(&'a str),
    /// Something that is not a token: never passed over for a cookie.
    Wrong(Fault),
}

/// RFC 6750 section 2.1. Tokens in a query or a form do not count (section 2.2 and 2.3): they end in logs.
pub fn sent(head: &Head) -> Sent<'_> {
    match bytes_sent(head) {
        Ok(None) => Sent::Nothing,
        Ok(Some(bytes)) => token(bytes).map_or_else(Sent::Wrong, Sent::Token),
        Err(fault) => Sent::Wrong(fault),
    }
}

/// What stands where a token does.
#[inline]
fn bytes_sent(head: &Head) -> Result<Option<&[u8]>, Fault> {
    let mut values = head.all("authorization");
    let Some(first) = values.next() else { return Ok(None) };
    let doubled = values.next().is_some();
    let is_bearer = |value: &[u8]| {
        value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
            && value.get(6).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b','))
    };
    if doubled && head.all("authorization").any(|value| is_bearer(value.trim_ascii_start())) {
        // Filter and application could each believe another one.
        let detail = "several authorization headers, one with a bearer token";
        return Err(Fault::new(Code::RequestInvalid, detail));
    }
    let first = first.trim_ascii();
    Ok(is_bearer(first).then(|| first.get(6..).unwrap_or_default().trim_ascii_start()))
}

/// A token, if the bytes are one: b64token of RFC 6750 section 2.1, as far as a JWT needs it.
fn token(bytes: &[u8]) -> Result<&str, Fault> {
    let fine = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b));
    let text = std::str::from_utf8(bytes).ok().filter(|_| fine);
    text.ok_or_else(|| Fault::new(Code::TokenInvalid, "what follows Bearer is not a token"))
}

/// Who a request's token says is there.
pub enum BearerLookup {
    /// No token was sent, or tokens do not count here.
    Absent,
    /// A token that is remembered.
    Valid(Rc<LiveSession>),
    /// One to be verified, or to be asked about again.
    Unknown(Secret, Option<Rc<LiveSession>>),
    /// It is refused.
    Refused(Fault),
}

/// Looks a request's token up; decides without a call.
#[inline]
pub fn lookup(
    filter_state: &FilterState,
    account_state: &AccountState,
    head: &Head,
    now: u64,
) -> BearerLookup {
    if account_state.account.bearer.is_none() {
        return BearerLookup::Absent;
    }
    let bytes = match bytes_sent(head) {
        Ok(None) => return BearerLookup::Absent,
        Ok(Some(bytes)) => bytes,
        Err(fault) => return BearerLookup::Refused(fault),
    };
    let introspects = account_state.account.bearer.as_ref().is_some_and(|bearer| bearer.introspects);
    // A JWT is known by its own bytes, so that one that is remembered was read before. Where opaque tokens are asked about,
    // which are known by their hash, it is read first: no client gets in with a hash in its token's place.
    if !introspects {
        let known = known(filter_state, account_state, bytes, now);
        if let Some(live) = known.filter(|live| !live.over.get() && now < live.checks.next()) {
            return BearerLookup::Valid(live);
        }
    }
    look_again(filter_state, account_state, bytes, now)
}

/// The remembered session of a token.
#[inline]
fn known(
    filter_state: &FilterState,
    account_state: &AccountState,
    key: &[u8],
    now: u64,
) -> Option<Rc<LiveSession>> {
    let known = filter_state.bearers.get(key);
    known.filter(|live| Rc::ptr_eq(&live.account, &account_state.account) && now < live.expires)
}

/// Looks up a token that is read first: one that is not remembered, or has to be asked about again.
fn look_again(
    filter_state: &FilterState,
    account_state: &AccountState,
    bytes: &[u8],
    now: u64,
) -> BearerLookup {
    let token = match token(bytes) {
        Ok(token) => token,
        Err(fault) => return BearerLookup::Refused(fault),
    };
    match known(filter_state, account_state, opaque::key(account_state, token, &mut [0; 32]), now) {
        Some(live) if live.over.get() => BearerLookup::Unknown(Secret::new(token.to_owned()), None),
        Some(live) if now < live.checks.next() => BearerLookup::Valid(live),
        known => BearerLookup::Unknown(Secret::new(token.to_owned()), known),
    }
}

/// Which of several accounts a request names.
pub enum Named<'a> {
    /// None: it says nothing of an account.
    Nothing,
    /// This one.
    Account(&'a Rc<AccountState>),
    /// One that is not here.
    Unknown,
}

impl<'a> From<Option<&'a Rc<AccountState>>> for Named<'a> {
    /// What was found for a name.
    fn from(found: Option<&'a Rc<AccountState>>) -> Self {
        found.map_or(Named::Unknown, Named::Account)
    }
}

/// Where several accounts share an origin, the one that a token is for: the only one with its audience and a
/// provider that could have issued it. What an unverified token says opens nothing: it is verified for that
/// account afterwards.
pub fn named<'a>(account_states: &'a [Rc<AccountState>], head: &Head) -> Named<'a> {
    if account_states.iter().all(|account_state| account_state.account.bearer.is_none()) {
        return Named::Nothing;
    }
    let token = match sent(head) {
        Sent::Nothing => return Named::Nothing,
        Sent::Wrong(_) => return Named::Unknown,
        Sent::Token(token) => token,
    };
    // A provider alone knows for whom an opaque token is: it is asked where one account alone asks.
    let mut asking = account_states.iter().filter(|own| own.account.enabled && opaque::is_opaque(own, token));
    if let Some(first) = asking.next() {
        return Some(first).filter(|_| asking.next().is_none()).into();
    }
    let claims = access_token::unverified(token).unwrap_or_default();
    let iss = claims.get("iss").and_then(|iss| iss.as_str()).unwrap_or_default();
    let audiences = oidc::signed::audiences(&claims).unwrap_or_default();
    let mut fitting = account_states.iter().filter(|account_state| {
        account_state.account.bearer.as_ref().is_some_and(|bearer| {
            account_state.account.enabled
                && (bearer.audiences.iter().any(|own| audiences.contains(&own.as_str()))
                    && bearer.providers.iter().any(|id| could_issue(account_state, bearer, id, iss))
                    || bearer.machines.iter().any(|machine| {
                        machine.issuer == iss
                            && machine.audiences.iter().any(|own| audiences.contains(&own.as_str()))
                    }))
        })
    });
    let first = fitting.next();
    first.filter(|_| fitting.next().is_none()).into()
}

fn could_issue(account_state: &AccountState, bearer: &Bearer, id: &str, iss: &str) -> bool {
    let metadata = account_state.client(id).ok().and_then(|client| client.known_metadata());
    bearer.issuers.get(id).is_some_and(|other| other == iss)
        || metadata.is_some_and(|m| m.is_issuer(iss) || m.access_token_issuer.as_deref() == Some(iss))
}

/// Verifies a token, or asks the directory about its user again, then lets the request pass.
pub fn verify(exchange: Rc<Exchange>, token: Secret, known: Option<Rc<LiveSession>>, pass: Pass) -> Ruling {
    Ruling::flow(exchange, move |io, exchange| async move {
        match session(&io, &exchange, token, known).await {
            Ok(live) => recheck::go_on(&io, &exchange, live, Vec::new(), pass).await,
            Err(fault) => Ok(Outcome::LocalReply(refuse(&exchange, &fault))),
        }
    })
}

/// The session that a token stands for, verified now, or again if that is due.
pub async fn session(
    io: &Io,
    exchange: &Rc<Exchange>,
    token: Secret,
    known: Option<Rc<LiveSession>>,
) -> Result<Rc<LiveSession>, Fault> {
    match known {
        Some(live) => again(io, exchange, token, live).await,
        None => identify(io, exchange, &token, None).await,
    }
}

/// A token that held, verified again by the background, for all its requests that wait.
async fn again(
    io: &Io,
    exchange: &Rc<Exchange>,
    token: Secret,
    live: Rc<LiveSession>,
) -> Result<Rc<LiveSession>, Fault> {
    let lane = Lane::new(&live.account.code, "bearer");
    let (exchange, known) = (exchange.clone(), live.clone());
    let check = |io: Io| async move {
        let found = identify(&io, &exchange, &token, Some(&known)).await;
        if found.is_err() {
            known.over.set(true);
        }
        found
    };
    recheck::asking::asked(io, &live, lane, check).await
}

/// The refusal of a token.
pub fn refuse(exchange: &Exchange, fault: &Fault) -> Response {
    events::bearer(&*exchange.filter_state.host, exchange.place(), fault.code.as_str());
    refusal(exchange, fault)
}

/// The session that a token stands for.
async fn identify(
    io: &Io,
    exchange: &Exchange,
    token: &Secret,
    known: Option<&Rc<LiveSession>>,
) -> Result<Rc<LiveSession>, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let account = &account_state.account;
    let filter_state = &exchange.filter_state;
    let read = holder(io, exchange, &account_state, token, known.is_none());
    let holder = match read.await {
        Ok(found) => found,
        Err(fault) => match known {
            // A token that held goes on while neither provider nor directory can be asked about it, as a session does.
            Some(live) if fault.status() >= 500 && io.now() < graced_until(filter_state, live) => {
                live.checks.put_off_directory(
                    io.now().saturating_add(recheck::asking::BACK_OFF).min(graced_until(filter_state, live)),
                );
                let reason = format!("a bearer token goes on unchecked: {}", fault.detail);
                events::notice(io.host(), exchange.place(), Level::Warn, &reason);
                return Ok(live.clone());
            }
            _ => return Err(fault),
        },
    };
    let origin = Authentication {
        provider: holder.provider,
        client: holder.client,
        domain: holder.domain,
        issuer: holder.issuer,
        subject: holder.subject,
        auth_time: holder.auth_time,
        acr: holder.acr,
        scopes: access_token::scopes(&holder.claims),
        amr: Some(crate::identity::amr(holder.claims.get("amr"))),
        ..Authentication::default()
    };
    let forwarded = account.forward.access_token.is_some();
    let tokens = Tokens {
        access_token: forwarded.then(|| token.clone()),
        access_expires: forwarded.then_some(holder.expires),
        ..Tokens::default()
    };
    let session = Session::open(io.host(), holder.user, Method::Bearer, origin, tokens)?;
    let session = Session {
        headers: headers::from_claims(io.host(), exchange.place(), account, &holder.claims),
        conditions: noted(&account.access, &holder.claims),
        // `not_before` ends tokens that were issued earlier, too.
        started_at: issued(account, holder.issued, io.now())?,
        // Without the allowance for clocks: an assertion ends no later than the token.
        not_after: holder
            .claims
            .get("exp")
            .and_then(|exp| exp.as_f64())
            .map(|seconds| (seconds * 1000.0) as u64),
        ..session
    };
    let refused = || Fault::new(Code::TokenInvalid, "not_before ends tokens issued as long ago as this one");
    let live = filter_state.admit(
        account,
        session,
        opaque::key(&account_state, token.expose(), &mut [0; 32]).into(),
    );
    let live = live.ok_or_else(refused)?;
    let live = Rc::new(LiveSession { expires: holder.expires, reseal: u64::MAX, ..live });
    headers::note_left_out(io.host(), exchange.place(), account, &live.session);
    filter_state.bearers.put(live.clone(), io.now());
    events::bearer(io.host(), exchange.place(), "ok");
    Ok(live)
}

/// Who a verified token stands for, and what it says.
struct Holder {
    provider: String,
    client: Option<String>,
    domain: Option<String>,
    issuer: String,
    subject: String,
    user: User,
    claims: Claims,
    auth_time: Option<u64>,
    acr: Option<String>,
    issued: Option<u64>,
    expires: u64,
}

/// Verifies the token and finds the user behind it.
async fn holder(
    io: &Io,
    exchange: &Exchange,
    account_state: &Rc<AccountState>,
    token: &Secret,
    is_new: bool,
) -> Result<Holder, Fault> {
    let opaque = opaque::is_opaque(account_state, token.expose());
    let claims = access_token::unverified(token.expose()).filter(|_| !opaque);
    if let Some(iss) = claims.as_ref().and_then(|claims| claims.get("iss")?.as_str()) {
        if let Some(found) = machines::verified(io, account_state, iss, token).await {
            return found;
        }
    }
    let (provider, verified) = match opaque {
        true => opaque::verified(io, exchange, account_state, token).await?,
        false => verified(io, account_state, token).await?,
    };
    let identity = identity(io, account_state, &provider, &verified, token).await?;
    let account = &account_state.account;
    let user = match directory::resolve(io, account, &account_state.directory, &identity).await? {
        Resolution::User(user) => user,
        Resolution::Invitation { .. } => {
            let detail = "the person is invited and has to accept in a browser first";
            return Err(Fault::new(Code::IdentityUnknown, detail));
        }
    };
    if is_new {
        directory::notices::note(io.host(), account, &identity);
    }
    Ok(Holder {
        client: account.provider(&identity.provider).map(|provider| provider.client.clone()),
        domain: mapping::domain(&account.mapping, &identity),
        provider: identity.provider,
        issuer: identity.issuer,
        subject: identity.subject,
        user,
        claims: identity.claims,
        auth_time: verified.auth_time,
        acr: verified.acr.clone(),
        issued: verified.issued,
        expires: verified.expires,
    })
}

/// When the token was issued. An introspection need not say, unless `not_before` has to judge it.
fn issued(account: &Account, issued: Option<u64>, now: u64) -> Result<u64, Fault> {
    let judged = account.not_before > 0 || !account.not_before_users.is_empty();
    match issued {
        Some(issued) => Ok(issued),
        None if judged => {
            Err(Fault::new(Code::TokenInvalid, "introspection: iat is missing, and not_before needs it"))
        }
        None => Ok(now),
    }
}

fn graced_until(filter_state: &FilterState, live: &LiveSession) -> u64 {
    live.session.graced_until(&filter_state.config.session, &live.account)
}

/// The provider whose token it is, and what it says.
async fn verified(
    io: &Io,
    account_state: &AccountState,
    token: &Secret,
) -> Result<(String, Rc<AccessToken>), Fault> {
    let refused = |why: String| Fault::new(Code::TokenInvalid, format!("access token: {why}"));
    let Some(bearer) = &account_state.account.bearer else { return Err(refused("none counts here".into())) };
    let token = token.expose();
    let claims = access_token::unverified(token).ok_or_else(|| refused("it is not a JWT".into()))?;
    let iss = oidc::signed::string(&claims, "iss").map_err(refused)?;
    let iss = iss.ok_or_else(|| refused("iss is missing".into()))?;
    let mut down = None;
    for id in &bearer.providers {
        let client = account_state.client(id)?;
        let other = bearer.issuers.get(id).map(String::as_str);
        match access_token::is_issuer(io, client, iss, other).await {
            Ok(true) => {
                let verified = access_token::verify(io, client, token, &bearer.audiences, other).await?;
                return Ok((id.clone(), Rc::new(verified)));
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
    io: &Io,
    account_state: &AccountState,
    provider: &str,
    verified: &AccessToken,
    token: &Secret,
) -> Result<Identity, Fault> {
    let account: &Account = &account_state.account;
    let client = account_state.client(provider)?;
    let has_endpoint = client.metadata(io).await?.userinfo_endpoint.is_some();
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
        match userinfo::more(io, client, subject, Some(token), None, needed || unmapped).await {
            Ok(Ok(userinfo)) => {
                if needed || unmapped {
                    mapped.clone_from(&userinfo);
                }
                userinfo::add(&mut known, userinfo);
            }
            // The token has all that the mapping needs.
            Ok(Err(_)) => {}
            Err(fault) => match fault.code {
                Code::IdTokenInvalid => return Err(Fault { code: Code::TokenInvalid, ..fault }),
                Code::IdpInvalidAnswer if !needed => {}
                _ => return Err(fault),
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
