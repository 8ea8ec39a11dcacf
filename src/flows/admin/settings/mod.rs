//! The Account Center: an account's administrators set single sign-on up themselves (`…/admin/settings`).
//!
//! | request | what it does |
//! |---|---|
//! | GET `settings` | everything: what holds, the draft, history, invitations |
//! | PUT, DELETE `settings/draft` | prepares settings, which changes nothing yet |
//! | GET `settings/test` | a whole sign-in with the draft ([`crate::flows::login::trial`]) |
//! | POST `settings/enable`, `settings/rollback` | a new version, past the guards against lock-out |
//! | POST `invitations`, DELETE `invitations/{id}` | who may come in |
//!
//! Every change reads the account's book, changes it, and writes it if no other Envoy has written meanwhile.

mod change;
mod form;
mod invitations;
mod shown;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::config::{self, Account, AccountFile, Problem, SelfService};
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::flows::login::trial;
use crate::host::task::Io;
use crate::http::response::Response;
use crate::replicas::Replicas;
use crate::session::LiveSession;
use crate::settings::guards::Keyboard;
use crate::settings::{store, Book};
use crate::state::AccountState;

/// The largest body of a request: a whole document.
pub const MAX_BODY: usize = 256 << 10;

/// An address of the Account Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `settings`
    Settings,
    /// `settings/draft`
    Draft,
    /// `settings/test`
    Test,
    /// `settings/enable`
    Enable,
    /// `settings/rollback`
    Rollback,
    /// `invitations`
    Invitations,
    /// `invitations/{id}`
    Invitation(String),
}

impl Address {
    /// Reads what stands behind the path of the administrators' pages.
    pub fn read(rest: &str) -> Option<Self> {
        Some(match rest {
            "/settings" | "/settings/" => Address::Settings,
            "/settings/draft" => Address::Draft,
            "/settings/test" => Address::Test,
            "/settings/enable" => Address::Enable,
            "/settings/rollback" => Address::Rollback,
            "/invitations" => Address::Invitations,
            _ => Address::Invitation(rest.strip_prefix("/invitations/").filter(|id| is_id(id))?.to_owned()),
        })
    }

    /// The methods that this address takes.
    pub fn methods(&self) -> &'static str {
        match self {
            Address::Settings => "GET, HEAD, POST",
            Address::Draft => "PUT, DELETE",
            Address::Test => "GET",
            Address::Enable | Address::Rollback | Address::Invitations => "POST",
            Address::Invitation(_) => "DELETE",
        }
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// An administrator of an account that has `self_service`, with all that a change needs.
pub struct Desk {
    pub(super) exchange: Rc<Exchange>,
    pub(super) account_state: Rc<AccountState>,
    pub(super) live: Rc<LiveSession>,
    pub(super) replicas: Rc<Replicas>,
    pub(super) file: Rc<AccountFile>,
    pub(super) allowed: SelfService,
    /// The revision that a change was made from, if it says so.
    pub(super) expected: Option<String>,
}

impl Desk {
    /// For an account whose administrators may set something; 404 for every other.
    pub fn open(exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Result<Self, Fault> {
        let (account_state, _) = exchange.site_and_origin()?;
        let account = &account_state.account;
        let none = || Fault::new(Code::RequestInvalid, "the account has no self_service").with_status(404);
        Ok(Self {
            replicas: exchange.filter_state.replicas.clone().ok_or_else(none)?,
            file: account.file.clone().ok_or_else(none)?,
            allowed: account.self_service.clone().ok_or_else(none)?,
            expected: exchange.head.one("if-match").map(str::to_owned),
            exchange: exchange.clone(),
            live: live.clone(),
            account_state,
        })
    }

    pub(super) fn code(&self) -> &str {
        &self.account_state.account.code
    }

    /// The administrator's username.
    pub(super) fn user(&self) -> &str {
        &self.live.session.user.username
    }

    pub(super) fn keyboard(&self) -> Keyboard<'_> {
        use crate::session::Method;
        let session = &self.live.session;
        Keyboard { user: &session.user.username, by_password: session.method == Method::Password }
    }

    /// The settings that hold, with their secrets.
    pub(super) fn active(&self, book: &Book) -> Value {
        let set = book.active().and_then(|version| version.settings.as_ref());
        set.map_or_else(
            || self.file.settings(&self.allowed.settings),
            |settings| Value::Object(self.file.allowed(settings)),
        )
    }

    /// What this Envoy knows.
    pub(super) fn book(&self) -> Result<Book, Fault> {
        let mut book = store::known(&self.replicas, &*self.exchange.filter_state.host, self.code())?.book;
        book.forget_expired(self.exchange.now);
        Ok(book)
    }

    /// Changes the book, unless `If-Match` names another one than there is (RFC 9110 section 13.1.1).
    pub(super) async fn change<T>(
        &self,
        io: &Io,
        mut edit: impl FnMut(&mut Book) -> Result<T, Fault>,
    ) -> Result<(T, Book), Fault> {
        store::change(&self.replicas, io, self.code(), |book| {
            if let Some(expected) = &self.expected {
                let etag = store::etag(book);
                let is_this = |one: &str| one == "*" || one.trim().trim_start_matches("W/") == etag;
                if !expected.split(',').any(|one| is_this(one.trim())) {
                    return Err(Fault::new(Code::SettingsChanged, "If-Match names an older document"));
                }
            }
            edit(book)
        })
        .await
    }
}

/// Answers a request of an administrator to one of the addresses.
pub async fn answer(
    io: &Io,
    exchange: &Rc<Exchange>,
    live: &Rc<LiveSession>,
    address: &Address,
    body: &[u8],
) -> Result<Response, Refusal> {
    let desk = Desk::open(exchange, live)?;
    let order = match (address, exchange.head.method()) {
        (Address::Settings, b"POST") => return Ok(desk.posted(io, body).await?),
        (Address::Settings, _) => {
            let book = desk.book()?;
            return match exchange.head.is_person() && !exchange.head.accepts_json() {
                true => Ok(desk.page(&book)?),
                false => Ok(desk.whole(200, &book)),
            };
        }
        (Address::Draft, b"DELETE") => Order::Discard,
        (Address::Draft, _) => Order::Save(object(body)?),
        (Address::Enable, _) => Order::Enable(object(body)?),
        (Address::Rollback, _) => Order::RollBack(object(body)?),
        (Address::Invitations, _) => Order::Invite(object(body)?),
        (Address::Invitation(id), _) => Order::Withdraw(id.clone()),
        (Address::Test, _) => return Err(Fault::new(Code::MethodNotAllowed, "only GET").into()),
    };
    desk.carry_out(io, &order).await
}

/// True for a form of the page.
pub fn is_form(exchange: &Exchange, address: &Address) -> bool {
    *address == Address::Settings && form::is_form(exchange)
}

/// A change that an administrator orders, by JSON or by a form of the page.
pub(super) enum Order {
    /// Prepares settings.
    Save(Map<String, Value>),
    /// Throws the draft away.
    Discard,
    /// Makes the draft hold.
    Enable(Map<String, Value>),
    /// Makes an older version hold again.
    RollBack(Map<String, Value>),
    /// Invites an address.
    Invite(Map<String, Value>),
    /// Takes an invitation back, by its id.
    Withdraw(String),
}

impl Desk {
    /// Does it. Boxed, so that forms and programs share the code.
    pub(super) fn carry_out<'a>(
        &'a self,
        io: &'a Io,
        order: &'a Order,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Refusal>> + 'a>> {
        Box::pin(async move {
            match order {
                Order::Save(body) => self.save_draft(io, body).await,
                Order::Discard => self.discard_draft(io).await,
                Order::Enable(body) => self.enable(io, body).await,
                Order::RollBack(body) => self.roll_back(io, body).await,
                Order::Invite(body) => self.invite(io, body).await,
                Order::Withdraw(id) => self.withdraw(io, id).await,
            }
        })
    }
}

/// The account as the draft would have it.
pub fn draft_account(exchange: &Exchange) -> Result<Rc<Account>, Fault> {
    let own = exchange.account_state.as_ref().map(|own| own.account.clone());
    let replicas = exchange.filter_state.replicas.as_ref();
    let none = || Fault::new(Code::SettingsUntested, "there is no draft");
    let (Some(own), Some(replicas)) = (own, replicas) else { return Err(none()) };
    let draft = store::known(replicas, &*exchange.filter_state.host, &own.code)?.book.draft;
    let (draft, file) = (draft.ok_or_else(none)?, own.file.as_ref().ok_or_else(none)?);
    config::with_settings(file, &draft.settings)
        .map_err(|_| Fault::new(Code::SettingsInvalid, "the draft does not go with the file any more"))
}

/// Begins a test sign-in with the draft.
pub async fn begin_test(io: &Io, exchange: &Rc<Exchange>, live: &Rc<LiveSession>) -> Result<Response, Fault> {
    let desk = Desk::open(exchange, live)?;
    let draft = desk.book()?.draft;
    let draft = draft.ok_or_else(|| Fault::new(Code::SettingsUntested, "there is no draft to test"))?;
    let provider = exchange.head.param("idp");
    trial::start(io, exchange, &draft, desk.user(), provider.as_deref()).await
}

/// Why something was not done.
pub enum Refusal {
    /// A refusal as any other.
    Fault(Fault),
    /// 422: everything that is wrong with what was sent.
    Problems(Vec<Problem>),
}

impl Refusal {
    /// It as a refusal as any other.
    pub fn into_fault(self) -> Fault {
        self.fault()
    }

    /// Every problem; none of a refusal as any other.
    pub(super) fn list(&self) -> &[Problem] {
        match self {
            Refusal::Fault(_) => &[],
            Refusal::Problems(problems) => problems,
        }
    }

    pub(super) fn fault(&self) -> Fault {
        match self {
            Refusal::Fault(fault) => fault.clone(),
            Refusal::Problems(_) => Fault::new(Code::SettingsInvalid, "what was sent has problems"),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(fault)
    }
}

/// One problem.
pub(super) fn invalid(path: &str, message: impl Into<String>) -> Refusal {
    Refusal::Problems(vec![Problem { path: path.to_owned(), message: message.into() }])
}

/// A JSON object, read strictly: no member stands twice.
fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    crate::values::json::parse_object(body, MAX_BODY).map_err(|why| invalid("", why))
}
