//! A request's path in its plain form, and what applications might make of it.
//!
//! Filter and application must read a path the same way (Oathkeeper CVE-2021-32701, Envoy
//! CVE-2021-29492, Quarkus CVE-2023-4853): `//`, `/./`, `%2e`, `%2f`, `;x=y`, `\`, case, NUL. Here a path is brought
//! into its plain form as Envoy's `normalize_path` and `merge_slashes` do; what is then still ambiguous
//! never matches `anyone` or `programs`, and is judged by every rule with demands of its own (`roles`, `acr_values`,
//! `max_age`) that it could mean.

use std::borrow::Cow;

/// A longer path is ambiguous without being looked at: each reading of it costs its length, for every rule.
pub const MAX_PATH: usize = 4096;

/// A request's path, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    canonical: Cow<'a, str>,
    ambiguous: bool,
}

impl<'a> Path<'a> {
    /// Reads the bytes of a path. A path that is not ASCII-printable is ambiguous as a whole.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Self {
        if bytes.len() > MAX_PATH {
            return Self { canonical: String::from_utf8_lossy(bytes), ambiguous: true };
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if plain(text) => Self { canonical: Cow::Borrowed(text), ambiguous: false },
            _ => canonicalise(bytes),
        }
    }

    /// The canonical path, unless it is ambiguous.
    #[inline]
    pub fn plain(&self) -> Option<&str> {
        (!self.ambiguous).then_some(&*self.canonical)
    }

    /// The canonical path, ambiguous or not: what is forwarded where it differs from what was asked for.
    #[inline]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// True where it is too long to be looked at: it could mean whatever a rule is for.
    #[inline]
    pub fn is_too_long(&self) -> bool {
        self.canonical.len() > MAX_PATH
    }

    /// True where filter and application could read it differently.
    #[inline]
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }
}

/// The common case, told without allocating: nothing to decode, merge, resolve or doubt.
#[inline]
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
    let only_dots = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte == b'.');
    !suspicious && path.starts_with('/') && !(dots && path.split('/').any(only_dots))
}

/// True for a path of which [`loosest`] and [`shortest`] make nothing else, a slash at the end aside; told
/// without allocating, since every request asks where rules hold roles.
#[inline]
pub fn reads_one_way(bytes: &[u8]) -> bool {
    let mut previous = 0u8;
    let strange = bytes.iter().any(|&byte| {
        let bad = matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?' | b'A'..=b'Z' | 0..=0x20 | 0x7f..)
            || byte == b'/' && matches!(previous, b'/' | b'.');
        previous = byte;
        bad
    });
    !strange && bytes.starts_with(b"/") && previous != b'.'
}

/// Decodes what RFC 3986 section 6.2.2.2 lets decode (unreserved characters), merges slashes and resolves
/// dot segments, as Envoy does.
fn canonicalise(bytes: &[u8]) -> Path<'static> {
    let mut ambiguous = !bytes.starts_with(b"/");
    let mut beyond_ascii = false;
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
                        beyond_ascii |= value >= 0x80;
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
    // Bytes that are not UTF-8 are read in different ways; overlong forms (`%c0%ae`) are dots and slashes to
    // lenient decoders (Tomcat CVE-2008-2938, IIS MS00-078).
    ambiguous |= beyond_ascii && std::str::from_utf8(&unescaped(bytes)).is_err();
    let text = String::from_utf8_lossy(&decoded);
    let mut segments: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in text.split('/').skip(1) {
        // `..;x` is `..` to servers that know path parameters.
        let bare = segment.split(';').next().unwrap_or_default();
        ambiguous |= bare != segment && (bare.is_empty() || bare == "." || bare == "..");
        ambiguous |= segment != "." && segment != ".." && is_nearly_dots(segment);
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

/// True for a segment that some servers take for `.` or `..`: they trim white space, dots and controls (Windows), and end
/// a path at `?`, `#`, NUL or `;`, decoded once more than here.
fn is_nearly_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%', '\u{2024}', '\u{fe52}', '\u{ff0e}']) {
        return false;
    }
    let text = decoded(segment.as_bytes());
    let bare = text.split(['?', '#', '\0', ';']).next().unwrap_or_default();
    // The last three become dots under compatibility normalisation (NFKC).
    let is_dot = |c: char| matches!(c, '.' | '\u{2024}' | '\u{fe52}' | '\u{ff0e}');
    let is_trimmed = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    bare.chars().any(is_dot) && bare.chars().all(|c| is_dot(c) || is_trimmed(c))
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
    String::from_utf8_lossy(&unescaped(text.as_bytes())).into_owned()
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
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
    out
}

/// Overlong forms of ASCII (`C0 AE`, `E0 80 AE`, `F0 80 80 AE`) as what lenient decoders read in them.
fn lenient(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        let (read, after) = match rest {
            [0xf0, 0x80, high @ 0x80..=0x81, low @ 0x80..=0xbf, after @ ..]
            | [0xe0, high @ 0x80..=0x81, low @ 0x80..=0xbf, after @ ..]
            | [high @ 0xc0..=0xc1, low @ 0x80..=0xbf, after @ ..] => ((high & 1) << 6 | low & 0x3f, after),
            _ => (byte, tail),
        };
        out.push(read);
        rest = after;
    }
    out
}

/// What the application might make of a path at its most generous: decoded until nothing changes,
/// backslashes as slashes, parameters and trailing dots dropped, lower case.
pub fn loosest(bytes: &[u8]) -> String {
    resolve(&decoded(bytes))
}

/// The same for an application that ends a path where its decoded form has a NUL, `?` or `#`: what comes
/// after must not take away what stands before (`/admin/%00/../..`).
pub fn shortest(bytes: &[u8]) -> String {
    resolve(decoded(bytes).split(['\0', '?', '#']).next().unwrap_or_default())
}

/// Decoded until nothing changes, four times at the most.
pub fn decoded(bytes: &[u8]) -> String {
    let mut text = bytes.to_vec();
    for _ in 0..4 {
        let next = lenient(&unescaped(&text));
        if next == text {
            break;
        }
        text = next;
    }
    String::from_utf8_lossy(&text).into_owned()
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
pub fn hides(decoded: &str) -> bool {
    decoded.contains("..") || decoded.contains(SEPARATORS.get(1..).unwrap_or_default())
}

/// Every name that a decoded path holds, in order, whatever it is split at.
pub fn names(decoded: &str) -> Vec<String> {
    let trimmed = |name: &str| name.trim().trim_end_matches(['.', ' ']).to_lowercase();
    decoded.split(SEPARATORS).map(trimmed).filter(|name| !name.is_empty()).collect()
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
            ("/%e6%9c%88/%F0%9F%98%80", "/%E6%9C%88/%F0%9F%98%80"),
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
            "/a/%c0%ae%c0%ae/b",
            "/a%c0%afb",
            "/a%e0%80%afb",
            "/a%f0%80%80%afb",
            "/caf%e9",
            "/a%80b",
            "/a%ed%a0%80b",
            "/a%f4%90%80%80b",
            "/a%c3",
        ] {
            assert!(canonical(path).1, "{path}");
        }
        assert!(Path::read(b"/a\xff").is_ambiguous());
    }

    /// Every byte of a text, percent-encoded so many times; 0 leaves it as it is.
    fn escaped(text: &str, times: usize) -> String {
        (0..times).fold(text.to_owned(), |text, n| match n {
            0 => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            _ => text.replace('%', "%25"),
        })
    }

    #[test]
    fn dot_segments_that_some_server_trims_or_cuts_are_ambiguous() {
        let around = [
            " ", "\t", "\u{b}", "\u{1}", "\u{7f}", "\u{85}", "\u{a0}", "\u{2003}", "\u{3000}", "\u{feff}",
            ".",
        ];
        let ends = ["", "?x", "#x", ";x", "\0x", " ?x=y", "\u{a0};v=1"];
        let mut tried = 0;
        for dots in [".", "..", "...", "\u{ff0e}."] {
            for (before, after) in around.iter().flat_map(|one| [("", *one), (*one, ""), (*one, *one)]) {
                for (end, times) in ends.iter().flat_map(|end| (1..=4).map(move |times| (end, times))) {
                    let odd = format!(
                        "{}{}{}{}",
                        escaped(before, times),
                        escaped(dots, times - 1),
                        escaped(after, times),
                        escaped(end, times)
                    );
                    for path in
                        [format!("/static/{odd}/x"), format!("/static/{odd}"), format!("/{odd}/static/x")]
                    {
                        let found = canonical(&path);
                        // Dots alone, however they are written, are resolved here as everywhere.
                        let resolved = before.trim_matches('.').is_empty()
                            && after.trim_matches('.').is_empty()
                            && end.is_empty();
                        assert!(found.1 || resolved, "{path:?} {found:?}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 5_000);
        for path in [
            "/static/.../x",
            "/static/...",
            "/static/..%3fx",
            "/static/..%23x",
            "/static/%20../x",
            "/static/..%20/x",
        ] {
            assert!(canonical(path).1, "{path}");
        }
        for path in [
            "/a/.b",
            "/a/b.",
            "/a/..b",
            "/a/b..",
            "/a/.b.",
            "/a/%20b",
            "/a/b%20",
            "/a/x%3fy",
            "/a/x%23.",
            "/a/.%3db",
            "/a/1.%20x",
        ] {
            assert!(!canonical(path).1, "{path}");
        }
    }

    #[test]
    fn a_long_path_is_ambiguous_whatever_it_holds() {
        let of = |tail: &str, bytes: usize| format!("/{}{tail}", "a".repeat(bytes - 1 - tail.len()));
        for tail in ["", "/x", "%2f..", ";b", "/../b"] {
            let (fits, long) = (of(tail, MAX_PATH), of(tail, MAX_PATH + 1));
            assert!(!Path::read(fits.as_bytes()).is_too_long(), "{tail}");
            let path = Path::read(long.as_bytes());
            assert!(path.is_too_long() && path.is_ambiguous() && path.plain().is_none(), "{tail}");
            assert_eq!(path.canonical(), long, "it is forwarded as it came");
        }
        assert!(!Path::read(of("", MAX_PATH).as_bytes()).is_ambiguous());
        assert!(Path::read(&[0xff; MAX_PATH + 1]).is_too_long());
    }

    #[test]
    fn overlong_forms_are_read_as_lenient_decoders_read_them() {
        for byte in 0..0x80u8 {
            let (high, low) = (byte >> 6, 0x80 | byte & 0x3f);
            for form in [&[0xc0 | high, low][..], &[0xe0, 0x80 | high, low], &[0xf0, 0x80, 0x80 | high, low]]
            {
                assert!(std::str::from_utf8(form).is_err());
                assert_eq!(lenient(form), [byte], "{form:x?}");
            }
        }
        for text in ["caf\u{e9}", "\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}", "plain"] {
            assert_eq!(lenient(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(loosest(b"/x/%c0%ae%C0%AE%c0%afAdmin/y"), "/admin/y");
        assert_eq!(loosest(b"/%25c0%25ae./admin"), "/admin");
        assert_eq!(loosest(b"/caf%e9/x"), "/caf\u{fffd}/x");
    }

    #[test]
    fn a_path_that_reads_one_way_reads_so_in_every_way() {
        let alphabet = b"a/.A%2;\\ ?\0";
        let mut one_way = 0;
        for n in 0..alphabet.len().pow(4) {
            let letter = |place: u32| alphabet[n / alphabet.len().pow(place) % alphabet.len()];
            let path = [b'/', letter(0), letter(1), letter(2), letter(3)];
            for path in (1..=path.len()).filter_map(|end| path.get(..end)).filter(|path| reads_one_way(path))
            {
                let text = std::str::from_utf8(path).unwrap();
                let bare = text.trim_end_matches('/');
                assert_eq!((loosest(path).as_str(), shortest(path).as_str()), (bare, bare), "{text:?}");
                assert_eq!(Path::read(path).plain(), Some(text));
                one_way += 1;
            }
        }
        assert!(one_way > 100);
        assert!(reads_one_way(b"/api/v1.2/.well-known/x-y_z~/"));
        for path in ["", "a", "//", "/a//b", "/A", "/a.", "/a./b", "/..", "/./a", "/a b", "/\u{e9}", "/a%2fb"]
        {
            assert!(!reads_one_way(path.as_bytes()), "{path}");
        }
    }
}
