//! Header names that only the filter may set.

use super::Headers;

/// Headers that some frameworks route by instead of the path or method the proxy saw (Symfony
/// CVE-2018-14773, method override of many): removed from every request.
const OVERRIDES: [&str; 5] =
    ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override"];

/// The names that nobody may send through: under the prefix, those the filter sets, and the overrides. Whatever
/// is no letter and no digit counts as `-`, since CGI, WSGI and others make them the same variable: most of them
/// `-` and `_`, PHP `.` too, lighttpd every such byte.
#[derive(Clone, Debug)]
pub struct Reserved {
    prefix: String,
    names: Vec<String>,
    /// What they begin with: most headers differ in that.
    first: [bool; 256],
}

impl Reserved {
    /// Names in lower case.
    pub fn new(prefix: &str, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().chain(&OVERRIDES).map(|name| (*name).to_owned()).collect();
        let mut first = [false; 256];
        for own in names.iter().map(String::as_str).chain([prefix]).filter_map(|own| own.bytes().next()) {
            (0..=255).zip(&mut first).for_each(|(byte, first)| *first |= alike(own, byte));
        }
        Self { prefix: prefix.to_owned(), names, first }
    }

    /// Those among these headers, each once.
    #[inline]
    pub fn among(&self, headers: &Headers) -> Vec<String> {
        let mut list = Vec::new();
        for (name, _) in headers {
            if self.holds(name) && !list.contains(name) {
                list.push(name.clone());
            }
        }
        list
    }

    #[inline]
    fn holds(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let possible = name.first().and_then(|byte| self.first.get(usize::from(*byte)));
        possible == Some(&true) && self.is_one(name)
    }

    #[inline]
    fn is_one(&self, name: &[u8]) -> bool {
        starts_alike(name, self.prefix.as_bytes())
            || self.names.iter().any(|own| own.len() == name.len() && starts_alike(name, own.as_bytes()))
    }
}

#[inline]
fn alike(own: u8, byte: u8) -> bool {
    own == byte.to_ascii_lowercase() || own == b'-' && !byte.is_ascii_alphanumeric()
}

/// What of a request's trailers nobody may send: what is reserved for any account, and what nobody reads in
/// trailers but who takes them for headers (RFC 9110 section 6.5.1).
pub fn among_trailers<'r>(reserved: impl Iterator<Item = &'r Reserved>, trailers: &Headers) -> Vec<String> {
    let credential = |name: &String| matches!(name.as_str(), "authorization" | "cookie");
    let mut list: Vec<String> = trailers.iter().map(|(name, _)| name.clone()).filter(credential).collect();
    list.extend(reserved.flat_map(|reserved| reserved.among(trailers)));
    list.sort_unstable();
    list.dedup();
    list
}

/// True where the name begins like this one of ours.
#[inline]
fn starts_alike(name: &[u8], own: &[u8]) -> bool {
    name.len() >= own.len() && own.iter().zip(name).all(|(own, byte)| alike(*own, *byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_alias_class_of_our_headers_is_reserved() {
        let reserved = Reserved::new("x-sso-", &["x-department", "x-token"]);
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
    fn trailers_hold_nothing_that_is_reserved_for_any_account() {
        let all = [Reserved::new("x-sso-", &["x-department"]), Reserved::new("x-who-", &[])];
        let held = |names: &[&str]| {
            let trailers = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
            among_trailers(all.iter(), &trailers)
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
        assert_eq!(Reserved::new("x-sso-", &[]).among(&headers), ["x-sso-user", "x_sso_user"]);
    }
}
