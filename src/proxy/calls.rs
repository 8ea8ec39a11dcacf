//! Calls to clusters: how Envoy takes them, and what a reply has.
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, Status};

use super::engine;
use crate::host::task::{self, Call, Failure, Reply, Via};

/// Hands a call to its cluster; the reply at once where Envoy does not take it.
pub fn dispatch(call: &Call) -> Result<u32, Reply> {
    if call.via != Via::Http {
        return engine::dispatch(call);
    }
    let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let timeout = Duration::from_millis(call.timeout);
    hostcalls::dispatch_http_call(&call.cluster, headers, call.body.as_deref(), Vec::new(), timeout).map_err(
        |status| {
            Reply::Failed(match status {
                Status::BadArgument => {
                    let host = call.headers.iter().find(|(name, _)| name == ":authority");
                    let host = host.map_or("", |(_, host)| host.as_str());
                    Failure::NoCluster(format!("{host}: Envoy has no cluster named {}", call.cluster))
                }
                _ => Failure::Unreachable,
            })
        },
    )
}

/// Copies a reply out of its callback. No headers at all: the call failed.
pub fn reply(headers: usize, body: usize, max: usize) -> Reply {
    if headers == 0 {
        return Reply::Failed(Failure::Unreachable);
    }
    if body > max {
        return Reply::Failed(Failure::TooLarge);
    }
    let map = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let status = map.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_slice());
    let status = status.and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = match body {
        0 => Vec::new(),
        size => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size)
            .ok()
            .flatten()
            .unwrap_or_default(),
    };
    Reply::Answer(task::Answer { status, headers: map, body })
}
