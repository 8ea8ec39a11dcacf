//! What operators choose, and what a page shows of it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::style;
use super::super::look::Look;
use super::super::*;
use super::{body, button};
use crate::fault::{Code, Fault};
use crate::http::response::Response;

#[test]
fn operators_choose_texts_language_and_colour() {
    let mut pages = Look { language: Some("de-CH".into()), ..Look::default() };
    pages.texts.insert("session_expired.title".into(), "Sie sind abgemeldet".into());
    pages.texts.insert("sign_in.provider".into(), "Weiter mit {title} {title".into());
    assert!(is_text("session_expired.title") && !is_text("sesion_expired.title"));
    let context = Context::new(&pages, "r", true);
    let answer = refusal(&Fault::new(Code::SessionExpired, ""), &context);
    assert!(body(&answer).contains("<html lang=\"de-CH\">"));
    assert!(body(&answer).contains("<h1>Sie sind abgemeldet</h1>"));
    let offer = SignIn { providers: vec![button("{title}", None)], ..SignIn::default() };
    assert!(body(&sign_in(&context, &offer)).contains("Weiter mit {title} {title<"));
    pages.language = Some("x\" onload=\"".into());
    assert!(body(&signed_out(&Context::new(&pages, "r", true))).contains("<html lang=\"en\">"));
    pages.language = Some("ar".into());
    assert!(body(&signed_out(&Context::new(&pages, "r", true))).contains("<html lang=\"ar\" dir=\"rtl\">"));

    // A translation, where it lacks a text the configuration's own, where that lacks it too the English one.
    let table = [("session_expired.title", "Session terminée"), ("action.sign_in", "Se connecter")];
    let french = table.map(|(key, text)| (key.to_owned(), text.to_owned()));
    pages.translations.insert("fr".into(), BTreeMap::from(french));
    for (accept, lang, words) in [
        ("fr-CH", "fr", ["Session terminée", "Se connecter", "Sign in again to go on."]),
        ("ar", "ar", ["Sie sind abgemeldet", "Sign in<", "Sign in again to go on."]),
    ] {
        let context = Context { login: Some("/l".into()), ..Context::new(&pages, "r", true) };
        let context = context.in_language([accept.as_bytes()]);
        let answer = refusal(&Fault::new(Code::SessionExpired, ""), &context);
        assert!(body(&answer).contains(&format!("<html lang=\"{lang}\"")), "{}", body(&answer));
        assert!(words.iter().all(|word| body(&answer).contains(word)), "{}", body(&answer));
    }

    for (accent, expected) in [
        ("#0b7a75", "--accent:#0b7a75;--on:#fff"),
        ("#FFD400", "--accent:#FFD400;--on:#000"),
        ("red;}</style><script>", "--accent:#2456c9;--on:#fff"),
        ("#12345", "--accent:#2456c9;--on:#fff"),
        ("#+12345", "--accent:#2456c9;--on:#fff"),
    ] {
        let pages = Look { accent: Some(accent.into()), ..Look::default() };
        assert!(style(&pages).contains(expected), "{accent}");
    }
    assert!(!style(&pages).contains('<'));
    let keys: BTreeSet<_> = TEXTS.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), TEXTS.len(), "a key twice");
}

#[test]
fn a_contact_is_a_link_where_it_can_be() {
    let table = [
        ("mailto:it@acme.example", "<a href=\"mailto:it@acme.example\">it@acme.example</a>"),
        (
            "https://help.acme.example/",
            "<a href=\"https://help.acme.example/\">https://help.acme.example/</a>",
        ),
        ("Ask <Ada>, +86 138", "Ask &lt;Ada&gt;, +86 138</footer>"),
        ("mailto:it@acme.example?body=x", " mailto:it@acme.example?body=x</footer>"),
    ];
    for (contact, expected) in table {
        let pages = Look { contact: Some(contact.into()), ..Look::default() };
        let answer = signed_out(&Context::new(&pages, "r", true));
        assert!(body(&answer).contains(expected), "{contact}");
    }
}

#[test]
fn the_products_name_stands_once_and_pictures_are_in_the_policy() {
    let named = |logo: Option<&str>| Look {
        name: Some("Lakehouse".into()),
        logo: logo.map(str::to_owned),
        accent: Some("#0b7a75".into()),
        ..Look::default()
    };
    let header = |answer: &Response| {
        body(answer)
            .split_once("<header>")
            .map(|(_, rest)| rest.split_once("</header>").unwrap().0.to_owned())
    };
    let offer = SignIn { providers: vec![button("Okta", None)], ..SignIn::default() };
    for (logo, on_sign_in, elsewhere) in [
        (None, None, Some("Lakehouse")),
        (
            Some("/l.svg"),
            Some("<img src=\"/l.svg\" alt=\"\">"),
            Some("<img src=\"/l.svg\" alt=\"Lakehouse\">"),
        ),
    ] {
        let pages = named(logo);
        let context = Context::new(&pages, "r", true);
        let page = sign_in(&context, &offer);
        assert_eq!(header(&page).as_deref(), on_sign_in);
        assert!(body(&page).contains("<h1>Sign in to Lakehouse</h1>"));
        assert_eq!(header(&signed_out(&context)).as_deref(), elsewhere);
        assert!(body(&page).contains("fill=&#39;%230b7a75&#39;"), "the icon has the operator's colour");
    }
    let pages = named(Some("/l.svg"));
    for (icon, source) in [
        ("/okta.svg", "img-src 'self' data:;"),
        ("https://cdn.example/o.png", "img-src 'self' https://cdn.example data:;"),
        ("javascript:alert(1)", "img-src 'self' data:;"),
    ] {
        let providers = vec![button("Okta", Some(icon)), button("Okta too", Some(icon))];
        let page = sign_in(&Context::new(&pages, "r", true), &SignIn { providers, ..SignIn::default() });
        assert!(page.header("content-security-policy").unwrap().contains(source), "{icon}");
        assert_eq!(body(&page).contains(icon), icon != "javascript:alert(1)", "{icon}");
    }
}

#[test]
fn what_is_to_be_done_stands_before_what_passed() {
    let pages = Look::default();
    let check = |name: &str, ok, detail: &str| Check { name: name.into(), ok, detail: detail.into() };
    let shown = |checks: Vec<Check>| {
        let page =
            admin(&Context::new(&pages, "r", true), &Admin { checks: Some(checks), ..Admin::default() });
        body(&page).to_owned()
    };
    let page = shown(vec![
        check("keys", true, "2 keys"),
        check("metadata", true, "warning: iss"),
        check("token", false, "refused"),
    ]);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    assert!(at("To do") < at("refused") && at("refused") < at("Worth a look"));
    assert!(
        at("Worth a look") < at(">iss<") && at(">iss<") < at("Passed (1)") && at("Passed (1)") < at("2 keys")
    );
    assert!(!page.contains("Every check passed"));
    let page = shown(vec![check("keys", true, "2 keys")]);
    assert!(page.contains("Every check passed.") && !page.contains("To do"));
}
