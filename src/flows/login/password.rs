//! A password login at the gate: ruled on before the application sees anything of it, watched for
//! whether the password was right.

use std::rc::Rc;

use url::Url;

use super::attempt::Attempt;
use crate::config::{body_accepted, head_accepted, Account, Answered, PasswordLogin, MAX_ANSWER};
use crate::directory::User;
use crate::exchange::{Body, Exchange, Outcome, Pass, Ruling, Verdict};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::{Head, Headers, Path};
use crate::password::attempts::CountedBy;
use crate::password::{alias_of_login, login_request, ruling, HeadRuling, Reading, Username};
use crate::session::{device, Authentication, Method, Session, Tokens};
use crate::state::AccountState;

/// What a request has to do with a password login.
pub enum Match {
    /// Its path is that of these logins, to the letter.
    Exact(Vec<Rc<PasswordLogin>>),
    /// The application may take it for one: another spelling of its path.
    Alias,
}

/// The password logins that this path names, or that an application may take it for.
pub fn login_at(account: &Account, head: &Head, path: &Path<'_>) -> Option<Match> {
    let logins = &account.password.logins;
    let is_exact = |login: &&Rc<PasswordLogin>| login.path.as_bytes() == head.path();
    if logins.iter().any(|login| is_exact(&login)) {
        return Some(Match::Exact(logins.iter().filter(is_exact).cloned().collect()));
    }
    // A page that carries no password is what it is, however its path is written.
    let safe = matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS");
    let alias = |login: &Rc<PasswordLogin>| {
        (!safe || carries_password(account, std::slice::from_ref(login), head))
            && (path.is_too_long()
                || login.path == path.canonical()
                || alias_of_login(head.path(), &login.path))
    };
    logins.iter().any(alias).then_some(Match::Alias)
}

/// True where a request to these logins would be refused or read.
fn carries_password(account: &Account, logins: &[Rc<PasswordLogin>], head: &Head) -> bool {
    let bare = head.query().is_none() && head.ends;
    let ruled = || login_request::head(logins, &account.origins, &reading(head));
    !bare && !matches!(ruled(), Ok(HeadRuling::PassUnread | HeadRuling::Ordinary))
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
        Some(Match::Exact(logins)) => carries_password(&account_state.account, &logins, head),
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
    let logins = match found {
        Match::Exact(logins) => logins,
        Match::Alias => {
            let fault = Fault::new(Code::RequestInvalid, "another spelling of a password login's path");
            return refuse(&exchange, &fault);
        }
    };
    let Ok((account_state, _)) = exchange.site_and_origin() else {
        return refuse(&exchange, &Fault::new(Code::AccountUnknown, "no account is served here"));
    };
    match login_request::head(&logins, &account_state.account.origins, &reading(&exchange.head)) {
        Err(fault) => refuse(&exchange, &fault),
        Ok(HeadRuling::PassUnread) => Ruling::Pass(pass),
        Ok(HeadRuling::Ordinary) => ordinary(&exchange),
        Ok(HeadRuling::ReadBody) => read_body(exchange, account_state, logins, pass),
    }
}

/// A request at a login's path that is not one: the rules go on as if the path were no login's.
fn ordinary(exchange: &Exchange) -> Ruling {
    exchange.head.is_no_login.set(true);
    Ruling::Again(exchange.head.clone())
}

fn reading(head: &Head) -> login_request::Head<'_> {
    login_request::Head {
        method: head.method(),
        query: head.query(),
        headers: head.headers(),
        has_body: !head.ends,
    }
}

fn read_body(
    exchange: Rc<Exchange>,
    account_state: Rc<AccountState>,
    logins: Vec<Rc<PasswordLogin>>,
    pass: Pass,
) -> Ruling {
    Ruling::Body(
        login_request::MAX_BODY,
        Box::new(move |body| {
            let bytes = match body {
                Body::Whole(bytes) => bytes,
                Body::TooLarge => return refuse(&exchange, &login_request::too_large()),
            };
            let origins = &account_state.account.origins;
            match login_request::read(&logins, origins, &reading(&exchange.head), &bytes) {
                Err(fault) => refuse(&exchange, &fault),
                Ok(Reading::Ordinary) => ordinary(&exchange),
                Ok(Reading::Login(login, username)) => Ruling::flow(exchange, |io, exchange| async move {
                    Ok(password_login(&io, &exchange, login, &username, pass).await)
                }),
            }
        }),
    )
}

async fn password_login(
    io: &Io,
    exchange: &Rc<Exchange>,
    login: Rc<PasswordLogin>,
    username: &Username,
    pass: Pass,
) -> Outcome {
    match rule(io, exchange, &login, username).await {
        Ok((user, attempt)) => {
            events::password_ruling(io.host(), exchange.place(), "passed");
            let wants_json = login.success.json.is_some();
            let watch = Watch { exchange: exchange.clone(), login, user, attempt };
            // Another session of this browser, SSO or password, is nothing to this request.
            Outcome::Pass(Pass {
                on_response: Some(Box::new(move |headers, ends| watch.answered(headers, ends))),
                wants_plain_answer: wants_json,
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

/// The password rule: who may, and how often. Unknown users are refused like ordinary ones.
async fn rule(
    io: &Io,
    exchange: &Exchange,
    login: &PasswordLogin,
    username: &Username,
) -> Result<(User, Attempt), Fault> {
    let (account_state, _) = exchange.site_and_origin()?;
    let account = &account_state.account;
    let ruling = ruling::rule(io, account, &account_state.directory, login.attribute, username).await?;
    if let Some(why) = &ruling.without_directory {
        let reason =
            format!("a password login as {:?} goes on without the directory: {why}", username.as_str());
        let place = Place { user: Some(&ruling.user.username), ..exchange.place() };
        events::notice(io.host(), place, Level::Warn, &reason);
    }
    let counted = counted(exchange, account, &ruling.user);
    let limit = account.password.attempts;
    let attempt = Attempt::begin(io, exchange, &account.code, &counted, limit).await?;
    Ok((ruling.user, attempt))
}

/// By what a failure of this login is counted: in a browser that signed in as the user before by its mark, else by the
/// user, whatever was typed in.
fn counted(exchange: &Exchange, account: &Account, user: &User) -> CountedBy {
    let config = &exchange.filter_state.config;
    if let Some(id) = device::of_user(config, &exchange.jar(), &account.code, &user.username, exchange.now) {
        return CountedBy::Browser(id);
    }
    let name = user.username.clone();
    match user.is_known() || account.is_named_admin(&name) {
        true => CountedBy::User(name),
        false => CountedBy::Name(name),
    }
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
    /// The head of the application's answer: with an accepted password the `set-cookie` values of a session.
    pub fn answered(self, headers: &Headers, ends: bool) -> Verdict {
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
                Box::new(move |body| match body_accepted(&self.login.success, body) {
                    true => self.accepted(),
                    false => self.refused(),
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

    fn withdrawn(self) -> Vec<String> {
        let host = &*self.exchange.filter_state.host;
        events::login_outcome(host, self.place(), "password_refused");
        self.attempt.withdrawn(&self.exchange);
        Vec::new()
    }

    fn refused(self) -> Vec<String> {
        events::login_outcome(&*self.exchange.filter_state.host, self.place(), "password_refused");
        Vec::new()
    }

    fn accepted(self) -> Vec<String> {
        let host = &*self.exchange.filter_state.host;
        let place = Place { user: Some(&self.user.username), ..self.exchange.place() };
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

/// True where `content-length` says that the body is larger than what is read.
fn announces_too_much(headers: &Headers) -> bool {
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length > MAX_ANSWER)
}
