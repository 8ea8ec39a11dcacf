//! Work beside the requests: documents and keys are fetched before they are needed and refreshed beside the old
//! ones, which no request waits for; and errands, such as renewing a session, which requests leave here and wait for.

use std::future::Future;
use std::rc::Rc;

use crate::fault::Fault;
use crate::host::task::{BackgroundTask, Io, Task};
use crate::proto::fetch::secret_file;
use crate::state::{AccountState, FilterState};

/// What is due for an account.
pub fn due(
    filter_state: &Rc<FilterState>,
    account_state: &Rc<AccountState>,
    now: u64,
) -> Vec<BackgroundTask> {
    if !account_state.account.enabled {
        return Vec::new();
    }
    let clients = account_state.clients.iter().filter(|(_, client)| client.due(now)).map(|(id, client)| {
        let client = client.clone();
        background_task(filter_state, id, |io| async move { client.refresh(&io).await })
    });
    let idps = account_state.idps.iter().filter(|(_, idp)| idp.due(now)).map(|(id, idp)| {
        let idp = idp.clone();
        background_task(filter_state, id, |io| async move { idp.refresh(&io).await })
    });
    let files = account_state.account.secret_files().filter(|file| file.due(now)).map(|file| {
        let file = file.clone();
        // A slow read is not begun twice.
        file.keep(None, now);
        background_task(filter_state, "secret", |io| async move { secret_file::read(&io, &file).await })
    });
    files.chain(clients).chain(idps).collect()
}

fn background_task<F>(filter_state: &FilterState, id: &str, flow: impl FnOnce(Io) -> F) -> BackgroundTask
where
    F: Future<Output = Result<(), Fault>> + 'static,
{
    let io = filter_state.io();
    BackgroundTask {
        task: Task::new(io.clone(), flow(io)),
        provider: id.to_owned(),
        max_answer: 0,
        is_errand: false,
    }
}
