//! What operators see: one JSON line for each login, logout, refusal and configuration load, and the
//! counters and histograms beside them. No event ever carries a secret, a token or a cookie.

use serde_json::json;

use crate::fault::{Code, Fault};
use crate::host::{Host, Level};
use crate::values::json;
use crate::values::members::Members;

/// Where an event happened: shared by every line of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The account's code.
    pub account: Option<&'a str>,
    /// The provider's id.
    pub provider: Option<&'a str>,
    /// Envoy's request id.
    pub request_id: &'a str,
    /// The path, without its query: a query may carry a code or a token.
    pub path: &'a str,
    /// The username, where it is known.
    pub user: Option<&'a str>,
    /// A user sees the answer.
    pub is_page: bool,
}

impl<'a> Place<'a> {
    fn line(&self, event: &'static str) -> Members<'a> {
        let mut line = Members::default();
        line.text("event", event);
        for (name, value) in [("account", self.account), ("idp", self.provider), ("user", self.user)] {
            if let Some(value) = value {
                line.text(name, limited(value));
            }
        }
        for (name, value) in [("path", self.path), ("request_id", self.request_id)] {
            if !value.is_empty() {
                line.text(name, limited(value));
            }
        }
        line
    }
}

/// A person signed in, by SSO or by password.
pub fn login(host: &dyn Host, place: Place<'_>, method: &str) {
    let mut line = place.line("login");
    line.text("method", method);
    write(host, Level::Info, line);
    host.count("sso_sessions_opened");
    login_outcome(host, place, "ok");
}

/// A login ended in this outcome: `ok` or a code.
pub fn login_outcome(host: &dyn Host, place: Place<'_>, outcome: &str) {
    let account = metric(place.account.unwrap_or("-"));
    let provider = metric(place.provider.unwrap_or("-"));
    host.count(&format!("sso_logins.account.{account}.idp.{provider}.outcome.{outcome}"));
}

/// A session ended.
pub fn session_ended(host: &dyn Host, place: Place<'_>, reason: &str) {
    let mut line = place.line("logout");
    line.text("reason", reason);
    write(host, Level::Info, line);
    host.count(&format!("sso_sessions_ended.reason.{reason}"));
}

/// What a provider ends.
#[derive(Clone, Copy)]
pub enum Ends {
    /// One session of its own (`sid`).
    Session,
    /// All sessions of a user (`sub`).
    User,
}

/// A provider ended sessions. How many of them are open here is not counted.
pub fn provider_logout(host: &dyn Host, place: Place<'_>, reason: &str, ends: Ends) {
    let mut line = place.line("logout");
    line.text("reason", reason);
    line.text(
        "ends",
        match ends {
            Ends::Session => "sid",
            Ends::User => "sub",
        },
    );
    write(host, Level::Info, line);
    host.count(&format!("sso_sessions_ended.reason.{reason}"));
}

/// An administrator ended the sessions of a user, or of the whole account.
pub fn ended_by_administrator(host: &dyn Host, place: Place<'_>, by: &str, user: Option<&str>) {
    let mut line = Place { user, ..place }.line("logout");
    line.text("reason", "administrator");
    line.text("ends", if user.is_some() { "user" } else { "account" });
    line.text("by", limited(by));
    write(host, Level::Info, line);
    host.count("sso_sessions_ended.reason.administrator");
}

/// A browser came back from signing out at its provider: `ok`, or `unknown` where this browser left with
/// no such `state`.
pub fn logout_returned(host: &dyn Host, outcome: &str) {
    host.count(&format!("sso_logouts_returned.outcome.{outcome}"));
}

/// A request was refused: the line has the reason an operator needs.
pub fn refusal(host: &dyn Host, place: Place<'_>, fault: &Fault) {
    let mut line = place.line("refusal");
    line.text("code", fault.code.as_str());
    line.number("status", fault.status());
    if let Some(field) = &fault.field {
        line.text("field", limited(field));
    }
    line.text("reason", limited(&fault.detail));
    let level = match fault.status() {
        500.. => Level::Error,
        // A browser asks for icons and manifests that no user has asked for.
        401 if !place.is_page && fault.code != Code::TokenInvalid => Level::Info,
        _ => Level::Warn,
    };
    write(host, level, line);
    host.count(&format!("sso_refusals.code.{}", fault.code.as_str()));
}

/// A ruling on a password login: `passed` or a code.
pub fn password_ruling(host: &dyn Host, place: Place<'_>, outcome: &str) {
    let account = metric(place.account.unwrap_or("-"));
    host.count(&format!("sso_password_rulings.account.{account}.outcome.{outcome}"));
}

/// A bearer token was verified (`ok`) or refused (a code); one that is remembered is not counted again.
pub fn bearer(host: &dyn Host, place: Place<'_>, outcome: &str) {
    let account = metric(place.account.unwrap_or("-"));
    host.count(&format!("sso_bearer_tokens.account.{account}.outcome.{outcome}"));
}

/// An assertion was signed: once for a session in its lifetime.
pub fn assertion_signed(host: &dyn Host) {
    host.count("sso_assertions_signed");
}

/// An outgoing call was answered, or not.
pub fn call(host: &dyn Host, what: &str, status: u16, milliseconds: u64) {
    let class = match status {
        0 => "failed".to_owned(),
        status => format!("{}xx", status / 100),
    };
    host.count(&format!("sso_calls.what.{what}.answer.{class}"));
    host.observe(&format!("sso_call_time_ms.what.{what}"), milliseconds);
}

/// The shared engine was called; `status` is gRPC's.
pub fn shared_call(host: &dyn Host, op: &str, status: u32) {
    let answer = if status == 0 { "ok" } else { "failed" };
    host.count(&format!("sso_shared_calls.op.{op}.answer.{answer}"));
}

/// Keys or discovery were fetched in the background.
pub fn refreshed(host: &dyn Host, provider: &str, fault: Option<&Fault>) {
    let outcome = if fault.is_none() { "ok" } else { "failed" };
    host.count(&format!("sso_key_refreshes.outcome.{outcome}"));
    if let Some(fault) = fault {
        let mut line = Place { provider: Some(provider), ..Place::default() }.line("refresh");
        line.text("code", fault.code.as_str());
        line.text("reason", limited(&fault.detail));
        write(host, Level::Warn, line);
    }
}

/// A session with a refresh token was to be renewed: `ok`, `failed` (tried again), `refused` (it ends).
pub fn renewal(host: &dyn Host, place: Place<'_>, outcome: &str, fault: Option<&Fault>) {
    host.count(&format!("sso_renewals.outcome.{outcome}"));
    if let Some(fault) = fault {
        let mut line = place.line("renewal");
        line.text("outcome", outcome);
        line.text("code", fault.code.as_str());
        line.text("reason", limited(&fault.detail));
        write(host, Level::Warn, line);
    }
}

/// An administrator changed or tried settings, or was refused: who, what, never a value.
pub fn settings(host: &dyn Host, place: Place<'_>, what: &str, detail: &str) {
    let mut line = place.line("settings");
    line.text("what", what);
    line.text("detail", detail);
    write(host, Level::Info, line);
}

/// The directory did not take the link of a record, whose id this is.
pub fn link_failed(host: &dyn Host, place: Place<'_>, id: &str, reason: &str) {
    let mut line = place.line("directory_link_failed");
    line.text("id", limited(id));
    line.text("reason", limited(reason));
    write(host, Level::Warn, line);
}

/// A configuration was loaded, or refused with everything that is wrong with it.
pub fn configuration(host: &dyn Host, accounts: usize, problems: &[String], warnings: &[String]) {
    let (level, outcome) = match (problems.is_empty(), warnings.is_empty()) {
        (false, _) => (Level::Error, "refused"),
        (true, false) => (Level::Warn, "loaded"),
        (true, true) => (Level::Info, "loaded"),
    };
    let line = json!({
        "event": "configuration", "outcome": outcome, "accounts": accounts,
        "problems": problems, "warnings": warnings,
    });
    host.log(level, &json::text(&line));
    host.count(&format!("sso_configurations.outcome.{outcome}"));
}

/// A session went into its cookies without these tokens: it is too large.
pub fn left_out(host: &dyn Host, place: Place<'_>, tokens: &[&str]) {
    if !tokens.is_empty() {
        let reason = format!("the session does not fit into its cookies without {}", tokens.join(" and "));
        notice(host, place, Level::Warn, &reason);
    }
}

/// Something an operator should know that is not a refusal.
pub fn notice(host: &dyn Host, place: Place<'_>, level: Level, reason: &str) {
    let mut line = place.line("notice");
    line.text("reason", limited(reason));
    write(host, level, line);
}

fn write(host: &dyn Host, level: Level, line: Members<'_>) {
    host.log(level, &line.to_json());
}

/// At most 600 characters of anything that came from outside.
fn limited(text: &str) -> &str {
    if text.len() <= 600 {
        return text;
    }
    text.char_indices().nth(600).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

/// A part of a metric's name: dots separate tags there.
fn metric(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_cut_between_characters() {
        for (text, wanted) in [("short".to_owned(), 5), ("x".repeat(600), 600), ("x".repeat(601), 600)] {
            assert_eq!(limited(&text).len(), wanted);
        }
        assert_eq!(limited(&"ü".repeat(400)), "ü".repeat(400), "it is counted in characters");
        assert_eq!(limited(&"ü".repeat(601)), "ü".repeat(600));
    }
}
