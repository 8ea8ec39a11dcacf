//! Password logins at an origin that accounts share.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS};
use crate::directory::{self, User};
use crate::host::task::{Call, Reply};
use crate::session::{Authentication, Method, Session, Tokens};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{TestHost, START};

const NOW: u64 = START / 1000;

fn account(code: &str, password: Value) -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    json!({
        "code": code, "origins": ["https://app.example"], "sso": "enabled",
        "identity_providers": [{ "id": "corp", "oidc": {
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token", "jwks": keys, "client_id": "app"
        } }],
        "directory": { "static": { "users": [
            { "username": "root", "email": "root@acme.com", "roles": ["admin"] },
            { "username": "ada", "email": "ada@acme.com" }
        ] } },
        "password": password,
        "access": [{ "path": "/open", "allow": "anyone" }, { "path": "/public", "allow": "anyone" }, { "prefix": "/api/", "allow": "programs" }],
        "bearer": { "audiences": [code], "providers": ["corp"] },
    })
}

fn logins() -> Value {
    json!({ "mode": "admins", "admin_roles": ["admin"], "logins": [
        { "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } },
        { "path": "/open", "username": { "form": "username" }, "success": { "status": [200] } },
        { "path": "/api/login", "username": { "form": "username" }, "success": { "status": [200] } }
    ] })
}

/// `a` has password logins, `b` has none.
fn configuration() -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "*": "idp" },
        "accounts": [account("a", logins()), account("b", json!({}))],
    })
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// A browser with a session of this account.
fn signed_in(host: &Rc<TestHost>, filter_state: &Rc<FilterState>, code: &str) -> Browser {
    let user =
        User::without_record("ada".into(), directory::UserSource::Identity, Vec::new(), Default::default());
    let origin = Authentication {
        provider: "corp".into(),
        issuer: "https://idp.example".into(),
        ..Authentication::default()
    };
    let session = Session::open(&**host, user, Method::Sso, origin, Tokens::default()).unwrap();
    Browser::new(filter_state, "app.example").with_session(code, session)
}

/// A program with a token for this account.
fn program(filter_state: &Rc<FilterState>, code: &str) -> Browser {
    let claims = json!({
        "iss": "https://idp.example", "sub": "1", "aud": code, "iat": NOW, "exp": NOW + 3600,
        "client_id": "cli", "email": "ada@acme.com",
    });
    let token = token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}), &claims.to_string());
    Browser::new(filter_state, "app.example").with("authorization", &format!("Bearer {token}"))
}

fn post(browser: &mut Browser, path: &str, username: &str) -> Seen {
    browser.post(path, &[("username", username), ("password", "x")], &mut nobody)
}

fn told(seen: &Seen) -> (u16, &str, bool) {
    (seen.status(), seen.code(), seen.pass.is_some())
}

#[test]
fn a_login_of_one_account_is_not_open_to_whoever_is_signed_in_to_another() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let refused = (400, "request_invalid", false);
    for path in ["/login", "/LOGIN", "/login/", "/login;a=b", "/x/../login", "/open", "/api/login"] {
        let mut others = [signed_in(&host, &filter_state, "b"), program(&filter_state, "b")];
        // A token does not choose the account of a password login: nobody says whose it is.
        for (n, refused) in [refused, (401, "login_required", false)].into_iter().enumerate() {
            let other = &mut others[n];
            for username in ["root", "ada"] {
                assert_eq!(told(&post(other, path, username)), refused, "{path} {n} {username}");
            }
            for method in ["PUT", "post", "GET"] {
                let seen = other.send(method, path, Some(b"username=root".to_vec()), &mut nobody);
                let is_a_page = method == "GET" && !["/login", "/open", "/api/login"].contains(&path);
                assert!(is_a_page || seen.pass.is_none(), "{method} {path} {n}: {:?}", told(&seen));
            }
        }
        let seen = post(&mut Browser::new(&filter_state, "app.example"), path, "root");
        assert_eq!(told(&seen), (401, "login_required", false), "{path}");
    }
    let rulings = host.counted("sso_password_rulings.account.b.outcome.request_invalid");
    assert!(rulings > 0, "counted as a ruling of the account that was chosen");
    // Under its own rule, beside what is not a login, and without the other account.
    let mut own = signed_in(&host, &filter_state, "a");
    assert_eq!(told(&post(&mut own, "/login", "ada")), (403, "password_not_allowed", false));
    assert_eq!(told(&post(&mut own, "/login", "root")), (0, "", true));
    let mut other = signed_in(&host, &filter_state, "b");
    assert_eq!(told(&post(&mut other, "/reports", "root")), (0, "", true));
    assert_eq!(told(&post(&mut program(&filter_state, "b"), "/reports", "root")), (0, "", true));
    assert_eq!(told(&other.get("/login", &mut nobody)), (0, "", true), "the page, which carries no password");
    assert_eq!(told(&other.get("/login?username=root", &mut nobody)), refused, "which carries one");
    let mut config = configuration();
    config["accounts"] = json!([account("b", json!({}))]);
    let alone = crate::testing::browser::filter_state(&host, &config);
    assert_eq!(told(&post(&mut signed_in(&host, &alone, "b"), "/login", "root")), (0, "", true));
}

#[test]
fn a_login_of_an_account_without_single_sign_on_is_not_open_to_another_either() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["sso"] = json!("disabled");
    let filter_state = filter_state(&host, &config);
    let mut other = signed_in(&host, &filter_state, "b");
    assert_eq!(told(&post(&mut other, "/login", "root")), (400, "request_invalid", false));
    assert_eq!(told(&post(&mut other, "/reports", "root")), (0, "", true));
    assert_eq!(
        told(&post(&mut program(&filter_state, "b"), "/login", "root")),
        (401, "login_required", false)
    );
}

/// A token says for whom it is, and anybody can write one: until it is verified it opens nothing.
#[test]
fn a_token_that_is_not_verified_chooses_no_open_rule_and_no_password_mode() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["password"]["mode"] = json!("enabled");
    config["accounts"][1]["password"] = json!({ "mode": "disabled", "logins": logins()["logins"] });
    config["accounts"][1]["access"] = json!([]);
    let filter_state = filter_state(&host, &config);
    let forged = || {
        let token = token_of(
            &json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}),
            &json!({ "iss": "https://idp.example", "sub": "1", "aud": "a", "iat": NOW, "exp": NOW + 3600 })
                .to_string(),
        );
        let (content, _) = token.rsplit_once('.').unwrap();
        format!("Bearer {content}.AAAA")
    };
    for path in ["/public", "/api/x"] {
        let seen = Browser::new(&filter_state, "app.example")
            .with("authorization", &forged())
            .get(path, &mut nobody);
        assert!(seen.pass.is_none(), "{path}");
    }
    let mut program = Browser::new(&filter_state, "app.example").with("authorization", &forged());
    assert_eq!(told(&post(&mut program, "/login", "root")), (401, "login_required", false));
    let mut beside = signed_in(&host, &filter_state, "b").with("authorization", &forged());
    assert_eq!(told(&post(&mut beside, "/login", "root")), (403, "password_disabled", false));
    assert_eq!(
        told(&beside.get("/public", &mut nobody)),
        (401, "token_invalid", false),
        "b's rule, and a's token"
    );
    // The twin: where the account asks for it, it is verified.
    let mut program = self::program(&filter_state, "a");
    assert!(program.get("/reports", &mut nobody).pass.is_some());
    assert!(beside.get("/reports", &mut nobody).pass.is_none());
}

/// Another account of the origin has the filter write `authorization`: what nobody verified goes, what was stays.
#[test]
fn a_verified_token_reaches_the_application_whatever_other_accounts_are_told() {
    let mut config = configuration();
    config["accounts"][1]["forward"] = json!({ "access_token": "authorization" });
    let filter_state = filter_state(&TestHost::new(), &config);
    for _ in ["new", "remembered"] {
        let pass = program(&filter_state, "a").get("/reports", &mut nobody).pass.unwrap();
        assert!(!pass.remove.contains(&"authorization".to_owned()), "{:?}", pass.remove);
    }
    let host = TestHost::new();
    let filter_state = crate::testing::browser::filter_state(&host, &config);
    let mut session = signed_in(&host, &filter_state, "b").with("authorization", "Bearer x");
    assert!(session.get("/public", &mut nobody).pass.unwrap().remove.contains(&"authorization".to_owned()));
}

/// Who has to choose an account first is told of none.
#[test]
fn the_way_in_names_no_account_where_nothing_says_which_it_is() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut program = Browser::new(&filter_state, "app.example").with("accept", "application/json");
    assert_eq!(program.get("/reports", &mut nobody).json()["login"], "/sso/login");
    let seen = Browser::new(&filter_state, "app.example").post("/reports", &[], &mut nobody);
    assert!(!seen.text().contains("u=a"), "{}", seen.text());
    let mut program = program.with("cookie", "x=1");
    assert_eq!(program.get("/sso/session?u=b", &mut nobody).json()["login"], "/sso/login?u=b");
}

#[test]
fn each_account_rules_on_a_login_that_both_have() {
    let host = TestHost::new();
    let mut config = configuration();
    let mut disabled = logins();
    disabled["mode"] = json!("disabled");
    config["accounts"][1]["password"] = disabled;
    let filter_state = filter_state(&host, &config);
    let seen = post(&mut signed_in(&host, &filter_state, "b"), "/login", "root");
    assert_eq!(told(&seen), (403, "password_disabled", false));
    assert_eq!(told(&post(&mut signed_in(&host, &filter_state, "a"), "/login", "root")), (0, "", true));
}
