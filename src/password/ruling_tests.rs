//! Whose name it is: by username, email address or phone number, with a directory that answers or does not.

use serde_json::{json, Value};

use super::*;
use crate::config::{Account, Attribute, Directory, PasswordLogin, PasswordMode, UsernameField};
use crate::directory::tests as d;
use crate::directory::Cache;
use crate::fault::Code;
use crate::host::task::{Failure, Reply};
use crate::testing::{drive, TestHost};

fn account(directory: Directory, mode: PasswordMode) -> Account {
    let mut account = d::account(directory);
    account.password.mode = mode;
    account.password.administrators = vec!["root".into()];
    account
}

fn people() -> Directory {
    let with = |name: &str, email: &str, phone: Option<&str>, role: &str, active| {
        let mut user = d::user(name, Some(email), active);
        (user.roles, user.phone) = (vec![role.to_owned()], phone.map(str::to_owned));
        user
    };
    Directory::Static(vec![
        with("root", "root@acme.com", None, "member", true),
        with("ada", "ada@acme.com", Some("+49 151 1"), "account_admin", true),
        with("bob", "bob@acme.com", Some("+49 151 2"), "member", true),
        with("gone", "gone@acme.com", None, "account_admin", false),
        with("one", "both@acme.com", None, "account_admin", true),
        with("two", "BOTH@acme.com", None, "account_admin", true),
        with("eve@acme.com", "mallory@acme.com", None, "account_admin", true),
    ])
}

fn ruled(
    account: Account,
    attribute: Attribute,
    typed: &str,
    replies: Vec<Reply>,
) -> Result<(String, bool), Code> {
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("u", typed).finish();
    let login = PasswordLogin::plain("/login", UsernameField::Form("u".into()));
    let name = username(&login, body.as_bytes()).unwrap();
    let io = TestHost::new().io();
    let inner = io.clone();
    let flow = async move { rule(&inner, &account, &Cache::new(), attribute, &name).await };
    drive(&io, flow, replies)
        .0
        .map(|ruling| (ruling.user.username, ruling.without_directory.is_some()))
        .map_err(|fault| fault.code)
}

#[test]
fn the_user_is_the_directorys_whatever_was_typed() {
    use PasswordMode::{Admins, Enabled};
    let found = |name: &str| Ok((name.to_owned(), false));
    let refused = Err(Code::PasswordNotAllowed);
    for (attribute, typed, enabled, admins) in [
        (Attribute::Email, "ada@acme.com", found("ada"), found("ada")),
        (Attribute::Email, "ADA@Acme.com", found("ada"), found("ada")),
        (Attribute::Email, "bob@acme.com", found("bob"), refused.clone()),
        (Attribute::Email, "root@acme.com", found("root"), found("root")),
        (Attribute::Email, "root", found("root"), found("root")),
        (Attribute::Email, "gone@acme.com", Err(Code::UserInactive), refused.clone()),
        (Attribute::Email, "none@acme.com", found("none@acme.com"), refused.clone()),
        // Two users have the address: which of them the application takes is not certain.
        (Attribute::Email, "both@acme.com", found("both@acme.com"), refused.clone()),
        // An address that is a stranger's username opens no session of the stranger.
        (Attribute::Email, "eve@acme.com", refused.clone(), refused.clone()),
        (Attribute::Phone, "+491511", found("ada"), found("ada")),
        (Attribute::Phone, "0049-151-1", found("ada"), found("ada")),
        (Attribute::Phone, "+491512", found("bob"), refused.clone()),
        (Attribute::Phone, "+491519", found("+491519"), refused.clone()),
        (Attribute::Username, "root", found("root"), found("root")),
        (Attribute::Username, "ROOT", found("ROOT"), refused.clone()),
        (Attribute::Username, "gone", Err(Code::UserInactive), refused.clone()),
    ] {
        let both = [Enabled, Admins].map(|mode| ruled(account(people(), mode), attribute, typed, vec![]));
        assert_eq!(both, [enabled, admins], "{attribute:?} {typed}");
    }
}

fn record(name: &str, active: Value) -> Reply {
    d::list(&[json!({ "id": "1", "userName": name, "active": active, "roles": [{ "value": "member" }] })])
}

#[test]
fn administrators_by_name_while_the_directory_cannot_be_asked() {
    use PasswordMode::Admins;
    let ask = |typed: &str, replies| ruled(account(d::scim(), Admins), Attribute::Username, typed, replies);
    for failure in [Failure::Timeout, Failure::Unreachable] {
        assert_eq!(ask("root", vec![Reply::Failed(failure)]), Ok(("root".into(), true)));
    }
    for name in ["ada", "ROOT", "root2", "roo"] {
        assert_eq!(
            ask(name, vec![Reply::Failed(Failure::Timeout)]),
            Err(Code::DirectoryUnavailable),
            "{name}"
        );
    }
    // While it answers it decides who is inactive, not who is an administrator.
    assert_eq!(ask("root", vec![record("root", json!(true))]), Ok(("root".into(), false)));
    assert_eq!(ask("root", vec![record("root", json!(false))]), Err(Code::PasswordNotAllowed));
    // An answer that cannot be read is an outage.
    for active in [json!(null), json!("false"), json!(0)] {
        assert_eq!(ask("root", vec![record("root", active.clone())]), Ok(("root".into(), true)), "{active}");
    }
    // The list says nothing of an address.
    let by_mail = ruled(
        account(d::scim(), Admins),
        Attribute::Email,
        "root@acme.com",
        vec![Reply::Failed(Failure::Timeout)],
    );
    assert_eq!(by_mail, Err(Code::DirectoryUnavailable));
    let by_name =
        ruled(account(d::scim(), Admins), Attribute::Email, "root", vec![Reply::Failed(Failure::Timeout)]);
    assert_eq!(by_name.map(|(name, _)| name).ok(), Some("root".to_owned()));
}

#[test]
fn made_up_names_displace_none_that_is_known() {
    use super::attempts::{begin, CountedBy};
    use crate::config::AttemptLimit;
    let (host, limit) = (TestHost::new(), AttemptLimit { limit: 1, window: 60_000 });
    let locked = |by: &CountedBy| begin(&*host, "acme", by, limit).is_err();
    let (user, browser) = (CountedBy::User("ada".into()), CountedBy::Browser([7; 8]));
    assert!(!locked(&user) && !locked(&browser));
    for n in 0..3_000 {
        assert!(!locked(&CountedBy::Name(format!("name-{n}"))), "{n}");
    }
    assert!(locked(&user) && locked(&browser), "a flood frees no name that is locked out");
    assert!(!locked(&CountedBy::User("bob".into())), "and locks out none");
    // A made-up name is not a user's.
    assert!(!locked(&CountedBy::Name("ada".into())));
}

#[test]
fn an_application_may_take_an_address_in_the_field_of_usernames() {
    use PasswordMode::{Admins, Enabled};
    let refused = Err(Code::PasswordNotAllowed);
    let found = |name: &str| Ok((name.to_owned(), false));
    let directory = || {
        let Directory::Static(mut users) = people() else { unreachable!() };
        users.extend([
            d::user("on", Some("pair@acme.com"), true),
            d::user("off", Some("pair@acme.com"), false),
            d::user("left-1", Some("left@acme.com"), false),
            d::user("left-2", Some("left@acme.com"), false),
        ]);
        Directory::Static(users)
    };
    for (attribute, typed, enabled, admins) in [
        (Attribute::Username, "gone@acme.com", Err(Code::UserInactive), refused.clone()),
        (Attribute::Username, "bob@acme.com", found("bob@acme.com"), refused.clone()),
        (Attribute::Username, "nobody", found("nobody"), refused.clone()),
        // The username of a user is an address: it is that user.
        (Attribute::Username, "eve@acme.com", found("eve@acme.com"), found("eve@acme.com")),
        (Attribute::Username, "gone", Err(Code::UserInactive), refused.clone()),
        // A name is not an address: an application that takes both in one field signs that user in.
        (Attribute::Email, "bob", found("bob"), refused.clone()),
        (Attribute::Email, "gone", Err(Code::UserInactive), refused.clone()),
        (Attribute::Email, "Gone", Err(Code::UserInactive), refused.clone()),
        (Attribute::Phone, "gone", Err(Code::UserInactive), refused.clone()),
        (Attribute::Email, "pair@acme.com", found("pair@acme.com"), refused.clone()),
        (Attribute::Email, "left@acme.com", Err(Code::UserInactive), refused.clone()),
    ] {
        let both = [Enabled, Admins].map(|mode| ruled(account(directory(), mode), attribute, typed, vec![]));
        assert_eq!(both, [enabled, admins], "{attribute:?} {typed}");
    }
}

#[test]
fn a_name_that_case_mapping_changes_is_nobody_elses() {
    let ask = |names: &[&str], typed: &str| {
        let users = names.iter().map(|name| d::user(name, None, true)).collect();
        ruled(account(Directory::Static(users), PasswordMode::Enabled), Attribute::Username, typed, vec![])
    };
    assert_eq!(ask(&["ida"], "\u{131}da"), Err(Code::UsernameUnreadable));
    assert_eq!(ask(&["\u{131}da"], "\u{131}da"), Ok(("\u{131}da".into(), false)));
    assert_eq!(ask(&["bob"], "\u{131}da"), Ok(("\u{131}da".into(), false)));
    assert_eq!(ask(&["ida"], "\u{130}da"), Err(Code::UsernameUnreadable));
    assert_eq!(ask(&["IDA"], "\u{130}DA"), Err(Code::UsernameUnreadable));
    assert_eq!(ask(&["\u{130}da"], "\u{130}da"), Ok(("\u{130}da".into(), false)));
    assert_eq!(ask(&["bob"], "\u{130}da"), Ok(("\u{130}da".into(), false)));
}

#[test]
fn a_refusal_says_to_the_operator_what_is_missing() {
    let why = |typed: &str, mode| {
        let login = PasswordLogin::plain("/login", UsernameField::Form("u".into()));
        let name = username(&login, format!("u={typed}").as_bytes()).unwrap();
        let io = TestHost::new().io();
        let (inner, account) = (io.clone(), account(people(), mode));
        let flow = async move { rule(&inner, &account, &Cache::new(), Attribute::Username, &name).await };
        drive(&io, flow, vec![]).0.unwrap_err().detail
    };
    for (typed, mode, reason) in [
        (
            "bob",
            PasswordMode::Admins,
            "has none of password.admin_roles and is not one of password.administrators",
        ),
        ("nobody", PasswordMode::Admins, "who is unknown"),
        ("gone", PasswordMode::Enabled, "who is inactive"),
        ("bob", PasswordMode::Disabled, "passwords are disabled"),
    ] {
        assert!(why(typed, mode).contains(reason), "{typed}: {}", why(typed, mode));
    }
}

#[test]
fn a_password_session_stands_as_long_as_its_user_could_sign_in_by_password() {
    use crate::directory::{User, UserSource};
    let user = |name: &str, source: UserSource, roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        User::without_record(name.into(), source, roles, Default::default())
    };
    let cases = [
        (user("ada", UserSource::Directory, &["account_admin"]), true),
        (user("bob", UserSource::Directory, &["member"]), false),
        (user("root", UserSource::Application, &[]), true),
        (user("bob", UserSource::Application, &["account_admin"]), false),
        (user("root", UserSource::Session, &[]), false),
        (user("root", UserSource::Identity, &[]), false),
    ];
    for (user, is_admin) in cases {
        for (mode, enabled, stands) in [
            (PasswordMode::Enabled, true, true),
            (PasswordMode::Admins, true, is_admin),
            (PasswordMode::Disabled, true, false),
            // While single sign-on is off, an administrator prepares it.
            (PasswordMode::Enabled, false, is_admin),
            (PasswordMode::Disabled, false, is_admin),
        ] {
            let mut account = account(people(), mode);
            account.enabled = enabled;
            assert_eq!(session_stands(&account, &user), stands, "{user:?} {mode:?} {enabled}");
        }
    }
}

#[test]
fn a_name_that_is_no_address_is_asked_for_once() {
    // `ruled` has as many answers as there may be questions.
    let mut account = account(d::scim(), PasswordMode::Enabled);
    account.mapping.attribute = Attribute::Username;
    let found = ruled(account, Attribute::Username, "eve", vec![d::list(&[])]);
    assert_eq!(found, Ok(("eve".to_owned(), false)));
}

#[test]
fn an_administrators_name_that_two_users_have_signs_neither_in() {
    let twins = || Directory::Static(vec![d::user("root", None, true), d::user("ROOT", None, true)]);
    let ruled = |mode| ruled(account(twins(), mode), Attribute::Username, "root", vec![]);
    assert_eq!(ruled(PasswordMode::Admins), Err(Code::PasswordNotAllowed));
    assert_eq!(ruled(PasswordMode::Enabled), Ok(("root".into(), false)), "without a role");
}
