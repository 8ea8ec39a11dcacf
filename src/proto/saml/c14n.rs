//! Exclusive XML Canonicalization 1.0, without comments.
//!
//! `roxmltree` resolves names to namespaces and drops the prefixes, which canonical form keeps: they are
//! taken from the source text by range. What cannot be canonicalised is an error, never an empty or partial
//! output (the canonicalisation attacks on samlify, ruby-saml and xml-crypto began with one).

use std::collections::BTreeMap;

use roxmltree::{Node, NodeId};

use crate::values::order;

/// The prefixes of an `InclusiveNamespaces PrefixList`, `""` for `#default`.
pub type Prefixes<'a> = [&'a str];

/// What every prefix is bound to in the output so far.
type Rendered<'a> = BTreeMap<&'a str, &'a str>;

/// The canonical form of `apex` without the subtree `omit` (the enveloped signature, XML Signature section
/// 6.6.4). `inclusive` prefixes are treated as in Canonical XML (Exclusive C14N section 3).
pub fn canonical(
    apex: Node<'_, '_>,
    omit: Option<NodeId>,
    inclusive: &Prefixes<'_>,
) -> Result<Vec<u8>, String> {
    let mut out = String::with_capacity(apex.range().len() + 256);
    Writer { source: apex.document().input_text(), omit, inclusive, out: &mut out }
        .element(apex, &Rendered::new())?;
    Ok(out.into_bytes())
}

struct Writer<'a, 'o> {
    source: &'a str,
    omit: Option<NodeId>,
    inclusive: &'a Prefixes<'a>,
    out: &'o mut String,
}

impl<'a> Writer<'a, '_> {
    fn element(&mut self, node: Node<'a, 'a>, above: &Rendered<'a>) -> Result<(), String> {
        let name = self.name(node)?;
        let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);

        // Exclusive C14N section 3: a namespace is rendered where its prefix is visibly used by the element or
        // one of its attributes, or is listed as inclusive, and the nearest output ancestor says otherwise.
        let mut used: Vec<&str> = vec![prefix];
        let mut attributes = Vec::new();
        for attribute in node.attributes() {
            let name = self.source.get(attribute.range_qname()).ok_or("an attribute without a name")?;
            let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
            if !prefix.is_empty() {
                used.push(prefix);
            }
            attributes.push((attribute.namespace().unwrap_or(""), attribute.name(), name, attribute.value()));
        }
        used.extend(self.inclusive.iter().filter(|p| bound(node, p).is_some()));

        let mut rendered = above.clone();
        let mut declarations = BTreeMap::new();
        for prefix in used {
            if prefix == "xml" {
                continue;
            }
            let uri = match bound(node, prefix) {
                Some(uri) => uri,
                None if prefix.is_empty() => "",
                None => return Err(format!("the prefix {prefix:?} is not declared")),
            };
            if above.get(prefix).copied().unwrap_or("") != uri {
                relative(uri)?;
                declarations.insert(prefix, uri);
                rendered.insert(prefix, uri);
            }
        }

        self.out.push('<');
        self.out.push_str(name);
        // Canonical XML section 2.2: declarations by prefix, then attributes by namespace and local name.
        for (prefix, uri) in declarations {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            self.attribute_value(uri);
            self.out.push('"');
        }
        order::sort(&mut attributes);
        for (_, _, name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.attribute_value(value);
            self.out.push('"');
        }
        self.out.push('>');
        for child in node.children() {
            if child.is_element() {
                if Some(child.id()) != self.omit {
                    self.element(child, &rendered)?;
                }
            } else if child.is_text() {
                self.text(child.text().unwrap_or_default());
            } else if !child.is_comment() {
                return Err("a node that is neither element, text nor comment".into());
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    /// The name with its prefix as the source writes it.
    fn name(&self, node: Node<'a, 'a>) -> Result<&'a str, String> {
        let tag = self.source.get(node.range()).and_then(|tag| tag.strip_prefix('<'));
        let tag = tag.ok_or("an element without a tag")?;
        let end = tag.find([' ', '\t', '\r', '\n', '/', '>']).ok_or("an element without a name")?;
        let name = tag.get(..end).unwrap_or_default();
        let local = name.split_once(':').map_or(name, |(_, local)| local);
        // A tag that is not where the tree says would canonicalise something else than what is read.
        if local != node.tag_name().name() {
            return Err("an element's name does not match its source".into());
        }
        Ok(name)
    }

    /// Canonical XML section 2.3: text nodes.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }

    /// Canonical XML section 2.3: attribute values.
    fn attribute_value(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#x9;"),
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }
}

/// What a prefix (`""`: the default namespace) is bound to at the element.
fn bound<'a>(node: Node<'a, 'a>, prefix: &str) -> Option<&'a str> {
    node.lookup_namespace_uri(if prefix.is_empty() { None } else { Some(prefix) })
}

/// Canonical XML section 1: a relative namespace URI is an error.
fn relative(uri: &str) -> Result<(), String> {
    if uri.is_empty()
        || uri.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains('/'))
    {
        return Ok(());
    }
    Err("a relative namespace URI cannot be canonicalised".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::saml::xml;

    fn of(text: &str, path: &[usize], inclusive: &[&str]) -> String {
        let document = xml::parse(text, &mut xml::Work::response()).unwrap();
        let mut node = document.root_element();
        for i in path {
            node = node.children().filter(Node::is_element).nth(*i).unwrap();
        }
        String::from_utf8(canonical(node, None, inclusive).unwrap()).unwrap()
    }

    #[test]
    fn canonicalises_by_the_rules() {
        for (text, path, inclusive, expected) in [
            ("<a/>", vec![], vec![], "<a></a>"),
            ("<a  c='1'\n b = \"2\" />", vec![], vec![], "<a b=\"2\" c=\"1\"></a>"),
            (
                "<a>&#13;&lt;&gt;&amp;\"'<![CDATA[<>]]><!-- c --></a>",
                vec![],
                vec![],
                "<a>&#xD;&lt;&gt;&amp;\"'&lt;&gt;</a>",
            ),
            (
                "<a b='&#9;&#10;&#13;&quot;&lt;>&amp;\t\n'/>",
                vec![],
                vec![],
                "<a b=\"&#x9;&#xA;&#xD;&quot;&lt;>&amp;  \"></a>",
            ),
            ("<a>x\r\ny\rz</a>", vec![], vec![], "<a>x\ny\nz</a>"),
            // Exclusive: an unused declaration goes, a used one comes to where it is used.
            (
                "<a xmlns:u='u:u' xmlns:n='n:n'><n:b><n:c/></n:b></a>",
                vec![],
                vec![],
                "<a><n:b xmlns:n=\"n:n\"><n:c></n:c></n:b></a>",
            ),
            ("<a xmlns:u='u:u' xmlns:n='n:n'><n:b/></a>", vec![0], vec![], "<n:b xmlns:n=\"n:n\"></n:b>"),
            (
                "<a xmlns:u='u:u' xmlns:n='n:n'><n:b/></a>",
                vec![0],
                vec!["u", "absent"],
                "<n:b xmlns:n=\"n:n\" xmlns:u=\"u:u\"></n:b>",
            ),
            // The default namespace, undeclared again, and as an inclusive prefix.
            (
                "<a xmlns='u:d'><b xmlns=''><c xmlns='u:d'/></b></a>",
                vec![],
                vec![],
                "<a xmlns=\"u:d\"><b xmlns=\"\"><c xmlns=\"u:d\"></c></b></a>",
            ),
            ("<a xmlns='u:d'><b xmlns=''/></a>", vec![0], vec![], "<b></b>"),
            (
                "<p:a xmlns='u:d' xmlns:p='u:p'><p:b/></p:a>",
                vec![0],
                vec![""],
                "<p:b xmlns=\"u:d\" xmlns:p=\"u:p\"></p:b>",
            ),
            // One prefix, two meanings.
            (
                "<p:a xmlns:p='u:1'><p:b xmlns:p='u:2'/><p:c/></p:a>",
                vec![],
                vec![],
                "<p:a xmlns:p=\"u:1\"><p:b xmlns:p=\"u:2\"></p:b><p:c></p:c></p:a>",
            ),
            // Attributes: none first, then by namespace URI, not by prefix.
            (
                "<a xmlns:b='z:z' xmlns:c='a:a' b:x='1' c:x='2' x='3' xml:lang='en'/>",
                vec![],
                vec![],
                "<a xmlns:b=\"z:z\" xmlns:c=\"a:a\" x=\"3\" c:x=\"2\" xml:lang=\"en\" b:x=\"1\"></a>",
            ),
        ] {
            assert_eq!(of(text, &path, &inclusive), expected, "{text}");
        }
    }

    #[test]
    fn omits_one_subtree() {
        let document = xml::parse("<a>1<b>2</b>3<c/></a>", &mut xml::Work::response()).unwrap();
        let b = document.root_element().first_element_child().unwrap();
        assert_eq!(canonical(document.root_element(), Some(b.id()), &[]).unwrap(), b"<a>13<c></c></a>");
    }

    #[test]
    fn a_relative_namespace_is_an_error() {
        // `xml::parse` refuses it already; the canonicaliser does not rely on that.
        let document = roxmltree::Document::parse("<a xmlns='rel'/>").unwrap();
        assert!(canonical(document.root_element(), None, &[]).is_err());
    }
}
