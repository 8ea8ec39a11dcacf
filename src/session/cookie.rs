//! Cookies as they come in and go out.

use std::borrow::Cow;

use crate::config::{Cookies, SameSite};

/// Every `name=value` of the `cookie` headers, in order. RFC 6265 section 4.2.1; a quoted value keeps its
/// quotes, and what has no `=` is nobody's cookie.
pub fn pairs<'a>(headers: &'a [&'a [u8]]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
    headers.iter().flat_map(|header| header.split(|b| *b == b';')).filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        Some((name.trim_ascii_end(), value.get(1..)?.trim_ascii_start()))
    })
}

/// True for every cookie of this filter: the session's, its chunks', and those of logins and logouts in
/// progress.
pub fn is_ours(base: &[u8], name: &[u8]) -> bool {
    name.strip_prefix(base).is_some_and(|rest| {
        rest.is_empty()
            || matches!(rest, [b'-', b'1'..=b'9'])
            || rest.starts_with(b"-flow-")
            || rest.starts_with(b"-logout")
    })
}

/// The `cookie` header without this filter's own, which are nothing to the application; `None` where
/// nothing is left. Borrowed where there was nothing of ours.
pub fn without_ours<'a>(base: &[u8], header: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let ours = |pair: &[u8]| {
        let pair = pair.trim_ascii();
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        is_ours(base, name.trim_ascii_end())
    };
    if !header.split(|b| *b == b';').any(ours) {
        return Some(Cow::Borrowed(header));
    }
    let mut left = Vec::with_capacity(header.len());
    for pair in header.split(|b| *b == b';').filter(|pair| !ours(pair)) {
        if !left.is_empty() {
            left.extend(b"; ");
        }
        left.extend(pair.trim_ascii());
    }
    (!left.is_empty()).then_some(Cow::Owned(left))
}

/// How a cookie is set.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    /// `Secure` and `Domain`.
    pub cookies: &'a Cookies,
    /// `SameSite`.
    pub same_site: SameSite,
    /// Seconds; `None`: until the browser closes; 0: delete it.
    pub max_age: Option<u64>,
}

/// A `set-cookie` value.
pub fn set(name: &str, value: &str, attributes: Attributes<'_>) -> String {
    let mut text = format!("{name}={value}; Path=/; HttpOnly");
    if attributes.cookies.secure {
        text.push_str("; Secure");
    }
    text.push_str(match attributes.same_site {
        SameSite::Lax => "; SameSite=Lax",
        SameSite::Strict => "; SameSite=Strict",
        SameSite::None => "; SameSite=None",
    });
    if let Some(domain) = &attributes.cookies.domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if let Some(seconds) = attributes.max_age {
        text.push_str(&format!("; Max-Age={seconds}"));
        if seconds == 0 {
            text.push_str("; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        }
    }
    text
}

/// A `set-cookie` value that deletes.
pub fn delete(name: &str, cookies: &Cookies) -> String {
    set(name, "", Attributes { cookies, same_site: SameSite::Lax, max_age: Some(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_several_headers_are_read_in_order() {
        let headers = [&b"a=1; b=x=y;c = 3"[..], b" ; =; d", b"a=2"];
        let found: Vec<_> = pairs(&headers).collect();
        let wanted: Vec<(&[u8], &[u8])> =
            vec![(b"a", b"1"), (b"b", b"x=y"), (b"c", b"3"), (b"", b""), (b"a", b"2")];
        assert_eq!(found, wanted);
    }

    #[test]
    fn only_our_own_cookies_are_taken_out() {
        for (header, left) in [
            (&b"a=1; sso=x; b=2"[..], Some(&b"a=1; b=2"[..])),
            (b"sso=x; sso-1=y; sso-flow-abc=z", None),
            (b"ssot=1; sso-theme=2; a=sso; SSO=2", Some(b"ssot=1; sso-theme=2; a=sso; SSO=2")),
            (b"sso", None),
            (b" sso =1;\xff=\xfe", Some(b"\xff=\xfe")),
        ] {
            assert_eq!(without_ours(b"sso", header).as_deref(), left, "{header:?}");
        }
        assert!(matches!(without_ours(b"sso", b"a=1; b=2"), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn attributes_follow_the_configuration() {
        let mut cookies = Cookies { name: "__Host-sso".into(), secure: true, same_site: SameSite::Lax, domain: None };
        let attributes = Attributes { cookies: &cookies, same_site: SameSite::Lax, max_age: None };
        assert_eq!(set("__Host-sso", "v", attributes), "__Host-sso=v; Path=/; HttpOnly; Secure; SameSite=Lax");
        assert!(delete("__Host-sso", &cookies).contains("=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0; Expires="));
        cookies.domain = Some("example.com".into());
        cookies.secure = false;
        let attributes = Attributes { cookies: &cookies, same_site: SameSite::Strict, max_age: Some(60) };
        assert_eq!(set("sso", "v", attributes), "sso=v; Path=/; HttpOnly; SameSite=Strict; Domain=example.com; Max-Age=60");
    }
}
