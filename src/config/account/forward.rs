//! What the application is told.

mod assertion;

use std::rc::Rc;

use crate::config::env::Environment;
use crate::config::problems::At;
use crate::config::raw::{self, IdentityHeader};
use crate::crypto::AssertionKey;

/// What the application is told.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Lower case.
    pub prefix: String,
    /// The headers about the user, in the order in which they are set, with their whole names. All sessions of an account
    /// share the names.
    pub identity: Vec<(IdentityHeader, Rc<str>)>,
    /// Header to claim; headers in lower case.
    pub headers: Vec<(Rc<str>, String)>,
    /// The header that carries the access token, lower case.
    pub access_token: Option<Rc<str>>,
    /// The header that carries the ID token, lower case.
    pub id_token: Option<Rc<str>>,
    /// The signed identity.
    pub assertion: Option<Assertion>,
}

/// A signed identity.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header that carries it, lower case.
    pub header: String,
    /// `aud`.
    pub audience: String,
    /// Seconds.
    pub lifetime: u64,
    /// The first one signs.
    pub keys: Rc<Vec<AssertionKey>>,
}

/// How the names of the headers about the user begin by default.
const PREFIX: &str = "x-sso-";

impl Default for Forward {
    /// What an account without `forward` has.
    fn default() -> Self {
        Self {
            identity: named(PREFIX, ALL),
            prefix: PREFIX.into(),
            headers: Vec::new(),
            access_token: None,
            id_token: None,
            assertion: None,
        }
    }
}

impl Forward {
    /// Every header that it sets beside those under the prefix. `authorization` is left out: where it carries a token,
    /// the filter replaces the client's own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let access_token = self.access_token.as_deref().filter(|name| *name != "authorization");
        let assertion = self.assertion.as_ref().map(|assertion| assertion.header.as_str());
        let others = [access_token, self.id_token.as_deref(), assertion];
        self.headers.iter().map(|(name, _)| &**name).chain(others.into_iter().flatten())
    }
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Forward>, env: &dyn Environment) -> Forward {
    let default = raw::Forward::default();
    let raw = raw.unwrap_or(&default);
    let prefix = raw.prefix.clone().unwrap_or_else(|| PREFIX.into()).to_ascii_lowercase();
    if prefix.len() < 3 || !header_name(&prefix) || !prefix.ends_with('-') {
        at.field("prefix").problem("expected the beginning of a header name, ending in '-', such as x-sso-");
    } else if let Some(other) = covered(&prefix) {
        at.field("prefix")
            .problem(format!("would take {other} from every request; expected one such as x-sso-"));
    }
    let mut headers: Vec<(Rc<str>, String)> = Vec::new();
    for (name, claim) in &raw.headers {
        let at = at.field("headers").field(name);
        check_header(&at, name, &prefix);
        if claim.is_empty() {
            at.problem("expected a claim or a JSON Pointer");
        }
        let name: Rc<str> = name.to_ascii_lowercase().into();
        if headers.iter().any(|(other, _)| *other == name) {
            at.problem("is there twice, in different case");
        }
        headers.push((name, claim.clone()));
    }
    let lower = |name: &String| name.to_ascii_lowercase().into();
    let assertion = raw.assertion.as_ref().map(|raw| assertion::check(&at.field("assertion"), raw, env));
    let forward = Forward {
        identity: named(&prefix, identity(&at.field("identity"), raw.identity.as_deref())),
        access_token: raw.access_token.as_ref().map(lower),
        id_token: raw.id_token.as_ref().map(lower),
        assertion,
        headers,
        prefix,
    };
    apart(at, &forward);
    forward
}

fn identity(at: &At<'_>, raw: Option<&[IdentityHeader]>) -> Vec<IdentityHeader> {
    let Some(raw) = raw else { return ALL.to_vec() };
    for (i, header) in raw.iter().enumerate() {
        if raw.iter().take(i).any(|earlier| earlier == header) {
            at.index(i).problem(format!("{} is listed twice", header.as_str()));
        }
    }
    ALL.into_iter().filter(|header| raw.contains(header)).collect()
}

fn named(prefix: &str, headers: impl IntoIterator<Item = IdentityHeader>) -> Vec<(IdentityHeader, Rc<str>)> {
    let named = |header: IdentityHeader| (header, format!("{prefix}{}", header.as_str()).into());
    headers.into_iter().map(named).collect()
}

/// Tokens and assertion each have a header of their own.
fn apart(at: &At<'_>, forward: &Forward) {
    let token = forward.access_token.as_deref().filter(|name| *name != "authorization");
    let assertion = forward.assertion.as_ref().map(|assertion| assertion.header.as_str());
    let mut taken: Vec<&str> = forward.headers.iter().map(|(name, _)| &**name).collect();
    let named = [
        (at.field("access_token"), token),
        (at.field("id_token"), forward.id_token.as_deref()),
        (at.field("assertion").field("header"), assertion),
    ];
    for (at, name) in named {
        let Some(name) = name else { continue };
        check_header(&at, name, &forward.prefix);
        if taken.contains(&name) {
            at.problem("is another header of forward already");
        }
        taken.push(name);
    }
}

/// The headers about the user, in the order in which they are set.
const ALL: [IdentityHeader; 7] = [
    IdentityHeader::User,
    IdentityHeader::Email,
    IdentityHeader::Name,
    IdentityHeader::Roles,
    IdentityHeader::Account,
    IdentityHeader::Idp,
    IdentityHeader::Method,
];

/// Headers that mean something to proxies or frame the message: none of ours to set.
const RESERVED: [&str; 12] = [
    "host",
    "cookie",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "te",
    "transfer-encoding",
    "upgrade",
    "expect",
    "forwarded",
    "authorization",
];

/// And those that begin like this.
const RESERVED_PREFIXES: [&str; 2] = ["x-envoy-", "x-forwarded-"];

/// But for these, which say nothing of the way a request took: applications behind oauth2-proxy read them.
const OF_OAUTH2_PROXY: [&str; 5] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
];

/// Two writers of one header: the application would read a claim as the roles.
fn check_header(at: &At<'_>, name: &str, prefix: &str) {
    let lower = name.to_ascii_lowercase();
    if !header_name(&lower) {
        at.problem("expected a header name");
    } else if RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES.iter().any(|own| lower.starts_with(own))
            && !OF_OAUTH2_PROXY.contains(&lower.as_str())
    {
        at.problem("is a header the filter does not set");
    } else if lower.strip_prefix(prefix).is_some_and(|rest| ALL.iter().any(|own| own.as_str() == rest)) {
        at.problem("is what the filter says of the person itself");
    }
}

/// A header that applications and the filter itself need, and that removing everything under the prefix would take.
fn covered(prefix: &str) -> Option<&'static str> {
    const NEEDED: [&str; 10] = [
        "accept-language",
        "access-control-request-method",
        "cache-control",
        "if-none-match",
        "last-event-id",
        "proxy-authorization",
        "sec-fetch-site",
        "user-agent",
        "x-request-id",
        "x-real-ip",
    ];
    let under = RESERVED_PREFIXES.iter().find(|own| prefix.starts_with(*own) || own.starts_with(prefix));
    under.or_else(|| RESERVED.iter().chain(&NEEDED).find(|name| name.starts_with(prefix))).copied()
}

fn header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
