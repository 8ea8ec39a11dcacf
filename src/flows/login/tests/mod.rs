//! Whole requests by which people come in: chooser, home-realm discovery, hints, logins that others start,
//! step-up, pushed requests.

mod again;
mod mix_up;
mod overage;
mod step_up;
mod userinfo;

use std::rc::Rc;

use serde_json::{json, Value};

use crate::crypto::test_keys::{token_of, JWKS};
use crate::host::task::{Call, Failure, Reply};
use crate::session::Purpose;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{self, form, header, TestHost, START};

const NOW: u64 = START / 1000;

fn configuration() -> Value {
    let provider = |id: &str, domain: &str| {
        json!({
            "id": id, "title": format!("Staff of {id}"), "email_domains": [domain],
            "oidc": {
                "discovery": format!("https://{id}.example/.well-known/openid-configuration"),
                "client_id": "app", "client_secret": { "value": "s" },
                "authorization_params": { "prompt": "consent", "ui_locales": "de" },
            }
        })
    };
    let plain = json!({ "id": "plain", "title": "Plain", "oauth2": {
        "issuer": "https://plain.example", "authorization_endpoint": "https://plain.example/authorize",
        "token_endpoint": "https://plain.example/token", "userinfo_endpoint": "https://plain.example/userinfo",
        "client_id": "app", "client_secret": { "value": "s" },
    } });
    let access = json!([
        { "prefix": "/strong/", "allow": "users", "acr_values": ["mfa", "hardware"] },
        { "prefix": "/fresh/", "allow": "users", "max_age": "5m" },
    ]);
    let account = |code: &str, providers: Value| {
        json!({
            "code": code, "origins": [format!("https://{code}.app")], "sso": "enabled",
            "identity_providers": providers, "access": access,
            "password": { "mode": "enabled", "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }] },
        })
    };
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }], "idle": "8h" }, "clusters": { "*": "idp" },
        "accounts": [
            account("one", json!([provider("corp", "acme.com")])),
            account("two", json!([provider("corp", "acme.com"), provider("partners", "partner.com"), plain])),
        ]
    })
}

/// The providers: documents, keys, and an ID token of ada with these further claims.
fn idp(nonce: &str, more: Value) -> impl FnMut(&Call) -> Reply {
    let nonce = nonce.to_owned();
    move |call| {
        let issuer = format!("https://{}", header(call, ":authority").unwrap_or_default());
        match header(call, ":path").unwrap_or_default() {
            "/.well-known/openid-configuration" => testing::json(&json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                "pushed_authorization_request_endpoint": format!("{issuer}/par"),
                "require_pushed_authorization_requests": more.get("par").is_some(),
                "userinfo_endpoint": format!("{issuer}/userinfo"),
            })),
            "/par" => match more.get("par") {
                Some(Value::String(failure)) if failure == "timeout" => Reply::Failed(Failure::Timeout),
                Some(Value::String(failure)) if failure == "down" => Reply::Failed(Failure::Unreachable),
                Some(Value::Array(answer)) => testing::status(
                    answer[0].as_u64().unwrap_or_default() as u16,
                    "application/json",
                    answer[1].to_string(),
                ),
                _ => testing::status(201, "application/json", r#"{"request_uri":"urn:r:1","expires_in":60}"#),
            },
            "/keys" => testing::answer("application/json", JWKS),
            "/token" => {
                let mut claims = json!({
                    "iss": issuer, "aud": "app", "sub": "ada", "iat": NOW, "exp": NOW + 40_000, "nonce": nonce,
                    "email": "ada@acme.com",
                });
                for (name, value) in more.as_object().into_iter().flatten() {
                    claims[name] = value.clone();
                }
                let id_token = token_of(&json!({ "alg": "ES256", "kid": "p256" }), &claims.to_string());
                testing::json(&json!({ "access_token": "at", "token_type": "Bearer", "id_token": id_token }))
            }
            "/userinfo" => match more.get("userinfo") {
                Some(failure) => testing::status(
                    failure.as_u64().unwrap_or_default() as u16,
                    "application/json",
                    r#"{"error":"invalid_token"}"#,
                ),
                None => testing::json(&json!({ "sub": "ada", "email": "ada@acme.com", "groups": ["staff"] })),
            },
            other => panic!("nobody asks for {other:?}"),
        }
    }
}

fn plainly() -> impl FnMut(&Call) -> Reply {
    idp("", json!({}))
}

fn query(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let found = url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
    found
}

/// On from an answer that leads to a provider, through the callback of this account.
fn come_back(browser: &mut Browser, code: &str, start: &Seen, more: Value) -> Seen {
    let [state, nonce] = ["state", "nonce"].map(|name| query(start.location(), name).unwrap_or_default());
    browser.get(&format!("/sso/oidc/consume?u={code}&code=c&state={state}"), &mut idp(&nonce, more))
}

fn start(filter_state: &Rc<FilterState>, code: &str, target: &str) -> (Browser, Seen) {
    let mut browser = Browser::new(filter_state, &format!("{code}.app"));
    let seen = browser.get(target, &mut plainly());
    (browser, seen)
}

#[test]
fn one_provider_is_gone_to_and_of_several_people_choose() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (mut browser, seen) = start(&filter_state, "one", "/reports?q=1");
    assert!(seen.location().starts_with("https://corp.example/authorize?"), "{}", seen.location());
    assert_eq!(query(seen.location(), "prompt").as_deref(), Some("consent"), "of the configuration");
    let back = come_back(&mut browser, "one", &seen, json!({}));
    assert_eq!((back.status(), back.location()), (302, "/reports?q=1"));
    let (mut browser, seen) = start(&filter_state, "two", "/reports?q=1");
    assert_eq!((seen.code(), seen.location()), ("login_required", "/sso/login?return_to=%2Freports%3Fq%3D1"));
    let page = browser.get(seen.location(), &mut plainly());
    for (id, title) in [("corp", "Staff of corp"), ("partners", "Staff of partners"), ("plain", "Plain")] {
        assert!(page.text().contains(title), "{title}");
        assert!(
            page.text().contains(&format!("/sso/login?idp={id}&amp;return_to=%2Freports%3Fq%3D1")),
            "{id}"
        );
        let mut browser = Browser::new(&filter_state, "two.app");
        let target = format!("/sso/login?idp={id}&return_to=%2Freports%3Fq%3D1");
        let seen = browser.get(&target, &mut plainly());
        assert!(
            seen.location().starts_with(&format!("https://{id}.example/authorize?")),
            "{}",
            seen.location()
        );
        assert_eq!(come_back(&mut browser, "two", &seen, json!({})).location(), "/reports?q=1");
    }
    assert_eq!(start(&filter_state, "two", "/sso/login?idp=nobody").1.code(), "request_invalid");
}

#[test]
fn an_email_address_leads_to_the_provider_of_its_domain() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    for (email, id) in [
        ("ada@acme.com", Some("corp")),
        ("ada@partner.com", Some("partners")),
        ("%20Ada@PARTNER.com%20", Some("partners")),
        ("a@acme.com@partner.com", Some("partners")),
        ("ada@other.com", None),
        ("ada@sub.acme.com", None),
        ("ada@acme.com.evil.com", None),
        ("ada@", None),
        ("acme.com", None),
        ("", None),
    ] {
        let (_, seen) = start(&filter_state, "two", &format!("/sso/login?email={email}&return_to=%2Fa"));
        match id {
            Some(id) => {
                let beginning = format!("https://{id}.example/authorize?");
                assert!(seen.location().starts_with(&beginning), "{email}: {}", seen.location());
                let hint = query(seen.location(), "login_hint").unwrap();
                assert!(hint.contains('@') && hint.trim() == hint, "{hint}");
            }
            None => assert_eq!(seen.status(), 200, "{email}: the page again"),
        }
    }
}

#[test]
fn hints_and_prompts_are_passed_on() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let (_, seen) = start(&filter_state, "one", "/sso/login?login_hint=ada%40acme.com&prompt=select_account");
    assert_eq!(query(seen.location(), "login_hint").as_deref(), Some("ada@acme.com"));
    assert_eq!(
        query(seen.location(), "prompt").as_deref(),
        Some("select_account"),
        "before the configuration's"
    );
    for prompt in ["login", "consent"] {
        let (_, seen) = start(&filter_state, "one", &format!("/sso/login?prompt={prompt}"));
        assert_eq!(query(seen.location(), "prompt").as_deref(), Some(prompt));
    }
    for wrong in ["none", "", "login%20none", "x"] {
        let (_, seen) = start(&filter_state, "one", &format!("/sso/login?prompt={wrong}"));
        assert_eq!(seen.code(), "request_invalid", "{wrong}");
    }
    let (_, seen) = start(&filter_state, "one", &format!("/sso/login?login_hint={}", "a".repeat(400)));
    assert_eq!((seen.status(), query(seen.location(), "login_hint")), (302, None), "too long to be one");
    for twice in ["idp", "return_to", "login_hint", "email", "iss", "target_link_uri", "prompt"] {
        let (_, seen) = start(&filter_state, "one", &format!("/sso/login?{twice}=login&{twice}=login"));
        assert_eq!(seen.code(), "request_invalid", "{twice}");
    }
}

#[test]
fn a_third_party_starts_a_login_by_get_or_post() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let issuer = "https%3A%2F%2Fpartners.example";
    let target = "https%3A%2F%2Ftwo.app%2Fthere%3Fx%3D1";
    let query_of = format!("iss={issuer}&login_hint=ada&target_link_uri={target}");
    // Also on a worker that has not heard from the provider yet.
    let (mut browser, seen) = start(&filter_state, "two", &format!("/sso/login?{query_of}"));
    assert!(seen.location().starts_with("https://partners.example/authorize?"), "{}", seen.location());
    assert_eq!(query(seen.location(), "login_hint").as_deref(), Some("ada"));
    assert_eq!(come_back(&mut browser, "two", &seen, json!({})).location(), "/there?x=1");
    let mut browser = Browser::new(&filter_state, "two.app").with("origin", "https://partners.example");
    let posted = [
        ("iss", "https://partners.example"),
        ("login_hint", "ada"),
        ("target_link_uri", "https://two.app/there?x=1"),
        ("unknown", "x"),
    ];
    let seen = browser.post("/sso/login", &posted, &mut plainly());
    assert_eq!((seen.status(), seen.location()), (302, format!("/sso/login?{query_of}").as_str()));
    for (query, code) in [
        ("iss=https%3A%2F%2Fevil.example", "request_invalid"),
        ("iss=", "request_invalid"),
        ("iss=https%3A%2F%2Fpartners.example.evil.example", "request_invalid"),
        (&format!("iss={issuer}&target_link_uri=https%3A%2F%2Fevil.example%2F"), "return_to_refused"),
        (&format!("iss={issuer}&target_link_uri=%2F%2Fevil.example"), "return_to_refused"),
    ] {
        assert_eq!(start(&filter_state, "two", &format!("/sso/login?{query}")).1.code(), code, "{query}");
    }
    assert_eq!(browser.send("PUT", "/sso/login", None, &mut plainly()).status(), 405);
}

fn signed_in(filter_state: &Rc<FilterState>, claims: Value) -> Browser {
    let (mut browser, seen) = start(filter_state, "one", "/reports");
    let back = come_back(&mut browser, "one", &seen, claims);
    assert_eq!(back.location(), "/reports", "{}", back.text());
    browser
}

#[test]
fn with_a_strict_cookie_a_page_of_our_own_goes_on() {
    for (same_site, status) in [("strict", 200), ("lax", 302)] {
        let mut config = configuration();
        config["cookies"] = json!({ "same_site": same_site });
        let filter_state = filter_state(&TestHost::new(), &config);
        let (mut browser, seen) = start(&filter_state, "one", "/reports?q=1&r=%22%3E");
        let back = come_back(&mut browser, "one", &seen, json!({}));
        assert_eq!(back.status(), status, "{same_site}");
        let answer = back.answer.unwrap();
        let refresh = answer.header("refresh");
        assert_eq!(refresh, (same_site == "strict").then_some("0; url=/reports?q=1&r=%22%3E"));
        let page = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(page.contains("href=\"/reports?q=1&amp;r=%22%3E\""), same_site == "strict");
        assert!(browser.get("/reports", &mut plainly()).pass.is_some());
    }
}

#[test]
fn what_leads_to_another_host_is_not_come_back_to() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    for (target, wanted) in [
        ("/strong/x?p=C:\\temp", "/strong/x?p=C:%5Ctemp"),
        ("//evil.com/..;/strong/x", "/"),
        ("//evil.com/%2e%2e/strong/x", "/"),
        ("/fresh/x?y=1", "/fresh/x?y=1"),
    ] {
        // Whoever is signed in and has to authenticate better, and whoever is nobody.
        for mut browser in [signed_in(&filter_state, json!({})), Browser::new(&filter_state, "one.app")] {
            let seen = browser.get(target, &mut plainly());
            assert!(
                seen.location().starts_with("https://corp.example/authorize?"),
                "{target}: {}",
                seen.code()
            );
            let back = come_back(&mut browser, "one", &seen, json!({ "acr": "mfa", "auth_time": NOW }));
            assert_eq!((back.status(), back.location()), (302, wanted), "{target}");
        }
    }
    let long = format!("/reports?q={}", "x".repeat(2_000));
    let (mut browser, seen) = start(&filter_state, "one", &long);
    assert_eq!(come_back(&mut browser, "one", &seen, json!({})).location(), "/");
    assert!(host.logs().iter().any(|(_, line)| line.contains("the login leads to /: return_to is too long")));
}

#[test]
fn userinfo_that_only_adds_may_refuse_the_token() {
    for (from, answered, wanted) in [
        ("id_token", None, Ok("member")),
        // The access token is for another resource: whom the ID token names gets in, without what UserInfo adds.
        ("id_token", Some(401), Ok("")),
        ("id_token", Some(403), Ok("")),
        ("id_token", Some(400), Ok("")),
        ("id_token", Some(500), Ok("")),
        ("userinfo", None, Ok("member")),
        ("userinfo", Some(401), Err("idp_invalid_answer")),
    ] {
        let mut config = configuration();
        config["accounts"][0]["mapping"] =
            json!({ "from": from, "roles_claim": "groups", "role_map": { "staff": "member" } });
        let host = TestHost::new();
        let filter_state = filter_state(&host, &config);
        let (mut browser, seen) = start(&filter_state, "one", "/reports");
        let more = answered.map_or(json!({}), |status| json!({ "userinfo": status }));
        let back = come_back(&mut browser, "one", &seen, more);
        let got = match back.location() {
            "/reports" => {
                let live = browser.get("/reports", &mut plainly()).pass.unwrap().live.unwrap();
                Ok(live.session.user.roles.join(","))
            }
            _ => Err(back.code().to_owned()),
        };
        assert_eq!(got, wanted.map(str::to_owned).map_err(str::to_owned), "{from} {answered:?}");
        let logged = host.logs().iter().any(|(_, line)| line.contains("UserInfo adds nothing"));
        assert_eq!(logged, got == Ok(String::new()), "{from} {answered:?}");
    }
}

#[test]
fn a_provider_that_requires_pushed_requests_gets_them_and_every_failure_has_its_code() {
    for (par, expected) in [
        (json!(true), (302, "login_required")),
        (json!([200, { "request_uri": "urn:r:1" }]), (302, "login_required")),
        (json!([201, {}]), (502, "idp_invalid_answer")),
        (json!([201, { "request_uri": "" }]), (502, "idp_invalid_answer")),
        (json!([201, { "request_uri": 7 }]), (502, "idp_invalid_answer")),
        (json!([400, { "error": "invalid_request" }]), (502, "idp_invalid_answer")),
        (json!([401, { "error": "invalid_client" }]), (502, "idp_invalid_answer")),
        (json!([429, {}]), (502, "idp_invalid_answer")),
        (json!([503, {}]), (503, "idp_unavailable")),
        (json!("down"), (503, "idp_unavailable")),
        (json!("timeout"), (504, "idp_timeout")),
    ] {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration());
        let mut browser = Browser::new(&filter_state, "one.app");
        let seen = browser.get("/reports", &mut idp("", json!({ "par": par })));
        assert_eq!((seen.status(), seen.code()), expected, "{par}: {}", seen.text());
        let pushed = seen.calls.iter().find(|call| header(call, ":path") == Some("/par")).expect("pushed");
        let sent = form(pushed);
        let value = |name: &str| sent.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        assert_eq!(value("redirect_uri"), Some("https://one.app/sso/oidc/consume?u=one"));
        assert!(value("code_challenge").is_some() && value("nonce").is_some() && value("state").is_some());
        if seen.status() == 302 {
            assert_eq!(
                seen.location(),
                "https://corp.example/authorize?client_id=app&request_uri=urn%3Ar%3A1"
            );
            // The state went through the back: the way back is as ever.
            let (state, nonce) = (value("state").unwrap(), value("nonce").unwrap());
            let back = browser
                .get(&format!("/sso/oidc/consume?u=one&code=c&state={state}"), &mut idp(nonce, json!({})));
            assert_eq!(back.location(), "/reports");
        }
    }
}

fn parameter(seen: &Seen, name: &str) -> String {
    query(seen.location(), name).unwrap_or_default()
}

#[test]
fn what_reads_as_an_endpoint_of_ours_is_not_come_back_to() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let lands = |target: &str| {
        let mut ada = Browser::new(&filter_state, "one.app");
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", target).finish();
        let start = ada.get(&format!("/sso/login?{query}"), &mut idp("", json!({})));
        let (state, nonce) = (parameter(&start, "state"), parameter(&start, "nonce"));
        let back =
            ada.get(&format!("/sso/oidc/consume?u=one&code=c&state={state}"), &mut idp(&nonce, json!({})));
        back.location().to_owned()
    };
    let paths = [
        "login",
        "logout",
        "logout-complete",
        "oidc/consume",
        "saml/consume",
        "saml/logout",
        "frontchannel-logout",
    ];
    for path in paths {
        let (first, rest) = path.split_at(1);
        for target in [
            format!("/sso/{path}"),
            format!("/sso//{path}"),
            format!("/sso/./{path}"),
            format!("/x/../sso/{path}"),
            format!("/sso/%{:02x}{rest}", first.as_bytes()[0]),
            format!("/%73so/{path}?x=1"),
            format!("https://one.app/sso/{path}#x"),
        ] {
            assert_eq!(lands(&target), "/", "{target}");
        }
    }
    for target in ["/sso/logouts", "/SSO/logout", "/sso/session", "/sso/admin/check", "/x?y=/sso/logout"] {
        assert_eq!(lands(target), target);
    }
}

#[test]
fn a_user_that_is_refused_can_use_another_account() {
    let host = TestHost::new();
    let mut config = configuration();
    config["accounts"][0]["directory"] = json!({ "static": { "users": [
        { "username": "off", "email": "off@acme.com", "active": false },
        { "username": "one", "email": "two@acme.com" }, { "username": "two", "email": "two@acme.com" },
    ] } });
    let filter_state = filter_state(&host, &config);
    for (claims, code, shown) in [
        (json!({ "email": "<b>@acme.com" }), "identity_unknown", "You signed in as &lt;b&gt;@acme.com."),
        (json!({ "email": "who@acme.com" }), "identity_unknown", "You signed in as who@acme.com."),
        (json!({ "email": "", "name": "Ada" }), "identity_missing", "You signed in as Ada."),
        (json!({ "email": "off@acme.com" }), "user_inactive", "You signed in as off@acme.com."),
        (json!({ "email": "two@acme.com" }), "identity_ambiguous", "You signed in as two@acme.com."),
        (
            json!({ "email": "one@acme.com", "email_verified": false }),
            "email_unverified",
            "You signed in as one@acme.com.",
        ),
    ] {
        let mut ada = Browser::new(&filter_state, "one.app");
        let start = ada.get("/reports?q=1", &mut idp("", json!({})));
        let (state, nonce) = (parameter(&start, "state"), parameter(&start, "nonce"));
        let callback = format!("/sso/oidc/consume?u=one&code=c&state={state}");
        let seen = ada.get(&callback, &mut idp(&nonce, claims.clone()));
        assert_eq!((seen.status(), seen.code()), (403, code), "{claims}");
        let text = seen.text();
        let another =
            "href=\"/sso/login?return_to=%2Freports%3Fq%3D1&amp;idp=corp&amp;prompt=select_account\"";
        assert!(text.contains(another) && text.contains("Use another account"), "{text}");
        assert!(text.contains(shown), "{text}");
        let next = ada.get(
            "/sso/login?return_to=%2Freports%3Fq%3D1&idp=corp&prompt=select_account",
            &mut idp("", json!({})),
        );
        assert_eq!(parameter(&next, "prompt"), "select_account");
        assert!(host.logs().iter().all(|(_, line)| !line.contains("You signed in")));
    }
    // The provider said no.
    let mut ada = Browser::new(&filter_state, "one.app");
    let start = ada.get("/reports", &mut idp("", json!({})));
    let callback =
        format!("/sso/oidc/consume?u=one&error=access_denied&state={}", parameter(&start, "state"));
    let seen = ada.get(&callback, &mut idp("", json!({})));
    assert_eq!(seen.code(), "idp_denied");
    assert!(seen.text().contains("prompt=select_account"));
    // A program gets no link.
    let mut program = Browser::new(&filter_state, "one.app").with("accept", "application/json");
    program.cookies.clone_from(&ada.cookies);
    let start = ada.get("/reports", &mut idp("", json!({})));
    program.cookies.clone_from(&ada.cookies);
    let callback =
        format!("/sso/oidc/consume?u=one&error=access_denied&state={}", parameter(&start, "state"));
    let seen = program.get(&callback, &mut idp("", json!({})));
    assert_eq!(seen.code(), "idp_denied");
    assert!(!seen.text().contains("select_account"));
}

#[test]
fn only_pages_that_users_see_are_warned_of() {
    use crate::host::Level;
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let level = |method: &str, headers: &[(&str, &str)]| {
        let mut stranger = Browser::new(&filter_state, "one.app").clone_headers(headers);
        let before = host.logs().len();
        let seen =
            stranger.send(method, "/favicon.ico", (method == "POST").then(Vec::new), &mut idp("", json!({})));
        assert_eq!(seen.status(), 401);
        let logs = host.logs();
        assert_eq!(logs.len(), before + 1);
        logs.last().unwrap().0
    };
    assert_eq!(level("GET", &[("accept", "image/avif,*/*"), ("sec-fetch-mode", "no-cors")]), Level::Info);
    assert_eq!(level("GET", &[("accept", "*/*")]), Level::Info);
    assert_eq!(level("POST", &[]), Level::Warn, "a user's form");
}
