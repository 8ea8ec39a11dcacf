//! Which names some parser would take for the username field's, and by which an application could choose the account.
//!
//! PHP turns `user.name` and `user name` into `user_name`, cuts at NUL and trims; Rails, qs and PHP read
//! `user[name]` as nesting, Spring reads `user.name` so; .NET compares without case and binds `model.username` before
//! `username`. A sender of the field twice, once for the filter and once for the application, would be ruled on under
//! the wrong name.

/// Names by which an application could choose the account, squashed.
const CHOOSING: [&str; 18] = [
    "email",
    "mail",
    "user",
    "username",
    "login",
    "uid",
    "userid",
    "account",
    "nameoremail",
    "phone",
    "mobile",
    "tel",
    "tenant",
    "realm",
    "domain",
    "org",
    "organization",
    "workspace",
];

/// Names of the field that holds the password, squashed.
const PASSWORDS: [&str; 6] = ["password", "passwd", "passphrase", "pass", "pwd", "passcode"];

/// The username field as a path of names: `["user", "name"]` of the pointer `/user/name` and of the form
/// field `user[name]`.
pub fn path(name: &str) -> Vec<String> {
    let cut = name.split('\0').next().unwrap_or_default();
    cut.split(['[', ']', '.', '/', ':'])
        .map(squash)
        // Indexes too: `user[0]` is an element of what `user[]` is.
        .filter(|part| !part.is_empty() && !part.bytes().all(|b| b.is_ascii_digit()))
        .collect()
}

/// The names of a JSON Pointer (RFC 6901).
pub fn segments(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}

/// True where a parser might take a name for the wanted one, for what that is in, or for it with a prefix.
pub fn collide(name: &[String], wanted: &[String]) -> bool {
    !name.is_empty()
        && !wanted.is_empty()
        && (name.iter().zip(wanted).all(|(a, b)| a == b)
            || name.ends_with(wanted)
            || name.concat() == wanted.concat())
}

/// True where an application could choose the account by a field of this path: by a part of it, or by all of it read
/// as one name.
pub fn chooses(path: &[String]) -> bool {
    let is_one = |name: &str| CHOOSING.contains(&name);
    path.iter().any(|part| is_one(part)) || is_one(&path.concat())
}

/// The password field that this name is, squashed.
pub fn password(path: &[String]) -> Option<String> {
    path.last().filter(|name| PASSWORDS.contains(&name.as_str())).cloned()
}

/// A name without case, compatibility forms and everything that is neither letter nor digit.
fn squash(name: &str) -> String {
    crate::values::names::folded(name).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// True where a name has something in it that only an attempt to be read in two ways would have.
pub fn odd(name: &str) -> bool {
    name.trim() != name || name.chars().any(|c| crate::values::names::invisible(c) || matches!(c, '%' | '\\'))
}

/// Names that change what the request is: the decoding of a form, the method, an object's prototype.
pub fn special(name: &str) -> bool {
    ["_charset_", "_method", "__proto__", "constructor", "prototype"].contains(&name.to_lowercase().trim())
}
