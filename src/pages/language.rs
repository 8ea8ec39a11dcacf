//! Which language a reader gets, of those that the configuration has.

use super::look::Look;

use crate::values::order;

/// The most language ranges of a request that are looked at: browsers send a handful.
const MAX_RANGES: usize = 32;

/// Whether a text can be a language tag (RFC 5646 section 2.1): letters, digits and hyphens, so that it
/// cannot break out of `lang="…"`.
pub fn is_language(tag: &str) -> bool {
    (2..=35).contains(&tag.len())
        && tag
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The language of `texts` and of what is built in.
pub(super) fn own(pages: &Look) -> &str {
    pages.language.as_deref().filter(|tag| is_language(tag)).unwrap_or("en")
}

/// The translation that is asked for (RFC 9110 section 12.5.4); `None`: the configuration's own language, or
/// none that is there.
pub(super) fn choose<'a>(pages: &'a Look, accept: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a str> {
    let mut ranges: Vec<(&str, u16)> = accept
        .into_iter()
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .take(MAX_RANGES)
        .collect();
    // Stable: equally good ones stay in the order they were written in.
    order::sort_by_key(&mut ranges, |(_, quality)| std::cmp::Reverse(*quality));
    let tags = || pages.translations.keys().map(String::as_str);
    for (range, _) in ranges {
        if range == "*" {
            return None;
        }
        // RFC 4647 section 3.4, Lookup: `de-CH-1996` is served by `de-CH`, then by `de` …
        let mut shorter = Some(range);
        while let Some(wanted) = shorter {
            if let Some(tag) = tags().find(|tag| tag.eq_ignore_ascii_case(wanted)) {
                return Some(tag);
            }
            if own(pages).eq_ignore_ascii_case(wanted) {
                return None;
            }
            shorter = wanted.rsplit_once('-').map(|(before, _)| before);
        }
        // … and by a sister, `de` by `de-AT`: better than another language.
        let language = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        if language(own(pages)) == language(range) {
            return None;
        }
        if let Some(tag) = tags().find(|tag| language(tag) == language(range)) {
            return Some(tag);
        }
    }
    None
}

/// One language range and its quality in thousandths; `None` where it is refused (`q=0`) or broken.
fn range(text: &str) -> Option<(&str, u16)> {
    let (range, quality) = match text.split_once(';') {
        Some((range, quality)) => (range.trim(), quality.trim()),
        None => (text.trim(), "q=1"),
    };
    let quality = thousandths(quality.strip_prefix("q=").or_else(|| quality.strip_prefix("Q="))?)?;
    (quality > 0 && (range == "*" || is_language(range))).then_some((range, quality))
}

/// `qvalue` of RFC 9110 section 12.4.2: 0 to 1, at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let fine = decimals.len() <= 3 && decimals.bytes().all(|b| b.is_ascii_digit());
    let decimals: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| fine)?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::look::Params;

    fn pages(own: Option<&str>, tags: &[&str]) -> Look {
        let translations = tags.iter().map(|tag| ((*tag).to_owned(), Params::new())).collect();
        Look { language: own.map(str::to_owned), translations, ..Look::default() }
    }

    #[test]
    fn readers_get_the_language_they_ask_for() {
        let pages = pages(None, &["de", "fr-CA", "zh-CN", "zh-TW"]);
        for (accept, expected) in [
            ("de", Some("de")),
            ("DE", Some("de")),
            ("de-CH-1996, en;q=0.5", Some("de")),
            ("fr", Some("fr-CA")),
            ("fr-FR", Some("fr-CA")),
            ("zh-TW", Some("zh-TW")),
            ("zh-Hant-TW", Some("zh-CN")),
            ("en, de", None),
            ("en-GB,de;q=0.9", None),
            ("de;q=0.5, en;q=0.9", None),
            ("de;q=0.9, en;q=0.5", Some("de")),
            ("en;q=0, de;q=0.1", Some("de")),
            ("de;q=0", None),
            ("da, nb, de;q=0.1", Some("de")),
            ("*, de", None),
            ("", None),
            ("ja", None),
            (";;;,q=1,de;q=x,de;v=1,\u{2603}", None),
            ("d\" onload=\"", None),
            ("de;q=2", None),
            ("de;q=1.001", None),
            ("de;q=0.0001", None),
            ("de;q=", None),
            ("de;q=0.001", Some("de")),
            ("zh-CN;q=0.25,de;q=0.3", Some("de")),
            ("zh-CN;q=1.0,de;q=0.999", Some("zh-CN")),
        ] {
            assert_eq!(choose(&pages, [accept.as_bytes()]), expected, "{accept}");
        }
        assert_eq!(choose(&pages, [&b"\xff"[..], b"de"]), Some("de"), "two headers, one of them broken");
        let flood = "ja,".repeat(MAX_RANGES) + "de";
        assert_eq!(choose(&pages, [flood.as_bytes()]), None);
    }

    #[test]
    fn the_own_language_need_not_be_english() {
        let pages = pages(Some("de-CH"), &["en"]);
        assert_eq!(own(&pages), "de-CH");
        assert_eq!(choose(&pages, [&b"de, en;q=0.9"[..]]), None);
        assert_eq!(choose(&pages, [&b"en-US"[..]]), Some("en"));
    }

    #[test]
    fn a_tag_is_letters_digits_and_hyphens() {
        for good in ["en", "de-CH", "zh-Hant-TW", "x-klingon", "de-1996"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "e", "-", "de-", "de_CH", "de CH", "d\"", "abcdefghi", &"de-".repeat(20)] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
