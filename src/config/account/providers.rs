//! What the providers of an account make possible together, and what a provider for all the world does: warnings.

use std::rc::Rc;

use url::Url;

use crate::config::paths::Paths;
use crate::config::problems::At;
use crate::config::{raw, Protocol, Provider};

/// Warns of users whom a provider could name without being theirs.
pub(super) fn check(at: &At<'_>, raw: &raw::Account, providers: &[Rc<Provider>], paths: &Paths) {
    let several = providers.len() > 1;
    for (i, provider) in providers.iter().enumerate().filter(|(_, provider)| !provider.confined) {
        let at = at.field("identity_providers").index(i).field("confined");
        if several {
            at.warning(
                "is not set: this provider can sign in users of every email domain, those of the other providers \
                 too; set it, with email_domains",
            );
        } else if raw.directory.is_none() && is_open_to_all(&provider.protocol) {
            at.warning(
                "is not set: anyone can have an account at this provider, and without a directory all of them can \
                 sign in; set it, with email_domains, or set directory",
            );
        }
    }
    let is_linked = raw.mapping.as_ref().is_some_and(|mapping| mapping.link.is_some());
    if several && raw.directory.is_some() && !is_linked {
        at.field("mapping").field("link").warning(
            "is not set: a user who is linked to one provider cannot sign in by another (identity_conflict); write \
             first to keep this, or any",
        );
    }
    let with_code = || providers.iter().filter(|provider| !matches!(provider.protocol, Protocol::Saml(_)));
    if let (true, Some(silent)) =
        (with_code().count() > 1, with_code().find(|p| never_sends_iss(&p.protocol)))
    {
        if !paths.callbacks_differ() {
            at.field("paths").field("oidc_callback").warning(format!(
                "has no {{idp}}: {:?} does not promise iss (RFC 9207), so the answer of another provider could be taken \
                 for its own; write {{idp}} into it and register each redirect URI",
                silent.id
            ));
        }
    }
}

/// True if anyone can have an account there: Google, GitHub, and Entra for all tenants.
fn is_open_to_all(protocol: &Protocol) -> bool {
    let url = match protocol {
        Protocol::Oidc(oidc) if oidc.tenants.is_some() => return false,
        Protocol::Oidc(oidc) => oidc.discovery.as_ref().or(oidc.endpoints.authorization.as_ref()),
        Protocol::OAuth2(oauth2) => Some(&oauth2.authorization),
        Protocol::Saml(_) => None,
    };
    let Some(url) = url else { return false };
    let all_tenants = || {
        let tenant = url.path_segments().and_then(|mut segments| segments.next());
        tenant.is_some_and(|tenant| matches!(tenant, "common" | "organizations" | "consumers"))
    };
    match url.host_str() {
        Some("accounts.google.com" | "github.com" | "gitlab.com") => true,
        Some("login.microsoftonline.com") => all_tenants(),
        _ => false,
    }
}

/// True if the provider is known not to send `iss` at the callback. What a discovery document promises is known later:
/// the administrators' check says it.
fn never_sends_iss(protocol: &Protocol) -> bool {
    let is_silent =
        |url: &Url| matches!(url.host_str(), Some("accounts.google.com" | "login.microsoftonline.com"));
    match protocol {
        Protocol::Oidc(oidc) => oidc.discovery.as_ref().is_none_or(is_silent),
        Protocol::OAuth2(_) => true,
        Protocol::Saml(_) => false,
    }
}
