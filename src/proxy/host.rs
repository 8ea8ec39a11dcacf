//! Envoy as the [`Host`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MetricType};

use super::foreign;
use crate::fault::Fault;
use crate::host::{no_randomness, Hash, Host, Level, ABSENT};

/// Different metrics one worker defines at the most: names hold accounts and providers.
const MAX_METRICS: usize = 20_000;

/// Envoy.
#[derive(Default)]
pub struct EnvoyHost {
    metrics: RefCell<HashMap<String, u32>>,
}

impl EnvoyHost {
    fn metric(&self, kind: MetricType, name: &str) -> Option<u32> {
        let mut metrics = self.metrics.borrow_mut();
        if let Some(id) = metrics.get(name) {
            return Some(*id);
        }
        if metrics.len() >= MAX_METRICS {
            return None;
        }
        let id = hostcalls::define_metric(kind, name).ok()?;
        metrics.insert(name.to_owned(), id);
        Some(id)
    }
}

impl Host for EnvoyHost {
    fn now(&self) -> u64 {
        let time = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        // Without a clock nothing can be checked for expiry: the end of time, when everything has.
        time.map_or(u64::MAX, |since| since.as_secs() * 1000 + u64::from(since.subsec_millis()))
    }

    #[allow(clippy::disallowed_methods)] // this is where randomness comes in
    fn random(&self, out: &mut [u8]) -> Result<(), Fault> {
        getrandom::getrandom(out).map_err(|_| no_randomness())
    }

    fn verify_rsa(&self, hash: Hash, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
        foreign::verify(hash, spki, signature, message)
    }

    fn verify_ecdsa(&self, hash: Hash, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
        foreign::verify(hash, spki, signature, message)
    }

    fn sign_rsa(&self, hash: Hash, pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        foreign::sign(hash, pkcs8, message)
    }

    fn shared_get(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>) {
        let (value, cas) = hostcalls::get_shared_data(key).unwrap_or_default();
        (value, cas.or(Some(ABSENT)))
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), cas).is_ok()
    }

    fn count(&self, metric: &str) {
        if let Some(id) = self.metric(MetricType::Counter, metric) {
            let _ = hostcalls::increment_metric(id, 1);
        }
    }

    fn observe(&self, metric: &str, milliseconds: u64) {
        if let Some(id) = self.metric(MetricType::Histogram, metric) {
            let _ = hostcalls::record_metric(id, milliseconds);
        }
    }

    fn gauge(&self, metric: &str, value: u64) {
        if let Some(id) = self.metric(MetricType::Gauge, metric) {
            let _ = hostcalls::record_metric(id, value);
        }
    }

    /// To Envoy's log, without the copies that the crate `log` makes.
    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let _ = hostcalls::log(level, line);
    }
}
