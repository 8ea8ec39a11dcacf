//! The administrators' pages: who could not sign in, whether passwords can be turned off, and whether the
//! configuration works end to end. JSON for programs, one page for people.

mod check;
#[cfg(test)]
mod tests;

pub use check::redirect_uris;

use std::rc::Rc;

use serde_json::{json, Value};

use crate::config::{Account, Endpoint};
use crate::directory::reports::{self, Progress};
use crate::exchange::{Asked, Ruling};
use crate::fault::{Code, Fault};
use crate::flows::recheck;
use crate::host::events::{self, Place};
use crate::host::task::Ask;
use crate::host::Level;
use crate::http::response::Answer;
use crate::http::Head;
use crate::pages;
use crate::session::Opened;
use crate::state::{Site, Visitor};

/// Names that the overview shows, and rows of its table on one page; the JSON lists more at once.
const SHOWN: usize = 200;

/// A GET of the overview or of one of its reports.
pub fn show(asked: Rc<Asked>) -> Ruling {
    let opened = match asked.visitor() {
        Visitor::Known(opened) => opened,
        nobody => return Ruling::Answer(sign_in_first(&asked, matches!(nobody, Visitor::Stale))),
    };
    recheck::answer(asked, opened, judged)
}

/// As on every protected path; coming back leads here.
fn sign_in_first(asked: &Asked, stale: bool) -> Answer {
    let answer = match asked.site.as_ref().filter(|_| asked.head.is_navigation()) {
        Some(site) => {
            let target = String::from_utf8_lossy(asked.head.target()).into_owned();
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("u", &site.account.code)
                .append_pair("return_to", &target)
                .finish();
            let url = format!("{}?{query}", site.account.paths.path(Endpoint::Login));
            Answer::redirect(&url).with_code(Code::LoginRequired.as_str())
        }
        None if stale => {
            asked.refuse(&Fault::new(Code::SessionExpired, "the session cookie holds no valid session"))
        }
        None => asked.refuse(&Fault::new(Code::LoginRequired, "no session")),
    };
    if stale {
        asked.without_session(answer)
    } else {
        answer
    }
}

/// Only for who is an administrator now.
async fn judged(ask: Ask, asked: Rc<Asked>, opened: Rc<Opened>) -> Result<Answer, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let user = &opened.session.user;
    let answer = match site.account.is_admin(&user.roles) {
        true => report(&ask, &asked, &site).await,
        false => {
            let detail = format!("{:?} has none of password.admin_roles", user.username);
            Err(Fault::new(Code::RoleMissing, detail))
        }
    };
    Ok(answer.unwrap_or_else(|fault| {
        events::refusal(ask.host(), Place { user: Some(&user.username), ..asked.place() }, &fault);
        pages::refusal(&fault, &asked.page_context())
    }))
}

async fn report(ask: &Ask, asked: &Asked, site: &Site) -> Result<Answer, Fault> {
    let account = &site.account;
    let root = account.paths.path(Endpoint::Admin);
    let mut noted = 0;
    // A long reading leaves a trace in the log while it lasts.
    let mut progress = |at: Progress| {
        if at.read >= noted + 10_000 {
            noted = at.read;
            let line = format!("a report has read {} of {:?} users", at.read, at.total);
            events::notice(ask.host(), asked.place(), Level::Info, &line);
        }
    };
    let report = match asked.path.strip_prefix(root).unwrap_or_default() {
        "" | "/" => return overview(ask, asked, site, &mut progress).await,
        "/completeness" => reports::completeness(ask, account, &mut progress).await?,
        "/readiness" => reports::readiness(ask, account, &mut progress).await?,
        "/check" => {
            let checks = check::run(ask, asked, site).await;
            let list: Vec<Value> =
                checks.iter().map(|c| json!({ "name": c.name, "ok": c.ok, "detail": c.detail })).collect();
            json!({ "ok": checks.iter().all(|check| check.ok), "checks": list })
        }
        _ => return Err(Fault::new(Code::RequestInvalid, "there is no such report").with_status(404)),
    };
    Ok(Answer::json(200, &report))
}

/// Everything on one page. A directory that cannot be read leaves its sections out, with the reason among
/// the checks.
async fn overview(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    progress: &mut dyn FnMut(Progress),
) -> Result<Answer, Fault> {
    let account = &site.account;
    let mut page = pages::Admin { account: account.code.clone(), ..pages::Admin::default() };
    let mut checks = check::run(ask, asked, site).await;
    match reports::both(ask, account, progress).await {
        Ok((completeness, readiness)) => {
            page.completeness = Some(complete(&completeness, &asked.head, account));
            page.readiness = Some(ready(&readiness));
        }
        Err(fault) => {
            checks.push(pages::Check { name: "directory: reports".into(), ok: false, detail: fault.detail });
        }
    }
    page.checks = Some(checks);
    page.redirect_uris = redirect_uris(account);
    let root = account.paths.path(Endpoint::Admin);
    page.links =
        ["readiness", "completeness", "check"].map(|name| (name.to_owned(), format!("{root}/{name}"))).into();
    Ok(pages::admin(&asked.page_context(), &page))
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

/// One page of the table: the one that `page` asks for, the first where it is no number, the last where it
/// is too high (somebody mended the directory in between).
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
