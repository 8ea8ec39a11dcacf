//! Limits to the byte, names that are indexes, and bodies that `when` takes for the login or for another request.

use super::*;
use crate::config::When;
use crate::password::json::find;
use crate::password::names;

/// Names of so many bytes in all, none longer than 200.
fn names_of(bytes: usize) -> Vec<String> {
    let (whole, rest) = (bytes / 200, bytes % 200);
    let mut all: Vec<String> = (0..whole).map(|n| format!("{n:x<200}")).collect();
    all.extend((rest > 0).then(|| "z".repeat(rest)));
    assert_eq!(all.iter().map(String::len).sum::<usize>(), bytes);
    all
}

#[test]
fn names_beside_the_username_have_a_limit_in_bytes() {
    const LIMIT: usize = 16 * 1024;
    for (bytes, passes) in [(LIMIT, true), (LIMIT + 1, false)] {
        let mut body = String::from("username=ada");
        names_of(bytes).iter().for_each(|name| body.push_str(&format!("&{name}=")));
        assert_eq!(username(&form("username"), body.as_bytes()).is_ok(), passes, "form {bytes}");
        // An object's names count with the one that is looked for.
        let beside = names_of(bytes - "username".len()).into_iter().map(|name| (name, true.into()));
        let object = beside.chain([("username".to_owned(), "ada".into())]).collect();
        assert_eq!(find(&object, "/username").is_ok(), passes, "JSON {bytes}");
    }
}

#[test]
fn an_index_is_no_name() {
    assert_eq!(names::path("user[0]"), ["user"]);
    assert_eq!(names::path("user[]"), ["user"]);
    assert_eq!(names::path("user[0][name]"), ["user", "name"]);
    assert_eq!(names::path("user[0a]"), ["user", "0a"]);
}

#[test]
fn when_tells_the_login_from_other_requests_at_its_path() {
    let conditional =
        |username: UsernameField, when: When| Rc::new(PasswordLogin { when: Some(when), ..login(username) });
    let logins = [
        conditional(
            UsernameField::Form("username".into()),
            When::Form(vec![("action".into(), "login".into())]),
        ),
        conditional(
            UsernameField::Json("/username".into()),
            When::Json(vec![("/action".into(), "login".into())]),
        ),
    ];
    let found = |kind: &str, body: &str| {
        let headers = [("content-type".to_owned(), kind.as_bytes().to_vec())];
        let head = Head { method: b"POST", query: None, headers: &headers, has_body: true };
        match read(&logins, &[], &head, body.as_bytes()) {
            Ok(Reading::Login(_, name)) => Ok(Some(name.as_str().to_owned())),
            Ok(Reading::Ordinary) => Ok(None),
            Err(fault) => Err(fault.code),
        }
    };
    let ada = || Ok(Some("ada".to_owned()));
    assert_eq!(found(FORM, "username=ada&action=login"), ada());
    assert_eq!(found(FORM, "username=ada&action=search"), Ok(None));
    assert_eq!(found(FORM, "username=ada"), Ok(None));
    assert_eq!(found(FORM, "username=ada&action=LOGIN"), Err(Code::UsernameUnreadable));
    assert_eq!(found(JSON, r#"{"username":"ada","action":"login"}"#), ada());
    assert_eq!(found(JSON, r#"{"username":"ada","action":"search"}"#), Ok(None));
    assert_eq!(found(JSON, r#"{"username":"ada"}"#), Ok(None));
}
