//! `envoy-sso check --online`: asks every address of a configuration from this machine, as the filter would.

mod directory;
mod engine;
mod http;
mod provider;
mod routes;
mod saml;

use std::io::{self, Write};

use envoy_sso::config::{Config, Contents, Directory, Protocol};
use envoy_sso::values::secret_source::SecretSource;
use serde_json::Value;
use url::Url;

/// What the tries have found, in the order they were made.
#[derive(Default)]
struct Report {
    lines: Vec<(Verdict, String)>,
    /// URLs that documents named, which the filter asks.
    named: Vec<(String, Url)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Works,
    Note,
    Fails,
}

impl Report {
    fn works(&mut self, what: impl std::fmt::Display) {
        self.lines.push((Verdict::Works, what.to_string()));
    }

    /// Something that could not be tried, or that an operator should know.
    fn note(&mut self, what: impl std::fmt::Display) {
        self.lines.push((Verdict::Note, what.to_string()));
    }

    fn fails(&mut self, what: impl std::fmt::Display) {
        self.lines.push((Verdict::Fails, what.to_string()));
    }
}

/// Tries everything that a configuration names. False if something fails.
pub fn run(config: &Config, written: &Value, contents: &Contents, out: &mut impl Write) -> io::Result<bool> {
    let http = http::Client::new();
    let mut report = Report::default();
    for (i, account) in config.accounts.iter().enumerate() {
        for (j, provider) in account.providers.iter().enumerate() {
            let place = format!("{}/{}", account.code, provider.id);
            let own = written.pointer(&format!("/accounts/{i}/identity_providers/{j}"));
            match &provider.protocol {
                Protocol::Oidc(oidc) => {
                    provider::openid(&http, &place, account, provider, oidc, own, &mut report)
                }
                Protocol::OAuth2(oauth2) => {
                    provider::oauth2(&http, &place, account, provider, oauth2, own, &mut report)
                }
                Protocol::Saml(saml) => saml::check(&http, &place, saml, &mut report),
            }
        }
        if let Directory::Scim(scim) = &account.directory {
            let has_token = written.pointer(&format!("/accounts/{i}/directory/scim/token")).is_some();
            directory::check(&http, &account.code, scim, has_token, &mut report);
        }
    }
    if let Some(shared) = &config.shared {
        engine::check(&http, &shared.cluster, &contents.addresses(&shared.cluster), &mut report);
    }
    routes::check(config, contents, &mut report);
    let secrets = secrets(config);
    for (verdict, line) in &report.lines {
        let word = match verdict {
            Verdict::Works => "works",
            Verdict::Note => "note",
            Verdict::Fails => "FAILS",
        };
        writeln!(out, "{word}: {}", printable(line, &secrets))?;
    }
    Ok(report.lines.iter().all(|(verdict, _)| *verdict != Verdict::Fails))
}

/// What the tries have sent: a server may repeat it in its answer.
fn secrets(config: &Config) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |source: &Option<SecretSource>| {
        all.extend(source.as_ref().and_then(SecretSource::get).map(|secret| secret.expose().to_owned()));
    };
    for account in &config.accounts {
        for provider in &account.providers {
            match &provider.protocol {
                Protocol::Oidc(oidc) => add(&oidc.client.secret),
                Protocol::OAuth2(oauth2) => add(&oauth2.client.secret),
                Protocol::Saml(_) => {}
            }
        }
        if let Directory::Scim(scim) = &account.directory {
            add(&scim.token);
        }
    }
    // A shorter one cannot be told from words.
    all.retain(|secret| secret.len() >= 6);
    all
}

/// A line for a terminal: servers' words may hold anything.
fn printable(line: &str, secrets: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    let line = secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "(secret)"));
    line.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
}
