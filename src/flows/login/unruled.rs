//! Password logins while single sign-on is off: none is ruled on, counted or refused. With `self_service` an
//! administrator's opens a session, so that single sign-on can be prepared before it is on.

use std::rc::Rc;

use super::password::reading;
use super::watch::Watch;
use crate::config::PasswordLogin;
use crate::exchange::{Body, Exchange, Outcome, Pass, Ruling};
use crate::password::{login_request, ruling, HeadRuling, Reading};

/// Lets it pass, and watches it where it certainly is an administrator's.
pub fn pass(exchange: Rc<Exchange>, logins: Vec<Rc<PasswordLogin>>, pass: Pass) -> Ruling {
    let Ok((account_state, _)) = exchange.site_and_origin() else { return Ruling::Pass(pass) };
    let head = login_request::head(&logins, &account_state.account.origins, &reading(&exchange.head));
    if head.ok() != Some(HeadRuling::ReadBody) {
        return Ruling::Pass(pass);
    }
    Ruling::Body(
        login_request::MAX_BODY,
        Box::new(move |body| {
            let Body::Whole(body) = body else { return Ruling::Pass(pass) };
            let read =
                login_request::read(&logins, &account_state.account.origins, &reading(&exchange.head), &body);
            let Ok(Reading::Login(login, username)) = read else { return Ruling::Pass(pass) };
            Ruling::flow(exchange, |io, exchange| async move {
                let (account, cache) = (&account_state.account, &account_state.directory);
                let user = ruling::administrator(&io, account, cache, login.attribute, &username).await;
                Ok(Outcome::Pass(match user {
                    Some(user) => Watch::new(exchange, login, user, None).over(pass),
                    None => pass,
                }))
            })
        }),
    )
}
