//! Whole requests against a filter with a static directory and a plain OAuth 2.0 provider.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Failure, Reply};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{header, json as answer, status, TestHost};

const OLD_KEY: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";

fn configuration() -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }, { "id": "old", "value": OLD_KEY }] },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example", "https://www.app.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oauth2": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "userinfo_endpoint": "https://idp.example/userinfo",
                "client_id": "app", "client_secret": { "value": "the client's secret" }
            } }],
            "mapping": { "from": "userinfo", "claim": "email", "attribute": "email", "email_verified": "ignored" },
            "directory": { "static": { "users": [
                { "username": "ada", "email": "ada@acme.com", "roles": ["boss"] },
                { "username": "bob", "email": "bob@acme.com" },
                { "username": "cyd" },
                { "username": "dan", "email": "dan@acme.com" },
                { "username": "eve", "email": "DAN@acme.com" }
            ] } },
            "password": { "mode": "disabled", "admin_roles": ["boss"] }
        }]
    })
}

/// The provider, which signs in this address.
fn idp(email: &str) -> impl FnMut(&Call) -> Reply + '_ {
    move |call| match header(call, ":path").unwrap_or_default() {
        "/token" if header(call, ":method") == Some("GET") => status(405, "text/plain", ""),
        "/token" => answer(&json!({ "access_token": "at-1", "token_type": "Bearer" })),
        "/userinfo" if header(call, "authorization").is_none() => status(401, "text/plain", ""),
        "/userinfo" => answer(&json!({ "sub": email, "email": email })),
        other => panic!("nobody asks for {other}"),
    }
}

fn sign_in(filter_state: &Rc<FilterState>, email: &str) -> Browser {
    let mut browser = Browser::new(filter_state, "app.example");
    let start = browser.get("/reports", &mut idp(email));
    back(&mut browser, &start, email);
    browser
}

/// From the provider back to the callback.
fn back(browser: &mut Browser, start: &Seen, email: &str) -> Seen {
    let url = url::Url::parse(start.location()).expect("to the provider");
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    browser.get(&format!("/sso/oidc/consume?u=acme&code=c&state={state}"), &mut idp(email))
}

fn get(browser: &mut Browser, path: &str) -> Seen {
    browser.get(path, &mut idp("nobody"))
}

#[test]
fn reports_are_for_administrators_only() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    let mut bob = sign_in(&filter_state, "bob@acme.com");
    let mut program = Browser::new(&filter_state, "app.example").with("accept", "application/json");
    for path in
        ["/sso/admin", "/sso/admin/", "/sso/admin/check", "/sso/admin/completeness", "/sso/admin/readiness"]
    {
        let seen = get(&mut ada, path);
        assert_eq!(seen.status(), 200, "{path} {}", seen.text());
        let seen = get(&mut bob, path);
        assert_eq!((seen.status(), seen.code()), (403, "role_missing"), "{path}");
        assert!(seen.calls.is_empty(), "nothing is asked for him");
        let seen = get(&mut program, path);
        assert_eq!((seen.status(), seen.code()), (401, "login_required"), "{path}");
    }
    assert_eq!(
        (get(&mut ada, "/sso/admin/else").status(), get(&mut bob, "/sso/admin/else").status()),
        (404, 403)
    );
    assert_eq!(ada.post("/sso/admin", &[], &mut idp("nobody")).code(), "method_not_allowed");
}

#[test]
fn a_navigation_signs_in_and_comes_back() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut browser = Browser::new(&filter_state, "app.example");
    let seen = get(&mut browser, "/sso/admin/readiness");
    assert_eq!((seen.status(), seen.code()), (302, "login_required"));
    let to_login = seen.location().to_owned();
    let start = get(&mut browser, &to_login);
    let seen = back(&mut browser, &start, "ada@acme.com");
    assert_eq!(seen.location(), "/sso/admin/readiness");
    assert_eq!(get(&mut browser, "/sso/admin/readiness").status(), 200);
}

#[test]
fn who_is_no_administrator_any_more_is_told_so_at_the_next_recheck() {
    let host = TestHost::new();
    let mut changed = configuration();
    let before = filter_state(&host, &changed);
    let mut ada = sign_in(&before, "ada@acme.com");
    changed["accounts"][0]["directory"]["static"]["users"][0]["roles"] = json!([]);
    let after = filter_state(&host, &changed);
    let mut same = Browser::new(&after, "app.example");
    same.cookies = ada.cookies.clone();
    host.advance(301_000);
    assert_eq!(get(&mut same, "/sso/admin/check").code(), "role_missing");
    assert_eq!(get(&mut ada, "/sso/admin/check").status(), 200, "where nothing changed she still is");
}

#[test]
fn rules_for_the_application_do_not_rule_here_before_or_after_a_recheck() {
    let host = TestHost::new();
    let mut ruled = configuration();
    ruled["accounts"][0]["access"] = json!([{ "prefix": "/", "allow": "users", "roles": ["owner"] }]);
    let filter_state = filter_state(&host, &ruled);
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    assert_eq!(get(&mut ada, "/sso/admin/check").status(), 200);
    host.advance(301_000);
    assert_eq!(get(&mut ada, "/sso/admin/check").status(), 200);
    assert_eq!(get(&mut ada, "/reports").code(), "role_missing");
}

#[test]
fn the_reports_have_the_specified_shapes() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    assert_eq!(
        get(&mut ada, "/sso/admin/completeness").json(),
        json!({ "users": 5, "complete": 2, "problems": [
            { "username": "cyd", "problem": "missing", "value": null, "with": [] },
            { "username": "dan", "problem": "shared", "value": "dan@acme.com", "with": ["eve"] },
            { "username": "eve", "problem": "shared", "value": "dan@acme.com", "with": ["dan"] },
        ], "notices": [] })
    );
    let readiness = get(&mut ada, "/sso/admin/readiness").json();
    assert_eq!(readiness["ready"], false);
    assert_eq!(readiness["never_signed_in"], json!(["bob", "cyd", "dan", "eve"]));
    assert_eq!(readiness["administrators_signed_in"], json!(["ada"]));
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let list = report["checks"].as_array().expect("checks");
    list.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn a_check_of_plain_oauth_names_what_to_register_and_no_secret() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    let seen = get(&mut ada, "/sso/admin/check");
    let report = seen.json();
    assert_eq!(report["ok"], true, "{report:#}");
    let registered: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["name"].as_str().unwrap().starts_with("register redirect_uri"))
        .map(|check| &check["detail"])
        .collect();
    let wanted =
        ["https://app.example/sso/oidc/consume?u=acme", "https://www.app.example/sso/oidc/consume?u=acme"];
    assert_eq!(registered, wanted);
    assert_eq!(check(&report, "session: keys")["detail"], "[\"k1\", \"old\"]; the first one seals");
    for secret in ["the client's secret", KEY, OLD_KEY, "at-1"] {
        assert!(!seen.text().contains(secret), "{secret}");
    }
    let mut dead = |call: &Call| match header(call, ":path") {
        Some("/token") => Reply::Failed(Failure::Unreachable),
        _ => idp("nobody")(call),
    };
    let report = ada.get("/sso/admin/check", &mut dead).json();
    assert_eq!(
        (&report["ok"], &check(&report, "corp: token endpoint")["ok"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(check(&report, "corp: UserInfo endpoint")["ok"], true);
}

#[test]
fn a_check_of_openid_fetches_anew_and_says_what_is_wrong() {
    let discovery = || {
        json!({
            "issuer": "https://op.example", "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://op.example/token", "userinfo_endpoint": "https://op.example/userinfo",
            "jwks_uri": "https://op.example/jwks", "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        })
    };
    // The example key of RFC 7517 appendix A.1.
    let key = || {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    };
    let encryption = json!({ "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB" });
    let mut configuration = configuration();
    let providers = configuration["accounts"][0]["identity_providers"].as_array_mut().unwrap();
    providers.push(json!({ "id": "op", "oidc": {
        "discovery": "https://op.example/.well-known/openid-configuration", "client_id": "app", "client_secret": { "value": "s" }
    } }));
    let run = |document: Value, keys: Value| {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration);
        let mut ada = Browser::new(&filter_state, "app.example");
        let start = ada.get("/sso/login?idp=corp", &mut idp("ada@acme.com"));
        back(&mut ada, &start, "ada@acme.com");
        let mut both = |call: &Call| match (header(call, ":authority"), header(call, ":path")) {
            (Some("op.example"), Some("/.well-known/openid-configuration")) => answer(&document),
            (Some("op.example"), Some("/jwks")) => answer(&keys),
            (Some("op.example"), _) => status(400, "application/json", "{}"),
            _ => idp("nobody")(call),
        };
        let report = ada.get("/sso/admin/check", &mut both).json();
        assert!(
            filter_state.account_states[0].clients["op"].known_metadata().is_none(),
            "what sign-ins go by is left alone"
        );
        report
    };
    let good = run(discovery(), json!({ "keys": [key(), encryption] }));
    assert_eq!(good["ok"], true, "{good:#}");
    let keys = check(&good, "op: keys")["detail"].as_str().unwrap();
    assert!(keys.starts_with("1 keys can verify: ES256; 1 left out"), "{keys}");
    assert_eq!(check(&good, "op: algorithms")["detail"], "ES256");
    let with = |name: &str, value: Value| {
        let mut document = discovery();
        document[name] = value;
        document
    };
    let set = json!({ "keys": [key()] });
    for (document, keys, name) in [
        (with("issuer", json!("https://other.example")), set.clone(), "op: issuer and endpoints"),
        (with("token_endpoint", Value::Null), set.clone(), "op: issuer and endpoints"),
        (with("token_endpoint", json!("http://op.example/token")), set.clone(), "op: issuer and endpoints"),
        (with("id_token_signing_alg_values_supported", json!(["PS256"])), set.clone(), "op: algorithms"),
        (discovery(), json!({ "keys": [encryption] }), "op: keys"),
        (discovery(), json!("<html>"), "op: keys"),
    ] {
        let report = run(document, keys);
        assert_eq!(
            (&report["ok"], &check(&report, name)["ok"]),
            (&json!(false), &json!(false)),
            "{name} {report:#}"
        );
    }
}

#[test]
fn the_overview_shows_everything_together() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    let page = get(&mut ada, "/sso/admin").text();
    for text in [
        "2 of 5 users",
        "cyd",
        "https://www.app.example/sso/oidc/consume?u=acme",
        "/sso/admin/completeness",
        "corp: token endpoint",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
}

#[test]
fn the_table_of_the_overview_goes_on_page_by_page() {
    let mut large = configuration();
    let mut users: Vec<Value> = (0..450).map(|n| json!({ "username": format!("user-{n:03}") })).collect();
    users.push(json!({ "username": "ada", "email": "ada@acme.com", "roles": ["boss"] }));
    large["accounts"][0]["directory"]["static"]["users"] = json!(users);
    let many = filter_state(&TestHost::new(), &large);
    let mut ada = sign_in(&many, "ada@acme.com");
    let (back, on) = (">Previous page<", ">Next page<");
    let link = |page: usize| format!("href=\"/sso/admin?page={page}#completeness\"");
    for (query, first, last, links) in [
        ("", 1, 200, vec![link(2)]),
        ("?page=1", 1, 200, vec![link(2)]),
        ("?page=2", 201, 400, vec![link(1), link(3)]),
        ("?page=3", 401, 450, vec![link(2)]),
        ("?page=9", 401, 450, vec![link(2)]),
        ("?page=0", 1, 200, vec![link(2)]),
        ("?page=x", 1, 200, vec![link(2)]),
        ("?page=99999999999999999999999", 1, 200, vec![link(2)]),
    ] {
        let page = get(&mut ada, &format!("/sso/admin{query}")).text();
        assert!(page.contains(&format!("Showing {first} to {last} of 450.")), "{query}");
        let (_, table) = page.split_once("id=\"completeness\"").unwrap();
        for (n, there) in [(first - 2, false), (first - 1, true), (last - 1, true), (last, false)] {
            assert_eq!(table.contains(&format!(">user-{n:03}</td>")), there, "{query} {n}");
        }
        assert!(links.iter().all(|link| table.contains(link)), "{query}");
        assert_eq!(table.matches("?page=").count(), links.len(), "{query}");
        assert_eq!((page.contains(back), page.contains(on)), (first > 1, last < 450), "{query}");
    }
    // Few enough: no pages, and nothing is said of any.
    let few = filter_state(&TestHost::new(), &configuration());
    let page = get(&mut sign_in(&few, "ada@acme.com"), "/sso/admin?page=2").text();
    assert!(page.contains(">cyd</td>") && !page.contains("page=") && !page.contains("Showing"));
}

#[test]
fn a_page_of_another_site_opens_no_report() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut ada = sign_in(&filter_state, "ada@acme.com");
    let foreign =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let send = |ada: &Browser, target: &str, headers: &[(&str, &str)]| {
        let mut here = ada.clone_headers(headers);
        here.cookies.clone_from(&ada.cookies);
        here.get(target, &mut idp("ada@acme.com"))
    };
    // The provider's site is another one, too.
    assert_eq!(send(&ada, "/sso/admin/completeness", &foreign).status(), 200);
    host.advance(61_000);
    for target in ["/sso/admin", "/sso/admin/check", "/sso/admin/completeness?page=2", "/sso/admin/readiness"]
    {
        let seen = send(&ada, target, &foreign);
        assert_eq!((seen.status(), seen.code(), seen.calls.len()), (200, "arrival_confirm", 0), "{target}");
        assert!(seen.text().contains(&format!("href=\"{target}\"")), "{}", seen.text());
        let seen = send(&ada, target, &[("referer", "https://evil.example/")]);
        assert_eq!(seen.code(), "arrival_confirm", "{target}: without Fetch Metadata");
        for (site, mode) in [("cross-site", "no-cors"), ("same-site", "cors")] {
            let seen = send(&ada, target, &[("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
            assert_eq!((seen.status(), seen.code()), (403, "request_invalid"), "{target}");
        }
    }
    for headers in [
        &[][..],
        &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")],
        &[("referer", "https://app.example/")],
    ] {
        assert_eq!(send(&ada, "/sso/admin/completeness", headers).code(), "ok", "{headers:?}");
    }
    ada.cookies.clear();
    assert_eq!(send(&ada, "/sso/admin", &foreign).status(), 302, "a stranger goes to sign in");
}

#[test]
fn who_is_no_administrator_can_become_somebody_else() {
    let filter_state = filter_state(&TestHost::new(), &configuration());
    let mut bob = sign_in(&filter_state, "bob@acme.com");
    let seen = bob.get("/sso/admin", &mut idp("bob@acme.com"));
    assert_eq!((seen.status(), seen.code()), (403, "role_missing"));
    let text = seen.text();
    assert!(text.contains("You are signed in as bob."), "{text}");
    assert!(text.contains("href=\"/sso/login?idp=corp&amp;prompt=select_account\""), "{text}");
    assert!(text.contains("href=\"/sso/logout\"") && text.contains("href=\"/\""), "{text}");
    assert!(!text.contains("Try again"));
    let mut program = bob.clone_headers(&[("accept", "application/json")]);
    program.cookies = bob.cookies;
    let seen = program.get("/sso/admin", &mut idp("bob@acme.com"));
    assert_eq!(seen.code(), "role_missing");
    assert!(!seen.text().contains("/sso/") && !seen.text().contains("bob"), "{}", seen.text());
}

#[test]
fn the_check_shows_no_warning_that_tells_of_another_account() {
    let mut many = configuration();
    let other = |code: &str, origin: &str| {
        let mut account = many["accounts"][0].clone();
        (account["code"], account["origins"]) = (json!(code), json!([origin]));
        account
    };
    let mut off = other("off", "https://globex.example");
    off["sso"] = json!("disabled");
    let others = [other("globex", "https://globex.example"), off, other("initech", "http://initech.example")];
    many["accounts"][0]["origins"] = json!(["http://app.example"]);
    many["accounts"].as_array_mut().unwrap().extend(others);
    many["pages"] = json!({ "texts": { "no.such.text": "x" } });
    many["cookies"] = json!({ "secure": false });
    let filter_state = filter_state(&TestHost::new(), &many);
    let all: Vec<String> = filter_state.config.warnings.iter().map(ToString::to_string).collect();
    let told = ["account \"globex\"", "accounts[3].origins[0]", "accounts[0].origins[0]", "no.such.text"];
    for words in told.into_iter().chain(["cookies.secure: is false, and https://globex.example"]) {
        assert!(all.iter().any(|warning| warning.contains(words)), "{words} {all:?}");
    }
    let mut ada = Browser::new(&filter_state, "app.example");
    let start = ada.get("/reports", &mut idp("ada@acme.com"));
    back(&mut ada, &start, "ada@acme.com");
    let report = get(&mut ada, "/sso/admin/check").json();
    let checks = report["checks"].as_array().unwrap();
    let said = |check: &&Value| check["name"] == "configuration";
    let warnings: Vec<&str> =
        checks.iter().filter(said).filter_map(|check| check["detail"].as_str()).collect();
    assert!(
        warnings.iter().any(|warning| warning.starts_with("warning: origins[0]: is plain http")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|warning| warning.contains("no.such.text")), "{warnings:?}");
    let text = report.to_string();
    for name in ["globex", "initech", "accounts["] {
        assert!(!text.contains(name), "{name} {text}");
    }
}
