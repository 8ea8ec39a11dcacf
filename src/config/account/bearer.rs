//! Which bearer tokens count.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use url::Url;

use crate::config::problems::At;
use crate::config::urls;
use crate::config::{duration, names, raw, Protocol, Provider};

/// Bearer tokens that count as a session.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// Audiences that mean this application.
    pub audiences: Vec<String>,
    /// Ids of the providers whose tokens count.
    pub providers: Vec<String>,
    /// Other issuers by provider id.
    pub issuers: BTreeMap<String, String>,
    /// Some provider is asked about opaque tokens.
    pub introspects: bool,
    /// Issuers for programs alone.
    pub machines: Vec<Rc<Machine>>,
}

/// An issuer whose JWTs stand for programs.
#[derive(Debug)]
pub struct Machine {
    /// Its name in logs and `x-sso-idp`.
    pub id: String,
    /// Compared exactly with `iss`.
    pub issuer: String,
    /// The URL of its discovery document; absent: `jwks_uri` is configured.
    pub discovery: Option<Url>,
    /// The URL of its keys.
    pub jwks_uri: Option<Url>,
    /// Audiences that mean this application.
    pub audiences: Vec<String>,
    /// The claim that names the program.
    pub claim: String,
    /// Value of the claim to username.
    pub users: BTreeMap<String, String>,
    /// Milliseconds.
    pub timeout: u64,
}

impl Bearer {
    /// True if tokens of the provider or machine issuer of that id count.
    pub fn counts(&self, id: &str) -> bool {
        self.providers.iter().any(|own| own == id) || self.machines.iter().any(|machine| machine.id == id)
    }
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &raw::Bearer, providers: &[Rc<Provider>]) -> Bearer {
    let needed = raw.machines.is_empty()
        || !raw.providers.is_empty()
        || raw.machines.iter().any(|machine| machine.audiences.is_empty());
    if raw.audiences.is_empty() && needed {
        at.field("audiences").problem("is empty: a token for any audience would count");
    }
    // Only an OpenID provider has keys that its tokens are verified with.
    let is_openid =
        |id: &String| providers.iter().any(|p| p.id == *id && matches!(p.protocol, Protocol::Oidc(_)));
    for (i, id) in raw.providers.iter().enumerate() {
        let at = at.field("providers").index(i);
        if !providers.iter().any(|p| p.id == *id) {
            at.problem(format!("no identity provider has the id {id:?}"));
        } else if !is_openid(id) {
            at.problem(format!(
                "{id:?} is not an oidc provider: there are no keys to verify its tokens with"
            ));
        }
    }
    let ids: Vec<String> = match raw.providers.is_empty() {
        true => providers.iter().map(|p| p.id.clone()).filter(is_openid).collect(),
        false => raw.providers.clone(),
    };
    if ids.is_empty() && raw.machines.is_empty() {
        at.problem("needs an oidc provider or machines: there are no keys to verify tokens with");
    }
    for id in raw.issuers.keys().filter(|id| !ids.contains(*id)) {
        at.field("issuers").field(id).problem("is none of the providers whose tokens count");
    }
    let machines = machines(&at.field("machines"), raw, providers);
    let introspects = providers
        .iter()
        .filter(|provider| ids.contains(&provider.id))
        .any(|provider| matches!(&provider.protocol, Protocol::Oidc(oidc) if oidc.introspection.is_some()));
    Bearer {
        audiences: raw.audiences.clone(),
        providers: ids,
        issuers: raw.issuers.clone(),
        introspects,
        machines,
    }
}

fn machines(at: &At<'_>, raw: &raw::Bearer, providers: &[Rc<Provider>]) -> Vec<Rc<Machine>> {
    let mut ids: HashSet<&str> = providers.iter().map(|provider| provider.id.as_str()).collect();
    let mut machines = Vec::new();
    for (i, own) in raw.machines.iter().enumerate() {
        let at = at.index(i);
        if !names::is_id(&own.id) {
            at.field("id").problem("expected a name of letters, digits, '-', '_' and '.'");
        } else if !ids.insert(&own.id) {
            at.field("id").problem(format!("{:?} is another issuer's already", own.id));
        }
        if own.users.is_empty() {
            at.field("users").problem("is empty: no token of this issuer would stand for a user");
        }
        if own.discovery.is_some() && own.jwks_uri.is_some() {
            at.problem("expected one of discovery and jwks_uri, found both");
        }
        // The issuer need not be a URL where its keys are named.
        let discovery = match (&own.discovery, &own.jwks_uri) {
            (Some(text), _) => urls::required_url(&at, "discovery", text),
            (None, Some(_)) if !own.issuer.is_empty() => None,
            (None, _) => urls::required_url(&at, "issuer", &own.issuer).and_then(|_| {
                let base = own.issuer.trim_end_matches('/');
                Url::parse(&format!("{base}/.well-known/openid-configuration")).ok()
            }),
        };
        let timeout = duration::field(&at, "timeout", &own.timeout, 5_000, (50, 60_000));
        machines.push(Rc::new(Machine {
            id: own.id.clone(),
            issuer: own.issuer.clone(),
            discovery,
            jwks_uri: urls::url(&at, "jwks_uri", &own.jwks_uri),
            audiences: match own.audiences.is_empty() {
                true => raw.audiences.clone(),
                false => own.audiences.clone(),
            },
            claim: own.claim.clone().unwrap_or_else(|| "sub".into()),
            users: own.users.clone(),
            timeout,
        }));
    }
    machines
}
