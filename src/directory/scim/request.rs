//! Requests to a SCIM server: filters (RFC 7644 section 3.4.2.2) and pages.

use url::Url;

use crate::config::Scim;
use crate::fault::{Code, Fault};
use crate::host::task::Request;
use crate::values::phone::country_code_len;

/// The largest answer that is read: a page of users, or the whole list of a small server that does not page.
pub(super) const MAX_ANSWER: usize = 4 << 20;

/// `GET /Users`, filtered or not. `count` is optional (RFC 7644 section 3.4.2.4): a lookup leaves it out,
/// for servers that stumble over it.
pub fn list(
    server: &Scim,
    filter: Option<&str>,
    start: usize,
    count: Option<usize>,
) -> Result<Request, Fault> {
    let filter = filter.map(|filter| format!("filter={}", percent(filter)));
    let start = (start > 1).then(|| format!("startIndex={start}"));
    let count = count.map(|count| format!("count={count}"));
    let query: Vec<String> = [filter, start, count].into_iter().flatten().collect();
    let mut url = users(server, None);
    url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    with_token(server, Request { max_answer: MAX_ANSWER, ..Request::get("scim", url, server.timeout) })
}

/// A write, with a body of SCIM.
pub fn write(
    server: &Scim,
    method: &'static str,
    id: Option<&str>,
    body: &serde_json::Value,
) -> Result<Request, Fault> {
    let request = Request {
        method,
        body: Some(body.to_string().into_bytes()),
        is_repeatable: false,
        ..Request::get("scim", users(server, id), server.timeout)
    };
    with_token(server, request.header("content-type", "application/scim+json".into()))
}

fn with_token(server: &Scim, mut request: Request) -> Result<Request, Fault> {
    for (name, value) in &mut request.headers {
        if name == "accept" {
            *value = "application/scim+json, application/json".into();
        }
    }
    let Some(source) = &server.token else { return Ok(request) };
    let unread = || Fault::new(Code::NotReady, "scim.token: its file has not been read yet");
    let token = source.get().ok_or_else(unread)?;
    // RFC 6750 section 2.1.
    Ok(request.header("authorization", format!("Bearer {}", token.expose())))
}

fn users(server: &Scim, id: Option<&str>) -> Url {
    let mut url = server.url.clone();
    let mut path = format!("{}/Users", url.path().trim_end_matches('/'));
    if let Some(id) = id {
        path.push('/');
        path.push_str(&percent(id));
    }
    url.set_path(&path);
    url
}

/// Everything but unreserved characters (RFC 3986 section 2.3), so that no value ends a parameter or a
/// path segment; a space is `%20`, which every server reads.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `attribute eq "value"`: the value is a JSON string, so a quote or a backslash in it stays inside.
pub fn equals(attribute: &str, value: &str) -> String {
    compare(attribute, "eq", value)
}

fn compare(attribute: &str, operator: &str, value: &str) -> String {
    format!("{attribute} {operator} {}", serde_json::Value::from(value))
}

/// A phone number in every notation it may be stored in. Servers compare text, so the filter asks for the
/// usual notations, and, unless `plain`, for every text that ends in the last four digits with at most one
/// separator among them: one user in ten thousand, compared here as numbers.
pub fn phone(number: &str, default_country_code: Option<&str>, plain: bool) -> String {
    let digits = number.trim_start_matches('+');
    let code_len = default_country_code
        .filter(|code| digits.starts_with(code))
        .map_or(country_code_len(digits), str::len);
    let (code, national) = digits.split_at(code_len.min(digits.len()));
    let mut texts = vec![
        format!("+{digits}"),
        digits.to_owned(),
        format!("00{digits}"),
        format!("+{code} {national}"),
        format!("+{code}-{national}"),
        format!("tel:+{digits}"),
    ];
    let at_home = default_country_code == Some(code);
    if at_home {
        texts.push(national.to_owned());
    }
    for groups in [
        &[3, 4, 4][..],
        &[3, 3, 4],
        &[2, 4, 4],
        &[3, 3, 3],
        &[3, 8],
        &[3, 7],
        &[2, 8],
        &[2, 2, 2, 2, 2],
        &[1, 2, 2, 2, 2],
    ] {
        let Some(parts) = split(national, groups) else { continue };
        let rest = parts.get(1..).unwrap_or_default();
        for separator in [" ", "-", "."] {
            let grouped = parts.join(separator);
            texts.push(format!("+{code}{separator}{grouped}"));
            if separator == "-" {
                texts.push(format!("+{code} {grouped}"));
                texts.push(format!("tel:+{code}-{grouped}"));
                let area = parts.first().copied().unwrap_or_default();
                texts.push(format!("+{code} ({area}) {}", rest.join("-")));
                if at_home {
                    texts.push(format!("({area}) {}", rest.join("-")));
                }
            }
            if at_home {
                texts.push(grouped);
            }
        }
    }
    let mut clauses: Vec<String> = texts.iter().map(|text| equals("phoneNumbers.value", text)).collect();
    if let (false, Some(tail)) = (plain, digits.len().checked_sub(4).and_then(|at| digits.get(at..))) {
        clauses.push(compare("phoneNumbers.value", "ew", tail));
        for at in 1..tail.len() {
            let (left, right) = tail.split_at(at);
            for separator in [" ", "-", "."] {
                clauses.push(compare("phoneNumbers.value", "ew", &format!("{left}{separator}{right}")));
            }
        }
    }
    clauses.join(" or ")
}

fn split<'a>(digits: &'a str, groups: &[usize]) -> Option<Vec<&'a str>> {
    let mut rest = digits;
    let mut parts = Vec::with_capacity(groups.len());
    for len in groups {
        let (part, after) = rest.split_at_checked(*len)?;
        parts.push(part);
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Directory;
    use crate::directory::tests::scim;

    #[test]
    fn a_list_may_be_long_and_a_write_is_sent_once() {
        let Directory::Scim(server) = scim() else { panic!("a SCIM server") };
        let list = list(&server, None, 1, None).unwrap();
        assert_eq!((list.max_answer, list.is_repeatable), (MAX_ANSWER, true));
        let write = write(&server, "POST", None, &serde_json::json!({})).unwrap();
        assert!(!write.is_repeatable, "a user who was created is not created again");
        for request in [list, write] {
            let of = |name: &str| {
                request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
            };
            assert_eq!(of("accept"), Some("application/scim+json, application/json"));
            assert_eq!(of("authorization"), Some("Bearer scim-token"));
        }
    }

    #[test]
    fn a_number_is_asked_for_as_people_write_it() {
        let filter = phone("+8613800000000", Some("86"), true);
        let clause = |text: &str| equals("phoneNumbers.value", text);
        for text in [
            "+8613800000000",
            "+86 138-0000-0000",
            "tel:+86-138-0000-0000",
            "+86 (138) 0000-0000",
            "(138) 0000-0000",
            "+86.138.0000.0000",
            "138 0000 0000",
        ] {
            assert!(filter.contains(&clause(text)), "{text}");
        }
        for text in ["+86 138.0000.0000", "tel:+86-138.0000.0000", "(138) 0000 0000"] {
            assert!(!filter.contains(&clause(text)), "a notation of no country: {text}");
        }
    }
}
