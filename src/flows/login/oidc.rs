//! Signing in with OpenID Connect or plain OAuth 2.0.

use std::rc::Rc;

use super::flow_cookies::Returns;
use super::groups;
use super::login_state::{self, handles, AuthnParameters, LoginState};
use super::{arrived, authenticated_well_enough, departed, trial, unusable, BOUNCED};
use crate::config::{Account, MappingFrom, OAuth2, Oidc, Origin, Protocol, Provider, ResponseMode};
use crate::directory;
use crate::exchange::{Exchange, Outcome, Ruling};
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::response::Response;
use crate::identity::{Identity, Linking};
use crate::proto::oidc::authorization::{Authorization, Pkce};
use crate::proto::oidc::dpop::{self, Proofs};
use crate::proto::oidc::{id_token, token, userinfo, Callback};
use crate::session::Tokens;
use crate::state::AccountState;
use crate::values::secret::Secret;

/// What came back from a provider: the query, or the form of a `form_post`.
pub fn finish(exchange: Rc<Exchange>, parameters: Vec<u8>) -> Ruling {
    Ruling::flow(exchange, move |io, exchange| async move {
        finish_login(&io, &exchange, &parameters).await.map(Outcome::LocalReply)
    })
}

/// Sends the person to the provider with an authorization request.
pub(super) async fn start_login(
    io: &Io,
    exchange: &Exchange,
    provider: &Provider,
    target: String,
    parameters: AuthnParameters,
) -> Result<Response, Fault> {
    let (account_state, origin) = exchange.site_and_origin()?;
    let redirect_uri = redirect_uri(&account_state.account, &origin, &provider.id);
    let pkce = Pkce::new(io.host())?;
    let (state, nonce) = handles(pkce.verifier.expose());
    let acr_values = parameters.acr_values.join(" ");
    let max_age = parameters.max_age.map(|seconds| seconds.to_string());
    let mut more: Vec<(&str, &str)> = Vec::new();
    if !acr_values.is_empty() {
        more.push(("acr_values", &acr_values));
    }
    if let Some(max_age) = &max_age {
        more.push(("max_age", max_age));
    }
    if let Some(prompt) = &parameters.prompt {
        more.push(("prompt", prompt));
    }
    let mut dpop = None;
    let mut issuer = String::new();
    let (url, form_post) = match &provider.protocol {
        Protocol::Oidc(oidc) => {
            let metadata = account_state.client(&provider.id)?.metadata(io).await.map_err(unusable)?;
            issuer.clone_from(&metadata.issuer);
            if oidc.dpop {
                dpop = Some(dpop::Key::generate(io.host())?.to_secret());
            }
            let proofs = account_state.client(&provider.id)?.proofs(dpop.as_ref())?;
            let thumbprint = proofs.as_ref().map(Proofs::thumbprint);
            let request = Authorization::of_oidc(oidc, &redirect_uri, &state, &nonce, &pkce);
            let request = Authorization {
                login_hint: parameters.login_hint.as_deref(),
                more: &more,
                dpop_jkt: thumbprint.as_deref(),
                ..request
            };
            (
                request.start(io, oidc, &metadata, proofs.as_ref()).await?,
                oidc.response_mode == ResponseMode::FormPost,
            )
        }
        Protocol::OAuth2(oauth2) => {
            issuer.clone_from(&oauth2.issuer);
            let request = Authorization::of_oauth2(oauth2, &redirect_uri, &state, &pkce);
            let request =
                Authorization { login_hint: parameters.login_hint.as_deref(), more: &more, ..request };
            (request.url(&oauth2.authorization), oauth2.response_mode == ResponseMode::FormPost)
        }
        Protocol::Saml(_) => return Err(Fault::new(Code::NotReady, "this provider speaks SAML")),
    };
    let verifier = pkce.verifier.expose().to_owned();
    let started = io.now();
    let (client, issuer) = LoginState::of(provider, &issuer);
    let login_state = LoginState {
        provider: provider.id.clone(),
        client,
        issuer,
        state,
        nonce,
        verifier,
        dpop: dpop.map(|key| key.expose().to_owned()),
        return_to: target,
        started,
        parameters,
        replaces: None,
    };
    let returns = if form_post { Returns::Post } else { Returns::Navigation };
    departed(io, exchange, &account_state, login_state, returns, Response::redirect(url.as_str()))
}

/// Where the provider sends the browser: built alike for the authorization request and the token request, which comes from
/// the origin that the browser came back to (RFC 6749 section 4.1.3).
fn redirect_uri(account: &Account, origin: &Origin, provider: &str) -> String {
    format!("{origin}{}", account.paths.callback(provider))
}

async fn finish_login(io: &Io, exchange: &Rc<Exchange>, parameters: &[u8]) -> Result<Response, Fault> {
    let callback = Callback::parse(parameters)?;
    let exchange = &*trial::exchange_for(exchange, &callback.state);
    let (account_state, _) = exchange.site_and_origin()?;
    let (login_state, forget) = LoginState::take(
        io.host(),
        &exchange.filter_state.config,
        &account_state.account.code,
        &exchange.head,
        &callback.state,
    )?;
    login_state::use_up(io, exchange, &login_state).await?;
    let place = Place { provider: Some(&login_state.provider), ..exchange.place() };
    // The flow is used up: whatever comes of it, its cookie goes.
    let answer = match complete(io, exchange, &account_state, &login_state, &callback).await {
        Ok(answer) => answer,
        Err(fault) if login_state.parameters.trial.is_some() => {
            trial::failed(io, exchange, &login_state, &fault)
        }
        Err(fault) if begins_again(&fault, &callback, &login_state) => {
            let provider = account_state.provider(&login_state.provider).ok_or(fault)?;
            let parameters = AuthnParameters { restarted: true, ..login_state.parameters };
            start_login(io, exchange, provider, login_state.return_to, parameters).await?
        }
        Err(fault) => {
            events::login_outcome(io.host(), place, fault.code.as_str());
            exchange.refuse_login(place, &fault, &login_state.return_to)
        }
    };
    Ok(forget.iter().fold(answer, |answer, cookie| answer.with_cookie(cookie)))
}

/// True if the provider itself, which `complete` has checked, asks for a new request: once, or the browser might go round for ever.
fn begins_again(fault: &Fault, callback: &Callback, login_state: &LoginState) -> bool {
    fault.code == Code::IdpUnavailable && callback.asks_to_begin_again() && !login_state.parameters.restarted
}

async fn complete(
    io: &Io,
    exchange: &Exchange,
    account_state: &AccountState,
    login_state: &LoginState,
    callback: &Callback,
) -> Result<Response, Fault> {
    let provider = account_state
        .provider(&login_state.provider)
        .ok_or_else(|| Fault::new(Code::StateUnknown, "its provider is gone"))?;
    // Another provider's answer is never taken to this one (mix-up, RFC 9700 section 4.4.2.2). Holds for error answers too.
    let paths = &account_state.account.paths;
    if !paths.is_callback_of(&provider.id, &exchange.path, exchange.head.query()) {
        let why =
            format!("callback: the login was begun with {:?}, whose redirect URI is another", provider.id);
        return Err(Fault::new(Code::CallbackInvalid, why));
    }
    let (_, origin) = exchange.site_and_origin()?;
    let redirect_uri = redirect_uri(&account_state.account, &origin, &provider.id);
    let (identity, tokens) = match &provider.protocol {
        Protocol::Oidc(oidc) => {
            let metadata = account_state.client(&provider.id)?.metadata_for_callback(io).await?;
            login_state.check_provider(provider, &metadata.issuer)?;
            openid(io, account_state, oidc, login_state, callback, &redirect_uri).await?
        }
        Protocol::OAuth2(oauth2) => {
            login_state.check_provider(provider, &oauth2.issuer)?;
            plain(io, &account_state.account, oauth2, login_state, callback, &redirect_uri).await?
        }
        Protocol::Saml(_) => return Err(Fault::new(Code::CallbackInvalid, "this provider speaks SAML")),
    };
    let person = |fault: Fault| fault.of(super::shown(&identity));
    authenticated_well_enough(&identity, login_state).map_err(person)?;
    if let Some(trial) = &login_state.parameters.trial {
        return Ok(trial::report(io, exchange, account_state, trial, &identity).await);
    }
    let user = directory::resolve(io, &account_state.account, &account_state.directory, &identity).await;
    let user = user.map_err(person)?;
    arrived(io, exchange, account_state, login_state, &identity, tokens, user).await
}

/// OpenID Connect Core section 3.1: code, tokens, ID token, and UserInfo where something is missing.
async fn openid(
    io: &Io,
    account_state: &AccountState,
    oidc: &Oidc,
    login_state: &LoginState,
    callback: &Callback,
    redirect_uri: &str,
) -> Result<(Identity, Tokens), Fault> {
    let client = account_state.client(&login_state.provider)?;
    let metadata = client.metadata_for_callback(io).await?;
    let code = callback.code(&metadata)?;
    let dpop = login_state.dpop.clone().map(Secret::new);
    let proofs = client.proofs(dpop.as_ref())?;
    let endpoint = token::Endpoint { proofs: proofs.as_ref(), ..token::Endpoint::of_oidc(oidc, &metadata) };
    let verifier = Secret::new(login_state.verifier.clone());
    let tokens = token::exchange(io, &endpoint, code, redirect_uri, Some(&verifier)).await?;
    let id_token =
        tokens.id_token.as_ref().ok_or_else(|| Fault::new(Code::IdpInvalidAnswer, "no ID token"))?;
    let moment =
        id_token::Expectation::Login { nonce: &login_state.nonce, max_age: login_state.parameters.max_age };
    let claims = id_token::verify(io, client, id_token, tokens.access_token.as_ref(), moment).await?;
    let mut known = claims.all().clone();
    let mut mapped = claims.all().clone();
    if wants_userinfo(&account_state.account, &known, metadata.userinfo_endpoint.is_some()) {
        let (subject, token) = (claims.subject(), tokens.access_token.as_ref());
        let needed = account_state.account.mapping.from == MappingFrom::Userinfo;
        let userinfo = userinfo::more(io, client, subject, token, proofs.as_ref(), needed).await?;
        if let Err(fault) = userinfo {
            let place = Place {
                account: Some(&account_state.account.code),
                provider: Some(&login_state.provider),
                ..Place::default()
            };
            let why = format!("UserInfo adds nothing to the ID token: {}", fault.detail);
            events::notice(io.host(), place, Level::Warn, &why);
        } else if let Ok(userinfo) = userinfo {
            if needed {
                mapped.clone_from(&userinfo);
            }
            userinfo::add(&mut known, userinfo);
        }
    }
    if let Some(provider) = account_state.provider(&login_state.provider) {
        let token = tokens.access_token.as_ref();
        groups::add(io, &account_state.account, provider, &mut known, token, proofs.as_ref()).await?;
    }
    let source = match account_state.account.mapping.from {
        MappingFrom::Userinfo => MappingFrom::Userinfo,
        _ => MappingFrom::IdToken,
    };
    // How the user authenticated is said by the ID token alone (OpenID Connect Core section 2): UserInfo is not signed.
    let amr = crate::identity::amr(claims.all().get("amr"));
    let acr = claims.all().get("acr").and_then(|acr| acr.as_str()).map(str::to_owned);
    let (issuer, subject) = (claims.issuer(), claims.subject());
    let mut identity =
        Identity::verified(source, login_state.provider.as_str(), issuer, subject, known, mapped);
    identity.auth_time = claims.auth_time().map(|seconds| seconds as u64);
    identity.acr = acr;
    identity.amr = amr;
    identity.sid = claims.sid().map(str::to_owned);
    Ok((identity, Tokens { dpop, ..kept(io, &account_state.account, tokens) }.bound()))
}

/// UserInfo is asked where the mapping reads it, or where a configured claim is in no ID token.
pub(crate) fn wants_userinfo(
    account: &Account,
    claims: &crate::identity::Claims,
    has_endpoint: bool,
) -> bool {
    let missing = |claim: &String| crate::values::json::pointer(claims, claim).is_none();
    account.mapping.from == MappingFrom::Userinfo || has_endpoint && account.judged_claims().any(missing)
}

/// Plain OAuth 2.0: the access token is not proof of who is there but at the UserInfo endpoint it was
/// made for, asked by us, with a code that only our client could exchange.
async fn plain(
    io: &Io,
    account: &Account,
    oauth2: &OAuth2,
    login_state: &LoginState,
    callback: &Callback,
    redirect_uri: &str,
) -> Result<(Identity, Tokens), Fault> {
    if callback.iss.as_ref().is_some_and(|iss| *iss != oauth2.issuer) && !oauth2.issuer.is_empty() {
        return Err(Fault::new(Code::CallbackInvalid, format!("callback: iss is not {:?}", oauth2.issuer)));
    }
    let code = callback.plain_code()?;
    let endpoint = token::Endpoint::of_oauth2(oauth2);
    let verifier = Secret::new(login_state.verifier.clone());
    let tokens = token::exchange(io, &endpoint, code, redirect_uri, Some(&verifier)).await?;
    let access =
        tokens.access_token.clone().ok_or_else(|| Fault::new(Code::IdpInvalidAnswer, "no access token"))?;
    let person = userinfo::fetch_person(io, oauth2, &access).await?;
    let mut known = person.all.clone();
    if let Some(provider) = account.provider(&login_state.provider) {
        groups::add(io, account, provider, &mut known, Some(&access), None).await?;
    }
    let mut identity = Identity::verified(
        MappingFrom::Userinfo,
        login_state.provider.as_str(),
        oauth2.issuer.as_str(),
        person.subject.as_str(),
        known,
        person.all,
    );
    if !person.has_lasting_name {
        identity.linking = Linking::Derived;
    }
    Ok((identity, kept(io, account, tokens)))
}

/// What of the tokens outlives the login: only what something is done with later.
pub(crate) fn kept(io: &Io, account: &Account, tokens: token::Tokens) -> Tokens {
    let forwarded = account.forward.access_token.is_some();
    let expires = tokens.expires_in.map(|seconds| io.now().saturating_add(seconds.saturating_mul(1000)));
    Tokens {
        id_token: tokens.id_token,
        access_token: tokens.access_token.filter(|_| forwarded),
        access_expires: expires.filter(|_| forwarded),
        refresh_token: tokens.refresh_token,
        ..Tokens::default()
    }
}

/// A `form_post` is a cross-site POST, which carries no `Lax` cookie. Where `SameSite=None` is not to be had (plain
/// HTTP) or the browser drops it, one bounce over a page of our own makes it a same-site POST.
pub fn form_post(exchange: Rc<Exchange>, body: Vec<u8>) -> Ruling {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().take(50).collect();
    let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, value)| value.as_str());
    let bounced = pairs.iter().any(|(name, _)| name == BOUNCED);
    let waiting = state.is_some_and(|state| {
        super::login_state::is_in_progress(&exchange.filter_state.config, &exchange.head, state)
    });
    if state.is_none() || bounced || waiting || !exchange.head.is_person() {
        return finish(exchange, body);
    }
    let mut fields = pairs;
    fields.push((BOUNCED.into(), "1".into()));
    let action = String::from_utf8_lossy(exchange.head.target()).into_owned();
    let form = crate::pages::AutoSubmit { action, fields, ..Default::default() };
    Ruling::LocalReply(
        crate::pages::auto_submit(&exchange.page_context(), &form)
            .unwrap_or_else(|fault| exchange.refuse(&fault)),
    )
}
