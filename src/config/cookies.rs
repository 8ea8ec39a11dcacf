//! Cookies: their name with its prefix, and their attributes.

use super::problems::At;
use super::{names, raw, Cookies, SameSite};

/// Checks them.
pub(super) fn check(at: &At<'_>, raw: &raw::Cookies) -> Cookies {
    let name = raw.name.clone().unwrap_or_else(|| "sso".into());
    if name.is_empty()
        || name.len() > 64
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        at.field("name").problem("expected 1 to 64 letters, digits, '-' and '_'");
    }
    let secure = raw.secure.unwrap_or(true);
    let same_site = raw.same_site.unwrap_or_default();
    if same_site == SameSite::None && !secure {
        at.field("same_site").problem("none needs secure: browsers drop such cookies otherwise");
    }
    if let Some(domain) = &raw.domain {
        let bare = domain.strip_prefix('.').unwrap_or(domain);
        if !names::is_domain(bare) || !bare.is_ascii() {
            at.field("domain").problem("expected a domain such as example.com");
        }
    }
    let prefix = match (secure, &raw.domain) {
        (true, None) => "__Host-",
        (true, Some(_)) => "__Secure-",
        (false, _) => "",
    };
    let persistent = raw.persistent.unwrap_or_default();
    Cookies { name: format!("{prefix}{name}"), secure, same_site, domain: raw.domain.clone(), persistent }
}
