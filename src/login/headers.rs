//! What the application is told about the person, in request headers.

use serde_json::Value;

use crate::config::Account;
use crate::identity::Claims;
use crate::session::Session;

/// The longest value of one header.
pub const MAX: usize = 4096;

/// Name and value of every header for this session. Values are percent-encoded outside printable ASCII,
/// and `%` itself too, so that decoding gives back what was there.
pub fn for_application(account: &Account, session: &Session) -> Vec<(String, Vec<u8>)> {
    let forward = &account.forward;
    let user = &session.user;
    let roles: Vec<String> = user.roles.iter().map(|role| encode(role, true)).collect();
    let mut headers = Vec::with_capacity(8);
    let mut add = |name: &str, value: String| {
        if !value.is_empty() && value.len() <= MAX {
            headers.push((format!("{}{name}", forward.prefix), value.into_bytes()));
        }
    };
    add("user", encode(&user.username, false));
    add("email", encode(user.email.as_deref().unwrap_or_default(), false));
    add("name", encode(user.name.as_deref().unwrap_or_default(), false));
    add("roles", roles.join(","));
    add("account", account.code.clone());
    add("idp", encode(&session.origin.provider, false));
    add("method", session.method.as_str().to_owned());
    for (name, value) in &session.headers {
        // Only what the configuration of today asks for.
        if forward.headers.iter().any(|(own, _)| own == name) && value.len() <= MAX {
            headers.push((name.clone(), value.clone().into_bytes()));
        }
    }
    if let (Some(name), Some(token)) = (&forward.access_token, &session.tokens.access_token) {
        headers.push((name.clone(), format!("Bearer {}", token.expose()).into_bytes()));
    }
    headers
}

/// The values of `forward.headers` in these claims, encoded, to be kept in the session; and the headers
/// whose claim is too long for one.
pub fn from_claims(account: &Account, claims: &Claims) -> (Vec<(String, String)>, Vec<String>) {
    let (mut kept, mut too_long) = (Vec::new(), Vec::new());
    for (name, claim) in &account.forward.headers {
        match crate::json::pointer(claims, claim).and_then(text) {
            Some(value) if value.len() <= MAX => kept.push((name.clone(), value)),
            Some(_) => too_long.push(name.clone()),
            None => {}
        }
    }
    (kept, too_long)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(encode(text, false)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(list) => {
            let parts: Vec<String> = list
                .iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(encode(text, true)),
                    Value::Bool(_) | Value::Number(_) => Some(item.to_string()),
                    _ => None,
                })
                .collect();
            Some(parts.join(","))
        }
        _ => None,
    }
}

/// Percent-encodes all but printable ASCII; in a list the comma too.
fn encode(text: &str, in_list: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b',' if in_list => out.push_str("%2C"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // Leading and trailing white space is no part of a header's value (RFC 9110 section 5.5).
    let trimmed = out.trim_matches(' ').len();
    if trimmed != out.len() {
        out = out.replace(' ', "%20");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_printable_ascii_and_decode_to_what_was_there() {
        for (text, list, wanted) in [
            ("Ada Lovelace", false, "Ada Lovelace"),
            ("Ada\r\nx-evil: 1", false, "Ada%0D%0Ax-evil: 1"),
            ("Zoë", false, "Zo%C3%AB"),
            ("100%", false, "100%25"),
            ("a,b", true, "a%2Cb"),
            ("a,b", false, "a,b"),
            (" a ", false, "%20a%20"),
            ("\u{7f}", false, "%7F"),
        ] {
            assert_eq!(encode(text, list), wanted, "{text:?}");
            assert_eq!(crate::request::path::decode(wanted), text);
        }
    }

    #[test]
    fn claims_of_simple_types_become_text() {
        assert_eq!(text(&json!("R&D")).as_deref(), Some("R&D"));
        assert_eq!(text(&json!(["a,b", 1, true, {}, null])).as_deref(), Some("a%2Cb,1,true"));
        assert_eq!(text(&json!(7)).as_deref(), Some("7"));
        assert_eq!(text(&json!({"a": 1})), None);
        assert_eq!(text(&json!(null)), None);
    }
}
