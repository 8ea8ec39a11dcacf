//! The first pass over a stranger's XML: its tags, before any tree is built.
//!
//! A parser compares every attribute with its neighbours and copies the namespaces in scope to every element that
//! declares one, so a small document can cost seconds. This pass counts the work that the tree will cost, as
//! [`Work`], and refuses a document that is over its budget. It also refuses, by name, what parsers read in
//! different ways.

use std::collections::HashSet;

use crate::values::text::clip;

/// White space as XML has it (XML 1.0 section 2.3).
pub(super) const WHITE: &[char] = &[' ', '\t', '\r', '\n'];

/// The largest message that is read, deflated or not, in bytes: a response with 1,500 groups has 240 KB.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// The largest logout message that is read, in bytes.
pub const MAX_LOGOUT: usize = 32 * 1024;
/// The largest metadata that is read: a federation's aggregate is larger, a company's IdP is not.
pub const MAX_METADATA: usize = 1 << 20;

/// How deep elements may nest: canonicalisation recurses, and every level adds to the namespaces in scope.
pub(super) const MAX_DEPTH: usize = 40;
pub(super) const MAX_ATTRIBUTES: usize = 64;
pub(super) const MAX_NAMESPACES: usize = 24;
/// Declared by an element and those around it.
pub(super) const MAX_IN_SCOPE: usize = 48;
const MAX_NAME: usize = 256;
/// Of a namespace name: those of SAML, XML Signature and XML Schema have fewer than 60 bytes.
pub(super) const MAX_NAMESPACE_NAME: usize = 256;
pub(super) const MAX_PREFIX: usize = 64;

/// What an element costs beside its name: its node, and every reader that goes over its parent's children.
const ELEMENT: usize = 60;
/// What any other node costs.
const NODE: usize = 20;
/// What an attribute costs before it is compared with others.
const ATTRIBUTE: usize = 12;
/// What it costs to compare two attributes: their namespaces are looked up first.
const PAIR: usize = 3;
/// What an identifier costs, which is remembered to find it again.
const IDENTIFIER: usize = 40;
/// So many bytes are compared, copied or skipped in one step.
const STRIDE: usize = 8;

/// A budget for reading XML, in bytes and in steps. A step is one comparison of two names; it costs the wasm some
/// five nanoseconds. Documents that belong together (a response and the assertion that was encrypted in it) are
/// read on one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The most bytes of one document.
    pub bytes: usize,
    /// The steps that are left.
    pub steps: usize,
}

impl Work {
    /// For the answer to a login: 5,000 values of one attribute cost less than half of it.
    pub fn response() -> Self {
        Self { bytes: MAX_MESSAGE, steps: 1_000_000 }
    }

    /// For a logout message, which any stranger may send. A real one has a few kilobytes.
    pub fn logout() -> Self {
        Self { bytes: MAX_LOGOUT, steps: 120_000 }
    }

    /// For metadata, which comes from a configured URL.
    pub fn metadata() -> Self {
        Self { bytes: MAX_METADATA, steps: 20_000_000 }
    }

    fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.checked_sub(steps).ok_or("the XML costs more work than is allowed")?;
        Ok(())
    }
}

/// Lets a text through to the parser, or says why not; what the tree will cost is taken from the budget.
pub(super) fn pass(text: &str, work: &mut Work) -> Result<(), String> {
    if text.len() > work.bytes {
        return Err(format!("the XML is {} bytes long, at most {} are read", text.len(), work.bytes));
    }
    work.spend(text.len() / STRIDE)?;
    Gate { text, at: 0, declared: HashSet::new() }.pass(work)
}

/// How a document begins.
pub(super) struct Beginning<'a> {
    /// The name of its root element.
    pub(super) root: &'a str,
    /// The name of the root's first child; empty where it has none.
    pub(super) first: &'a str,
    /// What follows that child's tag, up to the next.
    pub(super) inside: &'a str,
}

/// The beginning of a text that is not let through yet.
pub(super) fn beginning(text: &str) -> Result<Beginning<'_>, String> {
    let mut gate = Gate { text, at: 0, declared: HashSet::new() };
    gate.declaration()?;
    let mut unlimited = Work { bytes: text.len(), steps: usize::MAX };
    let root = gate.next_element(&mut unlimited)?.ok_or("not well-formed XML: it has no element")?;
    let first = gate.next_element(&mut unlimited)?;
    let inside = gate.rest().split('<').next().filter(|_| first.as_ref().is_some_and(|tag| tag.stays_open));
    Ok(Beginning {
        root: root.name,
        first: first.map_or("", |tag| tag.name),
        inside: inside.unwrap_or_default(),
    })
}

/// What follows the XML declaration at the beginning, if there is one, which has to say what one of a message has to.
pub(super) fn without_declaration(text: &str) -> Result<&str, String> {
    let mut gate = Gate { text, at: 0, declared: HashSet::new() };
    gate.declaration()?;
    Ok(gate.rest())
}

struct Gate<'a> {
    text: &'a str,
    at: usize,
    /// The different declarations so far, of prefix and name.
    declared: HashSet<(&'a str, &'a str)>,
}

/// What the elements around a tag declare, and how long the longest of it is.
#[derive(Clone, Copy, Default)]
struct Scope {
    namespaces: usize,
    prefix: usize,
    name: usize,
}

/// A start tag.
struct Tag<'a> {
    name: &'a str,
    stays_open: bool,
    scope: Scope,
}

impl<'a> Gate<'a> {
    fn pass(mut self, work: &mut Work) -> Result<(), String> {
        self.declaration()?;
        // Of each open element: what is declared within it.
        let mut open: Vec<Scope> = Vec::new();
        while self.next_markup() {
            if self.rest().starts_with("</") {
                self.skip_past(">", 2)?;
                work.spend(NODE)?;
                open.pop();
            } else if !self.is_skipped(work)? {
                let tag = self.tag(open.last().copied().unwrap_or_default(), work)?;
                if tag.stays_open {
                    open.push(tag.scope);
                }
                if open.len() > MAX_DEPTH {
                    return Err(format!("elements nest deeper than {MAX_DEPTH}"));
                }
            }
        }
        Ok(())
    }

    /// The next start tag, if nothing but comments and text stands before it.
    fn next_element(&mut self, work: &mut Work) -> Result<Option<Tag<'a>>, String> {
        while self.next_markup() {
            if self.rest().starts_with("</") {
                return Ok(None);
            }
            if !self.is_skipped(work)? {
                return self.tag(Scope::default(), work).map(Some);
            }
        }
        Ok(None)
    }

    fn next_markup(&mut self) -> bool {
        let next = self.rest().find('<');
        self.at += next.unwrap_or_default();
        next.is_some()
    }

    /// True where a comment or a CDATA section stood, which is skipped.
    fn is_skipped(&mut self, work: &mut Work) -> Result<bool, String> {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            self.skip_past("-->", 4)?;
        } else if rest.starts_with("<![CDATA[") {
            self.skip_past("]]>", 9)?;
        } else if rest.starts_with("<!") {
            return Err("a document type (DTD) is not allowed".into());
        } else if rest.starts_with("<?") {
            return Err("a processing instruction is not allowed".into());
        } else {
            return Ok(false);
        }
        work.spend(NODE)?;
        Ok(true)
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
        // XML production 23: white space of any kind follows.
        let after = self.rest().strip_prefix("<?xml");
        if !after.is_some_and(|after| after.starts_with(WHITE)) {
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
            None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Ok(()),
            Some(other) => Err(format!("the XML says encoding {:?}, only UTF-8 is read", clip(other))),
        }
    }

    /// One start tag within `around`.
    fn tag(&mut self, around: Scope, work: &mut Work) -> Result<Tag<'a>, String> {
        const BROKEN: &str = "not well-formed XML: a broken tag";
        self.at += 1;
        let tag_name = self.name()?;
        work.spend(ELEMENT + tag_name.len() / STRIDE)?;
        let (mut attributes, mut namespaces): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut scope = around;
        let stays_open = loop {
            self.white();
            let rest = self.rest();
            if rest.starts_with('>') {
                self.at += 1;
                break true;
            }
            if rest.starts_with("/>") {
                self.at += 2;
                break false;
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
            if name == "xmlns" || name.starts_with("xmlns:") {
                if namespaces.contains(&name) {
                    return Err(format!("one tag declares {:?} twice", clip(name)));
                }
                namespaces.push(name);
                namespace(name, value)?;
                self.declared.insert((name, value));
                scope.namespaces += 1;
                scope.prefix = scope.prefix.max(name.len());
                scope.name = scope.name.max(value.len());
            } else if name.ends_with(":xmlns") {
                return Err(format!("the attribute {:?} is not allowed", clip(name)));
            } else {
                attributes.push(name);
            }
            if attributes.len() + namespaces.len() > MAX_ATTRIBUTES || namespaces.len() > MAX_NAMESPACES {
                return Err("one tag has too many attributes".into());
            }
        };
        if scope.namespaces > MAX_IN_SCOPE {
            return Err(format!("more than {MAX_IN_SCOPE} namespace declarations inside one another"));
        }
        work.spend(self.of_declarations(around, scope, namespaces.len()))?;
        work.spend(of_attributes(scope, &attributes))?;
        Ok(Tag { name: tag_name, stays_open, scope })
    }

    /// The steps for an element that declares namespaces: each is looked up among all of the document and put in its
    /// place, and those around it are compared with the ones that are there, pair by pair.
    fn of_declarations(&self, around: Scope, scope: Scope, declares: usize) -> usize {
        if declares == 0 {
            return 0;
        }
        let length = 1 + scope.prefix / STRIDE;
        let search = self.declared.len().ilog2() as usize * (length + scope.name / STRIDE);
        let place = self.declared.len() / (4 * STRIDE);
        declares * (ATTRIBUTE + search + place) + around.namespaces * scope.namespaces * length
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

/// The steps for a tag's names: each prefix is looked up among those in scope, and each attribute is compared with
/// those before it, by namespace name and by local name.
fn of_attributes(scope: Scope, attributes: &[&str]) -> usize {
    let lookup = scope.namespaces * (1 + scope.prefix / STRIDE);
    let of_one = |(before, name): (usize, &&str)| {
        let prefixed = name.contains(':');
        let pair = PAIR + name.len() / STRIDE + if prefixed { scope.name / STRIDE } else { 0 };
        let identifier =
            name.get(name.len().saturating_sub(2)..).is_some_and(|end| end.eq_ignore_ascii_case("id"));
        ATTRIBUTE
            + before * pair
            + if prefixed { lookup } else { 0 }
            + if identifier { IDENTIFIER } else { 0 }
    };
    lookup + attributes.iter().enumerate().map(of_one).sum::<usize>()
}

/// Namespaces in XML 1.0 section 2.2 and Canonical XML 1.1 section 2.4: a namespace name is an absolute URI, and a
/// prefix cannot be undeclared. The reserved prefixes cannot be declared at all here.
fn namespace(name: &str, value: &str) -> Result<(), String> {
    if matches!(name, "xmlns:" | "xmlns:xml" | "xmlns:xmlns") {
        return Err(format!("{name:?} cannot be declared"));
    }
    if name.len() > MAX_PREFIX || value.len() > MAX_NAMESPACE_NAME {
        return Err(format!("the namespace {:?} of {:?} is too long", clip(value), clip(name)));
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
