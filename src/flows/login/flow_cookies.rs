//! The cookies of the logins in progress, and how much of them a browser may carry. Every request brings all of them
//! along, and servers in front refuse heads that are too long, so that they share a budget.

use std::collections::BTreeMap;

use super::login_state::{name, twin, LoginState, INVITATION_COOKIE, LIFETIME, MAX_LOGINS};
use crate::config::{Config, SameSite};
use crate::exchange::AuthnParameters;
use crate::fault::Fault;
use crate::host::Host;
use crate::http::Head;
use crate::session::cookie;
use crate::values::order;

/// Bytes of all their cookies, with names. Many servers take heads of 8 KB.
const MAX_BYTES: usize = 6 * 1024;

/// A browser drops a cookie whose name and value are longer (RFC 6265bis section 5.6).
const MAX_COOKIE: usize = 4096;

/// How the provider sends the browser back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// By a navigation, which carries `Lax` cookies.
    Navigation,
    /// By a cross-site POST, which carries none of them: the cookie is `SameSite=None`.
    Post,
    /// By a cross-site POST, where also browsers have to sign in that know no `SameSite=None`.
    PostWithTwin,
}

/// The `set-cookie` values that begin this login: its own, and what makes room for it.
pub fn begin(
    login_state: LoginState,
    host: &dyn Host,
    config: &Config,
    account: &str,
    head: &Head,
    returns: Returns,
) -> Result<Vec<String>, Fault> {
    let (same_site, twice) = match returns {
        Returns::Post | Returns::PostWithTwin if config.cookies.secure => {
            (SameSite::None, returns == Returns::PostWithTwin)
        }
        _ => (SameSite::Lax, false),
    };
    let own = name(&config.cookies, &login_state.state);
    let twin = twice.then(|| twin(&own));
    let names = own.len() + twin.as_ref().map_or(0, String::len);
    let longest = twin.as_ref().unwrap_or(&own).len();
    let copies = if twice { 2 } else { 1 };
    let fits =
        |sealed: &str| longest + sealed.len() <= MAX_COOKIE && names + copies * sealed.len() <= MAX_BYTES;
    let mut sealed = login_state.seal(host, config, account)?;
    // A cookie that the browser drops is a login that fails: better without the hint, then to the first page.
    if !fits(&sealed) {
        let parameters = AuthnParameters { login_hint: None, ..login_state.parameters.clone() };
        let shorter = LoginState { parameters, ..login_state };
        sealed = shorter.seal(host, config, account)?;
        if !fits(&sealed) {
            sealed = LoginState { return_to: "/".into(), ..shorter }.seal(host, config, account)?;
        }
    }
    let mut list = room(host, config, head, names + copies * sealed.len());
    let attributes =
        cookie::Attributes { cookies: &config.cookies, same_site, max_age: Some(LIFETIME / 1000) };
    list.push(cookie::set(&own, &sealed, attributes));
    if let Some(twin) = &twin {
        // For browsers that keep no such cookie: its twin comes with the bounce.
        let attributes = cookie::Attributes { same_site: SameSite::Lax, ..attributes };
        list.push(cookie::set(twin, &sealed, attributes));
    }
    Ok(list)
}

/// A login whose cookies the browser sent.
struct Sent<'h> {
    login_state: LoginState,
    account: String,
    /// Names with the bytes of name and value.
    cookies: Vec<(&'h str, usize)>,
}

impl<'h> Sent<'h> {
    fn names(self) -> impl Iterator<Item = &'h str> {
        self.cookies.into_iter().map(|(name, _)| name)
    }

    fn bytes(&self) -> usize {
        self.cookies.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Makes room for a login of so many bytes: logins that are over go, then twins of cookies that the browser has shown it
/// keeps. Then the oldest forget their page, so that their tabs still sign in and end on the first page; then they go.
fn room(host: &dyn Host, config: &Config, head: &Head, more: usize) -> Vec<String> {
    let now = host.now();
    let jar = head.jar(&config.cookies.name);
    let prefix = format!("{}-flow-", config.cookies.name);
    let mut live: BTreeMap<String, Sent<'_>> = BTreeMap::new();
    let mut gone: Vec<&str> = Vec::new();
    for (name, value) in jar.beginning(prefix.as_bytes()).take(200) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.ends_with(INVITATION_COOKIE) {
            continue;
        }
        let opened = LoginState::open(config, value);
        match opened.filter(|(_, login_state)| now.saturating_sub(login_state.started) < LIFETIME) {
            Some((account, login_state)) => {
                let new = || Sent { login_state: login_state.clone(), account, cookies: Vec::new() };
                let sent = live.entry(login_state.state.clone()).or_insert_with(new);
                sent.cookies.push((name, name.len() + value.len()));
            }
            None => gone.push(name),
        }
    }
    let mut live: Vec<Sent<'_>> = live.into_values().collect();
    order::sort_by_key(&mut live, |sent| std::cmp::Reverse(sent.login_state.started));
    gone.extend(live.drain(live.len().min(MAX_LOGINS - 1)..).flat_map(Sent::names));
    let mut bytes = more + live.iter().map(Sent::bytes).sum::<usize>();
    for sent in live.iter_mut().rev() {
        let own = name(&config.cookies, &sent.login_state.state);
        if bytes > MAX_BYTES && sent.cookies.iter().any(|(name, _)| *name == own) {
            let twins = sent.cookies.iter().filter(|(name, _)| *name != own);
            gone.extend(twins.map(|(name, _)| *name));
            bytes -= sent.bytes();
            sent.cookies.retain(|(name, _)| *name == own);
            bytes += sent.bytes();
        }
    }
    let mut shortened = Vec::new();
    for sent in live.iter().rev().filter(|sent| sent.login_state.return_to.len() > 1) {
        if bytes <= MAX_BYTES {
            break;
        }
        let shorter = LoginState { return_to: "/".into(), ..sent.login_state.clone() };
        let Ok(sealed) = shorter.seal(host, config, &sent.account) else { continue };
        let left = LIFETIME.saturating_sub(now.saturating_sub(sent.login_state.started));
        // A cross-site POST brings no `Lax` cookie along and goes over a page of our own then.
        let attributes = cookie::Attributes {
            cookies: &config.cookies,
            same_site: SameSite::Lax,
            max_age: Some(left / 1000),
        };
        for (name, size) in &sent.cookies {
            bytes = (bytes + name.len() + sealed.len()).saturating_sub(*size);
            shortened.push((*name, cookie::set(name, &sealed, attributes)));
        }
    }
    while bytes > MAX_BYTES {
        let Some(oldest) = live.pop() else { break };
        bytes -= oldest.bytes().min(bytes);
        gone.extend(oldest.names());
    }
    shortened.retain(|(name, _)| !gone.contains(name));
    order::sort(&mut gone);
    gone.dedup();
    let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let deleted = gone.into_iter().filter(plain).take(50).map(|name| cookie::delete(name, &config.cookies));
    deleted.chain(shortened.into_iter().map(|(_, cookie)| cookie)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flows::login::login_state::handles;
    use crate::testing::browser::{filter_state, KEY};
    use crate::testing::{TestHost, START};

    fn config() -> Config {
        let configuration = json!({
            "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
            "accounts": [{
                "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
                "identity_providers": [{ "id": "corp", "oidc": {
                    "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                    "token_endpoint": "https://idp.example/token", "jwks_uri": "https://idp.example/keys",
                    "client_id": "app",
                } }],
            }],
        });
        let Ok(state) = std::rc::Rc::try_unwrap(filter_state(&TestHost::new(), &configuration)) else {
            unreachable!("one owner")
        };
        state.config
    }

    /// The state of login number `n` of a protocol, which comes back to this page.
    fn login(n: usize, saml: bool, return_to: &str) -> LoginState {
        let verifier = if saml { String::new() } else { format!("{n:043}") };
        let (state, nonce) = match saml {
            true => (format!("{n:02}{}", "s".repeat(30)), format!("_{n:040}")),
            false => handles(&verifier),
        };
        LoginState {
            dpop: None,
            provider: "corp".into(),
            client: String::new(),
            issuer: String::new(),
            state,
            nonce,
            verifier,
            return_to: return_to.into(),
            started: START + n as u64,
            parameters: AuthnParameters::default(),
            replaces: None,
        }
    }

    /// A browser's cookies, as `set-cookie` changes them.
    #[derive(Default)]
    struct Cookies(BTreeMap<String, String>);

    impl Cookies {
        fn head(&self, method: &str) -> Head {
            let all: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let headers = [(":method", method), ("cookie", &all.join("; "))];
            Head::new(
                headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec(),
                true,
            )
        }

        fn keep(&mut self, lines: &[String]) {
            for line in lines {
                let (pair, attributes) = line.split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                assert!(pair.len() - 1 <= MAX_COOKIE, "no browser keeps {} bytes", pair.len());
                match attributes.contains("Max-Age=0;") {
                    true => drop(self.0.remove(name)),
                    false => drop(self.0.insert(name.to_owned(), value.to_owned())),
                }
            }
        }

        fn bytes(&self) -> usize {
            self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
        }
    }

    #[test]
    fn twenty_tabs_go_on_within_the_budget() {
        let config = config();
        for (saml, page) in [(false, 14), (false, 250), (false, 900), (true, 14), (true, 250)] {
            let returns = if saml { Returns::PostWithTwin } else { Returns::Navigation };
            let (host, target) = (TestHost::new(), format!("/{}", "x".repeat(page - 1)));
            let mut browser = Cookies::default();
            for n in 0..25 {
                let lines =
                    begin(login(n, saml, &target), &*host, &config, "acme", &browser.head("GET"), returns);
                browser.keep(&lines.unwrap());
                assert!(browser.bytes() <= MAX_BYTES, "{} bytes of {n}", browser.bytes());
            }
            let mut went_to = Vec::new();
            for n in 0..25 {
                let head = browser.head("GET");
                let taken = LoginState::take(&*host, &config, "acme", &head, &login(n, saml, &target).state);
                if let Ok((found, _)) = taken {
                    let wanted = login(n, saml, &found.return_to);
                    assert_eq!(found, wanted, "all but the page is there");
                    went_to.push((n, found.return_to.len()));
                }
            }
            assert_eq!(went_to.last(), Some(&(24, page)), "the newest has its page");
            let least = if saml { 14 } else { 20 };
            assert!(went_to.len() >= least, "saml {saml}, {page}: {went_to:?}");
            assert!(went_to.len() <= MAX_LOGINS);
        }
    }

    #[test]
    fn a_cookie_that_no_browser_keeps_is_made_shorter() {
        let (config, host) = (config(), TestHost::new());
        let quotes = "\"".repeat(320);
        for (page, acr, wanted) in [
            (14, 0, (14, true)),
            (1_990, 0, (1_990, true)),
            (1_990, 500, (1_990, false)),
            (2_000, 900, (1, false)),
        ] {
            for (saml, returns) in
                [(false, Returns::Navigation), (false, Returns::Post), (true, Returns::PostWithTwin)]
            {
                let mut login = login(1, saml, &format!("/{}", "x".repeat(page - 1)));
                login.parameters.login_hint = Some(quotes.clone());
                login.parameters.acr_values = vec!["a".repeat(acr)];
                login.parameters.prompt = Some("select_account".into());
                let mut browser = Cookies::default();
                let state = login.state.clone();
                browser.keep(&begin(login, &*host, &config, "acme", &browser.head("GET"), returns).unwrap());
                assert!(browser.bytes() <= MAX_BYTES);
                let head = browser.head("GET");
                let (found, _) = LoginState::take(&*TestHost::new(), &config, "acme", &head, &state).unwrap();
                assert_eq!(found.parameters.acr_values[0].len(), acr, "what the path demands stays");
                if returns == Returns::Navigation {
                    let kept = (found.return_to.len(), found.parameters.login_hint.is_some());
                    assert_eq!(kept, wanted, "{page} {acr}");
                }
            }
        }
    }

    #[test]
    fn a_state_of_the_verifier_says_nothing_of_it_and_a_strange_one_is_kept() {
        let (config, host) = (config(), TestHost::new());
        let derived = login(1, false, "/");
        let challenge = crate::proto::oidc::authorization::challenge(&derived.verifier);
        assert!(derived.state != derived.nonce && derived.state.len() == 32 && derived.nonce.len() == 32);
        assert!(!challenge.starts_with(&derived.state) && !challenge.starts_with(&derived.nonce));
        let strange = LoginState { state: "s".repeat(32), nonce: "n".into(), ..derived.clone() };
        for login in [derived, strange] {
            let sealed = login.seal(&*host, &config, "acme").unwrap();
            let (account, found) = LoginState::open(&config, sealed.as_bytes()).unwrap();
            assert_eq!((account.as_str(), found), ("acme", login));
        }
        assert!(LoginState::open(&config, b"1.k1.1.a.b").is_none());
    }
}
