//! Every row of "The password rule": what is refused, and its twin that passes.

mod aliases;
mod failures;
mod json_members;
mod limits;
mod query;
mod table;
mod username;

use std::rc::Rc;

use url::Url;

use super::attempts::CountedBy;
use super::*;
use crate::config::{
    head_accepted, Answered, AttemptLimit, Attribute, Origin, PasswordLogin, PasswordMode, Success,
    UsernameField,
};
use crate::directory::{self, Cache};
use crate::fault::{Code, Fault};
use crate::host::task::{Failure, Reply};
use crate::testing::{drive, TestHost};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn login(username: UsernameField) -> PasswordLogin {
    PasswordLogin::plain("/login", username)
}

fn form(field: &str) -> PasswordLogin {
    login(UsernameField::Form(field.into()))
}

fn json(pointer: &str) -> PasswordLogin {
    login(UsernameField::Json(pointer.into()))
}

fn ruled(
    login: &PasswordLogin,
    method: &str,
    query: Option<&str>,
    headers: &[(&str, &[u8])],
    has_body: bool,
) -> Result<HeadRuling, (Code, u16)> {
    let origins = [Origin { scheme: "https".into(), authority: "app.example.com".into() }];
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), v.to_vec())).collect();
    let given =
        Head { method: method.as_bytes(), query: query.map(str::as_bytes), headers: &headers, has_body };
    head(&[Rc::new(login.clone())], &origins, &given).map_err(|fault| (fault.code, fault.status()))
}

#[test]
fn methods_are_ruled_on() {
    let rule = |method, query, body| {
        ruled(&form("username"), method, query, &[("content-type", FORM.as_bytes())], body)
    };
    assert_eq!(rule("POST", None, true), Ok(HeadRuling::ReadBody));
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(rule(method, Some("next=/a&x"), false), Ok(HeadRuling::PassUnread), "{method}");
    }
    for method in ["PUT", "PATCH", "DELETE", "post", "Post", "TRACE", "CONNECT", "POST ", "", "FOO"] {
        assert_eq!(rule(method, None, true), Err((Code::MethodNotAllowed, 405)), "{method}");
    }
    assert_eq!(rule("GET", None, true), Err((Code::UsernameUnreadable, 400)));
}

#[test]
fn a_query_that_names_the_field_is_refused() {
    for query in [
        "username=ada",
        "x=1&username=ada",
        "username",
        "x;username=a",
        "USERNAME=a",
        "user%6eame=a",
        "user%256eame=a",
        "user_name=a",
        "user.name=a",
        "user[name]=a",
        "username[]=a",
        "username%5B%5D=a",
        "username[0]=a",
        "+username=a",
        "username%00=a",
        "username%00x=a",
        "%75sername=a",
        "%u0075sername=a",
        "us%ZZername=a",
        "%ff=a",
        "\u{ff55}sername=a",
        "u\u{17f}ername=a",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let found = ruled(
                &form("username"),
                method,
                Some(query),
                &[("content-type", FORM.as_bytes())],
                method == "POST",
            );
            assert_eq!(found, Err((Code::UsernameUnreadable, 400)), "{method} {query}");
        }
    }
    for query in ["", "next=/username", "u=acme", "name=x", "usernames=a", "lang=de&next=%2Fa%3Fb"] {
        assert_eq!(
            ruled(&form("username"), "POST", Some(query), &[("content-type", FORM.as_bytes())], true),
            Ok(HeadRuling::ReadBody),
            "{query}"
        );
    }
    assert!(ruled(&json("/user/name"), "GET", Some("user[name]=a"), &[], false).is_err());
    assert!(ruled(&json("/user/name"), "GET", Some("user=a"), &[], false).is_err());
    assert!(ruled(&json("/user/name"), "GET", Some("user[mail]=a"), &[], false).is_err());
    assert!(ruled(&json("/user/name"), "GET", Some("usr[theme]=a"), &[], false).is_ok());
}

#[test]
fn content_types_are_one_and_plain() {
    let rule = |headers: &[(&str, &[u8])]| ruled(&form("username"), "POST", None, headers, true);
    for good in [
        FORM,
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
    ] {
        assert_eq!(rule(&[("content-type", good.as_bytes())]), Ok(HeadRuling::ReadBody), "{good}");
    }
    let refused = Err((Code::ContentTypeUnsupported, 415));
    for bad in [
        "",
        JSON,
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/x-www-form-urlencoded; charset=ibm037",
        "application/x-www-form-urlencoded; charset=utf-8; charset=utf-16",
        "application/x-www-form-urlencoded;",
        "application/x-www-form-urlencoded; boundary=x",
    ] {
        assert_eq!(rule(&[("content-type", bad.as_bytes())]), refused, "{bad}");
    }
    assert_eq!(rule(&[]), refused);
    assert_eq!(rule(&[("content-type", b"\xff")]), refused);
    let form = FORM.as_bytes();
    assert_eq!(rule(&[("content-type", form), ("content-type", form)]), refused);
    for encoding in ["gzip", "identity", "", "br"] {
        assert_eq!(
            rule(&[("content-type", form), ("content-encoding", encoding.as_bytes())]),
            refused,
            "{encoding}"
        );
    }
    assert_eq!(rule(&[("content-type", form), ("content-length", b"65536")]), Ok(HeadRuling::ReadBody));
    assert_eq!(rule(&[("content-type", form), ("content-length", b"65537")]), Err((Code::BodyTooLarge, 413)));
}

#[test]
fn a_login_comes_from_its_own_origin() {
    let rule = |more: &[(&str, &[u8])]| {
        ruled(&form("username"), "POST", None, &[&[("content-type", FORM.as_bytes())], more].concat(), true)
    };
    let own: &[u8] = b"https://app.example.com";
    for good in [
        &[][..],
        &[("origin", own)],
        &[("sec-fetch-site", b"same-origin")],
        &[("sec-fetch-site", b"none")],
        &[("origin", own), ("sec-fetch-site", b"same-origin")],
    ] {
        assert_eq!(rule(good), Ok(HeadRuling::ReadBody), "{good:?}");
    }
    for bad in [
        &[("origin", &b"null"[..])][..],
        &[("origin", b"https://evil.example")],
        &[("origin", b"http://app.example.com")],
        &[("origin", b"https://app.example.com:8443")],
        &[("origin", b"https://app.example.com.evil.example")],
        &[("origin", b"")],
        &[("origin", own), ("origin", own)],
        &[("origin", own), ("sec-fetch-site", b"cross-site")],
        &[("sec-fetch-site", b"same-site")],
        &[("sec-fetch-site", b"")],
        &[("sec-fetch-site", b"Same-Origin")],
        &[("sec-fetch-site", b"none"), ("sec-fetch-site", b"none")],
    ] {
        assert_eq!(rule(bad), Err((Code::RequestInvalid, 403)), "{bad:?}");
    }
}

#[test]
fn another_way_to_write_a_login_is_an_alias() {
    for (raw, login) in [
        ("/login/", "/login"),
        ("/LOGIN", "/login"),
        ("/login;a=b", "/login"),
        ("/login;", "/login"),
        ("//login", "/login"),
        ("/login//", "/login"),
        ("/./login", "/login"),
        ("/x/../login", "/login"),
        ("/x/..;/login", "/login"),
        ("/%6cogin", "/login"),
        ("/%256cogin", "/login"),
        ("/%25256cogin", "/login"),
        ("/login%2f", "/login"),
        ("/login%252f", "/login"),
        ("/login.", "/login"),
        ("/login%20", "/login"),
        ("/login%00", "/login"),
        ("/login%00.css", "/login"),
        ("/login%3Fx", "/login"),
        ("/login%23", "/login"),
        ("\\login", "/login"),
        ("/login\\", "/login"),
        ("/login%5c", "/login"),
        ("/login.json", "/login"),
        ("/ｌogin", "/login"),
        ("/%u006cogin", "/login"),
        ("/login/?x=1", "/login"),
        ("/api%2fauth/login", "/api/auth/login"),
        ("/api/auth;x=1/login", "/api/auth/login"),
        ("/api//auth/login", "/api/auth/login"),
        ("/login.php/x", "/login.php"),
        ("/Login.PHP", "/login.php"),
        ("login", "/login"),
    ] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw}");
    }
    for (raw, login) in [
        ("/login", "/login"),
        ("/login?x=/LOGIN", "/login"),
        ("/", "/login"),
        ("/logins", "/login"),
        ("/login/reset", "/login"),
        ("/api/login", "/login"),
        ("/logout", "/login"),
        ("/a%20b", "/login"),
        ("", "/login"),
        ("/login-x", "/login"),
    ] {
        assert!(!alias_of_login(raw.as_bytes(), login), "{raw}");
    }
    assert!(!alias_of_login(b"/\xff\xfe", "/login"));
}

fn ruling(mode: PasswordMode, scim: bool, user: &str, replies: Vec<Reply>) -> Result<Vec<String>, Code> {
    use directory::tests as d;
    let with = |name: &str, role: &str, active| {
        let mut user = d::user(name, None, active);
        user.roles = vec![role.to_owned()];
        user
    };
    let users = vec![
        with("root", "account_admin", true),
        with("gone", "account_admin", false),
        with("ada", "member", true),
        with("near", "not_account_admin", true),
        with("upper", "Account_Admin", true),
        with("twin", "account_admin", true),
        with("Twin", "member", true),
    ];
    let mut account = d::account(if scim { d::scim() } else { crate::config::Directory::Static(users) });
    account.password.mode = mode;
    let name = username(&form("u"), format!("u={user}").as_bytes()).unwrap();
    let io = TestHost::new().io();
    let inner = io.clone();
    let flow = async move { rule(&inner, &account, &Cache::new(), Attribute::Username, &name).await };
    drive(&io, flow, replies).0.map(|ruling| ruling.user.roles).map_err(|fault| fault.code)
}

#[test]
fn the_mode_decides_who_may_use_a_password() {
    use PasswordMode::*;
    let roles = |role: &str| Ok(vec![role.to_owned()]);
    for (user, enabled, admins) in [
        ("root", roles("account_admin"), roles("account_admin")),
        ("ada", roles("member"), Err(Code::PasswordNotAllowed)),
        ("near", roles("not_account_admin"), Err(Code::PasswordNotAllowed)),
        ("upper", roles("Account_Admin"), Err(Code::PasswordNotAllowed)),
        ("gone", Err(Code::UserInactive), Err(Code::PasswordNotAllowed)),
        ("nobody", Ok(vec![]), Err(Code::PasswordNotAllowed)),
        ("ROOT", Ok(vec![]), Err(Code::PasswordNotAllowed)),
        ("twin", Ok(vec![]), Err(Code::PasswordNotAllowed)),
    ] {
        assert_eq!(ruling(Enabled, false, user, vec![]), enabled, "{user}");
        assert_eq!(ruling(Admins, false, user, vec![]), admins, "{user}");
        assert_eq!(ruling(Disabled, false, user, vec![]), Err(Code::PasswordDisabled), "{user}");
    }
}

#[test]
fn a_directory_that_is_down_stops_administrators_and_not_passwords() {
    use PasswordMode::*;
    let down = || vec![Reply::Failed(Failure::Timeout)];
    assert_eq!(ruling(Enabled, true, "root", down()), Ok(vec![]));
    assert_eq!(ruling(Admins, true, "root", down()), Err(Code::DirectoryUnavailable));
    assert_eq!(ruling(Disabled, true, "root", vec![]), Err(Code::PasswordDisabled));
    let root = serde_json::json!({"id": "1", "userName": "root", "roles": [{"value": "account_admin"}]});
    let wrong = serde_json::json!({"id": "2", "userName": "root2", "roles": [{"value": "account_admin"}]});
    assert!(ruling(Admins, true, "root", vec![directory::tests::list(&[root])]).is_ok());
    assert_eq!(
        ruling(Admins, true, "root", vec![directory::tests::list(&[wrong])]),
        Err(Code::PasswordNotAllowed)
    );
}

#[test]
fn the_login_of_a_servlet_container_is_one_behind_any_path() {
    let login = "/app/j_security_check";
    for raw in [
        "/j_security_check",
        "/x/y/j_security_check",
        "/app/inside/j_security_check;jsessionid=1",
        "/app/j_security%5fcheck",
        "/app/J_Security_Check/",
        "/app/j_security_check/x",
        "//app/j_security_check",
    ] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw}");
        assert!(!alias_of_login(raw.as_bytes(), "/app/login"), "{raw}");
    }
    for raw in [login, "/app/xj_security_check", "/app/j_security_checks", "/app/j_security", "/app/"] {
        assert!(!alias_of_login(raw.as_bytes(), login), "{raw}");
    }
}
