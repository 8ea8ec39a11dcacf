//! What follows a sign-out.

use crate::config::problems::At;
use crate::config::raw;

/// What follows a sign-out.
#[derive(Clone, Debug, Default)]
pub struct Logout {
    /// A path of the application, where the provider has no sign-out of its own.
    pub landing: Option<String>,
    /// The value of `Clear-Site-Data`; empty: no such header.
    pub clear_site_data: String,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Logout>) -> Logout {
    let Some(raw) = raw else { return Logout::default() };
    if let Some(landing) = &raw.landing {
        let path = landing.split('?').next().unwrap_or_default();
        if !path.starts_with('/') || crate::http::Path::read(path.as_bytes()).plain() != Some(path) {
            at.field("landing")
                .problem(format!("expected a path on the same origin, such as /bye, found {landing:?}"));
        }
    }
    let names: Vec<String> =
        raw.clear_site_data.iter().map(|data| format!("\"{}\"", data.as_str())).collect();
    Logout { landing: raw.landing.clone(), clear_site_data: names.join(", ") }
}
