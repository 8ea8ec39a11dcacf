//! A configuration that is loaded again with a few of its accounts changed.
//!
//! Reading and checking an account takes some hundred microseconds, and a worker answers nothing meanwhile. So the accounts whose
//! text has not changed are taken over, as long as all outside of `accounts` is the same, byte for byte. An account that was warned of
//! is checked again. In every other case, where anything is wrong, and for a Struct, the whole configuration is read.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::{Rc, Weak};

use memchr::memchr2;

use super::calls;
use super::check;
use super::document;
use super::env::Environment;
use super::problems::{Problem, Problems};
use super::raw;
use super::read::Read;
use super::schema;
use super::{Account, Config, Directory};
use crate::values::order;

/// So far a known account is looked for behind the one before it: accounts mostly keep their order.
const AHEAD: usize = 256;

/// So many configurations are known at once: each plugin of the VM has one.
const MOST: usize = 8;

/// The accounts that were loaded before, as long as some configuration in use has them.
#[derive(Debug, Default)]
pub struct Loaded(RefCell<Vec<Known>>);

/// The accounts of one configuration.
#[derive(Debug)]
struct Known {
    text: Vec<u8>,
    places: Places,
    /// In their order. One that must be checked again is none.
    accounts: Vec<Weak<Account>>,
    /// The SCIM servers of all accounts, to which no URL of any other may lead.
    servers: Vec<String>,
}

/// Where a text has its accounts, and those of them that are known.
type TakenOver = (Places, Vec<Option<Rc<Account>>>);

impl Loaded {
    /// [`config::load`](super::load), which takes over what has not changed.
    pub fn load(&self, bytes: Vec<u8>, env: &dyn Environment) -> Result<Config, Vec<Problem>> {
        if bytes.len() > document::MAX {
            return check::load(&bytes, env);
        }
        let again = self.0.borrow().iter().find_map(|before| before.again(&bytes, env));
        let (config, taken_over) = match again {
            Some((config, taken_over)) => (config, Some(taken_over)),
            None => (check::load(&bytes, env)?, Places::of(&bytes).map(|places| (places, Vec::new()))),
        };
        if let Some((places, known)) = taken_over {
            if places.accounts.len() == config.accounts.len() {
                self.keep(&config, bytes, places, &known);
            }
        }
        Ok(config)
    }

    fn keep(&self, config: &Config, text: Vec<u8>, places: Places, known: &[Option<Rc<Account>>]) {
        // What was warned of is checked again, so that it is warned of again.
        let mut is_warned = vec![false; config.accounts.len()];
        for warning in &config.warnings {
            if let Some(is_warned) = place(&warning.path).and_then(|place| is_warned.get_mut(place)) {
                *is_warned = true;
            }
        }
        // A host that is not reached is named once, at the first account that asks it.
        let is_unreached = |account: &Rc<Account>| {
            !config.warnings.is_empty() && calls::is_unreached(account, &config.clusters)
        };
        let accounts = config.accounts.iter().zip(is_warned).enumerate();
        let accounts = accounts.map(|(i, (account, is_warned))| {
            // The hosts of one that was known are reached as before.
            let is_known = known.get(i).is_some_and(Option::is_some);
            match is_warned || !is_known && (account.file.is_some() || is_unreached(account)) {
                true => Weak::new(),
                false => Rc::downgrade(account),
            }
        });
        let servers = servers(config).into_iter().map(str::to_owned).collect();
        let known = Known { accounts: accounts.collect(), servers, text, places };
        let mut all = self.0.borrow_mut();
        all.retain(|other| !other.is_beside(&known) && other.is_in_use());
        all.truncate(MOST - 1);
        all.insert(0, known);
    }
}

impl Known {
    fn is_in_use(&self) -> bool {
        self.accounts.iter().any(|account| account.strong_count() > 0)
    }

    /// True if all outside of the accounts is the same.
    fn is_beside(&self, other: &Self) -> bool {
        same(self.before(), other.before()) && same(self.after(), other.after())
    }

    fn before(&self) -> &[u8] {
        self.text.get(..self.places.list).unwrap_or_default()
    }

    fn after(&self) -> &[u8] {
        self.text.get(self.places.end..).unwrap_or_default()
    }

    /// The configuration out of known accounts and a few that are checked; `None` if it must be read as a whole.
    fn again(&self, text: &[u8], env: &dyn Environment) -> Option<(Config, TakenOver)> {
        let (places, known) = self.taken_over(text)?;
        let changed = known.iter().filter(|known| known.is_none()).count();
        // The code of a single account may be left out, but not beside others.
        let is_single = known.len() < 2 || self.accounts.len() < 2;
        if is_single || changed * 2 > known.len() {
            return None;
        }
        let problems = Problems::default();
        let mut document = document::read(&without(text, &places, &known)?, &problems.root()).ok()?;
        schema::check(&mut document, &problems.root());
        let mut wrong = Vec::new();
        let raw = raw::Configuration::read(document, &mut wrong);
        // So far places are those in the shorter list.
        if !wrong.is_empty() || !problems.is_empty() || raw.accounts.len() != changed {
            return None;
        }
        if raw.accounts.iter().any(|account| account.self_service.is_some()) {
            return None; // its file holds the accounts beside it
        }
        let mut config = check::configuration(&problems.root(), &raw, &known, Vec::new(), env);
        config.warnings = problems.warnings.take();
        (problems.is_empty() && servers(&config) == self.servers).then_some((config, (places, known)))
    }

    /// Where a text has its accounts, and those of them that are known; `None` if all else is not the same.
    fn taken_over(&self, text: &[u8]) -> Option<TakenOver> {
        let list = self.places.list;
        if !same(text.get(..list)?, self.before()) {
            return None;
        }
        let (mut accounts, mut known) = (Vec::with_capacity(self.accounts.len()), Vec::new());
        let (mut at, mut next) = (list, 0);
        loop {
            at = behind_space(text, at);
            let (place, found) = match self.end_of_next(text, at, next) {
                Some(end) => (at..end, Some(next)),
                None => {
                    let place = value_at(text, at)?;
                    let found = self.find(text.get(place.clone())?, next);
                    (place, found)
                }
            };
            known.push(found.and_then(|found| self.accounts.get(found)?.upgrade()));
            next = found.map_or(next, |found| found + 1);
            let end = behind_space(text, place.end);
            accounts.push(place);
            match text.get(end)? {
                b',' => at = end + 1,
                _ if same(text.get(end..)?, self.after()) => {
                    return Some((Places { list, accounts, end }, known));
                }
                _ => return None,
            }
        }
    }

    /// The text of a known account.
    fn text_of(&self, account: usize) -> Option<&[u8]> {
        self.text.get(self.places.accounts.get(account)?.clone())
    }

    /// Where this known account ends, if it stands here. It is a whole value of JSON, so it is one here too.
    fn end_of_next(&self, text: &[u8], at: usize, account: usize) -> Option<usize> {
        let known = self.text_of(account)?;
        let end = at.saturating_add(known.len());
        let is_here =
            same(text.get(at..end)?, known) && matches!(text.get(behind_space(text, end)), Some(b',' | b']'));
        is_here.then_some(end)
    }

    /// The known account of this text, if it is one of the next.
    fn find(&self, text: &[u8], next: usize) -> Option<usize> {
        (next..next.saturating_add(AHEAD))
            .find(|account| self.text_of(*account).is_some_and(|known| same(known, text)))
    }
}

/// As [`crate::http::same`], in a form that is fast where the compiler optimises for size: megabytes are compared.
fn same(a: &[u8], b: &[u8]) -> bool {
    let ((a_chunks, a_end), (b_chunks, b_end)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let is_same = |(a, b): (&[u8; 16], &[u8; 16])| u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b);
    a.len() == b.len() && a_end == b_end && a_chunks.iter().zip(b_chunks).all(is_same)
}

/// Which account a path begins with.
fn place(path: &str) -> Option<usize> {
    path.strip_prefix("accounts[")?.split_once(']')?.0.parse().ok()
}

fn servers(config: &Config) -> Vec<&str> {
    let urls = config.accounts.iter().filter_map(|account| match &account.directory {
        Directory::Scim(server) => Some(server.url.as_str()),
        _ => None,
    });
    let mut servers: Vec<&str> = urls.collect();
    // Mostly all accounts have one.
    servers.dedup();
    order::sort(&mut servers);
    servers.dedup();
    servers
}

/// Where a configuration's JSON has its accounts.
#[derive(Debug)]
struct Places {
    /// Behind the bracket that begins their list.
    list: usize,
    accounts: Vec<Range<usize>>,
    /// The bracket that ends it.
    end: usize,
}

impl Places {
    /// Finds them in the text of a configuration that was loaded; `None` if it is a Struct.
    fn of(text: &[u8]) -> Option<Self> {
        let mut at = behind(text, 0, b'{')?;
        loop {
            let key = behind(text, at, b'"')?;
            let end = end_of_string(text, key)?;
            let value = behind(text, end, b':')?;
            if text.get(key..end)? == b"accounts\"" {
                return Self::of_list(text, behind(text, value, b'[')?);
            }
            at = behind(text, value_at(text, value)?.end, b',')?;
        }
    }

    fn of_list(text: &[u8], list: usize) -> Option<Self> {
        let mut accounts = Vec::new();
        let mut at = list;
        loop {
            let place = value_at(text, behind_space(text, at))?;
            let end = behind_space(text, place.end);
            accounts.push(place);
            match text.get(end)? {
                b',' => at = end + 1,
                b']' => return Some(Self { list, accounts, end }),
                _ => return None,
            }
        }
    }
}

/// The text with those accounts alone that are not known.
fn without(text: &[u8], places: &Places, known: &[Option<Rc<Account>>]) -> Option<Vec<u8>> {
    let mut short = text.get(..places.list)?.to_vec();
    let unknown = places.accounts.iter().zip(known).filter(|(_, known)| known.is_none());
    for (n, (place, _)) in unknown.enumerate() {
        if n > 0 {
            short.push(b',');
        }
        short.extend(text.get(place.clone())?);
    }
    short.extend(text.get(places.end..)?);
    Some(short)
}

/// The first place from here on that is not white space (RFC 8259 section 2).
fn behind_space(text: &[u8], at: usize) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(is_space).count()
}

fn is_space(byte: &&u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The place behind this byte, if it is the next that is not white space.
fn behind(text: &[u8], at: usize, wanted: u8) -> Option<usize> {
    let at = behind_space(text, at);
    (text.get(at) == Some(&wanted)).then_some(at + 1)
}

/// The place behind the quote that ends the string of which this is the beginning.
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(found)? {
            b'"' => return Some(found + 1),
            _ => at = found + 2,
        }
    }
}

/// From here to the last byte of a value. What is not JSON may end anywhere: no known account has its text.
fn value_at(text: &[u8], from: usize) -> Option<Range<usize>> {
    let (mut at, mut depth) = (from, 0usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at = end_of_string(text, at + 1)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' if depth == 0 => break,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    let value = text.get(from..at)?;
    let space = value.iter().rev().take_while(is_space).count();
    Some(from..at - space)
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
