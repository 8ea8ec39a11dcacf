//! Runs the command line for the tests.

use std::io::Write;
use std::process::{Command, Output, Stdio};

pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_envoy-sso"))
}

/// What it says to this standard input.
pub fn given(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
