//! Password logins and the directory that rules on them.

use envoy_sso::config::load;
use serde_json::{json, Value};

use crate::{good, judge, problems, warn, with, Secrets};

#[test]
fn a_password_page_that_nobody_reaches_is_a_warning_at_load() {
    let login = json!({
        "path": "/api/login", "username": { "json": "/username" }, "fields": ["username", "password"],
        "success": { "status": [200] }
    });
    for (page, access, mode, warned) in [
        ("/login", json!([]), "enabled", true),
        ("/login", json!([{ "path": "/login", "allow": "users" }]), "enabled", true),
        ("/login", json!([{ "path": "/login", "allow": "anyone" }]), "enabled", false),
        ("/login", json!([{ "prefix": "/log", "allow": "programs" }]), "enabled", false),
        ("/login", json!([]), "disabled", false),
        ("/api/login", json!([]), "enabled", false),
    ] {
        let mut document = good();
        document["accounts"][0]["access"] = access.clone();
        document["accounts"][0]["password"] = json!({ "mode": mode, "page": page, "logins": [login] });
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        let found: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        let wanted = if warned { vec!["accounts[0].password.page"] } else { vec![] };
        assert_eq!(found, wanted, "{page} {mode} {access}");
    }
}

#[test]
fn a_success_that_no_answer_can_be_is_refused() {
    let at = "accounts[0].password.logins[0].success";
    for (success, problem) in [
        (json!({}), Some("")),
        (json!({ "status": [] }), Some("")),
        (json!(null), Some("")),
        (json!({ "redirect_not": "/login*" }), None),
        (json!({ "redirect": "/app/*", "redirect_not": "/app/login*" }), None),
        (json!({ "status": [302], "redirect_not": "/login?error*" }), None),
        (json!({ "redirect_not": "login" }), Some("redirect_not")),
        (json!({ "redirect_not": "*" }), Some("redirect_not")),
        (json!({ "redirect_not": "https://app.example.com/login" }), Some("redirect_not")),
        (json!({ "redirect": "/login", "redirect_not": "/login*" }), Some("redirect_not")),
        (json!({ "redirect": "/login/x*", "redirect_not": "/login*" }), Some("redirect_not")),
        (json!({ "status": [200], "redirect_not": "/login" }), Some("status[0]")),
        (json!({ "status": [304], "redirect": "/home" }), Some("status[0]")),
        (json!({ "status": [401] }), Some("status[0]")),
        (json!({ "status": [500] }), Some("status[0]")),
        (json!({ "json": { "pointer": "/token" } }), None),
        (json!({ "json": { "pointer": "/code", "equals": 0 } }), None),
        (json!({ "json": { "pointer": "/ok", "equals": true }, "status": [200], "cookie": "s" }), None),
        (json!({ "json": { "pointer": "token" } }), Some("json.pointer")),
        (json!({ "json": {} }), Some("json.pointer")),
        (json!({ "status": [200, 204], "cookie": "app_session" }), None),
        (json!({ "status": [302, 303], "redirect": "/home" }), None),
        (json!({ "redirect": "/home?welcome=1" }), None),
        (json!({ "redirect": "/home/*" }), None),
        (json!({ "redirect": "*" }), None),
        (json!({ "redirect": "home" }), Some("redirect")),
        (json!({ "redirect": "home*" }), Some("redirect")),
        (json!({ "redirect": "https://app.example.com/home" }), Some("redirect")),
        (json!({ "redirect": "//app.example.com/home" }), Some("redirect")),
        (json!({ "redirect": "/a/../home" }), Some("redirect")),
        (json!({ "redirect": "/home#top" }), Some("redirect")),
        (json!({ "redirect": "/my home" }), Some("redirect")),
        (json!({ "redirect": "/app/.*" }), Some("redirect")),
        (json!({ "redirect": "" }), Some("redirect")),
        (json!({ "status": [200], "redirect": "/home" }), Some("status[0]")),
        (json!({ "status": [302, 200], "redirect": "/home" }), Some("status[1]")),
        (json!({ "status": [20] }), Some("status[0]")),
        (json!({ "cookie": "" }), Some("cookie")),
        (json!({ "cookie": "a=b" }), Some("cookie")),
        (json!({ "cookie": " a" }), Some("cookie")),
    ] {
        let login = json!({ "path": "/api/login", "username": { "json": "/u" }, "success": success });
        let document = with(&[("/accounts/0/password", json!({ "mode": "enabled", "logins": [login] }))]);
        let path = problem.map(|name| match name {
            "" => format!("{at}: "),
            name => format!("{at}.{name}: "),
        });
        judge(&document, path.as_deref());
    }
    let login = json!({ "path": "/api/login", "username": { "json": "/u" } });
    for (mode, sso) in [("enabled", "enabled"), ("admins", "enabled"), ("disabled", "disabled")] {
        let password = json!({ "mode": mode, "admin_roles": ["boss"], "logins": [login] });
        let document = with(&[("/accounts/0/password", password), ("/accounts/0/sso", json!(sso))]);
        judge(&document, Some(&format!("{at}: is missing")));
    }
}

#[test]
fn a_login_that_contradicts_itself_is_refused() {
    let login = |more: Value| {
        let mut login = json!({
            "path": "/api/login", "username": { "json": "/u" }, "success": { "status": [200] }
        });
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        login
    };
    let token = json!({ "when": { "json": { "/grant_type": "password" } } });
    let at = "accounts[0].password.logins";
    for (logins, problem) in [
        (json!([login(json!({}))]), None),
        (json!([login(json!({ "fields": ["u", "password"] }))]), None),
        (json!([login(json!({ "fields": ["password"] }))]), Some("[0].fields")),
        (json!([login(json!({ "fields": [] }))]), Some("[0].fields")),
        (json!([login(json!({ "username": { "form": "user[name]" }, "fields": ["user"] }))]), None),
        (json!([login(json!({ "username": { "json": "/user/name" }, "fields": ["user"] }))]), None),
        (
            json!([login(json!({ "username": { "json": "/user/name" }, "fields": ["name"] }))]),
            Some("[0].fields"),
        ),
        (json!([login(token.clone())]), None),
        (json!([login(json!({ "when": {} }))]), Some("[0].when")),
        (
            json!([login(json!({ "when": { "json": { "grant_type": "x" } } }))]),
            Some("[0].when.json.grant_type"),
        ),
        (json!([login(json!({ "when": { "json": { "/a": null } } }))]), Some("[0].when.json./a")),
        (json!([login(json!({ "when": { "json": { "/a": [] } } }))]), Some("[0].when.json./a")),
        (json!([login(json!({ "when": { "form": { "a": "b" } } }))]), Some("[0].when")),
        (json!([login(json!({ "when": { "form": { "a": "b" }, "json": { "/a": 1 } } }))]), Some("[0].when")),
        (json!([login(json!({})), login(json!({}))]), Some("[1].path")),
        (json!([login(json!({})), login(token.clone())]), Some("[1].path")),
        (json!([login(token.clone()), login(token.clone())]), Some("[1].when")),
        (json!([login(token), login(json!({ "when": { "json": { "/op": 1 } } }))]), None),
        (json!([login(json!({ "username": { "json": "/u", "attribute": "email" } }))]), None),
        (
            json!([login(json!({ "username": { "json": "/u", "attribute": "mail" } }))]),
            Some("[0].username.attribute"),
        ),
    ] {
        let document = with(&[
            ("/accounts/0/password", json!({ "mode": "enabled", "logins": logins })),
            ("/accounts/0/directory", json!({ "static": { "users": [] } })),
        ]);
        judge(&document, problem.map(|place| format!("{at}{place}: ")).as_deref());
    }
    let by_phone = json!([login(json!({ "username": { "json": "/u", "attribute": "phone" } }))]);
    let document = with(&[("/accounts/0/password", json!({ "mode": "enabled", "logins": by_phone }))]);
    judge(&document, Some(&format!("{at}[0].username.attribute: ")));
}

#[test]
fn passwords_that_nothing_rules_on_and_risky_logins_are_warnings() {
    let login = |more: Value| {
        let mut login = json!({
            "path": "/login", "username": { "form": "u" }, "fields": ["u", "password"],
            "success": { "redirect_not": "/login*" }
        });
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([login])
    };
    let plain = login(json!({}));
    for (mode, logins, warned) in [
        (json!("enabled"), json!([]), Some("logins: is empty")),
        (json!("admins"), json!([]), Some("logins: is empty")),
        (json!("disabled"), json!([]), Some("logins: is empty")),
        (json!(null), json!([]), Some("logins: is empty")),
        (json!(null), plain.clone(), Some("mode: is not set")),
        (json!("disabled"), plain.clone(), None),
        (json!("enabled"), plain, None),
        (json!("enabled"), login(json!({ "fields": null })), Some("logins[0].fields: ")),
        (
            json!("enabled"),
            login(json!({ "success": { "status": [200] } })),
            Some("logins[0].success: status alone"),
        ),
        (
            json!("enabled"),
            login(json!({ "success": { "cookie": "s" } })),
            Some("logins[0].success: cookie alone"),
        ),
        (json!("enabled"), login(json!({ "success": { "cookie": "s", "status": [302] } })), None),
        (json!("enabled"), login(json!({ "success": { "cookie": "s", "redirect": "/" } })), None),
        (json!("enabled"), login(json!({ "path": "/graphql" })), Some("logins[0].path: looks like")),
        (json!("enabled"), login(json!({ "path": "/api/GraphQL/v1" })), Some("logins[0].path: looks like")),
    ] {
        let password =
            json!({ "mode": mode, "admin_roles": ["boss"], "administrators": ["root"], "logins": logins });
        let directory = json!({ "static": { "users": [] } });
        let document = with(&[("/accounts/0/password", password), ("/accounts/0/directory", directory)]);
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        match warned {
            Some(warned) => {
                assert!(found.iter().any(|w| w.contains(&format!("password.{warned}"))), "{found:?}")
            }
            None => assert_eq!(found, [""; 0]),
        }
    }
    // Without single sign-on everything passes, and without a section nothing was asked for.
    for change in [("/accounts/0/sso", json!("disabled")), ("/accounts/0/password", json!(null))] {
        let document = with(&[("/accounts/0/password", json!({ "mode": "disabled" })), change]);
        let warnings = load(document.to_string().as_bytes(), &Secrets).unwrap().warnings;
        assert_eq!(warnings, []);
    }
}

#[test]
fn a_password_path_that_the_filter_answers_itself_is_refused() {
    let password = |login: &str, page: &str| {
        let login = json!({ "path": login, "username": { "json": "/u" }, "success": { "status": [200] } });
        json!({ "mode": "enabled", "logins": [login], "page": page })
    };
    const LOGIN: Option<&str> = Some("accounts[0].password.logins[0].path: ");
    const PAGE: Option<&str> = Some("accounts[0].password.page: ");
    for (login, page, problem) in [
        ("/api/login", "/login", None),
        ("/sso/login", "/login", LOGIN),
        ("/sso/admin/login", "/login", LOGIN),
        ("/api/login", "/sso/login", PAGE),
        ("/enter", "/login", LOGIN),
    ] {
        let mut document = with(&[
            ("/accounts/0/password", password(login, page)),
            ("/accounts/0/paths", json!({ "session": "/enter" })),
        ]);
        judge(&document, problem);
        document["accounts"][0]["sso"] = json!("disabled");
        judge(&document, None);
    }
}

#[test]
fn mode_admins_without_an_administrator_is_a_warning() {
    let nobody = "accounts[0].password.admin_roles: no active user";
    for (user, mapping, warned) in [
        (json!({ "username": "ada", "roles": ["boss"] }), json!({}), false),
        (json!({ "username": "ada", "roles": ["boss"], "active": false }), json!({}), true),
        (json!({ "username": "ada", "roles": ["member"] }), json!({}), true),
        (
            json!({ "username": "ada" }),
            json!({ "roles_claim": "groups", "role_map": { "g": "boss" } }),
            false,
        ),
        (
            json!({ "username": "ada" }),
            json!({ "roles_claim": "groups", "role_map": { "g": "member" } }),
            true,
        ),
    ] {
        let login = json!({
            "path": "/login", "username": { "form": "u" }, "fields": ["u", "password"],
            "success": { "redirect": "/home" }
        });
        let mut document = with(&[
            ("/accounts/0/password", json!({ "mode": "admins", "admin_roles": ["boss"], "logins": [login] })),
            ("/accounts/0/directory", json!({ "static": { "users": [user] } })),
            ("/accounts/0/mapping", mapping),
        ]);
        warn(&document, warned.then_some(nobody));
        document["accounts"][0]["password"]["administrators"] = json!(["root"]);
        warn(&document, None);
    }
}

#[test]
fn a_directory_that_is_broken_is_no_missing_one() {
    let document = with(&[
        ("/accounts/0/password", json!({ "mode": "admins", "admin_roles": ["boss"] })),
        ("/accounts/0/provisioning", json!({ "mode": "invited" })),
        ("/accounts/0/directory", json!({ "scim": { "url": "directory.internal" } })),
    ]);
    let found = problems(&document);
    assert!(found.len() == 1 && found[0].starts_with("accounts[0].directory.scim.url: "), "{found:?}");
}
