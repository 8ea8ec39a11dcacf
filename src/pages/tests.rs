use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::layout::{style, SUBMIT};
use super::settings::Settings;
use super::*;
use crate::fault::{Code, Fault};
use crate::http::response::Response;

/// A start tag: its name and attributes as a browser would read them.
type Tag = (String, Vec<(String, String)>);

/// Reads a page: tags balance, attributes are quoted and named once, no stray `<` or `>`. Gives every
/// start tag, and the text outside of tags.
fn parse(page: &str) -> (Vec<Tag>, String) {
    const VOID: [&str; 5] = ["meta", "link", "img", "input", "br"];
    let mut rest = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    let (mut tags, mut open, mut text) = (Vec::new(), Vec::<String>::new(), String::new());
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        assert!(!before.contains('>'), "stray > in {before:?}");
        text.push_str(before);
        let end = after.find('>').expect("an open tag");
        let inner = &after[1..end];
        rest = &after[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "unbalanced in {page}");
            continue;
        }
        let tag = read_tag(inner);
        let name = tag.0.clone();
        tags.push(tag);
        if VOID.contains(&name.as_str()) {
            continue;
        }
        if name == "style" || name == "script" {
            rest = rest.split_once(&format!("</{name}>")).expect("an end").1;
            continue;
        }
        open.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    text.push_str(rest);
    (tags, text)
}

fn read_tag(inner: &str) -> Tag {
    let (name, mut rest) = inner.split_once(' ').unwrap_or((inner, ""));
    assert!(
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        "{name:?}"
    );
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !key.is_empty(), "{inner:?}");
        assert!(!attributes.iter().any(|(own, _)| *own == key), "{key} twice in {inner:?}");
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let (inside, after) = quoted.split_once('"').expect("a closing quote");
            value = inside.to_owned();
            rest = after;
        }
        attributes.push((key, value));
        assert!(rest.is_empty() || rest.starts_with(' '), "{inner:?}");
        rest = rest.trim_start_matches(' ');
    }
    (name.to_owned(), attributes)
}

/// The shape of a page: every tag with the names of its attributes, without any value.
fn shape(page: &str) -> Vec<(String, Vec<String>)> {
    let (tags, _) = parse(page);
    tags.into_iter().map(|(name, own)| (name, own.into_iter().map(|(key, _)| key).collect())).collect()
}

fn body(answer: &Response) -> &str {
    std::str::from_utf8(&answer.body).expect("UTF-8")
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    text.split_once(open).expect(open).1.split_once(close).expect(close).0
}

/// The pages' settings, with `x` wherever text is free.
fn settings(x: &str) -> Settings {
    Settings {
        name: Some(x.to_owned()),
        logo: Some("/logo.svg".into()),
        accent: Some("#0b7a75".into()),
        contact: Some(x.to_owned()),
        language: None,
        texts: BTreeMap::from([("action.try_again".to_owned(), x.to_owned())]),
        translations: BTreeMap::new(),
    }
}

fn button(title: &str, icon: Option<&str>) -> Button {
    Button { title: title.to_owned(), url: "/a".into(), icon: icon.map(str::to_owned) }
}

/// Every page, with `x` in every slot for text and `url` in every slot for a URL.
fn every_page(pages: &Settings, x: &str, url: &str) -> Vec<(&'static str, Response)> {
    let s = || x.to_owned();
    let fields = || vec![(s(), s())];
    let context = Context {
        login: Some(url.into()),
        continue_to: Some(url.into()),
        password_page: Some(url.into()),
        ..Context::new(pages, x, true)
    };
    let offer = SignIn {
        for_admins: false,
        providers: vec![
            Button { title: s(), url: url.into(), icon: Some(url.into()) },
            Button { title: s(), url: url.into(), icon: None },
        ],
        password_page: Some(url.into()),
        email_form: true,
        account_form: true,
        action: url.into(),
        fields: fields(),
        email: Some(s()),
        message: Some(s()),
        form_targets: vec![url.into()],
    };
    let logout = ConfirmLogout {
        action: url.into(),
        csrf: s(),
        fields: fields(),
        user: Some(s()),
        form_targets: vec![url.into()],
    };
    let invited = Invitation {
        form_targets: vec![url.into()],
        action: url.into(),
        csrf: s(),
        fields: fields(),
        user: s(),
        organization: Some(s()),
        roles: vec![s(), s()],
    };
    let overview = Admin {
        pages: vec![(x.to_owned(), url.to_owned())],
        account: s(),
        readiness: Some(Readiness {
            ready: false,
            reasons: vec![s()],
            never_signed_in: vec![s()],
            never_signed_in_total: 2,
            administrators_signed_in: vec![s()],
            administrators_signed_in_total: 1,
        }),
        completeness: Some(Completeness {
            users: 10,
            complete: 7,
            problems: vec![Incomplete { username: s(), problem: s(), value: Some(s()), with: vec![s()] }],
            before: 0,
            listed: 2,
            total: 3,
            previous: Some(url.into()),
            next: Some(url.into()),
        }),
        checks: Some(vec![
            Check { name: s(), ok: true, detail: s() },
            Check { name: s(), ok: false, detail: s() },
        ]),
        redirect_uris: vec![(s(), s())],
        links: vec![(s(), url.into())],
        progress: Some(s()),
    };
    let form =
        AutoSubmit { action: "https://idp.example/post".into(), fields: fields(), ..AutoSubmit::default() };
    vec![
        ("refusal", refusal(&Fault::new(Code::IdentityMissing, "DETAIL").about(x), &context)),
        ("sign_in", sign_in(&context, &offer)),
        ("confirm_logout", confirm_logout(&context, &logout)),
        ("signed_out", signed_out(&context)),
        ("invitation", invitation(&context, &invited)),
        ("admin", admin(&context, &overview)),
        ("auto_submit", auto_submit(&context, &form).unwrap()),
        ("still_signed_in", still_signed_in(&context, url)),
        ("looked_ahead", looked_ahead(&context)),
        ("front_channel_done", front_channel_done(&["https://idp.example/logout".into()])),
    ]
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
        let pages = Settings { logo: Some(bad.into()), contact: Some(bad.into()), ..settings("Ada") };
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
fn each_code_has_its_own_words_and_status() {
    let pages = Settings::default();
    let context = Context::new(&pages, "req-1", true);
    let (mut titles, mut whats, mut dos) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for code in Code::ALL {
        let texts = texts::Texts::new(&pages, None);
        for (part, seen) in [("title", &mut titles), ("what", &mut whats), ("do", &mut dos)] {
            let text = texts.of(code, part);
            assert!(text.len() > 9, "{code:?}.{part}");
            assert!(seen.insert(text), "{code:?}.{part} is another code's: {text}");
            assert_eq!(text.ends_with('.'), part != "title", "{code:?}.{part}");
        }
        let answer = refusal(&Fault::new(code, "SECRET-DETAIL"), &context);
        assert_eq!(answer.status, code.status());
        assert_eq!(answer.header("x-sso-code"), Some(code.as_str()));
        // What happened, and what to do: a sentence each.
        for part in ["what", "do"] {
            let text = texts.of(code, part);
            assert!(!text.trim_end_matches('.').contains(". "), "{code:?}.{part} is more than a sentence");
        }
        for part in ["title", "what", "do"] {
            let mut escaped = escape::Html::new();
            escaped.text(texts.of(code, part));
            assert!(body(&answer).contains(&escaped.into_string()), "{code:?}.{part}");
        }
        assert!(body(&answer).contains(code.as_str()) && body(&answer).contains("req-1"));
        assert!(!body(&answer).contains("SECRET-DETAIL"));
    }
}

#[test]
fn programs_get_problem_json() {
    let pages = Settings::default();
    for code in Code::ALL {
        let context = Context { login: Some("/sso/login".into()), ..Context::new(&pages, "req-1", false) };
        let answer = refusal(&Fault::new(code, "SECRET-DETAIL").about("email"), &context);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("x-sso-code"), Some(code.as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!body(&answer).contains("SECRET-DETAIL"));
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(value["code"], code.as_str());
        assert_eq!(value["status"], code.status());
        assert_eq!(value["request_id"], "req-1");
        assert_eq!(value["field"], "email");
        assert_eq!(value["type"], format!("urn:envoy-sso:problem:{}", code.as_str()));
        assert!(value["title"].is_string() && value["detail"].is_string());
        assert_eq!(value.get("login").is_some(), code.status() == 401, "{code:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), code.status() == 401);
    }
    let context = Context::new(&pages, "req-1", false);
    let value: Value =
        serde_json::from_slice(&refusal(&Fault::new(Code::LoginRequired, ""), &context).body).unwrap();
    assert!(value.get("login").is_none() && value.get("field").is_none());
}

#[test]
fn what_was_sent_is_not_lost_without_a_word() {
    let pages = Settings::default();
    let lost = "What you sent has not reached the application.";
    for html in [false, true] {
        let say = |code, unsent| {
            let context = Context { unsent, ..Context::new(&pages, "r", html) };
            String::from_utf8(refusal(&Fault::new(code, ""), &context).body).unwrap()
        };
        for code in [Code::LoginRequired, Code::SessionExpired, Code::RoleMissing, Code::DirectoryUnavailable]
        {
            assert!(say(code, true).contains(lost) && !say(code, false).contains(lost), "{code:?}");
        }
        assert!(say(Code::LoginRequired, true).contains("send it again"));
        assert!(!say(Code::LoginRequired, true).contains("come back to where"));
        assert!(say(Code::LoginRequired, false).contains("come back to where"));
    }
}

#[test]
fn headers_say_what_the_status_needs() {
    let pages = Settings::default();
    let get = |code, hints| refusal_with(&Fault::new(code, ""), &Context::new(&pages, "r", false), hints);
    let hints = Hints { allow: "GET", retry_after: Some(7) };
    let table = [
        (Code::LoginRequired, "www-authenticate", Some("Bearer realm=\"sso\"")),
        (
            Code::TokenInvalid,
            "www-authenticate",
            Some(
                "Bearer realm=\"sso\", error=\"invalid_token\", error_description=\"The access token is malformed, \
                 expired, or not meant for this application\"",
            ),
        ),
        (Code::SessionExpired, "www-authenticate", Some("Bearer realm=\"sso\", error=\"invalid_token\"")),
        (Code::RoleMissing, "www-authenticate", None),
        (Code::MethodNotAllowed, "allow", Some("GET")),
        (Code::RoleMissing, "allow", None),
        (Code::TooManyAttempts, "retry-after", Some("7")),
        (Code::NotReady, "retry-after", Some("7")),
        (Code::IdpTimeout, "retry-after", None),
    ];
    for (code, header, value) in table {
        assert_eq!(get(code, hints).header(header), value, "{code:?}");
    }
    assert_eq!(get(Code::TooManyAttempts, Hints::default()).header("retry-after"), Some("300"));
    let cross_site = Fault::new(Code::RequestInvalid, "").with_status(403);
    let answer = refusal(&cross_site, &Context::new(&pages, "r", false));
    assert_eq!(answer.status, 403);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["status"], 403);
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
    let pages = Settings::default();
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

#[test]
fn operators_choose_texts_language_and_colour() {
    let mut pages = Settings { language: Some("de-CH".into()), ..Settings::default() };
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
        let pages = Settings { accent: Some(accent.into()), ..Settings::default() };
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
        let pages = Settings { contact: Some(contact.into()), ..Settings::default() };
        let answer = signed_out(&Context::new(&pages, "r", true));
        assert!(body(&answer).contains(expected), "{contact}");
    }
}

#[test]
fn the_products_name_stands_once_and_pictures_are_in_the_policy() {
    let named = |logo: Option<&str>| Settings {
        name: Some("Lakehouse".into()),
        logo: logo.map(str::to_owned),
        accent: Some("#0b7a75".into()),
        ..Settings::default()
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
    let pages = Settings::default();
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
