//! What holds for sealed cookies.

use serde_json::{json, Value};

use super::*;
use crate::http::{Found, Jar};
use crate::testing::browser::{filter_state, with_account};
use crate::testing::TestHost;

fn keys() -> KeyRing {
    KeyRing::new(vec![("new".into(), [1; 32]), ("old".into(), [2; 32])])
}

#[test]
fn an_envelope_opens_for_its_purpose_account_and_key_only() {
    let host = TestHost::new();
    let sealed = keys().seal(&*host, Purpose::Session, "acme", b"content").unwrap();
    assert_eq!(keys().open(Purpose::Session, &sealed), Some(("acme".into(), b"content".to_vec())));
    for purpose in [Purpose::LoginState, Purpose::Logout, Purpose::Form] {
        assert_eq!(keys().open(purpose, &sealed), None, "{purpose:?}");
    }
    for (from, to) in [
        (".acme.", ".acmf."),
        ("1.new.", "1.old."),
        ("1.new.", "1.none."),
        ("1.new.", "2.new."),
        (".1.acme", ".2.acme"),
    ] {
        assert!(sealed.contains(from));
        assert_eq!(keys().open(Purpose::Session, &sealed.replacen(from, to, 1)), None, "{from} -> {to}");
    }
    let other = KeyRing::new(vec![("new".into(), [3; 32])]);
    assert_eq!(other.open(Purpose::Session, &sealed), None);
}

#[test]
fn every_key_opens_and_the_first_seals() {
    let host = TestHost::new();
    let before = KeyRing::new(vec![("old".into(), [2; 32])]);
    let sealed = before.seal(&*host, Purpose::Session, "a", b"x").unwrap();
    assert!(keys().open(Purpose::Session, &sealed).is_some());
    assert!(keys().is_old(&sealed));
    let sealed = keys().seal(&*host, Purpose::Session, "a", b"x").unwrap();
    assert!(!keys().is_old(&sealed));
    assert!(before.open(Purpose::Session, &sealed).is_none());
    assert!(KeyRing::new(Vec::new()).seal(&*host, Purpose::Session, "a", b"x").is_err());
}

#[test]
fn no_byte_can_be_changed_and_no_nonce_repeats() {
    let host = TestHost::new();
    let sealed = keys().seal(&*host, Purpose::Session, "a", b"content").unwrap();
    for i in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
        assert_eq!(keys().open(Purpose::Session, &String::from_utf8(bytes).unwrap()), None, "byte {i}");
    }
    for cut in 0..sealed.len() {
        assert_eq!(keys().open(Purpose::Session, &sealed[..cut]), None, "cut at {cut}");
    }
    assert_ne!(sealed, keys().seal(&*host, Purpose::Session, "a", b"content").unwrap());
}

fn cookies() -> Cookies {
    Cookies {
        name: "sso".into(),
        secure: false,
        same_site: crate::config::SameSite::Lax,
        domain: None,
        persistent: false,
    }
}

/// The cookies as a browser sends them back.
fn header(sealed: &str) -> String {
    let pairs = set_cookies(&cookies(), sealed, 0);
    pairs.iter().map(|c| c.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[test]
fn sessions_of_every_size_come_back_whole_and_the_boundary_is_exact() {
    let host = TestHost::new();
    let mut counts = std::collections::BTreeSet::new();
    for size in (0..11_200).step_by(97).chain(2790..2860).chain(5640..5710) {
        let sealed = keys().seal(&*host, Purpose::Session, "a", &vec![7; size]).unwrap();
        let header = header(&sealed);
        counts.insert(header.split("; ").count());
        assert!(header.split("; ").all(|c| c.len() < 4096 - 100), "{size}");
        let Found::Sealed(found) = Jar::read(b"sso", [header.as_bytes()].into_iter()).session() else {
            panic!("{size}")
        };
        assert_eq!(&*found, sealed.as_bytes());
        assert_eq!(
            keys().open(Purpose::Session, std::str::from_utf8(&found).unwrap()).unwrap().1.len(),
            size
        );
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(keys().seal(&*host, Purpose::Session, "a", &vec![7; 12_000]).is_err(), "more than four cookies");
}

#[test]
fn missing_swapped_foreign_and_double_chunks_are_no_session() {
    let host = TestHost::new();
    let sealed = keys().seal(&*host, Purpose::Session, "a", &vec![7; 6000]).unwrap();
    let other = keys().seal(&*host, Purpose::Session, "a", &vec![8; 6000]).unwrap();
    let whole = header(&sealed);
    let parts: Vec<&str> = whole.split("; ").collect();
    let foreign: Vec<String> = header(&other).split("; ").map(str::to_owned).collect();
    let opens = |header: String| match Jar::read(b"sso", [header.as_bytes()].into_iter()).session() {
        Found::Sealed(found) => keys().open(Purpose::Session, std::str::from_utf8(&found).unwrap()).is_some(),
        _ => false,
    };
    assert!(opens(parts.join("; ")));
    assert!(opens(format!("{whole}; sso-7=left; {}", parts[1])), "the same twice, and one left over");
    assert!(!opens(parts[0].into()));
    assert!(!opens(parts[1..].join("; ")));
    assert!(!opens(
        whole.replace("sso-1=", "sso-x=").replace("sso-2=", "sso-1=").replace("sso-x=", "sso-2=")
    ));
    assert!(!opens(format!("{}; {}; {}", parts[0], foreign[1], parts[2])));
    assert!(!opens(format!("{whole}; {}", foreign[0])), "two different ones of one name");
    assert_eq!(Jar::read(b"sso", [&b"sso-1=x"[..]].into_iter()).session(), Found::Broken);
    assert_eq!(Jar::read(b"sso", [&b"a=b"[..]].into_iter()).session(), Found::Nothing);
    assert_eq!(Jar::read(b"sso", [&b"sso=\xff\xff"[..]].into_iter()).session(), Found::Broken);
    assert_eq!(Jar::read(b"sso", [&b"sso="[..]].into_iter()).session(), Found::Broken);
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Ada's session, which began a million milliseconds after 1970.
fn opened() -> Session {
    serde_json::from_value(json!({
        "s": "an id", "u": {"u": "ada", "o": "i"}, "m": "sso", "b": 1_000_000, "l": 1_000_000, "c": 1_000_000,
    }))
    .unwrap()
}

#[test]
fn the_provider_is_asked_before_a_forwarded_token_expires() {
    let due = |forward: Value, access_token: Option<&str>, expires: Option<u64>| {
        let mut configuration = with_account(json!({ "forward": forward }));
        configuration["session"]["recheck"] = json!("10m");
        let state = filter_state(&TestHost::new(), &configuration);
        let tokens = Tokens {
            access_token: access_token.map(secret),
            refresh_token: Some(secret("r")),
            access_expires: expires,
            ..Tokens::default()
        };
        let session = Session { tokens, ..opened() };
        session.renewal_due(&state.config.session, &state.config.accounts[0])
    };
    let forwarded = || json!({ "access_token": "authorization" });
    let aged = 1_000_000 + 600_000;
    // Half a minute before it expires, but no earlier than after three quarters of its life.
    assert_eq!(due(forwarded(), Some("t"), Some(1_000_000 + 300_000)), 1_000_000 + 270_000);
    assert_eq!(due(forwarded(), Some("t"), Some(1_000_000 + 40_000)), 1_000_000 + 30_000);
    assert_eq!(due(forwarded(), Some("t"), Some(1_000_000 + 900_000)), aged);
    // What the application does not get may expire.
    for (forward, token, expires) in [
        (json!({}), Some("t"), Some(1_000_000 + 40_000)),
        (forwarded(), None, Some(1_000_000 + 40_000)),
        (forwarded(), Some("t"), None),
    ] {
        assert_eq!(due(forward, token, expires), aged);
    }
}

#[test]
fn the_log_names_whose_session_it_is() {
    let mut session = opened();
    let place = |session: &Session| {
        let place = session.place(Place { account: Some("acme"), ..Place::default() });
        format!("{:?} {:?} {:?}", place.account, place.provider, place.user)
    };
    assert_eq!(place(&session), "Some(\"acme\") None Some(\"ada\")");
    session.origin.provider = "corp".into();
    assert_eq!(place(&session), "Some(\"acme\") Some(\"corp\") Some(\"ada\")");
}
