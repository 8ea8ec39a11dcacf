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
