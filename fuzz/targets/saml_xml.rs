//! XML and its canonical form: canonical once is canonical for good, and it is the same tree.

use envoy_sso::proto::saml::{c14n, xml};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(document) = xml::parse(text, &mut xml::Work::response()) else { return };
    if !text.contains("<!--") && !text.contains("<![CDATA[") {
        assert!(!text.contains("<!"), "a document type");
    }
    let Ok(canonical) = c14n::canonical(document.root_element(), None, &[]) else { return };
    let canonical = String::from_utf8(canonical).expect("UTF-8 comes out of UTF-8");
    assert!(!canonical.contains("<!") && !canonical.contains("<?"), "{canonical}");
    let again = match xml::parse(&canonical, &mut xml::Work { bytes: 1 << 24, steps: usize::MAX }) {
        Ok(again) => again,
        // Declarations move to where they are used, where there may then be too many.
        Err(why) if why.contains("namespace") || why.contains("attributes") => return,
        Err(why) => panic!("the canonical form is not XML: {why}\n{canonical}"),
    };
    let twice = c14n::canonical(again.root_element(), None, &[]).expect("canonical form has one");
    assert_eq!(twice, canonical.as_bytes(), "{text}");

    macro_rules! elements {
        ($document:expr) => {
            $document
                .descendants()
                .filter(|node| node.is_element())
                .map(|node| {
                    // `xmlns=""` and no default namespace are the same (Namespaces in XML section 6.2).
                    let of =
                        |namespace: Option<&str>, name: &str| format!("{} {name}", namespace.unwrap_or(""));
                    let attributes =
                        node.attributes().map(|a| format!("{} {:?}", of(a.namespace(), a.name()), a.value()));
                    format!(
                        "{} {:?}",
                        of(node.tag_name().namespace(), node.tag_name().name()),
                        sorted(attributes)
                    )
                })
                .collect::<Vec<_>>()
        };
    }
    assert_eq!(elements!(document), elements!(again), "{text}");
    let words: String = document.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
    let same: String = again.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
    assert_eq!(words, same, "{text}");
}

fn sorted(list: impl Iterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = list.collect();
    list.sort();
    list
}
