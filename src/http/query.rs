//! The parameters of a query, found without decoding the others.

use url::form_urlencoded;

/// What a query says of one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Param {
    /// Nothing.
    #[default]
    Absent,
    /// One value.
    Once(String),
    /// It stands there several times: filter and application could each believe another.
    Several,
}

impl Param {
    /// The value, if there is exactly one and it is UTF-8.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Once(value) if !value.contains('\u{fffd}') => Some(value),
            _ => None,
        }
    }
}

/// What a query says of these names, in one pass.
pub fn params<const N: usize>(query: &[u8], names: [&str; N]) -> [Param; N] {
    let mut found = [const { Param::Absent }; N];
    for part in query.split(|byte| *byte == b'&') {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        let Some(at) = names.iter().position(|wanted| is(name, wanted)) else { continue };
        let Some(slot) = found.get_mut(at) else { continue };
        *slot = match slot {
            Param::Absent => {
                let value = form_urlencoded::parse(part).next().map(|(_, value)| value.into_owned());
                Param::Once(value.unwrap_or_default())
            }
            _ => Param::Several,
        };
    }
    found
}

/// True where a name, escaped or not, is the one that is wanted.
fn is(name: &[u8], wanted: &str) -> bool {
    if name.len() < wanted.len() || name.len() > 3 * wanted.len() {
        return false;
    }
    let escaped = name.iter().any(|byte| matches!(byte, b'%' | b'+'));
    match escaped {
        false => name == wanted.as_bytes(),
        true => form_urlencoded::parse(name).next().is_some_and(|(name, _)| name == wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_once_or_said_to_be_there_more_often() {
        let query = b"x=1&y=%20&x=2&z=%ff&%75=acme&empty&e=&&?q=1&%zz=1";
        let [x, y, z, u, empty, e, q, none] = params(query, ["x", "y", "z", "u", "empty", "e", "?q", "none"]);
        assert_eq!((x, y), (Param::Several, Param::Once(" ".into())));
        assert_eq!((z.text(), u.text().as_deref()), (None, Some("acme")));
        assert_eq!((empty.text().as_deref(), e.text().as_deref()), (Some(""), Some("")));
        assert_eq!((q.text().as_deref(), none), (Some("1"), Param::Absent));
    }

    #[test]
    fn it_reads_as_the_whole_parse_does() {
        let alphabet = b"ab=&%61+?";
        for n in 0..alphabet.len().pow(5) {
            let query: Vec<u8> = (0..5)
                .filter_map(|place| alphabet.get(n / alphabet.len().pow(place) % alphabet.len()).copied())
                .collect();
            let whole: Vec<String> = form_urlencoded::parse(&query)
                .filter(|(name, _)| name == "a")
                .map(|(_, value)| value.into_owned())
                .collect();
            let wanted = match whole.as_slice() {
                [] => Param::Absent,
                [one] => Param::Once(one.clone()),
                _ => Param::Several,
            };
            let [found] = params(&query, ["a"]);
            assert_eq!(found, wanted, "{}", String::from_utf8_lossy(&query));
        }
    }
}
