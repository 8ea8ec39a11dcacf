//! Who may still use a password: the username is read with certainty out of a login request, ruled on, and the request goes on
//! byte for byte or not at all.
//!
//! - `login_request`: which request is a login, by its head, and the username of its body. `alias`: other spellings of its path.
//! - `form`, `json`: the two bodies that are read. `beside`: which other fields a login may have. `names`: their spellings.
//! - `when`: whether a body at this path is the login at all.
//! - `ruling`: who may: the table of docs/directory.md. To change who may use a password: there.
//! - `attempts`: failed passwords, counted.
//!
//! The flow around it is `flows::login::password`; what counts as success is `config::account`. Invariant: what parsers could
//! read in two ways is refused, and the application sees nothing of it.

pub mod alias;
pub mod attempts;
mod beside;
mod form;
mod json;
pub mod login_request;
mod names;
#[cfg(test)]
mod request_tests;
pub mod ruling;
#[cfg(test)]
mod ruling_tests;
#[cfg(test)]
mod tests;
mod when;

pub use alias::alias_of_login;
pub use login_request::{head, read, username, Head, HeadRuling, Reading, Username, MAX_BODY};
pub use ruling::{rule, session_stands, Ruling};
