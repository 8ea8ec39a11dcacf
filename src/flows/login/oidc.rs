//! Signing in with OpenID Connect or plain OAuth 2.0.

use std::rc::Rc;

use super::flow::{Extras, Flow, Returns};
use super::{arrived, authenticated_well_enough, departed, unusable, BOUNCED};
use crate::config::{Account, Endpoint, MappingFrom, OAuth2, Oidc, Protocol, Provider, ResponseMode};
use crate::directory;
use crate::exchange::{Asked, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Ask;
use crate::host::{random_token, Level};
use crate::http::response::Answer;
use crate::identity::Identity;
use crate::proto::oidc::authorization::{Authorization, Pkce};
use crate::proto::oidc::{id_token, token, userinfo, Callback};
use crate::session::Tokens;
use crate::state::Site;
use crate::values::secret::Secret;

/// What came back from a provider: the query, or the form of a `form_post`.
pub fn finish(asked: Rc<Asked>, parameters: Vec<u8>) -> Ruling {
    Ruling::flow(asked, move |ask, asked| async move {
        finish_login(&ask, &asked, &parameters).await.map(Outcome::Answer)
    })
}

/// Sends the person to the provider with an authorization request.
pub(super) async fn start_login(
    ask: &Ask,
    asked: &Asked,
    provider: &Provider,
    target: String,
    extras: Extras,
) -> Result<Answer, Fault> {
    let (site, origin) = asked.site_and_origin()?;
    let redirect_uri = format!("{origin}{}", site.account.paths.registered(Endpoint::OidcCallback));
    let state = random_token::<24>(ask.host())?;
    let nonce = random_token::<24>(ask.host())?;
    let pkce = Pkce::new(ask.host())?;
    let acr_values = extras.acr_values.join(" ");
    let max_age = extras.max_age.map(|seconds| seconds.to_string());
    let mut more: Vec<(&str, &str)> = Vec::new();
    if !acr_values.is_empty() {
        more.push(("acr_values", &acr_values));
    }
    if let Some(max_age) = &max_age {
        more.push(("max_age", max_age));
    }
    if let Some(prompt) = &extras.prompt {
        more.push(("prompt", prompt));
    }
    let (url, form_post) = match &provider.protocol {
        Protocol::Oidc(oidc) => {
            let metadata = site.client(&provider.id)?.metadata(ask).await.map_err(unusable)?;
            let request = Authorization::of_oidc(oidc, &redirect_uri, &state, &nonce, &pkce);
            let request = Authorization { login_hint: extras.login_hint.as_deref(), more: &more, ..request };
            (request.start(ask, oidc, &metadata).await?, oidc.response_mode == ResponseMode::FormPost)
        }
        Protocol::OAuth2(oauth2) => {
            let request = Authorization::of_oauth2(oauth2, &redirect_uri, &state, &pkce);
            let request = Authorization { login_hint: extras.login_hint.as_deref(), more: &more, ..request };
            (request.url(&oauth2.authorization), oauth2.response_mode == ResponseMode::FormPost)
        }
        Protocol::Saml(_) => return Err(Fault::new(Code::NotReady, "this provider speaks SAML")),
    };
    let verifier = pkce.verifier.expose().to_owned();
    let started = ask.now();
    let flow = Flow {
        provider: provider.id.clone(),
        state,
        nonce,
        verifier,
        return_to: target,
        redirect_uri,
        started,
        extras,
        replaces: None,
    };
    let returns = if form_post { Returns::Post } else { Returns::Navigation };
    departed(ask, asked, &site, flow, returns, Answer::redirect(url.as_str()))
}

async fn finish_login(ask: &Ask, asked: &Asked, parameters: &[u8]) -> Result<Answer, Fault> {
    let (site, _) = asked.site_and_origin()?;
    let callback = Callback::parse(parameters)?;
    let (flow, forget) =
        Flow::take(ask.host(), &asked.world.config, &site.account.code, &asked.head, &callback.state)?;
    let place = Place { provider: Some(&flow.provider), ..asked.place() };
    // The flow is used up: whatever comes of it, its cookie goes.
    let answer = match complete(ask, asked, &site, &flow, &callback).await {
        Ok(answer) => answer,
        Err(fault) => {
            events::login_outcome(ask.host(), place, fault.code.as_str());
            asked.refuse_login(place, &fault, &flow.return_to)
        }
    };
    Ok(forget.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

async fn complete(
    ask: &Ask,
    asked: &Asked,
    site: &Site,
    flow: &Flow,
    callback: &Callback,
) -> Result<Answer, Fault> {
    let provider = site
        .provider(&flow.provider)
        .ok_or_else(|| Fault::new(Code::StateUnknown, "its provider is gone"))?;
    let (identity, tokens) = match &provider.protocol {
        Protocol::Oidc(oidc) => openid(ask, site, oidc, flow, callback).await?,
        Protocol::OAuth2(oauth2) => plain(ask, &site.account, oauth2, flow, callback).await?,
        Protocol::Saml(_) => return Err(Fault::new(Code::CallbackInvalid, "this provider speaks SAML")),
    };
    authenticated_well_enough(&identity, flow)?;
    let user = directory::resolve(ask, &site.account, &site.directory, &identity).await?;
    arrived(ask, asked, site, flow, &identity, tokens, user)
}

/// OpenID Connect Core section 3.1: code, tokens, ID token, and UserInfo where something is missing.
async fn openid(
    ask: &Ask,
    site: &Site,
    oidc: &Oidc,
    flow: &Flow,
    callback: &Callback,
) -> Result<(Identity, Tokens), Fault> {
    let client = site.client(&flow.provider)?;
    let metadata = client.metadata_for_callback(ask).await?;
    let code = callback.code(&metadata)?;
    let endpoint = token::Endpoint::of_oidc(oidc, &metadata);
    let verifier = Secret::new(flow.verifier.clone());
    let tokens = token::exchange(ask, &endpoint, code, &flow.redirect_uri, Some(&verifier)).await?;
    let id_token =
        tokens.id_token.as_ref().ok_or_else(|| Fault::new(Code::IdpInvalidAnswer, "no ID token"))?;
    let moment = id_token::Moment::Login { nonce: &flow.nonce, max_age: flow.extras.max_age };
    let claims = id_token::verify(ask, client, id_token, tokens.access_token.as_ref(), moment).await?;
    let mut known = claims.all().clone();
    let mut mapped = claims.all().clone();
    if wants_userinfo(&site.account, &known, metadata.userinfo_endpoint.is_some()) {
        let (subject, token) = (claims.subject(), tokens.access_token.as_ref());
        let needed = site.account.mapping.from == MappingFrom::Userinfo;
        if let Some(userinfo) = userinfo::more(ask, client, subject, token, needed).await? {
            if needed {
                mapped.clone_from(&userinfo);
            }
            userinfo::add(&mut known, userinfo);
        } else {
            let place = Place {
                account: Some(&site.account.code),
                provider: Some(&flow.provider),
                ..Place::default()
            };
            let why =
                "UserInfo does not take the access token: roles and headers come from the ID token alone";
            events::notice(ask.host(), place, Level::Warn, why);
        }
    }
    let source = match site.account.mapping.from {
        MappingFrom::Userinfo => MappingFrom::Userinfo,
        _ => MappingFrom::IdToken,
    };
    let acr = known.get("acr").and_then(|acr| acr.as_str()).map(str::to_owned);
    let (issuer, subject) = (claims.issuer(), claims.subject());
    let mut identity = Identity::verified(source, flow.provider.as_str(), issuer, subject, known, mapped);
    identity.auth_time = claims.auth_time().map(|seconds| seconds as u64);
    identity.acr = acr;
    identity.sid = claims.sid().map(str::to_owned);
    Ok((identity, kept(ask, &site.account, tokens)))
}

/// UserInfo is asked where the mapping reads it, or where a configured claim is in no ID token.
pub(crate) fn wants_userinfo(
    account: &Account,
    claims: &crate::identity::Claims,
    has_endpoint: bool,
) -> bool {
    let missing = |claim: &String| crate::values::json::pointer(claims, claim).is_none();
    let configured =
        account.mapping.roles_claim.iter().chain(account.forward.headers.iter().map(|(_, claim)| claim));
    account.mapping.from == MappingFrom::Userinfo || has_endpoint && configured.into_iter().any(missing)
}

/// Plain OAuth 2.0: the access token is no proof of who is there but at the UserInfo endpoint it was
/// made for, asked by us, with a code that only our client could exchange.
async fn plain(
    ask: &Ask,
    account: &Account,
    oauth2: &OAuth2,
    flow: &Flow,
    callback: &Callback,
) -> Result<(Identity, Tokens), Fault> {
    if callback.iss.as_ref().is_some_and(|iss| *iss != oauth2.issuer) && !oauth2.issuer.is_empty() {
        return Err(Fault::new(Code::CallbackInvalid, format!("callback: iss is not {:?}", oauth2.issuer)));
    }
    let code = callback.plain_code()?;
    let endpoint = token::Endpoint::of_oauth2(oauth2);
    let verifier = Secret::new(flow.verifier.clone());
    let tokens = token::exchange(ask, &endpoint, code, &flow.redirect_uri, Some(&verifier)).await?;
    let access =
        tokens.access_token.clone().ok_or_else(|| Fault::new(Code::IdpInvalidAnswer, "no access token"))?;
    let person = userinfo::fetch_person(ask, oauth2, &access).await?;
    let identity = Identity::verified(
        MappingFrom::Userinfo,
        flow.provider.as_str(),
        oauth2.issuer.as_str(),
        person.subject.as_str(),
        person.all.clone(),
        person.all,
    );
    Ok((identity, kept(ask, account, tokens)))
}

/// What of the tokens outlives the login: only what something is done with later.
pub(crate) fn kept(ask: &Ask, account: &Account, tokens: token::Tokens) -> Tokens {
    let forwarded = account.forward.access_token.is_some();
    let expires = tokens.expires_in.map(|seconds| ask.now().saturating_add(seconds.saturating_mul(1000)));
    Tokens {
        id_token: tokens.id_token,
        access_token: tokens.access_token.filter(|_| forwarded),
        access_expires: expires.filter(|_| forwarded),
        refresh_token: tokens.refresh_token,
    }
}

/// A `form_post` is a cross-site POST, which carries no `Lax` cookie. Where `SameSite=None` is not to be had (plain
/// HTTP) or the browser drops it, one bounce over a page of our own makes it a same-site POST.
pub fn form_post(asked: Rc<Asked>, body: Vec<u8>) -> Ruling {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().take(50).collect();
    let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, value)| value.as_str());
    let bounced = pairs.iter().any(|(name, _)| name == BOUNCED);
    let waiting =
        state.is_some_and(|state| super::flow::is_in_progress(&asked.world.config, &asked.head, state));
    if state.is_none() || bounced || waiting || !asked.head.is_person() {
        return finish(asked, body);
    }
    let mut fields = pairs;
    fields.push((BOUNCED.into(), "1".into()));
    let action = String::from_utf8_lossy(asked.head.target()).into_owned();
    let form = crate::pages::AutoSubmit { action, fields, ..Default::default() };
    Ruling::Answer(
        crate::pages::auto_submit(&asked.page_context(), &form).unwrap_or_else(|fault| asked.refuse(&fault)),
    )
}
