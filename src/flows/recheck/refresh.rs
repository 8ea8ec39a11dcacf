//! What a renewal asks and what comes of it: the refresh token at the provider, what that brings verified,
//! the directory, and the session sealed anew where every worker finds it.

use std::rc::Rc;

use serde_json::Value;

use crate::access::condition::{self, ClaimCondition};
use crate::config::{Account, MappingFrom, OAuth2, Protocol};
use crate::directory::{self, notices};
use crate::fault::{Code, Fault};
use crate::flows::login::{groups, kept, wants_userinfo};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::identity::{mapping, Claims, Identity};
use crate::proto::oidc::token::{self, Refreshed};
use crate::proto::oidc::{access_token, dpop, id_token, userinfo};
use crate::session::headers;
use crate::session::renewals::{self, Id, State};
use crate::session::{LiveSession, Session, Tokens};
use crate::state::{AccountState, FilterState};
use crate::values::{json, secret::Secret};

/// After one that failed, the next comes so much later.
const BACK_OFF: u64 = 10_000;
/// The provider refused the token: most likely the person is signed out there, or another replica used it a
/// moment ago and the browser is about to send what that one made. Only time tells which.
const RACE: u64 = 10_000;
/// The newer state is kept for requests that still send the older one.
const KEPT: u64 = 15 * 60_000;
/// What ended is known for as long as requests wait for it.
const ENDED: u64 = 60_000;

/// Whether another replica may renew the session at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// None does: this replica has claimed the renewal in the shared engine.
    Surely,
    /// One may: nothing is shared, or the engine is away.
    MayBe,
}

/// Renews it and says what came of it.
pub(super) async fn renew(
    io: &Io,
    filter_state: &FilterState,
    account_state: &AccountState,
    live: &Rc<LiveSession>,
    old: &Session,
    alone: Alone,
) {
    let (host, id) = (io.host(), live.renewal);
    let settings = &filter_state.config.session;
    let place = old.place(Place { account: Some(&account_state.account.code), ..Place::default() });
    let ends = old.ends(settings);
    let settle = |id: Id, state: State, keep: u64| {
        let now = host.now();
        renewals::settle(host, id, &state, now, now.saturating_add(keep));
    };
    let spend = || {
        if let Some(token) = &old.tokens.refresh_token {
            renewals::spend(host, token, ends);
        }
    };
    let (next, fault) = match ask_both(io, filter_state, account_state, old).await {
        Said::State { next, fault } => (*next, fault),
        Said::Ended(error) => {
            spend();
            let detail = format!("token endpoint: {error}, the refresh token is no longer good");
            events::renewal(host, place, "refused", Some(&Fault::new(Code::SessionExpired, detail)));
            events::session_ended(host, place, error);
            match alone {
                Alone::Surely => {
                    live.mark.end(host, ends);
                    settle(id, State::Ended(None), ENDED);
                }
                Alone::MayBe => settle(id, State::Refused(0), RACE),
            }
            return;
        }
        Said::Anew => {
            // The provider's logout messages name the new session from now on, which this one would not hear.
            // Signing in again, most often unseen, leads to a session that does.
            spend();
            let detail = "the provider has another session of this user: sid is not the one of the login";
            events::renewal(host, place, "refused", Some(&Fault::new(Code::SessionExpired, detail)));
            live.mark.end(host, ends);
            events::session_ended(host, place, "authenticated_anew");
            settle(id, State::Ended(None), ENDED);
            return;
        }
        Said::Refused(fault) => {
            // It is another person's, or of one who may not come in by this provider: nothing of it counts, at once.
            spend();
            events::renewal(host, place, "refused", Some(&fault));
            live.mark.end(host, ends);
            events::session_ended(host, place, fault.code.as_str());
            settle(id, State::Ended(Some(fault.code)), ENDED);
            return;
        }
        Said::Inactive => {
            live.mark.end(host, ends);
            events::session_ended(host, place, "user_inactive");
            settle(id, State::Ended(Some(Code::UserInactive)), ENDED);
            return;
        }
    };
    events::renewal(host, place, if fault.is_none() { "ok" } else { "failed" }, fault.as_ref());
    let failed = fault.map(|fault| State::Failed(Some(fault.code), 0));
    let rotated = next.tokens.refresh_token != old.tokens.refresh_token;
    if rotated {
        spend();
    }
    if next == *old {
        settle(id, failed.unwrap_or(State::Failed(None, 0)), BACK_OFF);
        return;
    }
    let newer_id = Id::of(&next);
    match super::reseal(filter_state, live, Session { seen: host.now(), ..next }) {
        Ok(Some((newer, _))) => {
            if let (Some(failed), true) = (failed, newer.session.is_renewable()) {
                settle(newer_id, failed, BACK_OFF);
            }
            settle(id, State::Done(newer.sealed.to_vec()), KEPT);
        }
        Ok(None) => settle(id, State::Ended(None), ENDED),
        Err(fault) => {
            events::notice(
                host,
                place,
                Level::Error,
                &format!("a renewed session cannot be kept: {}", fault.detail),
            );
            settle(id, State::Ended(Some(fault.code)), ENDED);
        }
    }
}

/// What IdP and directory say.
enum Said {
    /// The session as it is now, and what could not be asked.
    State { next: Box<Session>, fault: Option<Fault> },
    /// The IdP does not know it any longer, or wants to see the person: its `error`.
    Ended(&'static str),
    /// The provider has another session of this user: another `sid`.
    Anew,
    /// The IdP brought another person's token, or one that does not hold.
    Refused(Fault),
    /// The user may no longer sign in.
    Inactive,
}

async fn ask_both(io: &Io, filter_state: &FilterState, account_state: &AccountState, old: &Session) -> Said {
    let settings = &filter_state.config.session;
    let account = &account_state.account;
    let place = old.place(Place { account: Some(&account.code), ..Place::default() });
    let mut next = old.clone();
    let mut fault = None;
    let mut asked_idp = false;
    if io.now() >= old.renewal_due(settings, account) {
        match ask_idp(io, account_state, old).await {
            Ok(Answered::Ended(error)) => return Said::Ended(error),
            Ok(Answered::Anew) => return Said::Anew,
            Ok(Answered::Fresh { tokens, claims }) => {
                next.tokens = tokens;
                next.renewed = Some(io.now());
                if let Some(claims) = claims {
                    if let Err(fault) = still_allowed(account, &claims, &mut next) {
                        return Said::Refused(fault);
                    }
                    notices::note_lost_roles(io.host(), account, &next.user, &claims);
                    next.user = next.user.with_claims(&account.mapping, &claims);
                    next.headers = headers::from_claims(io.host(), place, account, &claims);
                    next.conditions = condition::noted(&account.access, &claims);
                }
                asked_idp = true;
            }
            Ok(Answered::Unverified { refresh_token, fault: why }) => {
                next.tokens.refresh_token = refresh_token;
                fault = Some(why);
            }
            Err(why) if why.code == Code::IdTokenInvalid => return Said::Refused(why),
            Err(why) => fault = Some(why),
        }
    }
    // New claims are judged beside the directory's roles.
    if asked_idp {
        match directory::recheck(io, account, &account_state.directory, &next.user).await {
            Ok(Some(user)) if fault.is_none() || user != next.user => {
                next.user = user;
                next.checked = io.now();
            }
            Ok(Some(_)) => {}
            Ok(None) => return Said::Inactive,
            Err(why) => fault = fault.or(Some(why)),
        }
    }
    Said::State { next: Box::new(next), fault }
}

/// What the IdP says.
enum Answered {
    /// The session's tokens from now on, and the claims where it brought any.
    Fresh { tokens: Tokens, claims: Option<Claims> },
    /// New tokens came, but what they say could not be verified now (its keys or UserInfo are down): the old
    /// refresh token is used up all the same.
    Unverified { refresh_token: Option<Secret>, fault: Fault },
    /// Nothing: `invalid_grant`, or another `error` that only a login mends.
    Ended(&'static str),
    /// An ID token of another session of the provider.
    Anew,
}

async fn ask_idp(io: &Io, account_state: &AccountState, old: &Session) -> Result<Answered, Fault> {
    let gone = || Fault::new(Code::NotReady, "the session has no refresh token, or its provider is gone");
    let provider = account_state.provider(&old.origin.provider).ok_or_else(gone)?;
    let refresh_token = old.tokens.refresh_token.as_ref().ok_or_else(gone)?;
    if let Protocol::Oidc(_) = &provider.protocol {
        account_state.client(&provider.id)?.metadata(io).await?;
    }
    // A refresh token is for the provider and the client it was issued to (RFC 6749 section 10.4).
    let is_other_client = old.origin.client.as_ref().is_some_and(|client| *client != provider.client);
    if is_other_client || account_state.issuers.is_of(provider, &old.origin.issuer) == Some(false) {
        return Ok(Answered::Ended("provider_changed"));
    }
    let dpop = bound_key(io, &provider.protocol, old)?;
    let refreshed = match &provider.protocol {
        Protocol::Oidc(oidc) => {
            let client = account_state.client(&provider.id)?;
            let metadata = client.metadata(io).await?;
            let proofs = client.proofs(dpop.as_ref())?;
            let endpoint =
                token::Endpoint { proofs: proofs.as_ref(), ..token::Endpoint::of_oidc(oidc, &metadata) };
            token::refresh(io, &endpoint, refresh_token).await?
        }
        Protocol::OAuth2(oauth2) => {
            token::refresh(io, &token::Endpoint::of_oauth2(oauth2), refresh_token).await?
        }
        Protocol::Saml(_) => return Err(gone()),
    };
    let tokens = match refreshed {
        Refreshed::Tokens(tokens) => tokens,
        Refreshed::Ended(error) => return Ok(Answered::Ended(error)),
    };
    let said = match &provider.protocol {
        Protocol::Oidc(_) => openid(io, account_state, old, &tokens, dpop.as_ref()).await,
        Protocol::OAuth2(oauth2) => plain(io, oauth2, old, &tokens).await,
        Protocol::Saml(_) => Err(gone()),
    };
    let said = match said {
        Ok(Some(mut claims)) => {
            let proofs = match &provider.protocol {
                Protocol::Oidc(_) => account_state.client(&provider.id)?.proofs(dpop.as_ref())?,
                _ => None,
            };
            let token = tokens.access_token.as_ref();
            let added =
                groups::add(io, &account_state.account, provider, &mut claims, token, proofs.as_ref()).await;
            added.map(|()| Some(claims))
        }
        other => other,
    };
    // RFC 6749 section 6: without a new refresh token the old one stays; so does the ID token.
    let refresh_token = tokens.refresh_token.clone().or_else(|| old.tokens.refresh_token.clone());
    match said {
        Ok(Some(claims)) if is_of_another_session(old, &claims) => Ok(Answered::Anew),
        Ok(claims) => {
            let fresh = kept(io, &account_state.account, tokens);
            let id_token = fresh.id_token.or_else(|| old.tokens.id_token.clone());
            let (access_token, access_expires) = match fresh.access_token {
                Some(token) => (Some(token), fresh.access_expires),
                None => (old.tokens.access_token.clone(), old.tokens.access_expires),
            };
            let tokens =
                Tokens { id_token, access_token, access_expires, refresh_token, dpop, ..Tokens::default() }
                    .bound();
            Ok(Answered::Fresh { tokens, claims })
        }
        Err(fault) if fault.code == Code::IdTokenInvalid => Err(fault),
        Err(fault) => Ok(Answered::Unverified { refresh_token, fault }),
    }
}

/// True if both the login and the refresh named a session of the provider, and not the same one.
fn is_of_another_session(old: &Session, claims: &Claims) -> bool {
    let sid = claims.get("sid").and_then(Value::as_str);
    sid.zip(old.origin.sid.as_deref()).is_some_and(|(sid, first)| sid != first)
}

/// The key that tokens are bound to (RFC 9449). A session that began before `dpop` was configured gets one now.
fn bound_key(io: &Io, protocol: &Protocol, old: &Session) -> Result<Option<Secret>, Fault> {
    match (protocol, &old.tokens.dpop) {
        (Protocol::Oidc(oidc), None) if oidc.dpop => Ok(Some(dpop::Key::generate(io.host())?.to_secret())),
        (Protocol::Oidc(oidc), Some(key)) if oidc.dpop => Ok(Some(key.clone())),
        _ => Ok(None),
    }
}

/// OpenID Connect Core section 12.2; UserInfo where something is missing, as at login.
async fn openid(
    io: &Io,
    account_state: &AccountState,
    old: &Session,
    tokens: &token::Tokens,
    dpop: Option<&Secret>,
) -> Result<Option<Claims>, Fault> {
    let client = account_state.client(&old.origin.provider)?;
    let Some(id_token) = &tokens.id_token else {
        return without_id_token(io, account_state, old, tokens, dpop).await;
    };
    let moment = id_token::Expectation::Refresh {
        issuer: &old.origin.issuer,
        subject: &old.origin.subject,
        nonce: old.origin.nonce.as_deref(),
    };
    let claims = id_token::verify(io, client, id_token, tokens.access_token.as_ref(), moment).await?;
    let mut known = claims.all().clone();
    let metadata = client.metadata(io).await?;
    if wants_userinfo(&account_state.account, &known, metadata.userinfo_endpoint.is_some())
        && tokens.access_token.is_some()
    {
        let (subject, token) = (claims.subject(), tokens.access_token.as_ref());
        // A user with roles or headers from there keeps them while it cannot be asked; others have nothing to lose.
        let needed = needs_userinfo(account_state, old, &known);
        let userinfo =
            userinfo::more(io, client, subject, token, client.proofs(dpop)?.as_ref(), needed).await?;
        userinfo::add(&mut known, userinfo.unwrap_or_default());
    }
    Ok(Some(known))
}

/// A refresh need not bring an ID token (OpenID Connect Core section 12.2): the one of the login holds, and what only UserInfo
/// says is read anew, or a role that was taken there would stay.
async fn without_id_token(
    io: &Io,
    account_state: &AccountState,
    old: &Session,
    tokens: &token::Tokens,
    dpop: Option<&Secret>,
) -> Result<Option<Claims>, Fault> {
    let client = account_state.client(&old.origin.provider)?;
    let account = &account_state.account;
    let kept = old.tokens.id_token.as_ref().and_then(|token| access_token::unverified(token.expose()));
    let is_known = kept.is_some();
    // It was verified at the login, and has been sealed since.
    let mut known = kept.unwrap_or_default();
    let has_endpoint = client.metadata(io).await?.userinfo_endpoint.is_some();
    if tokens.access_token.is_none() || !wants_userinfo(account, &known, has_endpoint) {
        return Ok(None);
    }
    let needed = needs_userinfo(account_state, old, &known);
    let (subject, token) = (&old.origin.subject, tokens.access_token.as_ref());
    let Ok(userinfo) =
        userinfo::more(io, client, subject, token, client.proofs(dpop)?.as_ref(), needed).await?
    else {
        return Ok(None);
    };
    let missing = |claim: &String| json::pointer(&userinfo, claim).is_none();
    // Too large a session keeps no ID token: then nothing tells whether the roles came from it.
    if !is_known && account.mapping.roles_claim.iter().all(missing) {
        return Ok(None);
    }
    // What it says now of roles, headers and conditions replaces what the ID token said at the login.
    known.retain(|member, _| !userinfo.contains_key(member) || !is_judged(account, member));
    userinfo::add(&mut known, userinfo);
    // When and in which session the user authenticated is the login's to say.
    for name in ["auth_time", "sid"] {
        known.remove(name);
    }
    Ok(Some(known))
}

/// True if the account reads roles, forwarded headers or conditions in the member, and not who the user is.
fn is_judged(account: &Account, member: &str) -> bool {
    let mut judged = account.judged_claims();
    !json::reads(&account.mapping.claim, member) && judged.any(|claim| json::reads(claim, member))
}

/// The user of these claims may still come in by the provider: a `confined` one may name another address by now.
fn still_allowed(account: &Account, claims: &Claims, session: &mut Session) -> Result<(), Fault> {
    let Some(provider) = account.provider(&session.origin.provider) else { return Ok(()) };
    let source = match (&provider.protocol, account.mapping.from) {
        (Protocol::OAuth2(_), _) | (_, MappingFrom::Userinfo) => MappingFrom::Userinfo,
        _ => MappingFrom::IdToken,
    };
    let (issuer, subject) = (session.origin.issuer.as_str(), session.origin.subject.as_str());
    let identity =
        Identity::verified(source, provider.id.as_str(), issuer, subject, claims.clone(), claims.clone());
    // A refresh need not name the address again.
    if let Some(domain) = mapping::domain(&account.mapping, &identity) {
        mapping::confined(&account.mapping, provider, &identity)?;
        session.origin.domain = Some(domain);
    }
    Ok(())
}

/// True where the claims are taken from UserInfo, or the session holds what only UserInfo can have said: it is not in
/// the ID token.
fn needs_userinfo(account_state: &AccountState, old: &Session, id_token: &Claims) -> bool {
    let account = &account_state.account;
    let missing = |claim: &String| json::pointer(id_token, claim).is_none();
    let roles = account.mapping.roles_claim.iter().any(missing) && !old.user.claim_roles.is_empty();
    let held = |name: &str| old.headers.iter().any(|own| own.header == *name);
    let met = |own: &ClaimCondition| missing(&own.claim) && own.is_noted_as_met(&old.conditions);
    account.mapping.from == MappingFrom::Userinfo
        || roles
        || condition::on_claims(&account.access).any(met)
        || account.forward.headers.iter().any(|(name, claim)| missing(claim) && held(name))
}

/// Plain OAuth 2.0: the person of the new access token is still the same.
async fn plain(
    io: &Io,
    oauth2: &OAuth2,
    old: &Session,
    tokens: &token::Tokens,
) -> Result<Option<Claims>, Fault> {
    let Some(access) = &tokens.access_token else { return Ok(None) };
    let person = userinfo::fetch_person(io, oauth2, access).await?;
    match person.subject == old.origin.subject {
        true => Ok(Some(person.all)),
        false => Err(Fault::new(Code::IdTokenInvalid, "UserInfo: after a refresh it is another person")),
    }
}
