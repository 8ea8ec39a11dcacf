//! A plain OAuth 2.0 provider, whose identity comes from UserInfo alone.

use std::collections::BTreeMap;

use url::Url;

use super::client::{credentials, ClientCredentials};
use super::parameters::{own_params, scope_tokens};
use super::timeout;
use super::urls::{logout, required_url, LogoutUrl};
use crate::config::env::Environment;
use crate::config::problems::At;
use crate::config::raw::{self, ResponseMode};

/// A plain OAuth 2.0 provider.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The name of the provider in identities.
    pub issuer: String,
    /// `authorization`, `token` and `userinfo` are set.
    pub authorization: Url,
    /// Where the code is exchanged.
    pub token: Url,
    /// Where the identity is read.
    pub userinfo: Url,
    /// The UserInfo field that names the person; `None`: `sub`, else `id`.
    pub subject: Option<String>,
    /// Who we are.
    pub client: ClientCredentials,
    /// Scopes.
    pub scope: Vec<String>,
    /// More parameters.
    pub authorization_params: BTreeMap<String, String>,
    /// More parameters.
    pub token_params: BTreeMap<String, String>,
    /// More parameters.
    pub userinfo_params: BTreeMap<String, String>,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// The provider's own sign-out.
    pub logout: Option<LogoutUrl>,
    /// Milliseconds.
    pub timeout: u64,
}

/// Checks it; `None` after a problem that leaves nothing to work with.
pub(super) fn check(at: &At<'_>, raw: &raw::OAuth2, env: &dyn Environment) -> Option<OAuth2> {
    let authorization = required_url(at, "authorization_endpoint", &raw.authorization_endpoint);
    let token = required_url(at, "token_endpoint", &raw.token_endpoint);
    let userinfo = required_url(at, "userinfo_endpoint", &raw.userinfo_endpoint);
    let scope = raw.scope.clone().unwrap_or_default();
    scope_tokens(at, &scope);
    own_params(at, &raw.authorization_params, &raw.token_params, &raw.userinfo_params);
    let client = credentials(at, &raw.client_id, &raw.client_secret, raw.client_auth, &raw.client_key, env);
    let logout = logout(at, &raw.logout_url, &raw.logout_params);
    let timeout = timeout(at, &raw.timeout);
    let (authorization, token, userinfo) = (authorization?, token?, userinfo?);
    Some(OAuth2 {
        issuer: raw.issuer.clone().unwrap_or_else(|| token.origin().ascii_serialization()),
        authorization,
        token,
        userinfo,
        subject: raw.subject.clone(),
        client,
        scope,
        authorization_params: raw.authorization_params.clone(),
        token_params: raw.token_params.clone(),
        userinfo_params: raw.userinfo_params.clone(),
        response_mode: raw.response_mode.unwrap_or_default(),
        logout,
        timeout,
    })
}
