//! The engine of several Envoys: reachable, and healthy by its own word.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::http::Client;
use super::Report;

/// Tries each address of the engine's cluster.
pub fn check(http: &Client, cluster: &str, addresses: &[(String, u16)], report: &mut Report) {
    if addresses.is_empty() {
        return report
            .note(format_args!("engine: not tried: the file does not say where cluster {cluster:?} leads"));
    }
    for (host, port) in addresses {
        let address = format!("{host}:{port}");
        if !connects(host, *port) {
            report.fails(format_args!("engine: no connection to {address} (cluster {cluster:?})"));
            continue;
        }
        // etcd answers /health in HTTP/1.1 beside its gRPC.
        let health = Url::parse(&format!("http://{address}/health")).ok().map(|url| http.get(&url, None));
        match health {
            Some(Ok(answer)) if answer.status == 200 && is_healthy(&answer.body) => {
                report.works(format_args!("engine: {address} is healthy"));
            }
            Some(Ok(answer)) => {
                report.fails(format_args!(
                    "engine: {address}: /health answers {} {}",
                    answer.status,
                    short(&answer.body)
                ));
            }
            _ => report.note(format_args!(
                "engine: {address} takes connections; its /health cannot be read here (TLS?)"
            )),
        }
    }
}

fn connects(host: &str, port: u16) -> bool {
    let addresses = (host, port).to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok())
}

fn is_healthy(body: &str) -> bool {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    said.get("health").is_some_and(|health| health == "true" || health == &Value::Bool(true))
}

fn short(body: &str) -> String {
    body.trim().chars().take(100).collect()
}
