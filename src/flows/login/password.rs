//! A password login at the gate: ruled on before the application sees anything of it, watched for
//! whether the password was right.

use std::rc::Rc;

use super::attempt::Attempt;
use crate::config::{Account, PasswordLogin};
use crate::directory::User;
use crate::exchange::{Body, Exchange, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::{Head, Headers, Path};
use crate::password::{accepted, alias_of_login, login_request, ruling, HeadRuling};
use crate::session::{Authentication, Method, Session, Tokens};
use crate::state::AccountState;

/// What a request has to do with a password login.
pub enum Match {
    /// It is one, to the letter.
    Exact(Rc<PasswordLogin>),
    /// The application may take it for one: another spelling of its path.
    Alias,
}

/// The password login that this path names, or that an application may take it for.
pub fn login_at(account: &Account, head: &Head, path: &Path<'_>) -> Option<Match> {
    let logins = &account.password.logins;
    if let Some(login) = logins.iter().find(|login| login.path.as_bytes() == head.path()) {
        return Some(Match::Exact(login.clone()));
    }
    // A page that carries no password is what it is, however its path is written.
    let safe = matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS");
    let alias = |login: &Rc<PasswordLogin>| {
        (!safe || carries_password(account, login, head))
            && (path.is_too_long()
                || login.path == path.canonical()
                || alias_of_login(head.path(), &login.path))
    };
    logins.iter().any(alias).then_some(Match::Alias)
}

/// True where a request to this login would be refused or read.
fn carries_password(account: &Account, login: &PasswordLogin, head: &Head) -> bool {
    let bare = head.query().is_none() && head.ends;
    !bare
        && !matches!(login_request::head(login, &account.origins, &reading(head)), Ok(HeadRuling::PassUnread))
}

/// True where accounts share an origin and this is a login of one that was not chosen, and not of the chosen one:
/// its own rule would not be asked, whoever else is signed in. Pages that carry no password are not meant.
pub fn is_of_another(
    account_states: &[Rc<AccountState>],
    chosen: &Rc<AccountState>,
    head: &Head,
    path: &Path<'_>,
) -> bool {
    let carries = |account_state: &Rc<AccountState>| match login_at(&account_state.account, head, path) {
        Some(Match::Exact(login)) => carries_password(&account_state.account, &login, head),
        Some(Match::Alias) => true,
        None => false,
    };
    let account = &chosen.account;
    let own = || path.plain().is_some_and(|path| account.paths.endpoint(path).is_some());
    let ruled_on = account.enabled && (own() || login_at(account, head, path).is_some());
    !ruled_on
        && account_states
            .iter()
            .any(|account_state| !Rc::ptr_eq(account_state, chosen) && carries(account_state))
}

/// Refuses such a login.
pub fn refuse_of_another(exchange: &Exchange) -> Ruling {
    let detail = "a password login of another account than the one this request is for";
    refuse(exchange, &Fault::new(Code::RequestInvalid, detail))
}

/// Rules on it.
pub fn gate(exchange: Rc<Exchange>, found: Match, pass: Pass) -> Ruling {
    let login = match found {
        Match::Exact(login) => login,
        Match::Alias => {
            let fault = Fault::new(Code::RequestInvalid, "another spelling of a password login's path");
            return refuse(&exchange, &fault);
        }
    };
    let Ok((account_state, _)) = exchange.site_and_origin() else {
        return refuse(&exchange, &Fault::new(Code::AccountUnknown, "no account is served here"));
    };
    match login_request::head(&login, &account_state.account.origins, &reading(&exchange.head)) {
        Err(fault) => refuse(&exchange, &fault),
        Ok(HeadRuling::PassUnread) => Ruling::Pass(pass),
        Ok(HeadRuling::ReadBody) => read_body(exchange, login, pass),
    }
}

fn reading(head: &Head) -> login_request::Head<'_> {
    login_request::Head {
        method: head.method(),
        query: head.query(),
        headers: head.headers(),
        has_body: !head.ends,
    }
}

fn read_body(exchange: Rc<Exchange>, login: Rc<PasswordLogin>, pass: Pass) -> Ruling {
    Ruling::Body(
        login_request::MAX_BODY,
        Box::new(move |body| {
            let bytes = match body {
                Body::Whole(bytes) => bytes,
                Body::TooLarge => {
                    return refuse(
                        &exchange,
                        &Fault::new(Code::BodyTooLarge, "a password login is at most 64 KiB"),
                    )
                }
            };
            Ruling::flow(exchange, move |io, exchange| async move {
                Ok(password_login(&io, &exchange, &login, &bytes, pass).await)
            })
        }),
    )
}

async fn password_login(
    io: &Io,
    exchange: &Rc<Exchange>,
    login: &PasswordLogin,
    body: &[u8],
    pass: Pass,
) -> Outcome {
    match rule(io, exchange, login, body).await {
        Ok((user, attempt)) => {
            events::password_ruling(io.host(), exchange.place(), "passed");
            let watch = Watch { exchange: exchange.clone(), login: Rc::new(login.clone()), user, attempt };
            // Another session of this browser, SSO or password, is nothing to this request.
            Outcome::Pass(Pass {
                on_response: Some(Box::new(move |headers| watch.answered(headers))),
                live: None,
                ..pass
            })
        }
        Err(fault) => {
            events::password_ruling(io.host(), exchange.place(), fault.code.as_str());
            Outcome::LocalReply(exchange.refuse(&fault))
        }
    }
}

/// The password rule: the username, who may, how often. Unknown users are refused like
/// ordinary ones.
async fn rule(
    io: &Io,
    exchange: &Exchange,
    login: &PasswordLogin,
    body: &[u8],
) -> Result<(User, Attempt), Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let account = &account_state.account;
    let username = login_request::username(login, body)?;
    let ruling = ruling::rule(io, account, &account_state.directory, &username).await?;
    let limit = account.password.attempts;
    let attempt = Attempt::begin(io, exchange, &account.code, username.as_str(), limit).await?;
    Ok((ruling.user, attempt))
}

fn refuse(exchange: &Exchange, fault: &Fault) -> Ruling {
    events::password_ruling(&*exchange.filter_state.host, exchange.place(), fault.code.as_str());
    Ruling::LocalReply(exchange.refuse(fault))
}

/// A password login that the application is judging.
pub struct Watch {
    exchange: Rc<Exchange>,
    login: Rc<PasswordLogin>,
    user: User,
    attempt: Attempt,
}

impl Watch {
    /// The application's answer: with an accepted password the `set-cookie` values of a session.
    pub fn answered(self, headers: &Headers) -> Vec<String> {
        let host = &*self.exchange.filter_state.host;
        let place = Place { user: Some(&self.user.username), ..self.exchange.place() };
        let status = headers.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_slice());
        let status = status.and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(0);
        if !accepted(&self.login.success, status, headers, host.now()) {
            if matches!(status, 502..=504) {
                // Nobody judged it: an outage locks nobody out.
                self.attempt.withdrawn(&self.exchange);
            }
            events::login_outcome(host, place, "password_refused");
            return Vec::new();
        }
        self.attempt.succeeded(&self.exchange);
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
