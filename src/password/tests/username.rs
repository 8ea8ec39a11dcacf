//! Where a login has its username: once, in a form or in JSON.
use super::*;

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
fn names_have_a_budget_of_bytes() {
    let body = |long: usize, beside: &str| {
        format!(r#"{{"username":"ada","{}":1,"more":{{"{beside}":1}}}}"#, "n".repeat(long))
    };
    let most = 16 * 1024 - "usernamemore".len();
    let read = |text: String| name(&json("/username"), text.as_bytes());
    assert_eq!(read(body(most - 1 - "usernamemore".len(), "x")), Ok("ada".into()));
    for (long, beside) in
        [(most + 1, "x".to_owned()), (most / 2, "x".repeat(most / 2 + 100)), (1, "x".repeat(20_000))]
    {
        assert!(read(body(long, &beside)).is_err(), "{long}");
    }
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
