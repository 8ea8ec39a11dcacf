//! Completeness and readiness over a whole directory, page by page.
//!
//! Memory does not grow with what a user weighs: the first reading keeps eight bytes a value, and names
//! only for what goes into the report; a second reading, made only where values are shared, finds out by
//! whom. A directory of 100,000 users costs less than 2 MB, and lists are cut at [`MAX_LISTED`] with a
//! note `truncated`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{json, Value};
use url::Url;

use super::{notices, scim, seen, unavailable, Record};
use crate::config::{Account, Directory, Protocol};
use crate::fault::Fault;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::identity::mapping;
use crate::replicas::Replicas;
use crate::values::order;

/// The most problems or names that a report lists.
pub const MAX_LISTED: usize = 10_000;
/// The most names after `with`.
const MAX_WITH: usize = 100;
/// The most users that are read.
const MAX_USERS: usize = 1_000_000;
/// Users per page.
const COUNT: usize = 200;

/// How far a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Users read so far, of this reading.
    pub read: u64,
    /// Users the directory says it has.
    pub total: Option<u64>,
}

/// The users who could not sign in with the mapping, active or not.
pub async fn completeness(
    io: &Io,
    account: &Account,
    progress: &mut dyn FnMut(Progress),
) -> Result<Value, Fault> {
    Ok(survey(io, account, None, progress).await?.completeness(io, account))
}

/// What an operator asks before turning passwords off. Ready is a directory in which every active user has
/// a value of their own, and has signed in through single sign-on, an administrator among them. With `replicas` at any
/// Envoy.
pub async fn readiness(
    io: &Io,
    account: &Account,
    replicas: Option<&Replicas>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Value, Fault> {
    Ok(survey(io, account, replicas, progress).await?.readiness(account))
}

/// Completeness and readiness of one survey.
pub async fn both(
    io: &Io,
    account: &Account,
    replicas: Option<&Replicas>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Value, Value), Fault> {
    let survey = survey(io, account, replicas, progress).await?;
    let readiness = survey.readiness(account);
    Ok((survey.completeness(io, account), readiness))
}

/// How many users the directory says it has, after one short question; `None` where it does not say.
pub async fn reach(io: &Io, account: &Account) -> Result<Option<u64>, Fault> {
    match &account.directory {
        Directory::None => Ok(None),
        Directory::Static(users) => Ok(Some(users.len() as u64)),
        Directory::Scim(server) => Ok(scim::page(io, server, 1, 1).await?.total),
    }
}

fn note_truncated(report: &mut Value) {
    if let Some(report) = report.as_object_mut() {
        report.insert("truncated".into(), true.into());
    }
}

#[derive(Default)]
struct Survey {
    users: u64,
    problem_count: u64,
    active_problems: u64,
    problems: Vec<Problem>,
    never: Vec<String>,
    never_count: u64,
    administrators: Vec<String>,
    truncated: bool,
}

struct Problem {
    username: String,
    problem: &'static str,
    value: Option<String>,
}

impl Survey {
    fn problem(&mut self, record: &Record, problem: &'static str, value: Option<String>) {
        self.problem_count += 1;
        self.active_problems += u64::from(record.active);
        if self.problems.len() < MAX_LISTED {
            self.problems.push(Problem { username: record.username.clone(), problem, value });
        } else {
            self.truncated = true;
        }
    }

    fn note_sign_in(&mut self, io: &Io, account: &Account, record: &Record) {
        if !record.active {
            return;
        }
        let linked = record.external_id.as_deref().is_some_and(|link| is_link(account, link));
        if !linked && !seen::seen(io.host(), account, &record.username) {
            self.never_count += 1;
            if self.never.len() < MAX_LISTED {
                self.never.push(record.username.clone());
            }
        } else if is_administrator(io, account, record) && self.administrators.len() < MAX_LISTED {
            self.administrators.push(record.username.clone());
        }
    }

    /// See [`readiness`].
    fn readiness(&self, account: &Account) -> Value {
        let mut reasons = Vec::new();
        if matches!(account.directory, Directory::None) {
            reasons.push("there is no directory: the filter cannot say who would be left out".to_owned());
        }
        if self.active_problems > 0 {
            reasons.push(format!("{} active users could not sign in with the mapping", self.active_problems));
        }
        if self.never_count > 0 {
            reasons.push(format!(
                "{} active users have never signed in through single sign-on",
                self.never_count
            ));
        }
        if self.administrators.is_empty() {
            reasons.push("no administrator has signed in through single sign-on".to_owned());
        }
        let mut report = json!({
            "ready": reasons.is_empty(),
            "reasons": reasons,
            "never_signed_in": self.never,
            "administrators_signed_in": self.administrators,
        });
        if self.never_count as usize > self.never.len() {
            note_truncated(&mut report);
        }
        report
    }

    fn completeness(self, io: &Io, account: &Account) -> Value {
        let mut by_value: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for problem in &self.problems {
            if let ("shared", Some(value)) = (problem.problem, &problem.value) {
                by_value.entry(value).or_default().insert(&problem.username);
            }
        }
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| {
                let sharers = problem.value.as_deref().filter(|_| problem.problem == "shared").and_then(|v| by_value.get(v));
                let with: Vec<&str> = sharers
                    .into_iter()
                    .flatten()
                    .filter(|name| **name != problem.username)
                    .take(MAX_WITH)
                    .copied()
                    .collect();
                json!({ "username": problem.username, "problem": problem.problem, "value": problem.value, "with": with })
            })
            .collect();
        let mut report = json!({
            "users": self.users,
            "complete": self.users.saturating_sub(self.problem_count),
            "problems": problems,
            "notices": notices::list(io.host(), account),
        });
        if self.truncated {
            note_truncated(&mut report);
        }
        report
    }
}

/// By the directory's roles, or by those that the identity brought.
fn is_administrator(io: &Io, account: &Account, record: &Record) -> bool {
    account.is_admin(&record.all_roles(&account.mapping))
        || account.is_named_admin(&record.username)
        || seen::administrator(io.host(), account, &record.username)
}

/// `issuer|subject`: an issuer is an absolute URI (OpenID Connect Core section 2), or what a SAML provider
/// of this account is configured with.
fn is_link(account: &Account, link: &str) -> bool {
    let configured = account.providers.iter().any(|provider| {
        let issuer = match &provider.protocol {
            Protocol::Saml(saml) => saml.issuer.as_deref(),
            _ => None,
        };
        issuer.is_some_and(|issuer| {
            link.strip_prefix(issuer).is_some_and(|rest| rest.len() > 1 && rest.starts_with('|'))
        })
    });
    let is_uri = |(issuer, subject): (&str, &str)| !subject.is_empty() && Url::parse(issuer).is_ok();
    configured || link.split_once('|').is_some_and(is_uri)
}

/// Both readings.
async fn survey(
    io: &Io,
    account: &Account,
    replicas: Option<&Replicas>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Survey, Fault> {
    if let Some(replicas) = replicas {
        let learned = replicas.each_sighting(io, &mut |mark| seen::learn(io.host(), &mark)).await;
        if let Err(away) = learned {
            let place = Place { account: Some(&account.code), ..Place::default() };
            let reason = format!("readiness counts the sign-ins that this Envoy knows: {}", away.detail);
            events::notice(io.host(), place, Level::Warn, &reason);
        }
    }
    let mut survey = Survey::default();
    let mut hashes: Vec<u64> = Vec::new();
    let mut reader = Reader::new(MAX_USERS);
    while let Some(records) = reader.next(io, account).await? {
        for record in &records {
            survey.users += 1;
            survey.note_sign_in(io, account, record);
            let values = record.values(account.mapping.attribute);
            let own = own_values(account, record);
            if values.iter().all(|value| value.trim().is_empty()) {
                survey.problem(record, "missing", None);
            } else if own.is_empty() {
                survey.problem(record, "malformed", values.first().cloned());
            }
            hashes.extend(own.iter().map(|value| seen::hash(&[value])));
        }
        progress(Progress { read: survey.users, total: reader.total() });
    }
    let shared = repeated(hashes);
    if shared.is_empty() {
        return Ok(survey);
    }
    let mut reader = Reader::new(MAX_USERS);
    let mut read = 0;
    while let Some(records) = reader.next(io, account).await? {
        for record in &records {
            read += 1;
            let value = own_values(account, record)
                .into_iter()
                .find(|value| shared.binary_search(&seen::hash(&[value])).is_ok());
            if let Some(value) = value {
                survey.problem(record, "shared", Some(value));
            }
        }
        progress(Progress { read, total: reader.total() });
    }
    Ok(survey)
}

/// The values of a record as they are compared, each once.
fn own_values(account: &Account, record: &Record) -> BTreeSet<String> {
    let values = record.values(account.mapping.attribute).iter();
    order::gathered(values.filter_map(|value| mapping::normalise(&account.mapping, value)))
}

/// What occurs more than once, sorted.
fn repeated(mut hashes: Vec<u64>) -> Vec<u64> {
    order::sort(&mut hashes);
    let mut shared: Vec<u64> =
        hashes.iter().zip(hashes.iter().skip(1)).filter_map(|(a, b)| (a == b).then_some(*a)).collect();
    shared.dedup();
    shared
}

/// Reads a directory from beginning to end.
pub(super) struct Reader {
    pages: scim::Pages,
    ids: HashSet<u64>,
    at: usize,
    most: usize,
}

impl Reader {
    /// Of so many users at the most: a page that begins behind them is not asked for.
    pub(super) fn new(most: usize) -> Self {
        Self { pages: scim::Pages::new(COUNT, most), ids: HashSet::new(), at: 0, most }
    }

    fn total(&self) -> Option<u64> {
        self.pages.total
    }

    /// The next page; `None` behind the last.
    pub(super) async fn next(&mut self, io: &Io, account: &Account) -> Result<Option<Vec<Record>>, Fault> {
        match &account.directory {
            Directory::None => Ok(None),
            Directory::Static(users) => {
                let records: Vec<Record> = users.iter().skip(self.at).take(COUNT).map(Record::from).collect();
                self.at += records.len();
                self.pages.total = Some(users.len() as u64);
                Ok((!records.is_empty()).then_some(records))
            }
            Directory::Scim(server) => {
                let Some(start) = self.pages.next() else { return Ok(None) };
                if start > self.most {
                    return Err(unavailable(format!("the directory has more than {} users", self.most)));
                }
                let page = scim::page(io, server, start, COUNT).await?;
                let mut records = self.pages.take(page)?;
                // A user who moved to the next page while it was read must not count as a second one.
                let ids = &mut self.ids;
                records.retain(|record| !scim::repeated(ids, record));
                Ok(Some(records))
            }
        }
    }
}
