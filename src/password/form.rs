//! `application/x-www-form-urlencoded`, as an allow-grammar (WHATWG URL section 5.1).

use super::beside::{clipped, Beside};
use super::names;
use crate::http::form::{decode, unescape};

/// The most fields of a login form. PHP and qs ignore fields beyond 1000.
const MAX_FIELDS: usize = 200;

/// One field, decoded.
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value; `None` where there is no `=`.
    pub value: Option<String>,
}

/// All fields of a form that every parser reads alike; `Err` says why it is not certain.
pub fn parse(body: &[u8]) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
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
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = decode(parts.next().unwrap_or_default())?;
        let value = parts.next().map(decode).transpose()?;
        let sets_charset = name == "_charset_"
            && value.as_deref().is_some_and(|charset| charset.eq_ignore_ascii_case("utf-8"));
        if names::odd(&name) {
            return Err(format!("a field that could be taken for another: {}", clipped(&name)));
        }
        if names::special(&name) && !sets_charset {
            return Err(format!("a field that changes what the request is: {}", clipped(&name)));
        }
        fields.push(Field { name, value });
    }
    Ok(fields)
}

/// The value of the field, which must be there once and once only. `None`: it is not there, nor anything that could
/// be taken for it.
pub fn find<'f>(fields: &'f [Field], field: &str) -> Result<Option<&'f str>, String> {
    let wanted = names::path(field);
    let mut found = None;
    for own in fields {
        match &own.value {
            Some(_) if own.name == field && found.is_some() => {
                return Err(format!("the field {field} twice"));
            }
            Some(value) if own.name == field => found = Some(value.as_str()),
            _ if names::collide(&names::path(&own.name), &wanted) => {
                return Err(format!("a field that could be taken for {field}"));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The username in a form whose other fields may stand beside it.
pub fn username(fields: &[Field], field: &str, mut beside: Beside<'_>) -> Result<String, String> {
    let name = find(fields, field)?.ok_or_else(|| format!("no field {field}"))?;
    for own in fields.iter().filter(|own| own.name != field && !own.name.is_empty()) {
        beside.top_level(&own.name)?;
    }
    Ok(name.to_owned())
}

/// True where a query string has a name like that, in any way that some parser reads, escaped twice included.
/// What cannot be decoded counts as one.
pub fn query_has(query: &[u8], is_one: &dyn Fn(&[String]) -> bool) -> bool {
    query.split(|b| matches!(b, b'&' | b';')).any(|pair| {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let mut name = name.to_vec();
        for _ in 0..4 {
            let Ok(text) = std::str::from_utf8(&name) else { return true };
            if is_one(&names::path(text)) || is_one(&names::path(&text.replace('\0', ""))) {
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
