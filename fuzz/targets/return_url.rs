//! Where a person goes after signing in: never to another origin.

use envoy_sso::config::Origin;
use envoy_sso::exchange::return_to;
use url::Url;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for origin in ["app.example.com", "app.example.com:8443"] {
        let origin = Origin { scheme: "https".into(), authority: origin.into() };
        let Ok(target) = return_to::check(text, &origin) else { continue };
        holds(&target, &origin);
        // What was made of it is as good as what came.
        assert_eq!(return_to::check(&target, &origin).as_deref(), Ok(&*target), "{text:?}");
    }
}

fn holds(target: &str, origin: &Origin) {
    assert!(target.len() <= return_to::MAX, "{} bytes", target.len());
    assert!(target.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'), "{target:?}");
    let base = Url::parse(&origin.to_string()).unwrap();
    // A browser follows it; an application may decode it first, once or twice.
    let mut read = target.to_owned();
    for _ in 0..3 {
        let mut bytes = read.bytes();
        assert_eq!(bytes.next(), Some(b'/'), "{target:?}");
        assert!(!matches!(bytes.next(), Some(b'/' | b'\\' | b'\t' | b'\n' | b'\r')), "{target:?}");
        for from in ["/", "/sso/login", "/a/b/c?d"] {
            let there = base.join(from).unwrap().join(&read).unwrap();
            assert_eq!(there.origin(), base.origin(), "{target:?}");
            assert!(there.username().is_empty() && there.password().is_none(), "{target:?}");
        }
        read = super::applications::percent(read.as_bytes());
    }
}
