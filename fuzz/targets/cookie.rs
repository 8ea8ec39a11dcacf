//! Cookies: nothing opens that was not sealed here, and the application loses none of its own.
//!
//! Input that begins with `{` is a session's JSON; any other is `cookie` headers, one a line, in which
//! `$session`, `$flow`, `$large` and `$other` stand for envelopes that were sealed here.

use std::collections::BTreeSet;

use std::rc::Rc;

use envoy_sso::config::{Cookies, SameSite};
use envoy_sso::http::{CookieEdit, Found, Head, Jar};
use envoy_sso::session::{set_cookies, KeyRing, Purpose, Session};

use super::host::Still;

const NAME: &str = "__Host-sso";
const PURPOSES: [Purpose; 4] = [Purpose::Session, Purpose::LoginState, Purpose::Logout, Purpose::Form];

fn keys() -> KeyRing {
    KeyRing::new(vec![("new".into(), [1; 32]), ("old".into(), [2; 32])])
}

fn cookies() -> Cookies {
    Cookies { name: NAME.into(), secure: true, same_site: SameSite::Lax, domain: None, persistent: false }
}

pub fn run(data: &[u8]) {
    match data.first() {
        Some(b'{') => session(data),
        _ => headers(data),
    }
}

/// What was sealed here: purpose, account, content, envelope.
fn sealed() -> Vec<(Purpose, &'static str, Vec<u8>, String)> {
    let host = Still::default();
    let seal = |keys: KeyRing, purpose, account, plain: Vec<u8>| {
        let text = keys.seal(&host, purpose, account, &plain).unwrap();
        (purpose, account, plain, text)
    };
    let old = KeyRing::new(vec![("old".into(), [2; 32])]);
    let stranger = KeyRing::new(vec![("new".into(), [9; 32])]);
    let mut all = vec![
        seal(keys(), Purpose::Session, "acme", b"a session".to_vec()),
        seal(keys(), Purpose::LoginState, "acme", b"a flow".to_vec()),
        seal(old, Purpose::Session, "beta", vec![b'x'; 4000]),
    ];
    all.push(seal(stranger, Purpose::Session, "acme", b"a session".to_vec()));
    all
}

fn headers(data: &[u8]) {
    let sealed = sealed();
    let mut text = data.to_vec();
    for (name, (_, _, _, envelope)) in ["$session", "$flow", "$large", "$other"].iter().zip(&sealed) {
        // The large one as a browser sends it; `$large` alone stands for all of its cookies.
        let envelope = match *name {
            "$large" => request(envelope).split_once('=').map(|(_, rest)| rest.to_owned()).unwrap(),
            _ => envelope.clone(),
        };
        text = replace(&text, name.as_bytes(), envelope.as_bytes());
    }
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    let head = |lines: &[&[u8]]| {
        let cookies = lines.iter().map(|line| ("cookie".to_owned(), line.to_vec()));
        Rc::new(Head::new(cookies.collect(), true))
    };
    let sent = head(&lines);
    let jar = sent.jar(NAME);
    if let Found::Sealed(envelope) = jar.session() {
        if let Ok(envelope) = std::str::from_utf8(&envelope) {
            for purpose in PURPOSES {
                let Some((account, plain)) = keys().open(purpose, envelope) else { continue };
                let ours = |(p, a, content, text): &(Purpose, &str, Vec<u8>, String)| {
                    *p == purpose && *a == account && *content == plain && text == envelope
                };
                assert!(sealed.iter().take(3).any(ours), "forged: {envelope}");
            }
        }
    }
    for (name, value) in jar.beginning(b"__Host-sso-") {
        assert!(name.starts_with(b"__Host-sso-"));
        assert!(jar.named(name).any(|other| other == value));
    }
    // RFC 6265 section 5.4, read anew: what is not ours reaches the application, in order.
    let pairs = |lines: &[&[u8]]| -> Vec<Vec<u8>> {
        let pairs = lines.iter().flat_map(|line| line.split(|b| *b == b';'));
        pairs.map(|pair| pair.trim_ascii().to_vec()).filter(|pair| !pair.is_empty()).collect()
    };
    let theirs: Vec<Vec<u8>> = pairs(&lines).into_iter().filter(|pair| !is_ours(pair)).collect();
    let any = pairs(&lines).iter().any(|pair| is_ours(pair));
    let edit = jar.edit(&sent);
    match (&edit, edit.left()) {
        (CookieEdit::Keep, _) => assert!(!any, "ours goes to the application"),
        (_, None) => assert!(any && theirs.is_empty(), "theirs are lost: {theirs:?}"),
        (_, Some(rest)) => {
            assert!(any);
            assert_eq!(pairs(&[rest]), theirs);
            let left = head(&[rest]);
            assert!(matches!(left.jar(NAME).edit(&left), CookieEdit::Keep));
        }
    }
}

fn is_ours(pair: &[u8]) -> bool {
    let name = pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
    let Some(rest) = name.strip_prefix(NAME.as_bytes()) else { return false };
    let chunk = matches!(rest, [] | [b'-', b'1'..=b'9']);
    chunk || rest.starts_with(b"-flow-") || rest.starts_with(b"-logout")
}

/// Sealed, cut into cookies, sent back in another order and opened, a session is the same.
fn session(json: &[u8]) {
    let Ok(session) = serde_json::from_slice::<Session>(json) else { return };
    let plain = serde_json::to_vec(&session).unwrap();
    assert_eq!(serde_json::from_slice::<Session>(&plain).unwrap(), session);
    let Ok(envelope) = keys().seal(&Still::default(), Purpose::Session, "acme", &plain) else { return };
    let mut sent: Vec<String> = request(&envelope).split("; ").map(str::to_owned).collect();
    let names: BTreeSet<_> = sent.iter().map(|pair| pair.split('=').next()).collect();
    assert_eq!(names.len(), sent.len());
    sent.reverse();
    let header = sent.join("; ");
    let jar = Jar::read(NAME.as_bytes(), [header.as_bytes()].into_iter());
    let Found::Sealed(found) = jar.session() else { panic!("not found again: {header}") };
    assert_eq!(std::str::from_utf8(&found), Ok(&*envelope));
    assert_eq!(keys().open(Purpose::Session, &envelope), Some(("acme".into(), plain)));
    for cookie in set_cookies(&cookies(), &envelope, 0) {
        assert!(cookie.len() <= 4096, "browsers keep 4096 bytes, this one has {}", cookie.len());
    }
    if sent.len() > 1 {
        let short = Jar::read(NAME.as_bytes(), sent[1..].iter().map(|s| s.as_bytes()));
        assert_eq!(short.session(), Found::Broken, "a chunk is missing");
    }
}

/// As a browser sends it back.
fn request(envelope: &str) -> String {
    let pairs = set_cookies(&cookies(), envelope, 0);
    pairs.iter().filter_map(|c| c.split(';').next()).collect::<Vec<_>>().join("; ")
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(after) => {
                out.extend_from_slice(to);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}
