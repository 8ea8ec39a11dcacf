//! Which names some parser would take for the username field's.
//!
//! PHP turns `user.name` and `user name` into `user_name`, cuts at NUL and trims; Rails, qs and PHP read
//! `user[name]` as nesting, Spring reads `user.name` so; .NET compares without case. Whoever sends the field twice,
//! once for the filter and once for the application, would be ruled on under the wrong name.

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

/// True where a parser might take the one for the other, or the one for what the other is in.
pub fn collide(a: &[String], b: &[String]) -> bool {
    !a.is_empty() && !b.is_empty() && (a.iter().zip(b).all(|(a, b)| a == b) || a.concat() == b.concat())
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
