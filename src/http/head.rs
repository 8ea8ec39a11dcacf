//! A request's head.

use std::cell::Cell;

use memchr::memchr;

use super::query;

/// All headers of a request as the host hands them over; names in lower case, pseudo-headers first.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A lower-case authority without a default port, as origins are kept.
pub fn bare_authority(lower: &str) -> &str {
    lower.strip_suffix(":443").or_else(|| lower.strip_suffix(":80")).unwrap_or(lower)
}

/// The head of a request.
#[derive(Debug, Default)]
pub struct Head {
    headers: Headers,
    method: Option<usize>,
    path: Option<usize>,
    authority: Option<usize>,
    request_id: Option<usize>,
    authorization: Option<usize>,
    cookie: Option<usize>,
    upgrade: bool,
    /// No body follows.
    pub ends: bool,
    /// At the path of a password login, and read: it is another request.
    pub is_no_login: Cell<bool>,
}

impl Head {
    /// Finds what every request needs, in one pass.
    #[inline]
    pub fn new(headers: Headers, ends: bool) -> Self {
        let (mut method, mut path, mut authority, mut request_id) = (None, None, None, None);
        let (mut authorization, mut cookie, mut upgrade) = (None, None, false);
        for (i, (name, _)) in headers.iter().enumerate() {
            // Bytes, which are compared in place; texts are by a call each.
            match name.as_bytes() {
                b":method" => method = Some(i),
                b":path" => path = Some(i),
                b":authority" => authority = Some(i),
                b"x-request-id" => request_id = Some(i),
                b"authorization" => authorization = authorization.or(Some(i)),
                b"cookie" => cookie = cookie.or(Some(i)),
                b"upgrade" => upgrade = true,
                _ => {}
            }
        }
        let is_no_login = Cell::new(false);
        Self {
            headers,
            method,
            path,
            authority,
            request_id,
            authorization,
            cookie,
            upgrade,
            ends,
            is_no_login,
        }
    }

    /// Everything.
    #[inline]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    #[inline]
    fn at(&self, index: Option<usize>) -> &[u8] {
        index.and_then(|i| self.headers.get(i)).map_or(b"", |(_, value)| value)
    }

    /// The method as sent; methods are case-sensitive (RFC 9110 section 9.1).
    #[inline]
    pub fn method(&self) -> &[u8] {
        self.at(self.method)
    }

    /// Path and query as sent.
    #[inline]
    pub fn target(&self) -> &[u8] {
        self.at(self.path)
    }

    /// The path as sent.
    #[inline]
    pub fn path(&self) -> &[u8] {
        self.target().split(|b| *b == b'?').next().unwrap_or_default()
    }

    /// The query as sent, without its `?`; `None` where there is none.
    #[inline]
    pub fn query(&self) -> Option<&[u8]> {
        let target = self.target();
        let at = target.iter().position(|b| *b == b'?')?;
        target.get(at + 1..)
    }

    /// The value of a query parameter that stands there once, decoded. Not for anything that decides:
    /// `None` also for one that is there twice or is not UTF-8.
    pub fn param(&self, name: &str) -> Option<String> {
        let [param] = query::params(self.query()?, [name]);
        param.text()
    }

    /// The authority as sent.
    #[inline]
    pub fn authority(&self) -> &[u8] {
        self.at(self.authority)
    }

    /// Envoy's `x-request-id`, for log and pages; empty where it is none that can be shown.
    pub fn request_id(&self) -> &str {
        let id = self.at(self.request_id);
        let fine = id.len() <= 64 && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b));
        if fine {
            std::str::from_utf8(id).unwrap_or_default()
        } else {
            ""
        }
    }

    /// Every value of a header.
    #[inline]
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a header that stands there once and is text.
    pub fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then(|| std::str::from_utf8(value).ok())?
    }

    /// True if the client asks for JSON by name.
    pub fn accepts_json(&self) -> bool {
        let names = |accept: &[u8]| accept.windows(16).any(|w| w.eq_ignore_ascii_case(b"application/json"));
        self.all("accept").any(names)
    }

    /// The values of the `cookie` headers.
    #[inline]
    pub fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        let from = self.cookie.and_then(|first| self.headers.get(first..)).unwrap_or_default();
        from.iter().filter(|(name, _)| name == "cookie").map(|(_, value)| value.as_slice())
    }

    /// True where there are credentials of any scheme.
    #[inline]
    pub fn has_authorization(&self) -> bool {
        self.authorization.is_some()
    }

    /// True for an upgrade whose `connection` names more than `upgrade`. Of any other request Envoy takes the
    /// header away; this one it sends on, and a hop that takes away what it names (RFC 9110 section 7.6.1) takes
    /// the filter's headers (Traefik CVE-2024-45410).
    #[inline]
    pub fn names_hops(&self) -> bool {
        self.upgrade && self.all("connection").any(|value| !value.eq_ignore_ascii_case(b"upgrade"))
    }

    /// True where credentials are sent that prove a password: Basic (RFC 7617), Digest (RFC 7616), Mutual (RFC 8120),
    /// SCRAM (RFC 7804), and NTLM, by itself or in Negotiate. Envoy joins two lines with a comma, and an application may
    /// read the second one.
    #[inline]
    pub fn has_password(&self) -> bool {
        const SCHEMES: [&[u8]; 5] = [b"basic", b"digest", b"mutual", b"scram", b"ntlm"];
        let behind = |value: &[u8], scheme: &[u8]| {
            let (sent, rest) = value.split_at_checked(scheme.len())?;
            sent.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii_start().starts_with(b"TlRMTVNTUA"))
        };
        let proves = |value: &[u8]| {
            let value = value.trim_ascii_start();
            SCHEMES.iter().any(|scheme| behind(value, scheme).is_some())
                || behind(value, b"negotiate") == Some(true)
        };
        // A parameter (`digest=…` in a signature) is not a scheme: white space follows one.
        let is_parameter = |line: &[u8]| {
            let word = line.trim_ascii_start().split(u8::is_ascii_whitespace).next();
            word.is_some_and(|word| word.contains(&b'='))
        };
        let lines =
            |value: &[u8]| value.split(|byte| *byte == b',').any(|line| !is_parameter(line) && proves(line));
        // Without a comma there is one line, which is the value; a token has hundreds of bytes.
        let among = |value: &[u8]| memchr(b',', value).is_some() && lines(value);
        self.authorization.is_some() && self.all("authorization").any(|value| proves(value) || among(value))
    }

    /// True if the request looks ahead: a prefetch, a prerendering or a preview, which no user has asked for. Browsers say
    /// so in `Sec-Purpose` (Fetch), older ones and extensions in the others, Next.js in headers of its own.
    pub fn is_speculative(&self) -> bool {
        const WORDS: [&[u8]; 3] = [b"prefetch", b"prerender", b"preview"];
        let said = |value: &[u8]| {
            let mut words = value.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
            words.any(|word| WORDS.iter().any(|own| word.eq_ignore_ascii_case(own)))
        };
        self.headers.iter().any(|(name, value)| match name.as_str() {
            "sec-purpose" | "purpose" | "x-moz" | "x-purpose" => said(value),
            "next-router-prefetch" | "x-middleware-prefetch" => true,
            _ => false,
        })
    }

    /// True if a browser may show the answer to a look ahead when the user opens the link: the navigation of a document, as
    /// browsers with speculation rules say it. Older ones and programs drop what they fetched ahead.
    pub fn is_document_ahead(&self) -> bool {
        self.method() == b"GET"
            && self.is_speculative()
            && self.is_navigation()
            && self.one("sec-fetch-dest").is_some_and(|dest| dest.eq_ignore_ascii_case("document"))
    }

    /// True if a page embeds the answer or a script reads it: an image, a style, a `fetch`. A script's POST counts as a
    /// form's, since applications sign out that way. Browsers without Fetch Metadata and programs say nothing.
    pub fn is_sub_resource(&self) -> bool {
        self.all("sec-fetch-dest").any(|dest| match dest.to_ascii_lowercase().as_slice() {
            b"document" | b"iframe" | b"frame" => false,
            b"empty" => self.method() != b"POST",
            _ => true,
        })
    }

    /// True if no user asked for the answer: a HEAD, looking ahead, or a part of a page.
    pub fn is_unasked(&self) -> bool {
        self.method() == b"HEAD" || self.is_speculative() || self.is_sub_resource()
    }

    /// True where a person's browser shows the answer: HTML and not a script's request. Android's WebView sends the name of
    /// its application in `X-Requested-With`, with navigations too.
    pub fn is_person(&self) -> bool {
        let is_script = |by: &[u8]| by.eq_ignore_ascii_case(b"XMLHttpRequest");
        match self.one("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => {
                !self.all("x-requested-with").any(is_script)
                    && self
                        .all("accept")
                        .any(|accept| accept.windows(9).any(|w| w.eq_ignore_ascii_case(b"text/html")))
            }
        }
    }

    /// True for a navigation that can be sent elsewhere and back without losing anything.
    pub fn is_navigation(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD") && self.one("upgrade").is_none() && self.is_person()
    }

    /// True where the request was made by a page of another site or origin, or cannot be told not to be.
    /// `Sec-Fetch-Site` and `Origin` are set by browsers and cannot be forged by a page; programs send
    /// neither. `origins`: our own.
    pub fn is_cross_site(&self, origins: &[String]) -> bool {
        let mut fetch = self.all("sec-fetch-site");
        let foreign_site = fetch.any(|site| site != b"same-origin" && site != b"none");
        let foreign_origin =
            self.all("origin").any(|origin| !origins.iter().any(|own| own.as_bytes() == origin));
        foreign_site || foreign_origin
    }

    /// The same where nothing but the person's own click counts: without `Sec-Fetch-Site`, which some browsers do
    /// not send, a `Referer` of another origin tells of another site too.
    pub fn is_sent_from_elsewhere(&self, origins: &[String]) -> bool {
        let ours = |referer: &[u8]| {
            origins.iter().any(|own| {
                let rest = referer.strip_prefix(own.as_bytes());
                rest.is_some_and(|rest| rest.first().is_none_or(|byte| b"/?#".contains(byte)))
            })
        };
        let unsaid = self.all("sec-fetch-site").next().is_none();
        self.is_cross_site(origins) || unsaid && self.all("referer").any(|referer| !ours(referer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        Head::new(headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect(), true)
    }

    #[test]
    fn target_path_query_and_params() {
        let head = head(&[(":path", "/a?x=1&y=%20&x=2&z=%ff&?q=1"), (":method", "GET")]);
        assert_eq!(head.path(), b"/a");
        assert_eq!(head.query(), Some(&b"x=1&y=%20&x=2&z=%ff&?q=1"[..]));
        assert_eq!(head.param("y").as_deref(), Some(" "));
        assert_eq!(head.param("x"), None, "twice");
        assert_eq!(head.param("z"), None, "not UTF-8");
        assert_eq!(Head::default().query(), None);
    }

    #[test]
    fn people_and_navigations_are_told_from_programs() {
        let case = |method: &str, headers: &[(&str, &str)]| {
            let mut all = vec![(":method", method)];
            all.extend(headers);
            (head(&all).is_person(), head(&all).is_navigation())
        };
        assert_eq!(case("GET", &[("accept", "text/html,*/*;q=0.8")]), (true, true));
        assert_eq!(case("GET", &[("accept", "*/*"), ("sec-fetch-mode", "navigate")]), (true, true));
        assert_eq!(case("POST", &[("accept", "text/html")]), (true, false));
        assert_eq!(case("GET", &[("accept", "text/html"), ("sec-fetch-mode", "cors")]), (false, false));
        assert_eq!(
            case("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]),
            (false, false)
        );
        let script = [("accept", "text/html"), ("x-requested-with", "xmlhttprequest")];
        assert_eq!(case("GET", &script), (false, false));
        let web_view = [("accept", "text/html"), ("x-requested-with", "com.example.app")];
        assert_eq!(case("GET", &web_view), (true, true));
        let fetched = [("sec-fetch-mode", "cors"), ("x-requested-with", "com.example.app")];
        assert_eq!(case("GET", &fetched), (false, false));
        assert_eq!(case("GET", &[("accept", "text/html"), ("upgrade", "websocket")]), (true, false));
        assert_eq!(case("GET", &[("accept", "application/json")]), (false, false));
        assert_eq!(case("GET", &[]), (false, false));
    }

    #[test]
    fn requests_that_look_ahead_are_told_from_those_of_users() {
        let names = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
        let values = [
            "prefetch",
            "Prefetch",
            "prefetch;prerender",
            "prerender",
            "preview",
            "PREVIEW, x",
            " prefetch ",
        ];
        for (name, value) in names.iter().flat_map(|name| values.map(|value| (*name, value))) {
            assert!(head(&[(name, value)]).is_speculative(), "{name}: {value}");
            assert!(head(&[(name, "x"), (name, value)]).is_speculative(), "{name} twice");
            let case = |method, more: &[(&str, &str)]| {
                let all = [&[(":method", method), (name, value), ("accept", "text/html")], more].concat();
                head(&all).is_document_ahead()
            };
            let document = ("sec-fetch-dest", "Document");
            assert!(case("GET", &[document]), "{name}: {value}");
            assert!(!case("HEAD", &[document]) && !case("POST", &[document]), "{name}: {value}");
            for more in [("sec-fetch-dest", "document"), ("sec-fetch-mode", "cors"), ("upgrade", "websocket")]
            {
                assert!(!case("GET", &[document, more]), "{name}: {value} {more:?}");
            }
            assert!(!case("GET", &[]) && !case("GET", &[("sec-fetch-dest", "iframe")]), "{name}: {value}");
        }
        assert!(head(&[("next-router-prefetch", "1")]).is_speculative());
        assert!(!head(&[(":method", "GET"), ("accept", "text/html")]).is_document_ahead(), "the user's own");
        for (name, value) in
            [("sec-purpose", ""), ("purpose", "no-prefetch"), ("x-moz", "prefetched"), ("x-a", "prefetch")]
        {
            assert!(!head(&[(name, value)]).is_speculative(), "{name}: {value}");
        }
    }

    #[test]
    fn credentials_that_prove_a_password_are_seen_in_the_second_of_two_lines_too() {
        let has = |value: &str| head(&[("authorization", value)]).has_password();
        for value in
            ["Basic eDp5", "Token x,Basic eDp5", "Token x, basic eDp5", "Bearer x,\tDigest username=\"x\""]
        {
            assert!(has(value), "{value}");
        }
        let signature = "Signature keyId=\"x\",digest=\"y\", basic=z, headers=\"digest date\"";
        for value in ["Token x", "Bearer a.b.c", "Token x,Bearer y", "Token basic", signature] {
            assert!(!has(value), "{value}");
        }
    }

    #[test]
    fn sub_resources_are_told_from_navigations_and_forms() {
        let case = |method: &str, dests: &[&str]| {
            let dests = dests.iter().map(|dest| ("sec-fetch-dest", *dest));
            let all: Vec<_> = dests.chain([(":method", method)]).collect();
            head(&all).is_sub_resource()
        };
        for dest in
            ["image", "style", "script", "font", "video", "worker", "object", "embed", "Image", "new", ""]
        {
            assert!(case("GET", &[dest]) && case("POST", &[dest]), "{dest}");
        }
        for dest in ["document", "iframe", "frame"] {
            assert!(!case("GET", &[dest]) && !case("POST", &[dest]), "{dest}");
            assert!(case("GET", &[dest, "image"]), "{dest} and another");
        }
        assert!(case("GET", &["empty"]));
        assert!(!case("POST", &["empty"]));
        assert!(!case("GET", &[]) && !case("POST", &[]), "without Fetch Metadata");
    }

    #[test]
    fn the_page_before_tells_of_another_site_where_nothing_else_does() {
        let origins = ["https://a.example".to_owned()];
        let elsewhere = |headers: &[(&str, &str)]| head(headers).is_sent_from_elsewhere(&origins);
        for headers in [
            &[][..],
            &[("referer", "https://a.example/page?x=y")],
            &[("referer", "https://a.example")],
            &[("sec-fetch-site", "same-origin"), ("referer", "https://a.example/")],
            // The browser says that no other site's page is behind it: a bookmark, an address typed in.
            &[("sec-fetch-site", "none"), ("referer", "https://b.example/")],
        ] {
            assert!(!elsewhere(headers), "{headers:?}");
            assert!(!head(headers).is_cross_site(&origins), "{headers:?}");
        }
        for headers in [
            &[("referer", "https://b.example/")][..],
            &[("referer", "https://a.example.evil/")],
            &[("referer", "https://a.example@evil/")],
            &[("referer", "https://a.example:8443/")],
            &[("referer", "http://a.example/")],
            &[("referer", "")],
            &[("referer", "https://a.example/"), ("referer", "https://b.example/")],
        ] {
            assert!(elsewhere(headers), "{headers:?}");
            assert!(!head(headers).is_cross_site(&origins), "{headers:?}: where a password is sent");
        }
        assert!(elsewhere(&[("sec-fetch-site", "cross-site"), ("referer", "https://a.example/")]));
        assert!(elsewhere(&[("origin", "https://b.example"), ("referer", "https://a.example/")]));
    }

    #[test]
    fn an_upgrade_names_itself_and_nothing_else() {
        for (headers, wanted) in [
            (&[("upgrade", "websocket"), ("connection", "upgrade")][..], false),
            (&[("upgrade", "websocket"), ("connection", "Upgrade")], false),
            (&[("upgrade", "websocket")], false),
            (&[("connection", "x-sso-user")], false),
            (&[("upgrade", "websocket"), ("connection", "upgrade, x-sso-user")], true),
            (&[("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")], true),
            (&[("connection", "upgrade"), ("connection", "x-sso-user"), ("upgrade", "websocket")], true),
        ] {
            assert_eq!(head(headers).names_hops(), wanted, "{headers:?}");
        }
    }

    #[test]
    fn other_sites_are_told_from_our_own() {
        let origins = ["https://a.example".to_owned()];
        let cross = |headers: &[(&str, &str)]| head(headers).is_cross_site(&origins);
        for headers in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://a.example")],
        ] {
            assert!(!cross(headers), "{headers:?}");
        }
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null")],
            &[("origin", "https://a.example.evil")],
            &[("origin", "http://a.example")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://b.example")],
        ] {
            assert!(cross(headers), "{headers:?}");
        }
    }
}
