//! A password login at the gate: ruled on before the application sees anything of it, watched for
//! whether the password was right.

use std::rc::Rc;

use crate::config::{Account, PasswordLogin};
use crate::directory::User;
use crate::exchange::{Asked, Body, Outcome, Pass, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Ask;
use crate::http::{Head, Headers, Path};
use crate::password::attempts::{self, Attempt};
use crate::password::{accepted, alias_of_login, login_request, ruling, HeadRuling};
use crate::session::{Method, Origin, Session, Tokens};
use crate::state::Site;

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
            && (login.path == path.canonical() || alias_of_login(head.path(), &login.path))
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
pub fn is_of_another(sites: &[Rc<Site>], chosen: &Rc<Site>, head: &Head, path: &Path<'_>) -> bool {
    let carries = |site: &Rc<Site>| match login_at(&site.account, head, path) {
        Some(Match::Exact(login)) => carries_password(&site.account, &login, head),
        Some(Match::Alias) => true,
        None => false,
    };
    let account = &chosen.account;
    let own = || path.plain().is_some_and(|path| account.paths.endpoint(path).is_some());
    let ruled_on = account.enabled && (own() || login_at(account, head, path).is_some());
    !ruled_on && sites.iter().any(|site| !Rc::ptr_eq(site, chosen) && carries(site))
}

/// Refuses such a login.
pub fn refuse_of_another(asked: &Asked) -> Ruling {
    let detail = "a password login of another account than the one this request is for";
    refuse(asked, &Fault::new(Code::RequestInvalid, detail))
}

/// Rules on it.
pub fn gate(asked: Rc<Asked>, found: Match, pass: Pass) -> Ruling {
    let login = match found {
        Match::Exact(login) => login,
        Match::Alias => {
            let fault = Fault::new(Code::RequestInvalid, "another spelling of a password login's path");
            return refuse(&asked, &fault);
        }
    };
    let Ok((site, _)) = asked.site_and_origin() else {
        return refuse(&asked, &Fault::new(Code::AccountUnknown, "no account is served here"));
    };
    match login_request::head(&login, &site.account.origins, &reading(&asked.head)) {
        Err(fault) => refuse(&asked, &fault),
        Ok(HeadRuling::PassUnread) => Ruling::Pass(pass),
        Ok(HeadRuling::ReadBody) => read_body(asked, login, pass),
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

fn read_body(asked: Rc<Asked>, login: Rc<PasswordLogin>, pass: Pass) -> Ruling {
    Ruling::Body(
        login_request::MAX_BODY,
        Box::new(move |body| {
            let bytes = match body {
                Body::Whole(bytes) => bytes,
                Body::TooLarge => {
                    return refuse(
                        &asked,
                        &Fault::new(Code::BodyTooLarge, "a password login is at most 64 KiB"),
                    )
                }
            };
            Ruling::flow(asked, move |ask, asked| async move {
                Ok(password_login(&ask, &asked, &login, &bytes, pass).await)
            })
        }),
    )
}

async fn password_login(
    ask: &Ask,
    asked: &Rc<Asked>,
    login: &PasswordLogin,
    body: &[u8],
    pass: Pass,
) -> Outcome {
    match rule(ask, asked, login, body).await {
        Ok((user, attempt)) => {
            events::password_ruling(ask.host(), asked.place(), "passed");
            let watch = Watch { asked: asked.clone(), login: Rc::new(login.clone()), user, attempt };
            // Another session of this browser, SSO or password, is nothing to this request.
            Outcome::Pass(Pass {
                on_response: Some(Box::new(move |headers| watch.answered(headers))),
                opened: None,
                ..pass
            })
        }
        Err(fault) => {
            events::password_ruling(ask.host(), asked.place(), fault.code.as_str());
            Outcome::Answer(asked.refuse(&fault))
        }
    }
}

/// The password rule: the username, who may, how often. Unknown users are refused like
/// ordinary ones.
async fn rule(
    ask: &Ask,
    asked: &Asked,
    login: &PasswordLogin,
    body: &[u8],
) -> Result<(User, Attempt), Fault> {
    let (site, _) = asked.site_and_origin()?;
    let account = &site.account;
    let username = login_request::username(login, body)?;
    let ruling = ruling::rule(ask, account, &site.directory, &username).await?;
    let attempt = attempts::begin(ask.host(), &account.code, username.as_str(), account.password.attempts)?;
    Ok((ruling.user, attempt))
}

fn refuse(asked: &Asked, fault: &Fault) -> Ruling {
    events::password_ruling(&*asked.world.host, asked.place(), fault.code.as_str());
    Ruling::Answer(asked.refuse(fault))
}

/// A password login that the application is judging.
pub struct Watch {
    asked: Rc<Asked>,
    login: Rc<PasswordLogin>,
    user: User,
    attempt: Attempt,
}

impl Watch {
    /// The application's answer: with an accepted password the `set-cookie` values of a session.
    pub fn answered(self, headers: &Headers) -> Vec<String> {
        let host = &*self.asked.world.host;
        let place = Place { user: Some(&self.user.username), ..self.asked.place() };
        let status = headers.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_slice());
        let status = status.and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(0);
        if !accepted(&self.login.success, status, headers, host.now()) {
            if matches!(status, 502..=504) {
                // Nobody judged it: an outage locks nobody out.
                self.attempt.withdrawn(host);
            }
            events::login_outcome(host, place, "password_refused");
            return Vec::new();
        }
        self.attempt.succeeded(host);
        let session =
            Session::open(host, self.user.clone(), Method::Password, Origin::default(), Tokens::default());
        let cookies = self
            .asked
            .site_and_origin()
            .and_then(|(site, _)| super::open_session(&self.asked, &site, session?));
        cookies.unwrap_or_else(|fault| {
            // The application let the person in; without a session of ours the next request asks again.
            events::refusal(host, place, &fault);
            Vec::new()
        })
    }
}
