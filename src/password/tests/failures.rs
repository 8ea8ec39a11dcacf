//! Failed logins: what counts as one, by which name, in which window.
use super::*;

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
