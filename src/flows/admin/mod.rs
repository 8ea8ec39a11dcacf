//! The administrators' pages: who could not sign in, whether passwords can be turned off, and whether the
//! configuration works end to end. JSON for programs, one page for people.
//!
//! - `check`: the configuration tried end to end: discovery, keys, token endpoint, directory. To add a check: there.
//! - `sessions`: ends the sessions of one user or of all. `settings`: the Account Center: draft, test, enable, go back.
//!
//! The pages are `pages::admin`, `pages::sessions`, `pages::account_center`; the reports are `directory::reports`. Invariant: each
//! of these requests is an administrator's of this very account, and no change is sent by another site's page.

mod check;
pub mod sessions;
mod settings;
#[cfg(test)]
mod tests;

pub use check::redirect_uris;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde_json::{json, Value};

use crate::config::{Account, Endpoint};
use crate::directory::reports::{self, Progress};
use crate::exchange::{Body, Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::bearer::{self, BearerLookup};
use crate::flows::recheck;
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::response::Response;
use crate::http::Head;
use crate::pages;
use crate::replicas::Replicas;
use crate::session::{LiveSession, Method};
use crate::state::{AccountState, NoSession, SessionState};
use settings::Address;

/// Names that the overview shows, and rows of its table on one page; the JSON lists more at once.
const SHOWN: usize = 200;

/// A GET of the overview or of one of its reports.
pub fn show(exchange: Rc<Exchange>) -> Ruling {
    if let SessionState::Valid(live) = exchange.session_state() {
        if let Some(answer) = sent_from_elsewhere(&exchange, &live) {
            return Ruling::LocalReply(answer);
        }
    }
    known(exchange, Box::new(|io, exchange, live| Box::pin(judged(io, exchange, live))))
}

/// A request that changes something: settings or invitations.
pub fn change(exchange: Rc<Exchange>) -> Ruling {
    let Some(address) = address(&exchange) else {
        let fault = Fault::new(Code::MethodNotAllowed, "only GET, HEAD");
        return Ruling::LocalReply(exchange.refuse(&fault).set_header("allow", "GET, HEAD"));
    };
    // Strangers' bodies are not read.
    if let (SessionState::None | SessionState::Stale, bearer::Sent::Nothing) =
        (exchange.session_state(), bearer::sent(&exchange.head))
    {
        return known(exchange, Box::new(|io, exchange, live| Box::pin(judged(io, exchange, live))));
    }
    let method = String::from_utf8_lossy(exchange.head.method()).into_owned();
    if !address.methods().split(", ").any(|own| own == method) {
        let fault = Fault::new(Code::MethodNotAllowed, format!("only {}", address.methods()));
        return Ruling::LocalReply(exchange.refuse(&fault).set_header("allow", address.methods()));
    }
    let then = move |exchange: Rc<Exchange>, body: Vec<u8>| {
        known(
            exchange,
            Box::new(move |io, exchange, live| {
                Box::pin(async move { changed(&io, &exchange, &live, &address, &body).await })
            }),
        )
    };
    if exchange.head.ends {
        return then(exchange, Vec::new());
    }
    Ruling::Body(
        settings::MAX_BODY,
        Box::new(move |body| match body {
            Body::Whole(bytes) => then(exchange, bytes),
            Body::TooLarge => {
                let fault = Fault::new(Code::BodyTooLarge, "the body is larger than 256 KB");
                Ruling::LocalReply(exchange.refuse(&fault))
            }
        }),
    )
}

/// The address of the Account Center that a request names.
fn address(exchange: &Exchange) -> Option<Address> {
    let root = exchange.account_state.as_ref()?.account.paths.path(Endpoint::Admin);
    Address::read(exchange.path.strip_prefix(root)?)
}

/// What is done for an administrator. Boxed: the code around it is there once.
type Then = Box<dyn FnOnce(Io, Rc<Exchange>, Rc<LiveSession>) -> Answering>;
type Answering = Pin<Box<dyn Future<Output = Result<Response, Fault>>>>;

/// Goes on with the user of a session or of a bearer token.
fn known(exchange: Rc<Exchange>, then: Then) -> Ruling {
    // Tokens count where scripts set accounts up; the reports of other accounts are for people.
    let found = exchange
        .account_state
        .as_ref()
        .filter(|own| own.account.self_service.is_some())
        .map(|own| bearer::lookup(&exchange.filter_state, own, &exchange.head, exchange.now));
    match found {
        Some(BearerLookup::Valid(live)) => Ruling::flow(exchange, move |io, exchange| async move {
            then(io, exchange, live).await.map(Outcome::LocalReply)
        }),
        Some(BearerLookup::Unknown(token, known)) => Ruling::flow(exchange, move |io, exchange| async move {
            let answer = match bearer::session(&io, &exchange, token, known).await {
                Ok(live) => then(io, exchange, live).await?,
                Err(fault) => bearer::refuse(&exchange, &fault),
            };
            Ok(Outcome::LocalReply(answer))
        }),
        Some(BearerLookup::Refused(fault)) => Ruling::LocalReply(bearer::refuse(&exchange, &fault)),
        Some(BearerLookup::Absent) | None => match exchange.session_state().live() {
            Ok(live) => recheck::answer(exchange, live, then),
            Err(why) => Ruling::LocalReply(sign_in_first(&exchange, why)),
        },
    }
}

/// A change by a client: an administrator's, from the account's own pages or by a program, as JSON.
async fn changed(
    io: &Io,
    exchange: &Rc<Exchange>,
    live: &Rc<LiveSession>,
    address: &Address,
    body: &[u8],
) -> Result<Response, Fault> {
    exchange.site_and_origin()?;
    let refused = |fault: Fault| {
        let place = Place { user: Some(&live.session.user.username), ..exchange.place() };
        events::refusal(io.host(), place, &fault);
        pages::refusal(&fault, &exchange.page_context())
    };
    if let Err(fault) = may_change(exchange, live, address) {
        return Ok(refused(fault));
    }
    Ok(match settings::answer(io, exchange, live, address, body).await {
        Ok(answer) => answer,
        Err(refusal) => match refusal.problems() {
            Some(answer) => {
                refused(Fault::new(Code::SettingsInvalid, "what was sent has problems"));
                answer
            }
            None => refused(refusal.into_fault()),
        },
    })
}

/// Only administrators of this very account, and nothing that another site's page sent (a browser's session goes along
/// with what any page sends).
fn may_change(exchange: &Exchange, live: &LiveSession, address: &Address) -> Result<(), Fault> {
    admits(live)?;
    let by_browser = live.session.method != Method::Bearer;
    if by_browser && exchange.head.is_cross_site(&exchange.own_origins()) {
        return Err(Fault::new(Code::RequestInvalid, "another site sent it").with_status(403));
    }
    let kind = exchange.head.one("content-type").and_then(|kind| kind.split(';').next()).map(str::trim);
    let is_json = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if settings::is_form(exchange, address) {
        return Ok(());
    }
    if !is_json && exchange.head.method() != b"DELETE" {
        return Err(Fault::new(Code::ContentTypeUnsupported, "expected application/json"));
    }
    Ok(())
}

/// After signing in a browser comes back from the provider's site, for so many milliseconds.
const JUST_IN: u64 = 60_000;

/// A report may read a whole directory and calls every provider: a page of another site must not cause that in an
/// administrator's browser (CWE-352). A user is asked, a script is refused.
fn sent_from_elsewhere(exchange: &Exchange, live: &LiveSession) -> Option<Response> {
    let origins = exchange.own_origins();
    let just_in = exchange.now.saturating_sub(live.session.started_at) < JUST_IN;
    if just_in || !exchange.head.is_sent_from_elsewhere(&origins) {
        return None;
    }
    if exchange.head.is_person() {
        let target = String::from_utf8_lossy(exchange.head.target()).into_owned();
        return Some(pages::confirm_arrival(&exchange.page_context(), &target));
    }
    let fault = Fault::new(Code::RequestInvalid, "a page of another site asks for a report").with_status(403);
    Some(exchange.refuse(&fault))
}

/// As on every protected path; coming back leads here.
fn sign_in_first(exchange: &Exchange, why: NoSession) -> Response {
    let Some(account_state) = exchange.account_state.as_ref().filter(|_| exchange.head.is_navigation())
    else {
        return exchange.refuse_without(why);
    };
    let target = String::from_utf8_lossy(exchange.head.target()).into_owned();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("u", &account_state.account.code)
        .append_pair("return_to", &target)
        .finish();
    let url = format!("{}?{query}", account_state.account.paths.path(Endpoint::Login));
    exchange.answer_without(why, Response::redirect(&url).with_code(Code::LoginRequired.as_str()))
}

/// Only for who is an administrator now.
async fn judged(io: Io, exchange: Rc<Exchange>, live: Rc<LiveSession>) -> Result<Response, Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let user = &live.session.user;
    let answer = match admits(&live) {
        Ok(()) if sessions::is_meant(&exchange) => sessions::show(&exchange, &live),
        Ok(()) => match address(&exchange) {
            Some(address) => settings_shown(&io, &exchange, &live, &address).await,
            None => report(&io, &exchange, &account_state).await,
        },
        Err(fault) => Err(fault),
    };
    Ok(answer.unwrap_or_else(|fault| {
        exchange.refuse_at(Place { user: Some(&user.username), ..exchange.place() }, &fault)
    }))
}

/// The refusal of who is not an administrator.
fn admits(live: &LiveSession) -> Result<(), Fault> {
    let user = &live.session.user;
    if user.is_administrator(&live.account) {
        return Ok(());
    }
    let why = user.without_roles_because(&live.account);
    let detail = format!("{:?} has none of password.admin_roles{why}", user.username);
    Err(Fault::new(Code::RoleMissing, detail))
}

/// A GET of the Account Center.
async fn settings_shown(
    io: &Io,
    exchange: &Rc<Exchange>,
    live: &Rc<LiveSession>,
    address: &Address,
) -> Result<Response, Fault> {
    match address {
        Address::Settings => {
            settings::answer(io, exchange, live, address, &[]).await.map_err(settings::Refusal::into_fault)
        }
        Address::Test => settings::begin_test(io, exchange, live).await,
        _ => Err(Fault::new(Code::MethodNotAllowed, format!("only {}", address.methods()))),
    }
}

async fn report(io: &Io, exchange: &Exchange, account_state: &AccountState) -> Result<Response, Fault> {
    let account = &account_state.account;
    let root = account.paths.path(Endpoint::Admin);
    let mut noted = 0;
    // A long reading leaves a trace in the log while it lasts.
    let mut progress = |at: Progress| {
        if at.read >= noted + 10_000 {
            noted = at.read;
            let line = format!("a report has read {} of {:?} users", at.read, at.total);
            events::notice(io.host(), exchange.place(), Level::Info, &line);
        }
    };
    let report = match exchange.path.strip_prefix(root).unwrap_or_default() {
        "" | "/" => return overview(io, exchange, account_state, &mut progress).await,
        "/completeness" if exchange.head.param("draft").as_deref() == Some("1") => {
            let draft = settings::draft_account(exchange)?;
            reports::completeness(io, &draft, &mut progress).await?
        }
        "/completeness" => reports::completeness(io, account, &mut progress).await?,
        "/readiness" => reports::readiness(io, account, replicas(exchange), &mut progress).await?,
        "/check" => {
            let mut checks = check::run(io, exchange, account_state).await;
            checks.extend(check::to_register(account));
            let list: Vec<Value> =
                checks.iter().map(|c| json!({ "name": c.name, "ok": c.ok, "detail": c.detail })).collect();
            json!({ "ok": checks.iter().all(|check| check.ok), "checks": list })
        }
        _ => return Err(Fault::new(Code::RequestInvalid, "there is no such report").with_status(404)),
    };
    Ok(Response::json(200, &report))
}

fn replicas(exchange: &Exchange) -> Option<&Replicas> {
    exchange.filter_state.replicas.as_deref()
}

/// Everything on one page. A directory that cannot be read leaves its sections out, with the reason among
/// the checks.
async fn overview(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    progress: &mut dyn FnMut(Progress),
) -> Result<Response, Fault> {
    let account = &account_state.account;
    let mut page = pages::Admin { account: account.code.clone(), ..pages::Admin::default() };
    let mut checks = check::run(io, exchange, account_state).await;
    match reports::both(io, account, replicas(exchange), progress).await {
        Ok((completeness, readiness)) => {
            page.completeness = Some(complete(&completeness, &exchange.head, account));
            page.readiness = Some(ready(&readiness));
        }
        Err(fault) => {
            checks.push(pages::Check { name: "directory: reports".into(), ok: false, detail: fault.detail });
        }
    }
    page.checks = Some(checks);
    page.redirect_uris = redirect_uris(account);
    let root = account.paths.path(Endpoint::Admin);
    let link = |name: &str| (name.to_owned(), format!("{root}/{name}"));
    page.links = ["readiness", "completeness", "check"].map(link).into();
    page.pages = ["sessions"].map(link).into();
    if account.self_service.is_some() {
        page.pages.insert(0, link("settings"));
    }
    Ok(pages::admin(&exchange.page_context(), &page))
}

fn ready(report: &Value) -> pages::Readiness {
    let (never_signed_in, never_signed_in_total) = names(report, "never_signed_in", SHOWN);
    let (administrators_signed_in, administrators_signed_in_total) =
        names(report, "administrators_signed_in", SHOWN);
    pages::Readiness {
        ready: report["ready"] == true,
        reasons: names(report, "reasons", SHOWN).0,
        never_signed_in,
        never_signed_in_total,
        administrators_signed_in,
        administrators_signed_in_total,
    }
}

/// One page of the table: the one that `page` asks for, the first where it is not a number, the last where it
/// is too high (the directory was mended in between).
fn complete(report: &Value, head: &Head, account: &Account) -> pages::Completeness {
    let number = |name: &str| report[name].as_u64().unwrap_or_default() as usize;
    let problems = report["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |problem: &Value| pages::Incomplete {
        username: text(&problem["username"]).unwrap_or_default(),
        problem: text(&problem["problem"]).unwrap_or_default(),
        value: text(&problem["value"]),
        with: names(problem, "with", 20).0,
    };
    let last = problems.len().div_ceil(SHOWN).max(1);
    let asked_for = head.param("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1);
    let page = asked_for.clamp(1, last);
    let before = (page - 1) * SHOWN;
    let url = |page: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(code) = head.param("u") {
            query.append_pair("u", &code);
        }
        let query = query.append_pair("page", &page.to_string()).finish();
        format!("{}?{query}#completeness", account.paths.path(Endpoint::Admin))
    };
    pages::Completeness {
        users: number("users"),
        complete: number("complete"),
        problems: problems.iter().skip(before).take(SHOWN).map(row).collect(),
        before,
        listed: problems.len(),
        total: number("users").saturating_sub(number("complete")),
        previous: (page > 1).then(|| url(page - 1)),
        next: (page < last).then(|| url(page + 1)),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The first names of a list, and how many there are.
fn names(report: &Value, list: &str, most: usize) -> (Vec<String>, usize) {
    let list = report[list].as_array().map(Vec::as_slice).unwrap_or_default();
    (list.iter().take(most).filter_map(text).collect(), list.len())
}
