//! Email addresses: compared trimmed and without regard to ASCII case.
//!
//! Only ASCII letters fold. Unicode case folding and normalisation make look-alikes equal (`K` KELVIN SIGN
//! folds to `k`, `ſ` to `s`), and an attacker who registers the look-alike would get the other's account: every
//! other character is compared byte for byte.

/// The longest address that fits a mailbox (RFC 5321 section 4.5.3.1.3, erratum 1690).
const MAX: usize = 254;

/// The address as it is compared, or `None` where it is none: exactly one `@`, nothing empty, no spaces,
/// control or invisible characters, no empty label in the domain.
pub fn normalise(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if text.len() > MAX || text.chars().any(|c| c.is_whitespace() || super::names::invisible(c)) {
        return None;
    }
    let (local, domain) = text.split_once('@')?;
    if local.is_empty() || domain.contains('@') || domain.split('.').any(str::is_empty) {
        return None;
    }
    Some(text.to_ascii_lowercase())
}

/// The part behind the `@` of a normalised address.
pub fn domain(normalised: &str) -> &str {
    normalised.split_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_trimmed_and_without_case() {
        for text in ["ada@acme.com", " Ada@Acme.COM\t", "\r\nADA@ACME.COM"] {
            assert_eq!(normalise(text).as_deref(), Some("ada@acme.com"), "{text:?}");
        }
        assert_eq!(domain("ada@acme.com"), "acme.com");
        assert_eq!(normalise("jürgen@acme.com").as_deref(), Some("jürgen@acme.com"));
    }

    #[test]
    fn look_alikes_never_match() {
        let kate = normalise("kate.s@acme.com");
        for text in [
            "\u{212a}ate.s@acme.com",
            "kate.\u{17f}@acme.com",
            "kate.s@acme\u{ff0e}com",
            "k\u{430}te.s@acme.com",
        ] {
            assert_ne!(normalise(text), kate, "{text:?}");
        }
        assert_ne!(normalise("j\u{fc}rgen@acme.com"), normalise("ju\u{308}rgen@acme.com"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let at_the_limit = format!("{}@acme.com", "a".repeat(MAX - 9));
        assert!(normalise(&at_the_limit).is_some());
        for text in [
            "",
            " ",
            "ada",
            "@acme.com",
            "ada@",
            "ada@acme@com",
            "ada lovelace@acme.com",
            "ada@acme .com",
            "ada@.com",
            "ada@acme..com",
            "ada@acme.com.",
            "ada\0@acme.com",
            "ada@acme.com\0",
            "ada\u{200b}@acme.com",
            "\u{feff}ada@acme.com",
            "\u{a0}ada@acme.com",
            "ada\n@acme.com",
            &format!("a{at_the_limit}"),
        ] {
            assert_eq!(normalise(text), None, "{text:?}");
        }
    }
}
