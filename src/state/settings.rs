//! What administrators have set, laid over the accounts of the file: on every worker, within a moment of its change on any
//! replica.

use std::rc::Rc;

use serde_json::Value;

use super::{AccountState, FilterState};
use crate::config::{self, Account, Invitation, ProvisioningMode, SettingsPart};
use crate::host::events::{self, Place};
use crate::host::{Host, Level};
use crate::settings::{store, Book};

/// The schema, while it is held.
type Schema = Option<Result<Rc<Value>, String>>;

/// How far an account's settings are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settled {
    /// The file's settings hold: nothing else was set, or administrators may set nothing.
    #[default]
    File,
    /// They were not read yet: the file may be more open than they are.
    Waiting,
    /// Those of the document with this revision hold.
    Document(u64),
}

impl FilterState {
    /// True if an account's administrators may set something.
    pub fn has_self_service(&self) -> bool {
        self.replicas.is_some() && self.account_states.iter().any(|own| own.account.file.is_some())
    }

    /// The filter with the settings that hold now; `None` if they are those that it has.
    pub fn resettled(&self) -> Option<FilterState> {
        let replicas = self.replicas.as_ref().filter(|_| self.has_self_service())?;
        let host = &*self.host;
        let seen = (replicas.documents_changed(host), replicas.documents_are_known(host, host.now()));
        if self.settings_seen.borrow().as_ref() == Some(&seen) {
            return None;
        }
        let is_known = seen.1;
        self.settings_seen.replace(Some(seen));
        let mut changed = false;
        // From the first account that is checked on: most looks find none.
        let mut schema = None;
        let next = self.account_states.iter().map(|own| match self.resettle(own, is_known, &mut schema) {
            Some(newer) => {
                changed = true;
                Rc::new(newer)
            }
            None => own.clone(),
        });
        let next: Vec<Rc<AccountState>> = next.collect();
        changed.then(|| self.with_accounts(next))
    }

    /// The account as its settings have it now; `None` if nothing has changed. `schema` is held for the accounts after it.
    fn resettle(&self, own: &Rc<AccountState>, is_known: bool, schema: &mut Schema) -> Option<AccountState> {
        let (replicas, file) = (self.replicas.as_ref()?, own.account.file.as_ref()?);
        let code = &own.account.code;
        // Opening a thousand documents, of which one has changed, would hold up a worker.
        if let Settled::Document(known) = own.settled {
            if replicas.document_revision(&*self.host, &store::name(code)) == Some(known) {
                return None;
            }
        }
        let document = replicas.document(&*self.host, &store::name(code));
        // What the engine has and no key here opens may be stricter than the file.
        let is_unreadable = document.is_none()
            && is_known
            && own.settled == Settled::Waiting
            && replicas.document_is_unreadable(&*self.host, &store::name(code));
        let settled = match &document {
            Some(document) => Settled::Document(document.revision),
            None if is_known && !is_unreadable => Settled::File,
            None => Settled::Waiting,
        };
        let place = Place { account: Some(code), ..Place::default() };
        if is_unreadable {
            let reason =
                "the account's settings cannot be used: none of session.keys opens what the engine has";
            events::notice(&*self.host, place, Level::Error, reason);
        }
        if settled == own.settled {
            return None;
        }
        if document.is_some() {
            schema.get_or_insert_with(config::schema::parsed);
        }
        let made = match &document {
            Some(document) => {
                let book = store::read(document).map_err(|fault| fault.detail);
                book.and_then(|book| account_of(&*self.host, place, &own.account, &book))
            }
            // It has not been changed yet.
            None if own.settled == Settled::Waiting => Ok(own.account.clone()),
            None => config::with_settings(file, &serde_json::json!({})).map_err(|_| "the file".to_owned()),
        };
        match made {
            Ok(account) => {
                Some(AccountState { settled, ..AccountState::new(account, &self.rate, &self.directories) })
            }
            Err(why) => {
                // What held before goes on; an account that has known nothing yet stays closed.
                let reason = format!("the account's settings cannot be used: {why}");
                events::notice(&*self.host, place, Level::Error, &reason);
                let kept = if own.settled == Settled::Waiting { Settled::Waiting } else { settled };
                (kept != own.settled).then(|| AccountState {
                    settled: kept,
                    ..AccountState::new(own.account.clone(), &self.rate, &self.directories)
                })
            }
        }
    }
}

/// The account of the newest version that this filter can read, with the invitations that stand.
fn account_of(host: &dyn Host, place: Place<'_>, own: &Account, book: &Book) -> Result<Rc<Account>, String> {
    let Some(file) = &own.file else { return Err("the account has no file".into()) };
    let empty = serde_json::json!({});
    let versions = book.versions.iter().rev();
    let versions = versions.map(|version| (version.settings.as_ref().unwrap_or(&empty), version.forced));
    let versions: Vec<_> = if book.versions.is_empty() { vec![(&empty, false)] } else { versions.collect() };
    let mut why = String::new();
    for (settings, forced) in versions {
        match config::held_settings(file, settings) {
            Ok((mut account, outside)) => {
                if let Some(problem) = outside.first() {
                    let reason = format!("a provider of the account's settings is left out: {problem}");
                    events::notice(host, place, Level::Error, &reason);
                }
                if let Some(account) = Rc::get_mut(&mut account) {
                    account.password.keeps_administrators = forced && file.lets_passwords();
                    invite(account, book, host.now());
                }
                return Ok(account);
            }
            Err(problems) if why.is_empty() => {
                why = problems.first().map(ToString::to_string).unwrap_or_default();
            }
            Err(_) => {}
        }
    }
    Err(why)
}

/// Invitations of the file and of the pages count together.
fn invite(account: &mut Account, book: &Book, now: u64) {
    let allowed = account.self_service.as_ref().is_some_and(|own| own.allows(SettingsPart::Invitations));
    if !allowed {
        return;
    }
    if account.provisioning.mode == ProvisioningMode::Off {
        account.provisioning.mode = ProvisioningMode::Invited;
    }
    let standing = book.invitations.iter().filter(|one| one.stands(now)).map(|one| Invitation {
        email: one.email.clone(),
        roles: one.roles.clone(),
        id: Some(one.id.clone()),
    });
    account.provisioning.invitations.extend(standing);
}
