//! A request as it comes in, read once: headers, cookies, path. Nothing is decided here.
//!
//! - `head`: method, path, headers; navigation, script or program; looked at ahead; sent by another site.
//! - `cookies`: which cookies are the filter's own, and what is left for the application.
//! - [`path`]: one canonical path, and the readings of an ambiguous one. `reserved`: headers that no client may send.
//! - [`response`]: what the filter answers.
//!
//! Invariants: bytes, not text, until something is known to be text. Everything a client sends has a limit.

mod bytes;
mod cookies;
pub mod form;
mod head;
pub mod path;
pub mod query;
mod reserved;
pub mod response;
mod trace;

pub use bytes::same;
pub use cookies::{chunks, CookieEdit, Found, Jar, MAX_CHUNKS};
pub use head::{bare_authority, Head, Headers};
pub use path::Path;
pub use reserved::{among_trailers, Reserved};
pub use trace::trace;

/// `host` or `host:port` as it stands in a URL, without a default port.
pub fn authority(url: &url::Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        _ => String::new(),
    }
}
