//! Where a person goes after signing in or out: a path on the origin that was asked, rebuilt, never
//! echoed. Open redirects have come through `//`, `/\`, tabs and newlines, `@`, other schemes, userinfo
//! and double encoding (oauth2-proxy GHSA-4mf2-f3wh-gvf2, GHSA-j7px-6hwj-hpjg; mod_auth_openidc CVE-2021-32786).

use url::Url;

use crate::config::Origin;
use crate::fault::{Code, Fault};
use crate::http::Head;

/// The longest target that is kept: it travels in a sealed cookie.
pub const MAX: usize = 2000;

/// A path and query on this origin, out of a path or an absolute URL of the same origin.
pub fn check(text: &str, origin: &Origin) -> Result<String, Fault> {
    let refused = |why: &str| Fault::new(Code::ReturnToRefused, format!("return_to {why}"));
    if text.len() > MAX {
        return Err(refused("is too long"));
    }
    if is_plain(text) {
        return Ok(text.to_owned());
    }
    // URL parsers drop or trim these, so two of them read two URLs.
    if text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) || text.chars().any(char::is_whitespace) {
        return Err(refused("has white space, control characters or backslashes"));
    }
    let base = Url::parse(&origin.to_string()).map_err(|_| refused("has no origin to be on"))?;
    let url = if text.starts_with('/') {
        if begins_like_a_host(text) {
            return Err(refused("begins like a host"));
        }
        base.join(text).map_err(|_| refused("is not a path"))?
    } else {
        Url::parse(text).map_err(|_| refused("is neither a path nor a URL"))?
    };
    if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("is on another origin"));
    }
    if begins_like_a_host(url.path()) {
        return Err(refused("begins like a host"));
    }
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target.push('?');
        target.push_str(query);
    }
    // Escaping makes up to three bytes of one; a flow cookie of more than a browser keeps would be lost.
    if target.len() > MAX {
        return Err(refused("is too long once it is escaped"));
    }
    Ok(target)
}

/// True if a URL parser would leave the text as it is: a path without empty or dot segments and escapes, and a query, of bytes
/// that stand for themselves. Most targets are of that kind, and the parser costs more than all the rest of a redirect.
fn is_plain(text: &str) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let bytes = path.as_bytes();
    let is_unreserved = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    bytes.first() == Some(&b'/')
        && bytes.iter().all(|b| is_unreserved(b) || *b == b'/')
        && !bytes.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
        && query.bytes().all(|b| is_unreserved(&b) || b"=&+%,:;@/?!$*()".contains(&b))
}

/// Path and query of a request, as text. Browsers send `\` and other bytes of a query as they are (WHATWG URL);
/// there, where they lead nowhere, they are escaped.
pub fn sent(head: &Head) -> String {
    let mut text = String::from_utf8_lossy(head.path()).into_owned();
    if let Some(query) = head.query() {
        text.push('?');
        for byte in query {
            match byte {
                b'!'..=b'~' if *byte != b'\\' => text.push(char::from(*byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

/// `//host`, `/\host`, and what becomes one of them after decoding several times.
fn begins_like_a_host(path: &str) -> bool {
    let mut text: String = path.chars().take(64).collect();
    for _ in 0..4 {
        if matches!(text.as_bytes(), [b'/', b'/' | b'\\' | 0..=b' ', ..]) {
            return true;
        }
        let decoded = crate::http::path::decode(&text);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { scheme: "https".into(), authority: "app.example.com".into() }
    }

    #[test]
    fn targets_on_the_same_origin_are_rebuilt() {
        for (text, wanted) in [
            ("/", "/"),
            ("/reports?q=1&r=%2F%2Fx", "/reports?q=1&r=%2F%2Fx"),
            ("/a/../b#c", "/b"),
            ("https://app.example.com/x?y", "/x?y"),
            ("https://APP.example.com:443", "/"),
            ("/a//b", "/a//b"),
            ("/@evil.com", "/@evil.com"),
            ("/caf\u{e9}", "/caf%C3%A9"),
        ] {
            assert_eq!(check(text, &origin()).unwrap(), wanted, "{text}");
        }
        let longest = format!("/{}", "\u{e9}".repeat((MAX - 1) / 6));
        assert!(check(&longest, &origin()).is_ok_and(|target| target.len() > MAX - 6));
    }

    #[test]
    fn the_url_parser_leaves_plain_targets_as_they_are() {
        let base = Url::parse("https://app.example.com").unwrap();
        let alphabet = b"/.?%2e\\a:@#=";
        let (mut plain, length) = (0, alphabet.len());
        for n in 0..length.pow(5) {
            let letters = (0..5).map(|place| char::from(alphabet[n / length.pow(place) % length]));
            let text: String = std::iter::once('/').chain(letters).collect();
            if is_plain(&text) {
                plain += 1;
                let url = base.join(&text).unwrap();
                let kept =
                    url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
                assert_eq!((url.host_str(), kept.as_str()), (Some("app.example.com"), text.as_str()));
                assert!(!begins_like_a_host(&text), "{text}");
            }
        }
        assert!(plain > 1_000);
        for text in [
            "",
            "a",
            "?/",
            "//",
            "/./",
            "/..",
            "/.a",
            "/a/.",
            "/a%2e",
            "/a?#",
            "/a?'",
            "/a?\u{e9}",
            "/\u{e9}",
            "/a b",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_was_asked_for_is_kept_as_browsers_send_it() {
        for (target, wanted) in [
            (&b"/reports?q=1"[..], Some("/reports?q=1")),
            (b"/reports?p=C:\\temp&x=1", Some("/reports?p=C:%5Ctemp&x=1")),
            (b"/reports?q=\xc3\xab\xff", Some("/reports?q=%C3%AB%FF")),
            (b"/reports?q=//evil.com", Some("/reports?q=//evil.com")),
            (b"/rep\\orts?q=1", None),
            (b"//evil.com/..;/strong/x", None),
            (b"/\\evil.com?q=1", None),
            (b"https://evil.com/?q=1", None),
        ] {
            let headers = vec![(":path".to_owned(), target.to_vec())];
            let kept = check(&sent(&Head::new(headers, true)), &origin()).ok();
            assert_eq!(kept.as_deref(), wanted, "{target:?}");
        }
    }

    #[test]
    fn every_way_to_another_origin_is_refused() {
        let long = format!("/{}", "a".repeat(MAX));
        let long_escaped = format!("/{}", "\u{e9}".repeat(MAX / 6 + 1));
        for text in [
            "//evil.com",
            "///evil.com",
            "/\\evil.com",
            "\\/evil.com",
            "/\t/evil.com",
            "/\n/evil.com",
            "\t//evil.com",
            " //evil.com",
            "https://evil.com",
            "https:evil.com",
            "https:/evil.com",
            "http://app.example.com/",
            "https://app.example.com:444/",
            "https://app.example.com@evil.com/",
            "https://user@app.example.com/",
            "https://user:p@app.example.com/",
            "https://app.example.com.evil.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "evil.com",
            "",
            "?q=1",
            "#x",
            "/%2fevil.com",
            "/%2Fevil.com",
            "/%5cevil.com",
            "/%252fevil.com",
            "/%09/evil.com",
            "/%2509/evil.com",
            "/./%2fevil.com",
            "/.//evil.com",
            "/..//evil.com",
            "/a/..//evil.com",
            "https://app.example.com//evil.com",
            "/\u{a0}/evil.com",
            "/\u{2028}x",
            "ftp://app.example.com/",
            &long,
            &long_escaped,
        ] {
            let refused = check(text, &origin());
            assert_eq!(refused.map_err(|f| f.code), Err(Code::ReturnToRefused), "{text:?}");
        }
    }
}
