//! Header names that only the filter may set.

use std::collections::BTreeSet;

use super::Headers;
use crate::values::order;

/// Headers that some frameworks route by instead of the path or method the proxy saw (Symfony
/// CVE-2018-14773, method override of many): removed from every request.
const OVERRIDES: [&str; 5] =
    ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override"];

/// The names that no client may send, one table for all accounts: names under a `forward.prefix`, names that some
/// account's `forward` sets, and the overrides. One application often stands behind several accounts, so that a header
/// of any of them is taken out for all. A byte that is neither a letter nor a digit counts as `-`, since CGI, WSGI and
/// others make one variable of both: most of them of `-` and `_`, PHP of `.` too, lighttpd of every such byte.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// Sorted; none begins with another.
    prefixes: Vec<String>,
    /// Sorted.
    names: Vec<String>,
    /// What they begin with: almost every other header differs in that.
    beginnings: Beginnings,
}

/// By byte, at which of the first eight places of a name of ours it may stand, a bit for each.
#[derive(Clone, Debug)]
struct Beginnings([u8; 256]);

impl Beginnings {
    fn of<'n>(names: impl Iterator<Item = &'n String>) -> Self {
        let mut places = [0; 256];
        for own in names {
            for (at, own) in (0..8).zip(own.bytes().map(Some).chain(std::iter::repeat(None))) {
                // Behind its end there may stand anything.
                let may_be = |byte| own.is_none_or(|own| own == plain(byte));
                (0..=255).zip(&mut places).for_each(|(byte, places)| *places |= u8::from(may_be(byte)) << at);
            }
        }
        Self(places)
    }

    /// False for a name that is none of ours, from its first bytes.
    #[inline]
    fn hold(&self, name: &[u8]) -> bool {
        let stands = |(at, byte): (usize, &u8)| {
            self.0.get(usize::from(*byte)).is_some_and(|places| places >> at & 1 == 1)
        };
        name.iter().take(8).enumerate().all(stands)
    }
}

impl Reserved {
    /// Names and prefixes in lower case, of letters, digits and `-`.
    pub fn new<'n>(
        prefixes: impl IntoIterator<Item = &'n str>,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let mut prefixes: Vec<&str> = prefixes.into_iter().collect();
        // Mostly all accounts have one.
        prefixes.dedup();
        let mut prefixes: Vec<String> = prefixes.into_iter().map(str::to_owned).collect();
        order::sort(&mut prefixes);
        // The shorter of two comes first and covers the longer.
        prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        // Many accounts have few names.
        let names: BTreeSet<&str> = order::gathered(names.into_iter().chain(OVERRIDES));
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let beginnings = Beginnings::of(names.iter().chain(&prefixes).filter(|own| !own.is_empty()));
        Self { prefixes, names, beginnings }
    }

    /// Those among these headers, each once.
    #[inline]
    pub fn among(&self, headers: &Headers) -> Vec<String> {
        let own = headers.iter().map(|(name, _)| name).filter(|name| self.holds(name));
        let mut list: Vec<String> = own.cloned().collect();
        // Not by looking each up among the others: a client may send thousands, where Envoy is told to let them in.
        order::sort(&mut list);
        list.dedup();
        list
    }

    #[inline]
    fn holds(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.beginnings.hold(name) && self.is_one(name)
    }

    #[inline]
    fn is_one(&self, name: &[u8]) -> bool {
        // The only prefix that a name can begin with is the last one that does not sort after it.
        let after = self.prefixes.partition_point(|own| compare(own, name).is_le());
        let under = after.checked_sub(1).and_then(|at| self.prefixes.get(at));
        under.is_some_and(|own| starts_alike(name, own.as_bytes()))
            || self.names.binary_search_by(|own| compare(own, name)).is_ok()
    }
}

/// A byte of a name as it is compared.
#[inline]
fn plain(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

#[inline]
fn compare(own: &str, name: &[u8]) -> std::cmp::Ordering {
    own.bytes().cmp(name.iter().map(|byte| plain(*byte)))
}

/// True where the name begins like this one of ours.
#[inline]
fn starts_alike(name: &[u8], own: &[u8]) -> bool {
    name.len() >= own.len() && own.iter().zip(name).all(|(own, byte)| *own == plain(*byte))
}

/// What of a request's trailers no client may send: what is reserved, and what only applications read that take
/// trailers for headers (RFC 9110 section 6.5.1).
pub fn among_trailers(reserved: &Reserved, trailers: &Headers) -> Vec<String> {
    let credential = |name: &String| matches!(name.as_str(), "authorization" | "cookie");
    let mut list: Vec<String> = trailers.iter().map(|(name, _)| name.clone()).filter(credential).collect();
    list.extend(reserved.among(trailers));
    order::sort(&mut list);
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_alias_class_of_our_headers_is_reserved() {
        let reserved = Reserved::new(["x-sso-"], ["x-department", "x-token"]);
        for name in [
            "x-sso-user",
            "x-sso-",
            "x-sso-anything",
            "X-SSO-User",
            "x_sso_user",
            "x.sso.user",
            "x-sso_user",
            "x_sso-roles",
            "x+sso+user",
            "x~sso~user",
            "x!sso#user",
            "x'sso`user",
            "x*sso|user",
            "x^sso$%&",
            "x-department",
            "X_Department",
            "x.department",
            "x-token",
            "x_token",
            "x-original-url",
            "X_Rewrite_Url",
            "x-http-method-override",
            "x-http-method",
            "x_method_override",
        ] {
            assert!(reserved.holds(name), "{name}");
        }
        for name in [
            "x-ssouser",
            "x+ssouser",
            "x~sso",
            "xasso-user",
            "x0sso-user",
            "x-sso",
            "sso-user",
            "x-departments",
            "x-http-metho",
            "authorization",
            ":path",
            "cookie",
            "x-forwarded-for",
            "",
        ] {
            assert!(!reserved.holds(name), "{name}");
        }
    }

    #[test]
    fn the_first_bytes_pass_over_no_name_of_ours() {
        let reserved = Reserved::new(["x-sso-", "a"], ["x-department", "b-c"]);
        for own in ["x-sso-", "x-sso-user", "a", "ab", "x-department", "b-c", "b-", "", "x-http-method"] {
            for at in 0..own.len() {
                for byte in 1..128u8 {
                    let mut name = own.as_bytes().to_vec();
                    name[at] = byte;
                    let name = String::from_utf8(name).unwrap();
                    assert_eq!(reserved.holds(&name), reserved.is_one(name.as_bytes()), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn trailers_hold_nothing_that_is_reserved_for_any_account() {
        let all = Reserved::new(["x-sso-", "x-who-"], ["x-department"]);
        let held = |names: &[&str]| {
            let trailers = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
            among_trailers(&all, &trailers)
        };
        assert_eq!(held(&["x-checksum", "x-sso", "cookies", "grpc-status"]), [""; 0]);
        assert_eq!(
            held(&[
                "x-sso-user",
                "x_who_user",
                "x-checksum",
                "x-department",
                "cookie",
                "x-sso-user",
                "authorization"
            ]),
            ["authorization", "cookie", "x-department", "x-sso-user", "x_who_user"]
        );
    }

    #[test]
    fn each_is_told_once() {
        let headers = ["x-sso-user", "accept", "x-sso-user", "x_sso_user"];
        let headers = headers.map(|name| (name.to_owned(), Vec::new())).to_vec();
        assert_eq!(Reserved::new(["x-sso-"], []).among(&headers), ["x-sso-user", "x_sso_user"]);
    }

    #[test]
    fn many_accounts_make_one_table() {
        let prefixes = ["x-who-", "x-sso-", "x-sso-inner-", "a-", "x-sso-", "y-"];
        let names = (0..500).map(|n| format!("x-claim-{n}")).collect::<Vec<_>>();
        let reserved = Reserved::new(prefixes, names.iter().map(String::as_str));
        assert_eq!(reserved.prefixes, ["a-", "x-sso-", "x-who-", "y-"]);
        for name in ["a-x", "y_", "x-sso-inner-user", "x-sso-a", "X-Who-User", "x_claim_0", "x-claim-499"] {
            assert!(reserved.holds(name), "{name}");
        }
        for name in ["a", "b-x", "x-claim-500", "x-claim-", "x-ssp-user", "x-wh-", "xx-who-user", "z-"] {
            assert!(!reserved.holds(name), "{name}");
        }
    }
}
