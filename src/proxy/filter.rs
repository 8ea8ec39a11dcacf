//! One request: headers in, ruling out, and the calls in between.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use super::caching;
use super::calls;
use super::engine;
use super::host::EnvoyHost;
use super::stage::Stage;
use super::streams::Streams;
use super::waiting::{News, Waiting};
use crate::exchange::{AnswerBody, Body, Exchange, OnBody, OnResponse, Outcome, Pass, Ruling, Verdict};
use crate::fault::{Code, Fault};
use crate::gate;
use crate::host::events;
use crate::host::task::{Reply, Step, Task};
use crate::host::Host;
use crate::http::response::Response;
use crate::http::{self, CookieEdit, Head};
use crate::pages;
use crate::state::FilterState;

/// How long a request may wait for the first part of its body. Without
/// `allow_on_headers_stop_iteration` it never comes.
const BODY_WAIT: u64 = 15_000;

/// One request.
pub struct Filter {
    pub(super) id: u32,
    pub(super) root: u32,
    pub(super) filter_state: Option<Rc<FilterState>>,
    pub(super) host: Rc<EnvoyHost>,
    pub(super) waiting: Rc<Waiting>,
    pub(super) streams: Rc<Streams>,
    pub(super) stage: Stage,
}

/// What a callback tells Envoy.
enum Next {
    Pass,
    Wait,
}

impl Context for Filter {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        self.answered(token, |max| engine::reply(status, size, max));
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        self.answered(token, |max| calls::reply(headers, body, max));
    }
}

impl Filter {
    /// The reply to a call of this request's flow.
    pub(super) fn answered(&mut self, token: u32, read: impl FnOnce(usize) -> Reply) {
        let (mut task, exchange, max) = match std::mem::take(&mut self.stage) {
            Stage::Flow { task, exchange, token: own, max } if own == token => (task, exchange, max),
            // A reply to nothing this request waits for.
            other => {
                self.stage = other;
                return;
            }
        };
        let step = task.resume(read(max));
        if let Next::Pass = self.go_on(task, exchange, step) {
            let _ = hostcalls::resume_http_request();
        }
    }
}

impl HttpContext for Filter {
    #[inline]
    fn on_http_request_headers(&mut self, _count: usize, ends: bool) -> Action {
        let Some(filter_state) = &self.filter_state else {
            let fault = Fault::new(Code::NotReady, "the configuration was refused");
            events::refusal(&*self.host, events::Place::default(), &fault);
            let pages = crate::pages::Look::default();
            answer(&pages::refusal(&fault, &pages::Context::new(&pages, "", false)));
            self.stage = Stage::Answered;
            return Action::Pause;
        };
        let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        let head = Rc::new(Head::new(headers, ends));
        let ruling = gate::rule(filter_state, head.clone());
        let next = self.apply(ruling, ends);
        match self.stage {
            Stage::Body(..) => {
                self.waiting.enter(self.id, self.host.now().saturating_add(BODY_WAIT), head.clone())
            }
            Stage::Flow { .. } | Stage::Parked if !ends => self.hold_the_body(),
            _ => {}
        }
        // Its texts are freed here, where the code is compiled for speed: what `Rc` calls to drop is compiled for size, with
        // four calls for each text.
        drop(Rc::into_inner(head));
        action(next)
    }

    fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        self.waiting.leave(self.id);
        self.wake_up();
        match &self.stage {
            Stage::Body(limit, _) if !ends && size <= *limit => return Action::Pause,
            Stage::Body(..) => {}
            Stage::Flow { .. } | Stage::Parked => return Action::Pause,
            Stage::Passed { .. } | Stage::Judging(..) => return Action::Continue,
            Stage::Start | Stage::Answered => return Action::Pause,
        }
        action(self.body_is_there(size))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.waiting.leave(self.id);
        self.wake_up();
        self.strip_trailers();
        match &self.stage {
            // Trailers come after the whole body: there is no further body callback.
            Stage::Body(limit, _) => {
                let size = buffered(BufferType::HttpRequestBody, *limit);
                action(self.body_is_there(size))
            }
            Stage::Passed { .. } | Stage::Judging(..) => Action::Continue,
            Stage::Flow { .. } | Stage::Parked | Stage::Start | Stage::Answered => Action::Pause,
        }
    }

    #[inline]
    fn on_http_response_headers(&mut self, _count: usize, ends: bool) -> Action {
        self.wake_up();
        if let Stage::Passed { set_cookies, on_response } = &mut self.stage {
            let (cookies, on_response) = (std::mem::take(set_cookies), on_response.take());
            if !cookies.is_empty() || on_response.is_some() {
                if let Some((limit, then)) = add_cookies(cookies, on_response, ends) {
                    // The cookies are headers, which wait for what the body says.
                    self.stage = Stage::Judging(limit, then);
                    return Action::Pause;
                }
            }
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        match &self.stage {
            Stage::Judging(limit, _) if !ends && size <= *limit => Action::Pause,
            Stage::Judging(..) => self.judge(size),
            _ => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        match &self.stage {
            // Trailers come after the whole body: there is no further body callback.
            Stage::Judging(limit, _) => {
                let size = buffered(BufferType::HttpResponseBody, *limit);
                self.judge(size)
            }
            _ => Action::Continue,
        }
    }
}

/// True where the stream ended because the connection to the application broke, and not the browser's: a guess whose
/// answer no client waits for counts.
fn upstream_broke() -> bool {
    let details = hostcalls::get_property(vec!["response", "code_details"]).ok().flatten();
    details.is_some_and(|details| details.starts_with(b"upstream_"))
}

/// How many bytes of a body are there, up to one more than the limit.
fn buffered(body: BufferType, limit: usize) -> usize {
    hostcalls::get_buffer(body, 0, limit.saturating_add(1)).ok().flatten().map_or(0, |bytes| bytes.len())
}

/// Gives the browser our cookies with the application's answer, which is then for this browser alone. What is left to do
/// where the body decides.
fn add_cookies(cookies: Vec<String>, on_response: Option<OnResponse>, ends: bool) -> Option<(usize, OnBody)> {
    let headers = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default();
    let verdict = match on_response {
        Some(judge) => judge(&headers, ends),
        None => Verdict::Cookies(cookies),
    };
    match verdict {
        Verdict::Cookies(cookies) => {
            set_cookies(&headers, cookies);
            None
        }
        Verdict::Body(limit, then) => Some((limit, then)),
    }
}

fn set_cookies(headers: &http::Headers, cookies: Vec<String>) {
    const RESPONSE: MapType = MapType::HttpResponseHeaders;
    if cookies.is_empty() {
        return;
    }
    if !caching::is_private(headers) {
        let _ = hostcalls::set_map_value(RESPONSE, "cache-control", Some(caching::private(headers)));
    }
    for name in caching::targeted(headers) {
        let _ = hostcalls::remove_map_value(RESPONSE, name);
    }
    for cookie in cookies {
        let _ = hostcalls::add_map_value(RESPONSE, "set-cookie", &cookie);
    }
}

impl Filter {
    /// Reads the body of the application's answer, which then goes on.
    fn judge(&mut self, size: usize) -> Action {
        let done = Stage::Passed { set_cookies: Vec::new(), on_response: None };
        if let Stage::Judging(limit, then) = std::mem::replace(&mut self.stage, done) {
            let body = match size {
                0 => Some(Vec::new()),
                size if size > limit => None,
                size => hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).ok().flatten(),
            };
            let cookies = then(match &body {
                Some(bytes) if bytes.len() == size => AnswerBody::Whole(bytes),
                _ => AnswerBody::TooLarge,
            });
            let headers = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default();
            set_cookies(&headers, cookies);
        }
        Action::Continue
    }

    /// The stream ended before the answer did.
    #[cold]
    fn left_unjudged(&mut self) {
        if let Stage::Judging(_, then) = std::mem::take(&mut self.stage) {
            if upstream_broke() {
                then(AnswerBody::Broken);
            }
        }
    }

    /// Takes out of the trailers what no client may send: some applications make headers of them.
    fn strip_trailers(&self) {
        const TRAILERS: MapType = MapType::HttpRequestTrailers;
        let Some(filter_state) = &self.filter_state else { return };
        let trailers = hostcalls::get_map_bytes(TRAILERS).unwrap_or_default();
        for name in http::among_trailers(&filter_state.reserved, &trailers) {
            let _ = hostcalls::remove_map_value(TRAILERS, &name);
        }
    }

    /// Takes on what became of the request while it was parked.
    #[inline]
    fn wake_up(&mut self) {
        if let Stage::Parked = self.stage {
            if let Some(stage) = self.waiting.woken(self.id) {
                self.stage = stage;
            }
        }
    }

    /// Parks the request until there is news; what was left to the background begins at once.
    fn park(&mut self, news: News) -> Next {
        self.waiting.park(self.id, news);
        self.stage = Stage::Parked;
        Next::Wait
    }

    /// Leaves the body in the connection until the request goes on: it is not read before the ruling.
    ///
    /// `Action::Pause` alone lets Envoy hand us the body and buffer it, and what is larger than
    /// `per_connection_buffer_limit_bytes` gets a bare 413. The SDK has no word for Envoy's
    /// StopAllIterationAndWatermark, which is flow control; Envoy makes it out of any pause after a local
    /// reply (proxy-wasm-cpp-host, `convertVmCallResultToFilterHeadersStatus`). One of the root context goes
    /// nowhere, since there is no stream to answer, and should it ever hit the request's own, that is refused.
    #[cold]
    fn hold_the_body(&self) {
        if hostcalls::set_effective_context(self.root).is_ok() {
            let _ = hostcalls::send_http_response(503, Vec::new(), None);
            let _ = hostcalls::set_effective_context(self.id);
        }
    }

    /// There is news: rules on a request that was parked, which waits and has to be resumed.
    pub(super) fn news(&mut self, ruling: Ruling) {
        if let Next::Pass = self.apply(ruling, false) {
            let _ = hostcalls::resume_http_request();
        }
    }

    /// Carries out a ruling.
    #[inline]
    fn apply(&mut self, ruling: Ruling, ends: bool) -> Next {
        match ruling {
            Ruling::Again(head) => match self.filter_state.clone() {
                Some(filter_state) => self.apply(gate::rule(&filter_state, head), ends),
                None => Next::Wait,
            },
            Ruling::Wait(news) => self.park(news),
            Ruling::Pass(pass) => {
                self.pass(pass);
                Next::Pass
            }
            Ruling::LocalReply(own) => {
                answer(&own);
                self.stage = Stage::Answered;
                Next::Wait
            }
            Ruling::Body(_, then) if ends => {
                let ruling = then(Body::Whole(Vec::new()));
                self.apply(ruling, true)
            }
            Ruling::Body(limit, then) => {
                self.stage = Stage::Body(limit, then);
                Next::Wait
            }
            Ruling::Flow(mut task, exchange) => {
                let step = task.start();
                self.go_on(task, exchange, step)
            }
        }
    }

    fn body_is_there(&mut self, size: usize) -> Next {
        match std::mem::take(&mut self.stage) {
            Stage::Body(limit, then) => {
                let body = match size {
                    0 => Body::Whole(Vec::new()),
                    size if size > limit => Body::TooLarge,
                    size => {
                        match hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten() {
                            Some(bytes) if bytes.len() == size => Body::Whole(bytes),
                            _ => Body::TooLarge,
                        }
                    }
                };
                let ruling = then(body);
                self.apply(ruling, true)
            }
            other => {
                self.stage = other;
                Next::Wait
            }
        }
    }

    /// Carries out what a flow does next. A call that cannot be made is answered at once.
    fn go_on(
        &mut self,
        mut task: Task<Result<Outcome, Fault>>,
        exchange: Rc<Exchange>,
        mut step: Step<Result<Outcome, Fault>>,
    ) -> Next {
        loop {
            step = match step {
                Step::Call(call) => match calls::dispatch(&call) {
                    Ok(token) => {
                        self.stage = Stage::Flow { task, exchange, token, max: call.max_answer };
                        return Next::Wait;
                    }
                    Err(reply) => task.resume(reply),
                },
                Step::Wait(mut ready) => {
                    let mut held = Some((task, exchange));
                    let mut next = move || held.take().map(|(task, exchange)| Ruling::Flow(task, exchange));
                    return self.park(Box::new(move || ready().then(&mut next).flatten()));
                }
                Step::Done(Ok(Outcome::Pass(pass))) => {
                    self.pass(pass);
                    return Next::Pass;
                }
                Step::Done(Ok(Outcome::Again(head))) => return self.apply(Ruling::Again(head), false),
                Step::Done(Ok(Outcome::LocalReply(own))) => {
                    answer(&own);
                    self.stage = Stage::Answered;
                    return Next::Wait;
                }
                Step::Done(Err(fault)) => {
                    self.fail(&exchange, fault);
                    return Next::Wait;
                }
            }
        }
    }

    fn fail(&mut self, exchange: &Rc<Exchange>, fault: Fault) {
        answer(&exchange.refuse(&fault));
        self.stage = Stage::Answered;
    }

    /// Changes the request as ruled. Each change is a host call, so there is none that is not needed.
    #[inline]
    fn pass(&mut self, pass: Pass) {
        const REQUEST: MapType = MapType::HttpRequestHeaders;
        for name in &pass.remove {
            let _ = hostcalls::remove_map_value(REQUEST, name);
        }
        if pass.upgrade {
            let _ = hostcalls::set_map_value_bytes(REQUEST, "connection", Some(b"upgrade"));
        }
        if let Some(target) = &pass.target {
            let _ = hostcalls::set_map_value_bytes(REQUEST, ":path", Some(target));
        }
        match &pass.cookie {
            CookieEdit::Keep => {}
            CookieEdit::Remove => {
                let _ = hostcalls::remove_map_value(REQUEST, "cookie");
            }
            edit @ (CookieEdit::Part(..) | CookieEdit::Parts(_)) => {
                let left = edit.left().unwrap_or_default();
                let _ = hostcalls::set_map_value_bytes(REQUEST, "cookie", Some(left));
            }
        }
        if let Some(live) = &pass.live {
            for (name, value) in &live.headers {
                if pass.withheld.as_ref() == Some(name) {
                    continue;
                }
                let _ = match &**name {
                    "authorization" => hostcalls::set_map_value_bytes(REQUEST, name, Some(value)),
                    name => hostcalls::add_map_value_bytes(REQUEST, name, value),
                };
            }
            if let (Some(token), Some(settings)) = (&pass.assertion, &live.account.forward.assertion) {
                let _ = hostcalls::add_map_value(REQUEST, &settings.header, token);
            }
        }
        if pass.wants_plain_answer {
            let _ = hostcalls::set_map_value(REQUEST, "accept-encoding", Some("identity"));
        }
        if let Some(live) = pass.live {
            self.streams.enter(self.id, live, self.waiting.is_hurried());
        }
        self.stage = Stage::Passed { set_cookies: pass.set_cookies, on_response: pass.on_response };
    }
}

impl Drop for Filter {
    #[inline]
    fn drop(&mut self) {
        match self.stage {
            Stage::Body(..) => self.waiting.leave(self.id),
            Stage::Passed { .. } => self.streams.leave(self.id),
            Stage::Parked => self.waiting.forget(self.id),
            Stage::Judging(..) => self.left_unjudged(),
            _ => {}
        }
    }
}

#[inline]
fn action(next: Next) -> Action {
    match next {
        Next::Pass => Action::Continue,
        Next::Wait => Action::Pause,
    }
}

/// Sends the filter's own answer.
fn answer(answer: &Response) {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = (!answer.body.is_empty()).then_some(answer.body.as_slice());
    let _ = hostcalls::send_http_response(u32::from(answer.status), headers, body);
}

/// Ends the wait of a request whose body never came.
pub fn give_up(id: u32, head: &Head) {
    if hostcalls::set_effective_context(id).is_err() {
        return;
    }
    let fault = Fault::new(Code::NotReady, "no body came: is allow_on_headers_stop_iteration set?");
    let path = String::from_utf8_lossy(head.path());
    let place = events::Place { request_id: head.request_id(), path: &path, ..events::Place::default() };
    events::refusal(&EnvoyHost::default(), place, &fault);
    let pages = crate::pages::Look::default();
    answer(&pages::refusal(&fault, &pages::Context::new(&pages, head.request_id(), head.is_person())));
}
