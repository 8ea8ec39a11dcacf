//! Reads pages as a browser would, and fails if one is not well-formed.

/// A start tag: its name and attributes as a browser would read them.
pub(super) type Tag = (String, Vec<(String, String)>);

/// Reads a page: tags balance, attributes are quoted and named once, no stray `<` or `>`. Gives every
/// start tag, and the text outside of tags.
pub(super) fn parse(page: &str) -> (Vec<Tag>, String) {
    const VOID: [&str; 5] = ["meta", "link", "img", "input", "br"];
    let mut rest = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    let (mut tags, mut open, mut text) = (Vec::new(), Vec::<String>::new(), String::new());
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        assert!(!before.contains('>'), "stray > in {before:?}");
        text.push_str(before);
        let end = after.find('>').expect("an open tag");
        let inner = &after[1..end];
        rest = &after[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "unbalanced in {page}");
            continue;
        }
        let tag = read_tag(inner);
        let name = tag.0.clone();
        tags.push(tag);
        if VOID.contains(&name.as_str()) {
            continue;
        }
        if name == "style" || name == "script" {
            rest = rest.split_once(&format!("</{name}>")).expect("an end").1;
            continue;
        }
        open.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    text.push_str(rest);
    (tags, text)
}

fn read_tag(inner: &str) -> Tag {
    let (name, mut rest) = inner.split_once(' ').unwrap_or((inner, ""));
    assert!(
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        "{name:?}"
    );
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !key.is_empty(), "{inner:?}");
        assert!(!attributes.iter().any(|(own, _)| *own == key), "{key} twice in {inner:?}");
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let (inside, after) = quoted.split_once('"').expect("a closing quote");
            value = inside.to_owned();
            rest = after;
        }
        attributes.push((key, value));
        assert!(rest.is_empty() || rest.starts_with(' '), "{inner:?}");
        rest = rest.trim_start_matches(' ');
    }
    (name.to_owned(), attributes)
}

/// The shape of a page: every tag with the names of its attributes, without any value.
pub(super) fn shape(page: &str) -> Vec<(String, Vec<String>)> {
    let (tags, _) = parse(page);
    tags.into_iter().map(|(name, own)| (name, own.into_iter().map(|(key, _)| key).collect())).collect()
}
