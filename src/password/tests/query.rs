//! What may stand in the query of a login, and how a body is announced.

use super::*;

/// The ruling, or the reason for the log.
fn why(login: &PasswordLogin, method: &str, query: &str) -> Result<HeadRuling, String> {
    let headers = [("content-type".to_owned(), FORM.as_bytes().to_vec())];
    let given = Head {
        method: method.as_bytes(),
        query: Some(query.as_bytes()),
        headers: &headers,
        has_body: method == "POST",
    };
    head(&[Rc::new(login.clone())], &[], &given).map_err(|fault| fault.detail)
}

#[test]
fn with_fields_the_query_of_a_login_holds_nothing_else() {
    let listed = PasswordLogin {
        fields: Some(vec!["username".into(), "lang".into(), "opt".into()]),
        ..form("username")
    };
    for query in ["", "lang=de", "lang", "&&lang=de&", "lang[x]=1", "lang=de&opt[]=1", "l%61ng=de"] {
        assert_eq!(why(&listed, "POST", query), Ok(HeadRuling::ReadBody), "{query}");
    }
    for (query, name) in
        [("next=/a", "next"), ("lang=de&x", "x"), ("x[lang]=1", "x[lang]"), ("Lang=1", "Lang")]
    {
        let refused = format!("a field in the query that fields does not list: {name:?}");
        assert_eq!(why(&listed, "POST", query), Err(refused), "{query}");
        assert_eq!(why(&listed, "GET", query), Ok(HeadRuling::PassUnread), "{query}");
    }
    let long = "x".repeat(200);
    assert!(why(&listed, "POST", &long).unwrap_err().ends_with(&format!(" {:?}", "x".repeat(80))));
}

#[test]
fn the_query_chooses_no_account_and_holds_no_password() {
    let plain = form("username");
    for (method, query, reason) in [
        ("GET", "tenant=x", "choose the account in the query"),
        ("HEAD", "email=x", "choose the account in the query"),
        ("POST", "tenant=x", "list it in fields"),
        ("POST", "password=x", "a password in the query"),
        ("POST", "_method=GET", "changes the method"),
    ] {
        let refused = why(&plain, method, query).unwrap_err();
        assert!(refused.contains(reason), "{method} {query}: {refused}");
    }
    for (method, query, passes) in [
        ("GET", "lang=de", HeadRuling::PassUnread),
        // Such links lead to sign-in pages; nothing is signed in by them.
        ("GET", "password=x", HeadRuling::PassUnread),
        ("POST", "lang=de", HeadRuling::ReadBody),
    ] {
        assert_eq!(why(&plain, method, query), Ok(passes), "{method} {query}");
    }
}

#[test]
fn a_field_of_when_is_not_in_the_query() {
    let by_form = PasswordLogin {
        when: Some(crate::config::When::Form(vec![("action".into(), "login".into())])),
        ..form("username")
    };
    let by_json = PasswordLogin {
        when: Some(crate::config::When::Json(vec![("/op/kind".into(), serde_json::json!("login"))])),
        ..json("/username")
    };
    for (login, query) in [
        (&by_form, "action=logout"),
        (&by_form, "x=1&ACTION"),
        (&by_form, "action[]=x"),
        (&by_json, "op[kind]=x"),
        (&by_json, "op.kind=x"),
    ] {
        assert_eq!(why(login, "POST", query), Err("a field of when in the query".into()), "{query}");
    }
    for query in ["", "lang=de", "actions=x", "kind=x"] {
        assert_eq!(why(&by_form, "POST", query), Ok(HeadRuling::ReadBody), "{query}");
    }
}

#[test]
fn a_request_without_a_body_is_no_conditional_login() {
    let always = form("username");
    let sometimes = PasswordLogin {
        when: Some(crate::config::When::Form(vec![("action".into(), "login".into())])),
        ..form("username")
    };
    let type_of_form: (&str, &[u8]) = ("content-type", FORM.as_bytes());
    for (headers, has_body, conditional, plain) in [
        (vec![type_of_form], false, Ok(HeadRuling::Ordinary), Ok(HeadRuling::ReadBody)),
        (
            vec![type_of_form, ("content-length", b"0")],
            false,
            Ok(HeadRuling::Ordinary),
            Ok(HeadRuling::ReadBody),
        ),
        (vec![type_of_form], true, Ok(HeadRuling::ReadBody), Ok(HeadRuling::ReadBody)),
        (
            vec![type_of_form, ("content-length", b"9")],
            false,
            Ok(HeadRuling::ReadBody),
            Ok(HeadRuling::ReadBody),
        ),
        (
            vec![type_of_form, ("transfer-encoding", b"chunked")],
            false,
            Ok(HeadRuling::ReadBody),
            Ok(HeadRuling::ReadBody),
        ),
    ] {
        assert_eq!(
            ruled(&sometimes, "POST", None, &headers, has_body),
            conditional,
            "{headers:?} {has_body}"
        );
        assert_eq!(ruled(&always, "POST", None, &headers, has_body), plain, "{headers:?} {has_body}");
    }
    for headers in [("content-length", &b"9"[..]), ("transfer-encoding", b"chunked")] {
        assert_eq!(ruled(&always, "GET", None, &[headers], false), Err((Code::UsernameUnreadable, 400)));
    }
    assert_eq!(ruled(&always, "GET", None, &[("content-length", b"0")], false), Ok(HeadRuling::PassUnread));
}

#[test]
fn a_body_has_a_thousand_names_at_most() {
    use crate::password::beside::Beside;
    let login = form("username");
    let mut beside = Beside::new(&login);
    for n in 0..1_000 {
        assert_eq!(beside.top_level(&format!("note{n}")), Ok(false), "{n}");
    }
    assert_eq!(beside.top_level("note"), Err("more than 1000 fields".into()));
}
