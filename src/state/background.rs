//! Work beside the requests: documents and keys are fetched before they are needed and refreshed beside the old
//! ones, which no request waits for; and errands, such as renewing a session, which requests leave here and wait for.

use std::future::Future;
use std::rc::Rc;

use crate::fault::Fault;
use crate::host::task::{BackgroundTask, Io, Lane, Start, Task};
use crate::proto::fetch::secret_file;
use crate::state::{AccountState, FilterState};

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
    BackgroundTask {
        task: Task::new(io.clone(), flow(io)),
        lane,
        provider: Some(id.to_owned()),
        start: Start::Go,
        hung: None,
    }
}
