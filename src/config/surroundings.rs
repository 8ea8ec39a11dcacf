//! What the check of one account needs of the rest of the configuration: kept beside the files of accounts whose
//! administrators may change them, once for all of them. A change then takes as long as its account, however many there are.

use std::collections::HashMap;
use std::rc::Rc;

use super::origins::{self, Served};
use super::problems::At;
use super::shared_origins::{self, Neighbours};
use super::{Account, Cookies};
use crate::host::clusters::Clusters;

/// The rest of the configuration.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// How URLs are reached, with the directories of all accounts kept apart.
    pub clusters: Rc<Clusters>,
    cookies: Cookies,
    /// The accounts of each origin that several have.
    shared: HashMap<String, Rc<Neighbours>>,
}

impl Surroundings {
    pub fn new(clusters: Rc<Clusters>, cookies: Cookies, served: &Served<'_>) -> Self {
        let shared =
            served.shared().map(|(authority, neighbours)| (authority.to_owned(), neighbours.clone()));
        Self { clusters, cookies, shared: shared.collect() }
    }

    /// Checks an account that was changed. Its origins are those that it has in the file, as are all other accounts.
    pub fn check(&self, at: &At<'_>, account: &Account, origins: &[String]) {
        origins::keep_cookies(at, account, origins, &self.cookies);
        for origin in origins::all(account) {
            let Some(neighbours) = self.shared.get(&origin.authority) else { continue };
            if account.enabled {
                shared_origins::check(at, account, || neighbours);
            }
            neighbours.spare(at, account);
        }
    }
}
