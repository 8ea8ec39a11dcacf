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
        let Via::Grpc { method: "Txn", .. } = call.via else { return Reply::Failed(Failure::Grpc(12)) };
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
                    let kvs = self.values.iter().filter(|kv| kv.key == range.key).cloned().collect();
                    responses.push(pb::ResponseOp {
                        range: Some(pb::RangeResponse { kvs, ..Default::default() }),
                    });
                }
                pb::Request::Delete(_) => responses.push(pb::ResponseOp::default()),
            }
        }
        let header = Some(pb::ResponseHeader { cluster_id: 1, revision: self.revision });
        let body = pb::TxnResponse { header, succeeded, responses }.encode_to_vec();
        Reply::Answer(Answer { status: 200, headers: Vec::new(), body })
    }
}
