//! Accounts, checked: here what they are made of, and what of it contradicts itself; each part in a file of its own.

mod access;
mod bearer;
mod directory;
mod forward;
mod kept;
mod logout;
mod mapping;
mod origins;
mod password;
mod password_login;
mod providers;
mod provisioning;
mod self_service;
mod success;

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

pub use crate::access::{AccessRule, Admission, Match};
pub use bearer::{Bearer, Machine};
pub use directory::{Directory, Scim, StaticUser};
pub use forward::{Assertion, Forward};
pub use kept::Kept;
pub use logout::Logout;
pub use mapping::Mapping;
pub use origins::{suffix, LoginOrigin, Origin, OriginPattern};
pub use password::{AttemptLimit, Password};
pub use password_login::{PasswordLogin, UsernameField, When};
pub use provisioning::{Invitation, Provisioning};
pub use self_service::{Bounds, SelfService};
pub use success::{body_accepted, head_accepted, Answered, JsonValue, Success, MAX_ANSWER};

use super::account_file::AccountFile;
use super::env::Environment;
use super::paths::Paths;
use super::problems::At;
use super::provider::{self, ClientCredentials, Protocol, Provider};
use super::raw::{self, MappingFrom, PasswordMode, ProvisioningMode, Switch};
use crate::access::condition::on_claims;
use crate::http::Path;
use crate::values::order;
use crate::values::secret_source::{SecretFile, SecretSource};

/// One customer or deployment.
#[derive(Debug)]
pub struct Account {
    /// The `u` of the callback URLs.
    pub code: String,
    /// Where it is served.
    pub origins: Vec<Origin>,
    /// Where it is served too: origins with one label that may be any.
    pub patterns: Vec<OriginPattern>,
    /// Where its logins run, where that is one origin for all.
    pub login_origin: Option<LoginOrigin>,
    /// Single sign-on is on.
    pub enabled: bool,
    /// The filter's own endpoints.
    pub paths: Rc<Paths>,
    /// Where people may come from.
    pub providers: Vec<Rc<Provider>>,
    /// How an identity becomes a user.
    pub mapping: Mapping,
    /// Where users are looked up.
    pub directory: Directory,
    /// What happens if no user matches.
    pub provisioning: Provisioning,
    /// Who may still use a password.
    pub password: Password,
    /// Who may ask for what; the first match counts.
    pub access: Vec<AccessRule>,
    /// Bearer tokens.
    pub bearer: Option<Bearer>,
    /// What the application is told.
    pub forward: Forward,
    /// What follows a sign-out.
    pub logout: Logout,
    /// Sessions opened before (milliseconds since 1970) are over.
    pub not_before: u64,
    /// The same by username.
    pub not_before_users: BTreeMap<String, u64>,
    /// What its administrators may set themselves.
    pub self_service: Option<SelfService>,
    /// The file's account, where administrators may change it.
    pub file: Option<Rc<AccountFile>>,
    /// It is a draft that is tried out: nothing is linked, created or noted by it.
    pub is_draft: bool,
    /// What a worker keeps for it, for the configuration after this one.
    pub kept: Kept,
}

impl Account {
    /// True where one of these roles makes an administrator.
    pub fn is_admin(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.password.admin_roles.contains(role))
    }

    /// The secrets that are read from files.
    pub fn secret_files(&self) -> impl Iterator<Item = &Rc<SecretFile>> {
        let scim = match &self.directory {
            Directory::Scim(scim) => scim.token.as_ref().and_then(SecretSource::file),
            _ => None,
        };
        let clients = self.providers.iter().filter_map(|provider| match &provider.protocol {
            Protocol::Oidc(oidc) => Some(&oidc.client),
            Protocol::OAuth2(oauth2) => Some(&oauth2.client),
            Protocol::Saml(_) => None,
        });
        clients.flat_map(ClientCredentials::files).chain(scim)
    }

    /// The claims that roles, forwarded headers and the conditions of access rules are read from.
    pub fn judged_claims(&self) -> impl Iterator<Item = &String> {
        let headers = self.forward.headers.iter().map(|(_, claim)| claim);
        let conditions = on_claims(&self.access).map(|condition| &condition.claim);
        self.mapping.roles_claim.iter().chain(headers).chain(conditions)
    }

    /// True if a role that groups grant decides anything: where groups cannot be read, such an account lets no user in.
    pub fn roles_decide(&self) -> bool {
        let granted = |role: &String| self.mapping.role_map.values().any(|own| own == role);
        let demanded = self.access.iter().any(|rule| match &rule.admission {
            Admission::Users { roles, .. } => roles.iter().any(granted),
            _ => false,
        });
        demanded || self.password.admin_roles.iter().any(granted)
    }

    /// True where the configuration names this user an administrator. A username that a directory or the application
    /// vouches for, never one that only a provider claims.
    pub fn is_named_admin(&self, username: &str) -> bool {
        self.password.names(username)
    }

    /// The provider of that id.
    pub fn provider(&self, id: &str) -> Option<&Rc<Provider>> {
        self.providers.iter().find(|provider| provider.id == id)
    }
}

/// Checks one account.
pub(super) fn check(
    at: &At<'_>,
    raw: &raw::Account,
    code: String,
    file: Option<Rc<AccountFile>>,
    env: &dyn Environment,
) -> Account {
    if code.is_empty()
        || code.len() > 64
        || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        at.field("code").problem("expected 1 to 64 letters, digits, '-', '_' and '.'");
    }
    let (origins, patterns) = origins::check(&at.field("origins"), &raw.origins);
    let login_origin = raw.login_origin.as_deref();
    let login_origin =
        login_origin.and_then(|text| origins::login(&at.field("login_origin"), text, &origins, &patterns));
    let enabled = raw.sso == Some(Switch::Enabled);
    let providers = providers(&at.field("identity_providers"), &raw.identity_providers, env);
    if enabled && raw.identity_providers.is_empty() {
        at.field("identity_providers")
            .problem("is empty: single sign-on is enabled, so at least one is needed");
    }
    if raw.sso.is_none() && !raw.identity_providers.is_empty() {
        at.field("sso")
            .warning("is not set: single sign-on is off and everything passes; write enabled or disabled");
    }
    apart(&at.field("identity_providers"), &providers);
    let directory = directory::check(&at.field("directory"), raw.directory.as_ref(), env);
    let mapping = mapping::check(&at.field("mapping"), raw.mapping.as_ref());
    if mapping.from == MappingFrom::Userinfo {
        for (i, provider) in raw.identity_providers.iter().enumerate() {
            if provider.oidc.as_ref().is_some_and(|o| o.discovery.is_none() && o.userinfo_endpoint.is_none())
            {
                let at = at.field("identity_providers").index(i).field("oidc").field("userinfo_endpoint");
                at.problem("is missing: mapping.from is userinfo");
            }
        }
    }
    let password = password::check(&at.field("password"), raw.password.as_ref(), raw.directory.is_some());
    if password.mode == PasswordMode::Admins && enabled {
        // Without roles to look up no user can be told from an administrator.
        if raw.directory.is_none() {
            at.field("password")
                .field("mode")
                .problem("admins needs a directory that knows the administrators");
        }
        if password.admin_roles.is_empty() && password.administrators.is_empty() {
            at.field("password")
                .field("admin_roles")
                .problem("is empty: mode admins needs at least one role");
        }
        password::has_admins(&at.field("password"), &password, &directory, &mapping);
    } else if enabled && raw.directory.is_none() {
        password::warn_without_directory(&at.field("password"), &password, &mapping);
    }
    let provisioning = provisioning::check(&at.field("provisioning"), raw.provisioning.as_ref());
    if provisioning.mode != ProvisioningMode::Off && raw.directory.is_none() {
        at.field("provisioning")
            .field("mode")
            .problem("needs a directory: without one the identity is the user");
    }
    let access = access::check(&at.field("access"), &raw.access, &providers);
    let bearer = raw.bearer.as_ref().map(|raw| bearer::check(&at.field("bearer"), raw, &providers));
    if bearer.is_none() {
        for (i, rule) in raw.access.iter().enumerate().filter(|(_, rule)| rule.resource.is_some()) {
            let _ = rule;
            at.field("access").index(i).field("resource").problem("needs bearer: no token counts without it");
        }
    }
    let has_groups = |provider: &Rc<Provider>| provider.groups().is_some();
    if providers.iter().any(has_groups) && mapping.roles_claim.is_empty() {
        at.field("mapping")
            .field("roles_claim")
            .problem("is missing: the names of a provider's groups are added to its values");
    }
    let paths = Paths::check(&at.field("paths"), &raw.paths, &code, &with_code(&providers));
    if enabled {
        providers::check(at, raw, &providers, &paths);
    }
    if enabled {
        password::warn(&at.field("password"), &password, raw.password.as_ref());
        password::apart(&at.field("password"), &password, &paths);
        password::reachable(&at.field("password").field("page"), &password, &access);
    }
    let (not_before, not_before_users) = not_before(at, raw);
    Account {
        paths: Rc::new(paths),
        code,
        origins,
        patterns,
        login_origin,
        enabled,
        mapping,
        provisioning,
        access,
        bearer,
        logout: logout::check(&at.field("logout"), raw.logout.as_ref()),
        forward: forward::check(&at.field("forward"), raw.forward.as_ref(), env),
        providers,
        directory,
        password,
        not_before,
        not_before_users,
        self_service: raw
            .self_service
            .as_ref()
            .map(|raw| self_service::check(&at.field("self_service"), raw)),
        file,
        is_draft: false,
        kept: Kept::default(),
    }
}

/// The ids of the providers that send a code.
fn with_code(providers: &[Rc<Provider>]) -> Vec<&str> {
    let has_code = |provider: &&Rc<Provider>| !matches!(provider.protocol, Protocol::Saml(_));
    providers.iter().filter(has_code).map(|provider| provider.id.as_str()).collect()
}

fn providers(at: &At<'_>, raw: &[raw::IdentityProvider], env: &dyn Environment) -> Vec<Rc<Provider>> {
    let (mut ids, mut issuers) = (HashSet::new(), HashSet::new());
    raw
        .iter()
        .enumerate()
        .filter_map(|(i, raw)| {
            let at = at.index(i);
            if !ids.insert(raw.id.as_str()) {
                at.field("id").problem(format!("{:?} is another provider's already", raw.id));
            }
            if let Some(issuer) = raw.saml.as_ref().and_then(|saml| saml.issuer.as_ref()) {
                if !issuers.insert(issuer) {
                    at.field("saml").field("issuer").warning(
                        "is another provider's too: sign-ins that begin at the IdP and its logout messages count as \
                         the first one's",
                    );
                }
            }
            provider::check(&at, raw, env).map(Rc::new)
        })
        .collect()
}

/// Two providers that know the same secret or key of ours could each use what we send to one of them at the other.
fn apart(at: &At<'_>, providers: &[Rc<Provider>]) {
    let credentials = |provider: &Provider| match &provider.protocol {
        Protocol::Oidc(oidc) => Some(("oidc", oidc.client.clone())),
        Protocol::OAuth2(oauth2) => Some(("oauth2", oauth2.client.clone())),
        Protocol::Saml(_) => None,
    };
    for (n, provider) in providers.iter().enumerate() {
        let Some((protocol, own)) = credentials(provider) else { continue };
        for other in providers.iter().take(n) {
            let Some((_, theirs)) = credentials(other) else { continue };
            let source = |source: &Option<SecretSource>| match source {
                Some(SecretSource::Fixed(secret)) => Some(secret.expose().to_owned()),
                Some(SecretSource::File(file)) => Some(file.url.to_string()),
                None => None,
            };
            let key = |of: &ClientCredentials| of.key.as_ref().map(|key| key.private_key.expose().to_owned());
            for (name, one, two) in [
                ("client_secret", source(&own.secret), source(&theirs.secret)),
                ("client_key", key(&own), key(&theirs)),
                ("client_assertion", source(&own.assertion), source(&theirs.assertion)),
            ] {
                if one.is_some() && one == two {
                    at.index(n).field(protocol).field(name).warning(format!(
                        "is that of {:?} too: either provider could use what it receives at the other; use one of its own",
                        other.id
                    ));
                }
            }
        }
    }
}

fn plain_path(at: &At<'_>, path: &str) {
    if !path.starts_with('/') || Path::read(path.as_bytes()).plain() != Some(path) {
        at.problem(format!("expected an absolute path in its plain form, without query, found {path:?}"));
    }
}

fn not_before(at: &At<'_>, raw: &raw::Account) -> (u64, BTreeMap<String, u64>) {
    let read = |at: &At<'_>, text: &str| {
        crate::values::time::parse_rfc3339(text).unwrap_or_else(|| {
            at.problem(format!("expected a time such as 2026-11-22T10:00:00Z, found {text:?}"));
            0
        })
    };
    let all = raw.not_before.as_deref().map_or(0, |text| read(&at.field("not_before"), text));
    let of = |(user, text): (&String, &String)| {
        (user.clone(), read(&at.field("not_before_users").field(user), text))
    };
    (all, order::gathered(raw.not_before_users.iter().map(of)))
}
