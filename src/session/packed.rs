//! A session as the bytes in its envelope.
//!
//! Tokens are base64url most often, as JWTs are, and the envelope is base64 once more. So tokens stand here as the bytes
//! that they encode, which makes the cookie a quarter shorter.
//!
//! The format: `1`; the length of the JSON in four bytes, the lowest first; the JSON without those tokens; then for each
//! token which one it is, the number of its parts, and each part's length (four bytes) and bytes. Bytes that begin with
//! `{` are the JSON of a filter that had no such format.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

use super::{Session, Tokens};
use crate::values::secret::Secret;

const VERSION: u8 = 1;

/// A JWE has five parts (RFC 7516 section 3.1).
const MAX_PARTS: usize = 5;

impl Tokens {
    fn texts(&mut self) -> [&mut Option<Secret>; 3] {
        [&mut self.id_token, &mut self.access_token, &mut self.refresh_token]
    }
}

impl Session {
    /// As the envelope holds it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut session = self.clone();
        let mut packed = Vec::new();
        for (token, which) in session.tokens.texts().into_iter().zip(0..) {
            if let Some(parts) = token.as_ref().and_then(|token| parts(token.expose())) {
                *token = None;
                packed.push(which);
                packed.push(parts.len() as u8);
                parts.iter().for_each(|part| write(&mut packed, part));
            }
        }
        let json = serde_json::to_vec(&session).unwrap_or_default();
        let mut bytes = vec![VERSION];
        write(&mut bytes, &json);
        bytes.extend(packed);
        bytes
    }

    /// Out of its envelope.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Some(mut rest) = bytes.strip_prefix(&[VERSION]) else {
            return serde_json::from_slice(bytes).ok();
        };
        let mut session: Self = serde_json::from_slice(read(&mut rest)?).ok()?;
        while let [which, count, after @ ..] = rest {
            rest = after;
            let mut text = String::new();
            for n in 0..*count {
                if n > 0 {
                    text.push('.');
                }
                text.push_str(&URL_SAFE_NO_PAD.encode(read(&mut rest)?));
            }
            **session.tokens.texts().get_mut(usize::from(*which))? = Some(Secret::new(text));
        }
        rest.is_empty().then_some(session)
    }
}

/// The parts between the dots of a token, decoded; `None` if the token is anything else. The decoder refuses what it would
/// not write itself, so that the token comes back as it was.
fn parts(token: &str) -> Option<Vec<Vec<u8>>> {
    if token.bytes().filter(|byte| *byte == b'.').count() >= MAX_PARTS {
        return None;
    }
    token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok()).collect()
}

fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

fn read<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(tokens: [Option<&str>; 3]) -> Session {
        let [id_token, access_token, refresh_token] =
            tokens.map(|token| token.map(|text| Secret::new(text.to_owned())));
        let mut session: Session = serde_json::from_value(serde_json::json!({
            "s": "an id", "u": {"u": "ada", "o": "i"}, "m": "sso", "b": 1, "l": 2, "c": 3,
        }))
        .unwrap();
        session.tokens = Tokens { id_token, access_token, refresh_token, ..Tokens::default() };
        session
    }

    #[test]
    fn every_token_comes_back_as_it_was() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcCJ9.AAECAwQF_-8";
        let odd = [
            jwt,
            "",
            "opaque",
            "a",
            "YQ==",
            "YR",
            "a.b",
            "...",
            "x.y.z.w.v.u",
            "\u{e9}",
            "{\"a\":1}",
            "e30..YQ.YWI.YWJj",
        ];
        for token in odd {
            for tokens in [[Some(token), None, None], [None, Some(token), Some(jwt)], [Some(token); 3]] {
                let session = session(tokens);
                assert_eq!(Session::from_bytes(&session.to_bytes()), Some(session), "{token}");
            }
        }
        let long = format!("{}.e30.e30", "eyJhbGciOiJSUzI1NiJ9AAAA".repeat(50));
        let session = session([Some(&long); 3]);
        let (packed, plain) = (session.to_bytes().len(), serde_json::to_vec(&session).unwrap().len());
        assert!(packed < plain * 4 / 5, "{packed} {plain}");
    }

    #[test]
    fn sessions_of_a_filter_before_this_format_still_open() {
        let session = session([Some("e30.e30.e30"), None, Some("opaque")]);
        assert_eq!(Session::from_bytes(&serde_json::to_vec(&session).unwrap()), Some(session));
    }

    #[test]
    fn what_is_cut_or_longer_does_not_open() {
        let bytes = session([Some("e30.e30.e30"), Some("e30"), None]).to_bytes();
        for end in 0..bytes.len() {
            // Cut behind a token it is another session, which nothing but our own key could have sealed.
            let cut = Session::from_bytes(bytes.get(..end).unwrap());
            assert!(cut.is_none_or(|cut| cut.tokens.access_token.is_none()), "{end}");
        }
        for more in [&[0][..], &[7, 0], &[0, 1, 9, 0, 0, 0], &[0, 1, 255, 255, 255, 255]] {
            assert_eq!(Session::from_bytes(&[&bytes[..], more].concat()), None, "{more:?}");
        }
        assert_eq!((Session::from_bytes(b""), Session::from_bytes(b"2{}")), (None, None));
    }
}
