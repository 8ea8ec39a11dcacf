//! Whole requests without Envoy: a filter made from a configuration, and a browser in front of it.
//!
//! A whole login, run by `cargo test --doc --features testing`:
//!
//! ```
//! use envoy_sso::testing::browser::{filter_state, Browser, KEY};
//! use envoy_sso::testing::{json, TestHost};
//! use serde_json::json as value;
//!
//! let host = TestHost::new();
//! let state = filter_state(&host, &value!({
//!     "session": { "keys": [{ "id": "k1", "value": KEY }] },
//!     "clusters": { "*": "idp" },
//!     "accounts": [{
//!         "origins": ["https://app.example"],
//!         "sso": "enabled",
//!         "identity_providers": [{ "id": "github", "title": "GitHub", "oauth2": {
//!             "authorization_endpoint": "https://idp.example/authorize",
//!             "token_endpoint": "https://idp.example/token",
//!             "userinfo_endpoint": "https://idp.example/user",
//!             "client_id": "app",
//!             "client_secret": { "value": "secret" }
//!         } }],
//!         "mapping": { "from": "userinfo", "claim": "email" }
//!     }]
//! }));
//! let mut browser = Browser::new(&state, "app.example");
//!
//! // A page that needs a session leads to the provider, with `state` and a PKCE challenge.
//! let mut silent = |call: &envoy_sso::host::task::Call| unreachable!("{call:?}");
//! let start = browser.get("/reports?q=1", &mut silent);
//! let location = start.answer.as_ref().unwrap().header("location").unwrap().to_owned();
//! let query = location.split_once('?').unwrap().1;
//! let sent = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
//!
//! // The provider sends the browser back with a code. The filter exchanges it and asks UserInfo.
//! let mut provider = |call: &envoy_sso::host::task::Call| match call.what {
//!     "token" => json(&value!({ "access_token": "at-1", "token_type": "Bearer" })),
//!     _ => json(&value!({ "sub": "1", "id": 1, "email": "ada@acme.com" })),
//! };
//! let done = browser.get(&format!("/sso/oidc/consume?u=default&code=c-1&state={sent}"), &mut provider);
//! assert_eq!(done.answer.as_ref().unwrap().header("location"), Some("/reports?q=1"));
//! assert_eq!(done.calls.len(), 2);
//!
//! // From here on a request passes without a call, with the user's name for the application.
//! let passed = browser.get("/reports?q=1", &mut silent);
//! let live = passed.pass.unwrap().live.unwrap();
//! assert_eq!(live.session.user.username, "ada@acme.com");
//! ```

use std::rc::Rc;

use serde_json::{json, Value};

use super::{run_background, TestHost};
use crate::config::{self, Placeholders};
use crate::exchange::{Body, Exchange, Outcome, Pass, Ruling};
use crate::fault::Fault;
use crate::gate;
use crate::host::task::{Call, Reply, Step, Task};
use crate::http::response::Response;
use crate::http::Head;
use crate::session::{set_cookies, Session};
use crate::state::FilterState;

/// A session key for configurations in tests.
pub const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A configuration of one account at `https://app.example` with an OAuth 2.0 provider `corp`, and with these members.
pub fn with_account(members: Value) -> Value {
    let mut account = json!({
        "origins": ["https://app.example"], "sso": "enabled",
        "identity_providers": [{ "id": "corp", "oauth2": {
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token",
            "userinfo_endpoint": "https://idp.example/user",
            "client_id": "app", "client_secret": { "value": "secret" } } }],
        "mapping": { "from": "userinfo", "claim": "email" },
    });
    if let (Some(account), Value::Object(members)) = (account.as_object_mut(), members) {
        account.extend(members);
    }
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "out" }, "accounts": [account],
    })
}

/// The filter of this configuration. One with problems is a failed test.
pub fn filter_state(host: &Rc<TestHost>, configuration: &Value) -> Rc<FilterState> {
    let config = config::load(configuration.to_string().as_bytes(), &Placeholders);
    assert!(config.is_ok(), "{config:#?}");
    let Ok(config) = config else { unreachable!("asserted above") };
    Rc::new(FilterState::new(host.clone(), config))
}

/// What became of a request, and the calls that were made for it.
pub struct Seen {
    /// The filter's own answer; `None`: the request passed.
    pub answer: Option<Response>,
    /// What was changed in a request that passed.
    pub pass: Option<Pass>,
    /// Calls to providers and directories, in order.
    pub calls: Vec<Call>,
}

impl Seen {
    /// `x-sso-code` of the filter's own answer; empty where the request passed.
    pub fn code(&self) -> &str {
        self.answer.as_ref().and_then(|answer| answer.header("x-sso-code")).unwrap_or_default()
    }

    /// The status of the filter's own answer; 0 where the request passed.
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// The body of the filter's own answer.
    pub fn text(&self) -> String {
        self.answer
            .as_ref()
            .map(|answer| String::from_utf8_lossy(&answer.body).into_owned())
            .unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or(Value::Null)
    }

    /// Where the answer leads.
    pub fn location(&self) -> &str {
        self.answer.as_ref().and_then(|answer| answer.header("location")).unwrap_or_default()
    }

    /// The page's Content-Security-Policy.
    pub fn policy(&self) -> &str {
        self.answer.as_ref().and_then(|answer| answer.header("content-security-policy")).unwrap_or_default()
    }

    /// The value of a hidden field on the page.
    pub fn field(&self, name: &str) -> String {
        let (text, at) = (self.text(), format!("name=\"{name}\" value=\""));
        let found = text.split_once(&at).and_then(|(_, rest)| rest.split_once('"'));
        found.map(|(value, _)| value.to_owned()).unwrap_or_default()
    }
}

/// A browser that keeps its cookies.
pub struct Browser {
    filter_state: Rc<FilterState>,
    authority: String,
    /// Name and value.
    pub cookies: Vec<(String, String)>,
    /// Headers of every request beside the usual ones; they replace those of their name.
    pub headers: Vec<(String, String)>,
}

impl Browser {
    /// Without cookies.
    pub fn new(filter_state: &Rc<FilterState>, authority: &str) -> Self {
        Self {
            filter_state: filter_state.clone(),
            authority: authority.to_owned(),
            cookies: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same browser in front of another filter: the next configuration, or another replica.
    pub fn at(&self, filter_state: &Rc<FilterState>) -> Self {
        let (cookies, headers) = (self.cookies.clone(), self.headers.clone());
        Self { cookies, headers, ..Self::new(filter_state, &self.authority) }
    }

    /// A header in every request from now on.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the cookies of this session of an account.
    pub fn with_session(mut self, code: &str, session: Session) -> Self {
        let FilterState { host, config, account_states, .. } = &*self.filter_state;
        let own = account_states.iter().find(|own| own.account.code == code);
        let sealed = own.map(|own| session.seal(&**host, config, &own.account));
        assert!(matches!(sealed, Some(Ok(_))), "{sealed:#?}");
        let Some(Ok(sealed)) = sealed else { unreachable!("asserted above") };
        let lines = set_cookies(&config.cookies, &sealed.text, 0);
        lines.iter().for_each(|line| self.set(line));
        self
    }

    /// The same person elsewhere: no cookies yet, and these headers besides.
    pub fn clone_headers(&self, headers: &[(&str, &str)]) -> Self {
        let more = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = self.headers.iter().cloned().chain(more).collect();
        Self { headers, ..Self::new(&self.filter_state, &self.authority) }
    }

    /// A navigation.
    pub fn get(&mut self, target: &str, respond: &mut dyn FnMut(&Call) -> Reply) -> Seen {
        self.send("GET", target, None, respond)
    }

    /// A form that was submitted.
    pub fn post(
        &mut self,
        target: &str,
        form: &[(&str, &str)],
        respond: &mut dyn FnMut(&Call) -> Reply,
    ) -> Seen {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send("POST", target, Some(body.into_bytes()), respond)
    }

    /// Any request, with a person's headers.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        body: Option<Vec<u8>>,
        respond: &mut dyn FnMut(&Call) -> Reply,
    ) -> Seen {
        let mut headers = vec![
            (":method", method.to_owned()),
            (":path", target.to_owned()),
            (":authority", self.authority.clone()),
            ("accept", "text/html".to_owned()),
        ];
        if body.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("cookie", cookies.join("; ")));
        }
        headers.retain(|(name, _)| !self.headers.iter().any(|(own, _)| own == name));
        let mut headers: Vec<(String, Vec<u8>)> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())));
        let head = Rc::new(Head::new(headers, body.is_none()));
        let mut ruling = gate::rule(&self.filter_state, head);
        if let Ruling::Body(limit, then) = ruling {
            let body = body.unwrap_or_default();
            ruling = then(if body.len() > limit { Body::TooLarge } else { Body::Whole(body) });
        }
        let mut calls = Vec::new();
        let (answer, pass) = match settle(&self.filter_state, ruling, respond, &mut calls) {
            Outcome::Pass(pass) => (None, Some(pass)),
            Outcome::LocalReply(answer) => (Some(answer), None),
            Outcome::Again(_) => unreachable!("settled above"),
        };
        run_errands(&self.filter_state, respond, &mut calls);
        let seen = Seen { answer, pass, calls };
        self.keep(&seen);
        seen
    }

    /// `set-cookie` as a browser reads it, as far as the filter's own cookies go.
    fn keep(&mut self, seen: &Seen) {
        let answered = seen.answer.iter().flat_map(|answer| &answer.headers);
        let answered = answered.filter(|(name, _)| name == "set-cookie").map(|(_, value)| value);
        let passed = seen.pass.iter().flat_map(|pass| &pass.set_cookies);
        answered.chain(passed).for_each(|line| self.set(line));
    }

    fn set(&mut self, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        self.cookies.retain(|(own, _)| own != name);
        if !attributes.contains("Max-Age=0;") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// Follows a request to its end, as the proxy would: one that waits for nothing is a failed test.
fn settle(
    filter_state: &Rc<FilterState>,
    mut ruling: Ruling,
    respond: &mut dyn FnMut(&Call) -> Reply,
    calls: &mut Vec<Call>,
) -> Outcome {
    for _ in 0..20 {
        ruling = match ruling {
            Ruling::Pass(pass) => return Outcome::Pass(pass),
            Ruling::LocalReply(answer) => return Outcome::LocalReply(answer),
            Ruling::Again(head) => gate::rule(filter_state, head),
            Ruling::Wait(mut news) => {
                run_errands(filter_state, respond, calls);
                let next = news();
                assert!(next.is_some(), "a request waits for nothing");
                let Some(next) = next else { unreachable!("asserted above") };
                next
            }
            Ruling::Flow(task, exchange) => match run(filter_state, task, &exchange, respond, calls) {
                Outcome::Again(head) => Ruling::Again(head),
                outcome => return outcome,
            },
            Ruling::Body(..) => unreachable!("a body is read once"),
        };
    }
    unreachable!("a request that is ruled on without end")
}

/// Does what requests have left to the background.
pub fn run_errands(
    filter_state: &FilterState,
    respond: &mut dyn FnMut(&Call) -> Reply,
    calls: &mut Vec<Call>,
) {
    run_background(&filter_state.outside, respond, calls);
}

fn run(
    filter_state: &FilterState,
    mut task: Task<Result<Outcome, Fault>>,
    exchange: &Exchange,
    respond: &mut dyn FnMut(&Call) -> Reply,
    calls: &mut Vec<Call>,
) -> Outcome {
    let mut step = task.start();
    loop {
        step = match step {
            Step::Done(Ok(outcome)) => return outcome,
            Step::Done(Err(fault)) => return Outcome::LocalReply(exchange.refuse(&fault)),
            Step::Call(call) => {
                let reply = respond(&call);
                calls.push(call);
                task.resume(reply)
            }
            Step::Wait(mut ready) => {
                run_errands(filter_state, respond, calls);
                assert!(ready(), "a flow waits for nothing");
                task.start()
            }
        };
    }
}
