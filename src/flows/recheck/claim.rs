//! A renewal over all replicas: claimed in the shared engine, so that a refresh token is used once, and its result left
//! there for the others. Without the engine, and while it is away, each Envoy is on its own (decision 9).

use std::rc::Rc;

use super::refresh::{renew, Alone};
use crate::host::events::{self, Place};
use crate::host::shared_set::id_of;
use crate::host::task::Io;
use crate::host::Level;
use crate::replicas::claims::{Claim, Held};
use crate::replicas::Replicas;
use crate::session::renewals::{self, Id, State};
use crate::session::{LiveSession, Session};
use crate::state::{AccountState, FilterState};
use crate::values::secret::Secret;

/// How long a claim lasts, in milliseconds: a renewal that has not ended by then died with its worker.
pub(super) const LEASE: u64 = 60_000;
/// How often a replica that came second looks what became of it.
const GLANCE: u64 = 50;
/// It waits no longer than this: requests wait with it.
const PATIENCE: u64 = 10_000;

/// Renews the session, or takes over what another replica has made of it.
pub(super) async fn renew_once(
    io: &Io,
    filter_state: &FilterState,
    account_state: &AccountState,
    live: &Rc<LiveSession>,
    old: &Session,
) {
    let (host, id) = (io.host(), live.renewal);
    let Some(replicas) = &filter_state.replicas else {
        return renew(io, filter_state, account_state, live, old, Alone::MayBe).await;
    };
    match claimed(io, replicas, live, old).await {
        Some(Claim::Ours(held)) => {
            renew(io, filter_state, account_state, live, old, Alone::Surely).await;
            leave(io, replicas, filter_state, old, id, &held).await;
        }
        Some(Claim::Settled(content)) => {
            let now = host.now();
            if let Some((state, until)) = renewals::read(&content) {
                renewals::settle(host, id, &state, now, until.max(now.saturating_add(1_000)));
            }
        }
        Some(Claim::Spent) => renewals::settle(host, id, &State::Ended(None), host.now(), host.now() + LEASE),
        // The other replica may have used the token, so nothing is asked while its claim lasts. Grace decides.
        Some(Claim::Running(until)) => renewals::settle(host, id, &State::Failed(None, 0), host.now(), until),
        None => renew(io, filter_state, account_state, live, old, Alone::MayBe).await,
    }
    filter_state.tell(io, Place::default()).await;
}

/// What the engine says, once it is settled or this replica's; `None` where the engine is away.
async fn claimed(io: &Io, replicas: &Replicas, live: &LiveSession, old: &Session) -> Option<Claim> {
    let id = live.renewal;
    let token = id_of(old.tokens.refresh_token.as_ref().map(Secret::expose).unwrap_or_default());
    loop {
        match replicas.claim(io, id.bytes(), &token, io.now().saturating_add(LEASE)).await {
            Ok(Claim::Running(until)) => match wait(io, replicas, id).await {
                Some(content) => return Some(Claim::Settled(content)),
                None if io.now() < until => return Some(Claim::Running(until)),
                None => {}
            },
            Ok(claim) => return Some(claim),
            Err(away) => {
                let reason = format!("a session is renewed without the shared engine: {}", away.detail);
                let place =
                    live.session.place(Place { account: Some(&live.account.code), ..Place::default() });
                events::notice(io.host(), place, Level::Warn, &reason);
                return None;
            }
        }
    }
}

/// What became of it. `None` once the engine has not answered for `timeout`, has lost the claim, or the other replica
/// takes too long.
async fn wait(io: &Io, replicas: &Replicas, id: Id) -> Option<Vec<u8>> {
    let ends = io.now().saturating_add(PATIENCE);
    let mut answered = io.now();
    while io.now() < ends.min(answered.saturating_add(replicas.settings.timeout)) {
        let host = io.shared_host();
        let next = io.now().saturating_add(GLANCE);
        io.until(move || host.now() >= next).await;
        match replicas.claimed(io, id.bytes()).await {
            Ok(Some(content)) if content.is_empty() => answered = io.now(),
            Ok(content) => return content,
            Err(_) => {}
        }
    }
    None
}

/// Leaves the result for the others. The engine may be away for a moment.
async fn leave(io: &Io, replicas: &Replicas, filter_state: &FilterState, old: &Session, id: Id, held: &Held) {
    let host = io.host();
    let now = host.now();
    let Some((content, until)) = renewals::written(host, id, now) else { return };
    let token = old.tokens.refresh_token.as_ref();
    let is_spent = token.is_some_and(|token| renewals::is_spent(host, token, now));
    let spent = is_spent.then(|| old.ends(&filter_state.config.session));
    for _ in 0..20 {
        if replicas.settle(io, held, &content, until.saturating_sub(now), spent).await.is_ok() {
            return;
        }
        let host = io.shared_host();
        let next = io.now().saturating_add(1_000);
        io.until(move || host.now() >= next).await;
    }
}
