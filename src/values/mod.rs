//! Values as every protocol writes and compares them: email addresses, phone numbers, names, times.

pub mod email;
pub mod json;
pub mod names;
pub mod order;
pub mod phone;
pub mod secret;
pub mod secret_source;
pub mod text;
pub mod time;
