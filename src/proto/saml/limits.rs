//! The first pass over a stranger's XML: its tags, before any tree is built.
//!
//! A parser copies the namespaces in scope to every element that declares one and compares every attribute with its
//! neighbours, so a small document can cost much: depth, attributes and namespaces have limits. And what some parsers
//! read differently than others is refused here by name.

use crate::values::text::clip;

/// White space as XML has it (XML 1.0 section 2.3).
pub(super) const WHITE: &[char] = &[' ', '\t', '\r', '\n'];

/// How deep elements may nest: canonicalisation recurses, and every level adds to the namespaces in scope.
pub(super) const MAX_DEPTH: usize = 40;
pub(super) const MAX_ATTRIBUTES: usize = 64;
pub(super) const MAX_NAMESPACES: usize = 24;
/// Declared by an element and those around it: building the tree costs their square for every element that declares
/// one (measured: 256 KB took 15 seconds without this limit).
pub(super) const MAX_IN_SCOPE: usize = 48;
const MAX_NAME: usize = 256;

/// Lets a text through to the parser, or says why not.
pub(super) fn pass(text: &str) -> Result<(), String> {
    Gate { text, at: 0 }.pass()
}

/// What follows the XML declaration at the beginning, if there is one, which has to say what one of a message has to.
pub(super) fn without_declaration(text: &str) -> Result<&str, String> {
    let mut gate = Gate { text, at: 0 };
    gate.declaration()?;
    Ok(gate.rest())
}

struct Gate<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Gate<'a> {
    fn pass(mut self) -> Result<(), String> {
        self.declaration()?;
        // Of each open element: how many namespaces it and those around it declare.
        let mut open: Vec<usize> = Vec::new();
        while let Some(next) = self.rest().find('<') {
            self.at += next;
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.skip_past("-->", 4)?;
            } else if rest.starts_with("<![CDATA[") {
                self.skip_past("]]>", 9)?;
            } else if rest.starts_with("<!") {
                return Err("a document type (DTD) is not allowed".into());
            } else if rest.starts_with("<?") {
                return Err("a processing instruction is not allowed".into());
            } else if rest.starts_with("</") {
                self.skip_past(">", 2)?;
                open.pop();
            } else {
                let (stays_open, declares) = self.tag()?;
                let in_scope = open.last().copied().unwrap_or(0) + declares;
                if in_scope > MAX_IN_SCOPE {
                    return Err(format!(
                        "more than {MAX_IN_SCOPE} namespace declarations inside one another"
                    ));
                }
                if stays_open {
                    open.push(in_scope);
                }
                if open.len() > MAX_DEPTH {
                    return Err(format!("elements nest deeper than {MAX_DEPTH}"));
                }
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_past(&mut self, end: &str, from: usize) -> Result<(), String> {
        let found = self.rest().get(from..).and_then(|rest| rest.find(end));
        self.at += from + found.ok_or("not well-formed XML: it ends too early")? + end.len();
        Ok(())
    }

    /// The XML declaration may say version 1.0 and UTF-8, which is what the text was read as.
    fn declaration(&mut self) -> Result<(), String> {
        self.at += if self.text.starts_with('\u{feff}') { 3 } else { 0 };
        if !self.rest().starts_with("<?xml ") {
            return Ok(());
        }
        let start = self.at;
        self.skip_past("?>", 6)?;
        let declaration = self.text.get(start..self.at).unwrap_or_default().to_ascii_lowercase();
        let value = |name: &str| -> Option<String> {
            let after = declaration.split_once(name)?.1.trim_start().strip_prefix('=')?.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            Some(after.get(1..)?.split_once(quote)?.0.to_owned())
        };
        if value("version").as_deref() != Some("1.0") {
            return Err("the XML declaration does not say version 1.0".into());
        }
        match value("encoding").as_deref() {
            None | Some("utf-8" | "us-ascii") => Ok(()),
            Some(other) => Err(format!("the XML says encoding {:?}, only UTF-8 is read", clip(other))),
        }
    }

    /// One start tag: whether it stays open, and how many namespaces it declares.
    fn tag(&mut self) -> Result<(bool, usize), String> {
        const BROKEN: &str = "not well-formed XML: a broken tag";
        self.at += 1;
        self.name()?;
        let (mut attributes, mut namespaces): (usize, Vec<&str>) = (0, Vec::new());
        loop {
            self.white();
            let rest = self.rest();
            if rest.starts_with('>') {
                self.at += 1;
                return Ok((true, namespaces.len()));
            }
            if rest.starts_with("/>") {
                self.at += 2;
                return Ok((false, namespaces.len()));
            }
            let name = self.name()?;
            self.white();
            self.at += usize::from(self.rest().starts_with('='));
            self.white();
            let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(BROKEN)?;
            self.at += 1;
            let value = self.rest().split_once(quote).ok_or(BROKEN)?.0;
            if value.contains('<') {
                return Err(BROKEN.into());
            }
            self.at += value.len() + 1;
            attributes += 1;
            if name == "xmlns" || name.starts_with("xmlns:") {
                if namespaces.contains(&name) {
                    return Err(format!("one tag declares {name:?} twice"));
                }
                namespaces.push(name);
                namespace(name, value)?;
            } else if name.ends_with(":xmlns") {
                return Err(format!("the attribute {name:?} is not allowed"));
            }
            if attributes > MAX_ATTRIBUTES || namespaces.len() > MAX_NAMESPACES {
                return Err("one tag has too many attributes".into());
            }
        }
    }

    fn white(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(WHITE).len();
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\r', '\n', '=', '/', '>', '<', '"', '\'']).unwrap_or(rest.len());
        if end == 0 || end > MAX_NAME {
            return Err("not well-formed XML: a name is missing or too long".into());
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default())
    }
}

/// Namespaces in XML 1.0 section 2.2 and Canonical XML 1.1 section 2.4: a namespace name is an absolute URI, and a
/// prefix cannot be undeclared. The reserved prefixes cannot be declared at all here.
fn namespace(name: &str, value: &str) -> Result<(), String> {
    if matches!(name, "xmlns:" | "xmlns:xml" | "xmlns:xmlns") {
        return Err(format!("{name:?} cannot be declared"));
    }
    let absolute = value.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if absolute || (name == "xmlns" && value.is_empty()) {
        return Ok(());
    }
    Err(format!("the namespace {:?} of {name:?} is not an absolute URI", clip(value)))
}
