//! The application's answer to a password login: was the password right?

use std::rc::Rc;

use url::Url;

use super::attempt::Attempt;
use crate::config::{body_accepted, head_accepted, Answered, PasswordLogin, MAX_ANSWER};
use crate::directory::User;
use crate::exchange::{AnswerBody, Exchange, Pass, Verdict};
use crate::host::events::{self, Place};
use crate::http::Headers;
use crate::session::{Authentication, Method, Session, Tokens};

/// A password login that the application is judging.
pub struct Watch {
    exchange: Rc<Exchange>,
    login: Rc<PasswordLogin>,
    user: User,
    /// `None`: single sign-on is off, where attempts are not counted.
    attempt: Option<Attempt>,
}

impl Watch {
    /// For a login as this user.
    pub(super) fn new(
        exchange: Rc<Exchange>,
        login: Rc<PasswordLogin>,
        user: User,
        attempt: Option<Attempt>,
    ) -> Self {
        Self { exchange, login, user, attempt }
    }

    /// Lets the request go on, watched. Another session of this browser, SSO or password, is nothing to it.
    pub(super) fn over(self, pass: Pass) -> Pass {
        Pass {
            wants_plain_answer: self.login.success.json.is_some(),
            on_response: Some(Box::new(move |headers, ends| self.answered(headers, ends))),
            live: None,
            ..pass
        }
    }

    /// The head of the application's answer: with an accepted password the `set-cookie` values of a session.
    fn answered(self, headers: &Headers, ends: bool) -> Verdict {
        let status = headers.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_slice());
        let status = status.and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(0);
        if status >= 500 {
            // The application did not judge the password: an outage locks no user out.
            return Verdict::Cookies(self.withdrawn());
        }
        let now = self.exchange.filter_state.host.now();
        let accepted = self.asked().is_some_and(|asked| {
            head_accepted(&self.login.success, Answered { status, headers, asked: &asked, now })
        });
        match (accepted, &self.login.success.json) {
            (false, _) => Verdict::Cookies(self.refused()),
            (true, None) => Verdict::Cookies(self.accepted()),
            (true, Some(_)) if ends || announces_too_much(headers) => Verdict::Cookies(self.refused()),
            (true, Some(_)) => Verdict::Body(
                MAX_ANSWER,
                Box::new(move |body| match body {
                    AnswerBody::Broken => self.withdrawn(),
                    AnswerBody::Whole(body) if body_accepted(&self.login.success, body) => self.accepted(),
                    AnswerBody::Whole(_) | AnswerBody::TooLarge => self.refused(),
                }),
            ),
        }
    }

    /// The URL of the request, against which `Location` is resolved.
    fn asked(&self) -> Option<Url> {
        let origin = self.exchange.origin()?;
        let target = std::str::from_utf8(self.exchange.head.target()).ok()?;
        Url::parse(&format!("{origin}{target}")).ok()
    }

    fn place(&self) -> Place<'_> {
        Place { user: Some(&self.user.username), ..self.exchange.place() }
    }

    /// The application judged no password: it failed, or the connection to it broke.
    fn withdrawn(self) -> Vec<String> {
        let host = &*self.exchange.filter_state.host;
        events::login_outcome(host, self.place(), "password_refused");
        if let Some(attempt) = self.attempt {
            attempt.withdrawn(&self.exchange);
        }
        Vec::new()
    }

    fn refused(self) -> Vec<String> {
        events::login_outcome(&*self.exchange.filter_state.host, self.place(), "password_refused");
        Vec::new()
    }

    fn accepted(self) -> Vec<String> {
        let host = &*self.exchange.filter_state.host;
        let place = Place { user: Some(&self.user.username), ..self.exchange.place() };
        if let Some(attempt) = self.attempt {
            attempt.succeeded(&self.exchange);
        }
        let session = Session::open(
            host,
            self.user.clone(),
            Method::Password,
            Authentication::default(),
            Tokens::default(),
        );
        let cookies = self
            .exchange
            .site_and_origin()
            .and_then(|(account_state, _)| super::open_session(&self.exchange, &account_state, session?));
        cookies.unwrap_or_else(|fault| {
            // The application let the person in; without a session of ours the next request asks again.
            events::refusal(host, place, &fault);
            Vec::new()
        })
    }
}

/// True where `content-length` says that the body is larger than what is read.
fn announces_too_much(headers: &Headers) -> bool {
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length > MAX_ANSWER)
}
