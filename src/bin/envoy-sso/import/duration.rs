//! Durations as Go writes them (`168h0m0s`), or as seconds, into ours.

/// One number with one unit; `None` for what is not a duration, or zero.
pub fn of(text: &str) -> Option<String> {
    let seconds = seconds(text.trim())?;
    let (size, unit) = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
        .into_iter()
        .find(|(size, _)| seconds % size == 0)?;
    (seconds > 0).then(|| format!("{}{unit}", seconds / size))
}

fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut sum, mut number) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let size = match c {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(size)?)?;
        number.clear();
    }
    number.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_become_one_number_with_one_unit() {
        for (theirs, ours) in [
            ("168h0m0s", Some("7d")),
            ("1h30m", Some("90m")),
            ("300", Some("5m")),
            ("45s", Some("45s")),
            ("0", None),
            ("soon", None),
            ("5", Some("5s")),
        ] {
            assert_eq!(super::of(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
