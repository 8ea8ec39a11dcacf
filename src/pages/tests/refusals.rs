//! What a refusal says, to people and to programs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::look::Look;
use super::super::*;
use super::body;
use crate::fault::{Code, Fault};

#[test]
fn each_code_has_its_own_words_and_status() {
    let pages = Look::default();
    let context = Context::new(&pages, "req-1", true);
    let (mut titles, mut whats, mut dos) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for code in Code::ALL {
        let texts = texts::Texts::new(&pages, None);
        for (part, seen) in [("title", &mut titles), ("what", &mut whats), ("do", &mut dos)] {
            let text = texts.of(code, part);
            assert!(text.len() > 9, "{code:?}.{part}");
            assert!(seen.insert(text), "{code:?}.{part} is another code's: {text}");
            assert_eq!(text.ends_with('.'), part != "title", "{code:?}.{part}");
        }
        let answer = refusal(&Fault::new(code, "SECRET-DETAIL"), &context);
        assert_eq!(answer.status, code.status());
        assert_eq!(answer.header("x-sso-code"), Some(code.as_str()));
        // What happened, and what to do: a sentence each.
        for part in ["what", "do"] {
            let text = texts.of(code, part);
            assert!(!text.trim_end_matches('.').contains(". "), "{code:?}.{part} is more than a sentence");
        }
        for part in ["title", "what", "do"] {
            let mut escaped = escape::Html::new();
            escaped.text(texts.of(code, part));
            assert!(body(&answer).contains(&escaped.into_string()), "{code:?}.{part}");
        }
        assert!(body(&answer).contains(code.as_str()) && body(&answer).contains("req-1"));
        assert!(!body(&answer).contains("SECRET-DETAIL"));
    }
}

#[test]
fn programs_get_problem_json() {
    let pages = Look::default();
    for code in Code::ALL {
        let context = Context { login: Some("/sso/login".into()), ..Context::new(&pages, "req-1", false) };
        let answer = refusal(&Fault::new(code, "SECRET-DETAIL").about("email"), &context);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("x-sso-code"), Some(code.as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!body(&answer).contains("SECRET-DETAIL"));
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(value["code"], code.as_str());
        assert_eq!(value["status"], code.status());
        assert_eq!(value["request_id"], "req-1");
        assert_eq!(value["field"], "email");
        assert_eq!(value["type"], format!("urn:envoy-sso:problem:{}", code.as_str()));
        assert!(value["title"].is_string() && value["detail"].is_string());
        assert_eq!(value.get("login").is_some(), code.status() == 401, "{code:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), code.status() == 401);
    }
    let context = Context::new(&pages, "req-1", false);
    let value: Value =
        serde_json::from_slice(&refusal(&Fault::new(Code::LoginRequired, ""), &context).body).unwrap();
    assert!(value.get("login").is_none() && value.get("field").is_none());
}

#[test]
fn what_was_sent_is_not_lost_without_a_word() {
    let pages = Look::default();
    let lost = "What you sent has not reached the application.";
    for html in [false, true] {
        let say = |code, unsent| {
            let context = Context { unsent, ..Context::new(&pages, "r", html) };
            String::from_utf8(refusal(&Fault::new(code, ""), &context).body).unwrap()
        };
        for code in [Code::LoginRequired, Code::SessionExpired, Code::RoleMissing, Code::DirectoryUnavailable]
        {
            assert!(say(code, true).contains(lost) && !say(code, false).contains(lost), "{code:?}");
        }
        assert!(say(Code::LoginRequired, true).contains("send it again"));
        assert!(!say(Code::LoginRequired, true).contains("come back to where"));
        assert!(say(Code::LoginRequired, false).contains("come back to where"));
    }
}

#[test]
fn headers_say_what_the_status_needs() {
    let pages = Look::default();
    let get = |code, hints| refusal_with(&Fault::new(code, ""), &Context::new(&pages, "r", false), hints);
    let hints = Hints { allow: "GET", retry_after: Some(7) };
    let table = [
        (Code::LoginRequired, "www-authenticate", Some("Bearer realm=\"sso\"")),
        (
            Code::TokenInvalid,
            "www-authenticate",
            Some(
                "Bearer realm=\"sso\", error=\"invalid_token\", error_description=\"The access token is malformed, \
                 expired, or not meant for this application\"",
            ),
        ),
        (Code::SessionExpired, "www-authenticate", Some("Bearer realm=\"sso\", error=\"invalid_token\"")),
        (Code::RoleMissing, "www-authenticate", None),
        (Code::MethodNotAllowed, "allow", Some("GET")),
        (Code::RoleMissing, "allow", None),
        (Code::TooManyAttempts, "retry-after", Some("7")),
        (Code::NotReady, "retry-after", Some("7")),
        (Code::IdpTimeout, "retry-after", None),
    ];
    for (code, header, value) in table {
        assert_eq!(get(code, hints).header(header), value, "{code:?}");
    }
    assert_eq!(get(Code::TooManyAttempts, Hints::default()).header("retry-after"), Some("300"));
    let cross_site = Fault::new(Code::RequestInvalid, "").with_status(403);
    let answer = refusal(&cross_site, &Context::new(&pages, "r", false));
    assert_eq!(answer.status, 403);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["status"], 403);
}
