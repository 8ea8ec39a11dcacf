//! What several Envoys share, from the side of the filter's state: telling what has ended here, taking in what has ended
//! elsewhere.

use std::future::Future;
use std::rc::Rc;

use super::FilterState;
use crate::directory::seen;
use crate::fault::Fault;
use crate::host::events::{self, Place};
use crate::host::task::{Io, Lane};
use crate::host::Level;
use crate::replicas::client::Away;
use crate::replicas::etcd::{Value, BATCH};
use crate::replicas::{outbox, Replicas};
use crate::session::ended;

impl FilterState {
    /// Tells the other Envoys what has ended here, and waits until the engine has it, at most `timeout`. False where it
    /// does not have it yet: it will be told later.
    pub async fn tell(&self, io: &Io, place: Place<'_>) -> bool {
        let Some(replicas) = &self.replicas else { return true };
        match replicas.deliver(io).await {
            Ok(()) => true,
            Err(away) => {
                let reason = format!(
                    "the other Envoys do not know yet what has ended here, and will be told later: {}",
                    away.detail
                );
                events::notice(io.host(), place, Level::Error, &reason);
                false
            }
        }
    }

    /// True for the first Envoy that uses this id, which counts until a time; without `shared` there is no other one. The
    /// refusal where the engine is away.
    pub async fn use_once(&self, io: &Io, id: &[u8; 16], until: u64) -> Result<bool, Fault> {
        match &self.replicas {
            Some(replicas) => replicas.use_once(io, id, until).await.map_err(Fault::from),
            None => Ok(true),
        }
    }

    /// Like [`Self::use_once`], but with the engine away this Envoy's own record has to do.
    pub async fn use_once_if_known(&self, io: &Io, place: Place<'_>, id: &[u8; 16], until: u64) -> bool {
        self.use_once(io, id, until).await.unwrap_or_else(|fault| {
            let reason = format!("used here, and not known to be used elsewhere: {}", fault.detail);
            events::notice(io.host(), place, Level::Warn, &reason);
            true
        })
    }

    /// Takes in what the engine has.
    pub fn take_in(&self, replicas: &Replicas, values: Vec<Value>) {
        let marks = replicas.apply(&*self.host, values);
        ended::apply(&*self.host, &self.config.session, &marks);
    }
}

/// Sends what the engine does not have yet, in the background.
pub fn deliver(filter_state: &FilterState) {
    spawn(filter_state, |io, replicas| async move { replicas.deliver(&io).await });
}

/// Deletes attempts at passwords that were not failures, in the background; what the engine does not confirm is tried
/// again.
pub fn delete_attempts(filter_state: &FilterState) {
    let Some(replicas) = filter_state.replicas.clone() else { return };
    if replicas.has_attempts_to_delete(filter_state.host.now()) {
        let lane = Lane::new("", "attempts in the shared engine").always_open();
        filter_state
            .io(Rc::default())
            .spawn(lane, |io| async move { replicas.delete_attempts(&io).await.map_err(Fault::from) });
    }
}

/// Puts everything that this Envoy knows into an engine that was emptied or set back, or could not be told all of it.
pub fn restore(filter_state: &FilterState) {
    let lifetime = filter_state.config.session.lifetime;
    spawn(filter_state, |io, replicas| async move {
        let host = io.host();
        replicas.restore_documents(&io).await?;
        let mut batch = Vec::new();
        for part in 0..ended::PARTS {
            batch.extend(ended::known(host, lifetime, part));
            batch.extend(seen::known(host, part));
            while batch.len() >= BATCH || (part + 1 == ended::PARTS && !batch.is_empty()) {
                let marks: Vec<_> = batch.drain(..batch.len().min(BATCH)).collect();
                replicas.put_marks(&io, &marks).await?;
            }
        }
        outbox::restored(host);
        Ok(())
    });
}

/// Seals documents with the key that signs now, in the background.
pub fn reseal(filter_state: &FilterState) {
    spawn(filter_state, |io, replicas| async move {
        let done = replicas.reseal_documents(&io).await;
        if done.is_err() {
            replicas.reseal_again();
        }
        done
    });
}

/// One piece of such work at a time: [`Replicas::is_busy`].
fn spawn<F>(filter_state: &FilterState, flow: impl FnOnce(Io, Rc<Replicas>) -> F)
where
    F: Future<Output = Result<(), Away>> + 'static,
{
    let Some(replicas) = filter_state.replicas.clone() else { return };
    let lane = Lane::new("", "the shared engine").always_open();
    filter_state.io(Rc::default()).spawn(lane, |io| {
        let busy = replicas.clone().busy();
        let work = flow(io, replicas);
        async move {
            let _busy = busy;
            work.await.map_err(Fault::from)
        }
    });
}
