//! Origins, callbacks, cookies, domains and placeholders.

use serde_json::{json, Value};

use crate::{good, judge, problems, with};

#[test]
fn cookies_that_browsers_would_drop_are_refused() {
    const ORIGIN: &str = "accounts[0].origins[0]: ";
    for (domain, origin, problem) in [
        ("app.example.com", "https://app.example.com", None),
        ("example.com", "https://app.example.com", None),
        (".Example.com", "https://app.example.com:8443", None),
        ("localhost", "https://localhost:8443", None),
        ("example.org", "https://app.example.com", Some(ORIGIN)),
        ("ample.com", "https://app.example.com", Some(ORIGIN)),
        ("app.example.com", "https://example.com", Some(ORIGIN)),
        ("com", "https://app.example.com", Some(ORIGIN)),
        ("com", "https://example.com", Some(ORIGIN)),
        // A host that has no other name.
        ("intranet", "https://intranet", None),
        ("intranet", "https://app.intranet", Some(ORIGIN)),
        ("", "https://app.example.com", Some("cookies.domain: ")),
        ("*.example.com", "https://app.example.com", Some("cookies.domain: ")),
    ] {
        let mut document = with(&[("/accounts/0/origins", json!([origin]))]);
        document["cookies"] = json!({ "domain": domain });
        judge(&document, problem);
    }
    let mut off = with(&[("/accounts/0/sso", json!("disabled"))]);
    off["cookies"] = json!({ "domain": "example.org" });
    judge(&off, None);
}

#[test]
fn a_callback_must_say_whose_it_is() {
    let two = |first: Value, second: Value, origin: &str| {
        let mut document = good();
        let account = document["accounts"][0].clone();
        document["accounts"] = json!([account, account]);
        for (n, (code, paths)) in [("a", first), ("b", second)].into_iter().enumerate() {
            document["accounts"][n]["code"] = json!(code);
            document["accounts"][n]["paths"] = paths;
        }
        document["accounts"][1]["origins"] = json!([origin]);
        document
    };
    let callback = |path: &str| json!({ "oidc_callback": path });
    const SHARED: &str = "https://app.example.com";
    const FIRST: Option<&str> = Some("accounts[0].paths.oidc_callback: ");
    const SECOND: Option<&str> = Some("accounts[1].paths.oidc_callback: ");
    for (first, second, origin, problem) in [
        (json!({}), json!({}), SHARED, None),
        (callback("/cb/{code}"), callback("/cb/{code}"), SHARED, None),
        (callback("/cb"), callback("/back"), SHARED, None),
        (callback("/cb"), callback("/cb"), "https://b.example.com", None),
        (callback("/cb"), callback("/cb"), SHARED, FIRST),
        (callback("/cb"), callback("/cb"), SHARED, SECOND),
        (callback("/cb?tenant={code}"), callback("/cb?tenant={code}"), SHARED, FIRST),
        (callback("/cb"), json!({ "login": "/cb" }), SHARED, FIRST),
        (callback("/cb?u=a"), callback("/cb?u=a"), SHARED, SECOND),
        (callback("/cb?u=a"), callback("/cb?u=b"), SHARED, None),
        // A path of a kind that no provider of theirs uses.
        (json!({ "saml_callback": "/acs" }), json!({ "saml_callback": "/acs" }), SHARED, None),
    ] {
        judge(&two(first, second, origin), problem);
    }
    judge(&with(&[("/accounts/0/paths", callback("/cb"))]), None);
    judge(&with(&[("/accounts/0/paths", callback("/cb?u=other"))]), FIRST);
}

#[test]
fn what_is_no_domain_address_or_placeholder_is_refused() {
    let corp = "accounts[0].identity_providers[0]";
    for domain in ["@acme.com", "*.acme.com", "https://acme.com", "acme.com,b.com", "", "*"] {
        let document = with(&[("/accounts/0/identity_providers/0/email_domains", json!(["a.com", domain]))]);
        judge(&document, Some(&format!("{corp}.email_domains[1]: expected a domain")));
    }
    judge(&with(&[("/accounts/0/identity_providers/0/email_domains", json!(["Acme.com ", "corp"]))]), None);
    let provisioning = |domains: Value, email: &str| {
        with(&[
            ("/accounts/0/directory", json!({ "static": { "users": [] } })),
            (
                "/accounts/0/provisioning",
                json!({ "mode": "automatic", "email_domains": domains, "invitations": [{ "email": email }] }),
            ),
        ])
    };
    judge(&provisioning(json!(["*"]), "bob@acme.com"), None);
    judge(&provisioning(json!(["@acme.com"]), "b@c"), Some("accounts[0].provisioning.email_domains[0]: "));
    for email in ["bob", "Bob <bob@acme.com>", "mailto:bob@acme.com", "*@acme.com,a@b.c", "bob@*.com"] {
        judge(&provisioning(json!(["*"]), email), Some("accounts[0].provisioning.invitations[0].email: "));
    }
    for (cluster, problem) in [
        ("outbound|{port}||{host}", None),
        ("outbound|{port}||{hots}", Some("clusters.*: unknown placeholder {hots}")),
    ] {
        judge(&with(&[("/clusters/*", json!(cluster))]), problem);
    }
    for (value, problem) in [
        ("{client_id}", None),
        (
            "{clientid}",
            Some("accounts[0].identity_providers[0].oidc.logout_params.c: unknown placeholder {clientid}"),
        ),
    ] {
        judge(
            &with(&[
                ("/accounts/0/identity_providers/0/oidc/logout_url", json!("https://idp.example.com/out")),
                ("/accounts/0/identity_providers/0/oidc/logout_params", json!({ "c": value })),
            ]),
            problem,
        );
    }
    // One wildcard label, in front.
    judge(&with(&[("/accounts/0/origins", json!(["https://*.example.com"]))]), None);
    for origin in
        ["https://a.*.example.com", "https://*.*.example.com", "https://x*.example.com", "https://*"]
    {
        judge(&with(&[("/accounts/0/origins", json!([origin]))]), Some("accounts[0].origins[0]: "));
    }
}

#[test]
fn origins_with_a_wildcard_and_a_login_origin() {
    let with = |account: Value, rest: Value| {
        let mut document = good();
        document["accounts"][0].as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        problems(&document)
    };
    let login = "https://login.example.com";
    for (origins, login) in [
        (json!(["https://*.preview.example.com"]), json!(login)),
        (json!(["https://*.example.com", "https://app.example.com"]), json!(login)),
        (json!(["https://*.preview.example.com:8443"]), json!("https://login.example.com:8443")),
        (json!(["https://app.example.com"]), json!("https://app.example.com")),
        (json!(["https://*.preview.example.com"]), Value::Null),
        (json!(["http://*.localhost:8080"]), json!("http://login.localhost:8080")),
    ] {
        assert_eq!(
            with(json!({ "origins": origins, "login_origin": login }), json!({})),
            [""; 0],
            "{origins}"
        );
    }
    for pattern in [
        "https://*",
        "https://*.",
        "https://*.com",
        "https://*.com.",
        "https://a*.example.com",
        "https://*a.example.com",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://**.example.com",
        "https://*.10.0.0.1",
        "https://*.[::1]",
        "https://*.example.com/x",
        "https://*.example.com?x",
        "https://*.example.com#x",
        "https://u@*.example.com",
        "https://*.u@example.com",
        "https://*.example..com",
        "ftp://*.example.com",
        "*.example.com",
        "//*.example.com",
    ] {
        let found = with(json!({ "origins": [pattern] }), json!({}));
        assert!(
            found.iter().any(|text| text.starts_with("accounts[0].origins[0]: ")),
            "{pattern}: {found:?}"
        );
    }
    for (account, rest, place) in [
        (json!({ "login_origin": "https://*.example.com" }), json!({}), "login_origin: expected one origin"),
        (json!({ "login_origin": "https://login.example.com/x" }), json!({}), "login_origin: "),
        (json!({ "login_origin": "login.example.com" }), json!({}), "login_origin: "),
        (
            json!({ "login_origin": "http://login.example.com" }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["http://app.example.com"] }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["http://*.example.com"] }),
            json!({}),
            "login_origin: must have the scheme",
        ),
        (
            json!({ "login_origin": login, "origins": ["https://app.example.org"] }),
            json!({ "cookies": { "domain": "example.org" } }),
            "login_origin: is not under cookies.domain",
        ),
        (
            json!({ "origins": ["https://*.example.com"] }),
            json!({ "cookies": { "domain": "example.org" } }),
            "origins[0]: is not under cookies.domain",
        ),
        (
            json!({ "origins": ["https://*.a.example.com", "https://*.A.example.com"] }),
            json!({}),
            "origins: *.a.example.com is listed twice",
        ),
    ] {
        let found = with(account, rest);
        assert!(
            found.iter().any(|text| text.starts_with(&format!("accounts[0].{place}"))),
            "{place}: {found:?}"
        );
    }
    // Two accounts.
    let two = |first: Value, second: Value| {
        let mut document = good();
        let account = document["accounts"][0].clone();
        let accounts = [("a", first), ("b", second)].map(|(code, more)| {
            let mut account = account.clone();
            account["code"] = json!(code);
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            account
        });
        document["accounts"] = json!(accounts);
        problems(&document)
    };
    let (a, b) =
        (json!({ "origins": ["https://*.example.com"] }), json!({ "origins": ["https://x.example.com"] }));
    assert_eq!(two(a.clone(), b), [""; 0], "an exact origin goes before a pattern");
    let found = two(a.clone(), json!({ "origins": ["http://*.example.com"] }));
    assert!(
        found
            .iter()
            .any(|text| text.starts_with("accounts[1].origins: *.example.com is a pattern of account")),
        "{found:?}"
    );
    let shared = |host: &str| json!({ "origins": [format!("https://{host}")], "login_origin": login });
    assert_eq!(
        two(shared("a.example.com"), shared("b.example.com")),
        [""; 0],
        "accounts may share a login origin"
    );
    for other in [
        json!({ "origins": [login] }),
        json!({ "origins": ["https://*.example.com"], "login_origin": login }),
    ] {
        let found = two(shared("a.example.com"), other);
        assert!(
            found.iter().any(|text| text.starts_with("accounts[0].login_origin: is an origin of account")),
            "{found:?}"
        );
    }
}
