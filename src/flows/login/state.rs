//! A login in progress: one sealed, short-lived cookie of its own, so that parallel tabs do not disturb
//! each other. It binds `state`, `nonce`, PKCE verifier, account, provider and return URL to this
//! browser: login CSRF, mix-up and code injection all fail on it (RFC 6749 section 10.12, RFC 9700
//! section 4.4, RFC 7636).

use std::collections::BTreeSet;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::config::{Account, Config, Cookies, SameSite};
pub use crate::exchange::AuthnParameters;
use crate::fault::{Code, Fault};
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::Host;
use crate::http::{Head, Jar};
use crate::session::{cookie, Purpose};

/// How long a login may take, milliseconds.
pub const LIFETIME: u64 = 600_000;

/// Logins in progress in one browser, and bytes of their cookies: more than these and requests grow
/// beyond what servers take.
const MAX_FLOWS: usize = 20;
const MAX_BYTES: usize = 16 * 1024;

/// How the cookie of an invitation that waits for an answer ends.
pub(super) const INVITATION_COOKIE: &str = "-flow-invitation";

/// States that were used: a copied flow cookie does not make a state good twice on this Envoy.
const USED: SharedSet =
    SharedSet { name: "sso.used", buckets: 1024, capacity: 64, when_full: WhenFull::Evict };

/// A login in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    /// The provider it was started with.
    #[serde(rename = "p")]
    pub provider: String,
    /// `state`, or RelayState.
    #[serde(rename = "s")]
    pub state: String,
    /// `nonce`, or the AuthnRequest's ID.
    #[serde(rename = "n")]
    pub nonce: String,
    /// The PKCE verifier.
    #[serde(rename = "v")]
    pub verifier: String,
    /// Path and query to come back to.
    #[serde(rename = "r")]
    pub return_to: String,
    /// The redirect URI of the authorization request, repeated at the token endpoint.
    #[serde(rename = "u")]
    pub redirect_uri: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub started: u64,
    /// What was asked for besides.
    #[serde(rename = "e", default)]
    pub parameters: AuthnParameters,
    /// The id of the session that this browser had when the login began. A cross-site POST brings no `Lax` cookie to
    /// tell it by, and it ends when this login opens the next.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// How the provider sends the person back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// By a navigation, which carries `Lax` cookies.
    Navigation,
    /// By a cross-site POST, which carries none of them: the cookie is `SameSite=None`.
    Post,
    /// By a cross-site POST, where also browsers have to sign in that know no `SameSite=None`.
    PostWithTwin,
}

/// True where a RelayState may be the handle of a login: 24 random bytes in base64url.
pub fn is_handle(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Its cookie's name: the beginning of the state tells logins apart.
fn name(cookies: &Cookies, state: &str) -> String {
    let handle: String =
        state.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(12).collect();
    format!("{}-flow-{handle}", cookies.name)
}

/// The name of its `Lax` twin.
fn twin(own: &str) -> String {
    format!("{own}-lax")
}

impl LoginState {
    /// The `set-cookie` values that begin this login: its own, and the end of those that are too many.
    pub fn begin(
        &self,
        host: &dyn Host,
        config: &Config,
        account: &str,
        head: &Head,
        returns: Returns,
    ) -> Result<Vec<String>, Fault> {
        let plain = serde_json::to_vec(self).map_err(|_| Fault::new(Code::NotReady, "a flow is no JSON"))?;
        let sealed = config.session.keys.seal(host, Purpose::LoginState, account, &plain)?;
        let (same_site, twice) = match returns {
            Returns::Post | Returns::PostWithTwin if config.cookies.secure => {
                (SameSite::None, returns == Returns::PostWithTwin)
            }
            _ => (SameSite::Lax, false),
        };
        let attributes =
            cookie::Attributes { cookies: &config.cookies, same_site, max_age: Some(LIFETIME / 1000) };
        let own = name(&config.cookies, &self.state);
        let copies = if twice { 2 } else { 1 };
        let mut list = surplus(config, head, host.now(), copies, copies * (own.len() + sealed.len()));
        list.push(cookie::set(&own, &sealed, attributes));
        if twice {
            // For browsers that keep no such cookie: its twin comes with the bounce.
            let attributes = cookie::Attributes { same_site: SameSite::Lax, ..attributes };
            list.push(cookie::set(&twin(&own), &sealed, attributes));
        }
        Ok(list)
    }

    /// The login that this state belongs to, in this browser, for this account. It is used up.
    pub fn take(
        host: &dyn Host,
        config: &Config,
        account: &str,
        head: &Head,
        state: &str,
    ) -> Result<(Self, Vec<String>), Fault> {
        let unknown = |why: &str| Fault::new(Code::StateUnknown, format!("state: {why}"));
        let own = name(&config.cookies, state);
        let twin = twin(&own);
        let jar = head.jar(&config.cookies.name);
        let mut sealed = jar.named(own.as_bytes()).chain(jar.named(twin.as_bytes()));
        let text = sealed.next().ok_or_else(|| {
            let plain_http = |of: &&Rc<Account>| {
                of.code == account && of.origins.iter().any(|origin| origin.scheme == "http")
            };
            let lost = config.cookies.secure && config.accounts.iter().find(plain_http).is_some();
            let why = match lost {
                true => {
                    "this browser has no login with it in progress: Secure cookies over http are not kept, so set \
                         cookies.secure to false for development or serve https"
                }
                false => "this browser has no login with it in progress",
            };
            unknown(why)
        })?;
        if sealed.any(|other| other != text) {
            return Err(unknown("two flow cookies of one name"));
        }
        let text = std::str::from_utf8(text).map_err(|_| unknown("the flow cookie is no text"))?;
        let (code, plain) = config
            .session
            .keys
            .open(Purpose::LoginState, text)
            .ok_or_else(|| unknown("the flow cookie does not open"))?;
        let login_state: Self =
            serde_json::from_slice(&plain).map_err(|_| unknown("the flow cookie is of another version"))?;
        if code != account {
            return Err(unknown("it belongs to another account"));
        }
        if login_state.state != state {
            return Err(unknown("it is not that of the flow cookie"));
        }
        let now = host.now();
        if now.saturating_sub(login_state.started) >= LIFETIME
            || login_state.started > now.saturating_add(60_000)
        {
            return Err(unknown("the login took longer than ten minutes"));
        }
        if USED.insert(host, &id_of(&login_state.state), login_state.started.saturating_add(LIFETIME), now)
            == Inserted::Known
        {
            return Err(unknown("it was used already"));
        }
        // A cross-site POST brings only one of the two along.
        let posted = head.method() == b"POST";
        let sent =
            [&own, &twin].into_iter().filter(|name| posted || jar.named(name.as_bytes()).next().is_some());
        let forget = sent.map(|name| cookie::delete(name, &config.cookies)).collect();
        Ok((login_state, forget))
    }
}

/// True where this browser sent any cookie of a login with this state, opened or not.
pub fn is_in_progress(config: &Config, head: &Head, state: &str) -> bool {
    let own = name(&config.cookies, state);
    let jar = head.jar(&config.cookies.name);
    let found = jar.named(own.as_bytes()).chain(jar.named(twin(&own).as_bytes())).next().is_some();
    found
}

/// The state of the login in progress in this browser that sent this request (`nonce`).
pub fn of_request(config: &Config, head: &Head, account: &str, request: &str) -> Option<String> {
    let jar = head.jar(&config.cookies.name);
    let login_states = opened(config, &jar, account);
    let state = login_states.filter(|own| own.nonce == request).map(|own| own.state).next();
    state
}

/// The logins in progress of this account whose cookies this browser sent; a login and its twin are two here.
fn opened<'a>(
    config: &'a Config,
    jar: &'a Jar<'a>,
    account: &'a str,
) -> impl Iterator<Item = LoginState> + 'a {
    let prefix = format!("{}-flow-", config.cookies.name);
    // No browser has more: `surplus` ends the oldest.
    let values: Vec<&[u8]> =
        jar.beginning(prefix.as_bytes()).take(2 * MAX_FLOWS).map(|(_, value)| value).collect();
    values.into_iter().filter_map(move |value| {
        let (code, plain) =
            config.session.keys.open(Purpose::LoginState, std::str::from_utf8(value).ok()?)?;
        serde_json::from_slice::<LoginState>(&plain).ok().filter(|_| code == account)
    })
}

/// How many logins in progress an unsolicited response of this provider began anew in this browser since then.
pub fn restarts(config: &Config, head: &Head, account: &str, provider: &str, since: u64) -> usize {
    let jar = head.jar(&config.cookies.name);
    let restarted = opened(config, &jar, account).filter(|login_state| {
        login_state.parameters.restarted && login_state.provider == provider && login_state.started > since
    });
    // A login and its twin are one.
    restarted.map(|login_state| login_state.state).collect::<BTreeSet<_>>().len()
}

/// Deletes flow cookies that are over, and the oldest until so many more with so many bytes have room.
fn surplus(config: &Config, head: &Head, now: u64, more: usize, more_bytes: usize) -> Vec<String> {
    let prefix = format!("{}-flow-", config.cookies.name);
    let jar = head.jar(&config.cookies.name);
    let mut live: Vec<(u64, usize, &[u8])> = Vec::new();
    let mut over: Vec<&[u8]> = Vec::new();
    for (name, value) in jar.beginning(prefix.as_bytes()).take(200) {
        if name.ends_with(INVITATION_COOKIE.as_bytes()) {
            continue;
        }
        let started = std::str::from_utf8(value)
            .ok()
            .and_then(|text| config.session.keys.open(Purpose::LoginState, text))
            .and_then(|(_, plain)| serde_json::from_slice::<LoginState>(&plain).ok())
            .map(|login_state| login_state.started)
            .filter(|started| now.saturating_sub(*started) < LIFETIME);
        match started {
            Some(started) => live.push((started, name.len() + value.len(), name)),
            None => over.push(name),
        }
    }
    live.sort_by_key(|(started, ..)| std::cmp::Reverse(*started));
    let mut bytes = more_bytes;
    for (i, (_, size, name)) in live.iter().enumerate() {
        bytes += size;
        if i + more >= MAX_FLOWS || bytes > MAX_BYTES {
            over.push(name);
        }
    }
    over.sort_unstable();
    over.dedup();
    let names = over.into_iter().filter_map(|name| std::str::from_utf8(name).ok());
    let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    names.filter(plain).take(50).map(|name| cookie::delete(name, &config.cookies)).collect()
}
