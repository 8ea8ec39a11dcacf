//! The table "passwords" of docs/directory.md: each row over a static list and over SCIM servers, with one provider and with two,
//! for a login and for a session that is there.

use std::rc::Rc;

use serde_json::{json, Value};

use crate::config::{load, Attribute, PasswordLogin, Placeholders, UsernameField};
use crate::directory::{tests as d, Cache};
use crate::host::task::{Call, Reply};
use crate::password::{rule, username};
use crate::session::Purpose;
use crate::testing::browser::{filter_state, Browser, KEY};
use crate::testing::{self, drive_with, header, TestHost, START};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Static,
    /// It filters, without regard to case (RFC 7643 section 4.1.1).
    Scim,
    /// It returns every user, whatever it is asked.
    Ignores,
}

const KINDS: [Kind; 3] = [Kind::Static, Kind::Scim, Kind::Ignores];
const MODES: [&str; 3] = ["enabled", "admins", "disabled"];

/// username, role, active.
const USERS: [(&str, &str, bool); 12] = [
    ("root", "account_admin", true),
    ("ada", "member", true),
    ("gone", "account_admin", false),
    ("heidi", "member", false),
    ("near", "not_account_admin", true),
    ("upper", "Account_Admin", true),
    ("twin", "account_admin", true),
    ("Twin", "member", true),
    ("chief", "member", true),
    ("left", "member", false),
    ("weiss", "member", true),
    ("groß", "member", true),
];

fn configuration(kind: Kind, several: bool, mode: &str) -> Value {
    let users = USERS.map(|(name, role, active)| {
        json!({ "username": name, "email": format!("{name}@acme.com"), "roles": [role], "active": active })
    });
    let directory = match kind {
        Kind::Static => json!({ "static": { "users": users } }),
        _ => json!({ "scim": { "url": "http://directory.internal/scim/v2", "cache": "0s" } }),
    };
    let provider = |id: &str| {
        let issuer = format!("https://{id}.example");
        json!({ "id": id, "oidc": {
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/a"), "token_endpoint": format!("{issuer}/t"),
            "jwks_uri": format!("{issuer}/k"), "client_id": "app",
        } })
    };
    let providers =
        if several { vec![provider("corp"), provider("partner")] } else { vec![provider("corp")] };
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "cookies": { "secure": false }, "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": providers, "directory": directory,
            "password": {
                "mode": mode, "admin_roles": ["account_admin"], "administrators": ["chief", "left"],
                "logins": [{ "path": "/login", "username": { "form": "u" }, "success": { "redirect_not": "/login*" } }],
            },
        }],
    })
}

fn server(kind: Kind) -> impl FnMut(&Call) -> Reply {
    move |call| {
        let url = url::Url::parse(&format!("http://x{}", header(call, ":path").unwrap())).unwrap();
        let filter = url.query_pairs().find(|(name, _)| name == "filter").unwrap().1.into_owned();
        let (attribute, value) = filter.split_once(" eq ").unwrap();
        let value: String = serde_json::from_str::<String>(value).unwrap().to_lowercase();
        let is_asked_for = |name: &str| match (kind, attribute) {
            (Kind::Ignores, _) => true,
            (_, "userName") => name.to_lowercase() == value,
            _ => format!("{name}@acme.com").to_lowercase() == value,
        };
        let found: Vec<Value> = USERS
            .iter()
            .filter(|(name, ..)| is_asked_for(name))
            .map(|(name, role, active)| {
                json!({
                    "id": name, "userName": name, "active": active, "roles": [{ "value": role }],
                    "emails": [{ "value": format!("{name}@acme.com") }],
                })
            })
            .collect();
        d::list(&found)
    }
}

/// Who signs in, with which roles; else the code.
fn ruled(kind: Kind, several: bool, mode: &str, typed: &str) -> Result<(String, String), &'static str> {
    let document = configuration(kind, several, mode);
    let account = load(document.to_string().as_bytes(), &Placeholders).unwrap().accounts[0].clone();
    let login = PasswordLogin::plain("/login", UsernameField::Form("u".into()));
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("u", typed).finish();
    let name = username(&login, body.as_bytes()).unwrap();
    let io = TestHost::new().io();
    let inner = io.clone();
    let flow = async move { rule(&inner, &account, &Cache::new(), Attribute::Username, &name).await };
    let ruling = drive_with(&io, flow, server(kind)).0;
    ruling
        .map(|ruling| (ruling.user.username, ruling.user.roles.join(",")))
        .map_err(|fault| fault.code.as_str())
}

#[test]
fn a_login_over_every_kind_of_directory() {
    let refused = Err("password_not_allowed");
    let inactive = Err("user_inactive");
    let as_typed = Ok("");
    for (typed, enabled, admins) in [
        ("root", Ok("account_admin"), Ok("account_admin")),
        ("ada", Ok("member"), refused),
        ("near", Ok("not_account_admin"), refused),
        ("upper", Ok("Account_Admin"), refused),
        ("stranger", as_typed, refused),
        // Usernames compare exactly; an inactive user is out by every spelling that some application takes for theirs.
        ("ROOT", as_typed, refused),
        ("gone", inactive, refused),
        ("GONE", inactive, refused),
        ("heidi", inactive, refused),
        ("Heidi", inactive, refused),
        ("HEIDI", inactive, refused),
        ("heidi@acme.com", inactive, refused),
        ("Heidi@ACME.com", inactive, refused),
        ("ada@acme.com", as_typed, refused),
        ("Ada", as_typed, refused),
        ("heid", as_typed, refused),
        // Which of two the application takes is not certain.
        ("twin", as_typed, refused),
        ("TWIN", as_typed, refused),
        // Administrators by name; one whom the directory calls inactive is out.
        ("chief", Ok("member"), Ok("member")),
        ("Chief", as_typed, refused),
        ("left", inactive, refused),
        // Upper case makes `weiss` of it, who is another user; nobody is called `gross` or `fuss`.
        ("weiß", Err("username_unreadable"), Err("username_unreadable")),
        ("groß", Ok("member"), refused),
        ("fuß", as_typed, refused),
    ] {
        for kind in KINDS {
            for several in [false, true] {
                for (mode, wanted) in MODES.into_iter().zip([enabled, admins, Err("password_disabled")]) {
                    let wanted = wanted.map(|roles| (typed.to_owned(), roles.to_owned()));
                    assert_eq!(
                        ruled(kind, several, mode, typed),
                        wanted,
                        "{kind:?} {several} {mode} {typed}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_session_that_is_there_over_every_kind_of_directory() {
    // user, where the user comes from, role; whether it stands under each mode.
    for (user, origin, role, stands) in [
        ("root", "d", "account_admin", [true, true, false]),
        ("ada", "d", "member", [true, false, false]),
        ("near", "d", "not_account_admin", [true, false, false]),
        ("chief", "d", "member", [true, true, false]),
        ("Chief", "d", "member", [true, false, false]),
        // No record: typed in under `enabled`, or an administrator by name while the directory was away.
        ("stranger", "a", "", [true, false, false]),
        ("chief", "a", "", [true, true, false]),
        ("root", "a", "account_admin", [true, false, false]),
        // What an identity provider says of someone makes no administrator of a password session.
        ("root", "i", "account_admin", [true, false, false]),
    ] {
        for kind in KINDS {
            for several in [false, true] {
                let found = MODES.map(|mode| {
                    let host = TestHost::new();
                    let filter_state = filter_state(&host, &configuration(kind, several, mode));
                    let session = json!({
                        "s": "id", "u": { "u": user, "o": origin, "r": [role] }, "m": "password",
                        "b": START, "l": START, "c": START,
                    });
                    let keys = &filter_state.config.session.keys;
                    let sealed =
                        keys.seal(&*host, Purpose::Session, "acme", session.to_string().as_bytes()).unwrap();
                    let mut browser = Browser::new(&filter_state, "app.example").with("accept", "*/*");
                    browser.cookies.push(("sso".into(), sealed));
                    let seen = browser.get("/who", &mut |call| panic!("nobody is asked: {call:?}"));
                    assert!(seen.pass.is_some() || seen.code() == "session_expired", "{}", seen.code());
                    seen.pass.is_some()
                });
                assert_eq!(found, stands, "{kind:?} {several} {user} {origin}");
            }
        }
    }
}

/// The rest of the table: a directory that is down.
#[test]
fn while_the_directory_is_down() {
    let ask = |mode: &str, typed: &str| {
        let document = configuration(Kind::Scim, false, mode);
        let account: Rc<_> =
            load(document.to_string().as_bytes(), &Placeholders).unwrap().accounts[0].clone();
        let login = PasswordLogin::plain("/login", UsernameField::Form("u".into()));
        let name = username(&login, format!("u={typed}").as_bytes()).unwrap();
        let io = TestHost::new().io();
        let inner = io.clone();
        let flow = async move { rule(&inner, &account, &Cache::new(), Attribute::Username, &name).await };
        let down = |_: &Call| testing::status(500, "", "");
        drive_with(&io, flow, down).0.map(|ruling| ruling.user.roles).map_err(|fault| fault.code.as_str())
    };
    for (typed, enabled, admins) in [
        ("root", Ok(vec![]), Err("directory_unavailable")),
        ("ada", Ok(vec![]), Err("directory_unavailable")),
        ("stranger", Ok(vec![]), Err("directory_unavailable")),
        ("chief", Ok(vec![]), Ok(vec![])),
        ("CHIEF", Ok(vec![]), Err("directory_unavailable")),
    ] {
        assert_eq!(ask("enabled", typed), enabled, "{typed}");
        assert_eq!(ask("admins", typed), admins, "{typed}");
        assert_eq!(ask("disabled", typed), Err("password_disabled"), "{typed}");
    }
}
