//! The administrators' overview: readiness, completeness, configuration check, what to register.

use super::escape::Html;
use super::layout::Page;
use super::texts::Texts;
use super::Context;
use crate::http::response::Response;

/// What the overview shows. A section that is absent is not there yet.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// The account's code.
    pub account: String,
    /// Could passwords be turned off?
    pub readiness: Option<Readiness>,
    /// Who could not sign in?
    pub completeness: Option<Completeness>,
    /// Does the configuration work end to end?
    pub checks: Option<Vec<Check>>,
    /// What for, and the exact URI.
    pub redirect_uris: Vec<(String, String)>,
    /// Name and URL of each further page.
    pub pages: Vec<(String, String)>,
    /// Title and URL of each report as JSON.
    pub links: Vec<(String, String)>,
    /// What is still being computed, in words.
    pub progress: Option<String>,
}

/// The verdict on turning passwords off. Lists may be cut; their totals are not.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// The verdict.
    pub ready: bool,
    /// Why (not).
    pub reasons: Vec<String>,
    /// Usernames, as many as should be shown.
    pub never_signed_in: Vec<String>,
    /// How many there are.
    pub never_signed_in_total: usize,
    /// Usernames, as many as should be shown.
    pub administrators_signed_in: Vec<String>,
    /// How many there are.
    pub administrators_signed_in_total: usize,
}

/// Who could not sign in with the mapping.
#[derive(Clone, Debug, Default)]
pub struct Completeness {
    /// Users in the directory.
    pub users: usize,
    /// Users without a problem.
    pub complete: usize,
    /// One page of the problems.
    pub problems: Vec<Incomplete>,
    /// How many stand before them.
    pub before: usize,
    /// How many the report lists, over all pages.
    pub listed: usize,
    /// How many problems there are.
    pub total: usize,
    /// The page before.
    pub previous: Option<String>,
    /// The page after.
    pub next: Option<String>,
}

/// One user's problem.
#[derive(Clone, Debug, Default)]
pub struct Incomplete {
    /// Whose.
    pub username: String,
    /// `missing`, `malformed` or `shared`.
    pub problem: String,
    /// The value, where there is one.
    pub value: Option<String>,
    /// Who has the same value.
    pub with: Vec<String>,
}

/// One check of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// The overview.
pub fn admin(context: &Context<'_>, admin: &Admin) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    let account = texts.fill("admin.account", &[("account", &admin.account)]);
    body.element("<p class=\"soft\">", &account, "</p>");
    body.raw("<ul>");
    for (name, url) in &admin.pages {
        body.raw("<li>").link("page", url, &texts.word("admin.page", name)).raw("</li>");
    }
    body.raw("<li>").link("page", "/", texts.get("action.home")).raw("</li></ul>");
    if let Some(progress) = &admin.progress {
        body.element("<p role=\"status\">", progress, "</p>");
    }
    body.element("<section><h2>", texts.get("admin.readiness"), "</h2>");
    match &admin.readiness {
        Some(report) => readiness(&mut body, texts, report),
        None => pending(&mut body, texts),
    }
    body.element("</section><section id=\"completeness\"><h2>", texts.get("admin.completeness"), "</h2>");
    match &admin.completeness {
        Some(report) => completeness(&mut body, texts, report),
        None => pending(&mut body, texts),
    }
    body.element("</section><section><h2>", texts.get("admin.check"), "</h2>");
    match &admin.checks {
        Some(list) => checks(&mut body, texts, list),
        None => pending(&mut body, texts),
    }
    body.raw("</section>");
    if !admin.redirect_uris.is_empty() {
        body.element("<section><h2>", texts.get("admin.uris"), "</h2>").element(
            "<p>",
            texts.get("admin.uris_what"),
            "</p><ul>",
        );
        for (what, uri) in &admin.redirect_uris {
            body.element("<li>", what, ": ").element("<code>", uri, "</code></li>");
        }
        body.raw("</ul></section>");
    }
    if !admin.links.is_empty() {
        body.element("<section><h2>", texts.get("admin.json"), "</h2><ul>");
        for (title, url) in &admin.links {
            body.raw("<li>").link("json", url, title).raw("</li>");
        }
        body.raw("</ul></section>");
    }
    Page { wide: true, ..Page::of("admin", texts.get("admin.title"), body) }.answer(context)
}

fn pending(body: &mut Html, texts: Texts<'_>) {
    body.element("<p>", texts.get("admin.pending"), "</p>");
}

fn readiness(body: &mut Html, texts: Texts<'_>, report: &Readiness) {
    if report.ready {
        body.element(
            "<p class=\"yes\"><span aria-hidden=\"true\">✓ </span>",
            texts.get("admin.ready"),
            "</p>",
        );
    } else {
        body.element(
            "<p class=\"no\"><span aria-hidden=\"true\">✗ </span>",
            texts.get("admin.not_ready"),
            "</p>",
        );
    }
    if !report.reasons.is_empty() {
        body.raw("<ul>");
        for reason in &report.reasons {
            body.element("<li>", reason, "</li>");
        }
        body.raw("</ul>");
    }
    names(
        body,
        texts,
        "admin.administrators",
        &report.administrators_signed_in,
        report.administrators_signed_in_total,
    );
    names(body, texts, "admin.never", &report.never_signed_in, report.never_signed_in_total);
}

/// Up to so many names are shown at once.
const UNFOLDED: usize = 20;

fn names(body: &mut Html, texts: Texts<'_>, key: &str, names: &[String], total: usize) {
    let heading = texts.fill(key, &[("count", &total.to_string())]);
    body.raw(if total <= UNFOLDED { "<details open>" } else { "<details>" });
    body.element("<summary>", &heading, "</summary><p>");
    match names {
        [] => body.text(texts.get("admin.nobody")),
        names => body.text(&names.join(", ")),
    };
    body.raw("</p>");
    if names.len() < total {
        let shown = [("shown", names.len().to_string()), ("total", total.to_string())];
        body.element("<p class=\"soft\">", &fill(texts, "admin.truncated", &shown), "</p>");
    }
    body.raw("</details>");
}

fn fill(texts: Texts<'_>, key: &str, values: &[(&str, String)]) -> String {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    texts.fill(key, &values)
}

fn completeness(body: &mut Html, texts: Texts<'_>, report: &Completeness) {
    let values = [("complete", report.complete.to_string()), ("users", report.users.to_string())];
    body.element("<p>", &fill(texts, "admin.complete", &values), "</p>");
    if !report.problems.is_empty() {
        let columns = ["admin.user", "admin.problem", "admin.value", "admin.with"];
        body.raw("<table").attr("aria-label", texts.get("admin.completeness")).raw("><thead><tr>");
        for column in columns {
            body.element("<th scope=\"col\">", texts.get(column), "</th>");
        }
        body.raw("</tr></thead><tbody>");
        for row in &report.problems {
            let with = if row.with.is_empty() { "–".to_owned() } else { row.with.join(", ") };
            let problem = texts.word("problem", &row.problem);
            let cells = [row.username.as_str(), &problem, row.value.as_deref().unwrap_or("–"), &with];
            body.raw("<tr>");
            for (column, cell) in columns.iter().zip(cells) {
                // On a narrow screen each cell stands in a line of its own, with the column's name before it.
                body.raw("<td").attr("data-column", texts.get(column)).raw(">").text(cell).raw("</td>");
            }
            body.raw("</tr>");
        }
        body.raw("</tbody></table>");
    }
    if report.problems.len() < report.total {
        let values = [
            ("first", (report.before + 1).to_string()),
            ("last", (report.before + report.problems.len()).to_string()),
            ("listed", report.listed.to_string()),
            ("total", report.total.to_string()),
        ];
        body.element("<p class=\"soft more\">", &fill(texts, "admin.range", &values), "");
        if report.listed < report.total {
            body.raw(" ").text(&fill(texts, "admin.listed", &values));
        }
        body.raw("</p>");
    }
    if report.previous.is_some() || report.next.is_some() {
        body.raw("<nav").attr("aria-label", texts.get("admin.pages")).raw(">");
        if let Some(url) = &report.previous {
            body.link("page", url, texts.get("admin.previous")).raw(" ");
        }
        if let Some(url) = &report.next {
            body.link("page", url, texts.get("admin.next"));
        }
        body.raw("</nav>");
    }
}

/// First what is to be done, then what deserves a look, then what passed.
fn checks(body: &mut Html, texts: Texts<'_>, list: &[Check]) {
    let (passed, failed): (Vec<&Check>, Vec<&Check>) = list.iter().partition(|check| check.ok);
    let (warnings, passed): (Vec<&Check>, Vec<&Check>) =
        passed.into_iter().partition(|check| check.detail.starts_with(WARNING));
    if failed.is_empty() {
        body.element(
            "<p class=\"yes\"><span aria-hidden=\"true\">✓ </span>",
            texts.get("admin.all_passed"),
            "</p>",
        );
    }
    rows(body, "<p class=\"no\"><span aria-hidden=\"true\">✗ </span>", texts.get("admin.failed"), &failed);
    rows(
        body,
        "<p class=\"look\"><span aria-hidden=\"true\">! </span>",
        texts.get("admin.warnings"),
        &warnings,
    );
    if !passed.is_empty() {
        let count = passed.len().to_string();
        let heading = texts.fill("admin.passed", &[("count", &count)]);
        body.element("<details><summary>", &heading, "</summary>");
        rows(body, "", "", &passed);
        body.raw("</details>");
    }
}

/// How the detail of a check begins that passed, but deserves a look.
const WARNING: &str = "warning: ";

fn rows(body: &mut Html, heading: &'static str, title: &str, list: &[&Check]) {
    if list.is_empty() {
        return;
    }
    if !heading.is_empty() {
        body.element(heading, title, "</p>");
    }
    body.raw("<dl class=\"rows\">");
    for check in list {
        let detail = check.detail.strip_prefix(WARNING).unwrap_or(&check.detail);
        body.element("<dt>", &check.name, "</dt>").element("<dd>", detail, "</dd>");
    }
    body.raw("</dl>");
}
