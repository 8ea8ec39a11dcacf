//! Times as SAML writes them (SAML core section 1.3.3): `xs:dateTime` in UTC.

/// `2026-11-22T10:00:00Z`, with milliseconds dropped.
pub fn instant(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1970 to a Gregorian date, counted from March so that leap days come last.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Reads an instant.
pub fn parse(text: &str) -> Option<u64> {
    crate::identity::time::parse_rfc3339(text)
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
