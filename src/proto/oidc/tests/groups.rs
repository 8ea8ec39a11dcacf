//! Lists of groups at a URL.

use std::cell::Cell;

use serde_json::{json, Value};

use super::{secret, url};
use crate::config::{Groups, Next};
use crate::fault::{Code, Fault};
use crate::host::task::{Answer, Call, Failure, Reply};
use crate::proto::oidc::groups::{add, read};
use crate::testing::{drive_with, header, json as answer, status, TestHost};

const LIST: &str = "https://api.example/groups";

fn groups(list: &str, name: &str, next: Next) -> Groups {
    Groups { url: url(LIST), list: list.into(), name: name.into(), next, always: true }
}

fn reading(groups: Groups, respond: impl FnMut(&Call) -> Reply) -> (Result<Vec<String>, Fault>, Vec<Call>) {
    let io = TestHost::new().io();
    let inner = io.clone();
    let flow = async move { read(&inner, &groups, Some(&secret("at")), None, 5_000).await };
    drive_with(&io, flow, respond)
}

fn linked(body: &Value, link: &str) -> Reply {
    let headers = vec![("link".to_owned(), link.as_bytes().to_vec())];
    Reply::Answer(Answer { status: 200, headers, body: body.to_string().into_bytes() })
}

#[test]
fn pages_are_read_to_the_end() {
    let next = Next::Pointer("/@odata.nextLink".into());
    let (names, calls) = reading(groups("/value", "/id", next), |call| match header(call, ":path") {
        Some("/groups") => answer(&json!({
            "value": [{ "id": "a" }, { "id": 7 }, { "id": null }, { "name": "x" }, 1],
            "@odata.nextLink": format!("{LIST}?page=2"),
        })),
        _ => answer(&json!({ "value": [{ "id": "b" }] })),
    });
    assert_eq!(names.unwrap(), ["a", "7", "b"]);
    assert!(calls.iter().all(|call| header(call, "authorization") == Some("Bearer at")));
    let (names, calls) = reading(groups("", "", Next::Link), |call| match header(call, ":path") {
        Some("/groups") => linked(
            &json!(["a"]),
            r#"<https://api.example/groups?page=1>; rel="prev", </groups?page=2>; foo=bar; REL="last next""#,
        ),
        _ => linked(&json!(["b"]), r#"<https://api.example/groups>; rel="first""#),
    });
    assert_eq!((names.unwrap(), calls.len()), (vec!["a".to_owned(), "b".into()], 2));
}

#[test]
fn a_list_that_never_ends_or_leads_elsewhere_is_unreadable() {
    let calls = Cell::new(0);
    let endless = |_: &Call| {
        calls.set(calls.get() + 1);
        answer(&json!({ "list": ["a"], "next": format!("{LIST}?page={}", calls.get()) }))
    };
    let with_next = || groups("/list", "", Next::Pointer("/next".into()));
    let (names, _) = reading(with_next(), endless);
    assert_eq!((names.unwrap_err().code, calls.get()), (Code::IdpUnavailable, 10));
    for next in [
        json!("https://evil.example/groups"),
        json!("http://api.example/groups"),
        json!("https://api.example:8443/groups"),
        json!("//evil.example/groups"),
        json!("https://api.example@evil.example/groups"),
        json!("https://user@api.example/groups"),
        json!("\\\\evil.example"),
        json!("data:text/plain,x"),
        json!(1),
        json!({}),
    ] {
        let (names, calls) =
            reading(with_next(), |_| answer(&json!({ "list": ["a"], "next": next.clone() })));
        assert_eq!((names.unwrap_err().code, calls.len()), (Code::IdpUnavailable, 1), "{next}");
    }
    let last = reading(with_next(), |_| answer(&json!({ "list": ["a"], "next": "" })));
    assert_eq!(last.0.unwrap(), ["a"]);
}

#[test]
fn what_is_no_list_is_unreadable() {
    let replies: [&dyn Fn() -> Reply; 10] = [
        &|| status(403, "application/json", "{}"),
        &|| status(302, "application/json", "[]"),
        &|| status(500, "application/json", "{}"),
        &|| Reply::Failed(Failure::Timeout),
        &|| status(200, "application/json", ""),
        &|| status(200, "application/json", "1},{\"x\":[]"),
        &|| status(200, "application/json", "[],\"x\":1"),
        &|| status(200, "application/json", "{\"list\":[],\"list\":[]}"),
        &|| answer(&json!({ "list": "a" })),
        &|| answer(&json!({ "other": [] })),
    ];
    for (n, reply) in replies.into_iter().enumerate() {
        let (names, _) = reading(groups("/list", "", Next::None), |_| reply());
        assert_eq!(names.unwrap_err().code, Code::IdpUnavailable, "{n}");
    }
}

#[test]
fn pages_share_one_timeout() {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let own = groups("/list", "", Next::Pointer("/next".into()));
    let flow = async move { read(&inner, &own, Some(&secret("at")), None, 5_000).await };
    let (names, calls) = drive_with(&io, flow, |_| {
        host.advance(2_000);
        answer(&json!({ "list": ["a"], "next": LIST }))
    });
    assert_eq!((names.unwrap_err().code, calls.len()), (Code::IdpUnavailable, 3));
    assert!(calls.iter().map(|call| call.timeout).eq([5_000, 3_000, 1_000]));
}

#[test]
fn names_are_added_to_the_claim() {
    for (claims, claim, wanted) in [
        (json!({}), "groups", json!({ "groups": ["n"] })),
        (json!({ "groups": ["a"] }), "groups", json!({ "groups": ["a", "n"] })),
        (json!({ "groups": "a" }), "groups", json!({ "groups": ["a", "n"] })),
        (json!({ "r": { "x": ["a"] } }), "/r/x", json!({ "r": { "x": ["a"] }, "/r/x": ["a", "n"] })),
    ] {
        let mut claims = claims.as_object().unwrap().clone();
        add(&mut claims, claim, vec!["n".into()]);
        assert_eq!(Value::Object(claims), wanted);
    }
}
