//! Work that no request waits for: documents and keys are fetched before they are needed and refreshed
//! beside the old ones.

use std::rc::Rc;

use crate::fault::Fault;
use crate::task::Task;
use crate::world::{Site, World};

/// One piece of work.
pub struct Chore {
    /// The flow.
    pub task: Task<Result<(), Fault>>,
    /// The provider it is for.
    pub provider: String,
    /// The largest answer its present call may bring.
    pub max_answer: usize,
    /// A request left it here: it speaks for itself when it is done.
    pub is_errand: bool,
}

impl Chore {
    /// Work that a request leaves here and waits for.
    pub fn errand(task: Task<Result<(), Fault>>, provider: String) -> Self {
        Self { task, provider, max_answer: 0, is_errand: true }
    }
}

/// What is due for an account.
pub fn due(world: &Rc<World>, site: &Rc<Site>, now: u64) -> Vec<Chore> {
    if !site.account.enabled {
        return Vec::new();
    }
    let clients = site.clients.iter().filter(|(_, client)| client.due(now));
    clients
        .map(|(id, client)| {
            let (ask, client) = (world.ask(), client.clone());
            let flow = {
                let ask = ask.clone();
                async move { client.refresh(&ask).await }
            };
            Chore { task: Task::new(ask, flow), provider: id.clone(), max_answer: 0, is_errand: false }
        })
        .collect()
}
