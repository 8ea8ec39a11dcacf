//! Nothing from outside becomes markup, nothing leads where it may not, and the policy says so.

use base64::Engine;
use sha2::{Digest, Sha256};

use super::super::layout::SUBMIT;
use super::super::look::Look;
use super::super::*;
use super::html::{parse, shape, Tag};
use super::{body, every_page, settings};
use crate::http::response::Response;

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    text.split_once(open).expect(open).1.split_once(close).expect(close).0
}

#[test]
fn text_from_outside_never_becomes_markup() {
    let attacks = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "\" autofocus onfocus=\"alert(1)",
        "</title></style></main><h1>x",
        "</script><script>x",
        "<!-- ",
        "]]>",
        "&lt;script&gt;",
        "\0<\u{0}b>",
        "{user}{name}{title}",
        "\u{202e}gnp.exe",
    ];
    let plain = every_page(&settings("Ada"), "Ada", "/next");
    for attack in attacks {
        for ((name, good), (_, bad)) in plain.iter().zip(every_page(&settings(attack), attack, "/next")) {
            assert_eq!(shape(body(good)), shape(body(&bad)), "{name} with {attack:?}");
        }
    }
}

#[test]
fn links_and_forms_lead_only_where_they_may() {
    let hrefs = |answer: &Response| -> Vec<String> {
        let (tags, _) = parse(body(answer));
        let leads = |key: &str| ["href", "src", "action", "formaction"].contains(&key);
        // The icon of every page is our own.
        tags.into_iter()
            .flat_map(|(_, own)| own)
            .filter(|(key, value)| leads(key) && !value.starts_with("data:image/svg+xml,"))
            .map(|(_, value)| value)
            .collect()
    };
    for bad in ["javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x", "x\" y=\"z"] {
        let pages = Look { logo: Some(bad.into()), contact: Some(bad.into()), ..settings("Ada") };
        for (name, answer) in every_page(&pages, "Ada", bad) {
            let left = hrefs(&answer);
            assert!(
                left.iter().all(|url| ["", "/", "https://idp.example/post"].contains(&url.as_str())),
                "{name}: {left:?}"
            );
            assert!(!answer.header("content-security-policy").unwrap().contains("evil"), "{name}");
        }
    }
    // The twin: a good URL is there.
    for (name, answer) in every_page(&settings("Ada"), "Ada", "https://a.example/go") {
        let expected = !matches!(name, "auto_submit" | "looked_ahead" | "front_channel_done");
        assert_eq!(hrefs(&answer).iter().any(|url| url == "https://a.example/go"), expected, "{name}");
    }
    let pages = settings("Ada");
    let form = AutoSubmit { action: "javascript:alert(1)".into(), fields: vec![], ..AutoSubmit::default() };
    assert!(auto_submit(&Context::new(&pages, "r", true), &form).is_err());
}

#[test]
fn every_page_is_guarded_and_its_policy_names_its_own_style() {
    let pages = settings("Ada");
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    for (name, answer) in every_page(&pages, "Ada", "/next") {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; base-uri 'none'"), "{name}");
        assert!(!policy.contains("unsafe"), "{name}");
        assert_eq!(policy.contains("frame-ancestors 'none'"), name != "front_channel_done", "{name}");
        assert_eq!(policy.contains("script-src"), name == "auto_submit", "{name}");
        assert!(policy.contains("form-action"), "{name}");
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert!(
            answer.header("referrer-policy").is_some() && answer.header("x-sso-code").is_some(),
            "{name}"
        );
        assert_eq!(answer.headers.iter().filter(|(n, _)| n == "referrer-policy").count(), 1, "{name}");
        if name == "front_channel_done" {
            continue;
        }
        let page = body(&answer);
        let own = between(page, "<style>", "</style>");
        assert!(policy.contains(&format!("style-src 'sha256-{}'", hash(own))), "{name}");
        assert!(policy.contains("img-src 'self'"), "{name}");
        if let Some((_, script)) = page.split_once("<script>") {
            let script = script.split_once("</script>").unwrap().0;
            assert_eq!(script, SUBMIT);
            assert!(policy.contains(&format!("script-src 'sha256-{}'", hash(script))), "{name}");
        }
        // An accessible frame: one main, one h1, every visible field with a label of its own.
        let (tags, _) = parse(page);
        let count = |wanted: &str| tags.iter().filter(|(tag, _)| tag == wanted).count();
        assert_eq!((count("main"), count("h1"), count("title")), (1, 1, 1), "{name}");
        let get =
            |own: &[(String, String)], key: &str| own.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        for (_, own) in tags.iter().filter(|(tag, _)| tag == "input") {
            if get(own, "type").as_deref() != Some("hidden") {
                let id = get(own, "id").expect("an id");
                let labels = |(tag, own): &&Tag| tag == "label" && get(own, "for").as_ref() == Some(&id);
                assert_eq!(tags.iter().filter(labels).count(), 1, "{name} {id}");
            }
        }
        assert!(!tags
            .iter()
            .flat_map(|(_, own)| own)
            .any(|(key, _)| key == "style" || key.starts_with("on")));
    }
}

#[test]
fn the_policy_lets_forms_reach_what_they_must() {
    let pages = Look::default();
    let context = Context::new(&pages, "r", true);
    let policy = |action: &str| {
        let form = AutoSubmit { action: action.into(), fields: vec![], ..AutoSubmit::default() };
        auto_submit(&context, &form).unwrap().header("content-security-policy").unwrap().to_owned()
    };
    assert!(policy("https://idp.example/x").ends_with("form-action 'self' https:"));
    assert!(policy("http://localhost:9000/x").ends_with("form-action 'self' https: http://localhost:9000"));
    assert!(policy("/sso/saml/consume").ends_with("form-action 'self' https:"));
    let framed = |urls: &[&str]| {
        let framed_by = urls.iter().map(|url| (*url).to_owned()).collect();
        let form = AutoSubmit { action: "/x".into(), framed_by, ..AutoSubmit::default() };
        let answer = auto_submit(&context, &form).unwrap();
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        let (_, rest) = policy.split_once("frame-ancestors ").unwrap();
        rest.split(';').next().unwrap().to_owned()
    };
    assert_eq!(framed(&[]), "'none'");
    assert_eq!(
        framed(&["https://idp.example/slo?x", "https://other.example/"]),
        "https://idp.example https://other.example"
    );
    assert_eq!(framed(&["javascript:alert(1)", "https://evil.example;script-src *"]), "'none'");
    assert_eq!(signed_out(&context).header("referrer-policy"), Some("no-referrer"));
    // A POST with `no-referrer` would carry `Origin: null`.
    let answer = invitation(&context, &Invitation { action: "/i".into(), ..Invitation::default() });
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert!(answer.header("content-security-policy").unwrap().ends_with("form-action 'self'"));
}
