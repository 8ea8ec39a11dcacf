//! What the browser brings back: one state, one outcome, the same for whoever reads it.

use envoy_sso::proto::oidc::callback::Outcome;
use envoy_sso::proto::oidc::{Callback, Metadata};

use super::provider::{by_hand, ISSUER};

pub fn run(data: &[u8]) {
    let Ok(callback) = Callback::parse(data) else { return };
    // The WHATWG parser is another implementation than the one that is tried.
    let all = |name: &str| {
        let pairs = url::form_urlencoded::parse(data).filter(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        pairs.collect::<Vec<_>>()
    };
    let one = |name: &str| {
        let values = all(name);
        assert!(values.len() <= 1, "{name} is there {} times", values.len());
        values.into_iter().next().filter(|value| !value.is_empty())
    };
    assert!(!callback.state.is_empty());
    assert_eq!(one("state").as_deref(), Some(&*callback.state));
    assert_eq!(one("iss"), callback.iss);
    let clean = |text: &str| !text.chars().any(char::is_control);
    match &callback.outcome {
        Outcome::Code(code) => {
            assert_eq!(one("code").as_deref(), Some(code.expose()));
            assert_eq!(one("error"), None);
        }
        Outcome::Error { error, description } => {
            assert_eq!(one("code"), None);
            assert!(one("error").is_some());
            assert!(clean(error) && description.as_deref().is_none_or(clean));
        }
    }
    let mut metadata = Metadata::by_hand(&by_hand()).unwrap();
    for promised in [false, true] {
        metadata.iss_parameter_supported = promised;
        match callback.code(&metadata) {
            Ok(code) => {
                assert!(callback.iss.as_deref().is_none_or(|iss| iss == ISSUER), "mix-up");
                assert!(!promised || callback.iss.is_some(), "iss was promised");
                assert!(matches!(&callback.outcome, Outcome::Code(own) if own == code));
            }
            Err(fault) => assert!(clean(&fault.detail), "{:?}", fault.detail),
        }
    }
    if let Outcome::Code(code) = &callback.outcome {
        let shown = format!("{callback:?}");
        assert!(
            code.expose().len() < 12
                || all("state")[0].contains(code.expose())
                || all("iss").concat().contains(code.expose())
                || !shown.contains(code.expose()),
            "the code is shown"
        );
    }
}
