//! Work beside the requests: documents and keys are fetched before they are needed and refreshed beside the old
//! ones, which no request waits for; and errands, such as renewing a session, which requests leave here and wait for.

use std::future::Future;
use std::rc::Rc;

use crate::fault::Fault;
use crate::host::task::{Ask, Chore, Task};
use crate::state::{Site, World};

/// What is due for an account.
pub fn due(world: &Rc<World>, site: &Rc<Site>, now: u64) -> Vec<Chore> {
    if !site.account.enabled {
        return Vec::new();
    }
    let clients = site.clients.iter().filter(|(_, client)| client.due(now)).map(|(id, client)| {
        let client = client.clone();
        chore(world, id, |ask| async move { client.refresh(&ask).await })
    });
    let idps = site.idps.iter().filter(|(_, idp)| idp.due(now)).map(|(id, idp)| {
        let idp = idp.clone();
        chore(world, id, |ask| async move { idp.refresh(&ask).await })
    });
    clients.chain(idps).collect()
}

fn chore<F>(world: &World, id: &str, flow: impl FnOnce(Ask) -> F) -> Chore
where
    F: Future<Output = Result<(), Fault>> + 'static,
{
    let ask = world.ask();
    Chore {
        task: Task::new(ask.clone(), flow(ask)),
        provider: id.to_owned(),
        max_answer: 0,
        is_errand: false,
    }
}
