//! What reaches the application beside a session, and what does not.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Reply};
use crate::session::Purpose;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{TestHost, START};

fn configuration(accounts: Value) -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "cookies": { "secure": false },
        "clusters": { "*": "idp" }, "accounts": accounts,
    })
}

fn account(code: &str, forward: Value) -> Value {
    json!({
        "code": code, "origins": ["https://app.example"], "sso": "enabled", "forward": forward,
        "identity_providers": [{ "id": "corp", "oidc": {
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token", "jwks_uri": "https://idp.example/keys", "client_id": "app",
        } }],
        "access": [
            { "path": "/open", "allow": "anyone" }, { "prefix": "/static/", "allow": "anyone" },
            { "prefix": "/api/", "allow": "programs" },
            { "prefix": "/admin/", "allow": "users", "roles": ["boss"] },
        ],
    })
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// Ada with a session of this account, which holds these tokens.
fn ada(filter_state: &Rc<FilterState>, code: &str, tokens: Value) -> Browser {
    let session = json!({
        "s": "id", "u": { "u": "ada", "o": "i" }, "m": "sso", "o": { "p": "corp", "i": "https://idp.example", "s": "1" },
        "t": tokens, "b": START, "l": START, "c": START,
    });
    let keys = &filter_state.config.session.keys;
    let sealed =
        keys.seal(&*filter_state.host, Purpose::Session, code, session.to_string().as_bytes()).unwrap();
    let mut browser = Browser::new(filter_state, "app.example");
    browser.cookies.push(("sso".into(), sealed));
    browser
}

/// What of these headers the application gets.
fn left(browser: &mut Browser, target: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let mut sent = browser.clone_headers(headers);
    sent.cookies.clone_from(&browser.cookies);
    let seen = sent.get(target, &mut nobody);
    let Some(pass) = &seen.pass else { return vec![seen.code().to_owned()] };
    let names = headers.iter().map(|(name, _)| (*name).to_owned());
    names.filter(|name| !pass.remove.contains(name)).collect()
}

fn told(seen: &Seen, name: &str) -> Option<String> {
    seen.pass.as_ref()?.live.as_ref()?.told(name)
}

#[test]
fn where_the_filter_sets_authorization_nobody_else_does() {
    let forward = json!({ "access_token": "authorization" });
    let plain = filter_state(&TestHost::new(), &configuration(json!([account("a", json!({}))])));
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([account("a", forward)])));
    let with_token = json!({ "a": "at-1", "e": START + 60_000 });
    for scheme in ["Bearer mine", "Negotiate mine", "Basic YTpi", "mine"] {
        let sent = [("authorization", scheme)];
        for tokens in [json!({}), with_token.clone()] {
            let mut browser = ada(&filter_state, "a", tokens);
            for path in ["/reports", "/open", "/static/a"] {
                assert_eq!(left(&mut browser, path, &sent), [""; 0], "{scheme} {path}");
            }
            // Programs' own credentials are left alone.
            assert_eq!(left(&mut browser, "/api/x", &sent), ["authorization"], "{scheme}");
        }
        assert_eq!(
            left(&mut Browser::new(&filter_state, "app.example"), "/open", &sent),
            [""; 0],
            "{scheme}"
        );
        // The filter of an account that does not forward it has nothing to do with any scheme but Basic.
        let wanted: &[&str] = if scheme.starts_with("Basic") { &[] } else { &["authorization"] };
        assert_eq!(left(&mut ada(&plain, "a", json!({})), "/reports", &sent), wanted, "{scheme}");
    }
    let own =
        ada(&filter_state, "a", with_token).with("authorization", "Bearer mine").get("/reports", &mut nobody);
    assert_eq!(told(&own, "authorization").as_deref(), Some("Bearer at-1"));
}

#[test]
fn on_an_origin_that_accounts_share_nobody_sends_what_one_of_them_is_told() {
    let shared = json!([
        account("a", json!({ "headers": { "x-dept": "dept" }, "access_token": "x-token" })),
        account("b", json!({})),
        account("c", json!({ "access_token": "authorization" })),
    ]);
    let alone = filter_state(&TestHost::new(), &configuration(json!([account("b", json!({}))])));
    let filter_state = filter_state(&TestHost::new(), &configuration(shared));
    let sent = [
        ("x-dept", "1"),
        ("x_dept", "1"),
        ("x-token", "1"),
        ("x-sso-user", "1"),
        ("authorization", "mine"),
        ("x-other", "1"),
    ];
    for code in ["a", "b", "c"] {
        let mut browser = ada(&filter_state, code, json!({}));
        for path in ["/reports", "/open"] {
            assert_eq!(left(&mut browser, path, &sent), ["x-other"], "{code} {path}");
        }
    }
    assert_eq!(left(&mut Browser::new(&filter_state, "app.example"), "/open", &sent), ["x-other"]);
    let wanted = ["x-dept", "x_dept", "x-token", "authorization", "x-other"];
    assert_eq!(left(&mut ada(&alone, "b", json!({})), "/reports", &sent), wanted);
}

#[test]
fn an_upgrade_names_no_header_of_ours_as_one_for_the_next_hop_only() {
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([account("a", json!({}))])));
    for (path, connection, wanted) in [
        ("/socket", "upgrade, x-sso-user", true),
        ("/open", "x-sso-user, Upgrade", true),
        ("/api/x", "keep-alive, Upgrade", true),
        ("/socket", "Upgrade", false),
    ] {
        let mut browser =
            ada(&filter_state, "a", json!({})).with("upgrade", "websocket").with("connection", connection);
        let seen = browser.get(path, &mut nobody);
        assert_eq!(seen.pass.map(|pass| pass.upgrade), Some(wanted), "{path} {connection}");
    }
    let mut browser = ada(&filter_state, "a", json!({})).with("connection", "x-sso-user");
    assert_eq!(browser.get("/reports", &mut nobody).pass.map(|pass| pass.upgrade), Some(false));
}

#[test]
fn bytes_that_are_no_utf8_open_no_door_and_need_a_session_only() {
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([account("a", json!({}))])));
    let mut stranger = Browser::new(&filter_state, "app.example").with("accept", "*/*");
    for path in ["/static/caf%e9", "/static/%c0%ae%c0%ae/x", "/static/%c0%af", "/api/%c0%ae%c0%ae/x"] {
        assert_eq!(left(&mut stranger, path, &[]), ["login_required"], "{path}");
    }
    for path in ["/static/caf%c3%a9", "/static/%e6%9c%88", "/api/%c3%a9"] {
        assert_eq!(left(&mut stranger, path, &[]), [""; 0], "{path}");
    }
    let mut browser = ada(&filter_state, "a", json!({}));
    for path in ["/static/caf%e9", "/caf%e9", "/x/%c0%ae", "/x/%c0%ae%c0%aeadmin"] {
        assert_eq!(left(&mut browser, path, &[]), [""; 0], "{path}");
    }
    for path in ["/x/%c0%ae%c0%ae/admin/y", "/%c0%afadmin/y", "/x/%C0%AE%e0%80%ae%c0%afadmin%f0%80%80%afy"] {
        assert_eq!(left(&mut browser, path, &[]), ["role_missing"], "{path}");
    }
}

#[test]
fn a_cookie_of_the_sessions_name_that_is_none_takes_it_away_from_nobody() {
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([account("a", json!({}))])));
    let sealed = ada(&filter_state, "a", json!({})).cookies.remove(0).1;
    let io = |cookies: &str| {
        let mut browser =
            Browser::new(&filter_state, "app.example").with("accept", "*/*").with("cookie", cookies);
        browser.get("/reports", &mut nobody)
    };
    for cookies in [
        format!("sso={sealed}; sso=rubbish"),
        format!("sso=; sso={sealed}"),
        format!("sso=1.; sso={sealed}; sso-1="),
    ] {
        let seen = io(&cookies);
        assert_eq!(told(&seen, "x-sso-user").as_deref(), Some("ada"), "{cookies}");
    }
    // Another envelope could be somebody else's session.
    let other = ada(&filter_state, "a", json!({})).cookies.remove(0).1;
    assert_ne!(other, sealed);
    for cookies in [format!("sso={sealed}; sso={other}"), format!("sso={sealed}; sso=1.k1.1.a.x")] {
        assert_eq!(io(&cookies).code(), "session_expired", "{cookies}");
    }
    let gone = io("sso=rubbish");
    let deleted = |seen: &Seen| {
        seen.answer.iter().any(|a| a.header("set-cookie").is_some_and(|c| c.contains("Max-Age=0;")))
    };
    assert_eq!((gone.code(), deleted(&gone)), ("session_expired", true));
}

#[test]
fn what_one_account_is_told_no_client_sends_to_any_other() {
    let mut second =
        account("second", json!({ "prefix": "x-who-", "headers": { "x-department": "department" } }));
    second["origins"] = json!(["https://second.example"]);
    let mut third = account("third", json!({ "access_token": "x-token" }));
    third["origins"] = json!(["https://third.example"]);
    for sso in ["enabled", "disabled"] {
        let mut first = account("first", json!({}));
        first["sso"] = json!(sso);
        let accounts = json!([first, second.clone(), third.clone()]);
        let filter_state = filter_state(&TestHost::new(), &configuration(accounts));
        let forged =
            ["x-sso-user", "x-who-user", "X_Who_Roles", "x-department", "x.department", "x-token", "x_token"];
        let forged = forged.map(|name| (name, "ada")).map(|(name, value)| (name.to_lowercase(), value));
        let mut sent: Vec<(&str, &str)> =
            forged.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        sent.push(("x-departments", "1"));
        let mut browser = ada(&filter_state, "first", json!({}));
        for path in ["/reports", "/open", "/static/a", "/api/x"] {
            assert_eq!(left(&mut browser, path, &sent), ["x-departments"], "{sso} {path}");
        }
    }
}

#[test]
fn with_single_sign_on_disabled_the_application_gets_no_cookie_of_the_filter() {
    let mut off = account("a", json!({}));
    off["sso"] = json!("disabled");
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([off])));
    let cookies =
        "sso=1.k1.1.a.b; theirs=1; sso-1=x; sso-flow-abc=y; sso-logout=z; sso-flow-invitation=v; other=2";
    let mut browser = Browser::new(&filter_state, "app.example").with("cookie", cookies);
    for method in ["GET", "POST"] {
        let seen = browser.send(method, "/reports", None, &mut nobody);
        let pass = seen.pass.unwrap();
        assert_eq!(pass.cookie.left(), Some(&b"theirs=1; other=2"[..]), "{method}");
    }
    let mut stranger = Browser::new(&filter_state, "app.example").with("cookie", "theirs=1; ssoo=2");
    let seen = stranger.get("/reports", &mut nobody);
    assert!(matches!(seen.pass.unwrap().cookie, crate::http::CookieEdit::Keep));
}

#[test]
fn dot_segments_left_over_open_no_door() {
    let filter_state = filter_state(&TestHost::new(), &configuration(json!([account("a", json!({}))])));
    let mut stranger = Browser::new(&filter_state, "app.example").with("accept", "*/*");
    for segment in
        ["..%20", "%20..", "..%3fx", "..%23x", "..%09", "..%c2%a0", "%2e%2e%20", "..%2520", "..%00x", "..."]
    {
        for open in ["/static", "/api"] {
            let path = format!("{open}/{segment}/x");
            assert_eq!(left(&mut stranger, &path, &[]), ["login_required"], "{path}");
        }
        // A session needs no open door.
        let path = format!("/static/{segment}/x");
        assert_eq!(left(&mut ada(&filter_state, "a", json!({})), &path, &[]), [""; 0], "{path}");
    }
    for path in ["/static/a..%20b/x", "/static/.well-known/x", "/api/v1..2/x"] {
        assert_eq!(left(&mut stranger, path, &[]), [""; 0], "{path}");
    }
}

#[test]
fn a_path_too_long_to_be_looked_at_opens_no_door() {
    let mut acme = account("acme", json!({}));
    acme["access"] = json!([
        { "prefix": "/static/", "allow": "anyone" },
        { "prefix": "/api/", "allow": "programs" },
        { "prefix": "/admin/", "allow": "users", "roles": ["boss"] },
    ]);
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration(json!([acme])));
    let mut stranger = Browser::new(&filter_state, "app.example");
    let mut ada = ada(&filter_state, "acme", json!({}));
    for start in ["/static/", "/api/", "/x/"] {
        for filling in ["a", "/", "a;b/", "%2f..", "%2e"] {
            let long = format!("{start}{}", filling.repeat(4096));
            assert!(stranger.get(&long, &mut nobody).pass.is_none(), "{start} {filling}");
            let seen = ada.get(&long, &mut nobody);
            assert_eq!((seen.status(), seen.code()), (403, "role_missing"), "{start} {filling}");
        }
    }
    assert!(stranger.get(&format!("/static/{}", "a".repeat(4000)), &mut nobody).pass.is_some());
    assert!(ada.get(&format!("/x/{}", "a".repeat(4000)), &mut nobody).pass.is_some());
}

#[test]
fn a_query_longer_than_an_endpoint_reads_is_refused_unread() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration(json!([account("acme", json!({}))])));
    let mut browser = Browser::new(&filter_state, "app.example");
    for (path, code) in [
        ("/sso/login", "return_to_refused"),
        ("/sso/session", "request_invalid"),
        ("/sso/logout", "request_invalid"),
        ("/sso/saml/metadata", "request_invalid"),
        ("/sso/admin", "request_invalid"),
    ] {
        let seen = browser.get(&format!("{path}?{}", "a=&".repeat(3000)), &mut nobody);
        assert_eq!((seen.status(), seen.code()), (400, code), "{path}");
    }
    let logged = host.logs().iter().filter(|(_, line)| line.contains("the query has 9000 bytes")).count();
    assert_eq!(logged, 5);
    let seen = browser.get(&format!("/sso/session?{}", "a=&".repeat(2000)), &mut nobody);
    assert_eq!(seen.code(), "login_required");
}
