//! SCIM 2.0 (RFC 7643 and RFC 7644) through an Envoy cluster.

pub(crate) mod create;
pub(crate) mod link;
mod links;
pub(crate) mod read;
pub(crate) mod request;

use std::collections::HashSet;

use url::Url;

use super::{unavailable, Cache, Record};
use crate::config::{Account, Attribute, Mapping, Scim};
use crate::fault::Fault;
use crate::host::task::{Answer, Failure, Io, Reply, Request};
use crate::identity::Mapped;
use crate::proto::fetch::answer::shown;
use crate::values::names::careless as folded;
use read::Page;

/// Users per page of a lookup, and the most pages: a server that ignores filters is read whole, because
/// only the whole tells whether a value is unique, and refused when it is larger than this.
const LOOKUP_COUNT: usize = 200;
const LOOKUP_PAGES: usize = 100;

/// Who is looked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// By the mapped value.
    Mapped(&'a Mapped),
    /// By username, in any case.
    Username(&'a str),
    /// By `externalId`, exactly.
    Link(&'a str),
}

impl Wanted<'_> {
    fn is(self, record: &Record, mapping: &Mapping) -> bool {
        match self {
            Wanted::Mapped(mapped) => record.matches(mapping, mapped),
            Wanted::Username(name) => folded(&record.username) == folded(name),
            Wanted::Link(link) => record.external_id.as_deref() == Some(link),
        }
    }

    fn filter(self, mapping: &Mapping, plain: bool) -> String {
        match self {
            Wanted::Mapped(Mapped { attribute: Attribute::Email, value }) => {
                request::equals("emails.value", value)
            }
            Wanted::Mapped(Mapped { attribute: Attribute::Phone, value }) => {
                request::phone(value, mapping.default_country_code.as_deref(), plain)
            }
            Wanted::Mapped(Mapped { attribute: Attribute::Username, value }) => {
                request::equals("userName", value)
            }
            Wanted::Username(name) => request::equals("userName", name),
            Wanted::Link(link) => request::equals("externalId", link),
        }
    }

    fn uses_ends_with(self) -> bool {
        matches!(self, Wanted::Mapped(Mapped { attribute: Attribute::Phone, .. }))
    }
}

/// All users who are looked for, each once, after all pages: compared here, whatever the filter did.
pub(super) async fn find(
    io: &Io,
    account: &Account,
    server: &Scim,
    cache: &Cache,
    wanted: Wanted<'_>,
) -> Result<Vec<Record>, Fault> {
    let plain = !wanted.uses_ends_with() || cache.wants_plain_filters(account);
    let mut filter = wanted.filter(&account.mapping, plain);
    let mut pages = Pages::new(LOOKUP_COUNT, LOOKUP_PAGES);
    let mut found: Vec<Record> = Vec::new();
    while let Some(start) = pages.next() {
        let mut answer = send(io, request::list(server, Some(&filter), start, None)?).await?;
        if answer.status == 400 && !plain && start == 1 {
            // `ew` is in RFC 7644 section 3.4.2.2 but not in every server: ask for known notations only.
            cache.use_plain_filters(account);
            filter = wanted.filter(&account.mapping, true);
            answer = send(io, request::list(server, Some(&filter), start, None)?).await?;
        }
        if start == 1 && matches!(wanted, Wanted::Link(_)) && is_unfilterable(answer.status) {
            links::refused(io, account, server, cache).await?;
            return Ok(Vec::new());
        }
        for record in pages.take(read_page(io, server, &answer)?)? {
            let known = record.id.is_some() && found.iter().any(|other| other.id == record.id);
            if !known && wanted.is(&record, &account.mapping) {
                found.push(record);
            }
        }
    }
    Ok(found)
}

/// RFC 7644 section 3.12: a filter that a server cannot evaluate is a 400, what it does not have at all a 501.
fn is_unfilterable(status: u16) -> bool {
    matches!(status, 400 | 501)
}

/// Where a reading of several pages (RFC 7644 section 3.4.2.4) stands.
pub(super) struct Pages {
    start: usize,
    count: usize,
    left: usize,
    done: bool,
    first_of_last: Option<String>,
    /// What the server says it has.
    pub(super) total: Option<u64>,
}

impl Pages {
    pub(super) fn new(count: usize, most: usize) -> Self {
        Self { start: 1, count, left: most, done: false, first_of_last: None, total: None }
    }

    /// The `startIndex` of the next page.
    pub(super) fn next(&mut self) -> Option<usize> {
        (!self.done).then_some(self.start)
    }

    /// Takes a page in. One that is not the page asked for is a fault: a server that repeats its first page
    /// would hide all others, and what is hidden looks unique.
    pub(super) fn take(&mut self, page: Page) -> Result<Vec<Record>, Fault> {
        let got = page.records.len();
        if page.start.is_some_and(|start| start != self.start && got > 0 && self.start > 1) {
            return Err(unavailable(format!(
                "asked for the page from {} the directory answers {:?}",
                self.start, page.start
            )));
        }
        let first = page.records.first().map(|r| r.id.clone().unwrap_or_else(|| r.username.clone()));
        // Mutants `replace && with ||`, `replace > with >=`: no page is before the first, and one without users is the last.
        if self.start > 1 && first.is_some() && first == self.first_of_last {
            return Err(unavailable("the directory answers every page with the same users"));
        }
        self.first_of_last = first;
        self.start += got;
        self.total = page.total;
        self.done = match page.total {
            Some(total) if got == 0 && (self.start as u64) <= total => {
                return Err(unavailable(format!("of {total} users the directory shows {}", self.start - 1)));
            }
            Some(total) => self.start as u64 > total,
            None => got < self.count,
        };
        self.left = self.left.saturating_sub(1);
        if !self.done && self.left == 0 {
            return Err(unavailable(format!(
                "the directory has more pages than are read; it ignores filters, or {:?} users match",
                page.total
            )));
        }
        Ok(page.records)
    }
}

/// One page of the whole directory, for reports.
pub(super) async fn page(io: &Io, server: &Scim, start: usize, count: usize) -> Result<Page, Fault> {
    let answer = send(io, request::list(server, None, start, Some(count))?).await?;
    match answer.status {
        // Canaille answers 500 to any `count`; its own page size does as well.
        400 | 500 => read_page(io, server, &send(io, request::list(server, None, start, None)?).await?),
        _ => read_page(io, server, &answer),
    }
}

/// The whole answer, whatever its status.
pub(super) async fn send(io: &Io, request: Request) -> Result<Answer, Fault> {
    let url = request.url.clone();
    let fault = match io.call(request).await {
        Reply::Answer(answer) => return Ok(answer),
        Reply::Failed(Failure::TooLarge) => {
            unavailable("the directory's answer is too large; it may ignore filters")
        }
        Reply::Failed(failure) => unavailable(format!("the directory: {failure}")),
    };
    Err(placed(io, &url, fault))
}

fn read_page(io: &Io, server: &Scim, answer: &Answer) -> Result<Page, Fault> {
    read::page(answer).map_err(|fault| placed(io, &server.url, fault))
}

/// The fault with the directory's address and cluster: what an operator has to look at. A query may hold an address of a user.
fn placed(io: &Io, url: &Url, fault: Fault) -> Fault {
    let cluster = io.outside().clusters().resolve(url).unwrap_or_default();
    Fault { detail: format!("{} ({}, cluster {cluster:?})", fault.detail, shown(url)), ..fault }
}

/// True where an id was seen before; for readings of the whole directory.
pub(super) fn repeated(ids: &mut HashSet<u64>, record: &Record) -> bool {
    record.id.as_deref().is_some_and(|id| !ids.insert(super::seen::hash(&[id])))
}
