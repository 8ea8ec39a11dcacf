//! How the pages look, and what they say.

use super::problems::At;
use super::raw;
use crate::pages::Look;

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &raw::Pages) -> Look {
    if let Some(accent) = &raw.accent {
        let hex = accent
            .strip_prefix('#')
            .is_some_and(|h| h.len() == 6 && h.bytes().all(|b| b.is_ascii_hexdigit()));
        if !hex {
            at.field("accent").problem("expected a colour such as #1a5fb4");
        }
    }
    if let Some(logo) = &raw.logo {
        if !(logo.starts_with('/') && !logo.starts_with("//") || logo.starts_with("https://")) {
            at.field("logo").problem("expected a path on the same origin or an https URL");
        }
    }
    texts(&at.field("texts"), &raw.texts);
    for (tag, own) in &raw.translations {
        let at = at.field("translations").field(tag);
        if !crate::pages::is_language(tag) {
            at.problem("expected a language tag such as de or zh-CN (RFC 5646)");
        }
        texts(&at, own);
    }
    let raw = raw.clone();
    Look {
        name: raw.name,
        logo: raw.logo,
        accent: raw.accent,
        contact: raw.contact,
        language: raw.language,
        texts: raw.texts,
        translations: raw.translations,
    }
}

/// A key that another release knew must not take every sign-in down: a warning.
fn texts(at: &At<'_>, texts: &raw::Params) {
    for key in texts.keys().filter(|key| !crate::pages::is_text(key)) {
        at.field(key).warning("no text has this key: `envoy-sso texts` prints those there are");
    }
}
