//! The command line: checks, explains and imports configurations.

mod advice;
mod check;
mod codes;
mod explain;
mod import;
mod login;
mod online;
mod surroundings;
mod trust;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use check::Also;
use envoy_sso::config;

const HELP: &str = "\
envoy-sso: single sign-on in front of any web application, inside Envoy

  envoy-sso check FILE   report every problem of a configuration (YAML or JSON; - for standard input).
                         FILE may also be an Envoy configuration, an Istio WasmPlugin or EnvoyFilter,
                         or an EnvoyExtensionPolicy that holds one. Exit 1 if there are problems
  envoy-sso check --online FILE
                         also ask providers, directory and engine from this machine: discovery, keys,
                         the client (with a made-up code), users, certificates' dates. Secrets come
                         from the environment, authorities from SSL_CERT_FILE or the system
  envoy-sso uris FILE    print what has to be registered at each identity provider, for every account
  envoy-sso import FILE  write a configuration from an oauth2-proxy (cfg or alpha), Envoy Gateway
                         (SecurityPolicy) or mod_auth_openidc one; what it leaves out goes to stderr
  envoy-sso explain CODE print what a code of x-sso-code means, and what to do (without CODE: all codes)
  envoy-sso login URL    sign in and print a bearer token for programs that use URL
                         (--exec-credential: for kubectl; more options: envoy-sso login)
  envoy-sso schema       print the JSON Schema of the configuration
  envoy-sso texts        print every text of the pages by its key, in English, as YAML to translate
  envoy-sso keygen       print a new session key: 32 random bytes in base64
  envoy-sso version      print the version
";

/// Exit codes: all is well, the configuration has problems, the command could not judge.
const OK: u8 = 0;
const PROBLEMS: u8 = 1;
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut out = io::stdout().lock();
    let code = run(&arguments, &mut out).and_then(|code| out.flush().map(|()| code));
    ExitCode::from(code.unwrap_or_else(|error| {
        // A reader that closed the pipe has read enough.
        if error.kind() != ErrorKind::BrokenPipe {
            complain(&error);
        }
        FAILED
    }))
}

fn complain(what: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn run(arguments: &[OsString], out: &mut impl Write) -> io::Result<u8> {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match (words.as_slice(), arguments) {
        (["check", _], [_, file]) => return check::run(file, Also::Nothing, out),
        (["check", "--online", _], [_, _, file]) => return check::run(file, Also::Online, out),
        (["uris", _], [_, file]) => return check::run(file, Also::Uris, out),
        (["import", _], [_, file]) => return import::run(file, out),
        (["explain"], _) => explain::list(out)?,
        (["explain", "--markdown"], _) => explain::markdown(out)?,
        (["explain", code], _) => return explain::one(code, out),
        (["login", rest @ ..], _) => return log_in(rest, out),
        (["schema"], _) => write!(out, "{}", config::schema::generate())?,
        (["texts"], _) => {
            for (key, text) in envoy_sso::pages::TEXTS {
                writeln!(out, "{key}: {text:?}")?;
            }
        }
        (["keygen"], _) => return keygen(out),
        (["version" | "--version" | "-V"], _) => writeln!(out, "envoy-sso {}", env!("CARGO_PKG_VERSION"))?,
        (["help" | "--help" | "-h"], _) => write!(out, "{HELP}")?,
        _ => {
            complain(&HELP);
            return Ok(FAILED);
        }
    }
    Ok(OK)
}

fn log_in(words: &[&str], out: &mut impl Write) -> io::Result<u8> {
    let Some(options) = login::Options::read(words) else {
        complain(&login::USAGE);
        return Ok(FAILED);
    };
    Ok(match login::run(&options, out) {
        Ok(()) => OK,
        Err(why) => {
            complain(&why);
            FAILED
        }
    })
}

#[allow(clippy::disallowed_methods)] // the command line has no Host
fn keygen(out: &mut impl Write) -> io::Result<u8> {
    let mut key = [0u8; 32];
    if getrandom::getrandom(&mut key).is_err() {
        complain(&"no randomness from the operating system");
        return Ok(PROBLEMS);
    }
    writeln!(out, "{}", base64::engine::general_purpose::STANDARD.encode(key))?;
    Ok(OK)
}

/// The text of a file; says why it cannot be read.
fn text_of(file: &OsStr) -> Option<String> {
    read(file).map_err(|error| complain(&format_args!("{}: {error}", Path::new(file).display()))).ok()
}

/// The text of a file; `-` is standard input.
fn read(file: &OsStr) -> io::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
