//! The mark of a browser that signed in before (OWASP, "device cookie").
//!
//! A stranger's guesses lock a username out. A browser that signed in as that user, by single sign-on or by password,
//! has a count of its own, so that they do not lock its user out too. The mark lets no user in. It survives a sign-out
//! and is renewed by each sign-in.

use sha2::{Digest, Sha256};

use super::{cookie, Purpose};
use crate::config::{Config, SameSite};
use crate::fault::Fault;
use crate::host::{random, Host};
use crate::http::Jar;
use crate::values::order;

/// How long a mark counts, milliseconds.
const LIFETIME: u64 = 30 * 86_400_000;
/// Users of one browser; the one whose sign-in is the longest ago is forgotten.
const MAX_USERS: usize = 5;

/// One user of the browser.
struct Mark {
    /// A hash of account and username.
    user: [u8; 16],
    /// What the browser's failures are counted by.
    id: [u8; 8],
    /// Milliseconds since 1970.
    signed_in: u64,
}

const MARK_BYTES: usize = 32;

/// The name of the cookie.
pub fn name(config: &Config) -> String {
    format!("{}_device", config.cookies.name)
}

/// What the failures of this browser as this user are counted by, if it signed in as that user before.
pub fn of_user(config: &Config, jar: &Jar<'_>, account: &str, username: &str, now: u64) -> Option<[u8; 8]> {
    let user = hash(account, username);
    marks(config, jar, now).into_iter().find(|mark| mark.user == user).map(|mark| mark.id)
}

/// The `set-cookie` value after a sign-in: this user's mark anew, beside those of the browser's other users.
pub fn renewed(
    host: &dyn Host,
    config: &Config,
    jar: &Jar<'_>,
    account: &str,
    username: &str,
) -> Result<String, Fault> {
    let now = host.now();
    let own = Mark { user: hash(account, username), id: random::<8>(host)?, signed_in: now };
    let mut all = marks(config, jar, now);
    all.retain(|mark| mark.user != own.user);
    order::sort_by_key(&mut all, |mark| std::cmp::Reverse(mark.signed_in));
    all.truncate(MAX_USERS - 1);
    all.insert(0, own);
    let mut plain = Vec::with_capacity(all.len() * MARK_BYTES);
    for mark in &all {
        plain.extend_from_slice(&mark.user);
        plain.extend_from_slice(&mark.id);
        plain.extend_from_slice(&mark.signed_in.to_be_bytes());
    }
    let sealed = config.session.keys.seal(host, Purpose::Device, account, &plain)?;
    Ok(cookie::set(
        &name(config),
        &sealed,
        cookie::Attributes { max_age: Some(LIFETIME / 1_000), ..attributes(config) },
    ))
}

/// A provider's cross-site POST has to bring the marks along too: renewed without them, the other users' would be lost.
fn attributes(config: &Config) -> cookie::Attributes<'_> {
    let same_site = if config.cookies.secure { SameSite::None } else { SameSite::Lax };
    cookie::Attributes { cookies: &config.cookies, same_site, max_age: None }
}

/// The marks that count. Two different cookies of the name: neither counts, since another host of the domain may have
/// set one of them.
fn marks(config: &Config, jar: &Jar<'_>, now: u64) -> Vec<Mark> {
    let name = name(config);
    let mut sent = jar.named(name.as_bytes());
    let Some(sealed) = sent.next() else { return Vec::new() };
    if sent.any(|other| other != sealed) {
        return Vec::new();
    }
    let opened =
        std::str::from_utf8(sealed).ok().and_then(|text| config.session.keys.open(Purpose::Device, text));
    // The envelope's account is the one that sealed last; each mark is bound to its own.
    let Some((_, plain)) = opened else { return Vec::new() };
    plain.chunks_exact(MARK_BYTES).take(MAX_USERS).filter_map(read).filter(|mark| mark.counts(now)).collect()
}

fn read(bytes: &[u8]) -> Option<Mark> {
    let (user, rest) = bytes.split_first_chunk::<16>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let signed_in = u64::from_be_bytes(rest.try_into().ok()?);
    Some(Mark { user: *user, id: *id, signed_in })
}

impl Mark {
    fn counts(&self, now: u64) -> bool {
        now.saturating_sub(self.signed_in) < LIFETIME && self.signed_in <= now.saturating_add(60_000)
    }
}

fn hash(account: &str, username: &str) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update((account.len() as u64).to_be_bytes());
    digest.update(account.as_bytes());
    digest.update(username.as_bytes());
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{self, Placeholders};
    use crate::http::Head;
    use crate::testing::browser::KEY;
    use crate::testing::TestHost;

    fn config() -> Config {
        let text = json!({
            "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
            "accounts": [{ "code": "acme", "origins": ["https://app.example"] }]
        });
        config::load(text.to_string().as_bytes(), &Placeholders).unwrap()
    }

    fn head(cookies: &str) -> Head {
        Head::new(vec![("cookie".to_owned(), cookies.as_bytes().to_vec())], true)
    }

    /// The pair of the mark after a sign-in, for the next request.
    fn signed_in(host: &TestHost, config: &Config, before: &str, account: &str, user: &str) -> String {
        let head = head(before);
        let line = renewed(host, config, &head.jar(&config.cookies.name), account, user).unwrap();
        let has = |attribute: &str| line.split("; ").any(|own| own == attribute);
        assert!(has("Max-Age=2592000") && has("HttpOnly") && has("Secure"), "{line}");
        assert!(line.len() <= 1024, "{line}");
        line.split(';').next().unwrap().to_owned()
    }

    fn is_of(host: &TestHost, config: &Config, cookies: &str, account: &str, user: &str) -> Option<[u8; 8]> {
        of_user(config, &head(cookies).jar(&config.cookies.name), account, user, host.now())
    }

    #[test]
    fn a_mark_is_of_one_user_of_one_account() {
        let (host, config) = (TestHost::new(), config());
        let mark = signed_in(&host, &config, "", "acme", "ada");
        assert!(is_of(&host, &config, &mark, "acme", "ada").is_some());
        for (account, user) in
            [("acme", "bob"), ("acme", "ADA"), ("other", "ada"), ("acm", "eada"), ("", "acmeada")]
        {
            assert_eq!(is_of(&host, &config, &mark, account, user), None, "{account} {user}");
        }
        let other = signed_in(&host, &config, "", "acme", "ada");
        let ids = [&mark, &other].map(|mark| is_of(&host, &config, mark, "acme", "ada").unwrap());
        assert_ne!(ids[0], ids[1], "each browser has its own");
        assert_eq!(
            is_of(&host, &config, &format!("{mark}; {other}"), "acme", "ada"),
            None,
            "two different ones"
        );
        assert!(is_of(&host, &config, &format!("{mark}; {mark}"), "acme", "ada").is_some());
        for bad in ["", "x", &mark[mark.find('=').unwrap() + 1..mark.len() - 2]] {
            let cookie = format!("{}={bad}", mark.split('=').next().unwrap());
            assert_eq!(is_of(&host, &config, &cookie, "acme", "ada"), None, "{bad}");
        }
    }

    #[test]
    fn it_ends_after_thirty_days_and_begins_anew_with_each_sign_in() {
        let (host, config) = (TestHost::new(), config());
        let first = signed_in(&host, &config, "", "acme", "ada");
        host.advance(LIFETIME - 1);
        assert!(is_of(&host, &config, &first, "acme", "ada").is_some());
        let second = signed_in(&host, &config, &first, "acme", "ada");
        host.advance(1);
        assert_eq!(is_of(&host, &config, &first, "acme", "ada"), None);
        assert!(is_of(&host, &config, &second, "acme", "ada").is_some());
    }

    #[test]
    fn five_users_of_one_browser_are_remembered() {
        let (host, config) = (TestHost::new(), config());
        let mut mark = String::new();
        let users: Vec<String> = (0..7).map(|n| format!("user{n}")).collect();
        for user in &users {
            host.advance(1_000);
            mark = signed_in(&host, &config, &mark, "acme", user);
        }
        let five = signed_in(&host, &config, &mark, "acme", "user6");
        assert_eq!(five.len(), mark.len(), "a sixth does not travel");
        let known = |mark: &str| -> Vec<bool> {
            users.iter().map(|user| is_of(&host, &config, mark, "acme", user).is_some()).collect()
        };
        assert_eq!(known(&mark), [false, false, true, true, true, true, true]);
        // Who signs in again is remembered the longest, in other accounts too.
        mark = signed_in(&host, &config, &mark, "acme", "user2");
        mark = signed_in(&host, &config, &mark, "other", "user2");
        assert_eq!(known(&mark), [false, false, true, false, true, true, true]);
    }
}
