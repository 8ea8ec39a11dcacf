//! Draft, enable, roll back.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{invalid, Desk, Refusal};
use crate::config::{self, Account, PasswordMode};
use crate::fault::{Code, Fault};
use crate::host::events;
use crate::host::random_token;
use crate::host::task::Io;
use crate::http::response::Response;
use crate::settings::book::{Test, Version};
use crate::settings::{changes, guards, proposal, Book, Draft};

impl Desk {
    /// Prepares settings. Everything that is wrong with them is said at once, and nothing is kept then.
    pub(super) async fn save_draft(&self, io: &Io, body: &Map<String, Value>) -> Result<Response, Refusal> {
        let body = Value::Object(body.clone());
        let id = random_token::<16>(io.host())?;
        let mut problems = Vec::new();
        let edited = self
            .change(io, |book| {
                let active = self.active(book);
                let terms = proposal::Terms {
                    file: &self.file,
                    allowed: &self.allowed,
                    active: &active,
                    draft: book.draft.as_ref().map(|draft| &draft.settings),
                    own_roles: &self.live.session.user.roles,
                };
                match proposal::read(&body, &terms) {
                    Ok(proposed) => {
                        book.draft = Some(Draft {
                            id: id.clone(),
                            by: self.user().to_owned(),
                            at: io.now(),
                            settings: proposed.settings,
                            tests: Vec::new(),
                        });
                        Ok(())
                    }
                    Err(found) => {
                        problems = found;
                        Err(Fault::new(Code::SettingsInvalid, "the draft has problems"))
                    }
                }
            })
            .await;
        match edited {
            Ok((_, book)) => {
                self.audit(io, "draft", "");
                Ok(self.whole(200, &book))
            }
            Err(fault) if fault.code == Code::SettingsInvalid => Err(Refusal::Problems(problems)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Throws the draft away; also when there is none.
    pub(super) async fn discard_draft(&self, io: &Io) -> Result<Response, Refusal> {
        if self.book()?.draft.is_some() {
            self.change(io, |book| {
                book.draft = None;
                Ok(())
            })
            .await?;
            self.audit(io, "draft discarded", "");
        }
        Ok(Response::new(204, ""))
    }

    /// Makes the draft the settings that hold.
    pub(super) async fn enable(&self, io: &Io, body: &Map<String, Value>) -> Result<Response, Refusal> {
        let confirmed = confirmed(body)?;
        let ((), book) = self
            .change(io, |book| {
                let none = || Fault::new(Code::SettingsUntested, "there is no draft to enable");
                let draft = book.draft.clone().ok_or_else(none)?;
                let next = self.account_of(&draft.settings)?;
                let forced = self.guard(book, &next, &draft.tests, confirmed)? || stays_forced(book, &next);
                let changes = changes::between(&self.active(book), &draft.settings);
                book.draft = None;
                let version = self.version(io, Some(draft.settings), changes, draft.tests);
                book.enable(Version { forced, ..version });
                Ok(())
            })
            .await?;
        self.enabled(io, &book, "enabled");
        Ok(self.whole(200, &book))
    }

    /// Makes an older version hold again, as a new one.
    pub(super) async fn roll_back(&self, io: &Io, body: &Map<String, Value>) -> Result<Response, Refusal> {
        let confirmed = confirmed(body)?;
        let number = body.get("version").and_then(Value::as_u64);
        let number = number.ok_or_else(|| invalid("version", "expected the number of a version"))?;
        let known = self.book()?;
        if number != 0 && known.version(number).is_none() {
            return Err(invalid("version", format!("there is no version {number}")));
        }
        let ((), book) = self
            .change(io, |book| {
                let gone = || Fault::new(Code::SettingsChanged, "the version is gone meanwhile");
                let (settings, tests) = match number {
                    0 => (None, Vec::new()),
                    _ => book
                        .version(number)
                        .map(|old| (old.settings.clone(), old.tests.clone()))
                        .ok_or_else(gone)?,
                };
                let whole = settings.clone().unwrap_or_else(|| self.file.settings(&self.allowed.settings));
                let next = self.account_of(&whole)?;
                let now = self.account_of(&self.active(book))?;
                let forced = !guards::opens_passwords(&now, &next)
                    && (self.guard(book, &next, &tests, confirmed)? || stays_forced(book, &next));
                let changes = changes::between(&self.active(book), &whole);
                let version = self.version(io, settings, changes, tests);
                book.enable(Version { forced, ..version });
                Ok(())
            })
            .await?;
        self.enabled(io, &book, &format!("rolled back to {number}"));
        Ok(self.whole(200, &book))
    }

    fn version(&self, io: &Io, settings: Option<Value>, changes: Vec<String>, tests: Vec<Test>) -> Version {
        let by = self.user().to_owned();
        Version { number: 0, by, at: io.now(), settings, changes, tests, forced: false }
    }

    /// The account that settings make. They were checked when they were saved, but the file may have changed since.
    fn account_of(&self, settings: &Value) -> Result<Rc<Account>, Fault> {
        config::with_settings(&self.file, settings).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Fault::new(Code::SettingsInvalid, format!("they do not go with the file any more: {first}"))
        })
    }

    /// True where the administrator says that it shall be so although the guards speak against it.
    fn guard(&self, book: &Book, next: &Account, tests: &[Test], confirmed: bool) -> Result<bool, Fault> {
        let now = self.account_of(&self.active(book))?;
        match guards::against(&now, next, tests, self.keyboard()) {
            Some(why) if !confirmed => Err(Fault::new(Code::SettingsUntested, why)),
            why => Ok(why.is_some()),
        }
    }

    fn enabled(&self, io: &Io, book: &Book, what: &str) {
        let active = book.active();
        let changes = active.map(|version| version.changes.join(", ")).unwrap_or_default();
        self.audit(io, what, &format!("version {}: {changes}", active.map_or(0, |version| version.number)));
    }

    /// One line for each change: who did what, and never a value.
    pub(super) fn audit(&self, io: &Io, what: &str, detail: &str) {
        events::settings(
            io.host(),
            events::Place { user: Some(self.user()), ..self.exchange.place() },
            what,
            detail,
        );
    }
}

/// True where passwords are off since a version that an administrator forced: what else changes does not close the
/// operator's way back.
fn stays_forced(book: &Book, next: &Account) -> bool {
    let was_forced = book.active().is_some_and(|version| version.forced);
    was_forced && next.password.mode == PasswordMode::Disabled
}

fn confirmed(body: &Map<String, Value>) -> Result<bool, Refusal> {
    match body.get("confirm") {
        None => Ok(false),
        Some(Value::Bool(confirmed)) => Ok(*confirmed),
        Some(_) => Err(invalid("confirm", "expected true or false")),
    }
}
