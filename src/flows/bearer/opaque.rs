//! Opaque tokens: the background asks the provider what they are, once for each, and requests wait for the answer.

use std::rc::Rc;

use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Lane};
use crate::proto::oidc::access_token::AccessToken;
use crate::proto::oidc::introspection;
use crate::state::introspected::{hash, Known, Permit, TokenHash, IN_FLIGHT};
use crate::state::{AccountState, FilterState};
use crate::values::secret::Secret;

/// A longer token is refused.
const MAX_TOKEN: usize = 4_096;

/// An answer that has not come by then, in milliseconds, died with the call.
const SLACK: u64 = 2_000;

/// True if the providers of this account are asked about the token.
pub fn is_opaque(account_state: &AccountState, token: &str) -> bool {
    let bearer = &account_state.account.bearer;
    bearer.as_ref().is_some_and(|bearer| bearer.introspects) && !introspection::is_jwt(token)
}

/// What a token is known by: an opaque one by its hash, so that memory does not hold it.
pub fn key<'t>(account_state: &AccountState, token: &'t str, room: &'t mut TokenHash) -> &'t [u8] {
    match is_opaque(account_state, token) {
        true => {
            *room = hash(&account_state.account.code, token);
            room
        }
        false => token.as_bytes(),
    }
}

/// A verified token and the id of its provider.
pub type Answer = Result<(String, Rc<AccessToken>), Fault>;

/// What the providers say of the token. One request asks; those beside it wait for the answer.
pub async fn verified(
    io: &Io,
    exchange: &Exchange,
    account_state: &Rc<AccountState>,
    token: &Secret,
) -> Answer {
    if token.expose().len() > MAX_TOKEN {
        return Err(Fault::new(Code::TokenInvalid, "introspection: the token is too long to ask about"));
    }
    let id = hash(&account_state.account.code, token.expose());
    let filter_state = &exchange.filter_state;
    match filter_state.introspected.get(&id, io.now()) {
        Some(Known::Asking) => {}
        Some(answer) => return answered(Some(answer)),
        None => ask(io, filter_state, account_state, id, token)?,
    }
    let state = filter_state.clone();
    let is_asking = move || matches!(state.introspected.get(&id, state.host.now()), Some(Known::Asking));
    io.until(move || !is_asking()).await;
    answered(filter_state.introspected.get(&id, io.now()))
}

fn answered(known: Option<Known>) -> Answer {
    match known {
        Some(Known::Active(provider, token)) => Ok((provider, token)),
        Some(Known::Refused(fault)) => Err(fault),
        Some(Known::Asking) | None => Err(Fault::new(Code::IdpTimeout, "introspection: no answer in time")),
    }
}

/// Leaves the question to the background.
fn ask(
    io: &Io,
    filter_state: &Rc<FilterState>,
    account_state: &Rc<AccountState>,
    id: TokenHash,
    token: &Secret,
) -> Result<(), Fault> {
    let now = io.now();
    let timeout: u64 = introspecting(account_state).map(|(_, timeout)| timeout).sum();
    let until = now.saturating_add(timeout).saturating_add(SLACK);
    let providers = introspecting(account_state).map(|(id, _)| id).collect::<Vec<_>>();
    // All providers that the question concerns are asked, or none is.
    let mut permits = Vec::new();
    for provider in &providers {
        match Permit::take(&*filter_state.host, &account_state.account.code, provider, until) {
            Some(permit) => permits.push(permit),
            None => {
                permits.into_iter().for_each(|permit: Permit| permit.give_back(&*filter_state.host));
                let detail = format!("introspection: {provider} is being asked about too many tokens");
                return Err(Fault::new(Code::IdpUnavailable, detail));
            }
        }
    }
    filter_state.introspected.begin(id, now, until);
    let (filter_state, account_state, token) = (filter_state.clone(), account_state.clone(), token.clone());
    let lane = Lane::new(&account_state.account.code, "introspection").width(IN_FLIGHT);
    io.spawn(lane, |io| async move {
        let answer = first_active(&io, &account_state, &token).await;
        permits.into_iter().for_each(|permit| permit.give_back(io.host()));
        filter_state.introspected.end(id, answer, io.now());
        Ok(())
    });
    Ok(())
}

/// The providers that are asked, and their timeouts.
fn introspecting(account_state: &AccountState) -> impl Iterator<Item = (String, u64)> + '_ {
    let ids = account_state.account.bearer.iter().flat_map(|bearer| &bearer.providers);
    ids.filter_map(|id| {
        let oidc = account_state.client(id).ok()?.config();
        oidc.introspection.as_ref().map(|_| (id.clone(), oidc.timeout))
    })
}

/// The first provider that knows the token. One that cannot say leaves the question open.
async fn first_active(
    io: &Io,
    account_state: &AccountState,
    token: &Secret,
) -> Result<(String, AccessToken), Fault> {
    let mut refusal = Fault::new(Code::TokenInvalid, "introspection: no provider knows the token");
    let bearer = account_state.account.bearer.as_ref().ok_or_else(|| refusal.clone())?;
    for (id, _) in introspecting(account_state) {
        let client = account_state.client(&id)?;
        let other = bearer.issuers.get(&id).map(String::as_str);
        match introspection::introspect(io, client, token, &bearer.audiences, other).await {
            Ok(token) => return Ok((id, token)),
            Err(fault) if fault.status() >= 500 || refusal.status() < 500 => refusal = fault,
            Err(_) => {}
        }
    }
    Err(refusal)
}
