use super::*;

/// An oracle that says nothing would let everything pass: on these the applications differ.
#[test]
fn applications_differ_where_they_do() {
    let distinct = |taken: Taken| {
        let names: std::collections::BTreeSet<_> = taken.into_iter().map(|(_, name)| name).collect();
        names.len()
    };
    for (body, field) in [
        ("username=ada&username=eve", "username"),
        ("username=ada;username=eve", "username"),
        ("username=ada&USERNAME=eve", "username"),
        ("username=ada&username[]=eve", "username"),
        ("username=ada&username%00x=eve", "username"),
        ("username=ada&+username=eve", "username"),
        ("username=%u0061da", "username"),
        ("username=ad%a", "username"),
        ("user[name]=ada&user.name=eve", "user[name]"),
        ("user.name=ada&user_name=eve", "user.name"),
        ("user.name=ada&user[name]=eve", "user.name"),
    ] {
        assert!(distinct(form_usernames(body.as_bytes(), field)) > 1, "{body}");
    }
    for (body, field) in [
        (r#"{"username":"ada","username":"eve"}"#, "/username"),
        (r#"{"username":"ada","UserName":"eve"}"#, "/username"),
        (r#"{"username":"ada","u\u017fername":"eve"}"#, "/username"),
        (r#"{"username":"ada","username\u0000":"eve"}"#, "/username"),
        (r#"{"username":"ada\u0000eve"}"#, "/username"),
        (r#"{"username":"ada",'username':"eve"}{"username":"ada"}"#, "/username"),
        (r#"{"username":"ada","user_name":"eve"}"#, "/username"),
        (r#"{"user":{"name":"ada"},"user.name":"eve"}"#, "/user/name"),
        (r#"{"user":{"name":"ada"},"user":{"name":"eve"}}"#, "/user/name"),
    ] {
        let taken = json_usernames(body.as_bytes(), field);
        let one_reads = taken.len() < STYLES.len();
        assert!(distinct(taken) > 1 || one_reads && body.contains("}{"), "{body}");
    }
    assert_eq!(distinct(form_usernames(b"username=ada&password=x", "username")), 1);
    assert_eq!(distinct(json_usernames(br#"{"username":"ada","password":"x"}"#, "/username")), 1);
}
