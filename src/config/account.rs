//! Accounts, checked.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use url::Url;

use super::duration;
use super::env::{self, Environment};
use super::paths::Paths;
use super::problems::At;
use super::provider::{self, Provider};
use super::raw::{
    self, Allow, Attribute, EmailVerified, MappingFrom, PasswordMode, ProvisioningMode, Switch,
};
use crate::request::{Path, Reserved};
use crate::secret::Secret;
use crate::surface::{demand, Demand};

/// One customer or deployment.
#[derive(Debug)]
pub struct Account {
    /// The `u` of the callback URLs.
    pub code: String,
    /// Where it is served.
    pub origins: Vec<Origin>,
    /// Single sign-on is on.
    pub enabled: bool,
    /// The filter's own endpoints.
    pub paths: Paths,
    /// Where people may come from.
    pub providers: Vec<Rc<Provider>>,
    /// How an identity becomes a user.
    pub mapping: Mapping,
    /// Where users are looked up.
    pub directory: Directory,
    /// What happens when nobody matches.
    pub provisioning: Provisioning,
    /// Who may still use a password.
    pub password: Password,
    /// Who may ask for what; the first match counts.
    pub access: Vec<AccessRule>,
    /// Bearer tokens.
    pub bearer: Option<Bearer>,
    /// What the application is told.
    pub forward: Forward,
    /// Sessions opened before (milliseconds since 1970) are over.
    pub not_before: u64,
    /// The same by username.
    pub not_before_users: BTreeMap<String, u64>,
}

/// Scheme and authority, as browsers write them: no default port, lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// `host` or `host:port`.
    pub authority: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// Identity to user.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Where the claim is read.
    pub from: MappingFrom,
    /// A claim name or JSON Pointer.
    pub claim: String,
    /// The directory field.
    pub attribute: Attribute,
    /// Digits.
    pub default_country_code: Option<String>,
    /// When an email counts.
    pub email_verified: EmailVerified,
    /// Groups or roles.
    pub roles_claim: Option<String>,
    /// Group to role.
    pub role_map: BTreeMap<String, String>,
}

/// Where users are looked up.
#[derive(Debug)]
pub enum Directory {
    /// Nowhere: the identity is the user.
    None,
    /// A list in the configuration.
    Static(Vec<StaticUser>),
    /// A SCIM 2.0 server.
    Scim(Box<Scim>),
}

/// A user of the configuration's list.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct StaticUser {
    pub username: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub active: bool,
    pub external_id: Option<String>,
}

/// A SCIM 2.0 server.
#[derive(Clone, Debug)]
pub struct Scim {
    /// Base URL without a trailing slash.
    pub url: Url,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Milliseconds.
    pub timeout: u64,
    /// Milliseconds an answer is kept; 0: not at all.
    pub cache: u64,
}

/// What happens when nobody matches.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// off, invited, automatic.
    pub mode: ProvisioningMode,
    /// Lower case; `*` says all.
    pub email_domains: Vec<String>,
    /// Roles of a user created automatically.
    pub roles: Vec<String>,
    /// Who may accept.
    pub invitations: Vec<Invitation>,
}

/// One invitation.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Invitation {
    pub email: String,
    pub roles: Vec<String>,
}

/// The password rule.
#[derive(Clone, Debug)]
pub struct Password {
    /// enabled, admins, disabled.
    pub mode: PasswordMode,
    /// The roles that make an administrator.
    pub admin_roles: Vec<String>,
    /// Where the application takes passwords.
    pub logins: Vec<Rc<PasswordLogin>>,
    /// Its own password page.
    pub page: Option<String>,
    /// Failures a username has.
    pub attempts: AttemptLimit,
}

/// A request that carries a password.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// Exact path.
    pub path: String,
    /// Where the username is.
    pub username: UsernameField,
    /// What an accepted password looks like.
    pub success: Success,
}

/// Where the username is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameField {
    /// A JSON Pointer (RFC 6901).
    Json(String),
    /// A form field's name.
    Form(String),
}

/// What an accepted password looks like.
#[derive(Clone, Debug, Default)]
pub struct Success {
    /// Empty: any 2xx.
    pub status: Vec<u16>,
    /// A cookie that is set to something.
    pub cookie: Option<String>,
    /// Where it redirects to; a trailing `*` matches the rest.
    pub redirect: Option<String>,
}

/// Failures a username has in a window.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct AttemptLimit {
    pub limit: u32,
    /// Milliseconds.
    pub window: u64,
}

/// One rule of `access`.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Which paths.
    pub matches: Match,
    /// How a request authenticates.
    pub admission: Admission,
}

/// Which paths a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Match {
    Path(String),
    Prefix(String),
}

/// How a request authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not at all.
    Anyone,
    /// By a session or bearer token with one of these roles (none: any).
    Users {
        /// One of them is needed.
        roles: Vec<String>,
        /// `acr` must be one of them (none: any).
        acr_values: Vec<String>,
        /// Milliseconds since the person authenticated at the IdP.
        max_age: Option<u64>,
    },
    /// By the application's own credentials, left alone.
    Programs,
}

/// Bearer tokens that count as a session.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// Audiences that mean this application.
    pub audiences: Vec<String>,
    /// Ids of the providers whose tokens count.
    pub providers: Vec<String>,
    /// Other issuers by provider id.
    pub issuers: BTreeMap<String, String>,
}

/// What the application is told.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Lower case.
    pub prefix: String,
    /// Header to claim; headers in lower case.
    pub headers: Vec<(String, String)>,
    /// The header that carries the access token, lower case.
    pub access_token: Option<String>,
    /// What of it nobody else may set.
    pub reserved: Reserved,
}

impl Forward {
    /// Names in lower case.
    pub fn new(prefix: String, headers: Vec<(String, String)>, access_token: Option<String>) -> Self {
        // A token in `authorization` replaces what is there.
        let token = access_token.as_deref().filter(|name| *name != "authorization");
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).chain(token).collect();
        let reserved = Reserved::new(&prefix, &names);
        Self { prefix, headers, access_token, reserved }
    }
}

impl Account {
    /// Its origins as browsers send them in `Origin`.
    pub fn origin_texts(&self) -> Vec<String> {
        self.origins.iter().map(ToString::to_string).collect()
    }

    /// True where the user is an administrator.
    pub fn is_admin(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.password.admin_roles.contains(role))
    }

    /// The provider of that id.
    pub fn provider(&self, id: &str) -> Option<&Rc<Provider>> {
        self.providers.iter().find(|provider| provider.id == id)
    }
}

/// Checks one account.
pub(super) fn check(at: &At<'_>, raw: &raw::Account, code: String, env: &dyn Environment) -> Account {
    if code.is_empty()
        || code.len() > 64
        || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        at.field("code").problem("expected 1 to 64 letters, digits, '-', '_' and '.'");
    }
    if raw.origins.is_empty() {
        at.field("origins")
            .problem("is missing: where the account is served, such as https://app.example.com");
    }
    let origins = raw
        .origins
        .iter()
        .enumerate()
        .filter_map(|(i, text)| origin(&at.field("origins").index(i), text))
        .collect();
    let enabled = raw.sso == Some(Switch::Enabled);
    let (mut ids, mut issuers) = (HashSet::new(), HashSet::new());
    let providers: Vec<Rc<Provider>> = raw
        .identity_providers
        .iter()
        .enumerate()
        .filter_map(|(i, raw)| {
            let at = at.field("identity_providers").index(i);
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
        .collect();
    if enabled && raw.identity_providers.is_empty() {
        at.field("identity_providers")
            .problem("is empty: single sign-on is enabled, so at least one is needed");
    }
    let directory = directory(&at.field("directory"), raw.directory.as_ref(), env);
    let mapping = mapping(&at.field("mapping"), raw.mapping.as_ref());
    let password = password(&at.field("password"), raw.password.as_ref());
    if password.mode == PasswordMode::Admins && enabled {
        // Without roles to look up nobody could be told from an administrator.
        if matches!(directory, Directory::None) {
            at.field("password")
                .field("mode")
                .problem("admins needs a directory that knows the administrators");
        }
        if password.admin_roles.is_empty() {
            at.field("password")
                .field("admin_roles")
                .problem("is empty: mode admins needs at least one role");
        }
    }
    let provisioning = provisioning(&at.field("provisioning"), raw.provisioning.as_ref());
    if provisioning.mode != ProvisioningMode::Off && matches!(directory, Directory::None) {
        at.field("provisioning")
            .field("mode")
            .problem("needs a directory: without one the identity is the user");
    }
    let access = access(&at.field("access"), &raw.access);
    if enabled {
        reachable(&at.field("password").field("page"), &password, &access);
    }
    let (not_before, not_before_users) = not_before(at, raw);
    Account {
        paths: Paths::check(&at.field("paths"), &raw.paths, &code),
        code,
        origins,
        enabled,
        mapping,
        provisioning,
        access,
        bearer: raw.bearer.as_ref().map(|raw| bearer(&at.field("bearer"), raw, &providers)),
        forward: forward(&at.field("forward"), raw.forward.as_ref()),
        providers,
        directory,
        password,
        not_before,
        not_before_users,
    }
}

/// A password page behind single sign-on is no way in.
fn reachable(at: &At<'_>, password: &Password, access: &[AccessRule]) {
    let Some(page) = password.page.as_ref().filter(|_| password.mode != PasswordMode::Disabled) else {
        return;
    };
    let is_login = password.logins.iter().any(|login| login.path == *page);
    let path = Path::read(page.as_bytes());
    if !is_login && matches!(demand(access, &path, page.as_bytes()), Demand::Users(_)) {
        at.warning(format!(
            "leads to single sign-on: access needs {{ path: {page}, allow: anyone }} for people to reach it"
        ));
    }
}

fn origin(at: &At<'_>, text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    let Some(url) = url else {
        at.problem(format!("expected an origin such as https://app.example.com, found {text:?}"));
        return None;
    };
    Some(Origin { scheme: url.scheme().to_owned(), authority: crate::task::authority(&url) })
}

fn mapping(at: &At<'_>, raw: Option<&raw::Mapping>) -> Mapping {
    let default = raw::Mapping::default();
    let raw = raw.unwrap_or(&default);
    let claim = raw.claim.clone().unwrap_or_else(|| "email".into());
    if claim.is_empty() {
        at.field("claim").problem("expected a claim, an attribute, NameID or a JSON Pointer");
    }
    let code = raw.default_country_code.as_deref().map(|code| code.trim_start_matches('+').to_owned());
    if let Some(code) = &code {
        if code.is_empty()
            || code.len() > 3
            || !code.bytes().all(|b| b.is_ascii_digit())
            || code.starts_with('0')
        {
            at.field("default_country_code").problem("expected one to three digits, such as \"86\"");
        }
    }
    Mapping {
        from: raw.from.unwrap_or_default(),
        claim,
        attribute: raw.attribute.unwrap_or_default(),
        default_country_code: code,
        email_verified: raw.email_verified.unwrap_or_default(),
        roles_claim: raw.roles_claim.clone(),
        role_map: raw.role_map.clone(),
    }
}

fn directory(at: &At<'_>, raw: Option<&raw::Directory>, env: &dyn Environment) -> Directory {
    let Some(raw) = raw else { return Directory::None };
    match (&raw.r#static, &raw.scim) {
        (Some(list), None) => {
            Directory::Static(static_users(&at.field("static").field("users"), &list.users))
        }
        (None, Some(scim)) => {
            let at = at.field("scim");
            let Some(mut url) = provider::required_url(&at, "url", &scim.url) else { return Directory::None };
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
            if url.query().is_some() {
                at.field("url").problem("expected a base URL without a query");
            }
            Directory::Scim(Box::new(Scim {
                url,
                token: scim.token.as_ref().and_then(|raw| env::secret(&at.field("token"), raw, env)),
                timeout: duration::field(&at, "timeout", &scim.timeout, 2_000, (50, 60_000)),
                cache: duration::field(&at, "cache", &scim.cache, 30_000, (0, 3_600_000)),
            }))
        }
        _ => {
            at.problem("expected exactly one of static and scim");
            Directory::None
        }
    }
}

fn static_users(at: &At<'_>, raw: &[raw::StaticUser]) -> Vec<StaticUser> {
    let mut names = HashSet::new();
    raw.iter()
        .enumerate()
        .map(|(i, user)| {
            if user.username.is_empty() {
                at.index(i).field("username").problem("is missing");
            } else if !names.insert(user.username.as_str()) {
                at.index(i)
                    .field("username")
                    .problem(format!("{:?} is another user's already", user.username));
            }
            StaticUser {
                username: user.username.clone(),
                email: user.email.clone(),
                phone: user.phone.clone(),
                name: user.name.clone(),
                roles: user.roles.clone(),
                active: user.active.unwrap_or(true),
                external_id: user.external_id.clone(),
            }
        })
        .collect()
}

fn provisioning(at: &At<'_>, raw: Option<&raw::Provisioning>) -> Provisioning {
    let default = raw::Provisioning::default();
    let raw = raw.unwrap_or(&default);
    let mode = raw.mode.unwrap_or_default();
    if mode == ProvisioningMode::Automatic && raw.email_domains.is_empty() {
        at.field("email_domains").problem("is empty: automatic needs the domains let in; [\"*\"] says all");
    }
    for (i, invitation) in raw.invitations.iter().enumerate() {
        if !invitation.email.contains('@') {
            at.field("invitations").index(i).field("email").problem("expected an email address");
        }
    }
    Provisioning {
        mode,
        email_domains: raw.email_domains.iter().map(|d| d.trim().to_ascii_lowercase()).collect(),
        roles: raw.roles.clone(),
        invitations: raw
            .invitations
            .iter()
            .map(|i| Invitation { email: i.email.clone(), roles: i.roles.clone() })
            .collect(),
    }
}

fn password(at: &At<'_>, raw: Option<&raw::Password>) -> Password {
    let default = raw::Password::default();
    let raw = raw.unwrap_or(&default);
    let mut paths = HashSet::new();
    let mut logins = Vec::new();
    for (i, login) in raw.logins.iter().enumerate() {
        let at = at.field("logins").index(i);
        plain_path(&at.field("path"), &login.path);
        if !paths.insert(login.path.as_str()) {
            at.field("path").problem(format!("{:?} is another login's already", login.path));
        }
        let username = match (&login.username.json, &login.username.form) {
            (Some(pointer), None) if pointer.starts_with('/') => UsernameField::Json(pointer.clone()),
            (None, Some(field)) if !field.is_empty() => UsernameField::Form(field.clone()),
            (Some(_), None) => {
                at.field("username").field("json").problem("expected a JSON Pointer such as /username");
                continue;
            }
            _ => {
                at.field("username").problem("expected exactly one of json and form");
                continue;
            }
        };
        let raw = login.success.clone().unwrap_or_default();
        for (i, status) in raw.status.iter().enumerate() {
            if !(200..=599).contains(status) {
                at.field("success").field("status").index(i).problem("expected an HTTP status");
            }
        }
        let success = Success { status: raw.status, cookie: raw.cookie, redirect: raw.redirect };
        logins.push(Rc::new(PasswordLogin { path: login.path.clone(), username, success }));
    }
    if let Some(page) = &raw.page {
        plain_path(&at.field("page"), page);
    }
    let attempts = raw.attempts.clone().unwrap_or_default();
    let limit = attempts.limit.unwrap_or(10);
    if !(1..=1000).contains(&limit) {
        at.field("attempts").field("limit").problem("expected a number from 1 to 1000");
    }
    Password {
        mode: raw.mode.unwrap_or_default(),
        admin_roles: raw.admin_roles.clone(),
        logins,
        page: raw.page.clone(),
        attempts: AttemptLimit {
            limit,
            window: duration::field(
                &at.field("attempts"),
                "window",
                &attempts.window,
                300_000,
                (1_000, 86_400_000),
            ),
        },
    }
}

fn access(at: &At<'_>, raw: &[raw::AccessRule]) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    for (i, rule) in raw.iter().enumerate() {
        let at = at.index(i);
        let matches = match (&rule.path, &rule.prefix) {
            (Some(path), None) => {
                plain_path(&at.field("path"), path);
                Match::Path(path.clone())
            }
            (None, Some(prefix)) => {
                plain_path(&at.field("prefix"), prefix);
                Match::Prefix(prefix.clone())
            }
            _ => {
                at.problem("expected exactly one of path and prefix");
                continue;
            }
        };
        let Some(allow) = rule.allow else {
            at.field("allow").problem("is missing: anyone, users or programs");
            continue;
        };
        let users_only = !rule.roles.is_empty() || !rule.acr_values.is_empty() || rule.max_age.is_some();
        if allow != Allow::Users && users_only {
            at.problem("roles, acr_values and max_age go with allow: users only");
        }
        for acr in rule.acr_values.iter().filter(|acr| !is_acr(acr)) {
            at.field("acr_values")
                .problem(format!("{acr:?} is no acr: visible ASCII without spaces and quotes"));
        }
        let admission = match allow {
            Allow::Anyone => Admission::Anyone,
            Allow::Programs => Admission::Programs,
            Allow::Users => Admission::Users {
                roles: rule.roles.clone(),
                acr_values: rule.acr_values.clone(),
                max_age: rule
                    .max_age
                    .as_ref()
                    .map(|_| duration::field(&at, "max_age", &rule.max_age, 0, (1_000, 31_536_000_000))),
            },
        };
        rules.push(AccessRule { matches, admission });
    }
    rules
}

/// The list goes to IdPs separated by spaces, and to programs between quotes.
fn is_acr(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

fn bearer(at: &At<'_>, raw: &raw::Bearer, providers: &[Rc<Provider>]) -> Bearer {
    if raw.audiences.is_empty() {
        at.field("audiences").problem("is empty: a token for any audience would count");
    }
    // Only an OpenID provider has keys that its tokens are verified with.
    let is_openid =
        |id: &String| providers.iter().any(|p| p.id == *id && matches!(p.protocol, super::Protocol::Oidc(_)));
    for (i, id) in raw.providers.iter().enumerate() {
        let at = at.field("providers").index(i);
        if !providers.iter().any(|p| p.id == *id) {
            at.problem(format!("no identity provider has the id {id:?}"));
        } else if !is_openid(id) {
            at.problem(format!("{id:?} is no oidc provider: there are no keys to verify its tokens with"));
        }
    }
    let ids: Vec<String> = match raw.providers.is_empty() {
        true => providers.iter().map(|p| p.id.clone()).filter(is_openid).collect(),
        false => raw.providers.clone(),
    };
    if ids.is_empty() {
        at.problem("needs an oidc provider: there are no keys to verify tokens with");
    }
    for id in raw.issuers.keys().filter(|id| !ids.contains(*id)) {
        at.field("issuers").field(id).problem("is none of the providers whose tokens count");
    }
    Bearer { audiences: raw.audiences.clone(), providers: ids, issuers: raw.issuers.clone() }
}

fn forward(at: &At<'_>, raw: Option<&raw::Forward>) -> Forward {
    let default = raw::Forward::default();
    let raw = raw.unwrap_or(&default);
    let prefix = raw.prefix.clone().unwrap_or_else(|| "x-sso-".into()).to_ascii_lowercase();
    if prefix.len() < 3 || !header_name(&prefix) || !prefix.ends_with('-') {
        at.field("prefix").problem("expected the beginning of a header name, ending in '-', such as x-sso-");
    }
    let mut headers = Vec::new();
    for (name, claim) in &raw.headers {
        check_header(&at.field("headers").field(name), name);
        if claim.is_empty() {
            at.field("headers").field(name).problem("expected a claim or a JSON Pointer");
        }
        headers.push((name.to_ascii_lowercase(), claim.clone()));
    }
    if let Some(name) = &raw.access_token {
        if !name.eq_ignore_ascii_case("authorization") {
            check_header(&at.field("access_token"), name);
        }
    }
    Forward::new(prefix, headers, raw.access_token.as_ref().map(|name| name.to_ascii_lowercase()))
}

/// Headers that mean something to proxies or frame the message: none of ours to set.
fn check_header(at: &At<'_>, name: &str) {
    const RESERVED: [&str; 12] = [
        "host",
        "cookie",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "te",
        "transfer-encoding",
        "upgrade",
        "expect",
        "forwarded",
        "authorization",
    ];
    let lower = name.to_ascii_lowercase();
    if !header_name(&lower) {
        at.problem("expected a header name");
    } else if RESERVED.contains(&lower.as_str())
        || lower.starts_with("x-envoy-")
        || lower.starts_with("x-forwarded-")
    {
        at.problem("is a header the filter does not set");
    }
}

fn header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn plain_path(at: &At<'_>, path: &str) {
    if !path.starts_with('/') || Path::read(path.as_bytes()).plain() != Some(path) {
        at.problem(format!("expected an absolute path in its plain form, without query, found {path:?}"));
    }
}

fn not_before(at: &At<'_>, raw: &raw::Account) -> (u64, BTreeMap<String, u64>) {
    let read = |at: &At<'_>, text: &str| {
        crate::identity::time::parse_rfc3339(text).unwrap_or_else(|| {
            at.problem(format!("expected a time such as 2026-11-22T10:00:00Z, found {text:?}"));
            0
        })
    };
    let all = raw.not_before.as_deref().map_or(0, |text| read(&at.field("not_before"), text));
    let users = raw
        .not_before_users
        .iter()
        .map(|(user, text)| (user.clone(), read(&at.field("not_before_users").field(user), text)))
        .collect();
    (all, users)
}
