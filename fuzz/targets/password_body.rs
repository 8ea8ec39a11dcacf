//! The password rule: a name that is read is the name that every application would take, and no other field of the body
//! could choose the account.
//!
//! The first byte chooses where the username is, the rest is the body.

use envoy_sso::config::{PasswordLogin, UsernameField};
use envoy_sso::password::username;

use super::applications::{form_names, form_usernames, json_names, json_usernames};

const FIELDS: [(&str, bool); 6] = [
    ("username", false),
    ("user[name]", false),
    ("user.name", false),
    ("/username", true),
    ("/user/name", true),
    ("/data/attributes/user_name", true),
];

/// By which applications choose the account.
const CHOOSING: &str =
    "email mail user username login uid userid account nameoremail phone mobile tel tenant realm domain org \
                        organization workspace";

/// The first name beside the ruled one by which an application could choose another account.
fn other_account(names: &[Vec<String>], ruled: &[String]) -> Option<Vec<String>> {
    let plain = |name: &String| name.to_lowercase().replace(['_', '-', ' '], "");
    let chooses = |name: &String| CHOOSING.split(' ').any(|own| own == plain(name));
    let (_, containers) = ruled.split_last()?;
    names
        .iter()
        .find(|path| {
            let shared = path.iter().zip(containers).take_while(|(a, b)| plain(a) == plain(b)).count();
            path.as_slice() != ruled && path[shared..].iter().any(chooses)
        })
        .cloned()
}

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
    let ruled: Vec<String> =
        field.split(['/', '[', ']', '.']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let names = if json { json_names(body) } else { form_names(body) };
    assert_eq!(other_account(&names, &ruled), None, "beside {name:?}");
}
