//! What is changed in a request that goes on.

use std::rc::Rc;

use crate::http::{CookieEdit, Headers};
use crate::session::{LiveSession, Method};

/// Reads the head of the application's answer: `set-cookie` values to add.
pub type OnResponse = Box<dyn FnOnce(&Headers) -> Vec<String>>;

/// What is changed in a request on its way to the application.
#[derive(Default)]
pub struct Pass {
    /// Headers taken away.
    pub remove: Vec<String>,
    /// `connection` becomes `upgrade`: it named headers that the next hop would take away.
    pub upgrade: bool,
    /// The canonical path, where it is not what was asked for.
    pub target: Option<Vec<u8>>,
    /// The `cookie` header without this filter's own cookies.
    pub cookie: CookieEdit,
    /// Whose request it is.
    pub live: Option<Rc<LiveSession>>,
    /// `set-cookie` values for the answer.
    pub set_cookies: Vec<String>,
    /// A header of the session's that is not set: its access token has expired.
    pub withheld: Option<String>,
    /// A password login: reads in the head of the application's answer whether the password was right; `set-cookie` values.
    pub on_response: Option<OnResponse>,
}

impl Pass {
    /// The request goes on as this session's.
    #[inline]
    pub fn carry(&mut self, live: Rc<LiveSession>, now: u64) {
        // Looked at in this order: how it was opened stands where nothing else of a request looks.
        if !self.remove.is_empty() && live.session.method == Method::Bearer {
            // The token was verified: the application may call others with it.
            self.remove.retain(|name| name != "authorization");
        }
        if now >= live.token_expires {
            self.withheld.clone_from(&live.account.forward.access_token);
            // Where the filter's token would stand, nobody else's takes its place.
            self.remove.extend(self.withheld.clone());
        }
        self.live = Some(live);
    }
}
