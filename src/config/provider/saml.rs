//! A SAML 2.0 identity provider.

use url::Url;

use super::timeout;
use crate::config::account::Bounds;
use crate::config::duration;
use crate::config::env::{self, Environment};
use crate::config::names::is_local;
use crate::config::problems::At;
use crate::config::raw::{self, IdpInitiated, NameIdFormat, SamlBinding};
use crate::config::urls::{address, url, Address};
use crate::crypto::{
    check_certificate, check_pair, check_private_key, large_key, MAX_CERTIFICATES, USUAL_KEY_BITS,
};
use crate::values::secret::Secret;

/// A key of ours for SAML, with the certificate in our metadata.
#[derive(Clone, Debug)]
pub struct SamlKey {
    /// PKCS#8 PEM.
    pub private_key: Secret,
    /// PEM.
    pub certificate: Option<String>,
}

/// A SAML 2.0 identity provider.
#[derive(Clone, Debug)]
pub struct Saml {
    /// Where the AuthnRequest goes; from metadata where absent.
    pub sso_url: Option<Address>,
    /// Their entity ID; from metadata where absent.
    pub issuer: Option<String>,
    /// Their certificates, PEM; from metadata where empty.
    pub certificates: Vec<String>,
    /// Their metadata.
    pub metadata_url: Option<Url>,
    /// Our entity ID; `None`: the URL of our metadata.
    pub entity_id: Option<String>,
    /// Single logout.
    pub slo_url: Option<Address>,
    /// Binding of the AuthnRequest.
    pub binding: SamlBinding,
    /// NameID format asked for.
    pub name_id_format: NameIdFormat,
    /// `ForceAuthn`.
    pub force_authn: bool,
    /// Signs our requests.
    pub signing: Option<SamlKey>,
    /// Opens encrypted assertions.
    pub decryption: Option<SamlKey>,
    /// What an unsolicited response does.
    pub idp_initiated: IdpInitiated,
    /// Milliseconds, at most 60 000.
    pub clock_skew: u64,
    /// Milliseconds.
    pub timeout: u64,
    /// What a provider of an administrator's is held to; `None`: it is the operator's.
    pub bounds: Option<Bounds>,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &raw::Saml, env: &dyn Environment) -> Saml {
    let metadata_url = url(at, "metadata_url", &raw.metadata_url);
    if raw.metadata_url.is_none() {
        for (name, missing) in [
            ("sso_url", raw.sso_url.is_none()),
            ("issuer", raw.issuer.is_none()),
            ("certificates", raw.certificates.is_empty()),
        ] {
            if missing {
                at.field(name).problem("is missing: give metadata_url, or sso_url, issuer and certificates");
            }
        }
    }
    if raw.certificates.len() > MAX_CERTIFICATES {
        at.field("certificates").problem(format!("are more than {MAX_CERTIFICATES}"));
    }
    for (i, pem) in raw.certificates.iter().enumerate() {
        if let Err(why) = check_certificate(pem) {
            at.field("certificates").index(i).problem(why);
        }
    }
    if let Some(issuer) = &raw.issuer {
        // `|` ends the issuer in a directory's externalId.
        if issuer.is_empty() || issuer.contains(|c: char| c == '|' || c.is_whitespace() || c.is_control()) {
            at.field("issuer").problem("expected the IdP's entity ID, a URI: no white space and no '|'");
        }
        if raw.entity_id.as_ref() == Some(issuer) {
            at.field("entity_id")
                .problem("is the IdP's: ours is another, by default the URL of our metadata");
        }
    }
    if let Some(url) = metadata_url.as_ref().filter(|_| raw.certificates.is_empty()) {
        if url.scheme() == "http" && !url.host_str().is_some_and(is_local) {
            at.field("metadata_url").warning(
                "is plain http: an attacker on the way can replace the keys and sign in as any user; use https, or \
                 give certificates",
            );
        }
    }
    match &raw.signing {
        None if raw.slo_url.is_some() => at
            .field("slo_url")
            .warning("single logout without signing: most IdPs refuse logout messages that are not signed"),
        Some(key) if key.certificate.is_none() => at.field("signing").field("certificate").warning(
            "is missing: our metadata says that requests are signed and does not say with which key",
        ),
        _ => {}
    }
    let signing = raw.signing.as_ref().and_then(|key| {
        let at = at.field("signing");
        saml_key(&at, &key.private_key, &key.certificate, env)
    });
    let decryption = raw.decryption.as_ref().and_then(|key| {
        let at = at.field("decryption");
        saml_key(&at, &key.private_key, &key.certificate, env)
    });
    Saml {
        sso_url: address(at, "sso_url", &raw.sso_url),
        issuer: raw.issuer.clone(),
        certificates: raw.certificates.clone(),
        metadata_url,
        entity_id: raw.entity_id.clone(),
        slo_url: address(at, "slo_url", &raw.slo_url),
        binding: raw.binding.unwrap_or_default(),
        name_id_format: raw.name_id_format.unwrap_or_default(),
        force_authn: raw.force_authn.unwrap_or(false),
        signing,
        decryption,
        idp_initiated: raw.idp_initiated.unwrap_or_default(),
        clock_skew: duration::field(at, "clock_skew", &raw.clock_skew, 60_000, (0, 60_000)),
        timeout: timeout(at, &raw.timeout),
        bounds: None,
    }
}

fn saml_key(
    at: &At<'_>,
    key: &raw::Secret,
    certificate: &Option<String>,
    env: &dyn Environment,
) -> Option<SamlKey> {
    if let Some(pem) = certificate {
        if let Err(why) = check_certificate(pem) {
            at.field("certificate").problem(why);
        }
    }
    let private_key = env::secret(&at.field("private_key"), key, env)?;
    match check_private_key(&private_key) {
        Err(why) => at.field("private_key").problem(why),
        Ok(bits) if bits > USUAL_KEY_BITS => at.field("private_key").warning(large_key(bits)),
        Ok(_) => {}
    }
    if let Some(Err(why)) = certificate.as_ref().map(|pem| check_pair(&private_key, pem)) {
        at.field("certificate").problem(why);
    }
    Some(SamlKey { private_key, certificate: certificate.clone() })
}
