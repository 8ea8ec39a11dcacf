//! The page of forms.

use super::*;

impl World {
    /// The page, with its token and revision.
    fn page(&self, browser: &Browser, query: &str) -> Seen {
        let mut browser = browser.at(&self.state);
        let seen = self.get(&mut browser, &format!("/sso/admin/settings{query}"));
        assert_eq!(seen.status(), 200, "{}", seen.text());
        seen
    }

    /// A form of that page.
    fn post(&self, browser: &Browser, page: &Seen, fields: &[(&str, &str)]) -> Seen {
        let (csrf, revision) = (page.field("csrf"), page.field("revision"));
        let revision = revision.replace("&quot;", "\"");
        let mut all = vec![("csrf", csrf.as_str()), ("revision", revision.as_str())];
        all.extend(fields);
        let mut browser = browser.at(&self.state);
        browser.post("/sso/admin/settings", &all, &mut |call| self.respond(call))
    }
}

const BY_HAND: [(&str, &str); 10] = [
    ("idp", "corp"),
    ("sso", "enabled"),
    ("provider.id", "corp"),
    ("provider.title", "Acme <people>"),
    ("protocol", "oauth2"),
    ("oauth2.authorization_endpoint", "https://corp.idp.example/authorize"),
    ("oauth2.token_endpoint", "https://corp.idp.example/token"),
    ("oauth2.userinfo_endpoint", "https://corp.idp.example/user"),
    ("oauth2.client_id", "app"),
    ("password.mode", "disabled"),
];

#[test]
fn a_draft_with_the_files_providers_is_tested_by_a_link() {
    let mut world = World::with(|document| {
        document["accounts"][0]["self_service"]["settings"] = json!(["sso", "mapping", "password"]);
    });
    let ada = world.signed_in("ada");
    let page = world.page(&ada, "");
    let link = "href=\"/sso/admin/settings/test?idp=corp\"";
    assert!(!page.text().contains(link), "without a draft");
    assert_eq!(world.post(&ada, &page, &[("do", "save"), ("password.mode", "disabled")]).status(), 302);
    let page = world.page(&ada, "");
    assert!(page.text().contains(link), "{}", page.text());
    assert_eq!(world.tested(&ada, "ada", "corp")["ok"], true);
    let page = world.page(&ada, "");
    assert_eq!(world.post(&ada, &page, &[("do", "enable")]).status(), 302);
    world.settled();
    assert_eq!(world.document(&ada)["active"]["settings"]["password"]["mode"], "disabled");
}

#[test]
fn the_whole_story_by_forms() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let page = world.page(&ada, "");
    let text = page.text();
    assert!(text.contains("https://app.example/sso/oidc/consume") && !text.contains("file secret"), "{text}");
    let with = |more: &[(&'static str, &'static str)]| [&BY_HAND[..], more].concat();
    let saved = world.post(&ada, &page, &with(&[("do", "save")]));
    assert_eq!(
        (saved.status(), saved.location()),
        (302, "/sso/admin/settings?done=save"),
        "{}",
        saved.text()
    );
    let page = world.page(&ada, "?done=save");
    assert!(page.text().contains("The draft is saved.") && page.text().contains("Acme &lt;people&gt;"));
    // Not tested yet: "all the same" is offered, and does it.
    let refused = world.post(&ada, &page, &[("do", "enable")]);
    assert_eq!((refused.status(), refused.code()), (409, "settings_untested"));
    assert!(refused.text().contains("name=\"confirm\" value=\"true\""), "{}", refused.text());
    assert_eq!(world.tested(&ada, "ada", "corp")["ok"], true);
    let page = world.page(&ada, "");
    assert_eq!(world.post(&ada, &page, &[("do", "enable")]).status(), 302);
    world.settled();
    let document = world.document(&ada);
    assert_eq!(document["active"]["settings"]["password"]["mode"], "disabled");
    assert_eq!(document["active"]["settings"]["identity_providers"][0]["title"], "Acme <people>");
    assert_eq!(
        document["active"]["settings"]["identity_providers"][0]["oauth2"]["client_secret"],
        json!({ "set": true })
    );
    // And back.
    let page = world.page(&ada, "");
    assert_eq!(world.post(&ada, &page, &[("do", "rollback"), ("version", "0")]).status(), 302);
    assert_eq!(world.document(&ada)["active"]["version"], 2);
    // Invitations.
    let page = world.page(&ada, "");
    let invited =
        world.post(&ada, &page, &[("do", "invite"), ("email", "eve@acme.com"), ("roles", "member")]);
    assert_eq!(invited.status(), 302, "{}", invited.text());
    let id = world.document(&ada)["invitations"][0]["id"].as_str().unwrap().to_owned();
    let page = world.page(&ada, "");
    assert!(page.text().contains("eve@acme.com"));
    assert_eq!(world.post(&ada, &page, &[("do", "withdraw"), ("id", &id)]).status(), 302);
    assert_eq!(world.document(&ada)["invitations"], json!([]));
}

#[test]
fn what_was_typed_stays_and_a_secret_is_never_shown() {
    let world = World::new();
    let ada = world.signed_in("ada");
    let page = world.page(&ada, "");
    let mut fields = BY_HAND.to_vec();
    fields[6].1 = "https://evil.example/\"><script>";
    fields.extend([("oauth2.client_secret", "hunter2"), ("do", "save")]);
    let refused = world.post(&ada, &page, &fields);
    assert_eq!((refused.status(), refused.code()), (422, "settings_invalid"));
    let text = refused.text();
    assert!(
        text.contains("href=\"#oauth2.token_endpoint\"") && text.contains("aria-invalid=\"true\""),
        "{text}"
    );
    assert!(text.contains("https://evil.example/&quot;&gt;&lt;script&gt;"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("<script>"), "{text}");
    // Mended, and the secret comes along.
    let kept = refused.field("kept.oauth2.client_secret");
    assert!(!kept.is_empty());
    fields = BY_HAND.to_vec();
    fields.extend([
        ("oauth2.client_secret", ""),
        ("kept.oauth2.client_secret", kept.as_str()),
        ("do", "save"),
    ]);
    world.engine.borrow_mut().is_away = true;
    let away = world.post(&ada, &refused, &fields);
    assert_eq!((away.status(), away.code()), (503, "not_ready"));
    assert!(away.text().contains("Acme &lt;people&gt;"), "{}", away.text());
    world.engine.borrow_mut().is_away = false;
    let kept = away.field("kept.oauth2.client_secret");
    fields = BY_HAND.to_vec();
    fields.extend([
        ("oauth2.client_secret", ""),
        ("kept.oauth2.client_secret", kept.as_str()),
        ("do", "save"),
    ]);
    assert_eq!(world.post(&ada, &away, &fields).status(), 302);
    let kept = crate::settings::store::known(world.replicas(), &*world.host, "default").unwrap().book;
    let settings = &kept.draft.unwrap().settings;
    assert_eq!(settings["identity_providers"][0]["oauth2"]["client_secret"], json!({ "value": "hunter2" }));
    // Two administrators at once.
    let stale = world.post(&ada, &page, &[("do", "enable"), ("confirm", "true")]);
    assert_eq!((stale.status(), stale.code()), (412, "settings_changed"));
}

#[test]
fn only_forms_of_this_page_and_session() {
    let world = World::new();
    let (ada, bob) = (world.signed_in("ada"), world.signed_in("bob"));
    let page = world.page(&ada, "");
    let fields = [("csrf", "x"), ("do", "save"), ("sso", "disabled")];
    let mut browser = ada.at(&world.state);
    let forged = browser.post("/sso/admin/settings", &fields, &mut |call| world.respond(call));
    assert_eq!((forged.status(), forged.code()), (403, "request_invalid"));
    // The token of another session, and of another page.
    let other = world.post(&world.signed_in("ada"), &page, &[("do", "save"), ("sso", "disabled")]);
    assert_eq!(other.status(), 403);
    let mut browser = ada.at(&world.state);
    let sessions = world.get(&mut browser, "/sso/admin/sessions");
    let other = world.post(&ada, &sessions, &[("do", "save"), ("sso", "disabled")]);
    assert_eq!(other.status(), 403, "{}", other.text());
    assert_eq!(world.post(&bob, &page, &[("do", "save"), ("sso", "disabled")]).code(), "role_missing");
    let mut elsewhere = ada.at(&world.state).with("origin", "https://evil.example");
    let csrf = page.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("do", "save"), ("sso", "disabled")];
    let sent = elsewhere.post("/sso/admin/settings", &fields, &mut |call| world.respond(call));
    assert_eq!(sent.status(), 403);
    assert_eq!(world.document(&ada)["draft"], Value::Null);
}
