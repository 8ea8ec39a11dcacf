//! Who may still use a password: the username is read with certainty out of a login
//! request, ruled on, and the request goes on byte for byte or not at all.

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
