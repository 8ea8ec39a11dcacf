//! `application/x-www-form-urlencoded`, read strictly and written as the WHATWG URL standard has it.

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

fn decode(bytes: &[u8]) -> Result<String, String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied();
    let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("a broken percent escape".into()),
            },
            b => b,
        });
    }
    String::from_utf8(out).map_err(|_| "not UTF-8".into())
}
