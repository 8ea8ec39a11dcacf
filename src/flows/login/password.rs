//! A password login at the gate: ruled on before the application sees anything of it, watched for
//! whether the password was right.

use std::rc::Rc;

use super::attempt::Attempt;
use super::watch::Watch;
use crate::config::{Account, PasswordLogin};
use crate::directory::User;
use crate::exchange::{Body, Exchange, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::{Head, Path};
use crate::password::attempts::CountedBy;
use crate::password::{alias_of_login, login_request, ruling, HeadRuling, Reading, Username};
use crate::session::device;
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
    let ruled = || login_request::head(logins, &account.own_origins(head.authority()), &reading(head));
    !bare && !matches!(ruled(), Ok(HeadRuling::PassUnread | HeadRuling::Ordinary))
}

/// True where accounts share an origin and this is a login of one that was not chosen, and not of the chosen one:
/// its own rule would not be asked. Pages that carry no password are not meant.
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
    let origins = account_state.account.own_origins(exchange.head.authority());
    match login_request::head(&logins, &origins, &reading(&exchange.head)) {
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

pub(super) fn reading(head: &Head) -> login_request::Head<'_> {
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
            let origins = account_state.account.own_origins(exchange.head.authority());
            match login_request::read(&logins, &origins, &reading(&exchange.head), &bytes) {
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
            Outcome::Pass(Watch::new(exchange.clone(), login, user, Some(attempt)).over(pass))
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
