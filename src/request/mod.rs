//! A request as it comes in, read once: headers, cookies, path. Nothing is decided here.

mod bytes;
pub mod form;
mod head;
mod jar;
pub mod path;
mod reserved;

pub use bytes::same;
pub use head::{bare_authority, Head, Headers};
pub use jar::{chunks, CookieEdit, Found, Jar, MAX_CHUNKS};
pub use path::Path;
pub use reserved::{among_trailers, Reserved};
