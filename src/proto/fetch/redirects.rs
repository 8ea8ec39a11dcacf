//! Redirects of documents: discovery, keys and SAML metadata (Authentik's "Download" link is one).
//!
//! A document is public and fetched without credentials, so that a redirect can leak nothing. It could still lead into
//! the network of the filter: it is followed on the host that it came from, and to hosts that `clusters` names. The
//! fallback `*` names none. Requests with a secret (token, UserInfo, SCIM) never follow.

use url::Url;

use super::answer;
use crate::config::Bounds;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Reply, Request};

/// So many redirects are followed for one document.
const MAX: usize = 3;

/// The reply to a GET without credentials, after its redirects; all of them share its timeout.
pub async fn followed(
    io: &Io,
    what: &str,
    request: Request,
    bounds: Option<&Bounds>,
) -> Result<Reply, Fault> {
    let until = io.now().saturating_add(request.timeout);
    let mut seen = vec![request.url.clone()];
    loop {
        let url = seen.last().unwrap_or(&request.url).clone();
        let timeout = until.saturating_sub(io.now());
        let reply = io.call(Request { url: url.clone(), timeout, ..request.clone() }).await;
        let Some(location) = location(&reply) else { return Ok(reply) };
        let refused = |target: &str, why: &str| {
            let from = match seen.len() {
                1 => String::new(),
                _ => format!(" from {}", answer::shown(&url)),
            };
            let detail = format!("{what}: a redirect{from} to {target} is not followed: {why}");
            Fault::new(Code::IdpInvalidAnswer, detail)
        };
        let Some(target) = target(&url, location) else {
            return Err(refused(&answer::clean(location, 200), "it is not an http or https URL"));
        };
        if let Some(why) = why_not(io, &url, &target, &seen) {
            return Err(refused(&answer::shown(&target), why));
        }
        // An administrator's document leads nowhere that he could not name.
        if let Some(why) = bounds.and_then(|bounds| bounds.refuses(&target)) {
            return Err(refused(&answer::shown(&target), &why));
        }
        seen.push(target);
    }
}

fn location(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Answer(answer) => answer::location_of(answer),
        Reply::Failed(_) => None,
    }
}

/// Where a `Location` leads; relative ones count from the URL that was asked (RFC 9110 section 10.2.2).
fn target(from: &Url, location: &str) -> Option<Url> {
    let mut target = from.join(location).ok()?;
    target.set_fragment(None);
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// Why a redirect is not followed, if it is not.
fn why_not(io: &Io, from: &Url, target: &Url, seen: &[Url]) -> Option<&'static str> {
    if !target.username().is_empty() || target.password().is_some() {
        return Some("it holds a user or password");
    }
    if from.scheme() == "https" && target.scheme() == "http" {
        return Some("it leads from https to http");
    }
    if seen.contains(target) {
        return Some("it is a loop");
    }
    if seen.len() > MAX {
        return Some("it is the fourth");
    }
    let is_same_host = from.host() == target.host();
    let is_upgrade = target.scheme() == "https" && target.port().is_none();
    let is_same =
        is_same_host && (from.port_or_known_default() == target.port_or_known_default() || is_upgrade);
    let is_known = is_same || io.outside().clusters().names(target);
    (!is_known).then_some(
        "it leads to another host, which clusters does not name; enter that address if it is right",
    )
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::host::clusters::Clusters;
    use crate::host::task::Answer;
    use crate::testing::{answer as good, drive, header, TestHost};

    const HTTPS: &str = "https://idp.example.com/a/b";

    fn io(host: &Rc<TestHost>) -> Io {
        let mut clusters = Clusters::default();
        for name in ["idp.example.com", "other.example.com", "directory.internal", "*"] {
            clusters.add(name, "cluster");
        }
        clusters.keep_apart(&Url::parse("https://directory.internal/scim").unwrap());
        Io::new(host.clone(), Rc::new(clusters))
    }

    fn to(status: u16, location: &str) -> Reply {
        let headers = vec![("location".to_owned(), location.as_bytes().to_vec())];
        Reply::Answer(Answer { status, headers, body: Vec::new() })
    }

    /// The URLs that were asked, and how it ended.
    fn asked(from: &str, replies: Vec<Reply>) -> (Vec<String>, Result<Reply, Fault>) {
        let io = io(&TestHost::new());
        let request = Request::get("metadata", Url::parse(from).unwrap(), 5_000);
        let inner = io.clone();
        let (result, calls) =
            drive(&io, async move { followed(&inner, "metadata", request, None).await }, replies);
        let part =
            |call: &crate::host::task::Call, name: &str| header(call, name).unwrap_or_default().to_owned();
        let url =
            |call| format!("{}://{}{}", part(call, ":scheme"), part(call, ":authority"), part(call, ":path"));
        (calls.iter().map(url).collect(), result)
    }

    #[test]
    fn a_document_is_found_behind_its_redirects() {
        for status in [301, 302, 303, 307, 308] {
            for (from, location, target) in [
                (HTTPS, "/api/v3/metadata/?download", "https://idp.example.com/api/v3/metadata/?download"),
                (HTTPS, "c?d", "https://idp.example.com/a/c?d"),
                (HTTPS, "?d#e", "https://idp.example.com/a/b?d"),
                (HTTPS, "//idp.example.com/x", "https://idp.example.com/x"),
                (HTTPS, "https://IDP.example.com:443/x", "https://idp.example.com/x"),
                (HTTPS, "https://other.example.com/x", "https://other.example.com/x"),
                ("http://alone.example/a", "/b", "http://alone.example/b"),
                ("http://alone.example/a", "https://alone.example/a", "https://alone.example/a"),
                ("http://alone.example:8080/a", "/b", "http://alone.example:8080/b"),
            ] {
                let (calls, result) = asked(from, vec![to(status, location), good("application/xml", "x")]);
                assert!(matches!(result, Ok(Reply::Answer(answer)) if answer.status == 200), "{location}");
                assert_eq!(calls, [from, target], "{location}");
            }
        }
    }

    #[test]
    fn a_redirect_that_may_lead_astray_is_refused_and_its_target_named() {
        for (from, location, target, why) in [
            (HTTPS, "http://idp.example.com/x", "http://idp.example.com/x", "https to http"),
            (HTTPS, "http://other.example.com/x", "http://other.example.com/x", "https to http"),
            (HTTPS, "https://alone.example/x?secret", "https://alone.example/x ", "another host"),
            (HTTPS, "//alone.example/x", "https://alone.example/x", "another host"),
            (HTTPS, "/\\alone.example/x", "https://alone.example/x", "another host"),
            (HTTPS, "https://directory.internal/Users", "https://directory.internal/Users", "another host"),
            (HTTPS, "https://127.0.0.1/x", "https://127.0.0.1/x", "another host"),
            (
                "http://alone.example/a",
                "http://alone.example:9901/stats",
                "http://alone.example:9901/stats",
                "another host",
            ),
            (HTTPS, "https://me:secret@idp.example.com/x", "https://idp.example.com/x", "user or password"),
            (HTTPS, "https://me@other.example.com/x", "https://other.example.com/x", "user or password"),
            (HTTPS, "/a/b", "https://idp.example.com/a/b", "loop"),
            (HTTPS, "/a/b#again", "https://idp.example.com/a/b", "loop"),
            (HTTPS, "", "https://idp.example.com/a/b", "loop"),
            (HTTPS, "file:///etc/passwd", "file:///etc/passwd", "not an http"),
            (HTTPS, "https://", "https://", "not an http"),
        ] {
            let (calls, result) = asked(from, vec![to(302, location)]);
            let fault = result.unwrap_err();
            assert_eq!((calls.len(), fault.code), (1, Code::IdpInvalidAnswer), "{location}");
            let said = fault.detail;
            assert!(said.contains(target.trim_end()) && said.contains(why), "{location}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn three_are_followed_and_no_more() {
        let chain = |length: usize| (1..=length).map(|n| to(307, &format!("/{n}"))).collect::<Vec<_>>();
        let mut replies = chain(3);
        replies.push(good("application/xml", "x"));
        assert!(asked(HTTPS, replies).1.is_ok());
        let (calls, result) = asked(HTTPS, chain(4));
        assert_eq!(calls.len(), 4);
        let said = result.unwrap_err().detail;
        assert!(said.contains("https://idp.example.com/4") && said.contains("fourth"), "{said}");
        let (calls, result) = asked(HTTPS, vec![to(301, "/1"), to(301, "/2"), to(301, "/1")]);
        assert_eq!(calls.len(), 3);
        assert!(result.unwrap_err().detail.contains("loop"));
    }

    #[test]
    fn other_answers_are_no_redirects() {
        for reply in
            [to(200, "/x"), to(300, "/x"), to(304, "/x"), to(305, "/x"), to(404, "/x"), good("a/b", "x")]
        {
            let (calls, result) = asked(HTTPS, vec![reply.clone()]);
            assert_eq!((calls.len(), result.unwrap()), (1, reply));
        }
    }

    #[test]
    fn what_carries_a_secret_follows_nothing_and_says_where_it_was_led() {
        let refusal =
            answer::success("token endpoint", to(307, "https://evil.example/x?code=1")).unwrap_err();
        assert_eq!((refusal.fault.code, refusal.status), (Code::IdpInvalidAnswer, 307));
        let said = refusal.fault.detail;
        assert!(said.contains("status 307 to https://evil.example/x, which is not followed"), "{said}");
        assert!(!said.contains("code=1"), "{said}");
    }
}
