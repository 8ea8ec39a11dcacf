//! Times as SAML writes them (SAML core section 1.3.3): `xs:dateTime` in UTC.

pub use crate::values::time::instant;

/// Reads an instant.
pub fn parse(text: &str) -> Option<u64> {
    crate::values::time::parse_rfc3339(text)
}

/// How far two times are apart, for people.
pub fn apart(a: u64, b: u64) -> String {
    let seconds = a.abs_diff(b) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn writes_what_it_reads() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_868_799_000, "2000-02-29T23:59:59Z"),
            (1_795_341_600_999, "2026-11-22T10:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(super::instant(ms), text);
            assert_eq!(super::parse(text), Some(ms / 1000 * 1000));
        }
    }
}
