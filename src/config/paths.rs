//! The paths of the filter's own endpoints.

use std::borrow::Cow;

use super::problems::At;
use super::raw;

/// One of the filter's own endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Endpoint {
    Login,
    OidcCallback,
    SamlCallback,
    SamlMetadata,
    SamlLogout,
    Logout,
    LogoutComplete,
    BackchannelLogout,
    FrontchannelLogout,
    Session,
    Invitation,
    Admin,
    Jwks,
    Ready,
}

/// Stands for the provider's id in `oidc_callback`.
const IDP: &str = "{idp}";

/// Each endpoint with its path, and the query it is registered with.
#[derive(Clone, Debug)]
pub struct Paths {
    /// With `{idp}` in it, `oidc_callback` has an entry for each provider.
    entries: Vec<(Endpoint, String, Option<String>)>,
    /// The redirect URI of each provider, by its id; empty without `{idp}`.
    callbacks: Vec<(String, String)>,
    /// How all of the paths begin: most requests are told from them by this.
    beginning: String,
}

impl Paths {
    /// True if every callback has the account's code, and nothing else, as its query.
    pub(super) fn name_account(&self, code: &str) -> bool {
        let is_callback = |endpoint| matches!(endpoint, Endpoint::OidcCallback | Endpoint::SamlCallback);
        let mut callbacks = self.entries.iter().filter(|(endpoint, ..)| is_callback(*endpoint));
        callbacks.all(|(.., query)| query.as_deref().and_then(|query| query.strip_prefix("u=")) == Some(code))
    }

    /// The default paths, for tests.
    #[cfg(test)]
    pub(crate) fn of(code: &str) -> Self {
        Self::check(&super::problems::Problems::default().root(), &raw::Paths::default(), code, &[])
    }

    /// `providers`: the ids of those with an `oidc_callback`.
    pub(super) fn check(at: &At<'_>, raw: &raw::Paths, code: &str, providers: &[&str]) -> Self {
        use Endpoint::*;
        let table: [(Endpoint, &str, &Option<String>, &str); 14] = [
            (Login, "login", &raw.login, "/sso/login"),
            (OidcCallback, "oidc_callback", &raw.oidc_callback, "/sso/oidc/consume?u={code}"),
            (SamlCallback, "saml_callback", &raw.saml_callback, "/sso/saml/consume?u={code}"),
            (SamlMetadata, "saml_metadata", &raw.saml_metadata, "/sso/saml/metadata?u={code}"),
            (SamlLogout, "saml_logout", &raw.saml_logout, "/sso/saml/logout?u={code}"),
            (Logout, "logout", &raw.logout, "/sso/logout"),
            (LogoutComplete, "logout_complete", &raw.logout_complete, "/sso/logout-complete"),
            (
                BackchannelLogout,
                "backchannel_logout",
                &raw.backchannel_logout,
                "/sso/backchannel-logout?u={code}",
            ),
            (
                FrontchannelLogout,
                "frontchannel_logout",
                &raw.frontchannel_logout,
                "/sso/frontchannel-logout?u={code}",
            ),
            (Session, "session", &raw.session, "/sso/session"),
            (Invitation, "invitation", &raw.invitation, "/sso/invitation"),
            (Admin, "admin", &raw.admin, "/sso/admin"),
            (Jwks, "jwks", &raw.jwks, "/sso/jwks"),
            (Ready, "ready", &raw.ready, "/sso/ready"),
        ];
        let mut entries: Vec<(Endpoint, String, Option<String>)> = Vec::with_capacity(table.len());
        let mut callbacks = Vec::new();
        let mut values = Vec::with_capacity(table.len());
        for (endpoint, name, written, default) in table {
            let written = written.as_deref().unwrap_or(default);
            let value = written.replace("{code}", code);
            if endpoint == OidcCallback && value.contains(IDP) {
                for id in providers {
                    let value = value.replace(IDP, id);
                    callbacks.push(((*id).to_owned(), value.clone()));
                    values.push((endpoint, name, written, default, value));
                }
            } else {
                values.push((endpoint, name, written, default, value));
            }
        }
        for (endpoint, name, written, default, value) in values {
            let (path, query) = match value.split_once('?') {
                Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
                None => (value.clone(), None),
            };
            if !path.starts_with('/')
                || crate::http::Path::read(path.as_bytes()).plain() != Some(path.as_str())
            {
                at.field(name).problem(format!(
                    "expected an absolute path in its plain form, such as {default:?}, found {written:?}"
                ));
            } else if let Some((other, ..)) =
                entries.iter().find(|(own, p, _)| *p == path && *own != endpoint)
            {
                at.field(name).problem(format!("has the same path as {}: {path:?}", other.name()));
            }
            entries.push((endpoint, path, query));
        }
        let beginning = entries.iter().map(|(_, path, _)| path.as_str()).reduce(common).unwrap_or_default();
        Self { beginning: beginning.to_owned(), entries, callbacks }
    }

    /// The endpoint that a plain path names. Whatever lies below the administrators' page is theirs.
    #[inline]
    pub fn endpoint(&self, path: &str) -> Option<Endpoint> {
        if !path.starts_with(&self.beginning) {
            return None;
        }
        self.entries
            .iter()
            .find(|(endpoint, own, _)| {
                path == own
                    || *endpoint == Endpoint::Admin
                        && path.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(endpoint, ..)| *endpoint)
    }

    /// Every endpoint with its path.
    pub(super) fn all(&self) -> impl Iterator<Item = (Endpoint, &str)> {
        self.entries.iter().map(|(endpoint, path, _)| (*endpoint, path.as_str()))
    }

    /// The path of an endpoint, without its query.
    pub fn path(&self, endpoint: Endpoint) -> &str {
        self.entry(endpoint).map_or("/", |(_, path, _)| path)
    }

    /// Path and query as they are registered at the IdP.
    pub fn registered(&self, endpoint: Endpoint) -> String {
        match self.entry(endpoint) {
            Some((_, path, Some(query))) => [path, "?", query].concat(),
            Some((_, path, None)) => path.clone(),
            None => "/".into(),
        }
    }

    /// Path and query of the redirect URI of a provider.
    pub fn callback(&self, provider: &str) -> String {
        match self.callbacks.iter().find(|(id, _)| id == provider) {
            Some((_, own)) => own.clone(),
            None => self.registered(Endpoint::OidcCallback),
        }
    }

    /// True if a callback that arrived at this path and query may be of this provider.
    ///
    /// Each provider has a redirect URI of its own then (RFC 9700 section 4.4.2.2): an attacker's provider that sends the
    /// browser on to another one does not get the other's code.
    pub fn is_callback_of(&self, provider: &str, path: &str, query: Option<&[u8]>) -> bool {
        let Some((_, own)) = self.callbacks.iter().find(|(id, _)| id == provider) else {
            return self.callbacks.is_empty();
        };
        let (own_path, own_query) = own.split_once('?').unwrap_or((own, ""));
        let sent: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default()).collect();
        let once = |pair: &(Cow<'_, str>, Cow<'_, str>)| {
            let mut named = sent.iter().filter(|(name, _)| *name == pair.0);
            named.next().is_some_and(|(_, value)| *value == pair.1) && named.next().is_none()
        };
        path == own_path && url::form_urlencoded::parse(own_query.as_bytes()).all(|pair| once(&pair))
    }

    /// True if each provider has a redirect URI of its own.
    pub fn callbacks_differ(&self) -> bool {
        !self.callbacks.is_empty()
    }

    fn entry(&self, endpoint: Endpoint) -> Option<&(Endpoint, String, Option<String>)> {
        self.entries.iter().find(|(own, ..)| *own == endpoint)
    }
}

/// What both begin with.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let length = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    one.get(..length).unwrap_or_default()
}

impl Endpoint {
    /// Its key in `paths`.
    pub(super) fn name(self) -> &'static str {
        use Endpoint::*;
        match self {
            Login => "login",
            OidcCallback => "oidc_callback",
            SamlCallback => "saml_callback",
            SamlMetadata => "saml_metadata",
            SamlLogout => "saml_logout",
            Logout => "logout",
            LogoutComplete => "logout_complete",
            BackchannelLogout => "backchannel_logout",
            FrontchannelLogout => "frontchannel_logout",
            Session => "session",
            Invitation => "invitation",
            Admin => "admin",
            Jwks => "jwks",
            Ready => "ready",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_wherever_they_are() {
        let apart = raw::Paths { login: Some("/enter".into()), ..raw::Paths::default() };
        let apart = Paths::check(&super::super::problems::Problems::default().root(), &apart, "acme", &[]);
        for (path, usual, moved) in [
            ("/sso/login", Some(Endpoint::Login), None),
            ("/enter", None, Some(Endpoint::Login)),
            ("/sso/logout", Some(Endpoint::Logout), Some(Endpoint::Logout)),
            ("/sso/admin", Some(Endpoint::Admin), Some(Endpoint::Admin)),
            ("/sso/admin/check", Some(Endpoint::Admin), Some(Endpoint::Admin)),
            ("/sso/administrator", None, None),
            ("/sso/", None, None),
            ("/", None, None),
        ] {
            assert_eq!(Paths::of("acme").endpoint(path), usual, "{path}");
            assert_eq!(apart.endpoint(path), moved, "{path}");
        }
    }
}
