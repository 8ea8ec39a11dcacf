//! `envoy-sso import`: a configuration from another product's, and what it could not carry over.

mod alpha;
mod apache;
mod cfg;
mod draft;
mod duration;
mod gateway;
mod oauth2_proxy;
mod paths;
mod provider;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{complain, text_of, FAILED, OK, PROBLEMS};
use draft::Draft;

/// Writes the configuration; what is left out goes to standard error.
pub fn run(file: &OsStr, out: &mut impl Write) -> io::Result<u8> {
    let name = Path::new(file).display();
    let Some(text) = text_of(file) else { return Ok(FAILED) };
    let draft = match convert(&text) {
        Ok(draft) => draft,
        Err(why) => {
            complain(&format_args!("{name}: {why}"));
            return Ok(PROBLEMS);
        }
    };
    for note in &draft.notes {
        complain(&format_args!("{name}: {note}"));
    }
    let yaml = serde_norway::to_string(&draft.finish()).map_err(io::Error::other)?;
    write!(out, "# Written by envoy-sso import. Read it, run envoy-sso check, and see envoy-sso uris for what to register.\n{yaml}")?;
    Ok(OK)
}

/// Recognises the product by what only its files have.
fn convert(text: &str) -> Result<Draft, String> {
    let is_apache = |line: &str| {
        line.trim_start()
            .strip_prefix("OIDC")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    if text.lines().any(is_apache) {
        return apache::convert(text);
    }
    let documents: Vec<Value> =
        serde_norway::Deserializer::from_str(text).map_while(|one| Value::deserialize(one).ok()).collect();
    let is_kind = |one: &Value| one.get("kind").is_some_and(|kind| kind == "SecurityPolicy");
    if documents.iter().any(is_kind) {
        return gateway::convert(&documents);
    }
    match documents.iter().find(|one| one.get("providers").is_some_and(Value::is_array)) {
        Some(document) => alpha::convert(document),
        None => oauth2_proxy::convert(text),
    }
}
