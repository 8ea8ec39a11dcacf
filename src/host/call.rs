//! Outgoing calls: a request to a provider or directory, the call that it becomes, and what comes back.

use url::Url;

use super::failure::{Broken, Failure};

/// The largest answer that is read unless a request says otherwise.
pub const MAX_ANSWER: usize = 1 << 20;

/// Every call says who asks: GitHub answers 403 without it, and so do firewalls.
pub const USER_AGENT: &str = concat!("envoy-sso/", env!("CARGO_PKG_VERSION"));

/// A request to an IdP or a directory, before it is routed to a cluster.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// How long to wait, in milliseconds.
    pub timeout: u64,
    /// The largest body that is read, in bytes.
    pub max_answer: usize,
    /// What the call is, for metrics and the log: `token`, `keys`, `scim`, …
    pub what: &'static str,
    /// A connection that breaks before an answer began is tried once more.
    pub is_repeatable: bool,
}

impl Request {
    /// A GET that prefers JSON. It is repeatable (RFC 9110 section 9.2.2).
    ///
    /// It accepts other types too: Keycloak answers 406 to `application/json` alone at its SAML metadata.
    pub fn get(what: &'static str, url: Url, timeout: u64) -> Self {
        Self {
            method: "GET",
            url,
            headers: vec![("accept".into(), "application/json, */*;q=0.5".into())],
            body: None,
            timeout,
            max_answer: MAX_ANSWER,
            what,
            is_repeatable: true,
        }
    }

    /// A form POST that accepts JSON (RFC 6749 section 4.1.3). It is sent once: see [`Request::repeatable`].
    pub fn form(what: &'static str, url: Url, form: String, timeout: u64) -> Self {
        Self {
            method: "POST",
            headers: vec![
                ("accept".into(), "application/json".into()),
                ("content-type".into(), "application/x-www-form-urlencoded".into()),
            ],
            body: Some(form.into_bytes()),
            is_repeatable: false,
            ..Self::get(what, url, timeout)
        }
    }

    /// This request with one more header; `name` in lower case.
    pub fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.into(), value));
        self
    }

    /// This request, tried once more if its connection breaks before an answer began. Only for requests that do no
    /// harm if the server has seen the first one: never with a refresh token, whose second use is theft to a provider
    /// that rotates (RFC 9700 section 4.14.2), nor a write.
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }
}

/// How a call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// An HTTP request.
    #[default]
    Http,
    /// A unary gRPC call: its body is the message, and so is the answer's.
    Grpc {
        /// The service with its package.
        service: &'static str,
        /// The method.
        method: &'static str,
    },
}

/// An outgoing call, ready for a cluster.
#[derive(Clone, Debug)]
pub struct Call {
    /// How it is made.
    pub via: Via,
    /// The Envoy cluster.
    pub cluster: String,
    /// `:authority`, `:path`, … and the rest, in that order.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// Milliseconds.
    pub timeout: u64,
    /// The largest body that is read.
    pub max_answer: usize,
    /// What the call is, for metrics.
    pub what: &'static str,
}

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A whole answer.
    Answer(Answer),
    /// None.
    Failed(Failure),
}

impl Reply {
    /// Envoy's own answer to a failed call, told apart from a server's.
    pub(super) fn judged(self, cluster: &str) -> Self {
        match self {
            Reply::Answer(answer) => match answer.broken() {
                Some(broken) => Reply::Failed(Failure::Connection { cluster: cluster.to_owned(), broken }),
                None => Reply::Answer(answer),
            },
            failed => failed,
        }
    }

    /// The status of an answer; 0 if there is none.
    pub fn status(&self) -> u16 {
        match self {
            Reply::Answer(answer) => answer.status,
            Reply::Failed(_) => 0,
        }
    }

    /// True if one more try may bring an answer, and none had begun.
    pub(super) fn is_worth_a_try(&self) -> bool {
        matches!(self, Reply::Failed(Failure::Connection { broken, .. }) if broken.is_worth_a_try())
    }

    /// True if the server kept the call waiting.
    pub fn is_hanging(&self) -> bool {
        match self {
            Reply::Answer(answer) => answer.broken().is_some_and(Broken::is_hanging),
            Reply::Failed(Failure::Connection { broken, .. }) => broken.is_hanging(),
            Reply::Failed(failure) => *failure == Failure::Timeout,
        }
    }
}

/// A whole answer of an IdP or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, at most `max_answer` bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).and_then(|(_, v)| std::str::from_utf8(v).ok())
    }

    /// The media type of `content-type`, in lower case, without parameters.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    fn broken(&self) -> Option<Broken> {
        let is_from_server = self.headers.iter().any(|(name, _)| name == "x-envoy-upstream-service-time");
        Broken::of(self.status, is_from_server, &self.body)
    }
}
