//! A JSON object as it goes out: members that are texts or numbers, in the order of their names.
//!
//! Each refusal writes two objects, one to the log and one to the client. A `serde_json::Value` of them took half of the
//! instructions of a 401: a copy of each name and text, a tree, and a call for each byte.

use std::borrow::Cow;

/// The members of an object.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(&'static str, Member<'a>)>);

#[derive(Debug)]
enum Member<'a> {
    Text(Cow<'a, str>),
    Number(u16),
}

impl<'a> Members<'a> {
    /// Adds a text. Each name is added once.
    pub fn text(&mut self, name: &'static str, text: impl Into<Cow<'a, str>>) {
        self.add(name, Member::Text(text.into()));
    }

    /// Adds a number.
    pub fn number(&mut self, name: &'static str, number: u16) {
        self.add(name, Member::Number(number));
    }

    fn add(&mut self, name: &'static str, member: Member<'a>) {
        let at = self.0.iter().position(|(own, _)| *own > name).unwrap_or(self.0.len());
        self.0.insert(at, (name, member));
    }

    /// The object as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(512);
        out.push('{');
        for (at, (name, member)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            quote(&mut out, name);
            out.push(':');
            match member {
                Member::Text(text) => quote(&mut out, text),
                Member::Number(number) => out.push_str(&number.to_string()),
            }
        }
        out.push('}');
        out
    }
}

/// A text as a JSON string (RFC 8259 section 7). Bytes that stand for themselves go over in one piece.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(control) => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::json;
    use serde_json::{json, Value};

    #[test]
    fn an_object_is_written_as_serde_json_writes_it() {
        let every: String =
            (0..0x180).filter_map(char::from_u32).chain("\u{2028}\u{1f511}".chars()).collect();
        for text in ["", "plain", "\"", "\\", "a\"b\\c\nd", "\u{0}\u{1f}\u{7f}", "ümläut \u{1f511}\"", &every]
        {
            let mut members = Members::default();
            members.text("path", text);
            members.number("status", 401);
            members.text("code", text.to_owned());
            let wanted = json!({ "path": text, "status": 401, "code": text });
            assert_eq!(members.to_json(), json::text(&wanted));
            assert_eq!(serde_json::from_str::<Value>(&members.to_json()).unwrap(), wanted);
        }
        assert_eq!(Members::default().to_json(), "{}");
    }
}
