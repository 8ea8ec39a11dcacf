//! What attackers, operators and odd IdPs do to a SAML login, through the whole filter.

use serde_json::json;

use super::tests::*;
use super::LastLogin;
use crate::host::shared_set::id_of;
use crate::host::Host;
use crate::proto::saml::bindings::encode_post;
use crate::proto::saml::logout::Outgoing;
use crate::proto::saml::name_id::NameId;
use crate::proto::saml::sign::Signer;
use crate::proto::saml::tests::forge::Key;
use crate::proto::saml::tests::idp::{issuer, private, Answer, Style, IDP, SLO};
use crate::proto::saml::tests::keys;
use crate::testing::browser::{filter_state, Browser};
use crate::testing::{drive, status, TestHost};

/// The session's cookies alone.
fn session_of(browser: &Browser) -> Vec<(String, String)> {
    browser.cookies.iter().filter(|(name, _)| !name.contains("-flow-")).cloned().collect()
}

/// What a browser sends with a cross-site POST: no `Lax` cookie, hence no session.
fn post_cross_site(browser: &mut Browser, message: &str, relay_state: &str) -> crate::testing::browser::Seen {
    let held_back = session_of(browser);
    browser.cookies.retain(|(name, _)| name.contains("-flow-"));
    let seen = post(browser, message, relay_state);
    for (name, value) in held_back {
        if !browser.cookies.iter().any(|(own, _)| *own == name) {
            browser.cookies.push((name, value));
        }
    }
    seen
}

#[test]
fn a_message_whose_base64_is_wrapped_survives_the_bounce() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let encoded = encode_post(&answer(&login.id).write());
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let cookies = std::mem::take(&mut browser.cookies);
    let form = [("SAMLResponse", lines.join("\r\n")), ("RelayState", login.relay_state.clone())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = browser.post(ACS, &form, &mut nobody);
    browser.cookies = cookies;
    assert_eq!(bounced(&mut browser, &page).location(), "/reports?q=1");
}

#[test]
fn an_answer_counts_once_though_its_state_was_forgotten() {
    let (host, filter_state, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let copied = browser.cookies.clone();
    let good = answer(&login.id).write();
    assert_eq!(post(&mut browser, &good, &login.relay_state).status(), 302);
    // A flood of logins pushed the state out: garbage uses one up as well.
    let used = crate::host::shared_set::SharedSet {
        name: "sso.used",
        buckets: 1024,
        capacity: 64,
        when_full: crate::host::shared_set::WhenFull::Evict,
    };
    host.shared_set(&used.key(&id_of(&login.relay_state)), b"", None);
    let mut thief = Browser::new(&filter_state, HOST);
    thief.cookies = copied;
    assert_eq!(post(&mut thief, &good, &login.relay_state).code(), "assertion_invalid");
    assert_eq!(user(&mut thief), None);
}

#[test]
fn an_idp_that_cannot_answer_requests_does_not_send_people_in_circles() {
    let (host, _, mut browser) = filter(json!({ "idp_initiated": "restart" }));
    let mut codes = Vec::new();
    for _ in 0..5 {
        let seen = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "");
        codes.push(seen.code().to_owned());
    }
    assert_eq!(codes.first().map(String::as_str), Some("login_required"));
    assert_eq!(codes.last().map(String::as_str), Some("assertion_invalid"), "{codes:?}");
    // Not for ever.
    host.advance(60_000);
    let seen = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "");
    assert_eq!(seen.code(), "login_required");
}

#[test]
fn force_authn_holds_for_unsolicited_responses_too() {
    for (force, minutes, code) in
        [(false, 60, "redirect"), (true, 60, "assertion_invalid"), (true, 1, "redirect")]
    {
        let (_, _, mut browser) = filter(json!({ "idp_initiated": "accept", "force_authn": force }));
        let mut unsolicited = Answer::unsolicited(Style::Both);
        use crate::proto::saml::tests::idp::at;
        unsolicited.authn = unsolicited.authn.replace(&at(-60), &at(-60 * minutes));
        let page = post(&mut browser, &unsolicited.write(), "");
        assert_eq!(bounced(&mut browser, &page).code(), code, "{force} {minutes}");
    }
}

#[test]
fn an_unsolicited_response_replaces_no_session_of_another_accounts_origin() {
    let mut configuration = configuration(json!({ "idp_initiated": "accept" }));
    configuration["cookies"] = json!({ "domain": "example.com" });
    configuration["accounts"][1]["identity_providers"][0]["id"] = json!("others");
    for shared in [true, false] {
        if !shared {
            configuration["cookies"] = json!({});
        }
        let filter_state = filter_state(&TestHost::new(), &configuration);
        let mut elsewhere = Browser::new(&filter_state, "other.example.com");
        let page = elsewhere.get("/", &mut nobody);
        let login = begun(&page);
        let mut other = answer(&login.id);
        for part in [&mut other.response, &mut other.confirmation, &mut other.conditions] {
            *part = part.replace("app.example.com", "other.example.com").replace("u=acme", "u=other");
        }
        let encoded = encode_post(&other.write());
        let form = [("SAMLResponse", encoded.as_str()), ("RelayState", login.relay_state.as_str())];
        let seen = elsewhere.post("/sso/saml/consume?u=other", &form, &mut nobody);
        assert_eq!(seen.status(), 302, "{}", seen.text());

        let mut browser = Browser::new(&filter_state, HOST);
        if shared {
            browser.cookies = elsewhere.cookies.clone();
        }
        let page = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "");
        let code = bounced(&mut browser, &page).code().to_owned();
        assert_eq!(code, if shared { "identity_conflict" } else { "redirect" });
    }
}

#[test]
fn the_session_before_ends_though_the_answer_came_without_its_cookie() {
    let (_, filter_state, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    assert_eq!(post_cross_site(&mut browser, &answer(&login.id).write(), &login.relay_state).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    let mut copy = Browser::new(&filter_state, HOST);
    copy.cookies = session_of(&browser);
    assert_eq!(user(&mut copy).as_deref(), Some("ada"));

    let login = begun(&browser.get("/sso/login?idp=partners", &mut nobody));
    let mut bob = answer(&login.id);
    bob.attributes = bob.attributes.replace("ada@", "bob@");
    bob.assertion = bob.assertion.replace("_assertion", "_another");
    assert_eq!(post_cross_site(&mut browser, &bob.write(), &login.relay_state).status(), 302);
    assert_eq!(user(&mut browser).as_deref(), Some("bob"));
    assert_eq!(user(&mut copy), None, "a session this browser had before ends");
}

fn by_url(more: serde_json::Value) -> serde_json::Value {
    let mut saml = json!({
        "metadata_url": "https://idp.partner.com/metadata", "sso_url": null, "issuer": null, "certificates": null
    });
    saml.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    saml
}

fn valid_until(offset: i64) -> String {
    let until = format!("validUntil=\"{}\" entityID=", crate::proto::saml::tests::idp::at(offset));
    metadata(&[crate::proto::saml::tests::keys::IDP]).replace("entityID=", &until)
}

#[test]
fn metadata_is_fetched_again_before_it_expires() {
    let (host, filter_state, _) = filter(by_url(json!({})));
    let idp = filter_state.account_states[0].idps["partners"].clone();
    let fetch = |text: String| {
        let idp = idp.clone();
        let io = host.io();
        let login_state = {
            let io = io.clone();
            async move { idp.refresh(&io).await }
        };
        drive(&io, login_state, [status(200, "application/xml", text)]).0.unwrap();
    };
    fetch(valid_until(7200));
    host.advance(3_599_000);
    assert!(!idp.due(host.now()));
    host.advance(1_000);
    assert!(idp.due(host.now()), "the next one is fetched while this one still counts");
    fetch(metadata(&[crate::proto::saml::tests::keys::IDP]));
    host.advance(23 * 3_600_000);
    assert!(!idp.due(host.now()));
    host.advance(3_600_000);
    assert!(idp.due(host.now()));
}

#[test]
fn expired_metadata_is_no_matter_to_what_is_configured_by_hand() {
    for by_hand in [true, false] {
        let saml = match by_hand {
            true => json!({ "metadata_url": "https://idp.partner.com/metadata" }),
            false => by_url(json!({})),
        };
        let (host, filter_state, mut browser) = filter(saml);
        let idp = filter_state.account_states[0].idps["partners"].clone();
        let io = host.io();
        let login_state = {
            let io = io.clone();
            async move { idp.refresh(&io).await }
        };
        drive(&io, login_state, [status(200, "application/xml", valid_until(60))]).0.unwrap();
        assert_eq!(browser.get("/", &mut nobody).status(), 302);
        host.advance(60_000);
        let seen = browser.get("/", &mut nobody);
        assert_eq!(seen.code(), if by_hand { "login_required" } else { "idp_unavailable" });
    }
}

#[test]
fn whose_response_it_is_can_be_told_before_the_first_metadata_is_there() {
    let (_, _, mut browser) = filter(by_url(json!({ "idp_initiated": "restart" })));
    let page = post(&mut browser, &Answer::unsolicited(Style::Both).write(), "");
    let encoded = page.field("SAMLResponse");
    let form = [("SAMLResponse", encoded.as_str()), ("RelayState", ""), ("sso_bounced", "1")];
    let published = metadata(&[crate::proto::saml::tests::keys::IDP]);
    let seen = browser.post(ACS, &form, &mut |_| status(200, "application/xml", published.as_str()));
    assert_eq!((seen.code(), seen.calls.len()), ("login_required", 1));
}

#[test]
fn the_mapped_value_as_a_subject_is_the_one_that_is_compared() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let mut shouted = answer(&login.id);
    shouted.name_id = String::new();
    shouted.attributes = shouted.attributes.replace("ada@acme.com", "Ada@ACME.com");
    assert_eq!(post(&mut browser, &shouted.write(), &login.relay_state).status(), 302);
    let live = browser.get("/", &mut nobody).pass.unwrap().live.unwrap();
    assert_eq!(live.session.origin.subject, "ada@acme.com");
}

#[test]
fn an_administrator_sees_the_last_sign_in_of_no_other_account() {
    let mut configuration = configuration(json!({}));
    configuration["accounts"][0]["identity_providers"][0]["id"] = json!("partners.x");
    configuration["accounts"][1]["code"] = json!("acme.partners");
    configuration["accounts"][1]["identity_providers"][0]["id"] = json!("x");
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration);
    let mut browser = Browser::new(&filter_state, HOST);
    let login = begin(&mut browser);
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).status(), 302);
    let last = |account_state: usize, id: &str| {
        super::last(&host.io(), &filter_state.account_states[account_state].account, id)
    };
    assert!(last(0, "partners.x").is_some());
    assert!(last(1, "x").is_none());
}

#[test]
fn a_name_with_white_space_is_not_the_name_without() {
    for (claim, value, code) in [
        ("email", "ada", "redirect"),
        ("email", "ada ", "identity_missing"),
        ("email", " ada", "identity_missing"),
        ("NameID", "ada", "redirect"),
        ("NameID", "ada ", "identity_missing"),
        // Indentation is not part of the value.
        ("email", "\n      ada\n    ", "redirect"),
        ("NameID", "\n\t\tada\n\t", "redirect"),
    ] {
        let mut configuration = configuration(json!({}));
        configuration["accounts"][0]["mapping"] = json!({ "claim": claim, "attribute": "username" });
        let mut browser = Browser::new(&filter_state(&TestHost::new(), &configuration), HOST);
        let login = begin(&mut browser);
        let mut answer = answer(&login.id);
        answer.attributes = answer.attributes.replace("ada@acme.com", value);
        answer.name_id = answer.name_id.replace("ada@acme.com", value);
        let seen = post(&mut browser, &answer.write(), &login.relay_state);
        assert_eq!(seen.code(), code, "{claim} {value:?}");
    }
}

const VENDOR: &str = "https://vendor.example";

/// A second SAML provider of the account, with another key, and one of OpenID Connect.
fn three_providers() -> serde_json::Value {
    let saml = json!({ "slo_url": "https://idp.partner.com/slo", "idp_initiated": "accept" });
    let mut configuration = configuration(saml);
    let providers = configuration["accounts"][0]["identity_providers"].as_array_mut().unwrap();
    let mut vendor = providers[0].clone();
    vendor["id"] = json!("vendor");
    vendor["saml"]["issuer"] = json!(VENDOR);
    vendor["saml"]["certificates"] = json!([keys::STRANGER]);
    providers.push(vendor);
    providers.push(json!({ "id": "corp", "oidc": {
        "client_id": "app", "client_secret": { "value": "hunter2-hunter2" }, "issuer": "https://corp.example",
        "authorization_endpoint": "https://corp.example/auth", "token_endpoint": "https://corp.example/token",
        "jwks_uri": "https://corp.example/keys",
    } }));
    configuration
}

#[test]
fn no_provider_answers_for_another() {
    let filter_state = filter_state(&TestHost::new(), &three_providers());
    let mut browser = Browser::new(&filter_state, HOST);
    let start =
        |browser: &mut Browser, id: &str| begun(&browser.get(&format!("/sso/login?idp={id}"), &mut nobody));
    let by_vendor = |id: &str| {
        let mut theirs = answer(id);
        theirs.response_issuer = issuer(VENDOR);
        theirs.assertion_issuer = issuer(VENDOR);
        theirs.spec.key = Key::Rsa(keys::STRANGER_KEY);
        theirs
    };
    // The vendor's own answer signs in; for the partners' request neither its name nor its key counts.
    let login = start(&mut browser, "vendor");
    assert_eq!(post(&mut browser, &by_vendor(&login.id).write(), &login.relay_state).code(), "redirect");
    for forged in [by_vendor, |id: &str| {
        let mut theirs = answer(id);
        theirs.spec.key = Key::Rsa(keys::STRANGER_KEY);
        theirs
    }] {
        let login = start(&mut browser, "partners");
        let seen = post(&mut browser, &forged(&login.id).write(), &login.relay_state);
        assert_eq!(seen.code(), "assertion_invalid");
    }
    let login = start(&mut browser, "partners");
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).code(), "redirect");

    // A state of OpenID Connect is none here, nor the other way round; both are used up.
    let seen = browser.get("/sso/login?idp=corp", &mut nobody);
    let (_, state) = seen.location().split_once("&state=").unwrap();
    let state = state.split('&').next().unwrap().to_owned();
    assert_eq!(post(&mut browser, &answer("id-x").write(), &state).code(), "state_unknown");
    let login = start(&mut browser, "partners");
    let callback = format!("/sso/oidc/consume?u=acme&code=x&state={}", login.relay_state);
    assert_eq!(browser.get(&callback, &mut nobody).code(), "callback_invalid");
    let page = post(&mut browser, &answer(&login.id).write(), &login.relay_state);
    assert_eq!(bounced(&mut browser, &page).code(), "state_unknown");
}

#[test]
fn no_provider_ends_the_sessions_of_another() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &three_providers());
    let mut browser = Browser::new(&filter_state, HOST);
    let login = begun(&browser.get("/sso/login?idp=partners", &mut nobody));
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).code(), "redirect");
    let name = NameId { value: "ada@acme.com".into(), ..NameId::default() };
    let send = |issuer: &str, key: &str| {
        let to = crate::config::Address::read(SLO).unwrap();
        let request = Outgoing::request(&*host, &to, issuer, &name, None).unwrap();
        let key = private(key);
        let signer = Signer { host: &*host, key: &key, certificate: None };
        let form = request.post(None, Some(signer)).unwrap();
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let seen = Browser::new(&filter_state, HOST).post("/sso/saml/logout?u=acme", &form, &mut nobody);
        seen.code().to_owned()
    };
    assert_eq!(send(VENDOR, keys::STRANGER_KEY), "continue", "well signed, but it knows nobody of these");
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    assert_eq!(send(IDP, keys::STRANGER_KEY), "request_invalid");
    assert_eq!(user(&mut browser).as_deref(), Some("ada"));
    assert_eq!(send(IDP, keys::IDP_KEY), "continue");
    assert_eq!(user(&mut browser), None);
}

#[test]
fn the_check_says_that_the_idp_wants_signed_requests() {
    let key = json!({ "private_key": { "value": keys::SP_KEY }, "certificate": keys::SP });
    for (wants, more, warned) in
        [(true, json!({}), true), (false, json!({}), false), (true, json!({ "signing": key }), false)]
    {
        let mut configuration = configuration(by_url(more));
        configuration["accounts"][0]["directory"]["static"]["users"][0]["roles"] = json!(["boss"]);
        configuration["accounts"][0]["password"] = json!({ "mode": "disabled", "admin_roles": ["boss"] });
        let mut published = metadata(&[keys::IDP]);
        if wants {
            let role = "<md:IDPSSODescriptor WantAuthnRequestsSigned=\"true\" ";
            published = published.replace("<md:IDPSSODescriptor ", role);
        }
        let mut serve = |_: &crate::host::task::Call| status(200, "application/xml", published.as_str());
        let mut browser = Browser::new(&filter_state(&TestHost::new(), &configuration), HOST);
        let login = begun(&browser.get("/", &mut serve));
        assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).code(), "redirect");
        let report = browser.get("/sso/admin/check", &mut serve).text();
        assert!(report.contains("partners: metadata"), "{report}");
        assert_eq!(report.contains("WantAuthnRequestsSigned"), warned, "{report}");
    }
}

/// Whose login is not under way here learns nothing; the operator learns what the response says of itself.
#[test]
fn an_answer_without_its_login_says_which_it_was_to_the_operator() {
    let (host, filter_state, mut browser) = filter(json!({}));
    let last = || super::last(&host.io(), &filter_state.account_states[0].account, "partners");
    let login = begin(&mut browser);
    let mut foreign = answer(&login.id);
    foreign.response_issuer = issuer("https://foreign.example");
    for (answer, known) in [(foreign, false), (answer(&login.id), true)] {
        let mut other = Browser::new(&filter_state, HOST);
        let page = post(&mut other, &answer.write(), &login.relay_state);
        let seen = bounced(&mut other, &page);
        assert_eq!((seen.status(), seen.code()), (400, "state_unknown"));
        assert!(!seen.text().contains(&login.id), "{}", seen.text());
        assert_eq!(last().is_some(), known);
    }
    let LastLogin { code, detail: why, .. } = last().unwrap();
    assert_eq!(code, "state_unknown");
    for part in [IDP, login.id.as_str(), "another host name"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(host.counted("sso_logins.account.acme.idp.partners.outcome.state_unknown"), 1);
    assert_eq!(post(&mut browser, &answer(&login.id).write(), &login.relay_state).code(), "redirect");
    assert_eq!(last().unwrap().code, "ok");
}

/// pysaml2 writes `InResponseTo=""` where it answers no request (SAML core section 3.2.2: it must be absent). That begins
/// a login of our own like any unsolicited response, and signs nobody in.
#[test]
fn an_empty_in_response_to_names_no_request() {
    let written = |id: &str| {
        let message = answer(id).write();
        assert_eq!(message.matches(&format!("InResponseTo=\"{id}\"")).count(), 2);
        message
    };
    for (mode, empty, absent) in [
        ("off", "assertion_invalid", "assertion_invalid"),
        ("restart", "login_required", "login_required"),
        ("accept", "assertion_invalid", "redirect"),
    ] {
        for (message, code) in [
            (written(""), empty),
            (Answer::unsolicited(Style::Both).write(), absent),
            (written("id-other"), "state_unknown"),
        ] {
            let (_, _, mut browser) = filter(json!({ "idp_initiated": mode }));
            let seen = post(&mut browser, &message, "/reports");
            let seen = if seen.code() == "continue" { bounced(&mut browser, &seen) } else { seen };
            assert_eq!(seen.code(), code, "{mode}: {}", seen.text());
        }
        // With a login of ours under way it is not an answer to that.
        let (_, _, mut browser) = filter(json!({ "idp_initiated": mode }));
        let login = begin(&mut browser);
        assert_eq!(post(&mut browser, &written(""), &login.relay_state).code(), "assertion_invalid");
        assert_eq!(user(&mut browser), None);
    }
}

#[test]
fn the_log_says_that_an_attribute_came_encrypted() {
    for (more, says_so) in [("", false), ("<saml:EncryptedAttribute/><saml:EncryptedAttribute/>", true)] {
        let host = TestHost::new();
        let mut configuration = configuration(json!({}));
        configuration["accounts"][0]["mapping"] = json!({ "claim": "upn", "attribute": "email" });
        let mut browser = Browser::new(&filter_state(&host, &configuration), HOST);
        let login = begin(&mut browser);
        let mut answer = answer(&login.id);
        answer.attributes =
            answer.attributes.replace("</saml:AttributeStatement>", more) + "</saml:AttributeStatement>";
        assert_eq!(post(&mut browser, &answer.write(), &login.relay_state).code(), "identity_missing");
        let said = host.logs().iter().any(|(_, line)| line.contains("2 attributes came encrypted"));
        assert_eq!(said, says_so, "{:?}", host.logs());
    }
}

#[test]
fn a_worker_out_of_private_keys_says_when_to_try_again() {
    let host = TestHost::new();
    let key = json!({ "private_key": { "value": keys::SP_KEY }, "certificate": keys::SP });
    let filter_state = filter_state(&host, &super::tests::configuration(json!({ "signing": key })));
    let ask = || Browser::new(&filter_state, HOST).get("/sso/login?idp=partners", &mut nobody);
    for _ in 0..20 {
        assert_eq!(ask().status(), 302);
    }
    let seen = ask();
    assert_eq!((seen.status(), seen.code()), (503, "not_ready"));
    assert!(seen.answer.as_ref().and_then(|answer| answer.header("retry-after")).is_some());
    host.advance(1_000);
    assert_eq!(ask().status(), 302);
}
