//! SAML: the provider's metadata, and the dates of its certificates.

use std::time::{SystemTime, UNIX_EPOCH};

use envoy_sso::config::Saml;
use envoy_sso::crypto::certificate::Certificate;
use envoy_sso::proto::fetch::answer::shown;

use super::http::Client;
use super::Report;

/// Warned of so many milliseconds before a certificate expires: thirty days.
const SOON: u64 = 30 * 86_400_000;

/// Tries the metadata, and reads the certificates that the configuration has.
pub fn check(http: &Client, place: &str, saml: &Saml, report: &mut Report) {
    if let Some(url) = &saml.metadata_url {
        let at = shown(url);
        match http.get(url, None) {
            Ok(answer) if answer.status != 200 => {
                report.fails(format_args!("{place}: metadata {at}: status {}", answer.status));
            }
            Ok(answer) if !answer.body.contains("EntityDescriptor") => {
                report.fails(format_args!("{place}: metadata {at}: has no EntityDescriptor"));
            }
            Ok(answer) => {
                report.works(format_args!("{place}: metadata"));
                let text = answer.body.split("X509Certificate>").skip(1).step_by(2);
                text.for_each(|text| dates(place, text.split('<').next().unwrap_or_default(), report));
            }
            Err(why) => report.fails(format_args!("{place}: metadata {at}: {why}")),
        }
    }
    saml.certificates.iter().for_each(|pem| dates(place, pem, report));
    let own =
        [&saml.signing, &saml.decryption].into_iter().flatten().filter_map(|key| key.certificate.as_ref());
    own.for_each(|pem| dates(place, pem, report));
}

#[allow(clippy::disallowed_methods)] // the command line has no Host
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The filter pins certificates, so that an expired one still verifies: a note, not a failure.
fn dates(place: &str, pem: &str, report: &mut Report) {
    let Ok(certificate) = Certificate::parse(pem) else { return };
    let now = now();
    let days = certificate.not_after.saturating_sub(now) / 86_400_000;
    let name = certificate.name();
    match certificate.date_warning(now) {
        Some(warning) => report.note(format_args!("{place}: certificate {name}: {warning}")),
        None if certificate.not_after < now + SOON => {
            report.note(format_args!("{place}: certificate {name} expires in {days} days"))
        }
        None => report.works(format_args!("{place}: certificate {name}; {days} days left")),
    }
}
