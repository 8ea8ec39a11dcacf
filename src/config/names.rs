//! Names in texts of operators: tokens, domains, addresses, hosts of this machine, placeholders.

use super::problems::At;
use crate::values::email;

/// One of several in a list that spaces separate and quotes may surround: a scope (RFC 6749 section 3.3), an `acr`.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

/// A name of a provider in URLs, logs and headers.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A domain as it stands behind the `@`: no address, no pattern, no URL.
pub fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        let good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.chars().all(good)
    })
}

/// Domains in lower case.
pub fn domains(at: &At<'_>, raw: &[String]) -> Vec<String> {
    let domains: Vec<String> = raw.iter().map(|domain| domain.trim().to_ascii_lowercase()).collect();
    for (i, domain) in domains.iter().enumerate().filter(|(_, domain)| !is_domain(domain)) {
        at.index(i).problem(format!("expected a domain such as acme.com, found {domain:?}"));
    }
    domains
}

/// An address alone: no name beside it, no list of them, no URL.
pub fn is_address(text: &str) -> bool {
    email::normalise(text).is_some_and(|address| {
        is_domain(email::domain(&address)) && !address.contains(|c| "<>()[],;:\"\\".contains(c))
    })
}

/// A host that is reached without leaving the machine.
pub fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The host of `host` or `host:port`.
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The first `{word}` in the text that is none of these.
pub fn unknown_placeholder<'t>(text: &'t str, known: &[&str]) -> Option<&'t str> {
    let mut words = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word);
    words.find(|word| {
        let is_word =
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ".contains(&b));
        is_word && !known.contains(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_addresses_are_told_from_what_is_like_them() {
        for (text, good) in [
            ("acme.com", true),
            ("corp", true),
            ("xn--mller-kva.de", true),
            ("müller.de", true),
            ("", false),
            ("@acme.com", false),
            ("*.acme.com", false),
            ("*", false),
            (".acme.com", false),
            ("acme.com.", false),
            ("acme.com, b.com", false),
            ("https://acme.com", false),
        ] {
            assert_eq!(is_domain(text), good, "{text}");
            assert_eq!(is_address(&format!("bob@{text}")), good, "bob@{text}");
        }
        assert!(is_address(" Bob.o'neil+x@acme.com "));
        for text in [
            "bob",
            "Bob <bob@acme.com>",
            "mailto:bob@acme.com",
            "a@b.com,c@d.com",
            "a b@acme.com",
            "@acme.com",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn a_port_is_no_part_of_the_host() {
        for (authority, host) in [
            ("a.b", "a.b"),
            ("a.b:80", "a.b"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }

    #[test]
    fn misspelt_placeholders_are_found() {
        let known = ["host", "port"];
        for (text, unknown) in [
            ("outbound|{port}||{host}", None),
            ("idp", None),
            ("{", None),
            ("{}", None),
            ("{\"a\":1}", None),
            ("{host}-{Port}", Some("Port")),
            ("{ host }", Some(" host ")),
        ] {
            assert_eq!(unknown_placeholder(text, &known), unknown, "{text}");
        }
    }
}
