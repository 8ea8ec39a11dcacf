//! `application/x-www-form-urlencoded`, read strictly and written as the WHATWG URL standard has it.

use crate::http::form::decode;

/// Reads names and values in order. Refused: a broken percent escape, text that is not UTF-8.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    bytes
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Writes names and values.
pub fn write(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// One value, as RFC 6749 section 2.3.1 wants client id and secret before they are joined.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
