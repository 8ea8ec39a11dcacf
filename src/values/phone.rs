//! Phone numbers: compared as international numbers.
//!
//! Spaces, dots, dashes and parentheses are dropped, `00` at the start is read as `+`, and a number
//! without a country code is read with `default_country_code`. Nothing else is guessed: a national trunk
//! prefix (the `0` of `020 7946 0958`) is kept, because some countries dial it from abroad and others do
//! not, and a dropped digit could be another person's number. Both sides are read the same way, so a
//! national number matches the same national number, and never another user's.

/// The number as `+` and 5 to 15 ASCII digits (ITU-T E.164), or `None` where it is none. A leading `tel:`
/// is what RFC 7643 section 4.1.2 makes directories store.
pub fn normalise(text: &str, default_country_code: Option<&str>) -> Option<String> {
    if text.len() > 64 {
        return None;
    }
    let text = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => text.get(4..)?,
        _ => text,
    };
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')')).collect();
    let digits = if let Some(rest) = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")) {
        rest.to_owned()
    } else {
        format!("{}{}", default_country_code.filter(|_| !bare.is_empty())?, bare)
    };
    let known = digits.bytes().all(|b| b.is_ascii_digit()) && (5..=15).contains(&digits.len());
    // No country code begins with 0.
    (known && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

/// How many digits of an international number are its country code (ITU-T E.164 list of country codes).
pub fn country_code_len(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_of_one_number_are_one_number() {
        for text in [
            "+8613800000000",
            "+86 138 0000 0000",
            "+86-138-0000-0000",
            "+86 (138) 0000.0000",
            "008613800000000",
            "00 86 138 0000 0000",
            "138 0000 0000",
            "(138)0000-0000",
            "tel:+86-138-0000-0000",
            "TEL:+8613800000000",
            " +8613800000000 ",
        ] {
            assert_eq!(normalise(text, Some("86")).as_deref(), Some("+8613800000000"), "{text:?}");
        }
        assert_eq!(normalise("138 0000 0000", None), None);
        assert_eq!(normalise("+86 138 0000 0000", None).as_deref(), Some("+8613800000000"));
    }

    #[test]
    fn a_trunk_zero_is_kept_on_both_sides() {
        assert_eq!(normalise("020 7946 0958", Some("44")).as_deref(), Some("+4402079460958"));
        assert_ne!(normalise("020 7946 0958", Some("44")), normalise("+44 20 7946 0958", Some("44")));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(normalise("+12345", None).is_some() && normalise("+123456789012345", None).is_some());
        for text in [
            "",
            " ",
            "+",
            "00",
            "()",
            "+1234",
            "+1234567890123456",
            "+0 123 456 789",
            "000123456789",
            "12+345678",
            "++8613800000000",
            "+86138000000x",
            "+86 138 0000 0000 ext 5",
            "tel:+8613800000000;ext=5",
            "\u{ff0b}8613800000000",
            "+\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
            "+86\u{a0}138 0000 0000",
            "+86\t13800000000",
            "ada@acme.com",
        ] {
            assert_eq!(normalise(text, Some("86")), None, "{text:?}");
        }
    }

    #[test]
    fn country_codes_have_one_to_three_digits() {
        for (digits, len) in [
            ("12015550123", 1),
            ("79001234567", 1),
            ("8613800000000", 2),
            ("442079460958", 2),
            ("35312345678", 3),
            ("85212345678", 3),
            ("97112345678", 3),
        ] {
            assert_eq!(country_code_len(digits), len, "{digits}");
        }
    }
}
