//! Documents: sealed values that every replica knows, such as an account's settings and invitations.
//!
//! Reading asks the engine nothing: the worker that follows keeps every document in the data that all workers of this
//! Envoy share, within a moment of its change anywhere. Writing is a compare-and-swap in the engine. A document is
//! sealed with `session.keys` under its own name: one that stands under another name, or was not sealed by such a key,
//! does not count, and what is known stays.
//!
//! Every write raises the document's version. An engine that was emptied or set back brings an older one or none: the
//! newer one that a replica knows stays, and is put back.

use super::client::Away;
use super::etcd::{self, Value};
use super::{messages, Replicas};
use crate::crypto::seal::Purpose;
use crate::host::task::Io;
use crate::host::Host;

/// A document as this Envoy knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its content.
    pub body: Vec<u8>,
    /// One more than the version before it.
    pub version: u64,
    /// What [`Replicas::write_document`] compares. It is not a version: it changes too when the document was put back.
    pub revision: u64,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was done, and this Envoy knows it already.
    Done(Document),
    /// The document had changed meanwhile; nothing was written. This is what it is now, if it is there.
    Changed(Option<Document>),
}

/// A document with the flag that says whether it was deleted: a deleted one stays, so that no replica puts it back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    document: Document,
    is_deleted: bool,
}

impl Record {
    fn present(self) -> Option<Document> {
        (!self.is_deleted).then_some(self.document)
    }
}

/// Documents put back in one go.
const TRIES: usize = 16;

impl Replicas {
    /// The document of this name, as this Envoy knows it. Names are `account/what`, of printable ASCII.
    pub fn document(&self, host: &dyn Host, name: &str) -> Option<Document> {
        self.record(host, name)?.present()
    }

    /// The revision of a document, deleted ones too: what a worker made of the document holds as long as it is the same.
    pub fn document_revision(&self, host: &dyn Host, name: &str) -> Option<u64> {
        self.stored(host, name).map(|(revision, _)| revision)
    }

    /// True where the engine has something under this name that no key here opens: what it says is not known.
    pub fn document_is_unreadable(&self, host: &dyn Host, name: &str) -> bool {
        self.stored(host, name).is_some() && self.record(host, name).is_none()
    }

    /// All documents whose name begins so, with their names.
    pub fn documents(&self, host: &dyn Host, prefix: &str) -> Vec<(String, Document)> {
        let names = self.document_names(host);
        let own = names.into_iter().filter(|name| name.starts_with(prefix));
        own.filter_map(|name| self.document(host, &name).map(|document| (name, document))).collect()
    }

    /// A value that differs after every change of any document: what a worker made of documents holds until then. One
    /// look into shared data.
    pub fn documents_changed(&self, host: &dyn Host) -> Option<Vec<u8>> {
        host.shared_get(&self.changed_key()).0
    }

    /// True where a document that is not known is not there: everything was read, and `settle` has passed, in which
    /// another replica puts back what an emptied engine has lost.
    pub fn documents_are_known(&self, host: &dyn Host, now: u64) -> bool {
        let first_read = self.status(host).first_read;
        first_read != 0 && now >= first_read.saturating_add(self.settings.settle)
    }

    /// Writes a document, if it still has this revision; `None`: if it does not exist. Away: nothing is known to have
    /// been written.
    pub async fn write_document(
        &self,
        io: &Io,
        name: &str,
        expected: Option<u64>,
        body: &[u8],
    ) -> Result<Written, Away> {
        self.change_document(io, name, expected, Some(body)).await
    }

    /// Deletes a document, if it still has this revision. One that is not there is deleted already.
    pub async fn delete_document(&self, io: &Io, name: &str, expected: u64) -> Result<Written, Away> {
        self.change_document(io, name, Some(expected), None).await
    }

    /// The document as the engine has it now, which this Envoy knows afterwards.
    pub async fn read_document(&self, io: &Io, name: &str) -> Result<Option<Document>, Away> {
        let key = self.document_key(name);
        let page = self.page(io, &key, &[], 1).await?;
        self.keep_documents(io.host(), page.values);
        Ok(self.document(io.host(), name))
    }

    async fn change_document(
        &self,
        io: &Io,
        name: &str,
        expected: Option<u64>,
        body: Option<&[u8]>,
    ) -> Result<Written, Away> {
        let host = io.host();
        let key = self.document_key(name);
        let known = self.record(host, name);
        let is_there = known.as_ref().is_some_and(|record| !record.is_deleted);
        let revision = known.as_ref().map(|record| record.document.revision);
        let matches = match expected {
            Some(expected) => is_there && revision == Some(expected),
            None => !is_there,
        };
        if !matches {
            return Ok(Written::Changed(known.and_then(Record::present)));
        }
        let version = known.map_or(1, |record| record.document.version.saturating_add(1));
        let sealed = self.seal_document(host, &key, version, body)?;
        let condition = match revision {
            Some(revision) => etcd::is_at(key.clone(), revision),
            None => etcd::is_absent(key.clone()),
        };
        let message = self.write_if(condition, &key, sealed.clone());
        let done = self.transaction(io, &[], message).await?;
        if done.succeeded {
            let document =
                Document { body: body.unwrap_or_default().to_vec(), version, revision: done.revision };
            self.keep_documents(host, vec![Value { key, value: sealed, revision: done.revision }]);
            return Ok(Written::Done(document));
        }
        let now = done.pages.into_iter().flat_map(|page| page.values).collect::<Vec<_>>();
        // One that an operator took out of the engine by hand: what is known here is put back with the next try.
        let is_gone = now.is_empty();
        self.keep_documents(host, now);
        if is_gone {
            super::outbox::ask_to_restore(host);
        }
        // A retry of ours that had been done already.
        match self.record(host, name) {
            Some(record) if record.document.version == version && record.same(body) => {
                Ok(Written::Done(record.document))
            }
            other => Ok(Written::Changed(other.and_then(Record::present))),
        }
    }

    /// Puts back every document that the engine lost or has in an older version.
    pub async fn restore_documents(&self, io: &Io) -> Result<(), Away> {
        let host = io.host();
        for name in self.document_names(host) {
            let key = self.document_key(&name);
            let mut condition = etcd::is_absent(key.clone());
            for _ in 0..TRIES {
                let Some((_, sealed)) = self.stored(host, &name) else { break };
                let message = self.write_if(condition, &key, sealed);
                let done = self.transaction(io, &[], message).await?;
                let Some(value) = done.pages.into_iter().flat_map(|page| page.values).next() else { break };
                let theirs = self.open_document(&value).map_or(0, |record| record.document.version);
                let ours = self.record(host, &name).map_or(0, |record| record.document.version);
                if done.succeeded || theirs >= ours {
                    self.keep_documents(host, vec![value]);
                    break;
                }
                condition = etcd::is_at(key.clone(), value.revision);
            }
        }
        Ok(())
    }

    /// Seals every document with the key that signs now: those before it are dropped one day. Once for each configuration:
    /// replicas whose keys are in another order would do it for ever.
    pub async fn reseal_documents(&self, io: &Io) -> Result<(), Away> {
        let host = io.host();
        for name in self.document_names(host) {
            let Some((revision, sealed)) = self.stored(host, &name) else { continue };
            if self.ring.sealed_with_first(&sealed) {
                continue;
            }
            let Some(record) = self.record(host, &name) else { continue };
            let (key, Record { document, is_deleted }) = (self.document_key(&name), record);
            let body = (!is_deleted).then_some(document.body.as_slice());
            let sealed = self.seal_document(host, &key, document.version, body)?;
            let message = self.write_if(etcd::is_at(key.clone(), revision), &key, sealed.clone());
            let done = self.transaction(io, &[], message).await?;
            // Else it has changed meanwhile, and was sealed anew with that.
            if done.succeeded {
                self.keep_documents(host, vec![Value { key, value: sealed, revision: done.revision }]);
            }
        }
        Ok(())
    }

    /// Keeps values of the engine, where they are documents and not older than what is known.
    pub(super) fn keep_documents(&self, host: &dyn Host, values: Vec<Value>) {
        let mut changed = false;
        for value in values {
            let Some(name) = self.keys.document(&value.key) else { continue };
            let Some(record) = self.open_document(&value) else {
                match self.record(host, name) {
                    // Written over without a key: what is known here is put back, for the replicas that start later.
                    Some(_) if !self.ring.could_be_newer(&value.value) => super::outbox::ask_to_restore(host),
                    Some(_) => {}
                    None => changed |= self.store(host, name, &value),
                }
                continue;
            };
            match self.record(host, name) {
                Some(known) if known.document.version > record.document.version => {
                    // The engine was set back: what is known here is put back.
                    super::outbox::ask_to_restore(host);
                    continue;
                }
                Some(known) if known == record => continue,
                Some(_) => {}
                None => self.add_document_name(host, name),
            }
            changed |= self.store(host, name, &value);
        }
        if changed {
            let (before, _) = host.shared_get(&self.changed_key());
            let text = format!("{before:?} {}", host.now());
            host.shared_set(&self.changed_key(), &crate::host::shared_set::id_of(&text), None);
        }
    }

    /// Writes a sealed document where the condition is met, and notes that something was written; else reads what is there.
    fn write_if(&self, condition: messages::Compare, key: &[u8], sealed: Vec<u8>) -> Vec<u8> {
        let puts = vec![etcd::put(key.to_vec(), sealed, 0), etcd::put(self.keys.head(), Vec::new(), 0)];
        etcd::transaction(vec![condition], puts, vec![etcd::get(key.to_vec())])
    }

    fn document_key(&self, name: &str) -> Vec<u8> {
        let mut key = self.keys.documents();
        key.extend(name.as_bytes());
        key
    }

    fn local_key(&self, name: &str) -> String {
        format!("sso.shared.{}.document.{name}", self.tag)
    }

    fn changed_key(&self) -> String {
        format!("sso.shared.{}.documents-changed", self.tag)
    }

    fn names_key(&self) -> String {
        format!("sso.shared.{}.documents", self.tag)
    }

    fn document_names(&self, host: &dyn Host) -> Vec<String> {
        let (bytes, _) = host.shared_get(&self.names_key());
        let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn add_document_name(&self, host: &dyn Host, name: &str) {
        for _ in 0..TRIES {
            let (bytes, cas) = host.shared_get(&self.names_key());
            let mut text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
            if text.lines().any(|known| known == name) {
                return;
            }
            text.push_str(name);
            text.push('\n');
            if host.shared_set(&self.names_key(), text.as_bytes(), cas) {
                return;
            }
        }
    }

    /// Keeps a value here; false if it is here already.
    fn store(&self, host: &dyn Host, name: &str, value: &Value) -> bool {
        let bytes = [&value.revision.to_le_bytes()[..], &value.value].concat();
        let key = self.local_key(name);
        host.shared_get(&key).0.as_ref() != Some(&bytes) && host.shared_set(&key, &bytes, None)
    }

    /// Revision and sealed value, as kept here.
    fn stored(&self, host: &dyn Host, name: &str) -> Option<(u64, Vec<u8>)> {
        let (bytes, _) = host.shared_get(&self.local_key(name));
        let bytes = bytes?;
        let (revision, sealed) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*revision), sealed.to_vec()))
    }

    fn record(&self, host: &dyn Host, name: &str) -> Option<Record> {
        let (revision, value) = self.stored(host, name)?;
        self.open_document(&Value { key: self.document_key(name), value, revision })
    }

    fn seal_document(
        &self,
        host: &dyn Host,
        key: &[u8],
        version: u64,
        body: Option<&[u8]>,
    ) -> Result<Vec<u8>, Away> {
        let mut plain = version.to_le_bytes().to_vec();
        plain.push(u8::from(body.is_none()));
        plain.extend(body.unwrap_or_default());
        self.ring.seal_bytes(host, Purpose::Shared, key, &plain).map_err(Away::from)
    }

    fn open_document(&self, value: &Value) -> Option<Record> {
        let plain = self.ring.open_bytes(Purpose::Shared, &value.key, &value.value)?;
        let (version, rest) = plain.split_first_chunk::<8>()?;
        let (is_deleted, body) = rest.split_first()?;
        let document =
            Document { body: body.to_vec(), version: u64::from_le_bytes(*version), revision: value.revision };
        Some(Record { document, is_deleted: *is_deleted != 0 })
    }
}

impl Record {
    fn same(&self, body: Option<&[u8]>) -> bool {
        match body {
            Some(body) => !self.is_deleted && self.document.body == body,
            None => self.is_deleted,
        }
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
