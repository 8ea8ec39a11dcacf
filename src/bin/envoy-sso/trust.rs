//! Which certificates the command line trusts.

use std::sync::Arc;

use ureq::tls::{parse_pem, PemItem, RootCerts};

/// The authorities of `SSL_CERT_FILE`, else of the system, else of Mozilla.
pub fn authorities() -> RootCerts {
    named().unwrap_or(RootCerts::WebPki)
}

fn named() -> Option<RootCerts> {
    const SYSTEM: [&str; 3] =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let named = std::env::var("SSL_CERT_FILE").ok();
    let read = |file: &str| std::fs::read(file).ok();
    let pem = named.as_deref().and_then(read).or_else(|| SYSTEM.into_iter().find_map(read))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    (!certificates.is_empty()).then(|| RootCerts::Specific(Arc::new(certificates)))
}
