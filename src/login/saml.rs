//! Signing in with SAML 2.0: the Web Browser SSO profile (SAML profiles section 4.1), begun here or at the IdP.

use std::rc::Rc;

use serde_json::{json, Value};

use super::flow::{self, Extras, Flow};
use super::{arrived, authenticated_well_enough, departed, page, return_to, start_login as start_over};
use crate::answer::Answer;
use crate::config::{Account, Endpoint, IdpInitiated, MappingFrom, Origin, Provider, SamlBinding};
use crate::directory::{self, Resolution};
use crate::events::{self, Place};
use crate::fault::{Code, Fault};
use crate::gate::{Asked, Outcome, Ruling};
use crate::host::{random_token, Level};
use crate::identity::{Claims, Identity};
use crate::pages;
use crate::saml::authn_request::{AuthnRequest, Settings};
use crate::saml::idp::Facts;
use crate::saml::response::{self, Claimed, Expected};
use crate::saml::verified::Verified;
use crate::saml::{bindings, Idp};
use crate::session::{Opened, Tokens};
use crate::shared::{id_of, Inserted, SharedSet, WhenFull};
use crate::task::{Ask, Task};
use crate::world::{Site, Visitor};

/// The largest form: a message of 256 KB in base64, percent-encoded.
pub const MAX_FORM: usize = 512 * 1024;

/// Marks a form that went over a page of our own.
const BOUNCED: &str = "sso_bounced";

/// So many unsolicited responses within a minute begin a login in one browser. An IdP that answers these logins with
/// unsolicited responses again would send people in circles, without anything to see.
const MAX_RESTARTS: usize = 3;

/// Unsolicited assertions that were used. With no room for one more it is refused: forgetting one would open
/// it to a replay.
const USED: SharedSet =
    SharedSet { name: "sso.saml.used", buckets: 1024, capacity: 64, when_full: WhenFull::Refuse };

/// Requests of ours that were answered by a verified response, for as long as their logins may last. The states of
/// [`Flow::take`] can be pushed out of their record by anybody who begins logins and answers them with garbage; here
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
    ask: &Ask,
    asked: &Asked,
    provider: &Provider,
    target: String,
    extras: Extras,
) -> Result<Answer, Fault> {
    let (site, origin) = asked.site_and_origin()?;
    let idp = idp(&site, &provider.id)?;
    let facts = idp.facts(ask).await.map_err(super::unusable)?;
    let own = Own::at(&origin, &site.account, idp);
    let (binding, sso_url) = &facts.sso;
    let contexts = extras.acr_values.clone();
    let settings = Settings {
        sso_url,
        acs_url: &own.acs_url,
        entity_id: &own.entity_id,
        name_id_format: idp.config().name_id_format,
        force_authn: is_forced(idp, &extras),
        authn_contexts: &contexts,
        signer: idp.signer(ask.host()),
    };
    let request = AuthnRequest::new(ask.host(), &settings)?;
    let flow = Flow {
        provider: provider.id.clone(),
        state: random_token::<24>(ask.host())?,
        nonce: request.id.clone(),
        verifier: String::new(),
        return_to: target,
        redirect_uri: String::new(),
        started: ask.now(),
        extras,
        replaces: None,
    };
    let answer = match binding {
        SamlBinding::Redirect => Answer::redirect(&request.redirect(&settings, &flow.state)?),
        SamlBinding::Post => {
            let fields = request.post(&settings, &flow.state)?;
            let form =
                pages::AutoSubmit { action: sso_url.as_str().to_owned(), fields, ..Default::default() };
            pages::auto_submit(&asked.page_context(), &form)?
        }
    };
    departed(ask, asked, &site, flow, true, answer)
}

/// The person has to authenticate now: by configuration, for a rule with `max_age`, or as the link asks.
fn is_forced(idp: &Idp, extras: &Extras) -> bool {
    idp.config().force_authn || extras.max_age.is_some() || extras.prompt.as_deref() == Some("login")
}

/// A form that came to the assertion consumer service. It is a cross-site POST, which carries no `Lax` cookie: where
/// this browser sent no login in progress, one bounce over a page of our own makes it a same-site POST.
pub fn posted(asked: Rc<Asked>, body: Vec<u8>) -> Ruling {
    let form = match Form::read(&body) {
        Ok(form) => form,
        Err(fault) => return Ruling::Answer(asked.refuse_login(&fault, "/")),
    };
    let in_progress = flow::is_in_progress(&asked.world.config, &asked.head, &form.relay_state);
    if !form.bounced && !in_progress && asked.head.is_person() {
        return Ruling::Answer(form.bounce(&asked).unwrap_or_else(|fault| asked.refuse(&fault)));
    }
    let ask = asked.world.ask();
    let flow = {
        let (ask, asked) = (ask.clone(), asked.clone());
        async move { finish_login(&ask, &asked, form, in_progress).await.map(Outcome::Answer) }
    };
    Ruling::Flow(Task::new(ask, flow), asked)
}

/// The fields of the HTTP-POST binding (SAML bindings section 3.5.4).
struct Form {
    message: String,
    claimed: Claimed,
    relay_state: String,
    bounced: bool,
}

impl Form {
    /// Each field counts once: with two, one could be checked and the other used.
    fn read(body: &[u8]) -> Result<Self, Fault> {
        let field = |name: &str| {
            let mut values = url::form_urlencoded::parse(body).filter(|(key, _)| key == name);
            let first = values.next().map(|(_, value)| value.into_owned());
            match values.next() {
                Some(_) => Err(Fault::new(Code::CallbackInvalid, format!("{name} stands in the form twice"))),
                None => Ok(first),
            }
        };
        let missing = || Fault::new(Code::CallbackInvalid, "the form has no SAMLResponse");
        let encoded = field("SAMLResponse")?.ok_or_else(missing)?;
        let message =
            bindings::decode_post(&encoded).map_err(|why| Fault::new(Code::AssertionInvalid, why))?;
        let claimed = response::claimed(&message)?;
        let relay_state = field("RelayState")?.unwrap_or_default();
        Ok(Self { message, claimed, relay_state, bounced: field(BOUNCED)?.is_some() })
    }

    fn bounce(&self, asked: &Asked) -> Result<Answer, Fault> {
        // Chromium holds a page's `form-action` against redirects too: to an IdP where a login starts over.
        let idps = asked.site.iter().flat_map(|site| site.idps.values());
        let onward = idps.filter_map(|idp| idp.known_sso_url()).map(String::from).collect();
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (site, _) = asked.site_and_origin()?;
        let form = pages::AutoSubmit {
            action: site.account.paths.registered(Endpoint::SamlCallback),
            fields: vec![
                // Written anew: the line breaks that some IdPs put into their base64 do not survive a page.
                field("SAMLResponse", &bindings::encode_post(&self.message)),
                field("RelayState", &self.relay_state),
                field(BOUNCED, "1"),
            ],
            onward,
        };
        pages::auto_submit(&asked.page_context(), &form)
    }
}

async fn finish_login(ask: &Ask, asked: &Asked, form: Form, in_progress: bool) -> Result<Answer, Fault> {
    // What names a request, or comes with a login of ours, answers it or nothing.
    if form.claimed.in_response_to.is_none() && !in_progress {
        return unsolicited(ask, asked, &form).await;
    }
    let (site, origin) = asked.site_and_origin()?;
    let config = &asked.world.config;
    let (flow, forget) = Flow::take(ask.host(), config, &site.account.code, &asked.head, &form.relay_state)?;
    // The flow is used up: whatever comes of it, its cookie goes.
    let answer = match solicited(ask, asked, &site, &origin, &flow, &form.message).await {
        Ok(answer) => answer,
        Err(fault) => refused(ask, asked, &site, &flow.provider, &fault, &flow.return_to),
    };
    Ok(forget.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// The answer to an AuthnRequest of ours, in the browser that was sent with it.
async fn solicited(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    origin: &Origin,
    flow: &Flow,
    message: &str,
) -> Result<Answer, Fault> {
    let idp = idp(site, &flow.provider)?;
    let own = Own::at(origin, &site.account, idp);
    let request = Request {
        in_response_to: Some(&flow.nonce),
        authenticated_since: is_forced(idp, &flow.extras).then_some(flow.started),
    };
    let verified = verify(ask, idp, &own, &request, message).await?;
    let until = flow.started.saturating_add(flow::LIFETIME);
    if ANSWERED.insert(ask.host(), &id_of(&flow.nonce), until, ask.now()) == Inserted::Known {
        return Err(Fault::new(Code::AssertionInvalid, "the request was answered already"));
    }
    let identity = identity(site, &flow.provider, &verified);
    authenticated_well_enough(&identity, flow)?;
    let user = directory::resolve(ask, &site.account, &site.directory, &identity).await?;
    note(ask, asked, site, &flow.provider, &verified);
    arrived(ask, asked, site, flow, &identity, Tokens::default(), user)
}

/// A response that answers no request (SAML profiles section 4.1.5): anybody could have had it made for themselves and
/// sent it with somebody else's browser, so what becomes of it is configured.
async fn unsolicited(ask: &Ask, asked: &Asked, form: &Form) -> Result<Answer, Fault> {
    let (site, origin) = asked.site_and_origin()?;
    let nobody = || {
        let issuer = form.claimed.issuer.as_deref().unwrap_or_default();
        Fault::new(Code::AssertionInvalid, format!("no provider of this account has the issuer {issuer:?}"))
    };
    let issuer = form.claimed.issuer.as_deref().ok_or_else(nobody)?;
    let (id, idp) = by_issuer(ask, &site, issuer).await.ok_or_else(nobody)?;
    let target = page::own_endpoints_lead_home(
        &site.account,
        return_to::check(&form.relay_state, &origin).unwrap_or_else(|_| "/".into()),
    );
    match idp.config().idp_initiated {
        IdpInitiated::Off => {
            let detail = "an unsolicited response, and saml.idp_initiated is off";
            let fault = Fault::new(Code::AssertionInvalid, detail);
            Ok(refused(ask, asked, &site, id, &fault, &target))
        }
        // The assertion is dropped; the person's session at the IdP makes a login of our own silent.
        IdpInitiated::Restart => {
            let since = ask.now().saturating_sub(60_000);
            let config = &asked.world.config;
            if flow::restarts(config, &asked.head, &site.account.code, id, since) >= MAX_RESTARTS {
                let detail =
                    "the IdP answers requests of ours with unsolicited responses, without InResponseTo and \
                              RelayState: let it answer requests, or set saml.idp_initiated to accept";
                let fault = Fault::new(Code::AssertionInvalid, detail);
                return Ok(refused(ask, asked, &site, id, &fault, &target));
            }
            start_over(ask, asked, id, target, Extras { restarted: true, ..Extras::default() }).await
        }
        IdpInitiated::Accept => match accept(ask, asked, &site, &origin, id, target.clone(), form).await {
            Ok(answer) => Ok(answer),
            Err(fault) => Ok(refused(ask, asked, &site, id, &fault, &target)),
        },
    }
}

/// `idp_initiated: accept`: fresh, once, and never in the place of somebody else's session.
async fn accept(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    origin: &Origin,
    id: &str,
    target: String,
    form: &Form,
) -> Result<Answer, Fault> {
    // A cross-site POST does not say who is signed in here: the bounce must have made it a same-site one.
    if asked.head.is_cross_site(&site.account.origins) {
        return Err(Fault::new(Code::RequestInvalid, "an unsolicited response from another site"));
    }
    let idp = idp(site, id)?;
    let own = Own::at(origin, &site.account, idp);
    // Nobody asked for a fresh sign-in; with force_authn it must be as fresh as the response itself.
    let since = idp.config().force_authn.then(|| ask.now().saturating_sub(response::MAX_AGE));
    let request = Request { in_response_to: None, authenticated_since: since };
    let verified = verify(ask, idp, &own, &request, &form.message).await?;
    let replay = id_of(&format!("{} {}", verified.issuer, verified.assertion_id));
    match USED.insert(ask.host(), &replay, verified.valid_until, ask.now()) {
        Inserted::New => {}
        Inserted::Known => return Err(Fault::new(Code::AssertionInvalid, "the assertion was used already")),
        Inserted::Full => {
            let detail = "the record of used assertions is full: another one might be a replay";
            return Err(Fault::new(Code::AssertionInvalid, detail));
        }
    }
    let identity = identity(site, id, &verified);
    let resolution = directory::resolve(ask, &site.account, &site.directory, &identity).await?;
    if let Some(other) = signed_in(asked) {
        let same = match &resolution {
            Resolution::User(user) => {
                Rc::ptr_eq(&other.account, &site.account) && user.username == other.session.user.username
            }
            Resolution::Invitation { .. } => false,
        };
        if !same {
            let detail = format!(
                "an unsolicited response does not replace the session of {:?}",
                other.session.user.username
            );
            return Err(Fault::new(Code::IdentityConflict, detail));
        }
    }
    note(ask, asked, site, id, &verified);
    let flow = Flow {
        provider: id.to_owned(),
        state: String::new(),
        nonce: String::new(),
        verifier: String::new(),
        return_to: target,
        redirect_uri: String::new(),
        started: ask.now(),
        extras: Extras::default(),
        replaces: None,
    };
    arrived(ask, asked, site, &flow, &identity, Tokens::default(), resolution)
}

/// Whoever is signed in with this browser, in any account: with `cookies.domain` their origins share one session.
fn signed_in(asked: &Asked) -> Option<Rc<Opened>> {
    let world = &asked.world;
    match world.session(&world.sites, &asked.jar(), asked.now) {
        Visitor::Known(opened) => Some(opened),
        _ => None,
    }
}

/// What a response must answer.
struct Request<'a> {
    in_response_to: Option<&'a str>,
    authenticated_since: Option<u64>,
}

/// Verifies; for a key that we do not know, with newer metadata once more: the IdP may have rolled over.
async fn verify(
    ask: &Ask,
    idp: &Idp,
    own: &Own,
    request: &Request<'_>,
    message: &str,
) -> Result<Verified, Fault> {
    let judge = |facts: &Facts| {
        let expected = Expected {
            host: ask.host(),
            issuer: &facts.issuer,
            certificates: &facts.certificates,
            decryption_key: idp.decryption_key(),
            acs_url: &own.acs_url,
            entity_id: &own.entity_id,
            in_response_to: request.in_response_to,
            authenticated_since: request.authenticated_since,
            now: ask.now(),
            clock_skew: idp.config().clock_skew,
        };
        response::verify(&expected, message)
    };
    let refused = match judge(&idp.facts(ask).await?) {
        Ok(verified) => return Ok(verified),
        Err(refused) => refused,
    };
    match refused.unknown_key {
        true => match idp.newer(ask).await {
            Ok(Some(newer)) => Ok(judge(&newer)?),
            _ => Err(refused.into()),
        },
        false => Err(refused.into()),
    }
}

/// The person, as attributes and NameID say. A name that does not last is no subject to link an account to.
fn identity(site: &Site, provider: &str, verified: &Verified) -> Identity {
    let mut claims = Claims::new();
    let names = verified.attributes.iter().flat_map(|attribute| {
        [Some(attribute.name.as_str()), attribute.friendly_name.as_deref()].into_iter().flatten()
    });
    for name in names.chain(["NameID"]) {
        let values: Vec<Value> = verified.values(name).into_iter().map(Value::from).collect();
        if !values.is_empty() || name != "NameID" {
            claims.insert(name.to_owned(), Value::from(values));
        }
    }
    let lasting = verified.name_id.as_ref().filter(|name_id| name_id.lasts());
    let subject = match (lasting, verified.values(&site.account.mapping.claim).as_slice()) {
        (Some(name_id), _) => name_id.value.clone(),
        (None, [one]) => (*one).to_owned(),
        _ => String::new(),
    };
    let issuer = verified.issuer.as_str();
    let mut identity =
        Identity::verified(MappingFrom::Saml, provider, issuer, subject, claims.clone(), claims);
    identity.auth_time = Some(verified.authn_instant / 1000);
    identity.acr = verified.authn_context.clone();
    identity.sid = verified.session_index.clone();
    identity.not_after = verified.session_not_on_or_after;
    identity.name_id = verified.name_id.clone();
    identity
}

/// The account's provider of that issuer, the first in the configuration; metadata that is not there yet is fetched.
pub async fn by_issuer<'a>(ask: &Ask, site: &'a Site, issuer: &str) -> Option<(&'a str, &'a Rc<Idp>)> {
    let idps = || {
        let of = |provider: &'a Rc<Provider>| Some((provider.id.as_str(), site.idps.get(&provider.id)?));
        site.account.providers.iter().filter_map(of)
    };
    if let Some(found) = idps().find(|(_, idp)| idp.known_issuer().as_deref() == Some(issuer)) {
        return Some(found);
    }
    for (id, idp) in idps().filter(|(_, idp)| idp.known_issuer().is_none()) {
        if idp.facts(ask).await.is_ok_and(|facts| facts.issuer == issuer) {
            return Some((id, idp));
        }
    }
    None
}

fn idp<'a>(site: &'a Site, id: &str) -> Result<&'a Rc<Idp>, Fault> {
    site.idps.get(id).ok_or_else(|| Fault::new(Code::StateUnknown, "the login's SAML provider is gone"))
}

/// What works but should not stay so, in the log; and when a sign-in worked last, for the administrators' check.
fn note(ask: &Ask, asked: &Asked, site: &Site, provider: &str, verified: &Verified) {
    let place = Place { provider: Some(provider), ..asked.place() };
    for warning in &verified.warnings {
        events::notice(ask.host(), place, Level::Warn, warning);
    }
    remember(ask, site, provider, None);
}

fn refused(ask: &Ask, asked: &Asked, site: &Site, provider: &str, fault: &Fault, return_to: &str) -> Answer {
    let place = Place { provider: Some(provider), ..asked.place() };
    events::login_outcome(ask.host(), place, fault.code.as_str());
    remember(ask, site, provider, Some(fault));
    asked.refuse_login(fault, return_to)
}

fn last_key(account: &Account, provider: &str) -> String {
    format!("sso.saml.last.{}.{provider}", account.code)
}

/// How the last sign-in with this provider ended: one value for all workers.
fn remember(ask: &Ask, site: &Site, provider: &str, fault: Option<&Fault>) {
    let code = fault.map_or("ok", |fault| fault.code.as_str());
    let detail: String = fault.map(|fault| fault.detail.chars().take(500).collect()).unwrap_or_default();
    let line = json!([ask.now(), code, detail]).to_string();
    ask.host().shared_set(&last_key(&site.account, provider), line.as_bytes(), None);
}

/// How the last sign-in with this provider ended: when, with which code, why. For administrators alone.
pub fn last(ask: &Ask, account: &Account, provider: &str) -> Option<(u64, String, String)> {
    let bytes = ask.host().shared_get(&last_key(account, provider)).0?;
    serde_json::from_slice(&bytes).ok()
}
