//! Groups that are too many for a token, or that the provider has at an API alone: a list at a URL, read with the
//! user's access token (Entra's overage, GitHub, GitLab, Google).

use serde_json::{Map, Value};
use url::Url;

use super::dpop::{self, Proofs};
use super::form;
use crate::config::{Groups, Next};
use crate::fault::{Code, Fault};
use crate::host::task::{Answer, Io, Request};
use crate::proto::fetch::answer;
use crate::values::json;
use crate::values::secret::Secret;

/// More pages make the list unreadable.
const MAX_PAGES: usize = 10;
/// A larger page is not read.
const MAX_PAGE: usize = 1 << 20;
/// A longer name is left out.
const MAX_NAME: usize = 256;

/// The names in the list. Any page that cannot be read makes all of it unreadable (`idp_unavailable`): with half of the
/// groups a user would silently have half of the roles.
pub async fn read(
    io: &Io,
    groups: &Groups,
    claims: &Map<String, Value>,
    access_token: Option<&Secret>,
    proofs: Option<&Proofs>,
    timeout: u64,
) -> Result<Vec<String>, Fault> {
    let token = access_token.ok_or_else(|| unreadable("the token endpoint gave no access token"))?;
    let until = io.now().saturating_add(timeout);
    let first = first(groups, claims)?;
    let (mut url, mut names) = (first.clone(), Vec::new());
    for _ in 0..MAX_PAGES {
        let left = until.saturating_sub(io.now());
        if left == 0 {
            return Err(unreadable("the pages take longer than timeout"));
        }
        let mut request = Request::get("groups", url.clone(), left);
        request.max_answer = MAX_PAGE;
        let reply = dpop::get(io, request, token, proofs).await.map_err(|fault| unreadable(&fault.detail))?;
        let page = answer::success("groups", reply).map_err(|refusal| unreadable(&refusal.fault.detail))?;
        let body = parse(&page.body)?;
        names.extend(names_of(groups, &body)?);
        match next(groups, &first, &url, &page, &body)? {
            Some(next) => url = next,
            None => return Ok(names),
        }
    }
    Err(unreadable(&format!("there are more than {MAX_PAGES} pages")))
}

/// Adds the names to the values of a claim.
pub fn add(claims: &mut Map<String, Value>, claim: &str, names: Vec<String>) {
    let mut all: Vec<Value> = match json::pointer(claims, claim) {
        Some(Value::Array(list)) => list.clone(),
        Some(Value::String(one)) => vec![one.as_str().into()],
        _ => Vec::new(),
    };
    all.extend(names.into_iter().map(Value::from));
    // A claim is looked for by its name before it is taken for a pointer.
    claims.insert(claim.to_owned(), Value::Array(all));
}

fn unreadable(why: &str) -> Fault {
    Fault::new(Code::IdpUnavailable, format!("groups: {why}"))
}

/// The page as a member of an object, so that a list at its root is read as strictly as an object.
fn parse(body: &[u8]) -> Result<Value, Fault> {
    let wrapped = [b"{\"page\":", body, b"}"].concat();
    let map = json::parse_object(&wrapped, MAX_PAGE + 16).map_err(|why| unreadable(&why))?;
    match (map.len(), map.get("page")) {
        (1, Some(page)) => Ok(page.clone()),
        _ => Err(unreadable("the answer is not JSON")),
    }
}

/// The first page: the configured URL with the user's claims in place of their names.
///
/// The access token goes there, and the answer grants roles, so that a claim must not write more than a value. Only
/// characters count that end no text of a query language (Google takes `member_key_id == '{email}'`) and name no other
/// path. An address that the provider has not verified may be another user's.
fn first(groups: &Groups, claims: &Map<String, Value>) -> Result<Url, Fault> {
    if groups.claims.is_empty() {
        return Ok(groups.url.clone());
    }
    let mut text = groups.text.clone();
    for name in &groups.claims {
        let value = match claims.get(name) {
            Some(Value::String(value)) => value.clone(),
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(unreadable(&format!("the URL needs the claim {name}"))),
        };
        let is_plain = |c: char| c.is_alphanumeric() || "@._-+|:~=".contains(c);
        if value.len() > MAX_NAME || !value.chars().all(is_plain) || value.bytes().all(|b| b == b'.') {
            return Err(unreadable(&format!("the claim {name} holds what the URL does not take")));
        }
        let unverified = |known: &Value| known.as_bool() != Some(true) && known.as_str() != Some("true");
        if name == "email" && claims.get("email_verified").is_some_and(unverified) {
            return Err(unreadable("the URL needs email, which is not verified"));
        }
        text = text.replace(&format!("{{{name}}}"), &form::encode(&value));
    }
    let url = Url::parse(&text).ok().filter(|url| url.origin() == groups.url.origin());
    url.ok_or_else(|| unreadable("the URL cannot be read with the claims of the user"))
}

/// Google leaves an empty list out: an answer without any list has none.
fn names_of(groups: &Groups, page: &Value) -> Result<Vec<String>, Fault> {
    let list = page.pointer(&groups.list);
    let is_empty =
        |page: &Map<String, Value>| !page.contains_key("error") && !page.values().any(Value::is_array);
    if list.is_none() && page.as_object().is_some_and(is_empty) {
        return Ok(Vec::new());
    }
    let list = list.and_then(Value::as_array);
    let list = list.ok_or_else(|| unreadable(&format!("there is no list at {:?}", groups.list)))?;
    let name = |entry: &Value| match entry.pointer(&groups.name) {
        Some(Value::String(name)) => Some(name.clone()),
        // GitHub and GitLab number their teams and groups.
        Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    let names = list.iter().filter_map(name);
    Ok(names.filter(|name| !name.is_empty() && name.len() <= MAX_NAME).collect())
}

/// The URL of the next page. The access token goes there, so that it must be the same server.
fn next(
    groups: &Groups,
    first: &Url,
    url: &Url,
    answer: &Answer,
    page: &Value,
) -> Result<Option<Url>, Fault> {
    let text = match &groups.next {
        Next::None => None,
        Next::Link => answer.header("link").and_then(next_link),
        Next::Pointer(pointer) | Next::Token(pointer, _) => match page.pointer(pointer) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Some(other) => return Err(unreadable(&format!("{pointer} is {}", json::kind(other)))),
        },
    };
    let Some(text) = text else { return Ok(None) };
    if let Next::Token(_, parameter) = &groups.next {
        let mut next = first.clone();
        next.query_pairs_mut().append_pair(parameter, text);
        return Ok(Some(next));
    }
    let next = url.join(text).map_err(|_| unreadable("the URL of the next page cannot be read"))?;
    let is_bare = next.username().is_empty() && next.password().is_none();
    match next.origin() == groups.url.origin() && is_bare {
        true => Ok(Some(next)),
        false => Err(unreadable("the next page is at another scheme, host or port than the first")),
    }
}

/// The target of `rel="next"` (RFC 8288 section 3).
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (parameters, following) = after.split_once(",").unwrap_or((after, ""));
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let mut relations = value.trim().trim_matches('"').split(' ');
            name.trim().eq_ignore_ascii_case("rel") && relations.any(|own| own.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = following;
    }
    None
}
