//! Envoy's ABI, and the only house that names `proxy_wasm`: what comes in is turned into the types of the other houses, and what
//! they decide into host calls.
//!
//! - `filter`: one request: headers in, ruling out, and the calls in between. `stage`: how far it is.
//! - `root`: one worker: loads the configuration, and does the background's work. `waiting`: requests that wait for it.
//! - `calls`: calls to clusters and their replies. `engine`: the stream to etcd. `streams`: long answers, closed with their session.
//! - `host`: Envoy as the `Host`. `foreign`: BoringSSL. `caching`: `cache-control` beside our cookies.
//! - `wasm`: the crate that Envoy loads.
//!
//! Invariant: nothing is decided here. What a request may do comes from `gate`.

mod caching;
mod calls;
mod engine;
mod filter;
mod foreign;
mod host;
mod root;
mod stage;
mod streams;
mod waiting;

use proxy_wasm::traits::RootContext;

/// Hands Envoy the root context.
#[inline]
pub fn start() {
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}
