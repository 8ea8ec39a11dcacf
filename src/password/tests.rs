//! Every row of "The password rule": what is refused, and its twin that passes.

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

fn name(login: &PasswordLogin, body: &[u8]) -> Result<String, Code> {
    username(login, body).map(|name| name.as_str().to_owned()).map_err(|fault| fault.code)
}

#[test]
fn a_form_names_the_user_once() {
    let field = form("username");
    for (body, user) in [
        ("username=ada&password=x", "ada"),
        ("password=x&username=ada", "ada"),
        ("username=ada%40acme.com", "ada@acme.com"),
        ("username=Ada+L&", "Ada L"),
        ("username=j%C3%BCrgen&password=%3B%26", "jürgen"),
        ("%75sername=ada", "ada"),
        ("username=ada&usernames=x&name=y&_charset_=UTF-8&csrf%5Btoken%5D=1", "ada"),
    ] {
        assert_eq!(name(&field, body.as_bytes()), Ok(user.into()), "{body}");
    }
    for body in [
        "",
        "password=x",
        "username",
        "username=",
        "username=+ada",
        "username=ada+",
        "username=ada%00",
        "username=ada%0A",
        "username=a%09b",
        "username=ada&username=ada",
        "username=ada&username=root",
        "username=ada&Username=root",
        "username=ada&username%5B%5D=root",
        "username=ada&username[]=root",
        "username[]=ada",
        "username=ada&username[0]=root",
        "username=ada&user.name=root",
        "username=ada&user[name]=root",
        "username=ada&user_name=root",
        "username=ada&user+name=root",
        "username=ada&+username=root",
        "username=ada&username+=root",
        "username=ada&username%00=root",
        "username=ada&username%00x=root",
        "username=ada&user%256eame=root",
        "username=ada&%5Cu0075sername=root",
        "username=ada&username.x=root",
        "username=ada&\u{17f}=1",
        "username=ada&u%C5%BFername=root",
        "username=ada&%EF%BD%95sername=root",
        "username=ada&username%E2%80%8B=root",
        "username=ada;username=root",
        "username=ada;x=1",
        "username=ada&x;username=root",
        "username=%zz",
        "username=ada%",
        "username=%ff",
        "username=%C0%AFda",
        "username=ada&x=%ff",
        "username=j\u{fc}rgen",
        "username=ju%CC%88rgen",
        "username=%EF%BD%81da",
        "username=%E2%84%AAate",
        "username=%C2%A0ada",
        "username=a%E2%80%8Bda",
        "username=ada&_charset_=utf-7",
        "username=ada&_method=PUT",
        "username=ada\0",
        "username=ada\r\n",
        "\u{feff}username=ada",
    ] {
        assert_eq!(name(&field, body.as_bytes()), Err(Code::UsernameUnreadable), "{body:?}");
    }
    let nested = form("user[name]");
    assert_eq!(name(&nested, b"user%5Bname%5D=ada&user[password]=x"), Ok("ada".into()));
    for body in [
        "user[name]=ada&user.name=root",
        "user[name]=ada&user=root",
        "user[name]=ada&user[name][]=root",
        "user[name]=ada&user[]=root",
        "user[name]=ada&user[name=root",
        "user[name]=ada&user_name=root",
    ] {
        assert_eq!(name(&nested, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
    }
    let large = |n: usize| format!("username=ada&x={}", "x".repeat(n));
    assert_eq!(name(&field, large(MAX_BODY - 15).as_bytes()), Ok("ada".into()));
    assert_eq!(name(&field, large(MAX_BODY - 14).as_bytes()), Err(Code::BodyTooLarge));
    assert_eq!(
        name(&field, format!("username=ada{}", "&x=1".repeat(200)).as_bytes()),
        Err(Code::UsernameUnreadable)
    );
    assert_eq!(name(&field, format!("username={}", "a".repeat(256)).as_bytes()), Ok("a".repeat(256)));
    assert_eq!(
        name(&field, format!("username={}", "a".repeat(257)).as_bytes()),
        Err(Code::UsernameUnreadable)
    );
}

#[test]
fn json_names_the_user_once() {
    let field = json("/username");
    for (body, user) in [
        (r#"{"username":"ada","password":"x"}"#, "ada"),
        (" {\n\t\"password\" : \"x\\\"}\" , \"username\" : \"ada\" }\r\n", "ada"),
        (r#"{"username":"\u0061da"}"#, "ada"),
        (r#"{"\u0075sername":"ada"}"#, "ada"),
        (r#"{"username":"ada","remember":true,"n":-1.5e3,"x":null,"l":[1,{"name":"z"},[]],"o":{}}"#, "ada"),
        (r#"{"username":"\ud83d\ude00"}"#, "😀"),
    ] {
        assert_eq!(name(&field, body.as_bytes()), Ok(user.into()), "{body}");
    }
    for body in [
        "",
        "{}",
        "null",
        "\"ada\"",
        r#"["ada"]"#,
        r#"{"password":"x"}"#,
        r#"{"username":""}"#,
        r#"{"username":1}"#,
        r#"{"username":null}"#,
        r#"{"username":true}"#,
        r#"{"username":["ada"]}"#,
        r#"{"username":{"$gt":""}}"#,
        r#"{"username":"ada","username":"ada"}"#,
        r#"{"username":"ada","username":"root"}"#,
        r#"{"username":"ada","\u0075sername":"root"}"#,
        r#"{"username":"ada","Username":"root"}"#,
        r#"{"username":"ada"," username":"root"}"#,
        r#"{"username":"ada","username ":"root"}"#,
        r#"{"username":"ada","username\u0000":"root"}"#,
        r#"{"username":"ada","username\u0000x":"root"}"#,
        r#"{"username":"ada","user.name":"root"}"#,
        r#"{"username":"ada","user[name]":"root"}"#,
        r#"{"username":"ada","username[]":"root"}"#,
        r#"{"username":"ada","user_name":"root"}"#,
        r#"{"username":"ada","user":{"name":"root"},"user_name":"x"}"#,
        r#"{"username":"ada","%75sername":"root"}"#,
        r#"{"username":"ada","\\u0075sername":"root"}"#,
        r#"{"username":"ada","ｕsername":"root"}"#,
        r#"{"username":"ada","uſername":"root"}"#,
        "{\"username\":\"ada\",\"user\u{200b}name\":\"root\"}",
        r#"{"username":"ada","__proto__":{"username":"root"}}"#,
        r#"{"username":"ada"}x"#,
        r#"{"username":"ada"}{"username":"root"}"#,
        "\u{feff}{\"username\":\"ada\"}",
        r#"{"username":"ada",}"#,
        r#"{"username":"ada"/*x*/}"#,
        "{\"username\":\"ada\"//x\n}",
        r#"{'username':'ada'}"#,
        r#"{username:"ada"}"#,
        r#"{"username":"ada","x":NaN}"#,
        r#"{"username":"ada","x":01}"#,
        r#"{"username":"ada","x":+1}"#,
        r#"{"username":"ada","x":1e}"#,
        r#"{"username":"ada","x":}"#,
        r#"{"username":"ada""x":1}"#,
        r#"{"username":"ada","x":[1,]}"#,
        r#"{"username":"ada""#,
        r#"{"username":"ada"#,
        r#"{"username":"\ud800"}"#,
        r#"{"username":"ada","x":"\udc00"}"#,
        r#"{"username":"\x61da"}"#,
        "{\"username\":\"a\nda\"}",
        r#"{"username":"ada\u0000"}"#,
        r#"{"username":" ada"}"#,
        r#"{"username":"ada\t"}"#,
        r#"{"username":"ju\u0308rgen"}"#,
        r#"{"username":"\uff41da"}"#,
        "{\"username\":\"ada\",\"x\":\u{a0}1}",
        r#"{"username":"ada","x":{"a":1,"a":2}}"#,
        r#"{"username":"ada","x":tru}"#,
    ] {
        assert_eq!(name(&field, body.as_bytes()), Err(Code::UsernameUnreadable), "{body:?}");
    }
    assert_eq!(name(&field, b"{\"username\":\"\xff\"}"), Err(Code::UsernameUnreadable));
    let deep = |n: usize| format!(r#"{{"username":"ada","x":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    assert_eq!(name(&field, deep(31).as_bytes()), Ok("ada".into()));
    assert_eq!(name(&field, deep(32).as_bytes()), Err(Code::UsernameUnreadable));

    let nested = json("/user/name");
    assert_eq!(
        name(&nested, br#"{"user":{"name":"ada","password":"x"},"other":{"name":"x"}}"#),
        Ok("ada".into())
    );
    for body in [
        r#"{"user":{"name":"ada"},"user":{"name":"root"}}"#,
        r#"{"user":{"name":"ada"},"User":{"name":"root"}}"#,
        r#"{"user":{"name":"ada","Name":"root"}}"#,
        r#"{"user":{"name":"ada"},"user.name":"root"}"#,
        r#"{"user":{"name":"ada"},"user[name]":"root"}"#,
        r#"{"user":[{"name":"ada"}]}"#,
        r#"{"user":"ada"}"#,
        r#"{"user":{"name":{"x":"ada"}}}"#,
        r#"{"user":null}"#,
    ] {
        assert_eq!(name(&nested, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
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

#[test]
fn success_is_what_the_operator_says() {
    let now = 1_800_000_000_000;
    let with = |status: &[u16], cookie: Option<&str>, redirect: Option<&str>| Success {
        status: status.into(),
        cookie: cookie.map(str::to_owned),
        redirect: redirect.map(str::to_owned),
        ..Success::default()
    };
    let yes = |s: &Success, status, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
        let asked = Url::parse("https://app.example.com/x/login").unwrap();
        head_accepted(s, Answered { status, headers: &headers, asked: &asked, now })
    };
    let any = with(&[], None, None);
    assert!(
        yes(&any, 200, &[])
            && yes(&any, 204, &[])
            && !yes(&any, 302, &[])
            && !yes(&any, 401, &[])
            && !yes(&any, 500, &[])
            && !yes(&any, 101, &[])
    );
    let listed = with(&[302], None, None);
    assert!(yes(&listed, 302, &[]) && !yes(&listed, 200, &[]));
    let cookie = with(&[200], Some("app"), None);
    for (value, good) in [
        ("app=1; Path=/", true),
        ("app=1", true),
        (" app = 1 ; HttpOnly", true),
        ("app=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
        ("app=1; Expires=Wed, 21 Oct 2037 07:28:00 GMT", true),
        ("app=1; expires=Wed, 21-Oct-37 07:28:00 GMT", true),
        ("app=", false),
        ("app=\"\"", false),
        ("app", false),
        ("App=1", false),
        ("xapp=1", false),
        ("x=app=1", false),
        ("app=1; Max-Age=0", false),
        ("app=1; max-age=-1", false),
        ("app=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT", false),
        ("app=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
        ("app=1; Expires=Mon, 01-Jan-01 00:00:00 GMT", false),
    ] {
        assert_eq!(yes(&cookie, 200, &[("set-cookie", value)]), good, "{value}");
    }
    assert!(!yes(&cookie, 401, &[("set-cookie", "app=1")]) && !yes(&cookie, 200, &[]));
    assert!(
        !yes(&cookie, 200, &[("set-cookie", "app=1"), ("set-cookie", "app=; Max-Age=0")])
            && yes(&cookie, 200, &[("set-cookie", "app="), ("set-cookie", "app=1"), ("set-cookie", "b=")])
    );
    for (to, location, good) in [
        ("/home", "/home", true),
        ("/home", "https://app.example.com/home?x=1#y", true),
        ("/home", "/home/", false),
        ("/home", "/login?next=/home", false),
        ("/app/*", "/app/x", true),
        ("/app/*", "/login", false),
        ("/login?ok=*", "/login?ok=1", true),
        ("/login?ok=*", "/login?error=1", false),
        ("/x/home", "home", true),
        ("/x/home", "../home", false),
        ("/home", "https://app.example.com:8443/home", false),
        ("/home", "http://app.example.com/home", false),
        ("/home", "//evil.example/home", false),
    ] {
        assert_eq!(yes(&with(&[], None, Some(to)), 302, &[("location", location)]), good, "{to} {location}");
    }
    assert!(
        !yes(&with(&[], None, Some("/home")), 200, &[("location", "/home")])
            && !yes(&with(&[], None, Some("/home")), 302, &[])
    );
    assert!(!yes(&with(&[], None, Some("/home")), 302, &[("location", "/home"), ("location", "/login")]));
}

fn known(name: &str) -> CountedBy {
    CountedBy::User(name.to_owned())
}

const LIMIT: AttemptLimit = AttemptLimit { limit: 3, window: 60_000 };

fn code<T>(result: Result<T, Fault>) -> Result<(), Code> {
    result.map(|_| ()).map_err(|fault| fault.code)
}

#[test]
fn failures_are_counted_over_workers_and_a_window() {
    let one = TestHost::new();
    let two = one.worker();
    let begin = |host: &TestHost, name: &str| attempts::begin(host, "acme", &known(name), LIMIT);
    for host in [&one, &two, &one] {
        assert_eq!(code(begin(host, "ada")), Ok(()));
        one.advance(10_000);
        two.set_now(crate::host::Host::now(&*one));
    }
    assert_eq!(code(begin(&two, "ada")), Err(Code::TooManyAttempts));
    assert_eq!(code(begin(&two, "bob")), Ok(()), "another name");
    assert_eq!(code(attempts::begin(&*one, "other", &known("ada"), LIMIT)), Ok(()), "another account");
    // The window slides: the first failure leaves it 60 s after it was made.
    one.advance(29_999);
    assert_eq!(code(begin(&one, "ada")), Err(Code::TooManyAttempts));
    one.advance(1);
    assert_eq!(code(begin(&one, "ada")), Ok(()));
    assert_eq!(code(begin(&one, "ada")), Err(Code::TooManyAttempts));
    assert!(one.shared_keys().iter().all(|key| !key.contains("ada")));
}

#[test]
fn a_name_is_counted_whatever_its_spelling() {
    let host = TestHost::new();
    for name in ["root", "ROOT", "Root"] {
        assert_eq!(code(attempts::begin(&*host, "acme", &known(name), LIMIT)), Ok(()), "{name}");
    }
    for name in ["root", "rOOt", "ROOT", "\u{ff52}oot"] {
        let refused = Err(Code::TooManyAttempts);
        assert_eq!(code(attempts::begin(&*host, "acme", &known(name), LIMIT)), refused, "{name}");
    }
    for name in ["roo", "root2", "r.oot"] {
        assert_eq!(code(attempts::begin(&*host, "acme", &known(name), LIMIT)), Ok(()), "{name}");
    }
}

#[test]
fn success_starts_anew_and_what_was_no_guess_does_not_count() {
    let host = TestHost::new();
    for _ in 0..20 {
        attempts::begin(&*host, "acme", &known("ada"), LIMIT).unwrap().withdrawn(&*host);
    }
    for _ in 0..2 {
        attempts::begin(&*host, "acme", &known("ada"), LIMIT).unwrap();
    }
    attempts::begin(&*host, "acme", &known("ada"), LIMIT).unwrap().succeeded(&*host);
    for _ in 0..3 {
        attempts::begin(&*host, "acme", &known("ada"), LIMIT).unwrap();
    }
    assert_eq!(code(attempts::begin(&*host, "acme", &known("ada"), LIMIT)), Err(Code::TooManyAttempts));
}

#[test]
fn a_flood_of_names_is_bounded_and_frees_nobody_who_is_locked_out() {
    use crate::host::Host;
    let host = TestHost::new();
    for _ in 0..3 {
        attempts::begin(&*host, "acme", &known("ada"), LIMIT).unwrap();
    }
    for n in 0..4_000 {
        attempts::begin(&*host, "acme", &known(&format!("name-{n}")), AttemptLimit { limit: 1000, ..LIMIT })
            .unwrap();
    }
    let keys = host.shared_keys();
    assert!(keys.len() <= 257);
    assert!(keys.iter().all(|key| host.shared_get(key).0.unwrap().len() <= 16 * 1024));
    assert_eq!(code(attempts::begin(&*host, "acme", &known("ada"), LIMIT)), Err(Code::TooManyAttempts));
    host.fail_random();
    let fresh = TestHost::new();
    fresh.fail_random();
    assert_eq!(code(attempts::begin(&*fresh, "acme", &known("ada"), LIMIT)), Err(Code::NotReady));
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
fn no_other_field_chooses_the_account() {
    let (by_json, by_form) = (json("/username"), form("username"));
    for other in [
        "email",
        "E-Mail",
        "user_id",
        "login",
        "tenant",
        "name_or_email",
        "model.username",
        "x[realm]",
        "org",
    ] {
        let body = serde_json::json!({ "username": "ada", "password": "x", other: "bob" }).to_string();
        assert_eq!(name(&by_json, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
        let body = serde_json::json!({ "username": "ada", "o": [{ other: null }] }).to_string();
        assert_eq!(name(&by_json, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
        let body = format!("{other}=bob&username=ada");
        assert_eq!(name(&by_form, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
        let listed =
            PasswordLogin { fields: Some(vec!["username".into(), other.into()]), ..form("username") };
        let lets = !other.contains("username");
        assert_eq!(name(&listed, body.as_bytes()).is_ok(), lets, "{body}");
        assert!(name(&listed, format!("{body}&x=1").as_bytes()).is_err());
    }
    for body in ["username=ada&password=x&remember=1&csrf_token=y&otp=1", "username=ada&password=x"] {
        assert_eq!(name(&by_form, body.as_bytes()), Ok("ada".into()));
    }
    for body in ["username=ada&password=x&password=y", "username=ada&password=x&Password=y"] {
        assert_eq!(name(&by_form, body.as_bytes()), Err(Code::UsernameUnreadable), "{body}");
    }
}

#[test]
fn lists_scripts_and_extensions_are_aliases() {
    for (raw, login) in [
        ("/api/trpc/auth.login,auth.login", "/api/trpc/auth.login"),
        ("/api/trpc/x,auth.login%2cy", "/api/trpc/auth.login"),
        ("/index.php/app/login", "/app/login"),
        ("//INDEX.php//app/login", "/app/login"),
        ("/app/index.php/login", "/app/login"),
        ("/login", "/login.php"),
        ("/login/", "/login.php"),
        ("/login/x", "/login.php"),
        ("/login.html", "/login.php"),
        ("/login/index.php", "/login"),
    ] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw}");
    }
    for (raw, login) in [
        ("/api/trpc/auth.logout", "/api/trpc/auth.login"),
        ("/api/trpc/auth", "/api/trpc/auth.login"),
        ("/index.php/app/logout", "/app/login"),
        ("/login/reset", "/login"),
        ("/logins", "/login.php"),
    ] {
        assert!(!alias_of_login(raw.as_bytes(), login), "{raw}");
    }
}
