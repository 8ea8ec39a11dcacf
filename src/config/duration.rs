//! Durations as operators write them: `"30s"`, `"15m"`, `"8h"`, `"30d"`, `"500ms"`.

use super::problems::At;

/// Milliseconds, or `None` for anything but a whole number and a unit.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The field's value in milliseconds, or the default; a problem where it is none or outside the range.
pub fn field(at: &At<'_>, name: &str, value: &Option<String>, default: u64, range: (u64, u64)) -> u64 {
    let Some(text) = value else { return default };
    match parse(text) {
        Some(ms) if (range.0..=range.1).contains(&ms) => ms,
        Some(_) => {
            let (low, high) = (render(range.0), render(range.1));
            at.field(name).problem(format!("expected a duration from {low} to {high}, found {text:?}"));
            default
        }
        None => {
            at.field(name)
                .problem(format!("expected a duration such as \"30s\", \"15m\", \"8h\", found {text:?}"));
            default
        }
    }
}

fn render(ms: u64) -> String {
    for (factor, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms >= factor && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_numbers_with_a_unit() {
        for (text, ms) in
            [("30s", 30_000), ("15m", 900_000), ("8h", 28_800_000), ("30d", 2_592_000_000), ("250ms", 250)]
        {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        for text in
            ["", "s", "30", "1.5h", "-1s", "1 s", "1S", "99999999999999999999s", "18446744073709551615d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
