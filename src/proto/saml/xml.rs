//! Strict reading of one XML message from a stranger.
//!
//! Two passes. The first walks the tags of the text and refuses what costs memory or means different
//! things to different parsers: document types (XXE, entity expansion), processing instructions, deep
//! nesting, floods of attributes, undeclared or relative namespaces, a second default namespace in one
//! tag. The second is `roxmltree`'s parse into one tree, whose identifiers must be unique. Nothing is
//! ever looked up in that tree by a global search: readers go from parent to child.

pub use super::limits::{Work, MAX_LOGOUT, MAX_MESSAGE};
pub use crate::values::text::clip;
use std::collections::HashSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::limits;
use super::names::{DSIG, SAML, SAMLP};

const MAX_NODES: u32 = 60_000;

/// Parses a document within a budget, which it uses up.
pub fn parse<'t>(text: &'t str, work: &mut Work) -> Result<Document<'t>, String> {
    limits::pass(text, work)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, entity_resolver: None };
    let document =
        Document::parse_with_options(text, options).map_err(|why| format!("not well-formed XML: {why}"))?;
    unique_ids(&document, &mut HashSet::new())?;
    Ok(document)
}

/// The text with its line ends as a parser has to read them (XML 1.0 section 2.11): CR LF and a lone CR are LF. The
/// parser forgets a CR before a reference, and a canonical form with it has another digest.
pub fn with_line_ends(text: String) -> String {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => text.replace("\r\n", "\n").replace('\r', "\n"),
        None => text,
    }
}

/// Refuses two elements with one identifier: a reference must have one target (XML Signature section
/// 4.4.3.2; the wrapping attacks with a copied `ID`). `seen` carries identifiers over from a document that this
/// one was part of.
pub fn unique_ids(document: &Document<'_>, seen: &mut HashSet<String>) -> Result<(), String> {
    for node in document.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            let plain = attribute.namespace().is_none() || attribute.namespace() == Some(XML);
            if plain && attribute.name().eq_ignore_ascii_case("id") && !seen.insert(attribute.value().into())
            {
                return Err(format!("two elements have the identifier {:?}", clip(attribute.value())));
            }
        }
    }
    Ok(())
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Whether the node is this element.
pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

/// The child elements of that name.
pub fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| is(*child, namespace, name))
}

/// The one child element of that name, if it is there; several are a refusal.
pub fn at_most_one<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> Result<Option<Node<'a, 'i>>, String> {
    let mut found = children(node, namespace, name);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(format!("{} holds several {name} elements", node.tag_name().name())),
    }
}

/// The one child element of that name.
pub fn one<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> Result<Node<'a, 'i>, String> {
    at_most_one(node, namespace, name)?
        .ok_or_else(|| format!("{} has no {name} element", node.tag_name().name()))
}

/// The text of an element that holds one text node and nothing else, without the white space around it.
/// A comment or an element inside is a refusal: parsers that return the text before the comment read
/// `admin@acme.com<!---->.evil.com` as another user (CVE-2017-11427 and its siblings).
pub fn text<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    Ok(whole(node)?.trim_matches(limits::WHITE))
}

/// Like `text`, for what names a user or a right: only indentation goes, which begins or ends with a line. A user
/// called `admin ` at the IdP is not `admin`.
pub fn value<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    let all = whole(node)?;
    let trimmed = all.trim_start_matches(limits::WHITE);
    let indentation = all.strip_suffix(trimmed).unwrap_or_default();
    let from = if indentation.contains(LINE) { trimmed } else { all };
    let trimmed = from.trim_end_matches(limits::WHITE);
    let indentation = from.strip_prefix(trimmed).unwrap_or_default();
    Ok(if indentation.contains(LINE) { trimmed } else { from })
}

fn whole<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    let mut inside = node.children();
    let value = match (inside.next(), inside.next()) {
        (None, _) => "",
        (Some(child), None) if child.is_text() => child.text().unwrap_or_default(),
        _ => {
            let name = node.tag_name().name();
            return Err(format!("{name} must hold text alone; a comment or an element is in it"));
        }
    };
    Ok(value)
}

/// Whether the element holds elements and, but for white space, nothing else.
pub fn is_xml(node: Node<'_, '_>) -> bool {
    let white = |child: Node<'_, '_>| {
        child.is_text() && child.text().unwrap_or_default().trim_matches(limits::WHITE).is_empty()
    };
    node.first_element_child().is_some() && node.children().all(|child| child.is_element() || white(child))
}

const LINE: [char; 2] = ['\r', '\n'];

/// An attribute without a namespace that must be there and not be empty.
pub fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, String> {
    match node.attribute(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{} has no {name}", node.tag_name().name())),
    }
}

/// Refuses any signature, assertion or response that is not one of `allowed`: what nothing reads must not
/// be there either, since wrapping (XSW 1 to 9) hides the signed original in exactly such a place. More than
/// `MAX_SENSITIVE` of them are refused before they are compared.
pub fn nothing_hidden(document: &Document<'_>, allowed: &[Node<'_, '_>]) -> Result<(), String> {
    if allowed.len() > MAX_SENSITIVE {
        return Err(format!("the message holds {} assertions and signatures", allowed.len()));
    }
    for node in document.descendants().filter(Node::is_element) {
        if is_sensitive(node) && !allowed.contains(&node) {
            let parent = node.parent_element().map_or("the document", |p| p.tag_name().name());
            return Err(format!("{} in {parent}, where none may be", node.tag_name().name()));
        }
    }
    Ok(())
}

/// A response, its assertion and a signature of each; and as many again, to refuse them in clearer words.
const MAX_SENSITIVE: usize = 8;

fn is_sensitive(node: Node<'_, '_>) -> bool {
    let name = node.tag_name();
    match name.namespace() {
        Some(DSIG) => name.name() == "Signature",
        Some(SAML) => matches!(name.name(), "Assertion" | "EncryptedAssertion"),
        Some(SAMLP) => matches!(
            name.name(),
            "Response" | "LogoutRequest" | "LogoutResponse" | "AuthnRequest" | "ArtifactResponse"
        ),
        _ => false,
    }
}

/// Text for use between tags or in a double-quoted attribute of a document of ours.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#x{:X};", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// The text that stands between two tags, with its references resolved; `None` where it is not well-formed.
pub(super) fn unescape(text: &str) -> Option<String> {
    let around = format!("<a>{text}</a>");
    let document = Document::parse(&around).ok()?;
    Some(document.root_element().text().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::saml::limits::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_IN_SCOPE, MAX_NAMESPACES};

    fn parsed(text: &str) -> Result<Document<'_>, String> {
        parse(text, &mut Work::response())
    }

    const GOOD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a --><r xmlns=\"urn:r\" xmlns:a='urn:a' ID=\"1\" a:b='>'><a:c>x</a:c><d xmlns=''/><![CDATA[<?x?>]]></r>";

    #[test]
    fn reads_a_good_document() {
        let document = parsed(GOOD).unwrap();
        assert_eq!(text(one(document.root_element(), "urn:a", "c").unwrap()).unwrap(), "x");
        assert!(parsed(&format!("\u{feff}{GOOD}")).is_ok());
    }

    #[test]
    fn refuses_what_parsers_read_differently() {
        for (from, to, why) in [
            ("<!-- a -->", "<!DOCTYPE r>", "document type"),
            ("<!-- a -->", "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>", "document type"),
            ("<!-- a -->", "<!doctype r>", "document type"),
            ("<!-- a -->", "<?php x?>", "processing instruction"),
            (">x<", "><?x?><", "processing instruction"),
            (">x<", ">&e;<", "not well-formed"),
            ("UTF-8", "ISO-8859-1", "encoding"),
            ("1.0", "1.1", "version"),
            ("'urn:a'", "'a'", "absolute"),
            ("'urn:a'", "''", "absolute"),
            ("'urn:a'", "'../a'", "absolute"),
            ("'urn:a'", "'&#117;rn:a'", "absolute"),
            ("xmlns:a=", "xmlns:xml=", "declared"),
            ("xmlns:a='urn:a'", "xmlns:a='urn:a' xmlns='urn:s'", "twice"),
            ("a:b=", "a:xmlns=", "not allowed"),
            ("<d ", "<d id='1' ", "identifier"),
            ("<d ", "<d xml:id='1' ", "identifier"),
            ("</r>", "</r><r/>", "not well-formed"),
            ("</r>", "", "not well-formed"),
            ("</r>", "</r>x", "not well-formed"),
            (">x<", ">\u{1}<", "not well-formed"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            let error = parsed(&bad).map(|_| ()).unwrap_err();
            assert!(error.contains(why), "{to}: {error}");
        }
    }

    #[test]
    fn has_limits() {
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(parsed(&deep(MAX_DEPTH)).is_ok());
        assert!(parsed(&deep(MAX_DEPTH + 1)).is_err());
        let wide = |n: usize| format!("<a {}/>", (0..n).map(|i| format!("a{i}='' ")).collect::<String>());
        assert!(parsed(&wide(MAX_ATTRIBUTES)).is_ok());
        assert!(parsed(&wide(MAX_ATTRIBUTES + 1)).is_err());
        let spaces =
            |n: usize| format!("<a {}/>", (0..n).map(|i| format!("xmlns:a{i}='u:' ")).collect::<String>());
        assert!(parsed(&spaces(MAX_NAMESPACES)).is_ok());
        assert!(parsed(&spaces(MAX_NAMESPACES + 1)).is_err());
        let half = |n: usize| spaces(n / 2).replace("/>", &format!(">{}</a>", spaces(n - n / 2)));
        assert!(parsed(&half(MAX_IN_SCOPE)).is_ok());
        assert!(parsed(&half(MAX_IN_SCOPE - 1).replace("</a>", "<b xmlns:b='u:'><c xmlns:c='u:'/></b></a>"))
            .is_ok());
        let third = half(MAX_IN_SCOPE).replacen("/></a>", "><b xmlns:b='u:'/></a></a>", 1);
        assert!(parsed(&third).is_err_and(|why| why.contains("inside one another")));
        let long = |n: usize| format!("<a>{}</a>", " ".repeat(n - 7));
        assert!(parsed(&long(MAX_MESSAGE)).is_ok());
        assert!(parsed(&long(MAX_MESSAGE + 1)).is_err());
    }

    #[test]
    fn text_is_one_node() {
        let of = |inside: &str| {
            text(parsed(&format!("<a>{inside}</a>")).unwrap().root_element()).map(str::to_owned)
        };
        assert_eq!(of(" \n a b\t").unwrap(), "a b");
        assert_eq!(of("").unwrap(), "");
        assert_eq!(of("&#97;<![CDATA[&]]>").unwrap(), "a&");
        for bad in ["a<!---->b", "a<!---->", "<!---->", "<b/>", "a<b/>"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
