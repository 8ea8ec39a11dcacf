//! A plain OAuth 2.0 provider, whose identity comes from UserInfo alone.

use url::Url;

use super::client::{credentials, ClientCredentials, Given};
use super::groups::{self, Groups};
use super::parameters::{self, scope_tokens, Parameters};
use super::timeout;
use crate::config::env::Environment;
use crate::config::problems::At;
use crate::config::raw::{self, ResponseMode};
use crate::config::urls::{logout, required_url, url, LogoutUrl};

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
    /// Where the addresses are listed that UserInfo leaves out.
    pub emails: Option<Url>,
    /// The UserInfo field that names the person; `None`: `sub`, else `id`.
    pub subject: Option<String>,
    /// Who we are.
    pub client: ClientCredentials,
    /// Scopes.
    pub scope: Vec<String>,
    /// More parameters.
    pub authorization_params: Parameters,
    /// More parameters.
    pub token_params: Parameters,
    /// More parameters.
    pub userinfo_params: Parameters,
    /// How the code comes back.
    pub response_mode: ResponseMode,
    /// Groups that are read by URL.
    pub groups: Option<Groups>,
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
    let emails = url(at, "emails_endpoint", &raw.emails_endpoint);
    let scope = raw.scope.clone().unwrap_or_default();
    scope_tokens(at, &scope);
    let params = parameters::check(at, &raw.authorization_params, &raw.token_params, &raw.userinfo_params);
    let given = Given {
        client_id: &raw.client_id,
        secret: &raw.client_secret,
        auth: raw.client_auth,
        key: &raw.client_key,
        assertion: &raw.client_assertion,
    };
    let client = credentials(at, given, env);
    let groups = groups::check(at, raw.groups.as_ref());
    if groups.as_ref().is_some_and(|groups| !groups.always) {
        at.field("groups").field("when").warning(
            "is overage: an OAuth 2.0 provider hardly ever says that it left groups out; write always",
        );
    }
    let logout = logout(at, &raw.logout_url, &raw.logout_params);
    let timeout = timeout(at, &raw.timeout);
    let (authorization, token, userinfo) = (authorization?, token?, userinfo?);
    Some(OAuth2 {
        issuer: raw.issuer.clone().unwrap_or_else(|| token.origin().ascii_serialization()),
        authorization,
        token,
        userinfo,
        emails,
        subject: raw.subject.clone(),
        client,
        scope,
        authorization_params: params.authorization,
        token_params: params.token,
        userinfo_params: params.userinfo,
        response_mode: raw.response_mode.unwrap_or_default(),
        groups,
        logout,
        timeout,
    })
}
