//! `shared`: the engine through which several Envoys behave as one.

use super::problems::At;
use super::{duration, raw};
use crate::config::OnOutage;

/// Where the engine is, and what holds while it is away. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The Envoy cluster of the engine.
    pub cluster: String,
    /// The first part of every key in the engine.
    pub prefix: String,
    /// How long a request waits for the engine.
    pub timeout: u64,
    /// What sessions get while the engine is away.
    pub on_outage: OnOutage,
    /// How old the last proof of being in step may be under `closed`.
    pub stale: u64,
    /// How long `closed` stays closed after the engine is back.
    pub settle: u64,
}

/// Envoy copies the name into a `GrpcService` message whose length has to fit into one byte.
const LONGEST_CLUSTER: usize = 120;
const LONGEST_PREFIX: usize = 64;

pub(super) fn check(at: &At<'_>, raw: &raw::Shared) -> Shared {
    if raw.engine.is_none() {
        at.field("engine").problem("is missing: etcd");
    }
    let cluster = raw.cluster.clone().unwrap_or_default();
    let printable = cluster.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if cluster.is_empty() || cluster.len() > LONGEST_CLUSTER || !printable {
        at.field("cluster").problem(format!(
            "expected the name of an Envoy cluster: 1 to {LONGEST_CLUSTER} printable ASCII characters"
        ));
    }
    let prefix = raw.prefix.clone().unwrap_or_else(|| "sso".into());
    let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !plain {
        at.field("prefix")
            .problem(format!("expected 1 to {LONGEST_PREFIX} letters, digits, '.', '_' and '-'"));
    }
    const MINUTE: u64 = 60_000;
    let timeout = duration::field(at, "timeout", &raw.timeout, 1_000, (10, MINUTE));
    let stale = duration::field(at, "stale", &raw.stale, 5_000, (1_000, 60 * MINUTE));
    let settle = duration::field(at, "settle", &raw.settle, 2_000, (0, 10 * MINUTE));
    Shared { cluster, prefix, timeout, on_outage: raw.on_outage.unwrap_or_default(), stale, settle }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use crate::config::{load, Config, OnOutage, Placeholders};

    fn loaded(shared: Value) -> Result<Config, String> {
        let config = json!({
            "session": { "keys": [{ "id": "k", "value": crate::testing::browser::KEY }] },
            "shared": shared,
            "accounts": [{ "origins": ["https://app.example"] }],
        });
        load(config.to_string().as_bytes(), &Placeholders)
            .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn defaults_are_those_of_the_documents() {
        let shared = loaded(json!({ "engine": "etcd", "cluster": "etcd" })).unwrap().shared.unwrap();
        assert_eq!((shared.cluster.as_str(), shared.prefix.as_str()), ("etcd", "sso"));
        assert_eq!((shared.timeout, shared.stale, shared.settle), (1_000, 5_000, 2_000));
        assert_eq!(shared.on_outage, OnOutage::Open);
        assert!(loaded(Value::Null).unwrap().shared.is_none());
    }

    #[test]
    fn a_name_that_could_harm_envoy_is_refused() {
        let with = |field: &str, value: Value| {
            let mut shared = json!({ "engine": "etcd", "cluster": "etcd" });
            shared[field] = value;
            loaded(shared)
        };
        // A short name that Envoy would take for a message of its own is fine: the filter sends the message.
        for good in ["etcd1", "empty", "eabcd", "outbound|2379||etcd.internal", &"c".repeat(120)] {
            assert!(with("cluster", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "ä", "a\nb", "a\u{0}", &"c".repeat(121)] {
            let problems = with("cluster", bad.into()).unwrap_err();
            assert!(problems.contains("shared.cluster: expected the name of an Envoy cluster"), "{problems}");
        }
        for bad in ["", "a/b", "a b", "ä", &"p".repeat(65)] {
            let problems = with("prefix", bad.into()).unwrap_err();
            assert!(problems.contains("shared.prefix: expected 1 to 64"), "{problems}");
        }
        for (field, value) in [("timeout", "0s"), ("stale", "10ms"), ("settle", "11m"), ("timeout", "soon")] {
            let problems = with(field, value.into()).unwrap_err();
            assert!(problems.contains(&format!("shared.{field}: expected a duration")), "{problems}");
        }
        assert!(with("engine", "redis".into()).unwrap_err().contains("shared.engine"));
        assert!(with("on_outage", "ajar".into()).unwrap_err().contains("shared.on_outage"));
    }

    #[test]
    fn engine_and_cluster_are_required() {
        let problems = loaded(json!({})).unwrap_err();
        assert!(problems.contains("shared.engine: is missing"), "{problems}");
        assert!(problems.contains("shared.cluster: expected"), "{problems}");
    }
}
