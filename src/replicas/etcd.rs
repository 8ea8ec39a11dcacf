//! What is asked of etcd, as bytes, and what its answers say. No I/O.

use prost::Message;

use super::messages as pb;
use crate::host::task::{Call, Via};

/// The longest answer that is read: etcd's own limit for a request is 1.5 MB, and pages are kept below it.
pub const MAX_ANSWER: usize = 16 << 20;

/// What goes into one transaction at most: etcd takes 128 operations.
pub const BATCH: usize = 100;

/// gRPC statuses that mean something here.
pub mod status {
    #![allow(missing_docs)]
    pub const DEADLINE_EXCEEDED: u32 = 4;
    pub const NOT_FOUND: u32 = 5;
    pub const FAILED_PRECONDITION: u32 = 9;
    pub const UNAVAILABLE: u32 = 14;
}

/// Service and method of the stream that tells of changes.
pub const WATCH: (&str, &str) = ("etcdserverpb.Watch", "Watch");

const KV: &str = "etcdserverpb.KV";

/// A value in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The revision of the last write.
    pub revision: u64,
}

/// What a range holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The engine's identity.
    pub cluster_id: u64,
    /// The engine's revision when it answered.
    pub revision: u64,
    /// In the order of their keys.
    pub values: Vec<Value>,
    /// There are more behind the last one.
    pub more: bool,
    /// How many there are in all.
    pub count: u64,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The conditions held.
    pub succeeded: bool,
    /// The engine's revision afterwards.
    pub revision: u64,
    /// One for each operation; empty for writes.
    pub pages: Vec<Page>,
}

/// What a watch brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is set up; everything later than this revision will come.
    Created {
        /// The engine's identity.
        cluster_id: u64,
        /// The engine's revision.
        revision: u64,
    },
    /// Values were written; deletions are left out.
    Written(Vec<Value>),
    /// The engine ended the watch.
    Ended,
}

/// One operation of a transaction.
pub fn put(key: Vec<u8>, value: Vec<u8>, lease: i64) -> pb::RequestOp {
    pb::RequestOp { request: Some(pb::Request::Put(pb::PutRequest { key, value, lease })) }
}

/// Reads one key.
pub fn get(key: Vec<u8>) -> pb::RequestOp {
    range(pb::RangeRequest { key, ..pb::RangeRequest::default() })
}

/// Counts the keys under a prefix.
pub fn count(prefix: Vec<u8>) -> pb::RequestOp {
    let range_end = after(&prefix);
    range(pb::RangeRequest { key: prefix, range_end, count_only: true, ..pb::RangeRequest::default() })
}

/// Deletes one key.
pub fn delete(key: Vec<u8>) -> pb::RequestOp {
    let request = pb::DeleteRangeRequest { key, range_end: Vec::new() };
    pb::RequestOp { request: Some(pb::Request::Delete(request)) }
}

/// Deletes all keys under a prefix.
pub fn delete_all(prefix: Vec<u8>) -> pb::RequestOp {
    let range_end = after(&prefix);
    pb::RequestOp { request: Some(pb::Request::Delete(pb::DeleteRangeRequest { key: prefix, range_end })) }
}

fn range(range: pb::RangeRequest) -> pb::RequestOp {
    pb::RequestOp { request: Some(pb::Request::Range(range)) }
}

/// The condition that a key does not exist.
pub fn is_absent(key: Vec<u8>) -> pb::Compare {
    pb::Compare { target: 1, key, create_revision: Some(0), ..pb::Compare::default() }
}

/// The condition that a key was last written at this revision.
pub fn is_at(key: Vec<u8>, revision: u64) -> pb::Compare {
    pb::Compare { target: 2, key, mod_revision: Some(signed(revision)), ..pb::Compare::default() }
}

/// The transaction: with all conditions met the first operations, else the others.
pub fn transaction(
    compare: Vec<pb::Compare>,
    success: Vec<pb::RequestOp>,
    failure: Vec<pb::RequestOp>,
) -> Vec<u8> {
    pb::TxnRequest { compare, success, failure }.encode_to_vec()
}

/// A linearizable read of keys from `key` to before `end`, of those written since a revision, at most `limit` of them;
/// `at` a revision where it is not 0.
pub fn page(key: &[u8], end: &[u8], limit: i64, since: u64, at: u64) -> Vec<u8> {
    let range = pb::RangeRequest {
        key: key.to_vec(),
        range_end: end.to_vec(),
        limit,
        revision: signed(at),
        count_only: false,
        min_mod_revision: signed(since),
    };
    range.encode_to_vec()
}

/// A watch from now on of keys from `key` to before `end`.
pub fn watch(key: &[u8], end: &[u8]) -> Vec<u8> {
    let create = pb::WatchCreateRequest { key: key.to_vec(), range_end: end.to_vec() };
    pb::WatchRequest { create: Some(create) }.encode_to_vec()
}

/// A lease of this id.
pub fn grant(id: i64, seconds: u64) -> Vec<u8> {
    pb::LeaseGrantRequest { ttl: signed(seconds), id }.encode_to_vec()
}

/// The call that carries a message; `what` chooses the method.
pub fn call(cluster: &str, what: Method, message: Vec<u8>, timeout: u64) -> Call {
    let (service, method, name) = match what {
        Method::Transaction => (KV, "Txn", "txn"),
        Method::Range => (KV, "Range", "range"),
        Method::Grant => ("etcdserverpb.Lease", "LeaseGrant", "lease"),
    };
    Call {
        via: Via::Grpc { service, method },
        cluster: cluster.to_owned(),
        headers: Vec::new(),
        body: Some(message),
        timeout,
        max_answer: MAX_ANSWER,
        what: name,
    }
}

/// The unary methods that are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Transaction,
    Range,
    Grant,
}

/// What a Txn answered; `None` where it cannot be read.
pub fn read_transaction(bytes: &[u8]) -> Option<Done> {
    let answer = pb::TxnResponse::decode(bytes).ok()?;
    let revision = unsigned(answer.header.unwrap_or_default().revision);
    let pages = answer.responses.into_iter().map(|op| op.range.map(page_of).unwrap_or_default());
    Some(Done { succeeded: answer.succeeded, revision, pages: pages.collect() })
}

/// What a Range answered; `None` where it cannot be read.
pub fn read_page(bytes: &[u8]) -> Option<Page> {
    pb::RangeResponse::decode(bytes).ok().map(page_of)
}

/// What a message of a watch says; `None` where it cannot be read.
pub fn read_watch(bytes: &[u8]) -> Option<Told> {
    let told = pb::WatchResponse::decode(bytes).ok()?;
    if told.canceled || told.compact_revision != 0 {
        return Some(Told::Ended);
    }
    if told.created {
        let header = told.header.unwrap_or_default();
        return Some(Told::Created { cluster_id: header.cluster_id, revision: unsigned(header.revision) });
    }
    const PUT: i32 = 0;
    let written = told.events.into_iter().filter(|event| event.kind == PUT).filter_map(|event| event.kv);
    Some(Told::Written(written.map(value_of).collect()))
}

fn page_of(answer: pb::RangeResponse) -> Page {
    let header = answer.header.unwrap_or_default();
    Page {
        cluster_id: header.cluster_id,
        revision: unsigned(header.revision),
        values: answer.kvs.into_iter().map(value_of).collect(),
        more: answer.more,
        count: unsigned(answer.count),
    }
}

fn value_of(kv: pb::KeyValue) -> Value {
    Value { key: kv.key, value: kv.value, revision: unsigned(kv.mod_revision) }
}

/// The first key behind all that begin with this prefix.
pub fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    // Prefixes here end in a letter or `/`: the last byte never overflows.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
