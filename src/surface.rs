//! Which surface a path belongs to: one canonical path, decided on and forwarded.
//!
//! Filter and application must read a path the same way (Oathkeeper CVE-2021-32701, Envoy
//! CVE-2021-29492, Quarkus CVE-2023-4853): `//`, `/./`, `%2e`, `%2f`, `;x=y`, `\`, case, NUL. Here a path is brought
//! into its plain form as Envoy's `normalize_path` and `merge_slashes` do; what is then still ambiguous
//! never matches `anyone` or `programs`, and is judged by every rule with `roles` that it could mean.

use std::borrow::Cow;

use crate::config::{AccessRule, Admission, Match};

/// A request's path, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    canonical: Cow<'a, str>,
    ambiguous: bool,
}

impl<'a> Path<'a> {
    /// Reads the bytes of a path. A path that is not ASCII-printable is ambiguous as a whole.
    pub fn read(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if plain(text) => Self { canonical: Cow::Borrowed(text), ambiguous: false },
            _ => canonicalise(bytes),
        }
    }

    /// The canonical path, unless it is ambiguous.
    pub fn plain(&self) -> Option<&str> {
        (!self.ambiguous).then_some(&*self.canonical)
    }

    /// The canonical path, ambiguous or not: what is forwarded where it differs from what was asked for.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// True where filter and application could read it differently.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }
}

/// The common case, told without allocating: nothing to decode, merge, resolve or doubt.
fn plain(path: &str) -> bool {
    let mut previous = 0u8;
    let mut dots = false;
    let suspicious = path.bytes().any(|byte| {
        dots |= byte == b'.' && previous == b'/';
        let bad = matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?' | 0..=0x20 | 0x7f..)
            || byte == b'/' && previous == b'/';
        previous = byte;
        bad
    });
    !suspicious && path.starts_with('/') && !(dots && path.split('/').any(|s| s == "." || s == ".."))
}

/// Decodes what RFC 3986 section 6.2.2.2 lets decode (unreserved characters), merges slashes and resolves
/// dot segments, as Envoy does.
fn canonicalise(bytes: &[u8]) -> Path<'static> {
    let mut ambiguous = !bytes.starts_with(b"/");
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => match tail {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = after;
                    let value = hex(*high) << 4 | hex(*low);
                    if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
                        decoded.push(value);
                    } else {
                        // An encoded slash, backslash, NUL or semicolon may be a separator to the
                        // application, an encoded percent sign may be decoded once more.
                        ambiguous |= value < 0x20 || value == 0x7f || b"/\\;".contains(&value);
                        ambiguous |= value == b'%' && after.len() >= 2;
                        decoded.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
                    }
                }
                _ => {
                    ambiguous = true;
                    decoded.push(b'%');
                }
            },
            b'\\' | b'#' | b'?' | 0..=0x20 | 0x7f.. => {
                ambiguous = true;
                decoded.push(byte);
            }
            _ => decoded.push(byte),
        }
    }
    let text = String::from_utf8_lossy(&decoded);
    let mut segments: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in text.split('/').skip(1) {
        // `..;x` is `..` to servers that know path parameters.
        let bare = segment.split(';').next().unwrap_or_default();
        ambiguous |= bare != segment && (bare.is_empty() || bare == "." || bare == "..");
        directory = segment.is_empty() || segment == "." || segment == "..";
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(text.len());
    for segment in &segments {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if directory || segments.is_empty() {
        canonical.push('/');
    }
    Path { canonical: Cow::Owned(canonical), ambiguous }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Decodes every percent-encoded byte once; what is then no UTF-8 becomes U+FFFD.
pub fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What the application might make of a path at its most generous: decoded until nothing changes,
/// backslashes as slashes, parameters and trailing dots dropped, lower case.
pub fn loosest(bytes: &[u8]) -> String {
    resolve(&decoded(bytes))
}

/// The same for an application that ends a path where its decoded form has a NUL, `?` or `#`: what comes
/// after must not take away what stands before (`/admin/%00/../..`).
fn shortest(bytes: &[u8]) -> String {
    resolve(decoded(bytes).split(['\0', '?', '#']).next().unwrap_or_default())
}

fn decoded(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for _ in 0..4 {
        let next = decode(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn resolve(text: &str) -> String {
    let text = text.replace('\\', "/");
    let mut segments: Vec<String> = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split([';', '\0']).next().unwrap_or_default().trim();
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment.trim_end_matches(['.', ' ']).to_lowercase()),
        }
    }
    let mut out = String::with_capacity(text.len());
    for segment in segments {
        out.push('/');
        out.push_str(&segment);
    }
    out
}

/// What an application may split a path at, beside slashes, or cut it off at.
const SEPARATORS: [char; 6] = ['/', '\\', ';', '\0', '?', '#'];

/// True where an application may take segments out of a path: which ones depends on the order in which it
/// decodes, drops parameters and resolves (`/;%2fx/admin`, `/x%2f../admin`), and orders are without number.
fn hides(decoded: &str) -> bool {
    decoded.contains("..") || decoded.contains(SEPARATORS.get(1..).unwrap_or_default())
}

/// Every name that a decoded path holds, in order, whatever it is split at.
fn names(decoded: &str) -> Vec<String> {
    let trimmed = |name: &str| name.trim().trim_end_matches(['.', ' ']).to_lowercase();
    decoded.split(SEPARATORS).map(trimmed).filter(|name| !name.is_empty()).collect()
}

impl Match {
    fn exactly(&self, path: &str) -> bool {
        match self {
            Match::Path(own) => path == own,
            Match::Prefix(own) => path.starts_with(own.as_str()),
        }
    }

    /// Whether the loosest reading of a path falls under this rule.
    fn loosely(&self, loose: &str) -> bool {
        let (Match::Path(own) | Match::Prefix(own)) = self;
        let own = loosest(own.as_bytes());
        match self {
            Match::Path(_) => loose == own,
            // A prefix that ends within a segment matches within a segment.
            Match::Prefix(written) if !written.ends_with('/') => loose.starts_with(&own),
            Match::Prefix(_) => {
                loose == own || loose.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }

    /// Whether some reading of a path with these names falls under this rule: applications take names away
    /// and never add one, so its own must be among them, in order.
    fn possibly(&self, names: &[String]) -> bool {
        let (Match::Path(written) | Match::Prefix(written)) = self;
        let within = matches!(self, Match::Prefix(_)) && !written.ends_with('/');
        let own = self::names(&decoded(written.as_bytes()));
        let mut names = names.iter();
        own.iter().enumerate().all(|(n, wanted)| match within && n + 1 == own.len() {
            true => names.any(|name| name.starts_with(wanted.as_str())),
            false => names.any(|name| name == wanted),
        })
    }
}

/// What the rules demand of a request for this path.
#[derive(Debug, PartialEq, Eq)]
pub enum Demand<'r> {
    /// Nothing.
    Anyone,
    /// The application's own credentials, left alone.
    Programs,
    /// A session or bearer token that satisfies every one of these rules (none: any session).
    Users(Vec<&'r Admission>),
}

/// Rules on the path: the first match counts, without one it is users. A path that is not in its
/// plain form, or that differs from its loosest reading, is also judged by every rule with demands
/// of its own that this reading falls under; an ambiguous one from which an application may take segments,
/// by every such rule whose names it holds.
pub fn demand<'r>(rules: &'r [AccessRule], path: &Path<'_>, raw: &[u8]) -> Demand<'r> {
    let first = rules.iter().find(|rule| rule.matches.exactly(path.canonical()));
    let mut demands = Vec::new();
    match first.map(|rule| &rule.admission) {
        Some(Admission::Anyone) if !path.is_ambiguous() => return Demand::Anyone,
        Some(Admission::Programs) if !path.is_ambiguous() => return Demand::Programs,
        Some(users @ Admission::Users { .. }) => demands.push(users),
        _ => {}
    }
    // `/admin` is `/admin/` to most applications.
    let index = |matches: &Match| matches!(matches, Match::Prefix(own) if own.strip_suffix('/') == Some(path.canonical()));
    if first.is_none() {
        demands.extend(
            rules
                .iter()
                .find(|rule| index(&rule.matches))
                .map(|rule| &rule.admission)
                .filter(|admission| matches!(admission, Admission::Users { .. })),
        );
    }
    let demanding = |rule: &&AccessRule| {
        matches!(&rule.admission, Admission::Users { roles, acr_values, max_age }
            if !roles.is_empty() || !acr_values.is_empty() || max_age.is_some())
    };
    if rules.iter().any(|rule| demanding(&rule)) {
        let readings = [loosest(raw), shortest(raw)];
        let plain = path.canonical().trim_end_matches('/');
        if path.is_ambiguous() || readings.iter().any(|loose| loose != plain) {
            let text = decoded(raw);
            let names = (path.is_ambiguous() && hides(&text)).then(|| names(&text));
            let meant = |rule: &&AccessRule| {
                readings.iter().any(|loose| rule.matches.loosely(loose))
                    || names.as_ref().is_some_and(|names| rule.matches.possibly(names))
            };
            for rule in rules.iter().filter(demanding).filter(meant) {
                if !demands.contains(&&rule.admission) {
                    demands.push(&rule.admission);
                }
            }
        }
    }
    Demand::Users(demands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str) -> (String, bool) {
        let path = Path::read(path.as_bytes());
        (path.canonical().to_owned(), path.is_ambiguous())
    }

    #[test]
    fn plain_paths_stay_as_they_are_and_borrow() {
        for path in ["/", "/a", "/a/", "/a.b/c..d/.e", "/a:b@c!$&'()*+,=~_-"] {
            let read = Path::read(path.as_bytes());
            assert_eq!(read.plain(), Some(path));
            assert!(matches!(read.canonical, Cow::Borrowed(_)), "{path}");
        }
    }

    #[test]
    fn what_envoy_normalises_is_normalised() {
        for (path, wanted) in [
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/%61dmin", "/admin"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1/b", "/a;v=1/b"),
        ] {
            assert_eq!(canonical(path), (wanted.to_owned(), false), "{path}");
        }
    }

    #[test]
    fn what_stays_ambiguous_is_said_to_be() {
        for path in [
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00b",
            "/a/..;/b",
            "/a/.;x/b",
            "/a/;/b",
            "/a%3bb",
            "/a%252e%252e/b",
            "/a%zz",
            "/a%",
            "/a b",
            "/a\u{e9}",
            "a",
            "",
            "*",
            "/a#b",
            "/a%0ab",
            "/a%7fb",
        ] {
            assert!(canonical(path).1, "{path}");
        }
        assert!(Path::read(b"/a\xff").is_ambiguous());
    }

    fn rules() -> Vec<AccessRule> {
        let users = |roles: &[&str]| Admission::Users {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            acr_values: Vec::new(),
            max_age: None,
        };
        vec![
            AccessRule { matches: Match::Path("/healthz".into()), admission: Admission::Anyone },
            AccessRule { matches: Match::Prefix("/static/".into()), admission: Admission::Anyone },
            AccessRule { matches: Match::Prefix("/api/sql/".into()), admission: Admission::Programs },
            AccessRule { matches: Match::Path("/admin/public".into()), admission: users(&[]) },
            AccessRule { matches: Match::Prefix("/admin/".into()), admission: users(&["account_admin"]) },
        ]
    }

    /// How many roles-bearing demands there are; 90 and 91 for anyone and programs.
    fn judged(path: &str) -> usize {
        match demand(&rules(), &Path::read(path.as_bytes()), path.as_bytes()) {
            Demand::Anyone => 90,
            Demand::Programs => 91,
            Demand::Users(list) => list
                .iter()
                .filter(|a| matches!(a, Admission::Users { roles, .. } if !roles.is_empty()))
                .count(),
        }
    }

    #[test]
    fn only_the_literal_normalised_path_opens_a_door() {
        for path in ["/healthz", "//healthz", "/x/../healthz", "/static/a.css", "/static/./a", "/%73tatic/a"]
        {
            assert_eq!(judged(path), 90, "{path}");
        }
        assert_eq!(judged("/api/sql/run"), 91);
        for path in [
            "/healthz/",
            "/healthz;x",
            "/HEALTHZ",
            "/healthz%00",
            "/healthz%2f",
            "/static",
            "/static/..%2fadmin2",
            "/static/..;/a",
            "/static/%2e%2e/a",
            "/static\\..\\a",
            "/static/%252e%252e/a",
            "/api/sql/%2e%2e%2fa",
            "/STATIC/a",
            "/static/../a",
        ] {
            assert_eq!(judged(path), 0, "{path}");
        }
    }

    #[test]
    fn roles_hold_for_every_spelling_of_their_path() {
        for path in [
            "/admin/x",
            "/admin/",
            "/ADMIN/x",
            "/admin;v=1/x",
            "/admin%2fx",
            "/%61dmin/x",
            "//admin//x",
            "/admin./x",
            "/x/..;/admin/x",
            "/static/..%2fadmin/x",
            "/admin\\x",
            "/adm%2569n/x",
            "/static/..;/admin/x",
            "/Admin",
            "/admin",
            "/admin/public/",
            "/admin/PUBLIC/x",
            "/api/sql/..%2f..%2fadmin/x",
            "/x%2f..%2fadmin%2f%00%2f..%2f..",
            "/x%2f..%2fadmin%2fy%3f%2f..%2f..",
            "/admin%20.%20./x",
        ] {
            assert_eq!(judged(path), 1, "{path}");
        }
        // A parameter that holds a separator: gone with it, or not, by the order of reading.
        for slash in ["\\", "%2f", "%5c", "%252f", "%255c", "%25252F"] {
            for semicolon in [";", "%3b", "%253B"] {
                for path in [
                    format!("/{semicolon}{slash}x/admin"),
                    format!("/{semicolon}{slash}x/admin/y"),
                    format!("/{semicolon}a=b{slash}x/Admin;v=1/y"),
                    format!("/y/{semicolon}{slash}../../admin/x"),
                    format!("/admin{semicolon}{slash}..{slash}..{slash}/x"),
                ] {
                    assert_eq!(judged(&path), 1, "{path}");
                }
            }
        }
        // Names alone are no reading: nothing is taken away here.
        for path in ["/files/docs%2fadmin%2freport", "/x%20y/admin/z", "/files;v=1/admin"] {
            assert_eq!(judged(path), 0, "{path}");
        }
        for path in ["/admin/public", "/administrator", "/x/admin/y", "/"] {
            assert_eq!(judged(path), 0, "{path}");
        }
    }
}
