//! What a provider says about itself (OpenID Connect Discovery 1.0 sections 3 and 4.3).

use serde_json::{Map, Value};
use url::{Host, Url};

use crate::config::{ClientAuth, Introspection, Oidc};
use crate::values::json;

/// A larger document is not read.
pub const MAX_METADATA: usize = 256 << 10;
/// Where the document stands under the issuer.
pub const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Entra's placeholder in the issuer of `common` and `organizations`.
pub const TENANT: &str = "{tenantid}";

/// A provider's metadata, checked, with the endpoints of the configuration put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `issuer`; with `{tenantid}` in it a template.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where the code is exchanged.
    pub token_endpoint: Url,
    /// UserInfo.
    pub userinfo_endpoint: Option<Url>,
    /// The keys.
    pub jwks_uri: Option<Url>,
    /// RP-initiated logout.
    pub end_session_endpoint: Option<Url>,
    /// RFC 9126.
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// RFC 7662.
    pub introspection_endpoint: Option<Url>,
    /// RFC 9126 section 5.
    pub require_pushed_authorization_requests: bool,
    /// RFC 9207 section 3: `iss` is promised at the callback.
    pub iss_parameter_supported: bool,
    /// `id_token_signing_alg_values_supported`.
    pub id_token_algs: Option<Vec<String>>,
    /// `token_endpoint_auth_methods_supported`.
    pub token_auth_methods: Option<Vec<String>>,
    /// OpenID Connect Back-Channel Logout 1.0 section 2.1.
    pub backchannel_logout_supported: bool,
    /// OpenID Connect Front-Channel Logout 1.0 section 3.
    pub frontchannel_logout_supported: bool,
    /// `access_token_issuer` of ADFS: the issuer of access tokens, and only of them.
    pub access_token_issuer: Option<String>,
    /// Every client gets another `sub` for one person (OpenID Connect Core section 8.1): `subject_types_supported`
    /// names nothing else.
    pub pairwise: bool,
}

impl Metadata {
    /// Reads the discovery document. Endpoints of the configuration win over the document's.
    #[cfg(test)]
    pub fn read(bytes: &[u8], oidc: &Oidc) -> Result<Self, String> {
        Self::read_apart_from(bytes, oidc, &[])
    }

    /// Reads the discovery document. Endpoints of the configuration win over the document's.
    ///
    /// `forbidden`: hosts that a document never leads to, the directories'. With a token of its choice a provider could
    /// read users there, and take the answer for UserInfo.
    pub fn read_apart_from(bytes: &[u8], oidc: &Oidc, forbidden: &[String]) -> Result<Self, String> {
        let document = json::parse_object(bytes, MAX_METADATA)?;
        let issuer = match document.get("issuer") {
            Some(Value::String(issuer)) => issuer.clone(),
            Some(other) => return Err(format!("issuer is {}", json::kind(other))),
            None => return Err("issuer is missing".into()),
        };
        check_issuer(&issuer, oidc)?;
        let by_hand = &oidc.endpoints;
        let aliases = mtls_aliases(&document, oidc);
        let endpoint = |name: &str, by_hand: &Option<Url>| match (by_hand, aliases) {
            (Some(url), _) => Ok(Some(url.clone())),
            (None, Some(aliases)) if aliases.contains_key(name) => {
                led_to(endpoint(aliases, name)?, name, oidc, forbidden)
            }
            (None, _) => led_to(endpoint(&document, name)?, name, oidc, forbidden),
        };
        let needed = |name: &str, by_hand: &Option<Url>| {
            endpoint(name, by_hand)?.ok_or_else(|| format!("{name} is missing"))
        };
        let flag = |name: &str| document.get(name) == Some(&Value::Bool(true));
        Ok(Self {
            authorization_endpoint: needed("authorization_endpoint", &by_hand.authorization)?,
            token_endpoint: needed("token_endpoint", &by_hand.token)?,
            userinfo_endpoint: endpoint("userinfo_endpoint", &by_hand.userinfo)?,
            jwks_uri: match endpoint("jwks_uri", &by_hand.jwks_uri)? {
                // Without keys no user could ever sign in: better said before they are sent away.
                None if oidc.jwks.is_none()
                    && !oidc.id_token_alg.as_deref().is_some_and(|alg| alg.starts_with("HS")) =>
                {
                    return Err("jwks_uri is missing".into());
                }
                uri => uri,
            },
            end_session_endpoint: endpoint("end_session_endpoint", &by_hand.end_session)?,
            pushed_authorization_request_endpoint: endpoint(
                "pushed_authorization_request_endpoint",
                &by_hand.pushed_authorization_request,
            )?,
            introspection_endpoint: match &oidc.introspection {
                Some(Introspection::Url(url)) => Some(url.clone()),
                Some(Introspection::Discovered) => endpoint("introspection_endpoint", &None)?,
                None => None,
            },
            require_pushed_authorization_requests: flag("require_pushed_authorization_requests"),
            iss_parameter_supported: flag("authorization_response_iss_parameter_supported"),
            id_token_algs: names(&document, "id_token_signing_alg_values_supported"),
            token_auth_methods: names(&document, "token_endpoint_auth_methods_supported"),
            backchannel_logout_supported: flag("backchannel_logout_supported"),
            frontchannel_logout_supported: flag("frontchannel_logout_supported"),
            access_token_issuer: document
                .get("access_token_issuer")
                .and_then(Value::as_str)
                .map(str::to_owned),
            pairwise: names(&document, "subject_types_supported").is_some_and(|types| types == ["pairwise"]),
            issuer,
        })
    }

    /// The metadata of a provider without discovery; the configuration has all that is needed.
    pub fn by_hand(oidc: &Oidc) -> Result<Self, String> {
        let endpoints = &oidc.endpoints;
        let missing = |name: &str| format!("{name} is not configured");
        Ok(Self {
            issuer: oidc.issuer.clone().ok_or_else(|| missing("issuer"))?,
            authorization_endpoint: endpoints
                .authorization
                .clone()
                .ok_or_else(|| missing("authorization_endpoint"))?,
            token_endpoint: endpoints.token.clone().ok_or_else(|| missing("token_endpoint"))?,
            userinfo_endpoint: endpoints.userinfo.clone(),
            jwks_uri: endpoints.jwks_uri.clone(),
            end_session_endpoint: endpoints.end_session.clone(),
            pushed_authorization_request_endpoint: endpoints.pushed_authorization_request.clone(),
            introspection_endpoint: match &oidc.introspection {
                Some(Introspection::Url(url)) => Some(url.clone()),
                _ => None,
            },
            require_pushed_authorization_requests: false,
            iss_parameter_supported: false,
            id_token_algs: None,
            token_auth_methods: None,
            backchannel_logout_supported: false,
            frontchannel_logout_supported: false,
            access_token_issuer: None,
            pairwise: false,
        })
    }

    /// Whether `iss` is this provider, byte for byte. For Entra's template the tenant is whatever stands
    /// in its place; `id_token` checks that it is the token's own and one that is let in.
    pub fn is_issuer(&self, iss: &str) -> bool {
        match self.issuer.split_once(TENANT) {
            Some(_) => self.tenant_of(iss).is_some(),
            None => iss == self.issuer || is_google(&self.issuer, iss),
        }
    }

    /// The issuer under which the identities of an `iss` are known, if it is this provider: Google's two
    /// forms are one, each tenant of Entra's template is one of its own.
    pub fn known_issuer(&self, iss: &str) -> Option<String> {
        self.is_issuer(iss).then(|| match self.tenant_of(iss) {
            Some(_) => iss.to_owned(),
            None => self.issuer.clone(),
        })
    }

    /// The tenant an issuer names, where this provider's issuer is a template.
    pub fn tenant_of<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let (before, after) = self.issuer.split_once(TENANT)?;
        iss.strip_prefix(before)?.strip_suffix(after).filter(|tenant| is_guid(tenant))
    }
}

/// True if a discovery document can stand at this address: OpenID Connect Discovery 1.0 section 4 puts the well-known path
/// behind the issuer's, RFC 8414 section 3.1 in front of it.
pub fn is_usual(url: &Url) -> bool {
    let names = [WELL_KNOWN, "/.well-known/oauth-authorization-server"];
    let rest = names.iter().find_map(|name| Some(url.path().split_once(name)?.1));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What to look at if this address brings no discovery document.
pub fn hint(url: &Url) -> &'static str {
    match is_usual(url) {
        true => "",
        false => "; does the address end in /.well-known/openid-configuration?",
    }
}

/// `mtls_endpoint_aliases` (RFC 8705 section 5): where a client goes that authenticates with a certificate.
fn mtls_aliases<'a>(document: &'a Map<String, Value>, oidc: &Oidc) -> Option<&'a Map<String, Value>> {
    let wanted = oidc.client.auth == Some(ClientAuth::Tls);
    document.get("mtls_endpoint_aliases").filter(|_| wanted)?.as_object()
}

/// Google's older form, which its documentation says to accept.
pub fn is_google(issuer: &str, iss: &str) -> bool {
    issuer == "https://accounts.google.com" && iss == "accounts.google.com"
}

/// A GUID as Entra writes it.
pub fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit() && !b.is_ascii_uppercase(),
        })
}

/// OpenID Connect Discovery 1.0 section 4.3: the document must speak for the issuer that was asked, else
/// one provider could answer for another (mix-up).
fn check_issuer(issuer: &str, oidc: &Oidc) -> Result<(), String> {
    if let Some(configured) = &oidc.issuer {
        return match configured == issuer {
            true => Ok(()),
            false => Err(format!("issuer is {issuer:?}, configured is {configured:?}")),
        };
    }
    let Some(exchange) = &oidc.discovery else { return Err("there is no discovery URL".into()) };
    let mut exchange = exchange.clone();
    exchange.set_query(None);
    let expected = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    let equal = match expected.split_once(TENANT) {
        // `common`, `organizations` or a tenant stands where the placeholder is.
        Some((before, after)) => exchange
            .as_str()
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/')),
        None => Url::parse(&expected).is_ok_and(|url| url == exchange),
    };
    match equal {
        true => Ok(()),
        false => Err(format!(
            "issuer is {issuer:?}, which is not the one of {exchange}: configure issuer if it is right"
        )),
    }
}

/// An endpoint; absent, null and empty are the same.
pub(super) fn endpoint(document: &Map<String, Value>, name: &str) -> Result<Option<Url>, String> {
    let text = match document.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => return Err(format!("{name} is {}", json::kind(other))),
    };
    match Url::parse(text) {
        Ok(mut url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            url.set_fragment(None);
            Ok(Some(url))
        }
        _ => Err(format!("{name} is not an absolute http or https URL")),
    }
}

/// The endpoint, if the document may lead there: not to a directory, from https to nothing less (RFC 8414 section 2), and
/// from another machine neither to this one nor to its link. The document of an administrator's provider leads nowhere
/// that its administrator could not name.
fn led_to(url: Option<Url>, name: &str, oidc: &Oidc, forbidden: &[String]) -> Result<Option<Url>, String> {
    let (Some(url), Some(document)) = (&url, &oidc.discovery) else { return Ok(url) };
    if let Some(why) = oidc.bounds.as_ref().and_then(|bounds| bounds.refuses(url)) {
        return Err(format!("{name}: {why}"));
    }
    if document.scheme() == "https" && url.scheme() != "https" {
        return Err(format!("{name} is plain http, and the document is https"));
    }
    let host = bare(url);
    if host == bare(document) {
        return Ok(Some(url.clone()));
    }
    if forbidden.contains(&host) {
        return Err(format!("{name} leads to the directory's host {host}"));
    }
    let is_local = match url.host() {
        Some(Host::Ipv4(address)) => {
            address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || matches!(address.segments(), [first, ..] if first & 0xffc0 == 0xfe80)
        }
        _ => host == "localhost" || host.ends_with(".localhost"),
    };
    match is_local {
        true => Err(format!("{name} leads to {host}, which is the machine or link of the filter itself")),
        false => Ok(Some(url.clone())),
    }
}

/// The host without a trailing dot, in lower case as URLs have it.
pub fn bare(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn names(document: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let values = document.get(name)?.as_array()?;
    Some(values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
}
