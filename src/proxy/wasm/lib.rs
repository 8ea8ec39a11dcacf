//! What Envoy loads: the filter's entry.
#![cfg(target_family = "wasm")]

proxy_wasm::main! {{
    filter::proxy::start();
}}
