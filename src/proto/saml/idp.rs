//! One SAML identity provider as a VM knows it: settings, our keys, its metadata.

use std::cell::RefCell;
use std::rc::Rc;

use url::Url;

use super::certificate::Certificate;
use super::metadata::{self, Logout, Theirs, MAX_METADATA};
use super::private_key::PrivateKey;
use super::refused::Refused;
use super::sign::Signer;
use crate::config::{Address, Saml, SamlBinding, SamlKey};
use crate::crypto::rate::PrivateKeyRate;
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::host::Host;
use crate::proto::fetch::document::{Document, Source};
use crate::proto::fetch::turn::Sender;
use crate::values::order;

/// Metadata is fetched again after a day; a new key does not wait for it, see [`Idp::judged`].
const LIFETIME: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds between fetches of metadata because a key is missing: a stranger who has begun a login can cause one, and
/// it is large.
const PAUSE: u64 = 5_000;

/// Whether there can be single logout with this provider. An endpoint in its metadata is not a wish of the operator's: where
/// our messages are not signed, most IdPs answer them with an error page, where the person's sign-out ends.
pub fn single_logout(saml: &Saml) -> bool {
    saml.slo_url.is_some() || (saml.metadata_url.is_some() && saml.signing.is_some())
}

/// One per VM and configured provider.
#[derive(Debug)]
pub struct Idp {
    saml: Saml,
    certificates: Vec<Certificate>,
    signing: Option<Own>,
    decryption: Option<Own>,
    metadata: Document<Theirs>,
}

/// A key of ours.
#[derive(Debug)]
struct Own {
    key: PrivateKey,
    certificate: Option<Certificate>,
}

/// What a login or a logout goes by: the settings, and the metadata where they say nothing.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Their entity ID.
    pub issuer: String,
    /// Where an AuthnRequest goes, and how.
    pub sso: (SamlBinding, Address),
    /// Where logout messages go, and how, the preferred way first; empty: no single logout.
    pub slo: Vec<(SamlBinding, Logout)>,
    /// Their certificates.
    pub certificates: Vec<Certificate>,
}

impl Facts {
    /// The single logout endpoint for a binding, else the preferred one.
    pub fn slo(&self, binding: Option<SamlBinding>) -> Option<&(SamlBinding, Logout)> {
        self.slo.iter().find(|(own, _)| Some(*own) == binding).or_else(|| self.slo.first())
    }
}

impl Idp {
    /// Knows nothing of the provider yet, unless the configuration says it. Its private keys are used no more often than
    /// `rate` allows.
    pub fn new(saml: &Saml, rate: &Rc<PrivateKeyRate>) -> Self {
        let own = |key: &SamlKey| {
            let certificate = key.certificate.as_deref().and_then(|pem| Certificate::parse(pem).ok());
            let private_key = PrivateKey::parse(&key.private_key).ok()?;
            Some(Own { key: private_key.limited_by(rate.clone()), certificate })
        };
        Self {
            // Each was read once when the configuration was checked.
            certificates: saml.certificates.iter().filter_map(|pem| Certificate::parse(pem).ok()).collect(),
            signing: saml.signing.as_ref().and_then(own),
            decryption: saml.decryption.as_ref().and_then(own),
            metadata: Document::new("metadata", MAX_METADATA, LIFETIME, PAUSE),
            saml: saml.clone(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Saml {
        &self.saml
    }

    /// Their entity ID, if it is known without a call.
    pub fn known_issuer(&self) -> Option<String> {
        self.saml.issuer.clone().or_else(|| self.metadata.current().map(|theirs| theirs.entity_id.clone()))
    }

    /// Where an AuthnRequest goes, if it is known without a call.
    pub fn known_sso_url(&self) -> Option<Address> {
        let theirs = self.metadata.current();
        let by_metadata =
            || theirs.and_then(|theirs| theirs.sso_redirect.clone().or(theirs.sso_post.clone()));
        self.saml.sso_url.clone().or_else(by_metadata)
    }

    /// What there is to go by; their metadata is fetched where it is needed and not there yet.
    pub async fn facts(&self, io: &Io) -> Result<Facts, Fault> {
        let theirs = match (&self.saml.metadata_url, self.is_complete()) {
            (None, _) | (_, true) => self.metadata.current(),
            (Some(url), false) => Some(self.metadata.get(io, self.source(url, io.now())).await?),
        };
        self.merge(theirs.as_deref(), io.now())
    }

    /// Whether signing in needs no metadata.
    fn is_complete(&self) -> bool {
        self.saml.sso_url.is_some() && self.saml.issuer.is_some() && !self.certificates.is_empty()
    }

    /// Judges a message by what there is to go by; where it is signed with a key that we do not know, by newer
    /// metadata once more, see [`Document::newer`]: the IdP may have rolled over.
    pub async fn judged<T>(
        &self,
        io: &Io,
        sender: Sender,
        judge: impl Fn(&Facts) -> Result<T, Refused>,
    ) -> Result<(T, Facts), Fault> {
        let facts = self.facts(io).await?;
        let refused = match judge(&facts) {
            Ok(judged) => return Ok((judged, facts)),
            Err(refused) => refused,
        };
        let (Some(url), true) =
            (&self.saml.metadata_url, refused.unknown_key && self.certificates.is_empty())
        else {
            return Err(refused.into());
        };
        // The last judgement. Metadata that another worker fetched may lack the key as well: then it is fetched.
        let latest = RefCell::new(Err(refused));
        let has = |theirs: &Theirs| {
            let Ok(facts) = self.merge(Some(theirs), io.now()) else { return false };
            let judged = judge(&facts);
            let has = !matches!(&judged, Err(refused) if refused.unknown_key);
            *latest.borrow_mut() = judged.map(|judged| (judged, facts));
            has
        };
        // A fetch that fails leaves the last judgement.
        let _ = self.metadata.newer(io, self.source(url, io.now()), &has, sender).await;
        latest.into_inner().map_err(Fault::from)
    }

    /// Whether [`Idp::refresh`] has something to do: asked at every tick.
    pub fn due(&self, now: u64) -> bool {
        self.saml.metadata_url.is_some() && self.metadata.due_before(now, &|theirs| theirs.valid_until)
    }

    /// Fetches their metadata. A failure keeps the last good one and is tried again ten seconds later.
    pub async fn refresh(&self, io: &Io) -> Result<(), Fault> {
        let Some(url) = &self.saml.metadata_url else { return Ok(()) };
        self.metadata.refresh(io, self.source(url, io.now())).await.map(|_| ())
    }

    /// Signs our messages, where that is configured.
    pub fn signer<'a>(&'a self, host: &'a dyn Host) -> Option<Signer<'a>> {
        let own = self.signing.as_ref()?;
        Some(Signer { host, key: &own.key, certificate: own.certificate.as_ref() })
    }

    /// Opens encrypted assertions, where that is configured.
    pub fn decryption_key(&self) -> Option<&PrivateKey> {
        self.decryption.as_ref().map(|own| &own.key)
    }

    /// Our private keys, and how many bits they have.
    pub fn key_sizes(&self) -> Vec<(&'static str, usize)> {
        let named = [("our signing key", &self.signing), ("our decryption key", &self.decryption)];
        named.into_iter().filter_map(|(name, own)| Some((name, own.as_ref()?.key.bits()))).collect()
    }

    /// The certificate in our metadata for the key that signs.
    pub fn signing_certificate(&self) -> Option<&Certificate> {
        self.signing.as_ref()?.certificate.as_ref()
    }

    /// The certificate in our metadata for the key that opens assertions: its own, or that of the signing key
    /// where both are one.
    pub fn encryption_certificate(&self) -> Option<&Certificate> {
        let own = self.decryption.as_ref()?;
        let shared = || self.signing_certificate().filter(|certificate| own.key.belongs_to(certificate));
        own.certificate.as_ref().or_else(shared)
    }

    /// What is written by hand wins over what the metadata says.
    fn merge(&self, theirs: Option<&Theirs>, now: u64) -> Result<Facts, Fault> {
        let saml = &self.saml;
        let missing = |what: &str| {
            Fault::new(Code::IdpUnavailable, format!("{what} of the SAML provider is not known yet"))
        };
        let expired = theirs.and_then(|theirs| theirs.valid_until).filter(|until| now >= *until);
        let theirs = match expired {
            Some(_) if self.is_complete() => None,
            Some(until) => {
                let until = super::time::instant(until);
                return Err(Fault::new(Code::IdpUnavailable, format!("the metadata expired on {until}")));
            }
            None => theirs,
        };
        let issuer = saml.issuer.clone().or_else(|| theirs.map(|theirs| theirs.entity_id.clone()));
        let sso = saml.sso_url.clone().map(|url| (saml.binding, url));
        let certificates = match self.certificates.is_empty() {
            true => theirs.map(|theirs| theirs.certificates.clone()).unwrap_or_default(),
            false => self.certificates.clone(),
        };
        if certificates.is_empty() {
            return Err(missing("the certificate"));
        }
        let (redirect, post) = (SamlBinding::Redirect, SamlBinding::Post);
        let sso = sso.or_else(|| {
            let theirs = theirs?;
            let by_redirect = theirs.sso_redirect.clone().map(|url| (redirect, url));
            let by_post = theirs.sso_post.clone().map(|url| (post, url));
            preferred(saml.binding, by_redirect, by_post)
        });
        // One URL by hand is for both bindings: the IdP shows which it uses.
        let by_hand =
            saml.slo_url.as_ref().map(|url| Logout { requests: url.clone(), responses: url.clone() });
        let (by_redirect, by_post) = match (by_hand, theirs) {
            (Some(logout), _) => (Some(logout.clone()), Some(logout)),
            (None, Some(theirs)) if single_logout(saml) => {
                (theirs.slo_redirect.clone(), theirs.slo_post.clone())
            }
            _ => (None, None),
        };
        let mut slo: Vec<(SamlBinding, Logout)> = Vec::new();
        slo.extend(by_redirect.map(|logout| (redirect, logout)));
        slo.extend(by_post.map(|logout| (post, logout)));
        order::sort_by_key(&mut slo, |(binding, _)| *binding != saml.binding);
        Ok(Facts {
            issuer: issuer.ok_or_else(|| missing("the issuer"))?,
            sso: sso.ok_or_else(|| missing("the sign-in URL"))?,
            slo,
            certificates,
        })
    }

    fn source(&self, url: &Url, now: u64) -> Source<Theirs> {
        let (issuer, bounds) = (self.saml.issuer.clone(), self.saml.bounds.clone());
        let read = Rc::new(move |bytes: &[u8]| {
            Theirs::read(&metadata::text(bytes)?, issuer.as_deref(), now)?.within(bounds.as_ref())
        });
        Source { bounds: self.saml.bounds.clone(), ..Source::new(url, self.saml.timeout, read) }
    }
}

/// The endpoint for the binding that is configured, else the other one.
fn preferred<T>(binding: SamlBinding, by_redirect: Option<T>, by_post: Option<T>) -> Option<T> {
    match binding {
        SamlBinding::Redirect => by_redirect.or(by_post),
        SamlBinding::Post => by_post.or(by_redirect),
    }
}
