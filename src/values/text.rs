//! Text from outside for a log line.

/// A value of the document for a log line: bounded, without control characters.
pub fn clip(value: &str) -> String {
    let mut short: String = value.chars().filter(|c| !c.is_control()).take(200).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}
