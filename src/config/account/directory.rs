//! Where users are looked up.

use std::collections::HashSet;

use url::Url;

use crate::config::env::{self, Environment};
use crate::config::problems::At;
use crate::config::{duration, raw, urls};
use crate::values::secret_source::SecretSource;

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
    pub token: Option<SecretSource>,
    /// Milliseconds.
    pub timeout: u64,
    /// Milliseconds an answer is kept; 0: not at all.
    pub cache: u64,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: Option<&raw::Directory>, env: &dyn Environment) -> Directory {
    let Some(raw) = raw else { return Directory::None };
    match (&raw.r#static, &raw.scim) {
        (Some(list), None) => {
            Directory::Static(static_users(&at.field("static").field("users"), &list.users))
        }
        (None, Some(scim)) => {
            let at = at.field("scim");
            let Some(mut url) = urls::required_url(&at, "url", &scim.url) else {
                return Directory::None;
            };
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
            if url.query().is_some() {
                at.field("url").problem("expected a base URL without a query");
            }
            Directory::Scim(Box::new(Scim {
                url,
                token: scim.token.as_ref().and_then(|raw| env::source(&at.field("token"), raw, env)),
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
