//! The only room that speaks to Envoy: what comes in is turned into the types of the other rooms, what
//! they decide into host calls.

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
