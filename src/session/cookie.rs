//! Cookies as they go out: their attributes. Their names are made in `config::check`, what comes in is read by `http::cookies`.

use crate::config::{Cookies, SameSite};

/// How a cookie is set.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    /// `Secure` and `Domain`.
    pub cookies: &'a Cookies,
    /// `SameSite`.
    pub same_site: SameSite,
    /// Seconds; `None`: until the browser closes; 0: delete it.
    pub max_age: Option<u64>,
}

/// A `set-cookie` value.
pub fn set(name: &str, value: &str, attributes: Attributes<'_>) -> String {
    let mut text = [name, "=", value, "; Path=/; HttpOnly"].concat();
    if attributes.cookies.secure {
        text.push_str("; Secure");
    }
    text.push_str(match attributes.same_site {
        SameSite::Lax => "; SameSite=Lax",
        SameSite::Strict => "; SameSite=Strict",
        SameSite::None => "; SameSite=None",
    });
    if let Some(domain) = &attributes.cookies.domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if let Some(seconds) = attributes.max_age {
        text.push_str(&format!("; Max-Age={seconds}"));
        if seconds == 0 {
            text.push_str("; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        }
    }
    text
}

/// A `set-cookie` value that deletes.
pub fn delete(name: &str, cookies: &Cookies) -> String {
    set(name, "", Attributes { cookies, same_site: SameSite::Lax, max_age: Some(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_follow_the_configuration() {
        let mut cookies = Cookies {
            name: "__Host-sso".into(),
            secure: true,
            same_site: SameSite::Lax,
            domain: None,
            persistent: false,
        };
        let attributes = Attributes { cookies: &cookies, same_site: SameSite::Lax, max_age: None };
        assert_eq!(
            set("__Host-sso", "v", attributes),
            "__Host-sso=v; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert!(delete("__Host-sso", &cookies)
            .contains("=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0; Expires="));
        cookies.domain = Some("example.com".into());
        cookies.secure = false;
        let attributes = Attributes { cookies: &cookies, same_site: SameSite::Strict, max_age: Some(60) };
        assert_eq!(
            set("sso", "v", attributes),
            "sso=v; Path=/; HttpOnly; SameSite=Strict; Domain=example.com; Max-Age=60"
        );
    }
}
