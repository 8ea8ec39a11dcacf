//! Paths that some application would route to a password login although they are not written like it.

use crate::values::names;

/// Endings of scripts and pages that servers find without them, or run from any segment of a path.
const SCRIPTS: [&str; 27] = [
    "php", "php3", "php4", "php5", "php7", "php8", "phtml", "phar", "cgi", "fcgi", "pl", "py", "rb", "jsp",
    "jspx", "jsf", "do", "action", "asp", "aspx", "ashx", "asmx", "cfm", "htm", "html", "shtml", "json",
];

/// The form login of servlet containers (Jakarta Servlet 6.0 section 13.6.3.1). Tomcat takes it at the end of any path,
/// Jetty at any segment.
const CONTAINER_LOGIN: &str = "j_security_check";

/// True where `raw_path` (the query may follow) is another way to write `login_path`: case, doubled or
/// trailing slashes, `;parameters`, escapes, dot segments, backslashes, trailing dots or spaces, an
/// extension more or less, path info or an index behind a script, a script in front, a list of procedures with the
/// login among them, a host in front, or a container's login anywhere. A POST there would reach the login without a
/// ruling, so it is refused. Ask after every login was compared exactly.
pub fn alias_of_login(raw_path: &[u8], login_path: &str) -> bool {
    let raw = raw_path.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default();
    if raw == login_path.as_bytes() {
        return false;
    }
    let login = segments(login_path);
    let mut bytes = raw.to_vec();
    for _ in 0..4 {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // With and without what follows a NUL: C programs end there.
        for text in
            [text.as_str(), text.split('\0').next().unwrap_or_default(), &text.replace(['?', '#'], "\0")]
        {
            for text in [text, text.split('\0').next().unwrap_or_default()] {
                if reaches(&segments(text), &login)
                    || behind_a_host(text).is_some_and(|path| reaches(&segments(path), &login))
                {
                    return true;
                }
            }
        }
        let next = unescape(&bytes);
        if next == bytes {
            return false;
        }
        bytes = next;
    }
    // Escaped more often than anything honest is.
    true
}

/// The path of a target that begins with two slashes or backslashes, as it is read relative to a URL: what follows them
/// is a host (RFC 3986 section 4.2, WHATWG URL). Servers on Node read targets so: `new URL(request.url, base)`.
fn behind_a_host(text: &str) -> Option<&str> {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let rest = text.trim_start_matches(|c: char| is_slash(c) || c.is_whitespace());
    let is_relative = text.strip_suffix(rest)?.chars().filter(|c| is_slash(*c)).nth(1).is_some();
    is_relative.then(|| rest.split_once(is_slash).map_or("", |(_, path)| path))
}

/// The path as it is, what follows a script in it (path info), and the path without scripts (a front controller).
fn reaches(path: &[String], login: &[String]) -> bool {
    if login.last().is_some_and(|last| last == CONTAINER_LOGIN)
        && path.iter().any(|one| one == CONTAINER_LOGIN)
    {
        return true;
    }
    let logins = [login.to_vec(), without_scripts(login)];
    let is_front = |at: usize, segment: &str| {
        script_stem(segment).is_some() && (at + 1 < path.len() || is_index(segment))
    };
    let behind = path.iter().enumerate().filter(|(at, segment)| is_front(*at, segment));
    let from = std::iter::once(0).chain(behind.map(|(at, _)| at + 1));
    from.filter_map(|at| path.get(at..)).any(|path| {
        let paths = [path.to_vec(), without_scripts(path)];
        paths.iter().any(|path| logins.iter().any(|login| same(path, login)))
    })
}

/// Without the scripts in front of the last segment.
fn without_scripts(path: &[String]) -> Vec<String> {
    let Some((last, above)) = path.split_last() else { return Vec::new() };
    above.iter().filter(|segment| script_stem(segment).is_none()).chain([last]).cloned().collect()
}

/// `login` of `login.php`.
fn script_stem(segment: &str) -> Option<&str> {
    let (stem, extension) = segment.rsplit_once('.')?;
    (!stem.is_empty() && SCRIPTS.contains(&extension)).then_some(stem)
}

/// What a server answers a directory with.
fn is_index(segment: &str) -> bool {
    segment == "index" || matches!(script_stem(segment), Some("index" | "default"))
}

fn same(path: &[String], login: &[String]) -> bool {
    let Some((login_last, above)) = login.split_last() else { return path.is_empty() };
    let Some(rest) = path.strip_prefix(above) else { return false };
    let (last, behind) = match rest.split_first() {
        Some(split) => split,
        // The directory whose index the login is.
        None => return is_index(login_last),
    };
    // tRPC calls every procedure of a list.
    last.split(',').any(|one| {
        let extended = match script_stem(login_last) {
            Some(stem) => same_stem(one, stem),
            None => one != login_last && same_stem(one, login_last),
        };
        match behind {
            [] => one == login_last || extended,
            [index] if is_index(index) => one == login_last || extended,
            // Path info, which only scripts have.
            _ => extended,
        }
    })
}

/// True for the stem with any extension, or none.
fn same_stem(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The segments as the most lenient router compares them.
fn segments(path: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for segment in names::folded(path).split(['/', '\\']) {
        let bare = segment.split(';').next().unwrap_or_default();
        let bare: String = bare.chars().filter(|c| !names::invisible(*c) && !c.is_whitespace()).collect();
        match bare.as_str() {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            other => out.push(other.trim_end_matches('.').to_owned()),
        }
    }
    out
}

/// Decodes `%XX` and `%uXXXX`; everything else stays as it is.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let hex = |digits: &[u8]| -> Option<u32> {
        digits.iter().try_fold(0, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?))
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            if let Some(byte) = after.get(..2).and_then(hex).and_then(|n| u8::try_from(n).ok()) {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            if let Some((b'u' | b'U', digits)) = after.split_first() {
                if let Some(c) = digits.get(..4).and_then(hex).and_then(char::from_u32) {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = digits.get(4..).unwrap_or_default();
                    continue;
                }
            }
        }
        out.push(*first);
    }
    out
}
