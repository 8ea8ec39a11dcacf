//! Escapes of `application/x-www-form-urlencoded` (WHATWG URL section 5.1), read strictly.

/// A name or a value as text; `Err` says why it is none.
pub fn decode(escaped: &[u8]) -> Result<String, String> {
    let bytes = unescape(escaped).ok_or("a broken percent escape")?;
    String::from_utf8(bytes).map_err(|_| "not UTF-8".into())
}

/// `+` and `%XX`; `None` where a `%` escapes nothing.
pub fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => *byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_or_refused() {
        for (escaped, text) in [
            ("", Some("")),
            ("a+b", Some("a b")),
            ("a%2Bb%2b", Some("a+b+")),
            ("%C3%ab", Some("\u{eb}")),
            ("%00", Some("\0")),
            ("%2541", Some("%41")),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%+4", None),
            ("%u0041", None),
            ("%ff", None),
            ("%c3", None),
        ] {
            assert_eq!(decode(escaped.as_bytes()).ok().as_deref(), text, "{escaped}");
        }
        assert_eq!(decode(b"\xff").ok(), None);
        assert_eq!(unescape(b"%ff"), Some(vec![0xff]));
    }
}
