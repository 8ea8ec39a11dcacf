//! Paths that need no sign-in: regular expressions into our `path` and `prefix`.

use serde_json::{json, Value};

use super::draft::Draft;

/// One expression, with its methods; what is more than a fixed path or prefix is left out, which protects it.
pub fn open(draft: &mut Draft, field: &str, expression: &str, methods: &[&str]) {
    let unanchored = expression.strip_prefix('^');
    let body = unanchored.unwrap_or_default();
    let (text, is_whole) = match (body.strip_suffix('$'), body.strip_suffix(".*")) {
        (Some(text), _) => (text, true),
        (None, Some(text)) => (text, false),
        (None, None) => (body, false),
    };
    let text = text.replace("\\.", "\u{1}").replace("\\/", "/").replace("\\-", "-");
    let is_plain = unanchored.is_some()
        && text.starts_with('/')
        && !text.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\', '$', '^']);
    let text = text.replace('\u{1}', ".");
    if !is_plain || (!is_whole && text == "/") {
        draft.left_out(
            &format!("{field} {expression:?}"),
            "only fixed paths and prefixes can be opened; write rules under access",
        );
        return;
    }
    let mut rule = json!({ "allow": "anyone" });
    if let Value::Object(rule) = &mut rule {
        rule.insert(if is_whole { "path" } else { "prefix" }.into(), json!(text));
        if !methods.is_empty() {
            rule.insert("methods".into(), json!(methods));
        }
    }
    if !draft.access.contains(&rule) {
        draft.access.push(rule);
    }
}
