//! What users see of the filter, and the one place where a [`Fault`](crate::fault::Fault) becomes an answer.
//!
//! - `texts`: every word of every page, in English. `language`: which translation a reader gets. To change a wording: `texts`.
//! - `refusal`: a page or problem JSON for each code. `sign_in`, `sign_out`, `invitation`, `arrival`, `trial`: the pages.
//! - `admin`, `sessions`, `account_center`: the administrators' pages.
//! - `layout`, `style.css`: what all pages have, and their policy. `auto_submit`: the one page with a script.
//! - `look`: what operators choose: name, logo, colour, texts. `escape`: how text gets into a page.
//!
//! Invariants: every page works without JavaScript and with a keyboard, is light or dark as its reader likes, and runs under a
//! Content-Security-Policy that allows its own style and nothing else. Text from outside is escaped by the type that builds the
//! page (`escape::Html`).

mod account_center;
mod admin;
mod ahead;
mod arrival;
mod auto_submit;
mod escape;
mod invitation;
mod language;
mod layout;
mod look;
mod refusal;
mod sessions;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod tests;
mod texts;
mod trial;

pub use account_center::{
    account_center, AccountCenter, Field, Invited, Kind, Version as CenterVersion, FIELDS, PROTOCOLS,
};
pub use admin::{admin, Admin, Check, Completeness, Incomplete, Readiness};
pub use ahead::looked_ahead;
pub use arrival::confirm_arrival;
pub use auto_submit::{auto_submit, go_on, AutoSubmit};
pub use escape::safe_url;
pub use invitation::{invitation, Invitation};
pub use language::is_language;
pub use refusal::{refusal, refusal_with, Hints, CHALLENGE};
pub use sessions::{sessions, Sessions};
pub use sign_in::{sign_in, Button, SignIn};
pub use sign_out::{confirm_logout, front_channel_done, signed_out, still_signed_in, ConfirmLogout};
pub use texts::{is_text, TEXTS};
pub use trial::trial;

pub use look::Look;

/// One of the pages' sentences, as the configuration has it.
pub fn text(context: &Context<'_>, key: &str) -> String {
    context.texts().get(key).to_owned()
}

/// What every page and problem needs to know about the request it answers.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// How the operator wants the pages.
    pub pages: &'a Look,
    /// The request's id, for people to quote and operators to find in the log.
    pub request_id: &'a str,
    /// A person's navigation gets a page, anything else problem+json.
    pub html: bool,
    /// Where to sign in, or to try again.
    pub login: Option<String>,
    /// Where a user who is already signed in can go on.
    pub continue_to: Option<String>,
    /// As which user.
    pub continue_as: Option<String>,
    /// Where to sign in with another account of the provider.
    pub another: Option<String>,
    /// Who is signed in, where that is the trouble.
    pub signed_in_as: Option<String>,
    /// Whom the provider named, where that user is not let in.
    pub person: Option<String>,
    /// Where to sign out.
    pub sign_out: Option<String>,
    /// The first page is a way out.
    pub home: bool,
    /// The application's own password page, where it may be offered.
    pub password_page: Option<String>,
    /// The request was to change something at the application, and has not reached it.
    pub unsent: bool,
    /// What a 401's challenge says besides: parameters, each with a comma before it.
    pub challenge: String,
    /// The language that the reader asked for, where it is one of `pages.translations`.
    translation: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// A context without links.
    pub fn new(pages: &'a Look, request_id: &'a str, html: bool) -> Self {
        Self {
            pages,
            request_id,
            html,
            login: None,
            continue_to: None,
            continue_as: None,
            another: None,
            signed_in_as: None,
            person: None,
            sign_out: None,
            home: false,
            password_page: None,
            unsent: false,
            challenge: String::new(),
            translation: None,
        }
    }

    /// In the language that `Accept-Language` asks for, as far as there are several.
    pub fn in_language(mut self, accept: impl IntoIterator<Item = &'a [u8]>) -> Self {
        if !self.pages.translations.is_empty() {
            self.translation = language::choose(self.pages, accept);
        }
        self
    }

    /// The words of the way on.
    fn go_on(&self) -> String {
        match &self.continue_as {
            Some(user) => self.texts().fill("action.continue_as", &[("user", user)]),
            None => self.texts().get("action.continue").to_owned(),
        }
    }

    fn language(&self) -> &'a str {
        self.translation.unwrap_or_else(|| language::own(self.pages))
    }

    fn texts(&self) -> texts::Texts<'a> {
        texts::Texts::new(self.pages, self.translation)
    }
}
