//! What is changed in a request that goes on.

use std::rc::Rc;

use crate::host::Host;
use crate::http::{CookieEdit, Head, Headers};
use crate::session::{assertion, LiveSession, Method};

/// Reads the head of the application's answer; `true` where no body follows.
pub type OnResponse = Box<dyn FnOnce(&Headers, bool) -> Verdict>;

/// Reads the body of the application's answer: `set-cookie` values to add.
pub type OnBody = Box<dyn FnOnce(AnswerBody<'_>) -> Vec<String>>;

/// The body of the application's answer.
pub enum AnswerBody<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is larger than was asked for.
    TooLarge,
    /// The connection to the application ended before it did.
    Broken,
}

/// What the head of the application's answer says.
pub enum Verdict {
    /// Everything: `set-cookie` values to add.
    Cookies(Vec<String>),
    /// The body decides, of which at most so many bytes are read.
    Body(usize, OnBody),
}

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
    /// The session's signed identity, for the header of `forward.assertion`.
    pub assertion: Option<Rc<str>>,
    /// `set-cookie` values for the answer.
    pub set_cookies: Vec<String>,
    /// A header of the session's that is not set: its access token has expired.
    pub withheld: Option<Rc<str>>,
    /// A password login: reads in the head of the application's answer whether the password was right; `set-cookie` values.
    pub on_response: Option<OnResponse>,
    /// The application is asked for an answer without a content encoding, which is read.
    pub wants_plain_answer: bool,
}

impl Pass {
    /// The request goes on as this session's.
    #[inline]
    pub fn carry(&mut self, host: &dyn Host, head: &Head, live: Rc<LiveSession>, now: u64) {
        // Looked at in this order: how it was opened stands where nothing else of a request looks.
        if !self.remove.is_empty() && live.session.method == Method::Bearer {
            // The token was verified: the application may call others with it.
            self.remove.retain(|name| name != "authorization");
        }
        if now >= live.token_expires {
            self.withheld.clone_from(&live.account.forward.access_token);
            // Where the filter's token would stand, the client's own does not take its place.
            self.remove.extend(self.withheld.as_deref().map(str::to_owned));
        }
        if let Some(assertions) = &live.assertions {
            let authority = head.authority();
            self.assertion = assertions.get(authority, now).or_else(|| {
                let origin = live.account.origin_at(authority)?;
                assertion::make(host, &live, authority, &origin, now)
            });
        }
        self.live = Some(live);
    }
}
