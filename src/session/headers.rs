//! What the application is told about the person, in request headers.

use std::rc::Rc;

use serde_json::Value;

use crate::config::{Account, IdentityHeader};
use crate::host::events::{self, Place};
use crate::host::{Host, Level};
use crate::identity::Claims;
use crate::session::{ForwardedClaim, Session};
use crate::values::json;

/// Names and values of headers, as a worker remembers thousands of them.
pub type Headers = Box<[(Rc<str>, Box<[u8]>)]>;

/// The longest value of one header.
pub const MAX: usize = 4096;

/// Name and value of every header for this session. Values are percent-encoded outside printable ASCII,
/// and `%` itself too, so that decoding gives back what was there. One that is too long is left out whole, roles
/// too: none of them, rather than some.
pub fn for_application(account: &Account, session: &Session) -> Headers {
    let forward = &account.forward;
    let mut headers = Vec::with_capacity(8);
    let mut push = |name: &Rc<str>, value: String| headers.push((name.clone(), value.into_bytes().into()));
    for (name, value) in of_the_person(account, session) {
        if !value.is_empty() && value.len() <= MAX {
            push(name, value);
        }
    }
    for kept in &session.headers {
        // Only what the configuration of today asks for: under the same name it may be another claim.
        let is_asked_for = |(name, claim): &&(Rc<str>, String)| {
            **name == *kept.header && (*claim == kept.claim || kept.claim.is_empty())
        };
        let asked_for = forward.headers.iter().find(is_asked_for);
        if let Some((name, _)) = asked_for.filter(|_| kept.value.len() <= MAX) {
            push(name, kept.value.clone());
        }
    }
    if let (Some(name), Some(token)) = (&forward.access_token, &session.tokens.access_token) {
        push(name, format!("Bearer {}", token.expose()));
    }
    if let (Some(name), Some(token)) = (&forward.id_token, &session.tokens.id_token) {
        push(name, token.expose().to_owned());
    }
    headers.into()
}

fn of_the_person<'a>(
    account: &'a Account,
    session: &'a Session,
) -> impl Iterator<Item = (&'a Rc<str>, String)> + 'a {
    let user = &session.user;
    let value = move |header: &IdentityHeader| match header {
        IdentityHeader::User => encode(&user.username, false),
        IdentityHeader::Email => encode(user.email.as_deref().unwrap_or_default(), false),
        IdentityHeader::Name => encode(user.name.as_deref().unwrap_or_default(), false),
        IdentityHeader::Roles => {
            let roles: Vec<String> = user.roles.iter().map(|role| encode(role, true)).collect();
            roles.join(",")
        }
        IdentityHeader::Account => account.code.clone(),
        IdentityHeader::Idp => encode(&session.origin.provider, false),
        IdentityHeader::Method => session.method.as_str().to_owned(),
    };
    account.forward.identity.iter().map(move |(header, name)| (name, value(header)))
}

/// Notes which headers of a new session the application will not get, for their length.
pub fn note_left_out(host: &dyn Host, place: Place<'_>, account: &Account, session: &Session) {
    for (name, value) in of_the_person(account, session) {
        if value.len() > MAX {
            note(host, place, name, value.len());
        }
    }
}

/// The values of `forward.headers` in these claims, encoded, to be kept in the session. One whose claim is too
/// long for a header is left out and noted.
pub fn from_claims(
    host: &dyn Host,
    place: Place<'_>,
    account: &Account,
    claims: &Claims,
) -> Vec<ForwardedClaim> {
    let mut kept = Vec::new();
    for (name, claim) in &account.forward.headers {
        match crate::values::json::pointer(claims, claim).and_then(text) {
            Some(value) if value.len() <= MAX => {
                kept.push(ForwardedClaim { header: name.to_string(), value, claim: claim.clone() });
            }
            Some(value) => note(host, place, name, value.len()),
            None => {}
        }
    }
    kept
}

fn note(host: &dyn Host, place: Place<'_>, name: &str, size: usize) {
    let reason = format!("{name} is not forwarded: it would be {size} bytes, and {MAX} is the most");
    events::notice(host, place, Level::Warn, &reason);
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(encode(text, false)),
        Value::Bool(_) | Value::Number(_) => Some(json::text(value)),
        Value::Array(list) => {
            let parts: Vec<String> = list
                .iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(encode(text, true)),
                    Value::Bool(_) | Value::Number(_) => Some(json::text(item)),
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
    // Leading and trailing white space is not part of a header's value (RFC 9110 section 5.5).
    let trimmed = out.trim_matches(' ').len();
    if trimmed != out.len() {
        out = out.replace(' ', "%20");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{token_of, JWKS};
    use crate::testing::browser::{filter_state, Browser, KEY};
    use crate::testing::{decided, TestHost, START};
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
            assert_eq!(crate::http::path::decode(wanted), text);
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

    /// What an account with these roles in its directory forwards, and what the log says, after a login by
    /// password and after a request with a token whose claim is this long. The last role is so much longer.
    fn told(roles: usize, longer: usize, claim: usize) -> [(Vec<String>, Vec<String>); 2] {
        let keys: Value = serde_json::from_str(JWKS).unwrap();
        let mut roles: Vec<String> = (0..roles).map(|n| format!("role{n:036}")).collect();
        roles.last_mut().unwrap().push_str(&"x".repeat(longer));
        let configuration = json!({
            "session": { "keys": [{ "id": "k1", "value": KEY }] },
            "clusters": { "*": "idp" },
            "accounts": [{
                "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
                "identity_providers": [{ "id": "corp", "oidc": {
                    "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                    "token_endpoint": "https://idp.example/token", "jwks": keys, "client_id": "app"
                } }],
                "directory": { "static": { "users": [{ "username": "ada", "email": "ada@acme.com", "roles": roles }] } },
                "password": { "mode": "enabled", "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }] },
                "forward": { "headers": { "x-department": "department" } },
                "bearer": { "audiences": ["api"], "providers": ["corp"] }
            }]
        });
        let now = START / 1000;
        let claims = json!({
            "iss": "https://idp.example", "sub": "1", "aud": "api", "iat": now, "exp": now + 3600,
            "client_id": "cli", "email": "ada@acme.com", "department": "d".repeat(claim),
        });
        let token = token_of(&json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"}), &claims.to_string());
        ["/login", "/reports"].map(|path| {
            let host = TestHost::new();
            let filter_state = filter_state(&host, &configuration);
            let mut browser = Browser::new(&filter_state, "app.example");
            let nobody = &mut |call: &_| panic!("nobody is asked: {call:?}");
            if path == "/login" {
                let mut pass = browser.post(path, &[("username", "ada")], nobody).pass.unwrap();
                let judge = pass.on_response.take().unwrap();
                let cookies = decided(judge(&vec![(":status".into(), b"200".to_vec())], true));
                for pair in cookies.iter().filter_map(|line| line.split(';').next()?.split_once('=')) {
                    browser.cookies.push((pair.0.to_owned(), pair.1.to_owned()));
                }
            } else {
                browser = browser.with("authorization", &format!("Bearer {token}"));
            }
            let live = browser.get("/reports", nobody).pass.unwrap().live.unwrap();
            let noted = |(_, line): &(Level, String)| {
                let line: Value = serde_json::from_str(line).unwrap();
                let reason = line["reason"].as_str().filter(|_| line["event"] == "notice")?;
                Some(reason.to_owned())
            };
            let logs = host.logs();
            (
                live.headers.iter().map(|(name, _)| name.to_string()).collect(),
                logs.iter().filter_map(noted).collect(),
            )
        })
    }

    #[test]
    fn what_is_too_long_for_a_header_is_left_out_whole_and_noted() {
        let note = |name: &str, size: usize| {
            format!("{name} is not forwarded: it would be {size} bytes, and 4096 is the most")
        };
        let has = |headers: &[String], name: &str| headers.iter().any(|own| own == name);
        // 99 roles of forty letters, the commas between them and 38 letters more are 4096 bytes.
        for (headers, notes) in told(99, 38, 4096) {
            assert!(has(&headers, "x-sso-roles") && has(&headers, "x-sso-user"));
            assert_eq!(notes, [""; 0]);
        }
        for (headers, notes) in told(99, 39, 4096) {
            assert!(!has(&headers, "x-sso-roles"));
            assert_eq!(notes, [note("x-sso-roles", 4097)]);
        }
        let [password, bearer] = told(100, 0, 4097);
        for (headers, _) in [&password, &bearer] {
            assert!(!has(headers, "x-sso-roles") && !has(headers, "x-department"));
            assert!(has(headers, "x-sso-user") && has(headers, "x-sso-email"));
        }
        assert_eq!(password.1, [note("x-sso-roles", 4099)]);
        assert_eq!(bearer.1, [note("x-department", 4097), note("x-sso-roles", 4099)]);
        assert!(has(&told(1, 0, 4096)[1].0, "x-department"));
    }
}
