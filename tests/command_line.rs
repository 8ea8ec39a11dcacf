//! The command line: what it says and what the shell is told.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod command;

use std::ffi::OsStr;
use std::process::{Output, Stdio};

use command::{command, given};

/// What `check -` says of the text.
fn check(text: &str) -> (Option<i32>, String) {
    let output = given(command().args(["check", "-"]), text);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn panicked(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("panicked")
}

const GOOD: &str = "\
session: { keys: [{ id: a, value: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= }] }
accounts: [{ origins: [\"https://app.example.com\"], sso: disabled }]
";

#[test]
fn every_document_of_a_file_is_judged() {
    let misspelt = GOOD.replace("session:", "sesion:");
    for (text, code, says) in [
        (GOOD.to_owned(), 0, "-: ok"),
        (format!("\u{feff}{GOOD}"), 0, "-: ok"),
        (format!("{GOOD}---\n{GOOD}"), 0, "-: ok"),
        (misspelt.clone(), 1, "sesion: unknown field; did you mean session?"),
        (format!("{GOOD}---\n{misspelt}"), 1, "sesion: unknown field; did you mean session?"),
        (format!("{misspelt}---\n{GOOD}"), 1, "sesion: unknown field; did you mean session?"),
        (GOOD.replace("sso: disabled", "sso: disabled, sso: enabled"), 1, "accounts[0].sso: is there twice"),
        (format!("{GOOD}---\na: ["), 1, "is neither YAML nor JSON"),
        (String::new(), 1, "-: is empty"),
    ] {
        let (found, said) = check(&text);
        assert!(found == Some(code) && said.contains(says), "{text}\n{said}");
        assert_eq!(said.contains(": ok"), code == 0, "{said}");
    }
}

#[test]
fn what_cannot_be_judged_is_told_apart() {
    for arguments in [&["check", "/nowhere"][..], &["check"], &["chek", "x"], &[]] {
        let output = command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(command().arg("version").output().unwrap().status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_text_and_an_output_that_is_closed_are_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let strange = OsStr::from_bytes(b"/nowhere/\xff");
    let output = command().arg("check").arg(strange).output().unwrap();
    assert!(output.status.code() == Some(2) && !panicked(&output), "{output:?}");
    let output = command().arg(strange).output().unwrap();
    assert!(output.status.code() == Some(2) && !panicked(&output), "{output:?}");
    for arguments in [&["schema"][..], &["texts"], &["keygen"], &["version"], &["help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command().args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.code() == Some(2) && !panicked(&output), "{arguments:?} {output:?}");
    }
}

#[test]
fn a_code_is_explained_and_a_misspelt_one_finds_it() {
    let explain = |words: &[&str]| command().arg("explain").args(words).output().unwrap();
    let known = explain(&["role_missing"]);
    let text = String::from_utf8_lossy(&known.stdout).into_owned();
    assert!(
        known.status.success() && text.starts_with("role_missing (403)\n") && text.contains("What to do: "),
        "{text}"
    );
    let unknown = explain(&["rol_missing"]);
    let text = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(2) && text.contains("did you mean role_missing?"), "{text}");
    assert!(text.contains("idp_timeout"), "and the list: {text}");
}
