//! The directory: one page of users, as the filter asks for them.

use envoy_sso::config::Scim;
use envoy_sso::proto::fetch::answer::shown;
use serde_json::Value;
use url::Url;

use super::http::Client;
use super::Report;

/// Tries the SCIM server.
pub fn check(http: &Client, place: &str, scim: &Scim, has_token: bool, report: &mut Report) {
    let token =
        scim.token.as_ref().and_then(|token| token.get()).map(|token| format!("Bearer {}", token.expose()));
    if has_token && token.is_none() {
        return report.note(format_args!("{place}: the directory was not tried: its token is not set here"));
    }
    let Ok(url) = Url::parse(&format!("{}/Users?startIndex=1&count=1", scim.url)) else { return };
    let at = shown(&url);
    let answer = match http.get(&url, token.as_deref()) {
        Ok(answer) => answer,
        Err(why) => return report.fails(format_args!("{place}: directory {at}: {why}")),
    };
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match answer.status {
        200 => match body.get("totalResults").and_then(Value::as_u64) {
            Some(total) => report.works(format_args!("{place}: directory; it has {total} users")),
            None => report.fails(format_args!(
                "{place}: directory {at}: the answer is not a ListResponse (totalResults)"
            )),
        },
        status @ (401 | 403) => report
            .fails(format_args!("{place}: directory {at}: status {status}: directory.scim.token is wrong")),
        404 => report.fails(format_args!(
            "{place}: directory {at}: status 404: directory.scim.url lacks its path, such as /scim/v2"
        )),
        status => report.fails(format_args!("{place}: directory {at}: status {status}")),
    }
}
