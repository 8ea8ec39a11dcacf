//! Names as they are compared.

use unicode_normalization::UnicodeNormalization;

/// A text as the most careless comparison reads it: without compatibility forms and case. By way of the upper case,
/// where `ı` and `i` are one.
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// A name as the most careless application compares it.
pub fn careless(name: &str) -> String {
    folded(name).trim().to_owned()
}

/// Characters that are not seen: zero-width, direction marks, soft hyphen, byte order mark. Two names
/// that differ in one of them look the same to a reader.
pub fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
