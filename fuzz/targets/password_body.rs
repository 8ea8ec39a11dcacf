//! The password rule: a name that is read is the name that every application would take.
//!
//! The first byte chooses where the username is, the rest is the body.

use envoy_sso::config::{PasswordLogin, UsernameField};
use envoy_sso::password::username;

use super::applications::{form_usernames, json_usernames};

const FIELDS: [(&str, bool); 6] = [
    ("username", false),
    ("user[name]", false),
    ("user.name", false),
    ("/username", true),
    ("/user/name", true),
    ("/data/attributes/user_name", true),
];

pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let (field, json) = FIELDS[usize::from(first.wrapping_sub(b'0')) % FIELDS.len()];
    let place = if json { UsernameField::Json(field.into()) } else { UsernameField::Form(field.into()) };
    let login = PasswordLogin::plain("/login", place);
    let Ok(name) = username(&login, body) else { return };
    let name = name.as_str();
    assert!(!name.is_empty() && name.trim() == name && !name.chars().any(char::is_control), "{name:?}");
    let taken = if json { json_usernames(body, field) } else { form_usernames(body, field) };
    assert!(!taken.is_empty(), "no application reads a name, the filter {name:?}");
    for (application, other) in taken {
        assert_eq!(other, name, "{application} takes another name");
    }
}
