//! Did the application accept the password? Everything that `success` names must hold.

use url::Url;

/// What an accepted password looks like.
#[derive(Clone, Debug, Default)]
pub struct Success {
    /// Empty: any 2xx.
    pub status: Vec<u16>,
    /// A cookie that is set to something.
    pub cookie: Option<String>,
    /// Where it redirects to; a trailing `*` matches the rest.
    pub redirect: Option<String>,
}

/// Judges the head of the application's answer. Without a list of statuses any 2xx will do, where a
/// redirect is expected any 3xx, and where a cookie is expected either. `now` in milliseconds since 1970.
pub fn accepted(success: &Success, status: u16, headers: &[(String, Vec<u8>)], now: u64) -> bool {
    let good_status = match (&success.redirect, &success.cookie) {
        _ if !success.status.is_empty() => success.status.contains(&status),
        (Some(_), _) => (300..400).contains(&status),
        (None, Some(_)) => (200..400).contains(&status),
        (None, None) => (200..300).contains(&status),
    };
    good_status
        && success.cookie.as_deref().is_none_or(|name| cookie_set(name, headers, now))
        && success.redirect.as_deref().is_none_or(|to| redirects(to, headers))
}

fn values<'a>(headers: &'a [(String, Vec<u8>)], name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    headers.iter().filter(move |(n, _)| n == name).filter_map(|(_, v)| std::str::from_utf8(v).ok())
}

/// The last `Set-Cookie` of that name counts, as in a browser; an empty value or a date in the past deletes
/// (RFC 6265 section 5.3), which is how applications sign out.
fn cookie_set(name: &str, headers: &[(String, Vec<u8>)], now: u64) -> bool {
    let last = values(headers, "set-cookie").rev().find_map(|text| {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (own, value) = pair.split_once('=')?;
        (own.trim() == name).then_some((value.trim(), attributes))
    });
    let Some((value, attributes)) = last else { return false };
    if value.trim_matches('"').is_empty() {
        return false;
    }
    let attribute = |wanted: &str| {
        attributes.split(';').rev().find_map(|attribute| {
            let (name, value) = attribute.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    // Max-Age has precedence over Expires (RFC 6265 section 4.1.2.2).
    match attribute("max-age").filter(|age| is_number(age)) {
        Some(age) => !age.starts_with('-') && age.bytes().any(|b| b != b'0'),
        None => attribute("expires").and_then(cookie_date).is_none_or(|expires| expires > now / 1_000),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Seconds since 1970 of a cookie's date (RFC 6265 section 5.1.1); before 1970 is 0.
fn cookie_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut day, mut month, mut year, mut time) = (None, None, None, None);
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|t| !t.is_empty()) {
        let lower = token.to_ascii_lowercase();
        if token.contains(':') {
            time = time.or(Some(token));
        } else if let Some(at) = lower.get(..3).and_then(|t| MONTHS.iter().position(|m| *m == t)) {
            month = month.or(Some(at + 1));
        } else if let Ok(number) = token.parse::<u32>() {
            match (day, token.len()) {
                (None, 1 | 2) => day = Some(number),
                (_, 2) => year = year.or(Some(if number < 70 { 2000 + number } else { 1900 + number })),
                (_, 4) => year = year.or(Some(number)),
                _ => {}
            }
        }
    }
    if year? < 1970 {
        return Some(0);
    }
    let text = format!("{:04}-{:02}-{:02}T{}Z", year?, month?, day?, time?);
    crate::values::time::parse_rfc3339(&text).map(|ms| ms / 1_000)
}

/// `Location` leads to the path; a trailing `*` matches the rest. Its query counts where the pattern has one.
fn redirects(to: &str, headers: &[(String, Vec<u8>)]) -> bool {
    let mut locations = values(headers, "location");
    let (Some(location), None) = (locations.next(), locations.next()) else { return false };
    let Some(url) = Url::parse("http://application.invalid/").ok().and_then(|base| base.join(location).ok())
    else {
        return false;
    };
    let mut path = url.path().to_owned();
    if to.contains('?') {
        path.push('?');
        path.push_str(url.query().unwrap_or_default());
    }
    match to.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == to,
    }
}
