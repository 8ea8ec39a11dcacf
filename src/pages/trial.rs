//! What came of a test sign-in.

use serde_json::Value;

use super::escape::Html;
use super::layout::Page;
use super::Context;
use crate::http::response::Response;
use crate::values::json;

/// Claims that the page shows; JSON has all of them.
const SHOWN: usize = 50;

/// The outcome, the user that was found, and every claim that came.
pub fn trial(context: &Context<'_>, report: &Value) -> Response {
    let texts = context.texts();
    let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut body = Html::new();
    match report.get("ok") == Some(&Value::Bool(true)) {
        true => body.element("<p class=\"yes\">", &texts.fill("trial.ok", &[("user", text("user"))]), "</p>"),
        false => {
            body.element("<p class=\"no\">", &texts.fill("trial.failed", &[("code", text("code"))]), "</p>")
        }
    };
    if !text("reason").is_empty() {
        body.element("<p>", text("reason"), "</p>");
    }
    body.raw("<dl>");
    for (name, key) in [("mapped", "trial.mapped"), ("user", "trial.user")] {
        if !text(name).is_empty() {
            body.element("<dt>", texts.get(key), "</dt>").element("<dd>", text(name), "</dd>");
        }
    }
    let roles: Vec<&str> =
        report["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !roles.is_empty() {
        body.element("<dt>", texts.get("trial.roles"), "</dt>").element("<dd>", &roles.join(", "), "</dd>");
    }
    body.raw("</dl>");
    let claims = report["claims"].as_object();
    if let Some(claims) = claims.filter(|claims| !claims.is_empty()) {
        body.element("<h2>", texts.get("trial.claims"), "</h2><dl>");
        for (name, value) in claims.iter().take(SHOWN) {
            let value = value.as_str().map_or_else(|| json::text(value), str::to_owned);
            let short: String = value.chars().take(500).collect();
            body.element("<dt><code>", name, "</code></dt>").element("<dd>", &short, "</dd>");
        }
        body.raw("</dl>");
    }
    Page { wide: true, ..Page::of("settings_test", texts.get("trial.title"), body) }.answer(context)
}
