//! A login in progress: one sealed, short-lived cookie of its own, so that parallel tabs do not disturb
//! each other. It binds `state`, `nonce`, PKCE verifier, account, provider and return URL to this
//! browser: login CSRF, mix-up and code injection all fail on it (RFC 6749 section 10.12, RFC 9700
//! section 4.4, RFC 7636).

use std::collections::BTreeSet;
use std::rc::Rc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Account, Config, Cookies, Provider};
pub use crate::exchange::AuthnParameters;
use crate::exchange::{Exchange, Trial};
use crate::fault::{Code, Fault};
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::task::Io;
use crate::host::Host;
use crate::http::{Head, Jar};
use crate::session::{cookie, Purpose};
use crate::values::order;

/// How long a login may take, milliseconds.
pub const LIFETIME: u64 = 600_000;

/// How the cookie of an invitation that waits for an answer ends.
pub(super) const INVITATION_COOKIE: &str = "-flow-invitation";

/// Logins in progress in one browser.
pub(super) const MAX_LOGINS: usize = 20;

/// States that were used: a copied flow cookie does not make a state good twice on this Envoy.
const USED: SharedSet =
    SharedSet { name: "sso.used", buckets: 1024, capacity: 64, when_full: WhenFull::Evict };

/// A login in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    /// The provider it was started with.
    #[serde(rename = "p")]
    pub provider: String,
    /// A hash of the provider's protocol and of our client there; empty in a login of an older release.
    #[serde(rename = "c", default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The first bytes of a hash of the provider's issuer.
    #[serde(rename = "i", default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// `state`, or RelayState.
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// `nonce`, or the AuthnRequest's ID.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The PKCE verifier.
    #[serde(rename = "v")]
    pub verifier: String,
    /// The key that tokens are bound to (RFC 9449).
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub dpop: Option<String>,
    /// Path and query to come back to.
    #[serde(rename = "r")]
    pub return_to: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub started: u64,
    /// What was asked for besides.
    #[serde(rename = "e", default, skip_serializing_if = "AuthnParameters::is_default")]
    pub parameters: AuthnParameters,
    /// The id of the session that this browser had when the login began. A cross-site POST brings no `Lax` cookie to
    /// tell it by, and it ends when this login opens the next.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// True where a RelayState may be the handle of a login: 24 random bytes in base64url.
pub fn is_handle(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// `state` and `nonce` of a login with this PKCE verifier: 24 bytes each, of hashes that tell nothing of it or of each
/// other. Only the verifier is random then, and only it has to be kept.
pub fn handles(verifier: &str) -> (String, String) {
    let of = |purpose: &str| {
        let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(verifier).finalize();
        URL_SAFE_NO_PAD.encode(digest.get(..24).unwrap_or_default())
    };
    (of("state"), of("nonce"))
}

impl LoginState {
    /// The beginning of a login with this provider.
    pub(super) fn of(provider: &Provider, issuer: &str) -> (String, String) {
        (provider.client.clone(), short_hash(issuer))
    }

    /// Refuses the answer to a login that was begun with another provider, whose id this one has by now: it must not get the
    /// other's code.
    pub(super) fn check_provider(&self, provider: &Provider, issuer: &str) -> Result<(), Fault> {
        let same = (self.client.is_empty() || self.client == provider.client)
            && (self.issuer.is_empty() || self.issuer == short_hash(issuer));
        match same {
            true => Ok(()),
            false => Err(Fault::new(Code::StateUnknown, "state: its provider is another one now")),
        }
    }
}

fn short_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text).get(..6).unwrap_or_default())
}

/// Its cookie's name: the beginning of the state tells logins apart.
pub(super) fn name(cookies: &Cookies, state: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let handle: String = state.bytes().filter(is_plain).take(12).map(char::from).collect();
    [&cookies.name, "-flow-", &handle].concat()
}

/// The name of its `Lax` twin.
pub(super) fn twin(own: &str) -> String {
    format!("{own}-lax")
}

impl LoginState {
    /// Sealed for its cookie. What follows from the verifier is left out: every byte of it comes along with every request.
    pub(super) fn seal(&self, host: &dyn Host, config: &Config, account: &str) -> Result<String, Fault> {
        let mut kept = self.clone();
        let (state, nonce) = handles(&self.verifier);
        if self.state == state && self.nonce == nonce {
            kept.state.clear();
            kept.nonce.clear();
        }
        let plain =
            serde_json::to_vec(&kept).map_err(|_| Fault::new(Code::NotReady, "a flow is not JSON"))?;
        config.session.keys.seal(host, Purpose::LoginState, account, &plain)
    }

    /// The account and the login of a cookie's value.
    pub(super) fn open(config: &Config, value: &[u8]) -> Option<(String, Self)> {
        let text = std::str::from_utf8(value).ok()?;
        let (account, plain) = config.session.keys.open(Purpose::LoginState, text)?;
        let mut login_state: Self = serde_json::from_slice(&plain).ok()?;
        if login_state.state.is_empty() {
            (login_state.state, login_state.nonce) = handles(&login_state.verifier);
        }
        Some((account, login_state))
    }

    /// The login that this state belongs to, in this browser, for this account. It is used up.
    pub fn take(
        host: &dyn Host,
        config: &Config,
        account: &str,
        head: &Head,
        state: &str,
    ) -> Result<(Self, Vec<String>), Fault> {
        Self::take_one(host, config, account, head, state, false)
    }

    /// Likewise for a login that runs at another origin: only a ticket ends it.
    pub(super) fn take_away(
        host: &dyn Host,
        config: &Config,
        account: &str,
        head: &Head,
        handle: &str,
    ) -> Result<(Self, Vec<String>), Fault> {
        Self::take_one(host, config, account, head, handle, true)
    }

    fn take_one(
        host: &dyn Host,
        config: &Config,
        account: &str,
        head: &Head,
        state: &str,
        is_away: bool,
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
        let (code, login_state) =
            Self::open(config, text).ok_or_else(|| unknown("the flow cookie does not open"))?;
        if code != account {
            return Err(unknown("it belongs to another account"));
        }
        if login_state.state != state {
            return Err(unknown("it is not that of the flow cookie"));
        }
        if login_state.parameters.is_away != is_away {
            return Err(unknown("its login runs at another origin"));
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

/// Uses up the state over all Envoys, however the login ends.
pub(super) async fn use_up(io: &Io, exchange: &Exchange, login_state: &LoginState) -> Result<(), Fault> {
    let until = login_state.started.saturating_add(LIFETIME);
    let id = id_of(&format!("state {}", login_state.state));
    match exchange.filter_state.use_once_if_known(io, exchange.place(), &id, until).await {
        true => Ok(()),
        false => Err(Fault::new(Code::StateUnknown, "state: it was used already, at another Envoy")),
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
    // Bound first: the iterator borrows the jar.
    let mut found = login_states.filter(|own| own.nonce == request).map(|own| own.state);
    found.next()
}

/// The logins in progress of this account whose cookies this browser sent; a login and its twin are two here.
fn opened<'a>(
    config: &'a Config,
    jar: &'a Jar<'a>,
    account: &'a str,
) -> impl Iterator<Item = LoginState> + 'a {
    let prefix = format!("{}-flow-", config.cookies.name);
    // No browser has more: the oldest make room for a new one.
    let values: Vec<&[u8]> =
        jar.beginning(prefix.as_bytes()).take(2 * MAX_LOGINS).map(|(_, value)| value).collect();
    values.into_iter().filter_map(move |value| {
        let (code, login_state) = LoginState::open(config, value)?;
        (code == account).then_some(login_state)
    })
}

/// The test sign-in that this state belongs to, if it is one. Nothing is used up.
pub fn trial_of(config: &Config, head: &Head, account: &str, state: &str) -> Option<Trial> {
    let jar = head.jar(&config.cookies.name);
    let found = opened(config, &jar, account).find(|own| own.state == state);
    found.and_then(|own| own.parameters.trial)
}

/// How many logins in progress an unsolicited response of this provider began anew in this browser since then.
pub fn restarts(config: &Config, head: &Head, account: &str, provider: &str, since: u64) -> usize {
    let jar = head.jar(&config.cookies.name);
    let restarted = opened(config, &jar, account).filter(|login_state| {
        // One that came from another origin may be the next round of an unsolicited response.
        let counts = login_state.parameters.restarted || login_state.parameters.asked.is_some();
        counts && login_state.provider == provider && login_state.started > since
    });
    // A login and its twin are one.
    order::gathered::<BTreeSet<_>, _>(restarted.map(|login_state| login_state.state)).len()
}
