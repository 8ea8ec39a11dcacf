//! One OpenID provider as a VM knows it: settings, metadata, keys.

use std::rc::Rc;

use super::discovery::{self, Metadata, MAX_METADATA};
use super::dpop::{self, Nonces, Proofs};
use super::KeySet;
use crate::config::Oidc;
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::proto::fetch::document::{Document, Source};
use crate::proto::fetch::turn::Sender;
use crate::values::secret::Secret;

/// Metadata is fetched again after an hour.
const METADATA_LIFETIME: u64 = 60 * 60 * 1000;
/// Keys are fetched again after a quarter of an hour, whatever `cache-control` says (Okta says 44 days,
/// Keycloak no-cache): a key that was withdrawn counts no longer than that, and one worker's fetch serves
/// all. New keys do not wait for it, see [`Provider::newer_keys`].
const KEYS_LIFETIME: u64 = 15 * 60 * 1000;
/// Milliseconds between fetches of keys because one is missing: rotations are rare, and logins wait for no longer.
const PAUSE: u64 = 1_000;
const MAX_KEYS: usize = crate::crypto::MAX_KEY_SET;

/// One per VM and configured provider.
#[derive(Debug)]
pub struct Provider {
    oidc: Rc<Oidc>,
    metadata: Document<Metadata>,
    keys: Document<KeySet>,
    by_hand: Option<Result<Rc<Metadata>, Fault>>,
    own_keys: Option<Result<Rc<KeySet>, Fault>>,
    nonces: Nonces,
    /// Hosts that its document never leads to.
    forbidden: Rc<[String]>,
}

impl Provider {
    /// Knows nothing of the provider yet, unless the configuration says it.
    pub fn new(oidc: &Oidc) -> Self {
        Self::apart_from(oidc, Rc::default())
    }

    /// The same, with hosts that its document never leads to.
    pub fn apart_from(oidc: &Oidc, forbidden: Rc<[String]>) -> Self {
        let not_ready = |why| Fault::new(Code::NotReady, why);
        Self {
            forbidden,
            oidc: Rc::new(oidc.clone()),
            metadata: Document::new("discovery", MAX_METADATA, METADATA_LIFETIME, PAUSE),
            keys: Document::new("keys", MAX_KEYS, KEYS_LIFETIME, PAUSE),
            by_hand: oidc
                .discovery
                .is_none()
                .then(|| Metadata::by_hand(oidc).map(Rc::new).map_err(not_ready)),
            own_keys: oidc
                .jwks
                .as_ref()
                .map(|text| KeySet::parse(text.as_bytes()).map(Rc::new).map_err(not_ready)),
            nonces: Nonces::default(),
        }
    }

    /// Proofs with the key of a login (RFC 9449), where tokens are bound to one.
    pub fn proofs(&self, key: Option<&Secret>) -> Result<Option<Proofs>, Fault> {
        dpop::proofs(self.oidc.dpop, key, &self.nonces)
    }

    /// The settings.
    pub fn config(&self) -> &Oidc {
        &self.oidc
    }

    /// Reads a discovery document of this provider.
    pub fn read_metadata(&self, bytes: &[u8]) -> Result<Metadata, String> {
        Metadata::read_apart_from(bytes, &self.oidc, &self.forbidden)
    }

    /// The metadata if it is there, without a call: for the paths that must not wait.
    pub fn known_metadata(&self) -> Option<Rc<Metadata>> {
        match &self.by_hand {
            Some(by_hand) => by_hand.as_ref().ok().cloned(),
            None => self.metadata.current(),
        }
    }

    /// The metadata, fetched where it is not there yet.
    pub async fn metadata(&self, io: &Io) -> Result<Rc<Metadata>, Fault> {
        if let Some(by_hand) = &self.by_hand {
            return by_hand.clone();
        }
        if let Some(metadata) = self.metadata.current() {
            return Ok(metadata);
        }
        self.metadata.get(io, self.metadata_source()?).await
    }

    /// The metadata for a callback: a flow that opened proves that some worker had it a moment ago, so a
    /// failure this worker remembers must not burn the code.
    pub async fn metadata_for_callback(&self, io: &Io) -> Result<Rc<Metadata>, Fault> {
        match (self.known_metadata(), &self.by_hand) {
            (Some(metadata), _) => Ok(metadata),
            (None, Some(by_hand)) => by_hand.clone(),
            (None, None) => self.metadata.anew(io, self.metadata_source()?).await,
        }
    }

    /// The keys, fetched where they are not there yet.
    pub async fn keys(&self, io: &Io) -> Result<Rc<KeySet>, Fault> {
        if let Some(own) = &self.own_keys {
            return own.clone();
        }
        if let Some(keys) = self.keys.current() {
            return Ok(keys);
        }
        let metadata = self.metadata(io).await?;
        self.keys.get(io, self.keys_source(&metadata)?).await
    }

    /// Newer keys, for a token that ours do not verify: see [`Document::newer`]. `None` if strangers have had their fetch
    /// a moment ago, or if the keys are configured.
    pub async fn newer_keys(
        &self,
        io: &Io,
        has: &dyn Fn(&KeySet) -> bool,
        sender: Sender,
    ) -> Result<Option<Rc<KeySet>>, Fault> {
        if self.own_keys.is_some() {
            return Ok(None);
        }
        let metadata = self.metadata(io).await?;
        self.keys.newer(io, self.keys_source(&metadata)?, has, sender).await
    }

    /// Whether [`Provider::refresh`] has something to do: asked at every tick.
    pub fn due(&self, now: u64) -> bool {
        (self.by_hand.is_none() && self.metadata.due(now)) || self.keys_due(now)
    }

    /// Fetches what is due. A failure keeps the last good one and is tried again ten seconds later, so
    /// that an Envoy that started before its IdP recovers by itself.
    pub async fn refresh(&self, io: &Io) -> Result<(), Fault> {
        if self.by_hand.is_none() && self.metadata.due(io.now()) {
            let refreshed = self.metadata.refresh(io, self.metadata_source()?).await;
            // With old metadata the keys can still be refreshed.
            if refreshed.is_err() && self.metadata.current().is_none() {
                return refreshed.map(|_| ());
            }
        }
        if self.keys_due(io.now()) {
            let metadata = self.metadata(io).await?;
            self.keys.refresh(io, self.keys_source(&metadata)?).await?;
        }
        Ok(())
    }

    /// Without metadata it is not known where the keys are: then its own pace is the pace.
    fn keys_due(&self, now: u64) -> bool {
        self.own_keys.is_none() && self.known_metadata().is_some() && self.keys.due(now)
    }

    fn metadata_source(&self) -> Result<Source<Metadata>, Fault> {
        let url = self.oidc.discovery.as_ref();
        let url = url.ok_or_else(|| Fault::new(Code::NotReady, "no discovery URL is configured"))?;
        let (oidc, forbidden) = (self.oidc.clone(), self.forbidden.clone());
        let read = Rc::new(move |bytes: &[u8]| Metadata::read_apart_from(bytes, &oidc, &forbidden));
        let source = Source::new(url, self.oidc.timeout, read);
        Ok(Source { hint: discovery::hint(url), bounds: self.oidc.bounds.clone(), ..source })
    }

    fn keys_source(&self, metadata: &Metadata) -> Result<Source<KeySet>, Fault> {
        let url = metadata.jwks_uri.as_ref();
        let url = url.ok_or_else(|| Fault::new(Code::IdpInvalidAnswer, "discovery: jwks_uri is missing"))?;
        let source = Source::new(url, self.oidc.timeout, Rc::new(KeySet::parse));
        Ok(Source { bounds: self.oidc.bounds.clone(), ..source })
    }
}
