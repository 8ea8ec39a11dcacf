//! Paths that some application would route to a password login although they are not written like it.

/// True where `raw_path` (the query may follow) is another way to write `login_path`: case, doubled or
/// trailing slashes, `;parameters`, escapes, dot segments, backslashes, trailing dots or spaces, an
/// extension, or path info behind a script. A POST there would reach the login without a ruling, so it is
/// refused. Ask after every login was compared exactly.
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
                if same(&segments(text), &login) {
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

fn same(path: &[String], login: &[String]) -> bool {
    if path == login {
        return true;
    }
    let (Some((last, above)), Some((login_last, login_above))) = (path.split_last(), login.split_last())
    else {
        return false;
    };
    let extended = above == login_above && last.split_once('.').is_some_and(|(stem, _)| stem == login_last);
    let behind_a_script = login_last.contains('.') && path.starts_with(login);
    extended || behind_a_script
}

/// The segments as the most lenient router compares them.
fn segments(path: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for segment in crate::values::names::folded(path).split(['/', '\\']) {
        let bare = segment.split(';').next().unwrap_or_default();
        let bare: String =
            bare.chars().filter(|c| !crate::values::names::invisible(*c) && !c.is_whitespace()).collect();
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

/// `%XX` and `%uXXXX`; what is no escape stays.
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
