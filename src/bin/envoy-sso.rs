//! The command line: `envoy-sso check FILE`, `uris FILE`, `schema`, `texts`, `keygen`.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use envoy_sso::config::{self, Placeholders};

const HELP: &str = "\
envoy-sso: single sign-on in front of any web application, inside Envoy

  envoy-sso check FILE   report every problem of a configuration (YAML or JSON; - for standard input).
                         FILE may also be an Envoy configuration, an Istio WasmPlugin or EnvoyFilter
                         that holds one. Exit 1 where there are problems
  envoy-sso uris FILE    print what has to be registered at each identity provider, for every account
  envoy-sso schema       print the JSON Schema of the configuration
  envoy-sso texts        print every text of the pages by its key, in English, as YAML to translate
  envoy-sso keygen       print a new session key: 32 random bytes in base64
  envoy-sso version      print the version
";

/// What the shell is told where all is well, where something is wrong with the configuration, and where it could
/// not be judged.
const OK: u8 = 0;
const PROBLEMS: u8 = 1;
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut out = io::stdout().lock();
    let code = run(&arguments, &mut out).and_then(|code| out.flush().map(|()| code));
    ExitCode::from(code.unwrap_or_else(|error| {
        // Whoever closed the pipe does not want to read about it.
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
        (["check", _], [_, file]) => return check(file, false, out),
        (["uris", _], [_, file]) => return check(file, true, out),
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

fn read(file: &OsStr) -> io::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Reports every problem; `uris`: and what has to be registered.
fn check(file: &OsStr, uris: bool, out: &mut impl Write) -> io::Result<u8> {
    let name = Path::new(file).display();
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            complain(&format_args!("{name}: {error}"));
            return Ok(FAILED);
        }
    };
    let (configurations, mut problems) = config::find_in_text(&text);
    for configuration in configurations {
        match config::load(configuration.to_string().as_bytes(), &Placeholders) {
            Ok(config) => {
                for account in config.accounts.iter().filter(|_| uris) {
                    for (what, uri) in envoy_sso::flows::admin::redirect_uris(account) {
                        writeln!(out, "{}: {what}: {uri}", account.code)?;
                    }
                }
                for warning in config.warnings {
                    writeln!(out, "{name}: warning: {warning}")?;
                }
            }
            Err(list) => problems.extend(list),
        }
    }
    for problem in &problems {
        writeln!(out, "{name}: {problem}")?;
    }
    match problems.len() {
        0 if uris => {}
        0 => writeln!(out, "{name}: ok")?,
        1 => writeln!(out, "1 problem")?,
        n => writeln!(out, "{n} problems")?,
    }
    Ok(if problems.is_empty() { OK } else { PROBLEMS })
}
