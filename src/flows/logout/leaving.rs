//! A sign-out that goes on at the provider: its `state`, in a short-lived sealed cookie, so that the
//! browser's return is told from a forged link. Nothing but what the page and the metric
//! say hangs on it: the session has ended before the browser leaves.

use serde::{Deserialize, Serialize};

use crate::config::{Config, Cookies, SameSite};
use crate::fault::{Code, Fault};
use crate::host::Host;
use crate::http::Head;
use crate::session::{cookie, Purpose};

/// How long a sign-out at the provider may take, milliseconds.
const LIFETIME: u64 = 600_000;

#[derive(Serialize, Deserialize)]
struct Leaving {
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "t")]
    started: u64,
    /// The origin that the sign-out began at, if it is another.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    back: Option<String>,
}

/// A sign-out that came back from the provider.
pub(super) struct Returned {
    /// The `set-cookie` value that forgets it.
    pub forget: String,
    /// The origin that it began at, if it is another.
    pub back: Option<String>,
}

fn name(cookies: &Cookies) -> String {
    format!("{}-logout", cookies.name)
}

/// The `set-cookie` value that remembers this state. One browser leaves once at a time: the last counts.
pub(super) fn begin(
    host: &dyn Host,
    config: &Config,
    account: &str,
    state: &str,
    back: Option<&str>,
) -> Result<String, Fault> {
    let leaving = Leaving { state: state.to_owned(), started: host.now(), back: back.map(str::to_owned) };
    let plain =
        serde_json::to_vec(&leaving).map_err(|_| Fault::new(Code::NotReady, "a logout is not JSON"))?;
    let sealed = config.session.keys.seal(host, Purpose::Logout, account, &plain)?;
    let attributes = cookie::Attributes {
        cookies: &config.cookies,
        same_site: SameSite::Lax,
        max_age: Some(LIFETIME / 1000),
    };
    Ok(cookie::set(&name(&config.cookies), &sealed, attributes))
}

/// The sign-out that this browser left with, if it is this state's and account's.
pub(super) fn take(
    host: &dyn Host,
    config: &Config,
    code: &str,
    head: &Head,
    state: &str,
) -> Option<Returned> {
    let (left, leaving) = opened(host, config, head, state)?;
    let forget = cookie::delete(&name(&config.cookies), &config.cookies);
    (left == code).then_some(Returned { forget, back: leaving.back })
}

/// The account that this browser left with this state.
pub(super) fn account(host: &dyn Host, config: &Config, head: &Head, state: &str) -> Option<String> {
    opened(host, config, head, state).map(|(code, _)| code)
}

fn opened(host: &dyn Host, config: &Config, head: &Head, state: &str) -> Option<(String, Leaving)> {
    let own = name(&config.cookies);
    let jar = head.jar(&config.cookies.name);
    let mut sealed = jar.named(own.as_bytes());
    let text = std::str::from_utf8(sealed.next()?).ok()?;
    if sealed.next().is_some() {
        return None;
    }
    let (code, plain) = config.session.keys.open(Purpose::Logout, text)?;
    let leaving: Leaving = serde_json::from_slice(&plain).ok()?;
    let fresh = host.now().saturating_sub(leaving.started) < LIFETIME;
    (leaving.state == state && fresh).then_some((code, leaving))
}
