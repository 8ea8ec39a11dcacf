//! Signing in with SAML 2.0: the Web Browser SSO profile (SAML profiles section 4.1), begun here or at the IdP
//! (`unsolicited`).

#[cfg(test)]
mod attacks;
pub mod metadata;
mod outcome;
#[cfg(test)]
mod provider_tests;
#[cfg(test)]
pub(crate) mod tests;
mod unsolicited;

pub use outcome::{last, LastLogin};

use std::rc::Rc;

use serde_json::Value;

use outcome::{note, refused};

use super::flow_cookies::Returns;
use super::login_state::{self, AuthnParameters, LoginState};
use super::trial;
use super::{arrived, authenticated_well_enough, departed, BOUNCED};
use crate::config::{Account, Endpoint, MappingFrom, Origin, Provider, SamlBinding};
use crate::directory;
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::random_token;
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::task::Io;
use crate::http::response::Response;
use crate::identity::{mapped_value, Claims, Identity, Linking};
use crate::pages;
use crate::proto::fetch::turn::Sender;
use crate::proto::saml::authn_request::{AuthnRequest, Settings};
use crate::proto::saml::idp::Facts;
use crate::proto::saml::response::{self, Claimed, Expected, Message};
use crate::proto::saml::verified::Verified;
use crate::proto::saml::xml::clip;
use crate::proto::saml::{bindings, Idp};
use crate::session::Tokens;
use crate::state::AccountState;

/// Requests of ours that were answered by a verified response, for as long as their logins may last. The states of
/// [`LoginState::take`] can be pushed out of their record by a stranger who begins logins and answers them with garbage; here
/// only an IdP's answers count.
const ANSWERED: SharedSet =
    SharedSet { name: "sso.saml.answered", buckets: 1024, capacity: 64, when_full: WhenFull::Evict };

/// Our addresses as this IdP knows them, on the origin that was asked.
pub struct Own {
    /// The assertion consumer service, with its `?u=`.
    pub acs_url: String,
    /// Single logout, with its `?u=`.
    pub slo_url: String,
    /// Our entity ID.
    pub entity_id: String,
}

impl Own {
    /// At an origin of the account.
    pub fn at(origin: &Origin, account: &Account, idp: &Idp) -> Self {
        let url = |endpoint| format!("{origin}{}", account.paths.registered(endpoint));
        Self {
            acs_url: url(Endpoint::SamlCallback),
            slo_url: url(Endpoint::SamlLogout),
            entity_id: idp.config().entity_id.clone().unwrap_or_else(|| url(Endpoint::SamlMetadata)),
        }
    }
}

/// Sends the person to the provider with an AuthnRequest.
pub(super) async fn start_login(
    io: &Io,
    exchange: &Exchange,
    provider: &Provider,
    target: String,
    parameters: AuthnParameters,
) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let idp = idp(&account_state, &provider.id)?;
    let facts = idp.facts(io).await.map_err(super::unusable)?;
    let own = Own::at(&origin, &account_state.account, idp);
    let (binding, sso_url) = &facts.sso;
    let contexts = parameters.acr_values.clone();
    let settings = Settings {
        sso_url,
        acs_url: &own.acs_url,
        entity_id: &own.entity_id,
        name_id_format: idp.config().name_id_format,
        // SAML has no other word for "let the user choose an account".
        force_authn: is_forced(idp, &parameters) || parameters.prompt.as_deref() == Some("select_account"),
        authn_contexts: &contexts,
        signer: idp.signer(io.host()),
    };
    let request = AuthnRequest::new(io.host(), &settings)?;
    let (client, issuer) = LoginState::of(provider, &facts.issuer);
    let login_state = LoginState {
        provider: provider.id.clone(),
        client,
        issuer,
        state: random_token::<24>(io.host())?,
        nonce: request.id.clone(),
        verifier: String::new(),
        dpop: None,
        return_to: target,
        started: io.now(),
        parameters,
        replaces: None,
    };
    let answer = match binding {
        SamlBinding::Redirect => Response::redirect(&request.redirect(&settings, &login_state.state)?),
        SamlBinding::Post => {
            let fields = request.post(&settings, &login_state.state)?;
            let form = pages::AutoSubmit { action: sso_url.url.to_string(), fields, ..Default::default() };
            pages::auto_submit(&exchange.page_context(), &form)?
        }
    };
    departed(io, exchange, &account_state, login_state, Returns::PostWithTwin, answer)
}

/// The person has to authenticate now: by configuration, for a rule with `max_age`, or as the link asks.
fn is_forced(idp: &Idp, parameters: &AuthnParameters) -> bool {
    idp.config().force_authn || parameters.max_age.is_some() || parameters.prompt.as_deref() == Some("login")
}

/// Refuses every response where the account has no SAML provider, before anything of it is read. A draft may have one.
pub fn expected(exchange: &Exchange) -> Result<(), Fault> {
    let any = exchange
        .account_state
        .as_ref()
        .is_some_and(|own| !own.idps.is_empty() || own.account.self_service.is_some());
    any.then_some(()).ok_or_else(|| Fault::new(Code::CallbackInvalid, "this account has no SAML provider"))
}

/// A form that came to the assertion consumer service. It is a cross-site POST, which carries no `Lax` cookie: where
/// this browser sent no login in progress, one bounce over a page of our own makes it a same-site POST.
pub fn posted(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    let form = match Form::read(&body) {
        Ok(form) => form,
        Err(fault) => return Ruling::LocalReply(exchange.refuse_login(exchange.place(), &fault, "/")),
    };
    let form = form.with_handle(&exchange);
    let in_progress =
        login_state::is_in_progress(&exchange.filter_state.config, &exchange.head, form.relay_state());
    let missing = !in_progress && form.needs_cookies(&exchange);
    if missing && !form.bounced && exchange.head.is_person() {
        return Ruling::LocalReply(form.bounce(&exchange).unwrap_or_else(|fault| exchange.refuse(&fault)));
    }
    Ruling::flow(exchange, move |io, exchange| async move {
        // Only what answers a login in progress: a draft may accept unsolicited responses.
        let handle = if in_progress { form.relay_state() } else { "" };
        let exchange = trial::exchange_for(&exchange, handle);
        finish_login(&io, &exchange, form, in_progress).await.map(Outcome::LocalReply)
    })
}

/// The fields of the HTTP-POST binding (SAML bindings section 3.5.4).
struct Form {
    message: String,
    claimed: Claimed,
    /// Absent where the IdP does not send it back.
    relay_state: Option<String>,
    bounced: bool,
}

impl Form {
    /// Each field counts once: with two, one could be checked and the other used.
    fn read(body: &[u8]) -> Result<Self, Fault> {
        let fields = bindings::fields(body, ["SAMLResponse", "RelayState", BOUNCED]);
        let [encoded, relay_state, bounced] = fields.map_err(|why| Fault::new(Code::CallbackInvalid, why))?;
        let missing = || Fault::new(Code::CallbackInvalid, "the form has no SAMLResponse");
        let encoded = encoded.ok_or_else(missing)?;
        let message =
            bindings::decode_post(&encoded).map_err(|why| Fault::new(Code::AssertionInvalid, why))?;
        let claimed = response::claimed(&message)?;
        Ok(Self { message, claimed, relay_state, bounced: bounced.is_some() })
    }

    /// The handle of the login that the response answers, where the IdP has lost it (SAML bindings section 3.5.3 obliges
    /// it to send it back): of this browser's logins the one whose request it names. A RelayState that is there counts as
    /// it is, empty too.
    fn with_handle(mut self, exchange: &Exchange) -> Self {
        if let (None, Some(request), Some(own)) =
            (&self.relay_state, &self.claimed.in_response_to, &exchange.account_state)
        {
            let config = &exchange.filter_state.config;
            self.relay_state = login_state::of_request(config, &exchange.head, &own.account.code, request);
        }
        self
    }

    fn relay_state(&self) -> &str {
        self.relay_state.as_deref().unwrap_or_default()
    }

    /// False for an unsolicited response that opens no session by itself: the login that it begins, or its refusal,
    /// is the same in every browser. (The logins that it has begun already have cookies that come along over HTTPS.)
    fn needs_cookies(&self, exchange: &Exchange) -> bool {
        let unasked = self.claimed.in_response_to.is_none() && !login_state::is_handle(self.relay_state());
        let idps = exchange.account_state.iter().flat_map(|account_state| account_state.idps.values());
        let mut issued = idps.filter(|idp| idp.known_issuer() == self.claimed.issuer);
        let accepted = |idp: &Rc<Idp>| idp.config().idp_initiated == crate::config::IdpInitiated::Accept;
        !unasked
            || !exchange.filter_state.config.cookies.secure
            || issued.clone().next().is_none()
            || issued.any(accepted)
    }

    fn bounce(&self, exchange: &Exchange) -> Result<Response, Fault> {
        // Chromium holds a page's `form-action` against redirects too: to an IdP where a login starts over.
        let idps = exchange.account_state.iter().flat_map(|account_state| account_state.idps.values());
        let own = exchange.account_state.iter().flat_map(|own| own.account.origins_as_written());
        let onward = idps.filter_map(|idp| idp.known_sso_url()).map(|to| to.url.into()).chain(own).collect();
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (account_state, _) = exchange.site_and_origin()?;
        let form = pages::AutoSubmit {
            action: account_state.account.paths.registered(Endpoint::SamlCallback),
            fields: vec![
                // Written anew: the line breaks that some IdPs put into their base64 do not survive a page.
                field("SAMLResponse", &bindings::encode_post(&self.message)),
                field(BOUNCED, "1"),
            ]
            .into_iter()
            .chain(self.relay_state.as_deref().map(|relay_state| field("RelayState", relay_state)))
            .collect(),
            onward,
            ..pages::AutoSubmit::default()
        };
        pages::auto_submit(&exchange.page_context(), &form)
    }
}

async fn finish_login(
    io: &Io,
    exchange: &Exchange,
    form: Form,
    in_progress: bool,
) -> Result<Response, Fault> {
    // What names a request, or comes with a login of ours, answers it or nothing.
    if form.claimed.in_response_to.is_none() && !in_progress {
        return unsolicited::answer(io, exchange, &form).await;
    }
    let (account_state, origin) = exchange.site_and_origin()?;
    let config = &exchange.filter_state.config;
    // Before the login is used up: the browser may send the response again.
    let mut keys = account_state.idps.values().filter_map(|idp| idp.decryption_key());
    if response::is_encrypted(&form.message) {
        keys.try_for_each(|key| key.check_rate(io.now()))?;
    }
    let taken =
        LoginState::take(io.host(), config, &account_state.account.code, &exchange.head, form.relay_state());
    let (login_state, forget) = match taken {
        Ok(taken) => taken,
        Err(fault) => return no_login(io, exchange, &account_state, &form.claimed, fault),
    };
    login_state::use_up(io, exchange, &login_state).await?;
    // The flow is used up: whatever comes of it, its cookie goes.
    let answer = match solicited(io, exchange, &account_state, &origin, &login_state, &form.message).await {
        Ok(answer) => answer,
        Err(fault) if login_state.parameters.trial.is_some() => {
            trial::failed(io, exchange, &login_state, &fault)
        }
        Err(fault) => {
            refused(io, exchange, &account_state, &login_state.provider, &fault, &login_state.return_to)
        }
    };
    Ok(forget.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// The refusal of an answer whose login is not under way in this browser. Nothing of it is verified: what it says of itself
/// is for the operator, whom a browser without cookies tells nothing.
fn no_login(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    claimed: &Claimed,
    mut fault: Fault,
) -> Result<Response, Fault> {
    let said = |claim: &Option<String>| clip(claim.as_deref().unwrap_or_default());
    let (issuer, request) = (said(&claimed.issuer), said(&claimed.in_response_to));
    fault.detail.push_str(&format!(
        "; the response says that it is from {issuer:?} and answers {request:?}: was the login begun at another host name, or does the IdP not send RelayState back?"
    ));
    let issued = |idp: &Rc<Idp>| claimed.issuer.is_some() && idp.known_issuer() == claimed.issuer;
    let known = account_state
        .account
        .providers
        .iter()
        .find(|own| account_state.idps.get(&own.id).is_some_and(issued));
    match known {
        Some(provider) => Ok(refused(io, exchange, account_state, &provider.id, &fault, "/")),
        None => Err(fault),
    }
}

/// The answer to an AuthnRequest of ours, in the browser that was sent with it.
async fn solicited(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    origin: &Origin,
    login_state: &LoginState,
    message: &str,
) -> Result<Response, Fault> {
    let idp = idp(account_state, &login_state.provider)?;
    if let (Some(provider), Ok(facts)) = (account_state.provider(&login_state.provider), idp.facts(io).await)
    {
        login_state.check_provider(provider, &facts.issuer)?;
    }
    let own = Own::at(origin, &account_state.account, idp);
    let request = Request {
        in_response_to: Some(&login_state.nonce),
        authenticated_since: is_forced(idp, &login_state.parameters).then_some(login_state.started),
    };
    let verified = verify(io, idp, &own, &request, message).await?;
    let until = login_state.started.saturating_add(login_state::LIFETIME);
    if ANSWERED.insert(io.host(), &id_of(&login_state.nonce), until, io.now()) == Inserted::Known {
        return Err(Fault::new(Code::AssertionInvalid, "the request was answered already"));
    }
    let identity = identity(account_state, &login_state.provider, &verified)?;
    let person = |fault: Fault| fault.of(super::shown(&identity));
    authenticated_well_enough(&identity, login_state).map_err(person)?;
    if let Some(trial) = &login_state.parameters.trial {
        return Ok(trial::report(io, exchange, account_state, trial, &identity).await);
    }
    let user = directory::resolve(io, &account_state.account, &account_state.directory, &identity).await;
    let user = user.map_err(person)?;
    note(io, exchange, account_state, &login_state.provider, &verified);
    arrived(io, exchange, account_state, login_state, &identity, Tokens::default(), user).await
}

/// What a response must answer.
struct Request<'a> {
    in_response_to: Option<&'a str>,
    authenticated_since: Option<u64>,
}

/// Verifies the response against what we know of the IdP and asked for.
async fn verify(
    io: &Io,
    idp: &Idp,
    own: &Own,
    request: &Request<'_>,
    message: &str,
) -> Result<Verified, Fault> {
    let message = Message::read(message)?;
    let judge = |facts: &Facts| {
        let expected = Expected {
            host: io.host(),
            issuer: &facts.issuer,
            certificates: &facts.certificates,
            decryption_key: idp.decryption_key(),
            acs_url: &own.acs_url,
            entity_id: &own.entity_id,
            in_response_to: request.in_response_to,
            authenticated_since: request.authenticated_since,
            now: io.now(),
            clock_skew: idp.config().clock_skew,
        };
        response::verify(&expected, &message)
    };
    // What answers a login of this browser does not wait for what strangers send.
    let sender = match request.in_response_to {
        Some(_) => Sender::Provider,
        None => Sender::Stranger,
    };
    idp.judged(io, sender, judge).await.map(|(verified, _)| verified)
}

/// The person, as attributes and NameID say. A name that does not last is not a subject to link an account to. Where a value
/// of an attribute that counts was left out, the others do not count alone.
fn identity(account_state: &AccountState, provider: &str, verified: &Verified) -> Result<Identity, Fault> {
    let mapping = &account_state.account.mapping;
    // A JSON Pointer begins with the attribute's name (RFC 6901).
    let first =
        |claim: &str| Some(claim.strip_prefix('/')?.split('/').next()?.replace("~1", "/").replace("~0", "~"));
    let left_out =
        |claim: &str| verified.holds_xml(claim) || first(claim).is_some_and(|name| verified.holds_xml(&name));
    let roles = mapping.roles_claim.iter().map(String::as_str);
    let mut counts = [mapping.claim.as_str(), "email", "email_verified"].into_iter().chain(roles);
    if let Some(claim) = counts.find(|claim| left_out(claim)) {
        let detail = format!("attribute {claim:?}: a value is XML, expected text");
        return Err(Fault::new(Code::AssertionInvalid, detail));
    }
    let mut claims = Claims::new();
    let names = verified.attributes.iter().flat_map(|attribute| {
        [Some(attribute.name.as_str()), attribute.friendly_name.as_deref()].into_iter().flatten()
    });
    for name in names.chain(["NameID"]) {
        let mut values: Vec<Value> = verified.values(name).into_iter().map(Value::from).collect();
        // Equal text is one value and no choice: mappers are doubled, and one name comes in two formats.
        values.dedup();
        if !values.is_empty() || name != "NameID" {
            claims.insert(name.to_owned(), Value::from(values));
        }
    }
    let lasting = verified.name_id.as_ref().filter(|name_id| name_id.lasts());
    let subject = lasting.map(|name_id| name_id.value.clone()).unwrap_or_default();
    let issuer = verified.issuer.as_str();
    let mut identity =
        Identity::verified(MappingFrom::Saml, provider, issuer, subject, claims.clone(), claims);
    identity.encrypted_attributes = verified.encrypted_attributes;
    if lasting.is_none() {
        // As it is compared: a link must not break on an IdP that writes an address in other letters.
        let mapped = mapped_value(mapping, &identity);
        identity.subject = mapped.map(|mapped| mapped.value).unwrap_or_default();
        identity.linking = Linking::Derived;
    }
    identity.auth_time = Some(verified.authn_instant / 1000);
    identity.acr = verified.authn_context.clone();
    identity.sid = verified.session_index.clone();
    identity.not_after = verified.session_not_on_or_after;
    identity.name_id = verified.name_id.clone();
    Ok(identity)
}

/// The account's provider of that issuer, the first in the configuration; metadata that is not there yet is fetched.
pub async fn by_issuer<'a>(
    io: &Io,
    account_state: &'a AccountState,
    issuer: &str,
) -> Option<(&'a str, &'a Rc<Idp>)> {
    let idps = || {
        let of =
            |provider: &'a Rc<Provider>| Some((provider.id.as_str(), account_state.idps.get(&provider.id)?));
        account_state.account.providers.iter().filter_map(of)
    };
    if let Some(found) = idps().find(|(_, idp)| idp.known_issuer().as_deref() == Some(issuer)) {
        return Some(found);
    }
    for (id, idp) in idps().filter(|(_, idp)| idp.known_issuer().is_none()) {
        if idp.facts(io).await.is_ok_and(|facts| facts.issuer == issuer) {
            return Some((id, idp));
        }
    }
    None
}

fn idp<'a>(account_state: &'a AccountState, id: &str) -> Result<&'a Rc<Idp>, Fault> {
    account_state
        .idps
        .get(id)
        .ok_or_else(|| Fault::new(Code::StateUnknown, "the login's SAML provider is gone"))
}
