//! What a session is judged by, beside roles: the conditions (`when`) of the account's rules.

use super::{Method, Session};
use crate::access::condition::{self, Facts};
use crate::access::Verdict;
use crate::config::Account;

/// The verdict on each rule with conditions, by slot.
pub fn verdicts(account: &Account, session: &Session) -> Box<[Verdict]> {
    let origin = &session.origin;
    let facts = Facts {
        user: &session.user.username,
        email: session.user.email.as_deref(),
        idp: &origin.provider,
        method: session.method.as_str(),
        amr: origin.amr.as_deref(),
        claims: &session.conditions,
        // A password login brings no claims, and a token was judged with all that it has.
        can_learn: session.method == Method::Sso,
    };
    condition::verdicts(&account.access, &facts).into_boxed_slice()
}
