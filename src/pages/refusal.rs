//! A [`Fault`] as an answer: a page for people, RFC 9457 for programs. Only the public half of the fault
//! is read here; its `detail` belongs to the log.

use super::escape::Html;
use super::layout::Page;
use super::Context;
use crate::fault::{Code, Fault};
use crate::http::response::Response;
use crate::values::members::Members;

/// What a refusal's headers say beyond the fault.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// 405: the methods that are allowed here (RFC 9110 section 15.5.6).
    pub allow: &'a str,
    /// 429 and 503: seconds to wait (RFC 9110 section 10.2.3). Absent: 300 and 10.
    pub retry_after: Option<u64>,
}

impl Default for Hints<'_> {
    fn default() -> Self {
        Self { allow: "GET, HEAD, POST, OPTIONS", retry_after: None }
    }
}

/// The answer to a refusal.
pub fn refusal(fault: &Fault, context: &Context<'_>) -> Response {
    refusal_with(fault, context, Hints::default())
}

/// The answer to a refusal whose headers say more.
pub fn refusal_with(fault: &Fault, context: &Context<'_>, hints: Hints<'_>) -> Response {
    let status = fault.status();
    let answer = if context.html { page(fault, context) } else { problem(fault, context) };
    match status {
        401 => {
            answer.with_header("www-authenticate", &format!("{}{}", challenge(fault.code), context.challenge))
        }
        405 => answer.with_header("allow", hints.allow),
        429 => answer.with_header("retry-after", &hints.retry_after.unwrap_or(300).to_string()),
        503 => answer.with_header("retry-after", &hints.retry_after.unwrap_or(10).to_string()),
        _ => answer,
    }
}

/// How every challenge begins (RFC 6750 section 3).
pub const CHALLENGE: &str = "Bearer realm=\"sso\"";

/// RFC 6750 section 3: without credentials no `error`; with refused ones `invalid_token`.
fn challenge(code: Code) -> String {
    let more = match code {
        Code::TokenInvalid => {
            ", error=\"invalid_token\", error_description=\"The access token is malformed, expired, or not meant \
             for this application\""
        }
        Code::SessionExpired => ", error=\"invalid_token\"",
        _ => "",
    };
    format!("{CHALLENGE}{more}")
}

/// A sentence on this refusal: `part` is `title`, `what` or `do`.
fn sentence<'a>(fault: &Fault, context: &Context<'a>, part: &str) -> &'a str {
    match fault.in_setup {
        true => context.texts().get(&format!("not_set_up.{part}")),
        false => context.texts().of(fault.code, part),
    }
}

/// What happened, what to do, and what became of what was sent.
fn sentences<'a>(fault: &Fault, context: &Context<'a>) -> Vec<&'a str> {
    let texts = context.texts();
    let again = match (context.unsent, fault.code) {
        (true, Code::LoginRequired | Code::SessionExpired) => texts.get("refusal.send_again"),
        _ => sentence(fault, context, "do"),
    };
    let unsent = context.unsent.then(|| texts.get("refusal.unsent"));
    [sentence(fault, context, "what"), again].into_iter().chain(unsent).collect()
}

/// RFC 9457.
fn problem(fault: &Fault, context: &Context<'_>) -> Response {
    let code = fault.code.as_str();
    let kind = format!("urn:envoy-sso:problem:{code}");
    let detail = sentences(fault, context).join(" ");
    let mut members = Members::default();
    members.text("type", &kind);
    members.text("title", sentence(fault, context, "title"));
    members.number("status", fault.status());
    members.text("detail", &detail);
    members.text("code", code);
    members.text("request_id", context.request_id);
    if let Some(field) = &fault.field {
        members.text("field", field);
    }
    if let (401, Some(login)) = (fault.status(), &context.login) {
        members.text("login", login);
    }
    let mut answer =
        Response::new(fault.status(), code).with_header("content-type", "application/problem+json");
    answer.body = members.to_json().into_bytes();
    answer
}

fn page(fault: &Fault, context: &Context<'_>) -> Response {
    let texts = context.texts();
    let mut body = Html::new();
    body.raw("<div role=\"alert\">");
    for sentence in sentences(fault, context) {
        body.element("<p>", sentence, "</p>");
    }
    body.raw("</div>");
    let who = [("sign_out.who", &context.signed_in_as), ("refusal.person", &context.person)];
    for (key, user) in who {
        if let Some(user) = user {
            body.element("<p>", &texts.fill(key, &[("user", user)]), "</p>");
        }
    }
    let again = match fault.code {
        Code::LoginRequired | Code::SessionExpired | Code::PasswordNotAllowed | Code::PasswordDisabled => {
            "action.sign_in"
        }
        _ => "action.try_again",
    };
    // The first way out is the one that stands out.
    let denied = matches!(fault.code, Code::RoleMissing | Code::AccessDenied);
    let (login, home) = (context.login.clone().filter(|_| !denied), context.home.then(|| "/".to_owned()));
    let go_on = context.go_on();
    let ways = [
        (&context.continue_to, go_on.as_str()),
        (&context.another, texts.get("action.another")),
        (&login, texts.get(again)),
        (&context.password_page, texts.get("action.password")),
        (&home, texts.get("action.home")),
        (&context.sign_out, texts.get("sign_out.go")),
    ];
    let mut class = "go";
    for (url, text) in ways {
        if let Some(url) = url.as_deref().and_then(super::escape::safe_url) {
            body.link(class, &url, text);
            class = "alt";
        }
    }
    body.raw("<dl>");
    if let Some(field) = &fault.field {
        body.element("<dt>", texts.get("refusal.field"), "</dt>").element(
            "<dd class=\"id\">",
            field,
            "</dd>",
        );
    }
    body.element("<dt>", texts.get("refusal.code"), "</dt>")
        .element("<dd class=\"id\">", fault.code.as_str(), "</dd>")
        .element("<dt>", texts.get("refusal.request_id"), "</dt>")
        .element("<dd class=\"id\">", context.request_id, "</dd></dl>");
    Page { status: fault.status(), ..Page::of(fault.code.as_str(), sentence(fault, context, "title"), body) }
        .answer(context)
}
