//! An etcd for tests: what its transactions do, in memory.

use prost::Message;

use crate::host::task::{Answer, Call, Failure, Reply, Via};
use crate::replicas::messages as pb;

/// Keys with values, as etcd has them: transactions of one condition.
#[derive(Default)]
pub struct Engine {
    /// Of the last write.
    pub revision: i64,
    /// What it holds.
    pub values: Vec<pb::KeyValue>,
    /// It does not answer.
    pub is_away: bool,
}

impl Engine {
    /// What it answers to a call.
    pub fn answer(&mut self, call: &Call) -> Reply {
        if self.is_away {
            return Reply::Failed(Failure::Grpc(14));
        }
        let Via::Grpc { method, .. } = call.via else { return Reply::Failed(Failure::Grpc(12)) };
        match method {
            "Txn" => self.transaction(call),
            "Range" => self.read(call),
            _ => Reply::Failed(Failure::Grpc(12)),
        }
    }

    fn read(&self, call: &Call) -> Reply {
        match pb::RangeRequest::decode(call.body.as_deref().unwrap_or_default()) {
            Ok(range) => answered(&self.range(&range)),
            Err(_) => Reply::Failed(Failure::Grpc(3)),
        }
    }

    fn range(&self, range: &pb::RangeRequest) -> pb::RangeResponse {
        let mut kvs: Vec<_> =
            self.values.iter().filter(|kv| is_in(&kv.key, &range.key, &range.range_end)).cloned().collect();
        kvs.sort_by(|a, b| a.key.cmp(&b.key));
        let count = kvs.len();
        if range.limit > 0 {
            kvs.truncate(usize::try_from(range.limit).unwrap_or(usize::MAX));
        }
        let more = kvs.len() < count;
        if range.count_only {
            kvs.clear();
        }
        let header = Some(pb::ResponseHeader { cluster_id: 1, revision: self.revision });
        pb::RangeResponse { header, kvs, more, count: i64::try_from(count).unwrap_or(i64::MAX) }
    }

    fn transaction(&mut self, call: &Call) -> Reply {
        let Ok(txn) = pb::TxnRequest::decode(call.body.as_deref().unwrap_or_default()) else {
            return Reply::Failed(Failure::Grpc(3));
        };
        let revision_of =
            |key: &[u8]| self.values.iter().find(|kv| kv.key == key).map_or(0, |kv| kv.mod_revision);
        let succeeded = txn.compare.iter().all(|compare| {
            let now = revision_of(&compare.key);
            compare.create_revision.is_none_or(|_| now == 0)
                && compare.mod_revision.is_none_or(|at| now == at)
        });
        let mut responses = Vec::new();
        if succeeded {
            self.revision += 1;
        }
        let operations = if succeeded { txn.success } else { txn.failure };
        for request in operations.into_iter().filter_map(|operation| operation.request) {
            match request {
                pb::Request::Put(put) => {
                    self.values.retain(|kv| kv.key != put.key);
                    let (key, value, mod_revision) = (put.key, put.value, self.revision);
                    self.values.push(pb::KeyValue { key, value, mod_revision, create_revision: 1 });
                    responses.push(pb::ResponseOp::default());
                }
                pb::Request::Range(range) => {
                    responses.push(pb::ResponseOp { range: Some(self.range(&range)) });
                }
                pb::Request::Delete(delete) => {
                    self.values.retain(|kv| !is_in(&kv.key, &delete.key, &delete.range_end));
                    responses.push(pb::ResponseOp::default());
                }
            }
        }
        let header = Some(pb::ResponseHeader { cluster_id: 1, revision: self.revision });
        answered(&pb::TxnResponse { header, succeeded, responses })
    }
}

/// True for the key itself, or, with an end, for every key from it to before the end.
fn is_in(key: &[u8], from: &[u8], end: &[u8]) -> bool {
    match end.is_empty() {
        true => key == from,
        false => from <= key && key < end,
    }
}

fn answered(message: &impl Message) -> Reply {
    Reply::Answer(Answer { status: 200, headers: Vec::new(), body: message.encode_to_vec() })
}
