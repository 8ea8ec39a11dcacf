//! Whole requests of programs.

mod directory;

use std::rc::Rc;

use serde_json::{json, Value};

use super::{sent, Sent};
use crate::crypto::test_keys::{token_of, JWKS};
use crate::host::task::{Call, Failure, Reply};
use crate::http::Head;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{header, json as answer, status, TestHost, START};

const NOW: u64 = START / 1000;

pub(super) fn configuration() -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }], "recheck": "5m", "recheck_grace": "1h" },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oidc": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "jwks": keys, "client_id": "app"
            } }],
            "mapping": { "roles_claim": "groups", "role_map": { "admins": "boss" } },
            "directory": { "static": { "users": [
                { "username": "ada", "email": "ada@acme.com", "roles": ["editor"] },
                { "username": "bob", "email": "bob@acme.com", "active": false }
            ] } },
            "access": [
                { "prefix": "/api/", "allow": "programs" }, { "path": "/healthz", "allow": "anyone" },
                { "prefix": "/admin/", "allow": "users", "roles": ["boss"] },
                { "prefix": "/owners/", "allow": "users", "roles": ["owner"] },
                { "prefix": "/fresh/", "allow": "users", "max_age": "1m" },
                { "prefix": "/strong/", "allow": "users", "acr_values": ["mfa", "urn:x:hardware"] }
            ],
            "forward": { "headers": { "x-department": "/department" } },
            "bearer": { "audiences": ["lakehouse-api"], "providers": ["corp"] }
        }]
    })
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example", "sub": "1", "aud": "lakehouse-api", "iat": NOW, "exp": NOW + 3600,
        "client_id": "cli", "email": "ada@acme.com", "groups": ["admins"], "department": "Lakes",
    })
}

pub(super) fn token(change: Value) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}), &claims.to_string())
}

pub(super) fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

pub(super) fn io(filter_state: &Rc<FilterState>, path: &str, authorization: &str) -> Seen {
    let mut program =
        Browser::new(filter_state, "app.example").with("authorization", authorization).with("accept", "*/*");
    program.get(path, &mut nobody)
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn told(seen: &Seen, name: &str) -> Option<String> {
    seen.pass.as_ref()?.live.as_ref()?.told(name)
}

#[test]
fn a_token_is_the_same_user_with_the_same_headers_and_roles_as_a_session() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let token = token(json!({}));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let seen = io(&filter_state, "/reports", &format!("{scheme} {token}"));
        for (name, value) in [
            ("x-sso-user", "ada"),
            ("x-sso-email", "ada@acme.com"),
            ("x-sso-roles", "boss,editor"),
            ("x-sso-account", "acme"),
            ("x-sso-idp", "corp"),
            ("x-sso-method", "bearer"),
            ("x-department", "Lakes"),
        ] {
            assert_eq!(told(&seen, name).as_deref(), Some(value), "{name}");
        }
        let pass = seen.pass.unwrap();
        assert!(pass.set_cookies.is_empty(), "a program gets no session");
        assert!(!pass.remove.contains(&"authorization".to_owned()), "the application may want the token");
    }
    assert_eq!(
        host.counted("sso_bearer_tokens.account.acme.outcome.ok"),
        1,
        "verified once, then remembered"
    );
    assert!(io(&filter_state, "/admin/", &bearer(&token)).pass.is_some());
    let seen = io(&filter_state, "/owners/", &bearer(&token));
    assert_eq!((seen.status(), seen.code()), (403, "role_missing"));
    let mut browser = Browser::new(&filter_state, "app.example").with("authorization", &bearer(&token));
    assert_eq!(browser.get("/fresh/", &mut nobody).status(), 401);
}

#[test]
fn a_token_that_is_not_enough_is_told_what_would_be() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let plain = bearer(&token(json!({})));
    let strong = bearer(&token(json!({ "acr": "mfa", "groups": ["admins"] })));
    for known in [false, true] {
        for (path, token, status, challenge) in [
            ("/admin/", &plain, 0, ""),
            ("/owners/", &plain, 403, "error=\"insufficient_scope\""),
            ("/strong/", &strong, 0, ""),
            (
                "/strong/",
                &plain,
                401,
                "error=\"insufficient_user_authentication\", acr_values=\"mfa urn:x:hardware\"",
            ),
        ] {
            let mut browser = Browser::new(&filter_state, "app.example").with("authorization", token);
            let seen = browser.get(path, &mut nobody);
            assert_eq!(seen.status(), status, "{path} known {known}");
            let Some(answer) = seen.answer else { continue };
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let wanted = format!("Bearer realm=\"sso\", {challenge}");
            assert_eq!(answer.header("www-authenticate"), Some(wanted.as_str()), "{path} known {known}");
        }
    }
    // When it was issued says nothing: a refresh token issues them for months.
    let fresh = bearer(&self::token(json!({ "auth_time": NOW })));
    assert_eq!(io(&filter_state, "/fresh/", &plain).code(), "login_required");
    assert!(io(&filter_state, "/fresh/", &fresh).pass.is_some());
    host.advance(121_000);
    assert_eq!(
        io(&filter_state, "/fresh/", &fresh).code(),
        "login_required",
        "and no redirect to the provider"
    );
    let answer = io(&filter_state, "/fresh/", &plain).answer.unwrap();
    let wanted = "Bearer realm=\"sso\", error=\"insufficient_user_authentication\", max_age=\"60\"";
    assert_eq!(answer.header("www-authenticate"), Some(wanted));
    assert_eq!(host.counted("sso_bearer_tokens.account.acme.outcome.ok"), 3, "and none of them was refused");
}

#[test]
fn a_wrong_token_is_told_so_and_never_passed_over() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let good = token(json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    for (authorization, status, code) in [
        (bearer(&good), 0, ""),
        (bearer(&format!("{head}.{turned}")), 401, "token_invalid"),
        (bearer(&token(json!({ "aud": "other" }))), 401, "token_invalid"),
        (bearer(&token(json!({ "iss": "https://evil.example" }))), 401, "token_invalid"),
        (bearer(&token(json!({ "exp": NOW - 60 }))), 401, "token_invalid"),
        (bearer(&token(json!({ "nonce": "n" }))), 401, "token_invalid"),
        ("Bearer".into(), 401, "token_invalid"),
        ("Bearer ".into(), 401, "token_invalid"),
        ("Bearer opaque".into(), 401, "token_invalid"),
        (format!("Bearer {good}, Bearer {good}"), 401, "token_invalid"),
        (format!("Bearer {good} x"), 401, "token_invalid"),
        ("Bearer \u{e9}".into(), 401, "token_invalid"),
        (bearer(&"a.".repeat(40_000)), 401, "token_invalid"),
        (bearer(&token(json!({ "email": "bob@acme.com" }))), 403, "user_inactive"),
        (bearer(&token(json!({ "email": "eve@acme.com" }))), 403, "identity_unknown"),
        (bearer(&token(json!({ "email": 7 }))), 403, "identity_missing"),
        (bearer(&token(json!({ "email_verified": false }))), 403, "email_unverified"),
    ] {
        // A person's browser, also with a session, gets the same: what was sent is what counts.
        for accept in ["*/*", "text/html"] {
            let mut browser = Browser::new(&filter_state, "app.example")
                .with("accept", accept)
                .with("authorization", &authorization);
            let seen = browser.get("/reports", &mut nobody);
            assert_eq!((seen.status(), seen.code()), (status, code), "{authorization:.60}");
            let Some(answer) = seen.answer else { continue };
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
            assert_eq!(
                challenge.contains("error=\"invalid_token\", error_description="),
                status == 401,
                "{challenge}"
            );
            assert!(!answer.headers.iter().any(|(name, _)| name == "location" || name == "set-cookie"));
        }
    }
    let logged: String = host.logs().into_iter().map(|(_, line)| line).collect();
    assert!(!logged.contains(signature) && !logged.contains(&turned));
}

#[test]
fn without_a_token_the_challenge_is_plain() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut program = Browser::new(&filter_state, "app.example").with("accept", "application/json");
    let seen = program.get("/reports", &mut nobody);
    assert_eq!((seen.status(), seen.code()), (401, "login_required"));
    assert_eq!(seen.answer.unwrap().header("www-authenticate"), Some("Bearer realm=\"sso\""));
    assert_eq!(
        io(&filter_state, "/reports", "Digest x").code(),
        "login_required",
        "another scheme is not a token"
    );
    assert_eq!(io(&filter_state, "/reports?access_token=x", "").code(), "login_required");
}

#[test]
fn tokens_count_on_users_paths_of_accounts_that_take_them() {
    let with = filter_state(&TestHost::new(), &configuration());
    for path in ["/api/x", "/healthz"] {
        let pass = io(&with, path, "Bearer anything").pass.expect("it is the application's");
        assert!(pass.live.is_none() && !pass.remove.contains(&"authorization".to_owned()));
    }
    for path in ["/sso/session", "/sso/admin"] {
        assert_eq!(io(&with, path, &bearer(&token(json!({})))).code(), "login_required", "{path}");
    }
    let mut config = configuration();
    config["accounts"][0].as_object_mut().unwrap().remove("bearer");
    let without = filter_state(&TestHost::new(), &config);
    assert_eq!(io(&without, "/reports", &bearer(&token(json!({})))).code(), "login_required");
}

#[test]
fn the_header_is_read_in_one_way() {
    let head = |values: &[&str]| {
        Head::new(values.iter().map(|v| ("authorization".to_owned(), v.as_bytes().to_vec())).collect(), true)
    };
    for values in [&["Bearer a"][..], &["  bearer   a  "], &["Bearer\ta"]] {
        assert!(matches!(sent(&head(values)), Sent::Token("a")), "{values:?}");
    }
    for values in
        [&[][..], &["Basic a"], &["Bearerx a"], &["Negotiate Bearer"], &["Basic a", "Basic b"], &[""]]
    {
        assert!(matches!(sent(&head(values)), Sent::Nothing), "{values:?}");
    }
    for values in [
        &["Bearer a", "Bearer a"][..],
        &["Basic a", "Bearer a"],
        &["Bearer a", ""],
        &["Bearer a, b"],
        &["Bearer,a"],
    ] {
        assert!(matches!(sent(&head(values)), Sent::Wrong(_)), "{values:?}");
    }
}

#[test]
fn a_remembered_token_ends_with_its_time_and_with_not_before() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let short = bearer(&token(json!({ "exp": NOW + 100 })));
    assert!(io(&filter_state, "/reports", &short).pass.is_some());
    host.advance(159_999);
    assert!(io(&filter_state, "/reports", &short).pass.is_some(), "within the skew of clocks");
    host.advance(1);
    assert_eq!(io(&filter_state, "/reports", &short).code(), "token_invalid");
    for (name, value) in [
        ("not_before", json!("2027-01-15T08:00:01Z")),
        ("not_before_users", json!({ "ada": "2027-01-15T08:00:01Z" })),
    ] {
        let mut config = configuration();
        config["accounts"][0][name] = value;
        let cut = crate::testing::browser::filter_state(&host, &config);
        assert_eq!(io(&cut, "/reports", &bearer(&token(json!({})))).code(), "token_invalid", "{name}");
        assert!(io(&cut, "/reports", &bearer(&token(json!({ "iat": NOW + 1 })))).pass.is_some());
    }
}

#[test]
fn userinfo_says_what_the_token_does_not() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["identity_providers"][0]["oidc"]["userinfo_endpoint"] =
        json!("https://idp.example/userinfo");
    let mut bare = claims();
    for name in ["email", "groups", "department"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    let thin = token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}), &bare.to_string());
    let io = |reply: Reply, token: &str| {
        let filter_state = filter_state(&host, &config);
        let mut program = Browser::new(&filter_state, "app.example")
            .with("authorization", &bearer(token))
            .with("accept", "*/*");
        program.get("/reports", &mut move |call| {
            assert_eq!(header(call, ":path"), Some("/userinfo"));
            reply.clone()
        })
    };
    let person = |sub: &str| {
        answer(&json!({ "sub": sub, "email": "ada@acme.com", "groups": ["admins"], "department": "Lakes" }))
    };
    let seen = io(person("1"), &thin);
    assert_eq!(told(&seen, "x-sso-roles").as_deref(), Some("boss,editor"));
    assert_eq!(told(&seen, "x-department").as_deref(), Some("Lakes"));
    assert_eq!(io(person("2"), &thin).code(), "token_invalid", "another person's");
    assert_eq!(
        io(status(401, "text/plain", ""), &thin).code(),
        "identity_missing",
        "the provider does not take it there"
    );
    assert_eq!(io(Reply::Failed(Failure::Timeout), &thin).code(), "idp_timeout");
    assert!(io(person("1"), &token(json!({}))).calls.is_empty(), "nothing is missing");
}

#[test]
fn the_application_gets_the_token_where_it_expects_one() {
    for name in ["authorization", "x-token"] {
        let mut config = configuration();
        config["accounts"][0]["forward"] = json!({ "access_token": name });
        let token = bearer(&token(json!({})));
        let seen = io(&filter_state(&TestHost::new(), &config), "/reports", &token);
        assert_eq!(told(&seen, name), Some(token), "{name}");
    }
}

#[test]
fn on_a_shared_origin_the_token_says_for_which_account_it_is() {
    let mut config = configuration();
    let mut other = config["accounts"][0].clone();
    other["code"] = json!("globex");
    other["bearer"]["audiences"] = json!(["globex-api"]);
    config["accounts"].as_array_mut().unwrap().push(other);
    let filter_state = filter_state(&TestHost::new(), &config);
    for (aud, account) in [
        (json!("lakehouse-api"), Some("acme")),
        (json!("globex-api"), Some("globex")),
        (json!("other"), None),
        (json!(["lakehouse-api", "globex-api"]), None), // for both: nobody can say
    ] {
        let seen = io(&filter_state, "/reports", &bearer(&token(json!({ "aud": aud }))));
        assert_eq!(told(&seen, "x-sso-account").as_deref(), account, "{aud}");
        assert_eq!(seen.status(), if account.is_some() { 0 } else { 401 });
    }
    assert_eq!(io(&filter_state, "/reports", "Bearer x").status(), 401);
}

#[test]
fn a_session_beside_a_token_is_nothing() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let signed_in = {
        use crate::directory::Resolution;
        use crate::session::{Authentication, Method, Session, Tokens};
        // Signed in as a person whom the token is not about.
        let account_state = filter_state.account_states[0].clone();
        let identity = crate::identity::Identity::verified(
            crate::config::MappingFrom::IdToken,
            "corp",
            "https://idp.example",
            "1",
            claims().as_object().unwrap().clone(),
            claims().as_object().unwrap().clone(),
        );
        let io = host.io();
        let (account, inner) = (account_state.account.clone(), io.clone());
        let flow = async move {
            crate::directory::resolve(&inner, &account, &account_state.directory, &identity).await
        };
        let (found, _) = crate::testing::drive(&io, flow, []);
        let Ok(Resolution::User(user)) = found else { panic!("{found:?}") };
        let issuer = "https://idp.example".into();
        let origin = Authentication { provider: "corp".into(), issuer, ..Authentication::default() };
        let session = Session::open(&*host, user, Method::Sso, origin, Tokens::default()).unwrap();
        Browser::new(&filter_state, "app.example").with("accept", "*/*").with_session("acme", session)
    };
    let io = |authorization: Option<&str>| {
        let mut browser = signed_in.at(&filter_state);
        if let Some(value) = authorization {
            browser = browser.with("authorization", value);
        }
        browser.get("/reports", &mut nobody)
    };
    assert_eq!(told(&io(None), "x-sso-method").as_deref(), Some("sso"));
    assert_eq!(told(&io(Some("Digest x")), "x-sso-method").as_deref(), Some("sso"));
    assert_eq!(told(&io(Some(&bearer(&token(json!({}))))), "x-sso-method").as_deref(), Some("bearer"));
    assert_eq!(io(Some("Bearer wrong")).code(), "token_invalid", "never the session in its place");
    assert_eq!(io(Some(&bearer(&token(json!({ "exp": NOW - 60 }))))).code(), "token_invalid");
}
