//! oauth2-proxy's configuration files: `name = value`, where a value is a string, a list, a number or a boolean.

/// Every setting with its values, in the order of the file.
pub fn settings(text: &str) -> Vec<(String, Vec<String>)> {
    let mut settings = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((name, value)) = uncommented(line)
            .split_once('=')
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        else {
            continue;
        };
        let mut value = value;
        while value.starts_with('[') && !value.ends_with(']') {
            let Some(more) = lines.next() else { break };
            value.push_str(uncommented(more).trim());
        }
        settings.push((name.replace('-', "_"), values(&value)));
    }
    settings
}

/// The line up to a `#` that is not in quotes.
fn uncommented(line: &str) -> String {
    let mut quote = None;
    let inside = |c: char| {
        match (quote, c) {
            (None, '#') => return false,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        true
    };
    line.chars()
        .take_while({
            let mut inside = inside;
            move |c| inside(*c)
        })
        .collect()
}

fn values(text: &str) -> Vec<String> {
    let Some(list) = text.strip_prefix('[') else { return vec![unquoted(text)] };
    let (mut items, mut item, mut quote) = (Vec::new(), String::new(), None);
    for c in list.trim_end_matches(']').chars() {
        match (quote, c) {
            (None, ',') => items.push(std::mem::take(&mut item)),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => item.push(c),
        }
    }
    items.push(item);
    items.into_iter().map(|item| item.trim().replace("\\\\", "\\")).filter(|item| !item.is_empty()).collect()
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let bare = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    bare.unwrap_or(text).replace("\\\\", "\\")
}
