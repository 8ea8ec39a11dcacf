//! The sign-in page, and what decides whether a user sees it.

use std::rc::Rc;

use super::{begin, login_state, ticket};
use crate::config::{Account, Endpoint, PasswordMode, Protocol, Provider};
use crate::exchange::return_to;
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::http::query::{self, Param};
use crate::http::response::Response;
use crate::http::{Head, Path};
use crate::pages::{self, Button, SignIn};
use crate::state::NoSession;

/// A navigation without a session: to the IdP where that is the only way in, to the sign-in page where
/// there is a choice.
pub fn first(exchange: Rc<Exchange>, why: NoSession) -> Ruling {
    let Some(account_state) = exchange.account_state.clone() else {
        return Ruling::LocalReply(exchange.refuse(&nobody_here()));
    };
    let target = exchange.target_or_home();
    if let Some(only) = only_way(&account_state.account) {
        let id = only.id.clone();
        return begin(exchange, &id, &target, login_state::AuthnParameters::default());
    }
    let url = exchange.login_url().unwrap_or_else(|| "/".into());
    let answer = Response::redirect(&url).with_code(Code::LoginRequired.as_str());
    Ruling::LocalReply(exchange.answer_without(why, answer))
}

/// What a login may be asked for with.
const PARAMETERS: [&str; 10] = [
    "idp",
    "return_to",
    "login_hint",
    "email",
    "iss",
    "target_link_uri",
    "show",
    "prompt",
    "max_age",
    "acr_values",
];

/// A login that a third party initiates with POST (OpenID Connect Core section 4): the same as with GET. The
/// redirect makes it a navigation that carries the cookies.
pub fn initiated(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    let Some(account_state) = &exchange.account_state else {
        return Ruling::LocalReply(exchange.refuse(&nobody_here()));
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(code) = exchange.head.param("u") {
        query.append_pair("u", &code);
    }
    let known = url::form_urlencoded::parse(&body).filter(|(name, _)| PARAMETERS.contains(&name.as_ref()));
    query.extend_pairs(known);
    let url = format!("{}?{}", account_state.account.paths.path(Endpoint::Login), query.finish());
    Ruling::LocalReply(Response::redirect(&url).with_code(Code::LoginRequired.as_str()))
}

/// GET of the sign-in page: `idp`, `return_to`, `login_hint`, `prompt`, `email`, `show=all`; or a login that
/// a third party initiates (OpenID Connect Core section 4): `iss`, `target_link_uri`, `login_hint`.
pub fn show(exchange: Rc<Exchange>) -> Ruling {
    if let Some(ruling) = ticket::show(&exchange) {
        return ruling;
    }
    match requested(&exchange) {
        Ok(Way::Page(message)) => Ruling::LocalReply(page(&exchange, message)),
        Ok(Way::Provider(id, target, parameters)) => begin(exchange, &id, &target, *parameters),
        Err(fault) => Ruling::LocalReply(exchange.refuse(&fault)),
    }
}

/// The first parameter that stands in the query twice.
fn doubled(query: &[u8]) -> Option<&'static str> {
    let all = query::params(query, PARAMETERS);
    PARAMETERS.into_iter().zip(all).find(|(_, param)| *param == Param::Several).map(|(name, _)| name)
}

enum Way {
    Page(Option<String>),
    Provider(String, String, Box<login_state::AuthnParameters>),
}

fn requested(exchange: &Exchange) -> Result<Way, Fault> {
    let (Some(account_state), Some(origin)) = (&exchange.account_state, exchange.origin()) else {
        return Err(nobody_here());
    };
    let account = &account_state.account;
    let head = &exchange.head;
    let query = head.query().unwrap_or_default();
    if let Some(name) = doubled(query) {
        let why = format!("{name} stands in the query twice");
        return Err(Fault::new(Code::RequestInvalid, why).about(name));
    }
    let target = match head.param("return_to").or_else(|| head.param("target_link_uri")) {
        Some(text) => own_endpoints_lead_home(account, return_to::check(&text, &origin)?),
        None => "/".into(),
    };
    let email = head
        .param("email")
        .map(|email| email.trim().to_owned())
        .filter(|email| !email.is_empty() && email.len() <= 320);
    let parameters = parameters(head, email.as_deref())?;
    if let Some(id) = head.param("idp") {
        let provider = account.provider(&id).ok_or_else(|| {
            Fault::new(Code::RequestInvalid, "no identity provider has that id").about("idp")
        })?;
        return Ok(Way::Provider(provider.id.clone(), target, Box::new(parameters)));
    }
    if let Some(issuer) = head.param("iss") {
        let named = account.providers.iter().find(|provider| is_issuer(exchange, provider, &issuer));
        let provider = named.ok_or_else(|| {
            Fault::new(Code::RequestInvalid, "iss is not an identity provider of this account").about("iss")
        })?;
        return Ok(Way::Provider(provider.id.clone(), target, Box::new(parameters)));
    }
    if let Some(email) = email {
        return Ok(match by_domain(account, &email) {
            Some(provider) => Way::Provider(provider.id.clone(), target, Box::new(parameters)),
            None => Way::Page(Some("sign_in.unknown_domain".into())),
        });
    }
    match only_way(account) {
        Some(only) if head.param("show").as_deref() != Some("all") => {
            Ok(Way::Provider(only.id.clone(), target, Box::new(parameters)))
        }
        _ => Ok(Way::Page(None)),
    }
}

/// What the provider is asked for: `login_hint` or else the address, `prompt`, `max_age`, `acr_values`.
fn parameters(head: &Head, email: Option<&str>) -> Result<login_state::AuthnParameters, Fault> {
    let prompt = head.param("prompt");
    // `none` would only come back as an error: the filter has no sign-in without a page.
    if prompt.as_deref().is_some_and(|prompt| !matches!(prompt, "login" | "select_account" | "consent")) {
        let why = "prompt is not login, select_account or consent";
        return Err(Fault::new(Code::RequestInvalid, why).about("prompt"));
    }
    let hint = head.param("login_hint").filter(|hint| hint.len() <= 320);
    let login_hint = hint.or_else(|| email.map(str::to_owned));
    // What a path may demand of a session. Asking for more than a path demands does no harm.
    let max_age = head.param("max_age").map(|text| {
        let seconds =
            text.parse().ok().filter(|_| text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()));
        seconds.ok_or_else(|| {
            Fault::new(Code::RequestInvalid, "max_age is not a number of seconds").about("max_age")
        })
    });
    let acr_values = head.param("acr_values").unwrap_or_default();
    if acr_values.len() > 512 || !acr_values.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(Fault::new(Code::RequestInvalid, "acr_values is not a list of acr").about("acr_values"));
    }
    let acr_values = acr_values.split_ascii_whitespace().map(str::to_owned).collect();
    Ok(login_state::AuthnParameters {
        login_hint,
        prompt,
        acr_values,
        max_age: max_age.transpose()?,
        ..login_state::AuthnParameters::default()
    })
}

/// The provider, where it is the only way in that people are offered.
fn only_way(account: &Account) -> Option<&Rc<Provider>> {
    let beside = account.password.mode == PasswordMode::Enabled && account.password.page.is_some();
    match account.providers.as_slice() {
        [only] if !beside => Some(only),
        _ => None,
    }
}

/// Home-realm discovery: the provider whose `email_domains` hold the address's.
fn by_domain<'a>(account: &'a Account, email: &str) -> Option<&'a Rc<Provider>> {
    let domain = email.rsplit_once('@')?.1.to_ascii_lowercase();
    account.providers.iter().find(|provider| provider.email_domains.contains(&domain))
}

/// True where a provider is known by this `iss`. Before its metadata is there, by where that will be found
/// (OpenID Connect Discovery section 4): the login itself compares again.
fn is_issuer(exchange: &Exchange, provider: &Provider, iss: &str) -> bool {
    match &provider.protocol {
        Protocol::Oidc(oidc) => {
            let client = exchange
                .account_state
                .as_ref()
                .and_then(|account_state| account_state.clients.get(&provider.id));
            match client.and_then(|client| client.known_metadata()) {
                Some(metadata) => metadata.is_issuer(iss),
                None => {
                    let found = format!("{}/.well-known/openid-configuration", iss.trim_end_matches('/'));
                    oidc.issuer.as_deref() == Some(iss)
                        || oidc.discovery.as_ref().is_some_and(|url| url.as_str() == found)
                }
            }
        }
        Protocol::OAuth2(oauth2) => !iss.is_empty() && oauth2.issuer == iss,
        Protocol::Saml(_) => {
            let idp = exchange
                .account_state
                .as_ref()
                .and_then(|account_state| account_state.idps.get(&provider.id));
            idp.and_then(|idp| idp.known_issuer()).as_deref() == Some(iss)
        }
    }
}

/// After signing in a user must not be signed out, or in again. The path is read as the gate reads it: `/sso/%6cogout` is
/// the sign-out too.
pub(super) fn own_endpoints_lead_home(account: &Account, target: String) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match account.paths.endpoint(Path::read(path.as_bytes()).canonical()) {
        None | Some(Endpoint::Admin | Endpoint::Session | Endpoint::Invitation) => target,
        Some(_) => "/".into(),
    }
}

fn page(exchange: &Exchange, message: Option<String>) -> Response {
    let Some(account_state) = &exchange.account_state else { return exchange.refuse(&nobody_here()) };
    let account = &account_state.account;
    let action = account.paths.path(Endpoint::Login).to_owned();
    let mut fields = Vec::new();
    if exchange.filter_state.accounts_at(exchange.head.authority()).len() > 1 {
        fields.push(("u".to_owned(), account.code.clone()));
    }
    if let Some(target) = exchange.head.param("return_to") {
        fields.push(("return_to".to_owned(), target));
    }
    // "Use another account" leads here where no provider is named.
    if let Some(prompt) = exchange.head.param("prompt") {
        fields.push(("prompt".to_owned(), prompt));
    }
    let link = |id: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("idp", id).extend_pairs(&fields);
        format!("{action}?{}", query.finish())
    };
    let button = |provider: &Rc<Provider>| Button {
        title: provider.title.clone(),
        url: link(&provider.id),
        icon: provider.icon.clone(),
    };
    let show_password = match account.password.offered() {
        PasswordMode::Enabled => true,
        PasswordMode::Admins => exchange.head.param("show").as_deref() == Some("all"),
        PasswordMode::Disabled => false,
    };
    let context = exchange.page_context();
    let message = message.map(|key| pages::text(&context, &key));
    let offer = SignIn {
        providers: account.providers.iter().map(button).collect(),
        password_page: account.password.page.clone().filter(|_| show_password),
        for_admins: account.password.offered() == PasswordMode::Admins,
        email_form: account.providers.len() > 1
            && account.providers.iter().any(|p| !p.email_domains.is_empty()),
        account_form: false,
        email: exchange.head.param("email").or_else(|| exchange.head.param("login_hint")),
        message,
        form_targets: form_targets(exchange),
        action,
        fields,
    };
    pages::sign_in(&context, &offer)
}

/// The page that asks which account is meant, on an origin that several share.
pub fn ask_for_account(exchange: &Exchange) -> Response {
    let Some(account_state) = &exchange.account_state else { return exchange.refuse(&nobody_here()) };
    let mut fields = Vec::new();
    if let Ok(target) = exchange.target() {
        fields.push(("return_to".to_owned(), own_endpoints_lead_home(&account_state.account, target)));
    }
    let offer = SignIn {
        account_form: true,
        action: account_state.account.paths.path(Endpoint::Login).to_owned(),
        fields,
        ..SignIn::default()
    };
    pages::sign_in(&exchange.page_context(), &offer)
}

/// Where the email form may be redirected to: browsers hold `form-action` against redirects too.
fn form_targets(exchange: &Exchange) -> Vec<String> {
    let Some(account_state) = &exchange.account_state else { return Vec::new() };
    let known = account_state.clients.values().filter_map(|client| client.known_metadata());
    let login = account_state.account.login_origin.iter().map(|login| login.origin.to_string());
    known
        .map(|metadata| metadata.authorization_endpoint.origin().ascii_serialization())
        .chain(login)
        .collect()
}

pub(super) fn nobody_here() -> Fault {
    Fault::new(Code::AccountUnknown, "no account is served here")
}
