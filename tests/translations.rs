//! The languages that come along: every text, with the same placeholders, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_language_has_every_text() {
    let english: BTreeMap<&str, &str> = envoy_sso::pages::TEXTS.iter().copied().collect();
    for (language, yaml) in [
        ("de", include_str!("../envoy/translations/de.yaml")),
        ("zh-CN", include_str!("../envoy/translations/zh-CN.yaml")),
    ] {
        let texts: BTreeMap<String, String> = serde_norway::from_str(yaml).unwrap();
        for (key, text) in &english {
            let own = texts.get(*key).unwrap_or_else(|| panic!("{language} lacks {key}"));
            assert!(!own.trim().is_empty(), "{language}: {key}");
            assert_eq!(placeholders(own), placeholders(text), "{language}: {key}");
        }
        let unknown: Vec<&String> = texts.keys().filter(|key| !english.contains_key(key.as_str())).collect();
        assert!(unknown.is_empty(), "{language}: {unknown:?}");
    }
}
