//! The command line: `envoy-sso check FILE`, `uris FILE`, `schema`, `texts`, `keygen`.

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

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["check", file] => check(file, false),
        ["uris", file] => check(file, true),
        ["schema"] => {
            print!("{}", config::schema::generate());
            ExitCode::SUCCESS
        }
        ["texts"] => {
            for (key, text) in envoy_sso::pages::TEXTS {
                println!("{key}: {text:?}");
            }
            ExitCode::SUCCESS
        }
        ["keygen"] => keygen(),
        ["version" | "--version" | "-V"] => {
            println!("envoy-sso {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::disallowed_methods)] // the command line has no Host
fn keygen() -> ExitCode {
    let mut key = [0u8; 32];
    if getrandom::getrandom(&mut key).is_err() {
        eprintln!("no randomness from the operating system");
        return ExitCode::FAILURE;
    }
    println!("{}", base64::engine::general_purpose::STANDARD.encode(key));
    ExitCode::SUCCESS
}

/// Reports every problem; `uris`: and what has to be registered.
fn check(file: &str, uris: bool) -> ExitCode {
    let text = match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    let configurations = match config::find_in_text(&text) {
        Ok(found) => found,
        Err(error) => {
            println!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut problems = 0;
    for configuration in configurations {
        match config::load(configuration.to_string().as_bytes(), &Placeholders) {
            Ok(config) => {
                for account in config.accounts.iter().filter(|_| uris) {
                    for (what, uri) in envoy_sso::admin::redirect_uris(account) {
                        println!("{}: {what}: {uri}", account.code);
                    }
                }
                config.warnings.iter().for_each(|warning| println!("{file}: warning: {warning}"));
            }
            Err(list) => {
                problems += list.len();
                list.iter().for_each(|problem| println!("{file}: {problem}"));
            }
        }
    }
    match problems {
        0 => {
            if !uris {
                println!("{file}: ok");
            }
            ExitCode::SUCCESS
        }
        1 => {
            println!("1 problem");
            ExitCode::FAILURE
        }
        n => {
            println!("{n} problems");
            ExitCode::FAILURE
        }
    }
}
