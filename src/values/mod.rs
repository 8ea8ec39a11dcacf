//! Values as every protocol writes and compares them: email addresses, phone numbers, names, times.
//!
//! - `email`, `phone`, `names`: how two of a kind compare. To change that: there, and nowhere else.
//! - `time`: RFC 3339. `json`: JSON from outside, strictly. `members`: an object for the log or a client. `text`: text from outside for a log line.
//! - `secret`, `secret_source`: a secret that cannot be printed, and where it is kept. `order`: sorting in little code.

pub mod email;
pub mod json;
pub mod members;
pub mod names;
pub mod order;
pub mod phone;
pub mod secret;
pub mod secret_source;
pub mod text;
pub mod time;
