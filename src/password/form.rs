//! `application/x-www-form-urlencoded`, as an allow-grammar (WHATWG URL section 5.1).

use super::names;
use crate::http::form::{decode, unescape};

/// The most fields of a login form. PHP and qs ignore fields beyond 1000.
const MAX_FIELDS: usize = 200;

/// The value of the field, which must be there once and once only; `Err` says why it is not certain.
pub fn read(body: &[u8], field: &str) -> Result<String, String> {
    let wanted = names::path(field);
    let mut found = None;
    for (n, pair) in body.split(|b| *b == b'&').enumerate() {
        if n >= MAX_FIELDS {
            return Err(format!("more than {MAX_FIELDS} fields"));
        }
        // Browsers escape all of these; `;` separates fields for some parsers and not for others.
        if pair.iter().any(|b| {
            !b.is_ascii_graphic()
                || matches!(b, b';' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        }) {
            return Err("a byte that forms escape".into());
        }
        let at = pair.iter().position(|b| *b == b'=');
        let (name, value) = match at {
            Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
            None => (pair, &b""[..]),
        };
        let name = decode(name)?;
        let value = decode(value)?;
        if name == field && at.is_some() {
            if found.replace(value).is_some() {
                return Err("the username field twice".into());
            }
        } else if names::odd(&name) || names::collide(&names::path(&name), &wanted) {
            return Err(format!("a field that could be taken for {field}"));
        } else if names::special(&name) && !(name == "_charset_" && value.eq_ignore_ascii_case("utf-8")) {
            return Err(format!("a field that changes what the request is: {name}"));
        }
    }
    found.ok_or_else(|| format!("no field {field}"))
}

/// True where a query string names the field, in any way that some parser reads, escaped twice included.
/// What cannot be decoded counts as naming it.
pub fn query_names(query: &[u8], field: &[String]) -> bool {
    query.split(|b| matches!(b, b'&' | b';')).any(|pair| {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let mut name = name.to_vec();
        for _ in 0..4 {
            let Ok(text) = std::str::from_utf8(&name) else { return true };
            if names::collide(&names::path(text), field)
                || names::collide(&names::path(&text.replace('\0', "")), field)
            {
                return true;
            }
            match unescape(&name) {
                Some(next) if next == name => return false,
                Some(next) => name = next,
                // A stray `%`: some decoders keep it, some drop it, some (`%u0075`) read Unicode.
                None => return true,
            }
        }
        true
    })
}
