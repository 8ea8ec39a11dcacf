//! The languages that come along: every text, with the same placeholders, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use envoy_sso::fault::Code;

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_language_has_every_text() {
    let english: BTreeMap<&str, &str> = envoy_sso::pages::TEXTS.iter().copied().collect();
    let of = |code: &Code| [format!("{}.what", code.as_str()), format!("{}.do", code.as_str())];
    let refusals: BTreeSet<String> = Code::ALL.iter().flat_map(of).collect();
    for (language, yaml) in [
        ("de", include_str!("../envoy/translations/de.yaml")),
        ("zh-CN", include_str!("../envoy/translations/zh-CN.yaml")),
    ] {
        let texts: BTreeMap<String, String> = serde_norway::from_str(yaml).unwrap();
        for (key, text) in &english {
            let own = texts.get(*key).unwrap_or_else(|| panic!("{language} lacks {key}"));
            assert!(!own.trim().is_empty(), "{language}: {key}");
            // A refusal says what happened and what to do: a sentence each.
            if refusals.contains(*key) {
                let inside = own.trim_end_matches(['.', '。']);
                assert!(
                    !inside.contains(". ") && !inside.contains('。'),
                    "{language}: {key} is more than a sentence"
                );
            }
            assert_eq!(placeholders(own), placeholders(text), "{language}: {key}");
        }
        let unknown: Vec<&String> = texts.keys().filter(|key| !english.contains_key(key.as_str())).collect();
        assert!(unknown.is_empty(), "{language}: {unknown:?}");
    }
}
