//! Invitations, and the way in while single sign-on is off.

use super::*;

#[test]
fn a_person_is_invited_once() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let invite = |email: &str, roles: Value| {
        world.call(&ada, "POST", "invitations", json!({ "email": email, "roles": roles }))
    };
    for (email, roles, path) in [
        ("nonsense", json!([]), "email"),
        ("", json!([]), "email"),
        ("carol@acme.com", json!(["owner"]), "roles[0]"),
        ("carol@acme.com", json!("member"), "roles"),
    ] {
        let seen = invite(email, roles);
        assert_eq!(
            (seen.status(), seen.json()["problems"][0]["path"].as_str()),
            (422, Some(path)),
            "{email}"
        );
    }
    let seen = invite(" Carol@ACME.com", json!(["member"]));
    assert_eq!(seen.status(), 201, "{}", seen.text());
    let id = seen.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(invite("carol@acme.com", json!([])).status(), 422, "twice");
    world.settled();
    // She is offered it at her next sign-in, and it is used up by accepting it.
    *world.email.borrow_mut() = "carol@acme.com".into();
    let mut carol = world.browser();
    let start = world.get(&mut carol, "/sso/login?idp=corp&return_to=/x");
    let page = world.follow(&mut carol, &start);
    assert_eq!(page.code(), "invitation", "{}", page.text());
    // Withdrawn while the page is open.
    let mut late = carol.at(&world.state);
    let csrf = page.field("csrf");
    assert_eq!(world.call(&ada, "DELETE", &format!("invitations/{id}"), Value::Null).status(), 204);
    let refused = late
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(refused.code(), "identity_unknown", "{}", refused.text());
    assert_eq!(
        world.call(&ada, "DELETE", &format!("invitations/{id}"), Value::Null).status(),
        204,
        "gone already"
    );
    // Invited again: taken up once.
    assert_eq!(
        world
            .call(&ada, "POST", "invitations", json!({ "email": "carol@acme.com", "roles": ["member"] }))
            .status(),
        201
    );
    world.settled();
    let mut carol = world.browser();
    let start = world.get(&mut carol, "/sso/login?idp=corp&return_to=/x");
    let page = world.follow(&mut carol, &start);
    let csrf = page.field("csrf");
    let mut twice = carol.at(&world.state);
    let accepted = carol
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(accepted.location(), "/x", "{}", accepted.text());
    let second = twice
        .post("/sso/invitation", &[("csrf", &csrf), ("decision", "accept")], &mut |call| world.respond(call));
    assert_eq!(second.code(), "identity_unknown", "{}", second.text());
    assert_eq!(world.document(&ada)["invitations"], json!([]));
}

/// What is prepared before anything is on has to be prepared by an administrator, who is there by password alone.
#[test]
fn while_single_sign_on_is_off_an_administrators_password_opens_a_session() {
    use crate::testing::decided;
    let world = World::with(|c| {
        let account = &mut c["accounts"][0];
        account["sso"] = json!("disabled");
        account["password"] = json!({
            "mode": "disabled", "admin_roles": ["account_admin"], "administrators": ["root"], "attempts": { "limit": 1 },
            "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }],
        });
    });
    let login = |target: &str, body: &str, headers: &[(&str, &str)], status: u16| {
        let mut browser = world.browser();
        browser.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let seen =
            browser.send("POST", target, Some(body.as_bytes().to_vec()), &mut |call| world.respond(call));
        let mut pass = seen.pass.unwrap_or_else(|| panic!("{target} {body}: nothing is refused"));
        let cookies = pass.on_response.take().map(|judge| {
            decided(judge(&vec![(":status".to_owned(), status.to_string().into_bytes())], true))
        });
        for pair in cookies.iter().flatten().filter_map(|line| line.split(';').next()?.split_once('=')) {
            browser.cookies.push((pair.0.to_owned(), pair.1.to_owned()));
        }
        browser.headers.clear();
        browser
    };
    for name in ["ada", "root"] {
        for _ in 0..3 {
            assert!(login("/login", &format!("username={name}&password=x"), &[], 401).cookies.is_empty());
        }
        let mut admin = login("/login", &format!("username={name}&password=x"), &[], 200);
        assert_eq!(world.get(&mut admin, "/sso/session").json()["method"], "password", "{name}");
        assert_eq!(world.call(&admin, "GET", "settings", Value::Null).status(), 200, "{name}");
        let passed = world.get(&mut admin, "/x").pass.unwrap();
        assert!(passed.live.is_none(), "the application is told nothing");
    }
    // Another user's opens nothing, nor what cannot be read or comes from elsewhere; all of it passes.
    for (target, body) in [
        ("/login", "username=bob&password=x"),
        ("/login", "username=nobody&password=x"),
        ("/login", "username=ada&username=bob"),
        ("/login", "username=ada&email=bob"),
        ("/login", "password=x"),
        ("/login", ""),
        ("/login?username=bob", "username=ada"),
        ("/LOGIN", "username=ada"),
        ("/login/", "username=ada"),
        ("/other", "username=ada"),
    ] {
        assert!(login(target, body, &[], 200).cookies.is_empty(), "{target} {body}");
    }
    let large = format!("username=ada&x={}", "x".repeat(80_000));
    assert!(login("/login", &large, &[], 200).cookies.is_empty());
    for header in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
    ] {
        assert!(login("/login", "username=ada", &[header], 200).cookies.is_empty(), "{header:?}");
    }
}

/// A password login; the browser afterwards if it passed, else the code.
fn by_password(world: &World, name: &str) -> Result<Browser, String> {
    let body = format!("username={name}&password=x").into_bytes();
    let mut browser = world.browser();
    let seen = browser.send("POST", "/login", Some(body), &mut |call| world.respond(call));
    let Some(mut pass) = seen.pass else { return Err(seen.code().to_owned()) };
    let judge = pass.on_response.take().expect("the answer is judged");
    let lines = crate::testing::decided(judge(&vec![(":status".to_owned(), b"200".to_vec())], true));
    let pairs = lines.iter().filter_map(|line| line.split(';').next()?.split_once('='));
    browser.cookies.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(browser)
}

/// The operator's `administrators` are the way back where none was left; the file's own word closes it.
#[test]
fn passwords_that_settings_turn_off_stay_open_to_the_administrators_of_the_file() {
    let with = |mode: Option<&str>, administrators: Value| {
        World::with(|c| {
            c["accounts"][0]["password"] = json!({
                "mode": mode, "admin_roles": ["account_admin"], "administrators": administrators, "page": "/login",
                "logins": [{ "path": "/login", "username": { "form": "username" }, "success": { "status": [200] } }],
            });
            c["accounts"][0]["access"] = json!([{ "path": "/login", "allow": "anyone" }]);
        })
    };
    let off = |world: &mut World, admin: &Browser| {
        assert_eq!(
            world
                .call(admin, "PUT", "settings/draft", json!({ "password": { "mode": "disabled" } }))
                .status(),
            200
        );
        let first = world.call(admin, "POST", "settings/enable", json!({ "confirm": false }));
        assert_eq!((first.status(), first.code()), (409, "settings_untested"), "{}", first.text());
        assert_eq!(world.call(admin, "POST", "settings/enable", json!({ "confirm": true })).status(), 200);
        world.settled();
    };
    let is_in = |world: &World, name: &str| by_password(world, name).map(|_| ());
    let disabled = || Err("password_disabled".to_owned());
    let link = "href=\"/login\"";

    let mut world = with(Some("enabled"), json!(["root"]));
    let root = by_password(&world, "root").expect("root is let through");
    off(&mut world, &root);
    assert_eq!(
        world.call(&root, "GET", "settings", Value::Null).status(),
        200,
        "the session at the keyboard goes on"
    );
    assert_eq!(is_in(&world, "root"), Ok(()));
    for name in ["ada", "bob", "nobody", "ROOT"] {
        assert_eq!(is_in(&world, name), disabled(), "{name}");
    }
    assert!(world.get(&mut world.browser(), "/sso/login?show=all").text().contains(link));
    assert!(!world.get(&mut world.browser(), "/sso/login").text().contains(link));

    // Another change does not close it, nor does the next version without a guard's word.
    let ada = world.signed_in("ada");
    let draft = json!({ "password": { "mode": "disabled" }, "mapping": { "from": "userinfo", "claim": "mail", "attribute": "email" } });
    let saved = world.call(&ada, "PUT", "settings/draft", draft);
    assert_eq!(saved.status(), 200, "{}", saved.text());
    let enabled = world.call(&ada, "POST", "settings/enable", json!({ "confirm": true }));
    assert_eq!(enabled.status(), 200, "{}", enabled.text());
    world.settled();
    assert_eq!((is_in(&world, "root"), is_in(&world, "bob")), (Ok(()), disabled()));

    // An administrator is left, who comes in by the provider: no password at all.
    let mut world = with(Some("enabled"), json!(["root"]));
    let ada = world.signed_in("ada");
    world.call(&ada, "PUT", "settings/draft", json!({ "password": { "mode": "disabled" } }));
    assert_eq!(world.tested(&ada, "ada", "corp")["user"], "ada");
    let enabled = world.call(&ada, "POST", "settings/enable", json!({ "confirm": false }));
    assert_eq!(enabled.status(), 200, "{}", enabled.text());
    world.settled();
    assert_eq!((is_in(&world, "root"), is_in(&world, "bob")), (disabled(), disabled()));

    // Nobody is named; or the operator himself has turned passwords off, or never on.
    let named = json!(["root"]);
    let closed = [(Some("enabled"), json!([])), (Some("disabled"), named.clone()), (None, named)];
    for (mode, administrators) in closed {
        let mut world = with(mode, administrators);
        let ada = world.signed_in("ada");
        world.call(&ada, "PUT", "settings/draft", json!({ "password": { "mode": "disabled" } }));
        assert_eq!(world.call(&ada, "POST", "settings/enable", json!({ "confirm": true })).status(), 200);
        world.settled();
        for name in ["root", "ada", "bob"] {
            assert_eq!(is_in(&world, name), disabled(), "{mode:?} {name}");
        }
        assert!(!world.get(&mut world.browser(), "/sso/login?show=all").text().contains(link), "{mode:?}");
    }
}
