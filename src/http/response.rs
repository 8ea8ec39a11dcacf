//! What the filter answers itself, before it is handed to the proxy.

use serde_json::Value;

use crate::values::json;

/// An answer of the filter's own. Headers may repeat (several `set-cookie`); names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with the headers that all of them carry. Nothing the filter says may be kept by a cache
    /// or a Back button of the next person (RFC 9111 section 5.2.2.5), or be taken for another type.
    pub fn new(status: u16, code: &str) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
            .with_header("x-sso-code", code)
            .with_header("cache-control", "no-store")
            .with_header("x-content-type-options", "nosniff")
            .with_header("referrer-policy", "no-referrer")
    }

    /// The answer to a request that ends, begins and uses up nothing, since no user made it: nothing to show or to keep.
    /// `Exchange::ignored` has a page for browsers that would show this to the user.
    pub fn ignored() -> Self {
        Self::new(204, "ignored")
    }

    /// 302 to a URL that the caller has already judged.
    pub fn redirect(url: &str) -> Self {
        let mut answer = Self::new(302, "redirect");
        answer.headers.push(("location".to_owned(), location(url)));
        answer
    }

    /// JSON.
    pub fn json(status: u16, value: &Value) -> Self {
        let mut answer = Self::new(status, "ok").with_header("content-type", "application/json");
        answer.body = json::text(value).into_bytes();
        answer
    }

    /// A page with its Content-Security-Policy.
    pub fn html(status: u16, code: &str, policy: &str, body: String) -> Self {
        let mut answer = Self::new(status, code)
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header("content-security-policy", policy);
        answer.body = body.into_bytes();
        answer
    }

    /// One more header; `name` in lower case. Bytes that could end the header are dropped, so that no
    /// value can split the answer (CWE-113).
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), one_line(value)));
        self
    }

    /// The header in the place of all of its name.
    pub fn set_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self.with_header(name, value)
    }

    /// One more `set-cookie`, beside those already there.
    pub fn with_cookie(self, set_cookie: &str) -> Self {
        self.with_header("set-cookie", set_cookie)
    }

    /// The code for access logs in the place of the answer's own.
    pub fn with_code(self, code: &str) -> Self {
        self.set_header("x-sso-code", code)
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn one_line(value: &str) -> String {
    // Nearly all values are printable ASCII; decoding characters one by one is a third of an answer's cost.
    if value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return value.to_owned();
    }
    value.chars().filter(|c| !c.is_control()).collect()
}

/// A `location` in ASCII (RFC 3986 section 2.1): what is not is percent-encoded.
fn location(url: &str) -> String {
    if url.bytes().all(|b| b.is_ascii_graphic()) {
        return url.to_owned();
    }
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_its_url_and_cannot_be_split() {
        assert_eq!(Response::redirect("/a?b=c#d").header("location"), Some("/a?b=c#d"));
        let split = Response::redirect("/a\r\nset-cookie: x=1");
        assert_eq!(split.header("location"), Some("/a%0D%0Aset-cookie:%20x=1"));
        let split = Response::json(200, &Value::Null).with_header("x-a", "b\r\nc: d");
        assert_eq!(split.header("x-a"), Some("bc: d"));
    }

    #[test]
    fn cookies_add_up_and_codes_replace() {
        let answer = Response::redirect("/").with_cookie("a=1").with_cookie("b=2").with_code("signed_in");
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
        assert_eq!(cookies, 2);
        let codes: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-sso-code").collect();
        assert_eq!(codes, [&("x-sso-code".to_owned(), "signed_in".to_owned())]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}
