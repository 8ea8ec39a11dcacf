//! `envoy-sso explain`: a code, the list of codes, or docs/errors.md.

use std::io::{self, Write};

use super::codes::{Explanation, TABLE};
use super::{complain, FAILED, OK};

/// Prints what a code means. An unknown one gets the nearest, and the list.
pub fn one(word: &str, out: &mut impl Write) -> io::Result<u8> {
    let wanted = word.trim().to_ascii_lowercase().replace('-', "_");
    if let Some(found) = TABLE.iter().find(|row| row.code.as_str() == wanted) {
        return text(found, out).map(|()| OK);
    }
    match nearest(&wanted) {
        Some(code) => complain(&format_args!("{word:?} is not a code; did you mean {code}?")),
        None => complain(&format_args!("{word:?} is not a code")),
    }
    list(&mut io::stderr())?;
    Ok(FAILED)
}

/// Prints every code with its status and meaning.
pub fn list(out: &mut impl Write) -> io::Result<()> {
    TABLE.iter().try_for_each(|row| {
        writeln!(out, "{:24} {}  {}", row.code.as_str(), row.code.status(), plain(row.meaning))
    })
}

/// Prints docs/errors.md.
pub fn markdown(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{HEAD}")?;
    for row in TABLE {
        let statuses = statuses(row);
        let (meaning, causes) = (row.meaning, row.causes.join("; "));
        writeln!(
            out,
            "| `{}` | {statuses} | {meaning} | {causes} | {} | {} |",
            row.code.as_str(),
            row.action,
            row.log
        )?;
    }
    Ok(())
}

const HEAD: &str = "\
# Error codes

Every answer of the filter's own has a code in `x-sso-code`, on the page, in problem+json and in the log. `envoy-sso explain CODE`
prints one row of this table. `envoy-sso explain --markdown` prints this page; a test compares them.

| code | status | meaning | usual causes | what to do | in the log |
|---|---|---|---|---|---|
";

fn text(row: &Explanation, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} ({})\n\n{}\n\nUsual causes:", row.code.as_str(), statuses(row), plain(row.meaning))?;
    for cause in row.causes {
        writeln!(out, "- {}", plain(cause))?;
    }
    writeln!(out, "\nWhat to do: {}\nIn the log: {}", plain(row.action), plain(row.log))
}

fn statuses(row: &Explanation) -> String {
    let all = std::iter::once(row.code.status()).chain(row.also.iter().copied());
    all.map(|status| status.to_string()).collect::<Vec<_>>().join(", ")
}

/// The terminal shows no marks of Markdown.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// The code that shares the most pairs of letters with the word, if it is close.
fn nearest(word: &str) -> Option<&'static str> {
    let shared = |code: &str| {
        let pairs = |text: &str| text.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (ours, theirs) = (pairs(code), pairs(word));
        let both = theirs.iter().filter(|pair| ours.contains(pair)).count();
        200 * both / (ours.len() + theirs.len()).max(1)
    };
    let best = TABLE.iter().map(|row| row.code.as_str()).max_by_key(|code| shared(code))?;
    (shared(best) >= 50).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_sso::fault::Code;

    #[test]
    fn every_code_is_explained_once_and_in_order() {
        assert_eq!(TABLE.iter().map(|row| row.code).collect::<Vec<_>>(), Code::ALL);
        for row in TABLE {
            assert!(
                !row.causes.is_empty() && row.meaning.ends_with('.') && row.action.ends_with('.'),
                "{:?}",
                row.code
            );
            assert!(![row.meaning, row.action, row.log].concat().contains('|'), "{:?}", row.code);
        }
    }

    #[test]
    fn a_misspelt_code_finds_its_own() {
        for (word, code) in [
            ("state_unknwon", "state_unknown"),
            ("idp_unavailible", "idp_unavailable"),
            ("not_redy", "not_ready"),
        ] {
            assert_eq!(nearest(word), Some(code));
        }
        assert_eq!(nearest("xyzzy"), None);
    }

    #[test]
    fn the_page_of_the_documents_is_this_table() {
        let mut page = Vec::new();
        markdown(&mut page).unwrap();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, &page).unwrap();
        }
        assert!(
            std::fs::read(file).unwrap_or_default() == page,
            "UPDATE_DOCS=1 cargo test --bin envoy-sso explain"
        );
    }
}
