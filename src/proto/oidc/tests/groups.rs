//! Lists of groups at a URL.

use std::cell::Cell;

use serde_json::{json, Map, Value};

use super::{secret, url};
use crate::config::{Groups, Next};
use crate::fault::{Code, Fault};
use crate::host::task::{Answer, Call, Failure, Reply};
use crate::proto::oidc::groups::{add, read};
use crate::testing::{drive_with, header, json as answer, status, TestHost};

const LIST: &str = "https://api.example/groups";

fn groups(list: &str, name: &str, next: Next) -> Groups {
    let text = LIST.to_owned();
    Groups {
        url: url(LIST),
        text,
        claims: Vec::new(),
        list: list.into(),
        name: name.into(),
        next,
        always: true,
    }
}

fn reading(groups: Groups, respond: impl FnMut(&Call) -> Reply) -> (Result<Vec<String>, Fault>, Vec<Call>) {
    reading_as(&json!({}), groups, respond)
}

/// Reads as the user with these claims.
fn reading_as(
    claims: &Value,
    groups: Groups,
    respond: impl FnMut(&Call) -> Reply,
) -> (Result<Vec<String>, Fault>, Vec<Call>) {
    let io = TestHost::new().io();
    let (inner, claims) = (io.clone(), claims.as_object().unwrap().clone());
    let flow = async move { read(&inner, &groups, &claims, Some(&secret("at")), None, 5_000).await };
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
fn a_list_that_is_left_out_is_empty_if_the_answer_has_no_other() {
    for (body, readable) in [
        (json!({}), true),
        (json!({ "kind": "admin#directory#groups", "etag": "x" }), true),
        (json!({ "error": { "code": 403 } }), false),
        (json!({ "lists": [] }), false),
        (json!({ "list": null }), false),
        (json!({ "list": {} }), false),
    ] {
        let (names, _) = reading(groups("/list", "", Next::None), |_| answer(&body));
        assert_eq!(names.is_ok_and(|names| names.is_empty()), readable, "{body}");
    }
}

#[test]
fn a_token_for_the_next_page_goes_into_a_parameter() {
    let own =
        || groups("/memberships", "/groupKey/id", Next::Token("/nextPageToken".into(), "pageToken".into()));
    let (names, calls) = reading(own(), |call| match header(call, ":path") {
        Some("/groups") => answer(&json!({
            "memberships": [{ "groupKey": { "id": "a@acme.com" } }], "nextPageToken": "https://evil.example/?a=b&c #d",
        })),
        _ => answer(&json!({ "memberships": [{ "groupKey": { "id": "b@acme.com" } }] })),
    });
    assert_eq!(names.unwrap(), ["a@acme.com", "b@acme.com"]);
    let path = header(&calls[1], ":path");
    assert_eq!(path, Some("/groups?pageToken=https%3A%2F%2Fevil.example%2F%3Fa%3Db%26c+%23d"));
    assert_eq!(header(&calls[1], ":authority"), Some("api.example"));
    let endless = reading(own(), |_| answer(&json!({ "memberships": [], "nextPageToken": "again" })));
    assert_eq!((endless.0.unwrap_err().code, endless.1.len()), (Code::IdpUnavailable, 10));
    let wrong = reading(own(), |_| answer(&json!({ "memberships": [], "nextPageToken": 7 })));
    assert_eq!(wrong.0.unwrap_err().code, Code::IdpUnavailable);
}

/// A list whose URL holds claims.
fn of_the_user(text: &str, claims: &[&str]) -> Groups {
    let claims = claims.iter().map(|&name| name.to_owned()).collect();
    Groups { url: url(text), text: text.into(), claims, ..groups("", "", Next::None) }
}

#[test]
fn the_url_holds_the_users_claims() {
    for (text, names, claims, path) in [
        (
            "https://api.example/v1/groups/-/memberships:searchDirectGroups?query=member_key_id=='{email}'",
            &["email"][..],
            json!({ "email": "ada+x@acme.com", "email_verified": true }),
            "/v1/groups/-/memberships:searchDirectGroups?query=member_key_id==%27ada%2Bx%40acme.com%27",
        ),
        (
            "https://api.example/users/{sub}/groups?of={email}&as={sub}",
            &["sub", "email", "sub"],
            json!({ "sub": "auth0|7", "email": "zoë@acme.com", "email_verified": "true" }),
            "/users/auth0%7C7/groups?of=zo%C3%AB%40acme.com&as=auth0%7C7",
        ),
        ("https://api.example/users/{id}", &["id"], json!({ "id": 42 }), "/users/42"),
    ] {
        let (read, calls) = reading_as(&claims, of_the_user(text, names), |_| answer(&json!(["a"])));
        assert_eq!(read.unwrap(), ["a"], "{claims}");
        assert_eq!(header(&calls[0], ":path"), Some(path));
        assert_eq!(header(&calls[0], ":authority"), Some("api.example"));
    }
}

#[test]
fn a_claim_writes_no_more_than_a_value() {
    let long = "a".repeat(257);
    for claims in [
        json!({}),
        json!({ "email": null }),
        json!({ "email": ["ada@acme.com"] }),
        json!({ "email": -1 }),
        json!({ "email": 1.5 }),
        json!({ "email": "" }),
        json!({ "email": "." }),
        json!({ "email": ".." }),
        json!({ "email": "../admins" }),
        json!({ "email": "a/b" }),
        json!({ "email": "a\\b" }),
        json!({ "email": "a?b" }),
        json!({ "email": "a#b" }),
        json!({ "email": "a&userKey=root@acme.com" }),
        json!({ "email": "a%27" }),
        json!({ "email": "a'||member_key_id=='root@acme.com" }),
        json!({ "email": "a\"b" }),
        json!({ "email": "a b" }),
        json!({ "email": "a\r\nb" }),
        json!({ "email": "a\u{0}b" }),
        json!({ "email": "a\u{200b}b" }),
        json!({ "email": "{sub}", "sub": "x" }),
        json!({ "email": long }),
        json!({ "email": "root@acme.com", "email_verified": false }),
        json!({ "email": "root@acme.com", "email_verified": "false" }),
        json!({ "email": "root@acme.com", "email_verified": null }),
    ] {
        for text in ["https://api.example/users/{email}/groups", "https://api.example/groups?userKey={email}"]
        {
            let (names, calls) =
                reading_as(&claims, of_the_user(text, &["email"]), |_| answer(&json!(["admins"])));
            assert_eq!((names.unwrap_err().code, calls.len()), (Code::IdpUnavailable, 0), "{claims} {text}");
        }
    }
}

#[test]
fn pages_share_one_timeout() {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let own = groups("/list", "", Next::Pointer("/next".into()));
    let flow = async move { read(&inner, &own, &Map::new(), Some(&secret("at")), None, 5_000).await };
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
