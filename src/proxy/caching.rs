//! Caches and the answers of the application that carry a cookie of ours.

use crate::http::Headers;

/// What such an answer says in `cache-control` instead of what let others have it. RFC 9111 lets a shared
/// cache keep an answer with `set-cookie`, which would hand one person's session to the next (section 7.3).
/// `no-transform` stays (section 5.2.2.6): event streams have it, so that no proxy compresses and holds them.
pub fn private(headers: &Headers) -> &'static str {
    let forbids = |value: &[u8]| {
        value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    };
    match headers.iter().any(|(name, value)| name == "cache-control" && forbids(value)) {
        true => "private, no-store, no-transform",
        false => "private, no-store",
    }
}

/// True where these headers keep an answer out of shared caches already.
pub fn is_private(headers: &Headers) -> bool {
    // `private="set-cookie"` speaks of a header alone, and is heeded by few; in quotes may stand anything.
    let directives = |value: &[u8]| {
        !value.contains(&b'"')
            && value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|directive| {
                directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
            })
    };
    headers.iter().any(|(name, value)| name == "cache-control" && directives(value))
}

/// The headers among these that tell some caches something else (RFC 9213, and what was there before it).
pub fn targeted(headers: &Headers) -> Vec<&str> {
    let is_one = |name: &&str| name.ends_with("-cache-control") || *name == "surrogate-control";
    let mut list: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).filter(is_one).collect();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        list.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_private_already_is_told_from_what_a_shared_cache_may_keep() {
        for value in ["private", "no-store", "Private, max-age=60", "public,NO-STORE", "max-age=0 , private"]
        {
            assert!(is_private(&headers(&[("cache-control", value)])), "{value}");
        }
        assert!(is_private(&headers(&[("cache-control", "max-age=60"), ("cache-control", "private")])));
        for value in [
            "public",
            "public, max-age=31536000",
            "no-cache",
            "",
            "private=\"x-a\"",
            "x=\"a, private, b\"",
            "privates",
        ] {
            assert!(!is_private(&headers(&[("cache-control", value)])), "{value}");
        }
        assert!(!is_private(&headers(&[("x-cache", "private"), ("cdn-cache-control", "private")])));
        assert!(!is_private(&headers(&[])));
    }

    #[test]
    fn a_stream_is_still_not_to_be_transformed() {
        for (value, wanted) in [
            ("no-cache, no-transform", "private, no-store, no-transform"),
            ("No-Transform", "private, no-store, no-transform"),
            ("public, max-age=60", "private, no-store"),
            ("x-no-transform", "private, no-store"),
        ] {
            assert_eq!(private(&headers(&[("cache-control", value)])), wanted, "{value}");
        }
        assert_eq!(private(&headers(&[])), "private, no-store");
    }

    #[test]
    fn what_is_meant_for_one_cache_is_found() {
        let all = [
            ("cache-control", "public"),
            ("cdn-cache-control", "max-age=60"),
            ("cloudflare-cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("surrogate-key", "a"),
        ];
        let wanted = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"];
        assert_eq!(targeted(&headers(&all)), wanted);
    }
}
