//! `envoy-sso check` and `uris`: every problem of a file, and what has to be registered.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use envoy_sso::config::{self, Placeholders, Problem};

use super::{advice, online, surroundings, text_of, FAILED, OK, PROBLEMS};

/// What is wanted beside the problems.
#[derive(Clone, Copy, PartialEq)]
pub enum Also {
    /// Nothing.
    Nothing,
    /// What has to be registered at each provider.
    Uris,
    /// Whether providers, directory and engine answer.
    Online,
}

/// Reports every problem of a file.
pub fn run(file: &OsStr, also: Also, out: &mut impl Write) -> io::Result<u8> {
    let name = Path::new(file).display();
    let Some(text) = text_of(file) else { return Ok(FAILED) };
    let contents = config::find_in_text(&text);
    let mut problems = contents.problems.clone();
    let mut works = true;
    let uris = also == Also::Uris;
    let mut warnings: Vec<Problem> = Vec::new();
    for found in &contents.found {
        let written = &found.configuration;
        warnings.extend(surroundings::clusters(written, contents.clusters.as_ref()));
        match config::load(written.to_string().as_bytes(), &Placeholders) {
            Ok(config) => {
                for account in config.accounts.iter().filter(|_| uris) {
                    for (what, uri) in envoy_sso::flows::admin::redirect_uris(account) {
                        writeln!(out, "{}: {what}: {uri}", account.code)?;
                    }
                }
                if let Some(carrier) = &found.carrier {
                    let (wrong, doubtful) = surroundings::carrier(&config, written, carrier);
                    problems.extend(wrong);
                    warnings.extend(doubtful);
                }
                if also == Also::Online {
                    works &= online::run(&config, written, &contents, out)?;
                }
                warnings.extend(advice::of(&config, written));
                // The file's own list of variables says more than this machine's environment.
                let listed = found.carrier.is_some();
                warnings.extend(
                    config.warnings.into_iter().filter(|one| !(listed && is_about_this_machine(one))),
                );
            }
            Err(list) => problems.extend(list),
        }
    }
    for warning in &warnings {
        writeln!(out, "{name}: warning: {warning}")?;
    }
    for problem in &problems {
        writeln!(out, "{name}: {problem}")?;
    }
    match problems.len() {
        0 if uris || !works => {}
        0 => writeln!(out, "{name}: ok")?,
        1 => writeln!(out, "1 problem")?,
        n => writeln!(out, "{n} problems")?,
    }
    Ok(if problems.is_empty() && works { OK } else { PROBLEMS })
}

fn is_about_this_machine(warning: &Problem) -> bool {
    warning.message.ends_with("it must be among the VM's environment variables")
}
