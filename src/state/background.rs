//! Work beside the requests: documents and keys are fetched before they are needed and refreshed beside the old
//! ones, which no request waits for; and errands, such as renewing a session, which requests leave here and wait for.

use std::future::Future;
use std::rc::Rc;

use crate::fault::Fault;
use crate::host::task::{BackgroundTask, Io, Lane, Task};
use crate::proto::fetch::secret_file;
use crate::state::{AccountState, FilterState};

/// Which accounts are looked at for what is due: all of them until each was looked at twice, then so many at each tick that
/// each has its turn within five seconds. With 10,000 accounts looking at all of them would be all that an idle worker does.
#[derive(Debug, Default)]
pub struct Turns {
    next: usize,
    looked: usize,
}

/// So many are looked at in one tick anyway.
const AT_ONCE: usize = 500;
/// Ticks until all had their turn.
const TICKS: usize = 10;

impl Turns {
    /// How many of so many accounts are looked at in this tick.
    pub fn share(&self, accounts: usize) -> usize {
        match self.looked < accounts.saturating_mul(2) {
            true => accounts,
            false => accounts.min(AT_ONCE.max(accounts.div_ceil(TICKS))),
        }
    }

    /// The next of so many accounts.
    pub fn next(&mut self, accounts: usize) -> usize {
        let next = self.next % accounts.max(1);
        self.next = next + 1;
        self.looked = self.looked.saturating_add(1);
        next
    }

    /// Accounts have changed: all are looked at again.
    pub fn restart(&mut self) {
        self.looked = 0;
    }
}

/// What is due for an account.
pub fn due(
    filter_state: &Rc<FilterState>,
    account_state: &Rc<AccountState>,
    now: u64,
) -> Vec<BackgroundTask> {
    let lane = |what: &str| Lane::new(&account_state.account.code, what);
    let files = account_state.account.secret_files().enumerate().filter(|(_, file)| file.due(now));
    let files = files.map(|(number, file)| {
        let file = file.clone();
        // A slow read is not begun twice.
        file.keep(None, now);
        let lane = lane(&format!("secret {number}"));
        background_task(filter_state, lane, "secret", |io| async move { secret_file::read(&io, &file).await })
    });
    let account = &account_state.account;
    if !account.enabled {
        // A test sign-in, and administrators whom a directory knows, need them before anything is enabled.
        return match account.self_service {
            Some(_) => files.collect(),
            None => Vec::new(),
        };
    }
    let clients = account_state.clients.iter().filter(|(_, client)| client.due(now)).map(|(id, client)| {
        let client = client.clone();
        background_task(filter_state, lane(id), id, |io| async move { client.refresh(&io).await })
    });
    let idps = account_state.idps.iter().filter(|(_, idp)| idp.due(now)).map(|(id, idp)| {
        let idp = idp.clone();
        background_task(filter_state, lane(id), id, |io| async move { idp.refresh(&io).await })
    });
    let machines = account_state.machines.iter().filter(|issuer| issuer.due(now)).map(|issuer| {
        let (id, issuer) = (&issuer.machine.id, issuer.clone());
        background_task(filter_state, lane(id), id, |io| async move { issuer.refresh(&io).await })
    });
    files.chain(clients).chain(machines).chain(idps).collect()
}

fn background_task<F>(
    filter_state: &FilterState,
    lane: Lane,
    id: &str,
    flow: impl FnOnce(Io) -> F,
) -> BackgroundTask
where
    F: Future<Output = Result<(), Fault>> + 'static,
{
    let io = filter_state.io(Rc::default());
    BackgroundTask::new(Task::new(io.clone(), flow(io)), lane, Some(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of so many accounts is looked at in so many ticks.
    fn looks(turns: &mut Turns, accounts: usize, ticks: usize) -> Vec<usize> {
        let mut looks = vec![0; accounts];
        for _ in 0..ticks {
            for _ in 0..turns.share(accounts) {
                looks[turns.next(accounts)] += 1;
            }
        }
        looks
    }

    #[test]
    fn every_account_has_its_turn_within_ten_ticks() {
        for (accounts, least, most) in
            [(0, 0, 0), (1, 10, 10), (500, 10, 10), (501, 9, 10), (10_000, 1, 1), (10_001, 1, 2)]
        {
            let mut turns = Turns::default();
            assert!(
                looks(&mut turns, accounts, 2).iter().all(|looks| *looks == 2),
                "{accounts}: first all of them"
            );
            let looks = looks(&mut turns, accounts, 10);
            assert!(looks.iter().all(|looks| (least..=most).contains(looks)), "{accounts}");
        }
    }

    #[test]
    fn after_a_change_all_are_looked_at_again() {
        let mut turns = Turns::default();
        looks(&mut turns, 2_000, 7);
        assert_eq!(turns.share(2_000), 500);
        turns.restart();
        assert_eq!(turns.share(2_000), 2_000);
    }
}
