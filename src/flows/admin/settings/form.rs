//! The page of the Account Center: from its forms to the orders that programs send as JSON, and back with what was typed.

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use super::{store, Desk, Order, Refusal};
use crate::config::{Endpoint, SettingsPart};
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::pages::{self, AccountCenter, CenterVersion, Field, Invited, Kind, FIELDS, PROTOCOLS};
use crate::session::Purpose;
use crate::settings::{secrets, Book};
use crate::values::order;
use crate::values::time::instant;

/// Fields that a form may have.
const MAX_FIELDS: usize = 500;

/// What was posted.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).take(MAX_FIELDS);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// What the page is to say beside what holds.
#[derive(Default)]
struct Said<'a> {
    form: Option<&'a Form>,
    refusal: Option<&'a Refusal>,
}

/// Orders by the name of their button, which are also the names of what was done.
const ORDERS: [&str; 8] = ["save", "remove", "discard", "enable", "rollback", "invite", "withdraw", ""];

impl Desk {
    /// The page as it is opened.
    pub(super) fn page(&self, book: &Book) -> Result<Response, Fault> {
        self.shown(book, &Said::default())
    }

    /// Carries out what a form orders. A browser comes back to the page; a refusal shows it with what was typed.
    pub(super) async fn posted(mut self, io: &Io, body: &[u8]) -> Result<Response, Fault> {
        let form = Form::read(body);
        let is_ours =
            form.get("csrf").is_some_and(|csrf| self.opened(csrf).as_deref() == Some(b"".as_slice()));
        if !is_ours {
            let detail = "the form is not one of this page and session";
            return Err(Fault::new(Code::RequestInvalid, detail).with_status(403));
        }
        self.expected = form.get("revision").filter(|text| !text.is_empty()).map(str::to_owned);
        let order = self.order(&form)?;
        match self.carry_out(io, &order).await {
            Ok(_) => {
                let name =
                    ORDERS.iter().find(|name| Some(**name) == form.get("do")).copied().unwrap_or_default();
                Ok(Response::redirect(&with(&self.action(), "done", name)).with_code("settings"))
            }
            Err(refusal) => {
                let place = Place { user: Some(self.user()), ..self.exchange.place() };
                events::refusal(io.host(), place, &refusal.fault());
                self.shown(&self.book()?, &Said { form: Some(&form), refusal: Some(&refusal) })
            }
        }
    }

    fn order(&self, form: &Form) -> Result<Order, Fault> {
        let confirm = json!(form.get("confirm") == Some("true"));
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let text = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
        Ok(match form.get("do").unwrap_or_default() {
            "save" => Order::Save(self.proposal(form, &self.base(&self.book()?), false)),
            "remove" => Order::Save(self.proposal(form, &self.base(&self.book()?), true)),
            "discard" => Order::Discard,
            "enable" => Order::Enable(map(json!({ "confirm": confirm }))),
            "rollback" => {
                let version = text("version").parse::<u64>().ok();
                Order::RollBack(map(json!({ "confirm": confirm, "version": version })))
            }
            "invite" => {
                let roles: Vec<&str> = form.all("roles").collect();
                Order::Invite(map(json!({ "email": text("email"), "roles": roles })))
            }
            "withdraw" => Order::Withdraw(text("id")),
            _ => return Err(Fault::new(Code::RequestInvalid, "the form orders nothing").with_status(400)),
        })
    }

    /// What the form starts from: the draft, else what holds; without secrets.
    fn base(&self, book: &Book) -> Value {
        match &book.draft {
            Some(draft) => secrets::hidden(&draft.settings),
            None => secrets::hidden(&self.active(book)),
        }
    }

    /// The body of a draft. What the page has no field for stays as it is.
    fn proposal(&self, form: &Form, base: &Value, removes: bool) -> Map<String, Value> {
        let mut body = Map::new();
        if self.allowed.allows(SettingsPart::Sso) {
            body.extend(form.get("sso").map(|sso| ("sso".to_owned(), json!(sso))));
        }
        if self.allowed.allows(SettingsPart::IdentityProviders) && form.get("protocol").is_some() {
            let providers = self.with_provider(form, base, removes);
            body.insert("identity_providers".into(), Value::Array(providers));
        }
        for (part, name) in [(SettingsPart::Mapping, "mapping"), (SettingsPart::Password, "password")] {
            if self.allowed.allows(part)
                && FIELDS.iter().any(|f| f.part() == name && form.get(f.name).is_some())
            {
                let mut value = base.get(name).cloned().unwrap_or_else(|| json!({}));
                self.fill(form, name, &mut value);
                body.insert(name.into(), value);
            }
        }
        body
    }

    fn with_provider(&self, form: &Form, base: &Value, removes: bool) -> Vec<Value> {
        let mut list = base.get("identity_providers").and_then(Value::as_array).cloned().unwrap_or_default();
        let wanted = form.get("idp").filter(|id| !id.is_empty());
        let at = list.iter().position(|one| wanted.is_some() && id_of(one) == wanted);
        if removes {
            at.map(|at| list.remove(at));
            return list;
        }
        let mut provider = at.and_then(|at| list.get(at)).cloned().unwrap_or_else(|| json!({}));
        let chosen = form.get("protocol").unwrap_or_default();
        let mut inner = provider.get(chosen).cloned().unwrap_or_else(|| json!({}));
        self.fill(form, chosen, &mut inner);
        self.fill(form, "provider", &mut provider);
        if let Some(provider) = provider.as_object_mut() {
            provider.retain(|name, _| !PROTOCOLS.contains(&name.as_str()));
            if PROTOCOLS.contains(&chosen) {
                provider.insert(chosen.to_owned(), inner);
            }
        }
        match at.and_then(|at| list.get_mut(at)) {
            Some(place) => *place = provider,
            None => list.push(provider),
        }
        list
    }

    /// Puts the fields of a part into their settings.
    fn fill(&self, form: &Form, part: &str, into: &mut Value) {
        let Some(into) = into.as_object_mut() else { return };
        for field in FIELDS.iter().filter(|field| field.part() == part) {
            let Some(typed) = form.get(field.name).map(str::trim) else { continue };
            let name = field.member().to_owned();
            let value = match field.kind {
                Kind::Secret => match self.secret(form, field) {
                    Some(secret) => Some(json!({ "value": secret })),
                    None => into.get(&name).cloned(),
                },
                kind => written(kind, typed, into.get(&name)),
            };
            match value {
                Some(value) => into.insert(name, value),
                None => into.remove(&name),
            };
        }
    }

    /// The secret that was typed now, or before the refusal that the form came back with.
    fn secret(&self, form: &Form, field: &Field) -> Option<String> {
        if let Some(typed) = form.get(field.name).map(str::trim).filter(|typed| !typed.is_empty()) {
            return Some(typed.to_owned());
        }
        let kept = form.get(&kept(field)).and_then(|sealed| self.opened(sealed))?;
        String::from_utf8(kept).ok().filter(|secret| !secret.is_empty())
    }

    /// What was sealed for this session and this page: nothing for the page's token, or a secret that was typed.
    fn opened(&self, sealed: &str) -> Option<Vec<u8>> {
        let (account, plain) = self.exchange.filter_state.config.session.keys.open(Purpose::Form, sealed)?;
        let rest = plain.strip_prefix(PAGE)?.strip_prefix(self.live.session.id.as_bytes())?;
        (account == self.code()).then(|| rest.to_vec())
    }

    fn sealed(&self, rest: &[u8]) -> Result<String, Fault> {
        let plain = [PAGE, self.live.session.id.as_bytes(), rest].concat();
        let state = &self.exchange.filter_state;
        state.config.session.keys.seal(&*state.host, Purpose::Form, self.code(), &plain)
    }

    /// The page's own address.
    fn action(&self) -> String {
        let root = self.account_state.account.paths.path(Endpoint::Admin);
        let path = format!("{root}/settings");
        match self.exchange.head.param("u") {
            Some(code) => with(&path, "u", &code),
            None => path,
        }
    }

    fn shown(&self, book: &Book, said: &Said<'_>) -> Result<Response, Fault> {
        let (base, account) = (self.base(book), &self.account_state.account);
        let head = &self.exchange.head;
        let providers = base.get("identity_providers").and_then(Value::as_array).cloned().unwrap_or_default();
        let first = providers.first().and_then(id_of).unwrap_or_default();
        let wanted =
            said.form.and_then(|form| form.get("idp").map(str::to_owned)).or_else(|| head.param("idp"));
        let provider = wanted.unwrap_or_else(|| first.to_owned());
        let at = providers.iter().position(|one| id_of(one) == Some(provider.as_str()));
        let (mut values, set) = read(&base, at.and_then(|at| providers.get(at)));
        let mut page = AccountCenter { status: 200, ..AccountCenter::default() };
        if let Some(form) = said.form {
            self.keep_typed(form, &mut values)?;
        }
        if let Some(refusal) = said.refusal {
            let index = at.unwrap_or(providers.len());
            page.problems =
                refusal.list().iter().map(|p| (field_of(&p.path, index), p.message.clone())).collect();
            let fault = refusal.fault();
            page.status = fault.status();
            if fault.code == Code::SettingsUntested {
                let sent = |name: &str| Some((name.to_owned(), said.form?.get(name)?.to_owned()));
                page.again = ["do", "version"].into_iter().filter_map(sent).collect();
            }
            let reason = if page.problems.is_empty() { fault.detail } else { String::new() };
            page.refused = Some((fault.code.as_str(), reason));
        }
        let root = account.paths.path(Endpoint::Admin);
        let title = |one: &Value| {
            let title = one.get("title").and_then(Value::as_str).or_else(|| id_of(one));
            (id_of(one).unwrap_or_default().to_owned(), title.unwrap_or_default().to_owned())
        };
        page.providers = providers.iter().map(title).collect();
        page.register = register(account, &provider);
        let done = head.param("done");
        page.done = ORDERS.into_iter().find(|name| !name.is_empty() && done.as_deref() == Some(name));
        page.parts = self.allowed.settings.iter().map(|part| part.as_str().to_owned()).collect();
        page.active = match book.active() {
            Some(own) => version(own.number, &own.by, own.at, &own.changes),
            None => CenterVersion::default(),
        };
        page.draft = book.draft.as_ref().map(|draft| {
            let own = draft.tests.iter().filter(|test| test.by == self.user());
            let tested: Vec<String> = own.map(|test| test.provider.clone()).collect();
            version(0, &draft.by, draft.at, &tested)
        });
        // Where providers stay the file's, a draft has none of its own, and is tested with those.
        let tested: Vec<&String> = match self.allowed.settings.contains(&SettingsPart::IdentityProviders) {
            true => page.providers.iter().map(|(id, _)| id).collect(),
            false => account.providers.iter().map(|provider| &provider.id).collect(),
        };
        let test = |id: &String| (id.clone(), with(&format!("{root}/settings/test"), "idp", id));
        page.tests = tested.into_iter().map(test).collect();
        page.completeness = format!("{root}/completeness?draft=1");
        let versions = book.versions.iter().rev();
        page.history = versions.map(|own| version(own.number, &own.by, own.at, &own.changes)).collect();
        page.history.push(CenterVersion::default());
        let invited = book.invitations.iter();
        page.invitations = invited
            .map(|one| Invited { id: one.id.clone(), email: one.email.clone(), roles: one.roles.clone() })
            .collect();
        page.roles = self.live.session.user.roles.iter().chain(&self.allowed.roles).cloned().collect();
        order::sort(&mut page.roles);
        page.roles.dedup();
        page.action = self.action();
        page.csrf = self.sealed(b"")?;
        page.revision = store::etag(book);
        (page.values, page.set, page.provider) = (values, set, provider);
        Ok(pages::account_center(&self.exchange.page_context(), &page))
    }

    /// What was typed stands in the fields again; a secret goes along sealed, and is not shown.
    fn keep_typed(&self, form: &Form, values: &mut BTreeMap<String, String>) -> Result<(), Fault> {
        for field in FIELDS {
            if field.kind == Kind::Secret {
                if let Some(secret) = self.secret(form, field) {
                    values.insert(kept(field), self.sealed(secret.as_bytes())?);
                }
            } else if let Some(typed) = form.get(field.name) {
                values.insert(field.name.to_owned(), typed.to_owned());
            }
        }
        for name in ["protocol", "email"] {
            values.extend(form.get(name).map(|value| (name.to_owned(), value.to_owned())));
        }
        Ok(())
    }
}

/// Tells the page's tokens from those of other forms.
const PAGE: &[u8] = b"settings\0";

fn kept(field: &Field) -> String {
    format!("kept.{}", field.name)
}

fn with(path: &str, name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{path}{}{query}", if path.contains('?') { "&" } else { "?" })
}

fn id_of(provider: &Value) -> Option<&str> {
    provider.get("id").and_then(Value::as_str)
}

fn version(number: u64, by: &str, at: u64, what: &[String]) -> CenterVersion {
    CenterVersion { number, by: by.to_owned(), at: instant(at), what: what.to_vec() }
}

/// What an administrator enters at the provider, by protocol.
fn register(account: &crate::config::Account, provider: &str) -> Vec<(&'static str, &'static str, String)> {
    let mut list = Vec::new();
    for origin in &account.origins {
        let callback = format!("{origin}{}", account.paths.callback(provider));
        let sign_out = format!("{origin}{}", account.paths.registered(Endpoint::LogoutComplete));
        for protocol in ["oidc", "oauth2"] {
            list.push((protocol, "redirect URI", callback.clone()));
            list.push((protocol, "post-logout redirect URI", sign_out.clone()));
        }
        let of_saml = [
            ("Assertion Consumer Service (ACS) URL", Endpoint::SamlCallback),
            ("entity ID, metadata", Endpoint::SamlMetadata),
        ];
        for (name, endpoint) in of_saml {
            list.push(("saml", name, format!("{origin}{}", account.paths.registered(endpoint))));
        }
    }
    list
}

/// The field of a problem's path; the path itself where the page has none.
fn field_of(path: &str, provider: usize) -> String {
    let own = format!("identity_providers[{provider}].");
    let rest = path.strip_prefix(&own).map_or(path.to_owned(), |rest| match rest {
        "id" | "title" => format!("provider.{rest}"),
        rest => rest.to_owned(),
    });
    let is_within = |name: &str| {
        rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    FIELDS.iter().find(|field| is_within(field.name)).map_or(path.to_owned(), |field| field.name.to_owned())
}

/// What stands in the fields, and which secrets are set.
fn read(settings: &Value, provider: Option<&Value>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut values, mut set) = (BTreeMap::new(), Vec::new());
    let protocol = PROTOCOLS.into_iter().find(|name| provider.is_some_and(|one| one.get(name).is_some()));
    values.insert("protocol".to_owned(), protocol.unwrap_or("oidc").to_owned());
    for field in FIELDS {
        let part = match field.part() {
            "sso" => Some(settings),
            "provider" => provider,
            name if PROTOCOLS.contains(&name) => provider.and_then(|one| one.get(name)),
            name => settings.get(name),
        };
        let Some(value) = part.and_then(|part| part.get(field.member())) else { continue };
        match field.kind {
            Kind::Secret => set.push(field.name.to_owned()),
            kind => drop(values.insert(field.name.to_owned(), typed(kind, value))),
        }
    }
    (values, set)
}

/// A setting as it stands in its field.
fn typed(kind: Kind, value: &Value) -> String {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    match (kind, value) {
        (_, Value::String(text)) => text.clone(),
        (Kind::Certificates, list) => texts(list).join("\n"),
        (Kind::Pairs, Value::Object(map)) => {
            let lines = map.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
            lines.collect::<Vec<_>>().join("\n")
        }
        (_, list) => texts(list).join(" "),
    }
}

/// A field as its setting; `None`: it is left out.
fn written(kind: Kind, typed: &str, before: Option<&Value>) -> Option<Value> {
    match kind {
        Kind::Pairs => {
            let mut map = before.and_then(Value::as_object).cloned().unwrap_or_default();
            // What is more than text has no line on the page, and stays.
            map.retain(|_, value| !value.is_string());
            for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                map.insert(name.trim().to_owned(), json!(value.trim()));
            }
            (!map.is_empty()).then_some(Value::Object(map))
        }
        _ if typed.is_empty() => None,
        Kind::Words => {
            let words = typed.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
            Some(words.collect())
        }
        Kind::Certificates => {
            const END: &str = "-----END CERTIFICATE-----";
            let split = typed.split_inclusive(END).map(str::trim).filter(|pem| !pem.is_empty());
            Some(split.collect())
        }
        Kind::Line | Kind::Choice(_) | Kind::Secret => Some(json!(typed)),
    }
}

/// True for a request that the page's forms send.
pub fn is_form(exchange: &Exchange) -> bool {
    let kind = exchange.head.one("content-type").and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}
